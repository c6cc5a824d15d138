//! Errors of building a decoder; data never causes one.

use domain::ErrorClass;

/// A decoder could not be built, or Arrow refused what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A column path with an empty part.
    #[error("column path `{0}` has an empty part, expected names joined by dots")]
    Path(String),
    /// The classes do not fit the task.
    #[error("{found} classes are declared, expected {expected}")]
    Classes {
        /// Number found.
        found: usize,
        /// What the task needs.
        expected: &'static str,
    },
    /// A batch beyond what 32-bit offsets address.
    #[error("batch of {0} bytes, expected less than 2 GiB")]
    BatchTooLarge(usize),
    /// Arrow refused the columns; a fault of Vigie itself.
    #[error("decoded columns do not form a batch: {0}")]
    Arrow(String),
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Path(_) | Self::Classes { .. } => ErrorClass::User,
            Self::BatchTooLarge(_) | Self::Arrow(_) => ErrorClass::Internal,
        }
    }
}
