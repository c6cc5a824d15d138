//! What can go wrong in a run.

use domain::ErrorClass;

/// Why a run, a seed or a file could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too few labelled rows; the process ends with a code of its own.
    #[error("not enough data: {found} {what}, expected at least {expected}")]
    NotEnoughData {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there must be.
        expected: u64,
    },
    /// Something in the spec that cannot be.
    #[error("{key} is `{found}`, expected {expected}")]
    Spec {
        /// The key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A file that cannot be read.
    #[error("file {path}: {detail}")]
    File {
        /// Its path.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A column of a file or of an archive file.
    #[error("column `{column}` {detail}")]
    Column {
        /// The column.
        column: String,
        /// What was found and what was expected.
        detail: String,
    },
    /// A training library refused.
    #[error("{family}: {detail}")]
    Trainer {
        /// The family of models, or the library's call.
        family: &'static str,
        /// What it says.
        detail: String,
    },
    /// No candidate could be fitted.
    #[error("no candidate could be trained: {detail}")]
    NoCandidate {
        /// Why the last one failed.
        detail: String,
    },
    /// See [`prepare::Error`].
    #[error(transparent)]
    Prepare(#[from] prepare::Error),
    /// See [`models::Error`].
    #[error(transparent)]
    Model(#[from] models::Error),
    /// See [`profile::Error`].
    #[error(transparent)]
    Profile(#[from] profile::Error),
    /// See [`bundle::Error`].
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// See [`store::Error`].
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The join of events and labels.
    #[error("data set: {0}")]
    Engine(#[from] datafusion::error::DataFusionError),
    /// Arrow refused.
    #[error("data set: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotEnoughData { .. } | Self::Spec { .. } | Self::File { .. } | Self::Column { .. } => {
                ErrorClass::User
            }
            Self::NoCandidate { .. } => ErrorClass::User,
            Self::Prepare(error) => error.class(),
            Self::Model(error) => error.class(),
            Self::Profile(error) => error.class(),
            Self::Bundle(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Trainer { .. } | Self::Engine(_) | Self::Arrow(_) => ErrorClass::Internal,
        }
    }
}
