//! Why the store could not do what was asked.

use domain::ErrorClass;

/// What went wrong, with the object it concerns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry's address cannot be used.
    #[error("registry url is `{found}`, expected {expected}")]
    Url {
        /// The address.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A name that may not become part of a path.
    #[error("{what} is `{found}`, expected {expected}")]
    Name {
        /// What it names.
        what: &'static str,
        /// The name.
        found: String,
        /// What it may consist of.
        expected: &'static str,
    },
    /// The object is not there.
    #[error("object `{path}` is missing")]
    Missing {
        /// Where it should be.
        path: String,
    },
    /// A name that never changes its content is taken by other content.
    #[error("object `{path}` exists with other content, expected the same or none")]
    Conflict {
        /// The object.
        path: String,
    },
    /// The object is larger than its kind may be.
    #[error("object `{path}` has {found} bytes, expected at most {limit}")]
    Size {
        /// The object.
        path: String,
        /// Bytes found.
        found: u64,
        /// The bound.
        limit: u64,
    },
    /// The object's bytes are not what they should be.
    #[error("object `{path}`: {detail}")]
    Content {
        /// The object.
        path: String,
        /// The part, the value found, what was expected.
        detail: String,
    },
    /// The bundle does not verify.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// The object store failed.
    #[error("object store at `{path}`: {source}")]
    Object {
        /// The object or prefix.
        path: String,
        /// Why.
        source: object_store::Error,
    },
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Url { .. } | Self::Name { .. } => ErrorClass::User,
            Self::Bundle(error) => error.class(),
            _ => ErrorClass::External,
        }
    }

    pub(crate) fn content(path: &impl ToString, detail: impl ToString) -> Self {
        Self::Content { path: path.to_string(), detail: detail.to_string() }
    }
}
