//! Errors of the stage; bad data is never one.

use domain::{ErrorClass, StageError};

/// The stage could not be built or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A format is faulty.
    #[error(transparent)]
    Codec(#[from] codec::Error),
    /// A record could not be encoded or decoded.
    #[error(transparent)]
    Record(#[from] records::Error),
    /// Rows could not be put together.
    #[error("rows of {0} could not be put together: {1}")]
    Rows(String, String),
    /// The object store refuses a file for good.
    #[error("rows could not be stored: {0}")]
    Store(#[from] store::Error),
    /// The runner gave something the stage cannot take.
    #[error("{0}")]
    Contract(String),
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Codec(e) => e.class(),
            Self::Record(e) => e.class(),
            Self::Store(e) => e.class(),
            Self::Rows(..) | Self::Contract(_) => ErrorClass::Internal,
        }
    }
}

impl From<Error> for StageError {
    fn from(error: Error) -> Self {
        Self { class: error.class(), message: format!("archive: {error}") }
    }
}
