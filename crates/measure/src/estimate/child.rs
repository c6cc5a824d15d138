//! Expected errors of a regression, from a child model that predicts them (DLE, as in NannyML).

use crate::interval::{self, Estimate, Z_95};
use crate::sums::{Moments, apply, unit};
use domain::Fixed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Predicted errors beyond 2^39 count as this, so that their squares fit a fixed-point sum.
const ERROR_MAX: f64 = 549_755_813_888.0;

/// Sums of what the child models predict of each row: |e|, and e² where there is a second one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildSums {
    rows: i64,
    /// Σ a and Σ a² of the predicted |e|.
    absolute: Moments,
    /// Rows with a predicted e².
    squared_rows: i64,
    /// Σ of the predicted e².
    squared: Fixed,
    /// Σ max(e² − a², 0): the variance of |e| given the row.
    spread: Fixed,
}

/// Errors are not negative, though a child model may say so; no number counts as the largest.
fn bounded(value: f64, most: f64) -> f64 {
    if value.is_nan() { most } else { value.clamp(0.0, most) }
}

impl ChildSums {
    /// Adds (sign 1) or takes out (sign −1) a row: predicted |e|, and predicted e² if known.
    pub fn add(&mut self, absolute: f64, squared: Option<f64>, sign: i64) {
        let absolute = bounded(absolute, ERROR_MAX);
        self.rows = self.rows.saturating_add(unit(sign));
        self.absolute.add(absolute, sign);
        if let Some(squared) = squared {
            let squared = bounded(squared, ERROR_MAX * ERROR_MAX);
            self.squared_rows = self.squared_rows.saturating_add(unit(sign));
            apply(&mut self.squared, squared, sign);
            apply(&mut self.spread, (squared - absolute * absolute).max(0.0), sign);
        }
    }

    /// Adds the other's sums.
    pub fn merge(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.absolute.merge(&other.absolute);
        self.squared_rows = self.squared_rows.saturating_add(other.squared_rows);
        self.squared += other.squared;
        self.spread += other.spread;
    }

    /// Whether every sum is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.rows
    }

    /// Mean a. `None` without rows.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn mean(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.absolute.sum.to_f64() / self.rows as f64)
    }

    /// Mean a, mean variance of |e| given the row, and variance of a between rows. `None` without
    /// rows, and where some row has no predicted square.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn mean_and_variances(&self) -> Option<(f64, f64, f64)> {
        let n = self.rows as f64;
        let mean = self.absolute.sum.to_f64() / n;
        let between = self.absolute.squares.to_f64() / n - mean * mean;
        (self.rows > 0 && self.squared_rows == self.rows).then(|| (mean, self.spread.to_f64() / n, between))
    }

    /// `mae` = Σ a / n; `rmse` = √(Σ s / n) of the predicted squares s, if every row has one. Then
    /// the interval of `mae` says where the realised one will lie if both models are right: the
    /// variance of |e| given the row is s − a². Without squares there is none.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn estimates(&self) -> BTreeMap<String, Estimate> {
        if self.rows <= 0 {
            return BTreeMap::new();
        }
        let n = self.rows as f64;
        let mae = self.absolute.sum.to_f64() / n;
        if self.squared_rows != self.rows {
            return interval::named(vec![("mae", Some(Estimate::bare(mae)))]);
        }
        let half = Z_95 * self.spread.to_f64().max(0.0).sqrt() / n;
        let rmse = (self.squared.to_f64() / n).max(0.0).sqrt();
        interval::named(vec![
            ("mae", Some(Estimate { value: mae, low: Some((mae - half).max(0.0)), high: Some(mae + half) })),
            ("rmse", Some(Estimate::bare(rmse))),
        ])
    }
}
