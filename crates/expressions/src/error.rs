//! What can be wrong with an expression.

use domain::ErrorClass;

/// Why an expression was refused, or could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not a SQL expression.
    #[error("expression `{name}`: syntax error in `{sql}`: {detail}")]
    Syntax {
        /// Name of the expression.
        name: String,
        /// Its text.
        sql: String,
        /// What the parser says.
        detail: String,
    },
    /// The text, or the list of its tokens, is longer than the bound.
    #[error("expression `{name}`: {found} {unit}, expected at most {limit}")]
    TooLong {
        /// Name of the expression.
        name: String,
        /// What was counted.
        unit: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A column that the schema has not.
    #[error("expression `{name}`: unknown column `{column}` in `{sql}`; {hint}")]
    UnknownColumn {
        /// Name of the expression.
        name: String,
        /// Its text.
        sql: String,
        /// The column as written.
        column: String,
        /// The nearest name, or the list of columns.
        hint: String,
    },
    /// A function that does not exist or is not allowed.
    #[error("expression `{name}`: function `{function}` in `{sql}` {reason}")]
    Function {
        /// Name of the expression.
        name: String,
        /// Its text.
        sql: String,
        /// The function as written.
        function: String,
        /// Why it is refused, with a suggestion where there is one.
        reason: String,
    },
    /// Something SQL can say that an expression over one row may not.
    #[error("expression `{name}`: {what} in `{sql}`, expected a scalar expression over the columns of one row")]
    NotScalar {
        /// Name of the expression.
        name: String,
        /// Its text.
        sql: String,
        /// What was found, such as "a subquery".
        what: &'static str,
    },
    /// The types do not fit, or the planner refuses the expression for another reason.
    #[error("expression `{name}`: cannot compile `{sql}`: {detail}")]
    Compile {
        /// Name of the expression.
        name: String,
        /// Its text.
        sql: String,
        /// What the planner says.
        detail: String,
    },
    /// The batch lacks a column the expression reads.
    #[error("expression `{name}`: column `{column}` is missing from the batch")]
    MissingColumn {
        /// Name of the expression.
        name: String,
        /// The column.
        column: String,
    },
    /// A column of the batch has another type than the one compiled against.
    #[error("expression `{name}`: column `{column}` has type {found}, expected {expected}")]
    ColumnType {
        /// Name of the expression.
        name: String,
        /// The column.
        column: String,
        /// Its type in the batch.
        found: String,
        /// Its type in the schema.
        expected: String,
    },
    /// The engine broke its own contract.
    #[error("expression `{name}`: {detail}")]
    Evaluate {
        /// Name of the expression.
        name: String,
        /// What happened.
        detail: String,
    },
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Syntax { .. }
            | Self::TooLong { .. }
            | Self::UnknownColumn { .. }
            | Self::Function { .. }
            | Self::NotScalar { .. }
            | Self::Compile { .. } => ErrorClass::User,
            Self::MissingColumn { .. } | Self::ColumnType { .. } | Self::Evaluate { .. } => ErrorClass::Internal,
        }
    }
}
