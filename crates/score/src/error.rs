//! Errors of the stage; bad data is never one.

use domain::{ErrorClass, StageError};

/// The stage could not be built or cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The configuration is faulty.
    #[error("{0}")]
    Config(String),
    /// The event format is faulty.
    #[error(transparent)]
    Codec(#[from] codec::Error),
    /// A record could not be encoded or decoded.
    #[error(transparent)]
    Record(#[from] records::Error),
    /// An imposed swap table does not fit the log, what was committed, or the bundles.
    #[error("{0}")]
    Table(String),
    /// Columns could not be profiled.
    #[error("a pane could not be made: {0}")]
    Pane(String),
    /// The runner gave something the stage cannot take now.
    #[error("{0}")]
    Contract(String),
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) | Self::Table(_) => ErrorClass::User,
            Self::Codec(e) => e.class(),
            Self::Record(e) => e.class(),
            Self::Pane(_) | Self::Contract(_) => ErrorClass::Internal,
        }
    }
}

impl From<Error> for StageError {
    fn from(error: Error) -> Self {
        Self { class: error.class(), message: format!("score: {error}") }
    }
}
