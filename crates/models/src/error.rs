//! What can be wrong with a model or with what it is asked.

use domain::ErrorClass;

/// Why a model could not be made, read or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The feature matrix is not the one the model was made for.
    #[error("feature matrix has {found} columns, expected {expected}")]
    Features {
        /// Columns found.
        found: usize,
        /// Features of the model.
        expected: usize,
    },
    /// A model whose parts contradict one another or exceed a bound.
    #[error("model: {detail}")]
    Invalid {
        /// The part, the value found, what was expected.
        detail: String,
    },
    /// Bytes that are no model of ours.
    #[error("model file: {detail}")]
    Bytes {
        /// The field, the value found, what was expected.
        detail: String,
    },
    /// A LightGBM file that cannot be read, or asks for what is not supported.
    #[error("lightgbm model, line {line}: {detail}")]
    LightGbm {
        /// Line number, from 1; 0 for the file as a whole.
        line: usize,
        /// The key, the value found, what was expected.
        detail: String,
    },
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Features { .. } | Self::Invalid { .. } => ErrorClass::Internal,
            Self::Bytes { .. } => ErrorClass::External,
            Self::LightGbm { .. } => ErrorClass::User,
        }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::Invalid { detail: detail.into() }
    }

    pub(crate) fn bytes(detail: impl Into<String>) -> Self {
        Self::Bytes { detail: detail.into() }
    }
}
