//! Sums of a classifier over several classes.

use crate::baseline::Labels;
use crate::histogram::Histogram;
use crate::interval::{self, Estimate};
use crate::loss::{class_of, half_brier, log_loss};
use crate::sums::{Moments, unit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most classes.
pub const CLASSES_MAX: u32 = 4096;

/// Sums of a classifier over several classes; the greatest probability predicts, the first of
/// equals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Multiclass {
    /// Number of classes.
    classes: u32,
    /// Rows by `classes × label + predicted`.
    confusion: Histogram,
    /// Rows with probabilities, not only a predicted class.
    scored: i64,
    log_loss: Moments,
    brier: Moments,
}

impl Multiclass {
    pub(crate) fn new(classes: usize) -> Self {
        let classes = u32::try_from(classes).unwrap_or(CLASSES_MAX).clamp(1, CLASSES_MAX);
        Self { classes, ..Self::default() }
    }

    /// Adds (+1) or takes out (−1) a row. Broken probabilities count as entirely wrong.
    pub(crate) fn add(&mut self, score: &[f64], label: f64, sign: i64) {
        let class = class_of(label);
        let mut predicted = (0, f64::NEG_INFINITY);
        for (i, probability) in score.iter().enumerate() {
            if *probability > predicted.1 {
                predicted = (i, *probability);
            }
        }
        self.add_class(predicted.0, class, sign);
        let brier = half_brier(score, class);
        let brier = if brier.is_nan() { 1.0 } else { brier.clamp(0.0, 1.0) };
        self.scored = self.scored.saturating_add(unit(sign));
        self.log_loss.add(log_loss(score.get(class).copied().unwrap_or(0.0)), sign);
        self.brier.add(brier, sign);
    }

    /// Adds or takes out a row of which only the predicted class is known.
    pub(crate) fn add_class(&mut self, predicted: usize, label: usize, sign: i64) {
        let bounded = |class: usize| u32::try_from(class).unwrap_or(u32::MAX).min(self.classes.saturating_sub(1));
        let key = self.classes.saturating_mul(bounded(label)).saturating_add(bounded(predicted));
        self.confusion.add(key, unit(sign));
    }

    /// Adds the other's sums; those over another number of classes are left out.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.classes != other.classes {
            return;
        }
        self.confusion.merge(&other.confusion);
        self.scored = self.scored.saturating_add(other.scored);
        self.log_loss.merge(&other.log_loss);
        self.brier.merge(&other.brier);
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self { classes: self.classes, ..Self::default() }
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.confusion.total()
    }

    /// Label, predicted class and rows of every pair that occurs.
    pub fn confusion(&self) -> impl Iterator<Item = (usize, usize, i64)> + '_ {
        let classes = self.classes.max(1);
        self.confusion.iter().map(move |(key, count)| ((key / classes) as usize, (key % classes) as usize, count))
    }

    pub(crate) fn labels(&self) -> Labels {
        let mut counts = vec![0_i64; self.classes.min(CLASSES_MAX) as usize];
        for (label, _, rows) in self.confusion() {
            if let Some(count) = counts.get_mut(label) {
                *count = count.saturating_add(rows);
            }
        }
        Labels::of_classes(counts)
    }

    pub(crate) fn mean_loss(&self) -> Option<f64> {
        interval::mean(self.scored, self.brier.sum.to_f64(), self.brier.squares.to_f64()).map(|e| e.value)
    }

    pub(crate) fn metrics(&self) -> BTreeMap<String, Estimate> {
        let right = self.confusion().filter(|(label, predicted, _)| label == predicted).map(|(_, _, rows)| rows).sum();
        let mean = |m: &Moments| interval::mean(self.scored, m.sum.to_f64(), m.squares.to_f64());
        [
            ("accuracy", interval::wilson(right, self.rows())),
            ("log_loss", mean(&self.log_loss)),
            ("brier", mean(&self.brier)),
        ]
        .into_iter()
        .filter_map(|(name, estimate)| Some((name.to_owned(), estimate?)))
        .collect()
    }
}
