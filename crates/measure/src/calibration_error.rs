//! How far predicted probabilities are from what happened: expected calibration error.

use crate::interval::Estimate;
use crate::sparse::Histogram;
use crate::sums::unit;
use domain::fixed::rounded;
use serde::{Deserialize, Serialize};

/// Bins of equal width of the predicted probability; bin b begins at b/16, the last one holds 1
/// too. Few, since noise in each of them adds to the error.
pub(crate) const CONFIDENCE_BINS: u32 = 16;

/// Predicted probabilities of an event and whether it happened, by bin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reliability {
    /// Rows by `2 × bin + happened`.
    rows: Histogram,
    /// Σ probability by bin, see [`units`].
    probability: Histogram,
}

/// The bin of a number in [0, 1] among bins of equal width.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn bin_of(value: f64, bins: u32) -> u32 {
    // `as` saturates: broken numbers fall into the first or last bin.
    ((value * f64::from(bins)) as u32).min(bins.saturating_sub(1))
}

/// Steps of a probability in a sum: 2^-20, since a sum per bin in the steps of [`domain::Fixed`]
/// would double a cell of few rows. The calibration error is off by no more than half a step.
const UNIT: f64 = 1_048_576.0;

/// A probability in [0, 1], rounded to whole steps, of a row that comes or goes.
pub(crate) fn units(probability: f64, sign: i64) -> i64 {
    unit(sign) * rounded(probability * UNIT)
}

impl Reliability {
    /// Adds or takes out a probability in [0, 1].
    pub(crate) fn add(&mut self, probability: f64, happened: bool, sign: i64) {
        let bin = bin_of(probability, CONFIDENCE_BINS);
        self.rows.add(2 * bin + u32::from(happened), unit(sign));
        self.probability.add(bin, units(probability, sign));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.rows.merge(&other.rows);
        self.probability.merge(&other.probability);
    }

    /// See [`expected_error`].
    pub(crate) fn error(&self) -> Option<Estimate> {
        expected_error(&self.rows, &self.probability)
    }
}

/// Expected calibration error beyond its mean under perfect calibration, at least 0; no interval is
/// known. Of rows by `2 × bin + happened` and Σ probability by bin in [`units`]. `None` without rows.
pub(crate) fn expected_error(rows: &Histogram, probability: &Histogram) -> Option<Estimate> {
    raw_and_null(rows, probability).map(|(raw, null)| Estimate::bare((raw - null).max(0.0)))
}

/// Σ n_b / N × |share that happened − mean probability| (M. P. Naeini and others, AAAI 2015), and
/// its mean if every probability were right. That null is not 0: the share of n_b rows wanders by
/// √(p (1 − p) / n_b), and a normal variable's mean distance is √(2/π) of that; p (1 − p) is taken
/// at the bin's mean.
#[allow(clippy::cast_precision_loss)]
fn raw_and_null(rows: &Histogram, probability: &Histogram) -> Option<(f64, f64)> {
    let total = rows.total() as f64;
    if total <= 0.0 {
        return None;
    }
    let (mut raw, mut null) = (0.0, 0.0);
    for bin in 0..CONFIDENCE_BINS {
        let (missed, happened) = (rows.get(2 * bin), rows.get(2 * bin + 1));
        let count = missed.saturating_add(happened) as f64;
        if count > 0.0 {
            let mean = probability.get(bin) as f64 / UNIT / count;
            let spread = (mean * (1.0 - mean)).max(0.0) / count;
            raw += count / total * (happened as f64 / count - mean).abs();
            null += count / total * (spread * std::f64::consts::FRAC_2_PI).sqrt();
        }
    }
    Some((raw, null))
}

#[cfg(test)]
#[path = "calibration_error_tests.rs"]
mod tests;
