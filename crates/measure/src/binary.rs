//! Sums of a binary classifier.

use crate::baseline::Labels;
use crate::histogram::Histogram;
use crate::interval::{self, Estimate};
use crate::loss::log_loss;
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
}

/// Area under the ROC curve from binned scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Auc {
    /// The area, ties inside a bin counting half.
    pub value: f64,
    /// The exact area differs by no more than this: half the share of pairs that tie in a bin.
    pub worst_error: f64,
    /// Standard error by Hanley and McNeil.
    pub standard_error: f64,
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn score_bin(score: f64) -> u32 {
    // `as` saturates: broken scores fall into the first or last bin.
    ((score * f64::from(SCORE_BINS)) as u32).min(SCORE_BINS - 1)
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
        self.scores.add(2 * score_bin(score) + u32::from(positive), unit(sign));
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
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.confusion == [0; 4] && self.log_loss.is_zero() && self.brier.is_zero() && self.scores.is_empty()
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

    /// AUC = Σ_b pos_b (Σ_{c<b} neg_c + neg_b / 2) / (P N), with worst error ½ Σ_b pos_b neg_b / (P N).
    /// `None` without rows of both classes.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn auc(&self) -> Option<Auc> {
        let mut bins = [[0_i64; 2]; SCORE_BINS as usize];
        for (key, count) in self.scores.iter() {
            if let Some(bin) = bins.get_mut((key / 2) as usize) {
                // Only an incomplete window can hold negative counts.
                bin[(key % 2) as usize] = count.max(0);
            }
        }
        let (mut below, mut positives, mut twice_area, mut ties) = (0_i128, 0_i128, 0_i128, 0_i128);
        for [negative, positive] in bins.map(|bin| bin.map(i128::from)) {
            twice_area += positive * (2 * below + negative);
            ties += positive * negative;
            below += negative;
            positives += positive;
        }
        let pairs = positives * below;
        if pairs == 0 {
            return None;
        }
        let value = twice_area as f64 / (2.0 * pairs as f64);
        let worst_error = ties as f64 / (2.0 * pairs as f64);
        let (positives, negatives) = (i64::try_from(positives).ok()?, i64::try_from(below).ok()?);
        let standard_error = interval::hanley_mcneil(value, positives, negatives)?;
        Some(Auc { value, worst_error, standard_error })
    }

    pub(crate) fn metrics(&self) -> BTreeMap<String, Estimate> {
        let right = self.confusion[0] + self.confusion[3];
        let scored = self.scores.total();
        // The interval of the AUC covers the error of binning too.
        let auc = self.auc().map(|auc| {
            let half = interval::Z_95 * auc.standard_error + auc.worst_error;
            Estimate {
                value: auc.value,
                low: Some((auc.value - half).max(0.0)),
                high: Some((auc.value + half).min(1.0)),
            }
        });
        let mean = |m: &Moments| interval::mean(scored, m.sum.to_f64(), m.squares.to_f64());
        [
            ("accuracy", interval::wilson(right, self.rows())),
            ("log_loss", mean(&self.log_loss)),
            ("auc", auc),
            ("brier", mean(&self.brier)),
        ]
        .into_iter()
        .filter_map(|(name, estimate)| Some((name.to_owned(), estimate?)))
        .collect()
    }
}
