//! Expected confusion counts of scored rows whose labels are not known yet.

use crate::binary::SCORE_BINS;
use crate::calibration_error::bin_of;
use crate::curve::{self, Auc};
use crate::interval::{self, Estimate, Z_95};
use crate::multiclass::{AUC_CLASSES_MAX, CLASS_SCORE_BINS, CLASSES_MAX};
use crate::sparse::{FixedSums, Histogram};
use crate::sums::{signed, unit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sums over scored rows. With p_k the calibrated probability of class k and q that of the
/// predicted class, all in fixed point, so that any cut, order and replica count gives the same
/// bytes and a row can be taken out again.
///
/// Confusion counts are exact sums of p. Only the AUC looks at scores in bins: 256 in binary
/// classification, 128 per class for up to 16 classes; scores that differ by 0.01 never share one,
/// and [`Auc::worst_error`] says what binning may cost. At most 4,096 bins are ever held, of some
/// 10 bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    classes: u32,
    rows: i64,
    /// Rows by predicted class.
    predicted: Histogram,
    /// Σ q by predicted class.
    right: FixedSums,
    /// Σ q (1 − q) by predicted class: the variance of the rows that will be right.
    spread: FixedSums,
    /// Σ p_k by class.
    labelled: FixedSums,
    /// Rows by score bin, of class 1 (binary) or of every class.
    scores: Histogram,
    /// Σ p_k by the same bins.
    positives: FixedSums,
}

