//! How far the labels of a slice have come: coverage and the maturity curve.

use crate::config::Config;
use crate::windows::Moment;
use records::age::{AGE_BINS, age_bin_end_s};
use records::journal::Coverage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sums of what the panes of all tracking partitions said of one slice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Covered {
    predictions: i64,
    assumed: i64,
    /// Predictions by the age bin of their first label.
    ages: BTreeMap<u8, i64>,
}

impl Covered {
    pub(crate) fn merge(&mut self, change: &Coverage) {
        self.predictions = self.predictions.saturating_add(change.predictions);
        self.assumed = self.assumed.saturating_add(change.assumed);
        for (bin, count) in &change.ages {
            let total = self.ages.entry((*bin).min(AGE_BINS - 1)).or_default();
            *total = total.saturating_add(*count);
        }
        self.ages.retain(|_, count| *count != 0);
    }

    /// Share of the predictions in force that have a label; `None` without predictions.
    pub(crate) fn share(&self) -> Option<f64> {
        self.of_predictions(self.ages.values().sum())
    }

    /// Predictions that count as negative, since their label never came.
    pub(crate) fn assumed(&self) -> u64 {
        u64::try_from(self.assumed).unwrap_or(0)
    }

    /// F(age), the share of predictions whose first label is younger than that many seconds, at
    /// the ends of the bins in which it grows. Only ages that every row of the slice has reached:
    /// at maturity that maturity, in the end the horizon; beyond it F would be too low.
    pub(crate) fn maturity(&self, moment: Moment, config: &Config) -> Vec<(u64, f64)> {
        let reached_ms = match moment {
            Moment::Closed => return Vec::new(),
            Moment::Mature => config.maturity_ms,
            Moment::Final => config.horizon_ms,
        };
        let (mut curve, mut so_far): (Vec<(u64, f64)>, i64) = (Vec::new(), 0);
        for (bin, count) in &self.ages {
            so_far = so_far.saturating_add(*count);
            // The bin that holds the horizon is whole in the end: no label in time is older.
            let end_s = age_bin_end_s(*bin);
            let is_reached = end_s.is_some_and(|end| u128::from(end) * 1_000 <= u128::from(reached_ms.unsigned_abs()));
            if let (Some(end_s), Some(share)) = (end_s, self.of_predictions(so_far))
                && (is_reached || moment == Moment::Final)
            {
                curve.push((end_s, share));
            }
        }
        curve
    }

    #[allow(clippy::cast_precision_loss)]
    fn of_predictions(&self, rows: i64) -> Option<f64> {
        (self.predictions > 0).then(|| rows as f64 / self.predictions as f64)
    }
}
