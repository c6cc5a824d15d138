//! What the absence of a label means.

use crate::Task;
use serde::{Deserialize, Serialize};

/// What a prediction means whose label has not come within the horizon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unlabelled {
    /// Nothing is known of it: it counts nowhere, and nothing is learnt from it.
    #[default]
    Unknown,
    /// It is of the negative class, as where only fraud is ever reported: it counts when its slice is
    /// final, and training learns it. Binary classification only; elsewhere as `Unknown`. Tests must
    /// not run before, or they would see positive rows alone: maturity is the horizon then.
    Negative,
    /// It counts nowhere itself, and nothing is learnt from it; labelled rows with a score like its own
    /// (of several classes: with the same predicted class) stand for it in the weighted metrics of windows. Classification only.
    Censored,
}

impl Unlabelled {
    /// Whether a row without a label counts when its slice is final: as one of the negative class, or,
    /// in a task without labels, by what the model says of it. It then has the label 0.
    #[must_use]
    pub fn counts(self, task: Task) -> bool {
        !task.has_labels() || (self == Self::Negative && task == Task::BinaryClassification)
    }
}
