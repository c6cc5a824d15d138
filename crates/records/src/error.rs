//! Errors of reading and writing records.

use domain::ErrorClass;

/// A record could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value has no representation in the format.
    #[error("record cannot be encoded: {0}")]
    Encode(String),
    /// The bytes are not a record of the kind expected.
    #[error("record cannot be decoded: {0}")]
    Decode(String),
    /// A swap table cannot be used.
    #[error("swap table: {0}")]
    SwapTable(String),
}

impl Error {
    /// Who can act: records are written and read by Vigie alone, a swap table is handed to it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Encode(_) | Self::Decode(_) => ErrorClass::Internal,
            Self::SwapTable(_) => ErrorClass::User,
        }
    }
}
