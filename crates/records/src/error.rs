//! Errors of reading and writing records.

use domain::ErrorClass;

/// A record could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value has no representation in the format.
    #[error("record cannot be encoded: {0}")]
    Encode(String),
    /// The bytes are not a record of the kind expected.
    #[error("record cannot be decoded: {0}")]
    Decode(String),
}

impl Error {
    /// Who can act: these formats are written and read by Vigie alone.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Internal
    }
}
