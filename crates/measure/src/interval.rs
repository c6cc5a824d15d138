//! Metrics with their 95 % intervals.

use serde::{Deserialize, Serialize};

/// Two-sided 95 % quantile of the normal distribution.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// A metric with its 95 % interval where one is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

impl Estimate {
    /// A value without interval.
    #[must_use]
    pub fn bare(value: f64) -> Self {
        Self { value, low: None, high: None }
    }
}

/// A rate with Wilson's score interval (E. B. Wilson, JASA 22, 1927). `None` without trials or
/// with counts that are no rate.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn wilson(successes: i64, trials: i64) -> Option<Estimate> {
    if trials <= 0 || !(0..=trials).contains(&successes) {
        return None;
    }
    let (n, rate) = (trials as f64, successes as f64 / trials as f64);
    let z2 = Z_95 * Z_95;
    let centre = (rate + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z_95 / (1.0 + z2 / n) * (rate * (1.0 - rate) / n + z2 / (4.0 * n * n)).sqrt();
    let (low, high) = ((centre - half).max(0.0), (centre + half).min(1.0));
    Some(Estimate { value: rate, low: Some(low.min(rate)), high: Some(high.max(rate)) })
}

/// A mean with the normal interval from Σx and Σx² (sample variance, n − 1). `None` without rows.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn mean(rows: i64, sum: f64, squares: f64) -> Option<Estimate> {
    if rows <= 0 {
        return None;
    }
    let n = rows as f64;
    let value = sum / n;
    if rows == 1 {
        return Some(Estimate::bare(value));
    }
    let variance = ((squares - sum * value) / (n - 1.0)).max(0.0);
    let half = Z_95 * (variance / n).sqrt();
    Some(Estimate { value, low: Some(value - half), high: Some(value + half) })
}

/// Standard error of an AUC (J. A. Hanley, B. J. McNeil, Radiology 143, 1982).
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn hanley_mcneil(auc: f64, positives: i64, negatives: i64) -> Option<f64> {
    if positives <= 0 || negatives <= 0 {
        return None;
    }
    let (p, n) = (positives as f64, negatives as f64);
    let q1 = auc / (2.0 - auc);
    let q2 = 2.0 * auc * auc / (1.0 + auc);
    let squared = auc * (1.0 - auc) + (p - 1.0) * (q1 - auc * auc) + (n - 1.0) * (q2 - auc * auc);
    Some((squared.max(0.0) / (p * n)).sqrt())
}
