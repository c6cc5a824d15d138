//! Who can act on an error.

use serde::{Deserialize, Serialize};

/// Classes every crate's error falls into, by who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The person who wrote the configuration or the input: retrying changes nothing.
    User,
    /// Something outside the process (broker, object store, disk): may pass by itself.
    External,
    /// A fault of Vigie itself.
    Internal,
}
