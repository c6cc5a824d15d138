//! The loss of a row: what every sequential test bets on.

use domain::Task;
use serde::{Deserialize, Serialize};

/// Least probability whose logarithm is taken, as in scikit-learn of old: −ln 1e-15 = 34.5 is
/// the largest log loss of a row.
pub const PROBABILITY_MIN: f64 = 1e-15;

/// What is predicted, and over how many classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The task.
    pub task: Task,
    /// Number of classes; 2 in binary classification and anomaly detection, else meaningless.
    pub classes: usize,
}

impl Shape {
    /// Numbers of a score.
    #[must_use]
    pub fn outputs(self) -> usize {
        self.task.outputs(self.classes)
    }
}

/// Loss of a row in [0, 1], as [`domain::HarmReference`] defines it: binary `(p − y)²`; multiclass
/// half the squared distance between the probabilities and the one-hot label; regression
/// `((ŷ − y) / scale)²`, at most 1. Without labels: 1 of an anomaly, so that the mean is the alert rate,
/// which means the same whatever the model, as scores do not; in clustering the
/// distance from a row's centroid as a share of that from the next one, which is one minus the
/// simplified silhouette (Hruschka, Campello, de Castro, `IJCAI` workshops 2004), and as good for
/// other numbers of clusters and other scales of the columns. What is not a number counts as 1.
#[must_use]
pub fn loss(shape: Shape, score: &[f64], label: f64, scale: f64) -> f64 {
    let first = score.first().copied().unwrap_or(f64::NAN);
    let raw = match shape.task {
        Task::BinaryClassification => (first - label) * (first - label),
        Task::MulticlassClassification => half_brier(score, class_of(label)),
        Task::Regression => ((first - label) / scale) * ((first - label) / scale),
        Task::Anomaly if first.is_nan() => 1.0,
        Task::Anomaly => f64::from(u8::from(first >= 0.5)),
        Task::Clustering => ambiguity(score),
    };
    if raw.is_nan() { 1.0 } else { raw.clamp(0.0, 1.0) }
}

/// The class that a score predicts: binary the positive one (1) from 0.5 on; of several classes the
/// one of the greatest probability, the first of equals. A score of nothing but broken numbers
/// predicts class 0, as does every number of a regression. An anomaly is one from 0.5 on, and the class
/// of a row in clustering is its cluster.
#[must_use]
pub fn predicted_class(task: Task, score: &[f64]) -> usize {
    match task {
        Task::BinaryClassification | Task::Anomaly => usize::from(score.first().is_some_and(|score| *score >= 0.5)),
        Task::Clustering => class_of(score.first().copied().unwrap_or(0.0)),
        Task::MulticlassClassification => {
            let mut greatest = (0, f64::NEG_INFINITY);
            for (class, probability) in score.iter().enumerate() {
                if *probability > greatest.1 {
                    greatest = (class, *probability);
                }
            }
            greatest.0
        }
        Task::Regression => 0,
    }
}

/// Distance from a row's own centroid as a share of that from the next; no number where there is no next
/// one, or both are the row itself.
pub(crate) fn ambiguity(score: &[f64]) -> f64 {
    match score {
        [_, own, next, ..] if *next > 0.0 => own / next,
        _ => f64::NAN,
    }
}

/// Half the squared distance between probabilities and a one-hot label, not clamped.
pub(crate) fn half_brier(score: &[f64], class: usize) -> f64 {
    if class >= score.len() {
        return f64::NAN;
    }
    let squares = score.iter().enumerate().map(|(i, p)| {
        let target = if i == class { 1.0 } else { 0.0 };
        (p - target) * (p - target)
    });
    squares.sum::<f64>() / 2.0
}

/// Index of a class label; negative and broken labels are class 0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn class_of(label: f64) -> usize {
    // `as` maps NaN and negative numbers to 0 and cannot overflow.
    label as usize
}

