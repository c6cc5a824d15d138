//! Realised minus estimated: what scores could not know of themselves, hence a sign of concept
//! drift.

use super::child::ChildSums;
use super::expected::Expected;
use crate::interval::Z_95;
use serde::{Deserialize, Serialize};

/// A realised metric minus its estimate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Realised minus estimated: an accuracy is too low, a mean absolute error too high where the
    /// model is worse than it says.
    pub value: f64,
    /// Its standard error while the probabilities are right.
    pub standard_error: f64,
}

impl Gap {
    /// `inside`: variance of a row's outcome around its own estimate, `between`: variance of the
    /// estimates between rows, n labelled of m scored rows.
    fn new(value: f64, inside: f64, between: f64, n: f64, m: f64) -> Self {
        let variance = inside.max(0.0) / n + between.max(0.0) * (1.0 / n - 1.0 / m).max(0.0);
        Self { value, standard_error: variance.sqrt() }
    }

    /// Whether the gap is beyond noise, looked at once: |value| > 1.96 standard errors. A look at
    /// every slice needs [`SliceGap`] and an e-detector instead.
    #[must_use]
    pub fn is_beyond_noise(&self) -> bool {
        self.value.abs() > Z_95 * self.standard_error
    }
}

/// The gap of `right` right predictions among `labelled` rows to the estimate over all scored rows
/// of the same window, of which the labelled ones are a random part.
///
/// The difference is mean(right − q) over the labelled rows, of variance mean q (1 − q) / n, plus
/// mean q over them minus mean q over all m, of variance Var(q) (1/n − 1/m); both from the sums over
/// all rows. Where *which* rows have labels depends on the outcome, the gap shows that too: ask
/// for mature windows only. `None` without rows, or with counts that are no rate.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn gap(right: i64, labelled: i64, expected: &Expected) -> Option<Gap> {
    if labelled <= 0 || !(0..=labelled).contains(&right) {
        return None;
    }
    let (estimated, error) = expected.accuracy()?;
    let (n, m) = (labelled as f64, expected.rows() as f64);
    let inside = error * error * m;
    // Var(q) = E q − E q (1 − q) − (E q)².
    let between = estimated - inside - estimated * estimated;
    Some(Gap::new(right as f64 / n - estimated, inside, between, n, m))
}

/// The same for a regression: the mean absolute error of `labelled` rows minus what the child models
/// say of all scored rows. `None` without rows, with an error that is no number, and where some row
/// has no predicted square, hence no known variance.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn error_gap(mae: f64, labelled: i64, expected: &ChildSums) -> Option<Gap> {
    let (estimated, inside, between) = expected.mean_and_variances()?;
    (labelled > 0 && mae.is_finite())
        .then(|| Gap::new(mae - estimated, inside, between, labelled as f64, expected.rows() as f64))
}

/// Errors of one mature slice against those expected of it, for a test at every slice. All numbers
/// add up over cells; the estimate does not look at labels, so it is known before them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SliceGap {
    /// Wrong predictions, k.
    pub errors: i64,
    /// Labelled rows, n.
    pub rows: i64,
    /// Estimated share of wrong predictions.
    pub estimated: f64,
}

impl SliceGap {
    /// Of `right` right predictions among `labelled` rows. `None` where there is no gap.
    #[must_use]
    pub fn of(right: i64, labelled: i64, expected: &Expected) -> Option<Self> {
        gap(right, labelled, expected)?;
        let (accuracy, _) = expected.accuracy()?;
        Some(Self { errors: labelled - right, rows: labelled, estimated: (1.0 - accuracy).clamp(0.0, 1.0) })
    }

    /// k / n − estimated, in [−1, 1]: what a test on slice means is fed. As loss `k / n` and
    /// reference loss `estimated` it is a step of `detect::harm::Page` with rho = 1, p0 = the
    /// tolerated mean, and bets below 1 / (1 + p0).
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn difference(&self) -> f64 {
        self.errors as f64 / self.rows as f64 - self.estimated
    }

    /// ln of what the rows multiply a bet's capital by: (1 + b (1 − p))^k (1 − b p)^(n − k) with
    /// p = estimated + tolerance. If, given the slices before, rows are independent and on average
    /// no likelier to be wrong than p, its mean is at most 1 (means of products are at most products
    /// of means): an e-detector, or a capital that never resets, may be fed with it once per slice.
    /// Rows that cluster in time break that: then test [`Self::difference`].
    /// `None` for a bet not in (0, 1 / p), which could lose everything, or a p not in (0, 1).
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn log_factor(&self, bet: f64, tolerance: f64) -> Option<f64> {
        let p = self.estimated + tolerance;
        if !(p > 0.0 && p < 1.0 && bet > 0.0 && bet * p < 1.0) {
            return None;
        }
        let right = self.rows.saturating_sub(self.errors) as f64;
        Some(self.errors as f64 * libm::log1p(bet * (1.0 - p)) + right * libm::log1p(-bet * p))
    }
}

#[cfg(test)]
#[path = "gap_tests.rs"]
mod tests;
