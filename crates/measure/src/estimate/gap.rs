//! Realised minus estimated: what scores could not know of themselves, hence a sign of concept
//! drift.

use super::child::ChildSums;
use super::expected::Expected;
use super::forecast::Forecast;
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

/// Errors of one mature slice against those expected of it, for a test at every slice. The sums behind
/// both add up over cells; the estimate does not look at labels, so it is known before them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SliceGap {
    /// Labelled rows.
    pub rows: i64,
    /// Share of wrong predictions among them; of numbers their mean absolute error over the scale, at
    /// most 1.
    pub realised: f64,
    /// What was expected of it.
    pub estimated: f64,
}

impl SliceGap {
    /// Of the `errors` of `labelled` rows: wrong predictions, or the sum of absolute errors, which
    /// `scale` makes shares (1 for classes). `None` where there is no gap.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn of(errors: f64, labelled: i64, expected: &Forecast, scale: f64) -> Option<Self> {
        let estimated = match expected {
            Forecast::Classes(expected) => 1.0 - expected.accuracy()?.0,
            Forecast::Errors(sums) => sums.mean()?,
        };
        let share = |value: f64| (value >= 0.0 && scale > 0.0).then(|| (value / scale).min(1.0));
        if labelled <= 0 {
            return None;
        }
        let realised = share(errors / labelled as f64)?;
        // Rounding may put the estimate of sure classes below nothing.
        Some(Self { rows: labelled, realised, estimated: share(estimated.max(0.0))? })
    }

    /// Realised − estimated, in [−1, 1]: what a test on slice means is fed. With the realised share as
    /// loss and the estimated one as reference loss it is a step of `detect::harm::Page` with rho = 1,
    /// p0 = the tolerated mean, and bets below 1 / (1 + p0).
    #[must_use]
    pub fn difference(&self) -> f64 {
        self.realised - self.estimated
    }
}

/// What the gap was on the validation fold: what later ones are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GapReference {
    /// Test slices of the fold.
    pub slices: u64,
    /// Realised share of errors, as in [`SliceGap::realised`].
    pub errors: f64,
    /// Mean of [`SliceGap::difference`].
    pub mean: f64,
    /// Standard error of that mean: from the spread between slices, and never less than that of
    /// independent rows (of numbers: the most that shares of this mean can have).
    pub standard_error: f64,
    /// Variance of the difference between slices; of one slice that of independent rows.
    pub variance_slices: f64,
    /// The absolute error that counts as 1; 1 for classes.
    #[serde(default = "one")]
    pub scale: f64,
}

/// Bundles of earlier builds have gaps of classes only.
fn one() -> f64 {
    1.0
}

impl GapReference {
    /// Of the test slices of a fold, whose errors were made shares by `scale`. `None` without rows.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn of(slices: &[SliceGap], scale: f64) -> Option<Self> {
        let rows = slices.iter().map(|s| s.rows).sum::<i64>() as f64;
        if rows <= 0.0 {
            return None;
        }
        let count = slices.len() as f64;
        let errors = slices.iter().map(|s| s.realised * s.rows as f64).sum::<f64>() / rows;
        let mean = slices.iter().map(SliceGap::difference).sum::<f64>() / count;
        let squares: f64 = slices.iter().map(|s| (s.difference() - mean) * (s.difference() - mean)).sum();
        let independent = errors * (1.0 - errors) / rows;
        let variance_slices = if slices.len() < 2 { independent } else { squares / (count - 1.0) };
        let standard_error = (variance_slices / count).max(independent).sqrt();
        Some(Self { slices: slices.len() as u64, errors, mean, standard_error, variance_slices, scale })
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
            && self.scale > 0.0
            && self.scale.is_finite()
    }
}

#[cfg(test)]
#[path = "gap_tests.rs"]
mod tests;
