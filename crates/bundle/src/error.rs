//! Why a bundle cannot be made, opened or applied.

use domain::ErrorClass;

/// What is wrong, with the file it is wrong in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that must be there is not.
    #[error("bundle {version}: file `{file}` is missing")]
    Missing {
        /// The bundle.
        version: String,
        /// The file.
        file: String,
    },
    /// A file is larger than its kind may be.
    #[error("bundle file `{file}` has {found} bytes, expected at most {limit}")]
    Size {
        /// The file.
        file: String,
        /// Bytes found.
        found: u64,
        /// The bound.
        limit: u64,
    },
    /// A file's bytes are not those that were packed.
    #[error("bundle file `{file}` has {what} {found}, expected {expected}")]
    Mismatch {
        /// The file.
        file: String,
        /// What differs: length or SHA-256.
        what: &'static str,
        /// The value found.
        found: String,
        /// The value the manifest or the version states.
        expected: String,
    },
    /// The bundle needs something this build cannot do.
    #[error("bundle file `manifest.json`: {what} is `{found}`, expected {expected}")]
    Unsupported {
        /// The key.
        what: &'static str,
        /// The value found.
        found: String,
        /// What this build reads.
        expected: String,
    },
    /// A file cannot be read as what it should be.
    #[error("bundle file `{file}`: {detail}")]
    Content {
        /// The file.
        file: String,
        /// The part, the value found, what was expected.
        detail: String,
    },
    /// A golden row scores otherwise than when the bundle was packed.
    #[error("bundle file `golden.arrow`: row {row}, output {output} is {found:?}, expected {expected:?} to the bit")]
    Golden {
        /// The row.
        row: usize,
        /// The output.
        output: usize,
        /// What the live engine says.
        found: f64,
        /// What the bundle says.
        expected: f64,
    },
    /// Preprocessing failed.
    #[error("bundle {version}: preprocessing: {source}")]
    Prepare {
        /// The bundle.
        version: String,
        /// Why.
        source: Box<prepare::Error>,
    },
    /// The model cannot score the features.
    #[error("bundle {version}: {source}")]
    Model {
        /// The bundle.
        version: String,
        /// Why.
        source: Box<models::Error>,
    },
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Prepare { source, .. } => source.class(),
            Self::Model { .. } => ErrorClass::Internal,
            _ => ErrorClass::External,
        }
    }

    pub(crate) fn content(file: &str, detail: impl std::fmt::Display) -> Self {
        Self::Content { file: file.to_string(), detail: detail.to_string() }
    }
}
