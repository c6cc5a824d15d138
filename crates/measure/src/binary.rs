//! Sums of a binary classifier.

use crate::baseline::Labels;
use crate::calibration_error::{CONFIDENCE_BINS, bin_of, expected_error, units};
use crate::confusion::Confusion;
use crate::curve::{self, Auc, AveragePrecision};
use crate::interval::{self, Estimate};
use crate::loss::log_loss;
use crate::sparse::Histogram;
use crate::sums::{Moments, unit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bins of the score histogram; bin b holds scores from b/256 on, the last one also 1.
pub const SCORE_BINS: u32 = 256;

/// Sums of a binary classifier. Class 1 is the positive one; a score of at least 0.5 predicts it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binary {
    /// Rows by label and predicted class: `2 × label + predicted`.
    confusion: [i64; 4],
    log_loss: Moments,
    brier: Moments,
    /// Rows by `2 × score bin + label`; empty where only classes were predicted.
    scores: Histogram,
    /// Σ score by bin of the calibration error, in whole steps.
    probability: Histogram,
}

impl Binary {
    /// Adds (+1) or takes out (−1) a row. A score that is no number counts as entirely wrong.
    pub(crate) fn add(&mut self, score: f64, label: f64, sign: i64) {
        let positive = label >= 0.5;
        let score = if score.is_nan() { f64::from(u8::from(!positive)) } else { score.clamp(0.0, 1.0) };
        self.add_class(score >= 0.5, positive, sign);
        let target = f64::from(u8::from(positive));
        self.log_loss.add(log_loss(if positive { score } else { 1.0 - score }), sign);
        self.brier.add((score - target) * (score - target), sign);
        self.scores.add(2 * bin_of(score, SCORE_BINS) + u32::from(positive), unit(sign));
        self.probability.add(bin_of(score, CONFIDENCE_BINS), units(score, sign));
    }

    /// Adds or takes out a row of which only the predicted class is known.
    pub(crate) fn add_class(&mut self, predicted: bool, label: bool, sign: i64) {
        let place = 2 * usize::from(label) + usize::from(predicted);
        if let Some(count) = self.confusion.get_mut(place) {
            *count = count.saturating_add(unit(sign));
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.confusion.iter_mut().zip(other.confusion) {
            *count = count.saturating_add(more);
        }
        self.log_loss.merge(&other.log_loss);
        self.brier.merge(&other.brier);
        self.scores.merge(&other.scores);
        self.probability.merge(&other.probability);
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.confusion.iter().sum()
    }

    /// Rows by label and predicted class: `[true negatives, false positives, false negatives,
    /// true positives]`.
    #[must_use]
    pub fn confusion(&self) -> [i64; 4] {
        self.confusion
    }

    pub(crate) fn labels(&self) -> Labels {
        let [negative_right, negative_wrong, positive_wrong, positive_right] = self.confusion;
        Labels::of_classes(vec![negative_right + negative_wrong, positive_wrong + positive_right])
    }

    pub(crate) fn mean_loss(&self) -> Option<f64> {
        interval::mean(self.scores.total(), self.brier.sum.to_f64(), self.brier.squares.to_f64()).map(|e| e.value)
    }

    /// Negatives and positives by score bin.
    pub(crate) fn labelled_by_score(&self) -> Vec<[f64; 2]> {
        curve::bins(&self.scores, SCORE_BINS)
    }

    /// Area under the ROC curve. `None` without rows of both classes.
    #[must_use]
    pub fn auc(&self) -> Option<Auc> {
        curve::auc(curve::bins(&self.scores, SCORE_BINS).into_iter())
    }

    /// Area under the precision-recall curve. `None` without positive rows.
    #[must_use]
    pub fn average_precision(&self) -> Option<AveragePrecision> {
        curve::average_precision(curve::bins(&self.scores, SCORE_BINS).into_iter().rev())
    }

    fn calibration_error(&self) -> Option<Estimate> {
        let width = SCORE_BINS / CONFIDENCE_BINS;
        let mut rows = Histogram::default();
        for (key, count) in self.scores.iter() {
            rows.add(2 * (key / 2 / width) + key % 2, count);
        }
        expected_error(&rows, &self.probability)
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = (usize, usize, i64)> {
        self.confusion.into_iter().enumerate().map(|(place, rows)| (place / 2, place % 2, rows))
    }

    pub(crate) fn metrics(&self) -> BTreeMap<String, Estimate> {
        let mean = |m: &Moments| interval::mean(self.scores.total(), m.sum.to_f64(), m.squares.to_f64());
        let mut found = vec![
            ("log_loss", mean(&self.log_loss)),
            ("brier", mean(&self.brier)),
            ("ece", self.calibration_error()),
            ("auc", self.auc().map(|auc| auc.estimate())),
            ("average_precision", self.average_precision().map(|area| area.estimate())),
        ];
        if let Some(confusion) = Confusion::new(2, self.cells()) {
            found.extend([
                ("accuracy", confusion.accuracy()),
                ("balanced_accuracy", Some(confusion.balanced_accuracy())),
                ("precision", confusion.precision(1)),
                ("recall", confusion.recall(1)),
                ("f1", confusion.f1(1)),
                ("kappa", confusion.kappa()),
                ("predicted_positive_share", confusion.predicted_share(1)),
            ]);
        }
        interval::named(found)
    }
}
