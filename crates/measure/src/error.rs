//! What can be wrong with what this crate is given.

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A cost matrix does not have classes × classes entries.
    #[error("a cost matrix of {classes} classes has {entries} entries, expected {classes} × {classes}")]
    CostShape {
        /// Number of classes.
        classes: usize,
        /// Entries given.
        entries: usize,
    },
    /// An entry of a cost matrix is no number.
    #[error("the cost of predicting class {predicted} for class {label} is no finite number")]
    CostValue {
        /// Class of the label.
        label: usize,
        /// Predicted class.
        predicted: usize,
    },
}
