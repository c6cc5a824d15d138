//! Errors of the stages intake and join.

use domain::{ErrorClass, StageError};

/// Intake or join cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A derived record could not be read or written.
    #[error("{what}: {fault}")]
    Record {
        /// The record, with its coordinates where it has any.
        what: String,
        /// What is wrong with it.
        fault: records::Error,
    },
    /// A record of `p.tracking` contradicts itself.
    #[error("tracking record of {source_partition} has {found}, expected {expected}")]
    Malformed {
        /// The source partition the record speaks of.
        source_partition: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
    /// Labels cannot be decoded at all with this configuration.
    #[error("label decoder: {0}")]
    Decoder(String),
    /// A checkpoint was made under other rules or by another release.
    #[error("checkpoint of {partition} has {found}, expected {expected}")]
    Checkpoint {
        /// The tracking partition.
        partition: String,
        /// Format or layout found.
        found: String,
        /// Format or layout of this process.
        expected: String,
    },
    /// A batch came for a partition that was never assigned.
    #[error("partition {0} has no state, expected an assignment before its first batch")]
    Unassigned(String),
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Decoder(_) | Self::Checkpoint { .. } => ErrorClass::User,
            Self::Record { .. } | Self::Malformed { .. } | Self::Unassigned(_) => ErrorClass::Internal,
        }
    }
}

impl From<Error> for StageError {
    fn from(error: Error) -> Self {
        Self { class: error.class(), message: error.to_string() }
    }
}
