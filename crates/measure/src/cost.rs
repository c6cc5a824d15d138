//! What wrong and right predictions cost, in the user's own unit.

use crate::error::Error;
use crate::interval::{self, Estimate};
use serde::{Deserialize, Serialize};

/// Cost of each pair of label and prediction; a gain is a negative cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostMatrix {
    classes: usize,
    /// By `classes × label + predicted`.
    costs: Vec<f64>,
}

impl CostMatrix {
    /// Costs by label, then by predicted class, both in class order.
    ///
    /// # Errors
    /// Not classes × classes entries, or one that is no finite number.
    pub fn new(classes: usize, costs: Vec<f64>) -> Result<Self, Error> {
        if classes == 0 || classes.checked_mul(classes) != Some(costs.len()) {
            return Err(Error::CostShape { classes, entries: costs.len() });
        }
        if let Some(place) = costs.iter().position(|cost| !cost.is_finite()) {
            return Err(Error::CostValue { label: place / classes, predicted: place % classes });
        }
        Ok(Self { classes, costs })
    }

    fn of(&self, label: usize, predicted: usize) -> Option<f64> {
        let place = label.checked_mul(self.classes)?.checked_add(predicted)?;
        (label < self.classes && predicted < self.classes).then(|| self.costs.get(place).copied())?
    }
}

/// Mean cost of a row with the normal interval of the mean, from label, predicted class and rows
/// of every pair. `None` without rows, with negative counts, and for classes beyond the matrix.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn cost(confusion: impl IntoIterator<Item = (usize, usize, i64)>, matrix: &CostMatrix) -> Option<Estimate> {
    let (mut rows, mut sum, mut squares) = (0_i64, 0.0, 0.0);
    for (label, predicted, count) in confusion {
        let cost = matrix.of(label, predicted)?;
        if count < 0 {
            return None;
        }
        rows = rows.saturating_add(count);
        sum += cost * count as f64;
        squares += cost * cost * count as f64;
    }
    interval::mean(rows, sum, squares)
}