impl Expected {
    /// No rows, of so many classes: 2 is binary classification.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        let classes = u32::try_from(classes).unwrap_or(CLASSES_MAX).clamp(2, CLASSES_MAX);
        Self { classes, ..Self::default() }
    }

    /// The classes whose scores are kept in bins, and their bins.
    fn binned(&self) -> (std::ops::Range<u32>, u32) {
        match self.classes {
            2 => (1..2, SCORE_BINS),
            classes if classes <= AUC_CLASSES_MAX => (0..classes, CLASS_SCORE_BINS),
            _ => (0..0, CLASS_SCORE_BINS),
        }
    }

    /// Adds (sign 1) or takes out (sign −1) a row: its raw score as in [`crate::Performance::add`],
    /// its predicted class ([`crate::predicted_class`]), and its class probabilities as [`super::Calibration::apply`] makes
    /// them. A probability that is no number counts as 0.
    pub fn add(&mut self, score: &[f64], predicted: usize, probabilities: &[f64], sign: i64) {
        let known = |p: f64| if p.is_nan() { 0.0 } else { p.clamp(0.0, 1.0) };
        let probability = |class: u32| probabilities.get(class as usize).map_or(0.0, |p| known(*p));
        let predicted = u32::try_from(predicted).unwrap_or(u32::MAX).min(self.classes.saturating_sub(1));
        let q = probability(predicted);
        self.rows = self.rows.saturating_add(unit(sign));
        self.predicted.add(predicted, unit(sign));
        self.right.add(predicted, signed(q, sign));
        self.spread.add(predicted, signed(q * (1.0 - q), sign));
        for class in 0..self.classes {
            self.labelled.add(class, signed(probability(class), sign));
        }
        let (classes, bins) = self.binned();
        for class in classes {
            let place = if self.classes == 2 { 0 } else { class as usize };
            let bin = bin_of(score.get(place).map_or(0.0, |s| known(*s)), bins);
            self.scores.add(bins * class + bin, unit(sign));
            self.positives.add(bins * class + bin, signed(probability(class), sign));
        }
    }

    /// Adds the other's sums; those over another number of classes are left out.
    pub fn merge(&mut self, other: &Self) {
        if self.classes != other.classes {
            return;
        }
        self.rows = self.rows.saturating_add(other.rows);
        self.predicted.merge(&other.predicted);
        self.right.merge(&other.right);
        self.spread.merge(&other.spread);
        self.labelled.merge(&other.labelled);
        self.scores.merge(&other.scores);
        self.positives.merge(&other.positives);
    }

    /// Whether every sum is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { classes: self.classes, ..Self::default() }
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.rows
    }

    /// All rows by score bin of [`crate::Binary`]; empty of several classes.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn rows_by_score(&self) -> Vec<f64> {
        if self.classes != 2 {
            return Vec::new();
        }
        (SCORE_BINS..2 * SCORE_BINS).map(|bin| self.scores.get(bin).max(0) as f64).collect()
    }

    /// All rows by predicted class.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn rows_by_predicted(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.predicted.iter().map(|(class, rows)| (class as usize, rows.max(0) as f64))
    }

    /// Expected rows of a class among all others: `[true negatives, false positives, false
    /// negatives, true positives]`, as [`crate::Binary::confusion`] orders the counted ones.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn confusion(&self, class: usize) -> [f64; 4] {
        let class = u32::try_from(class).unwrap_or(u32::MAX);
        let (right, predicted) = (self.right.get(class).to_f64(), self.predicted.get(class) as f64);
        let (wrong, missed) = (predicted - right, self.labelled.get(class).to_f64() - right);
        [self.rows as f64 - right - wrong - missed, wrong, missed, right]
    }

    /// Expected share of right predictions and the standard error √(Σ q (1 − q)) / n of what labels
    /// will say around it. `None` without rows.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn accuracy(&self) -> Option<(f64, f64)> {
        let n = self.rows as f64;
        let spread = self.spread.total().to_f64().max(0.0);
        (self.rows > 0).then(|| (self.right.total().to_f64() / n, spread.sqrt() / n))
    }

    /// Expected area under the ROC curve of a class against the rest: p counts as a positive, 1 − p
    /// as a negative row. `None` without rows, and where the class's scores are not kept.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn auc(&self, class: usize) -> Option<Auc> {
        let class = u32::try_from(class).ok()?;
        let (classes, bins) = self.binned();
        if !classes.contains(&class) {
            return None;
        }
        curve::auc((bins * class..bins * (class + 1)).map(|bin| {
            let (rows, positives) = (self.scores.get(bin) as f64, self.positives.get(bin).to_f64());
            // Rounding may make a probability of 1 exceed its row by a hair.
            [(rows - positives).max(0.0), positives.max(0.0)]
        }))
    }

    /// By name as in [`crate::Performance::metrics`]: `accuracy`, `precision`, `recall`, `f1`,
    /// `auc`; of several classes `accuracy`, `precision_macro`, `recall_macro`, `f1_macro`,
    /// `auc_macro`, over all classes. Intervals of 95 % say where the realised value will lie if
    /// the probabilities are right: normal, from q (1 − q), by the delta method for `recall` and
    /// `f1`; Hanley and McNeil's widened by what binning may cost for AUCs. None for `recall_macro`
    /// and `f1_macro`.
    #[must_use]
    pub fn estimates(&self) -> BTreeMap<String, Estimate> {
        if self.rows <= 0 {
            return BTreeMap::new();
        }
        let accuracy = self.accuracy().map(|(value, error)| within(value, error));
        let mut found = vec![("accuracy", accuracy)];
        if self.classes == 2 {
            found.extend(self.binary());
        } else {
            found.extend(self.averages());
        }
        interval::named(found)
    }

    /// With D = TP + FP + TP + FN: F1 = 2 TP / D. A row predicted positive that turns out so moves
    /// F1 by (2 − F1) / D and recall R by (1 − R) / P; one predicted negative by −F1 / D and −R / P.
    fn binary(&self) -> [(&'static str, Option<Estimate>); 4] {
        let [_, wrong, missed, right] = self.confusion(1);
        let (predicted, labelled) = (right + wrong, right + missed);
        let spread = |class: u32| self.spread.get(class).to_f64().max(0.0);
        let moved = |by_hit: f64, by_miss: f64| (spread(1) * by_hit * by_hit + spread(0) * by_miss * by_miss).sqrt();
        let (recall, f1, both) = (right / labelled, 2.0 * right / (predicted + labelled), predicted + labelled);
        [
            ("precision", (predicted > 0.0).then(|| within(right / predicted, spread(1).sqrt() / predicted))),
            ("recall", (labelled > 0.0).then(|| within(recall, moved((1.0 - recall) / labelled, recall / labelled)))),
            ("f1", (both > 0.0).then(|| within(f1, moved((2.0 - f1) / both, f1 / both)))),
            ("auc", self.auc(1).map(|auc| auc.estimate())),
        ]
    }

    fn averages(&self) -> [(&'static str, Option<Estimate>); 4] {
        let count = f64::from(self.classes.max(1));
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let (mut precision, mut recall, mut f1, mut variance) = (0.0, 0.0, 0.0, 0.0);
        for class in 0..self.classes {
            let [_, wrong, missed, right] = self.confusion(class as usize);
            precision += share(right, right + wrong) / count;
            recall += share(right, right + missed) / count;
            f1 += share(2.0 * right, 2.0 * right + wrong + missed) / count;
            let predicted = (right + wrong) * count;
            variance += share(self.spread.get(class).to_f64().max(0.0), predicted * predicted);
        }
        let areas = (0..self.classes as usize).filter_map(|class| self.auc(class)).map(|auc| auc.estimate());
        [
            ("precision_macro", Some(within(precision, variance.sqrt()))),
            ("recall_macro", Some(Estimate::bare(recall))),
            ("f1_macro", Some(Estimate::bare(f1))),
            ("auc_macro", interval::average(areas)),
        ]
    }
}

fn within(value: f64, standard_error: f64) -> Estimate {
    Estimate::within(value, Z_95 * standard_error, 0.0, 1.0)
}

#[cfg(test)]
#[path = "expected_tests.rs"]
mod tests;
