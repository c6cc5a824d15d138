//! Names of things: versions, source partitions, fingerprints of event ids.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Name of a bundle: the first 12 hex digits of its manifest's SHA-256. Never changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(Arc<str>);

impl Version {
    /// Takes the name as it is; [`Version::is_well_formed`] tells whether it can be one.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// Twelve lower-case hex digits.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.0.len() == 12 && self.0.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourcePartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
}

impl SourcePartition {
    /// Names a partition.
    #[must_use]
    pub fn new(topic: &str, partition: i32) -> Self {
        Self { topic: Arc::from(topic), partition }
    }
}

impl fmt::Display for SourcePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// 128 bits that stand for an event id: what the join is keyed by.
pub type Fingerprint = u128;

/// Fingerprint of an event id: XXH3 in its 128-bit form, seed 0, the same on every host.
#[must_use]
pub fn fingerprint(id: &[u8]) -> Fingerprint {
    xxhash_rust::xxh3::xxh3_128(id)
}

/// Partition of `p.tracking` that holds both sides of the join of an id.
#[must_use]
pub fn tracking_partition(id: Fingerprint, partitions: i32) -> i32 {
    let count = u128::from(partitions.max(1).unsigned_abs());
    i32::try_from(id % count).unwrap_or(0)
}
