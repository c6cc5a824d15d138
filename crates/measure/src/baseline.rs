//! What a model that knows nothing but label rates would have done on the same rows.

use crate::loss::{PROBABILITY_MIN, log_loss};
use crate::performance::Performance;
use domain::Fixed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Labels of some rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// Rows.
    pub rows: i64,
    /// Rows by class, in class order; empty in regression.
    pub classes: Vec<i64>,
    /// Σ y; zero in classification.
    pub sum: Fixed,
    /// Σ y²; zero in classification.
    pub squares: Fixed,
}

impl Labels {
    pub(crate) fn of_classes(classes: Vec<i64>) -> Self {
        let rows = classes.iter().fold(0_i64, |sum, count| sum.saturating_add(*count));
        Self { rows, classes, sum: Fixed::ZERO, squares: Fixed::ZERO }
    }

    /// Adds the other's labels.
    pub fn merge(&mut self, other: &Self) {
        if self.classes.len() < other.classes.len() {
            self.classes.resize(other.classes.len(), 0);
        }
        for (count, more) in self.classes.iter_mut().zip(&other.classes) {
            *count = count.saturating_add(*more);
        }
        self.rows = self.rows.saturating_add(other.rows);
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// The constant prediction that these labels make: class rates, or the mean alone. `None`
    /// without rows.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn rates(&self) -> Option<Vec<f64>> {
        if self.rows <= 0 {
            return None;
        }
        let rows = self.rows as f64;
        if self.classes.is_empty() {
            return Some(vec![self.sum.to_f64() / rows]);
        }
        Some(self.classes.iter().map(|count| (*count).max(0) as f64 / rows).collect())
    }

    /// Mean loss on these labels of always predicting `rates`, class rates or one number: the
    /// x′ of the page monitor. In regression the squared error over scale² with the mean, not each
    /// row, capped at 1. `None` without rows or with rates of another shape.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn constant_loss(&self, rates: &[f64], scale: f64) -> Option<f64> {
        if self.rows <= 0 {
            return None;
        }
        let rows = self.rows as f64;
        let loss = if self.classes.is_empty() {
            let constant = rates.first()?;
            let squares = self.squares.to_f64() - 2.0 * constant * self.sum.to_f64() + rows * constant * constant;
            squares / rows / (scale * scale)
        } else {
            let norm: f64 = rates.iter().map(|r| r * r).sum();
            let terms = self.classes.iter().zip(rates);
            terms.map(|(count, rate)| *count as f64 / rows * (norm - 2.0 * rate + 1.0) / 2.0).sum()
        };
        (loss.is_finite() && (self.classes.is_empty() || self.classes.len() == rates.len()))
            .then(|| loss.clamp(0.0, 1.0))
    }
}

/// The majority and prior-rate baseline on the same rows. Classification, with the reference's
/// rates in class order: `accuracy` of its most frequent class (the first of equals), `log_loss`
/// and `brier` of always predicting the rates. Regression, with the reference's mean: `rmse`.
/// Empty without rows, without labels or with rates of another shape.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn majority(performance: &Performance, reference_rates: &[f64]) -> BTreeMap<String, f64> {
    if matches!(performance, Performance::Anomaly(_) | Performance::Clustering(_)) {
        return BTreeMap::new();
    }
    let labels = performance.label_counts();
    let Some(brier) = labels.constant_loss(reference_rates, 1.0) else {
        return BTreeMap::new();
    };
    let rows = labels.rows as f64;
    if labels.classes.is_empty() {
        let mean = reference_rates.first().copied().unwrap_or(0.0);
        let squares = labels.squares.to_f64() - 2.0 * mean * labels.sum.to_f64() + rows * mean * mean;
        return BTreeMap::from([("rmse".to_owned(), (squares / rows).max(0.0).sqrt())]);
    }
    let mut top = (0, f64::NEG_INFINITY);
    for (class, rate) in reference_rates.iter().enumerate() {
        if *rate > top.1 {
            top = (class, *rate);
        }
    }
    let accuracy = labels.classes.get(top.0).copied().unwrap_or(0) as f64 / rows;
    let surprise = labels.classes.iter().zip(reference_rates);
    let log_loss: f64 = surprise.map(|(count, rate)| *count as f64 / rows * log_loss(rate.max(PROBABILITY_MIN))).sum();
    [("accuracy", accuracy), ("log_loss", log_loss), ("brier", brier)].map(|(name, v)| (name.to_owned(), v)).into()
}
