//! Sums of a classifier over several classes.

use crate::baseline::Labels;
use crate::calibration_error::{Reliability, bin_of};
use crate::confusion::Confusion;
use crate::curve;
use crate::interval::{self, Estimate};
use crate::loss::{class_of, half_brier, log_loss, predicted_class};
use crate::sparse::Histogram;
use crate::sums::{Moments, unit};
use domain::Task;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most classes.
pub const CLASSES_MAX: u32 = 4096;

/// Most classes whose scores are kept for the one-against-rest AUC. Every row adds one count per
/// class, and a window holds at most 2 × 16 × 128 of them, 12 to 20 KB.
pub const AUC_CLASSES_MAX: u32 = 16;

/// Bins of a class's score histogram, of equal width; scores that differ by 0.01 never share one.
pub const CLASS_SCORE_BINS: u32 = 128;

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
    /// Probability of the predicted class, and whether it was right.
    confidence: Reliability,
    /// Rows by `2 × (128 × class + score bin) + (label is the class)`; empty where there are more
    /// than [`AUC_CLASSES_MAX`] classes.
    scores: Histogram,
}

impl Multiclass {
    pub(crate) fn new(classes: usize) -> Self {
        let classes = u32::try_from(classes).unwrap_or(CLASSES_MAX).clamp(1, CLASSES_MAX);
        Self { classes, ..Self::default() }
    }

    /// Adds (+1) or takes out (−1) a row. Broken probabilities count as entirely wrong.
    pub(crate) fn add(&mut self, score: &[f64], label: f64, sign: i64) {
        let class = class_of(label);
        let predicted = predicted_class(Task::MulticlassClassification, score);
        self.add_class(predicted, class, sign);
        let brier = half_brier(score, class);
        let brier = if brier.is_nan() { 1.0 } else { brier.clamp(0.0, 1.0) };
        self.scored = self.scored.saturating_add(unit(sign));
        self.log_loss.add(log_loss(score.get(class).copied().unwrap_or(0.0)), sign);
        self.brier.add(brier, sign);
        let known = |p: f64| (!p.is_nan()).then(|| p.clamp(0.0, 1.0));
        let confidence = score.get(predicted).copied().and_then(known).unwrap_or(1.0);
        self.confidence.add(confidence, predicted == class && class < score.len(), sign);
        if self.classes <= AUC_CLASSES_MAX {
            for (place, number) in (0..self.classes).enumerate() {
                let is_class = place == class;
                let wrong = f64::from(u8::from(!is_class));
                let bin = bin_of(score.get(place).copied().and_then(known).unwrap_or(wrong), CLASS_SCORE_BINS);
                self.scores.add(2 * (CLASS_SCORE_BINS * number + bin) + u32::from(is_class), unit(sign));
            }
        }
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
        self.confidence.merge(&other.confidence);
        self.scores.merge(&other.scores);
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

    /// Mean one-against-rest AUC of the classes that have rows and are not all of them. Classes
    /// share rows, so the interval is the mean of theirs: as if their errors went together, hence
    /// never too narrow for that. `None` beyond [`AUC_CLASSES_MAX`] classes.
    fn auc_macro(&self) -> Option<Estimate> {
        let bins = curve::bins(&self.scores, AUC_CLASSES_MAX * CLASS_SCORE_BINS);
        let areas = bins.chunks_exact(CLASS_SCORE_BINS as usize);
        interval::average(areas.filter_map(|bins| curve::auc(bins.iter().copied())).map(|auc| auc.estimate()))
    }

    pub(crate) fn metrics(&self) -> BTreeMap<String, Estimate> {
        let mean = |m: &Moments| interval::mean(self.scored, m.sum.to_f64(), m.squares.to_f64());
        let mut found = vec![
            ("log_loss", mean(&self.log_loss)),
            ("brier", mean(&self.brier)),
            ("ece", self.confidence.error()),
            ("auc_macro", self.auc_macro()),
        ];
        if let Some(confusion) = Confusion::new(self.classes.min(CLASSES_MAX) as usize, self.confusion()) {
            let accuracy = confusion.accuracy();
            found.extend([
                ("accuracy", accuracy),
                ("balanced_accuracy", Some(confusion.balanced_accuracy())),
                ("kappa", confusion.kappa()),
                ("precision_macro", Some(confusion.precision_macro())),
                ("recall_macro", Some(confusion.recall_macro())),
                ("f1_macro", Some(confusion.f1_macro())),
                ("precision_weighted", Some(confusion.precision_weighted())),
                ("f1_weighted", Some(confusion.f1_weighted())),
                // With one label per row these are the accuracy.
                ("recall_weighted", accuracy),
                ("precision_micro", accuracy),
                ("recall_micro", accuracy),
                ("f1_micro", accuracy),
            ]);
        }
        interval::named(found)
    }
}
