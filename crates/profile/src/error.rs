//! What can go wrong with a profile.

use domain::ErrorClass;

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A profiled column is not in the batch.
    #[error("column {name} is not in the batch, which has {found}")]
    ColumnMissing {
        /// The column.
        name: String,
        /// The columns there are.
        found: String,
    },
    /// A column has a type that its bins cannot count.
    #[error("column {name} has type {found}, expected {expected}")]
    ColumnType {
        /// The column.
        name: String,
        /// Its type.
        found: String,
        /// What its bins need.
        expected: &'static str,
    },
    /// A selected row is not in the batch.
    #[error("row {row} is selected, but the batch has {rows} rows")]
    Selection {
        /// The row.
        row: u32,
        /// Rows of the batch.
        rows: usize,
    },
    /// Counts were to be taken away that are not there.
    #[error("cannot subtract {subtracted} from {count} rows (column {column:?}, bin {bin:?})")]
    Negative {
        /// Column number; `None` for the rows themselves.
        column: Option<usize>,
        /// Bin number.
        bin: Option<usize>,
        /// What is there.
        count: u64,
        /// What should go.
        subtracted: u64,
    },
    /// A reference profile cannot be read or written.
    #[error("reference profile: {0}")]
    Reference(String),
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::ColumnMissing { .. } | Self::ColumnType { .. } | Self::Reference(_) => ErrorClass::User,
            Self::Selection { .. } | Self::Negative { .. } => ErrorClass::Internal,
        }
    }
}
