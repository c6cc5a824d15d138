//! Sums of a regression.

use crate::baseline::Labels;
use crate::interval::{self, Estimate};
use crate::sums::{Moments, apply, unit};
use domain::Fixed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Errors and labels are clamped to ±2^39, so that their squares stay below the largest term of a
/// fixed-point sum.
const VALUE_MAX: f64 = 549_755_813_888.0;

/// Sums of a regression: Σe, Σ|e|, Σe², Σy, Σy² with e = prediction − label; and of |e / y| over
/// the rows whose label is not 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regression {
    rows: i64,
    error: Moments,
    absolute: Fixed,
    label: Moments,
    /// Rows in `relative`.
    relative_rows: i64,
    relative: Moments,
}

fn bounded(value: f64) -> f64 {
    if value.is_nan() { VALUE_MAX } else { value.clamp(-VALUE_MAX, VALUE_MAX) }
}

impl Regression {
    /// Adds (+1) or takes out (−1) a row. An error that is no number counts as the largest.
    pub(crate) fn add(&mut self, prediction: f64, label: f64, sign: i64) {
        let error = bounded(prediction - label);
        self.rows = self.rows.saturating_add(unit(sign));
        self.error.add(error, sign);
        apply(&mut self.absolute, error.abs(), sign);
        self.label.add(bounded(label), sign);
        if label != 0.0 {
            self.relative_rows = self.relative_rows.saturating_add(unit(sign));
            self.relative.add(bounded((error / label).abs()), sign);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.error.merge(&other.error);
        self.absolute += other.absolute;
        self.label.merge(&other.label);
        self.relative_rows = self.relative_rows.saturating_add(other.relative_rows);
        self.relative.merge(&other.relative);
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.rows
    }

    pub(crate) fn labels(&self) -> Labels {
        Labels { rows: self.rows, classes: Vec::new(), sum: self.label.sum, squares: self.label.squares }
    }

    /// Mean absolute error. `None` without rows.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn mae(&self) -> Option<f64> {
        (self.rows > 0).then(|| (self.absolute.to_f64() / self.rows as f64).max(0.0))
    }

    /// Mean squared error, neither scaled nor capped.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn mean_loss(&self) -> Option<f64> {
        (self.rows > 0).then(|| (self.error.squares.to_f64() / self.rows as f64).max(0.0))
    }

    /// Mean pinball loss max(q d, (q − 1) d) with d = label − prediction (R. Koenker, G. Bassett,
    /// Econometrica 46, 1978) of predictions meant as the quantile q. It follows from Σ|e| and Σe:
    /// Σ max(d, 0) = (Σ|e| − Σe) / 2. `None` without rows or for a q outside (0, 1).
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn pinball(&self, quantile: f64) -> Option<f64> {
        let (absolute, error) = (self.absolute.to_f64(), self.error.sum.to_f64());
        let (too_low, too_high) = ((absolute - error) / 2.0, (absolute + error) / 2.0);
        let is_known = self.rows > 0 && quantile > 0.0 && quantile < 1.0;
        is_known.then(|| (quantile * too_low + (1.0 - quantile) * too_high) / self.rows as f64)
    }

    /// R² = 1 − SSE / Σ(y − mean y)², left out where the labels do not vary. `mape` is a fraction,
    /// over the rows whose label is not 0; `mape_skipped` counts the others.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn metrics(&self) -> BTreeMap<String, Estimate> {
        if self.rows <= 0 {
            return BTreeMap::new();
        }
        let squares = self.error.squares.to_f64();
        let label = self.label.sum.to_f64();
        let spread = self.label.squares.to_f64() - label * label / self.rows as f64;
        let relative = (self.relative.sum.to_f64(), self.relative.squares.to_f64());
        let skipped = self.rows.saturating_sub(self.relative_rows);
        interval::named(vec![
            ("mae", interval::mean(self.rows, self.absolute.to_f64(), squares)),
            ("rmse", self.mean_loss().map(|mse| Estimate::bare(mse.sqrt()))),
            ("bias", interval::mean(self.rows, self.error.sum.to_f64(), squares)),
            ("r2", (spread > 0.0).then(|| Estimate::bare(1.0 - squares / spread))),
            ("mape", interval::mean(self.relative_rows, relative.0, relative.1)),
            ("mape_skipped", Some(Estimate::bare(skipped as f64))),
        ])
    }
}
