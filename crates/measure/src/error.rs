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
    /// A score to be fitted is no finite number.
    #[error("the score of row {row} is no finite number")]
    Score {
        /// Row.
        row: usize,
    },
    /// Scores and labels do not fit together.
    #[error("{scores} scores and {labels} labels, expected {width} scores per label")]
    Scores {
        /// Scores given.
        scores: usize,
        /// Labels given.
        labels: usize,
        /// Scores per label.
        width: usize,
    },
    /// Something that needs classes was asked of a regression.
    #[error("numbers have no classes whose probabilities could be calibrated")]
    NoClasses,
    /// A map from score to probability has no points, too many, or unequally many.
    #[error("a map has {scores} scores and {probabilities} probabilities, expected equally many, 1 to 65,536")]
    MapLength {
        /// Scores given.
        scores: usize,
        /// Probabilities given.
        probabilities: usize,
    },
    /// Scores of a map do not rise, its probabilities fall, or some number is none.
    #[error("a map's scores must rise, and its probabilities must not fall nor leave [0, 1]")]
    MapShape,
}
