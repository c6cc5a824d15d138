//! Metrics with their 95 % intervals.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

    /// value ± half, cut off at the least and greatest possible value.
    pub(crate) fn within(value: f64, half: f64, least: f64, greatest: f64) -> Self {
        Self { value, low: Some((value - half).max(least)), high: Some((value + half).min(greatest)) }
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

/// Weighted sum of independent estimates whose own intervals are known (MOVER: G. Y. Zou,
/// A. Donner, Statistics in Medicine 27, 2008): low = value − √Σ w² (v − l)², high likewise. Unlike
/// the normal interval it has a width where every rate is 0 or 1. Parts without interval count as
/// exact.
pub(crate) fn mover(parts: impl Iterator<Item = (f64, Estimate)>) -> Estimate {
    let (mut value, mut below, mut above) = (0.0, 0.0, 0.0);
    for (weight, part) in parts {
        let reach = |end: Option<f64>| end.map_or(0.0, |end| weight * (end - part.value));
        value += weight * part.value;
        below += reach(part.low) * reach(part.low);
        above += reach(part.high) * reach(part.high);
    }
    Estimate { value, low: Some(value - f64::sqrt(below)), high: Some(value + f64::sqrt(above)) }
}

/// Mean of estimates of which nothing says that they are independent: the mean of their values and
/// of their ends. `None` without any.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn average(parts: impl Iterator<Item = Estimate>) -> Option<Estimate> {
    let parts: Vec<Estimate> = parts.collect();
    let count = parts.len() as f64;
    let mean = |end: fn(&Estimate) -> f64| parts.iter().map(end).sum::<f64>() / count;
    let ends = (mean(|e| e.low.unwrap_or(e.value)), mean(|e| e.high.unwrap_or(e.value)));
    (!parts.is_empty()).then(|| Estimate { value: mean(|e| e.value), low: Some(ends.0), high: Some(ends.1) })
}

/// Standard error of an AUC (J. A. Hanley, B. J. McNeil, Radiology 143, 1982) of so many positive
/// and negative rows, expected ones included. `None` without both.
#[must_use]
pub fn hanley_mcneil(auc: f64, positives: f64, negatives: f64) -> Option<f64> {
    if positives <= 0.0 || negatives <= 0.0 {
        return None;
    }
    let (p, n) = (positives, negatives);
    let q1 = auc / (2.0 - auc);
    let q2 = 2.0 * auc * auc / (1.0 + auc);
    let squared = auc * (1.0 - auc) + (p - 1.0) * (q1 - auc * auc) + (n - 1.0) * (q2 - auc * auc);
    Some((squared.max(0.0) / (p * n)).sqrt())
}

/// Those that are known, by name.
pub(crate) fn named(metrics: Vec<(&'static str, Option<Estimate>)>) -> BTreeMap<String, Estimate> {
    metrics.into_iter().filter_map(|(name, estimate)| Some((name.to_owned(), estimate?))).collect()
}
