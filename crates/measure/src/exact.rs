//! Areas under curves from the scores themselves, where binning is not good enough.
//!
//! A count per distinct score: added, taken out and merged exactly like bins, but as large as the rows
//! make it. So whoever keeps them must bound them, and falls back to the binned areas beyond.

use crate::curve;
use crate::interval::{self, Estimate};
use crate::loss::{Shape, class_of};
use crate::multiclass::AUC_CLASSES_MAX;
use domain::Task;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Classes of which scores are kept; of more there is no area.
const CLASSES_MAX: usize = AUC_CLASSES_MAX as usize;

/// Rows at one score of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreCount {
    /// The class; 0 of two, whose one score is that of the positive class.
    pub class: u16,
    /// Bits of the score, in 0 to 1, as a floating-point number of 64 bits: they rise with it.
    pub score: u64,
    /// Rows of other classes; negative where a correction takes out more than it adds.
    pub negatives: i64,
    /// Rows of this class.
    pub positives: i64,
}

/// Rows by class and distinct score.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactScores(BTreeMap<(u16, u64), [i64; 2]>);

impl ExactScores {
    /// Adds (1) or takes out (−1) a row: P(positive class) or the probabilities in class order, and the
    /// label as in `records::tracking::LabelBatch`. A score that is no number counts as entirely wrong.
    /// Numbers have no areas.
    pub fn add(&mut self, shape: Shape, score: &[f64], label: f64, sign: i64) {
        match shape.task {
            Task::Regression | Task::Anomaly | Task::Clustering => {}
            Task::BinaryClassification => {
                self.add_score(0, score.first().copied().unwrap_or(f64::NAN), label >= 0.5, sign);
            }
            Task::MulticlassClassification if shape.classes <= CLASSES_MAX => {
                for (class, number) in (0..shape.classes).zip(0..) {
                    let score = score.get(class).copied().unwrap_or(f64::NAN);
                    self.add_score(number, score, class_of(label) == class, sign);
                }
            }
            Task::MulticlassClassification => {}
        }
    }

    fn add_score(&mut self, class: u16, score: f64, is_class: bool, sign: i64) {
        // Plus zero: minus zero is the same score.
        let score = if score.is_nan() { f64::from(u8::from(!is_class)) } else { score.clamp(0.0, 1.0) + 0.0 };
        let [negatives, positives] = if is_class { [0, sign] } else { [sign, 0] };
        self.add_count(&ScoreCount { class, score: score.to_bits(), negatives, positives });
    }

    /// Adds rows at a score.
    pub fn add_count(&mut self, more: &ScoreCount) {
        let key = (more.class, more.score);
        let [negatives, positives] = self.0.entry(key).or_default();
        *negatives = negatives.saturating_add(more.negatives);
        *positives = positives.saturating_add(more.positives);
        if (*negatives, *positives) == (0, 0) {
            self.0.remove(&key);
        }
    }

    /// Adds the other's rows.
    pub fn merge(&mut self, other: &Self) {
        other.counts().for_each(|count| self.add_count(&count));
    }

    /// Every distinct score, by class and then rising.
    pub fn counts(&self) -> impl Iterator<Item = ScoreCount> + '_ {
        self.0.iter().map(|((class, score), [negatives, positives])| ScoreCount {
            class: *class,
            score: *score,
            negatives: *negatives,
            positives: *positives,
        })
    }

    /// Rows, as far as their scores are here.
    #[must_use]
    pub fn rows(&self) -> i64 {
        // Every row has one score of the first class.
        let first = self.0.range((0, 0)..=(0, u64::MAX));
        first.fold(0, |sum, (_, [negatives, positives])| sum.saturating_add(*negatives).saturating_add(*positives))
    }

    /// Number of distinct scores.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The areas that [`crate::Performance::metrics`] has from bins, by the same names, without what
    /// binning costs: `auc` and `average_precision` of two classes, `auc_macro` of several.
    #[must_use]
    pub fn metrics(&self, shape: Shape) -> BTreeMap<String, Estimate> {
        let class = |class: u16| -> Vec<[f64; 2]> {
            // Only an incomplete window can hold negative counts: they count as none.
            #[allow(clippy::cast_precision_loss)]
            let rows = |count: &i64| (*count).max(0) as f64;
            let own = self.0.range((class, 0)..=(class, u64::MAX));
            own.map(|(_, [negatives, positives])| [rows(negatives), rows(positives)]).collect()
        };
        let auc = |bins: &[[f64; 2]]| {
            curve::auc(bins.iter().copied()).map(|auc| curve::Auc { worst_error: 0.0, ..auc }.estimate())
        };
        let found = match shape.task {
            Task::Regression | Task::Anomaly | Task::Clustering => Vec::new(),
            Task::BinaryClassification => {
                let scores = class(0);
                let precision = curve::average_precision(scores.iter().rev().copied());
                let precision = precision.map(|area| curve::AveragePrecision { worst_error: 0.0, ..area }.estimate());
                vec![("auc", auc(&scores)), ("average_precision", precision)]
            }
            Task::MulticlassClassification => {
                let classes = u16::try_from(shape.classes.min(CLASSES_MAX)).unwrap_or_default();
                vec![("auc_macro", interval::average((0..classes).filter_map(|number| auc(&class(number)))))]
            }
        };
        interval::named(found)
    }
}

#[cfg(test)]
#[path = "exact_tests.rs"]
mod tests;
