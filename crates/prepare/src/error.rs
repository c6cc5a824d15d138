//! What can be wrong with a recipe, a batch or a saved preprocessor.

use domain::ErrorClass;

/// Why fitting, applying or reading failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A step names a column that is neither declared nor derived.
    #[error("step {step}: unknown column `{column}`; {hint}")]
    UnknownColumn {
        /// Number of the step, from 1.
        step: usize,
        /// The name as written.
        column: String,
        /// The nearest name, or the list of columns.
        hint: String,
    },
    /// Two columns, declared or derived, have the same name.
    #[error("column `{column}` is there twice, expected distinct names of declared and derived columns")]
    RepeatedColumn {
        /// The name.
        column: String,
    },
    /// Neither declared nor derived columns.
    #[error("no columns to prepare, expected at least one declared or derived column")]
    NoColumns,
    /// A setting of a step does not fit the column's type or its own range.
    #[error("step {step}: {setting} does not fit column `{column}` of type {found}, expected {expected}")]
    Setting {
        /// Number of the step, from 1.
        step: usize,
        /// The setting, such as `scale`.
        setting: String,
        /// The column.
        column: String,
        /// The kind of the column.
        found: &'static str,
        /// What would fit.
        expected: &'static str,
    },
    /// `max_categories` out of range.
    #[error("step {step}: max_categories is {found}, expected 1 to {limit}")]
    MaxCategories {
        /// Number of the step, from 1.
        step: usize,
        /// The value found.
        found: usize,
        /// The largest allowed.
        limit: usize,
    },
    /// A derived column has a type that no feature can be made of.
    #[error("derived column `{column}` has type {found}, expected a number, a boolean, a timestamp or text")]
    DerivedType {
        /// The column.
        column: String,
        /// Its Arrow type.
        found: String,
    },
    /// More features than the bound.
    #[error("{found} features, expected at most {limit}")]
    TooManyFeatures {
        /// How many there would be.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The batch lacks a declared column.
    #[error("column `{column}` is missing from the batch")]
    MissingColumn {
        /// The column.
        column: String,
    },
    /// A column of the batch has another type than declared.
    #[error("column `{column}` has type {found}, expected {expected}")]
    ColumnType {
        /// The column.
        column: String,
        /// Its Arrow type.
        found: String,
        /// The declared Arrow type.
        expected: String,
    },
    /// A derived column cannot be compiled or evaluated.
    #[error(transparent)]
    Expression(#[from] expressions::Error),
    /// A saved preprocessor that cannot be one.
    #[error("saved preprocessor: {detail}")]
    Format {
        /// The thing, the value found, what was expected.
        detail: String,
    },
    /// A fault of this crate or of Arrow.
    #[error("column `{column}`: {detail}")]
    Internal {
        /// The column.
        column: String,
        /// What happened.
        detail: String,
    },
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::UnknownColumn { .. }
            | Self::RepeatedColumn { .. }
            | Self::NoColumns
            | Self::Setting { .. }
            | Self::MaxCategories { .. }
            | Self::DerivedType { .. }
            | Self::TooManyFeatures { .. } => ErrorClass::User,
            Self::Expression(error) => error.class(),
            Self::MissingColumn { .. } | Self::ColumnType { .. } | Self::Format { .. } | Self::Internal { .. } => {
                ErrorClass::Internal
            }
        }
    }
}
