//! The quick monitor: a product over the rows of a test slice.

use crate::capital::{exp_bounded, finite, log_mean_exp, softplus};
use serde::{Deserialize, Serialize};

/// Default threshold in test slices: one false alarm in 100 of them, which starts a run and
/// pages nobody.
pub const TRIGGER_THRESHOLD: f64 = 100.0;

/// The quick monitor's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    threshold: f64,
    bets: Vec<Capital>,
}

/// State of one bet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Capital {
    /// ln(M + 1): 0 at the start. Finite, so that it survives JSON.
    log_next: f64,
    /// CUSUM of the logarithms, never below 0.
    cusum: f64,
    /// Start of the slice in which the CUSUM last left 0.
    left_zero_ms: Option<i64>,
}

/// A crossing of the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Mean capital that reached the threshold.
    pub value: f64,
    /// When the change began, as estimated: start of the slice where the CUSUM of the bet with
    /// the largest capital last left 0.
    pub change_ms: i64,
}

impl Trigger {
    /// No capital yet. `threshold` is the mean number of test slices to a false alarm.
    #[must_use]
    pub fn new(bets: usize, threshold: f64) -> Self {
        Self { threshold, bets: vec![Capital::default(); bets] }
    }

    /// Feeds one mature test slice, in slice order, once: `log_sums[j]` = Σ ln(1 + b_j (x − p0))
    /// over its rows. M_j ← `exp(log_sums[j])` × (M_j + 1); at the alarm all M_j ← 0, while the
    /// estimate of the change goes on. A slice without rows says nothing and is not a step.
    pub fn step(&mut self, slice_start_ms: i64, log_sums: &[f64], rows: u64) -> Option<Alarm> {
        if rows == 0 {
            return None;
        }
        for (number, bet) in self.bets.iter_mut().enumerate() {
            let factor = finite(log_sums.get(number).copied().unwrap_or(0.0));
            bet.log_next = softplus(factor + bet.log_next);
            bet.cusum = (bet.cusum + factor).max(0.0);
            bet.left_zero_ms = (bet.cusum > 0.0).then(|| bet.left_zero_ms.unwrap_or(slice_start_ms));
        }
        let value = self.value();
        if value < self.threshold {
            return None;
        }
        let mut largest = Capital::default();
        for bet in &self.bets {
            if bet.log_next > largest.log_next {
                largest = *bet;
            }
        }
        for bet in &mut self.bets {
            bet.log_next = 0.0;
        }
        Some(Alarm { value, change_ms: largest.left_zero_ms.unwrap_or(slice_start_ms) })
    }

    /// Mean capital of the bets; at most about 8e307.
    #[must_use]
    pub fn value(&self) -> f64 {
        mean_capital(self.bets.iter().map(|bet| bet.log_next))
    }

    /// Capital at which it alarms.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }
}

/// Mean of M over bets of equal weight, from ln(M + 1).
pub(super) fn mean_capital(log_next: impl Iterator<Item = f64> + Clone) -> f64 {
    let log_mean = log_mean_exp(log_next);
    if log_mean.is_finite() { (exp_bounded(log_mean) - 1.0).max(0.0) } else { 0.0 }
}
