//! What makes the judge unable to go on.

use domain::{ErrorClass, StageError};

/// Bad journal records are none of these: they are counted and skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A checkpoint cannot be gone on with.
    #[error(
        "checkpoint of the judge has {found}, expected {expected}; go on with the build and the windows.length that \
         wrote it, or delete it: the journal is then read from its first record, which must still be there"
    )]
    Checkpoint {
        /// What it has.
        found: String,
        /// What the configuration and this build say.
        expected: String,
    },
    /// The pipeline decided something by itself that an imposed swap table contradicts.
    #[error(
        "promotion {promotion} of this pipeline has champion {found}, that of the swap table {expected}; \
         a pipeline that decided by itself cannot follow another's table"
    )]
    Imposed {
        /// Number of the promotion.
        promotion: u64,
        /// Its champion here.
        found: String,
        /// Its champion in the table.
        expected: String,
    },
    /// Records of a partition that was not assigned.
    #[error("judge was given records of {0}, which it was not assigned")]
    Unassigned(String),
    /// A record cannot be written.
    #[error(transparent)]
    Record(#[from] records::Error),
    /// A version's parts are of another type than [`crate::Known`].
    #[error("loaded part of version {0} is not what the judge knows versions by")]
    Part(String),
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Checkpoint { .. } | Self::Imposed { .. } => ErrorClass::User,
            Self::Unassigned(_) | Self::Record(_) | Self::Part(_) => ErrorClass::Internal,
        }
    }
}

impl From<Error> for StageError {
    fn from(error: Error) -> Self {
        Self { class: error.class(), message: error.to_string() }
    }
}
