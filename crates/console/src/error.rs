//! Errors of the console.

use domain::ErrorClass;

/// The console cannot show something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("console cannot listen on {address}: {source}")]
    Listen {
        /// The address as configured.
        address: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The server stopped by itself.
    #[error("console server stopped: {0}")]
    Serve(std::io::Error),
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Listen { .. } => ErrorClass::User,
            Self::Serve(_) => ErrorClass::External,
        }
    }
}
