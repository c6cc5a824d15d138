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

/// What the gap was on the validation fold: what later ones are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GapReference {
    /// Test slices of the fold.
    pub slices: u64,
    /// Share of wrong predictions.
    pub errors: f64,
    /// Mean of [`SliceGap::difference`].
    pub mean: f64,
    /// Standard error of that mean: from the spread between slices, and never less than that of
    /// independent rows.
    pub standard_error: f64,
    /// Variance of the difference between slices; of one slice that of independent rows.
    pub variance_slices: f64,
}

impl GapReference {
    /// Of the test slices of a fold. `None` without rows.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn of(slices: &[SliceGap]) -> Option<Self> {
        let (wrong, rows) = slices.iter().fold((0_i64, 0_i64), |sum, s| (sum.0 + s.errors, sum.1 + s.rows));
        if rows <= 0 {
            return None;
        }
        let (count, errors) = (slices.len() as f64, wrong as f64 / rows as f64);
        let mean = slices.iter().map(SliceGap::difference).sum::<f64>() / count;
        let squares: f64 = slices.iter().map(|s| (s.difference() - mean) * (s.difference() - mean)).sum();
        let independent = errors * (1.0 - errors) / rows as f64;
        let variance_slices = if slices.len() < 2 { independent } else { squares / (count - 1.0) };
        let standard_error = (variance_slices / count).max(independent).sqrt();
        Some(Self { slices: slices.len() as u64, errors, mean, standard_error, variance_slices })
    }

    /// Whether every number is one that [`GapReference::of`] can give.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        let spread = self.variance_slices.is_finite() && self.variance_slices >= 0.0;
        is_share(self.errors)
            && (-1.0..=1.0).contains(&self.mean)
            && spread
            && self.standard_error >= 0.0
            && self.standard_error.is_finite()
    }
}

#[cfg(test)]
#[path = "gap_tests.rs"]
mod tests;
