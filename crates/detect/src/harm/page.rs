//! The slow monitor: bets on test-slice means, relative to the prior-rate model.

use super::plan::PageBets;
use super::trigger::mean_capital;
use crate::capital::softplus;
use serde::{Deserialize, Serialize};

/// A factor below this counts as this; a sound plan keeps factors at 0.1 and more.
const FACTOR_MIN: f64 = 1e-12;

/// The slow monitor's state. Product over rows breaks a budget where bad days cluster; means of
/// test slices keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    plan: PageBets,
    threshold: f64,
    /// ln(M_j + 1) per bet.
    log_next: Vec<f64>,
}

impl Page {
    /// No capital yet. `threshold`: see [`super::page_threshold`].
    #[must_use]
    pub fn new(plan: PageBets, threshold: f64) -> Self {
        let log_next = vec![0.0; plan.bets.len()];
        Self { plan, threshold, log_next }
    }

    /// Feeds one mature test slice, in slice order, once: the mean loss of its rows, and that of
    /// predicting the label rates of before the slice. M_j ← (1 + b_j (z − p0)) × (M_j + 1) with
    /// z = loss − rho × prior loss; true at an alarm, then all M_j ← 0. Means that are no numbers
    /// are not a step.
    pub fn step(&mut self, slice_mean_loss: f64, slice_mean_prior_loss: f64) -> bool {
        let excess = slice_mean_loss - self.plan.rho * slice_mean_prior_loss - self.plan.p0;
        if !excess.is_finite() {
            return false;
        }
        for (log_next, bet) in self.log_next.iter_mut().zip(&self.plan.bets) {
            let factor = (1.0 + bet * excess).max(FACTOR_MIN);
            *log_next = softplus(libm::log(factor) + *log_next);
        }
        let alarm = self.value() >= self.threshold;
        if alarm {
            self.log_next.fill(0.0);
        }
        alarm
    }

    /// Mean capital of the bets; at most about 8e307.
    #[must_use]
    pub fn value(&self) -> f64 {
        mean_capital(self.log_next.iter().copied())
    }

    /// Capital at which it alarms.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }
}