/// −ln max(p, 1e-15); a broken probability counts as 0.
pub(crate) fn log_loss(probability: f64) -> f64 {
    let known = if probability.is_nan() { 0.0 } else { probability };
    -libm::log(known.clamp(PROBABILITY_MIN, 1.0))
}

#[cfg(test)]
mod tests {
    use super::{Shape, log_loss, loss, predicted_class};
    use domain::Task;

    #[test]
    fn losses_are_those_of_the_reference_and_never_leave_the_unit_interval() {
        let binary = Shape { task: Task::BinaryClassification, classes: 2 };
        let three = Shape { task: Task::MulticlassClassification, classes: 3 };
        let number = Shape { task: Task::Regression, classes: 0 };
        let strange = Shape { task: Task::Anomaly, classes: 2 };
        let clusters = Shape { task: Task::Clustering, classes: 0 };
        let cases: [(Shape, &[f64], f64, f64, f64); 19] = [
            (strange, &[0.7], 0.0, 1.0, 1.0),
            (strange, &[0.4], 0.0, 1.0, 0.0),
            (strange, &[f64::NAN], 0.0, 1.0, 1.0),
            (clusters, &[4.0, 0.5, 2.0], 0.0, 1.0, 0.25),
            (clusters, &[4.0, 0.0, 2.0], 0.0, 1.0, 0.0),
            (clusters, &[0.0, 0.0, 0.0], 0.0, 1.0, 1.0),
            (clusters, &[0.0, f64::INFINITY, f64::INFINITY], 0.0, 1.0, 1.0),
            (clusters, &[0.0, 1.0], 0.0, 1.0, 1.0),
            (binary, &[0.2], 1.0, 1.0, 0.64),
            (binary, &[0.2], 0.0, 1.0, 0.04),
            (binary, &[f64::NAN], 0.0, 1.0, 1.0),
            (binary, &[], 0.0, 1.0, 1.0),
            (three, &[0.2, 0.3, 0.5], 2.0, 1.0, (0.04 + 0.09 + 0.25) / 2.0),
            (three, &[1.0, 0.0, 0.0], 2.0, 1.0, 1.0),
            (three, &[1.0, 0.0, 0.0], 3.0, 1.0, 1.0),
            (number, &[5.0], 4.0, 2.0, 0.25),
            (number, &[50.0], 4.0, 2.0, 1.0),
            (number, &[4.0], 4.0, 0.0, 1.0),
            (number, &[f64::INFINITY], 4.0, 2.0, 1.0),
        ];
        for (shape, score, label, scale, expected) in cases {
            let found = loss(shape, score, label, scale);
            assert!((found - expected).abs() < 1e-12, "{shape:?} {score:?} {label}: {found}, expected {expected}");
        }
    }

    #[test]
    fn the_first_of_the_greatest_probabilities_predicts() {
        let cases: [(Task, &[f64], usize); 10] = [
            (Task::Anomaly, &[0.5], 1),
            (Task::Anomaly, &[0.49], 0),
            (Task::Clustering, &[3.0, 0.1, 0.2], 3),
            (Task::BinaryClassification, &[0.5], 1),
            (Task::BinaryClassification, &[0.499], 0),
            (Task::BinaryClassification, &[f64::NAN], 0),
            (Task::MulticlassClassification, &[0.2, 0.4, 0.4], 1),
            (Task::MulticlassClassification, &[f64::NAN, 0.1, 0.3], 2),
            (Task::MulticlassClassification, &[], 0),
            (Task::Regression, &[7.0], 0),
        ];
        for (task, score, expected) in cases {
            assert_eq!(predicted_class(task, score), expected, "{task:?} {score:?}");
        }
    }

    #[test]
    fn the_log_loss_of_a_row_is_bounded() {
        for (probability, expected) in [
            (1.0, 0.0),
            (0.5, std::f64::consts::LN_2),
            (0.0, 34.538_776_394_910_684),
            (f64::NAN, 34.538_776_394_910_684),
        ] {
            assert!((log_loss(probability) - expected).abs() < 1e-12, "p = {probability}");
        }
    }
}
