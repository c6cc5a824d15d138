//! A confidence sequence: an interval that may be looked at after every value.

use crate::interval::Estimate;
use serde::{Deserialize, Serialize};

/// Largest bet; of the values that the paper proposes, the one that it uses.
const BET_MAX: f64 = 0.5;

/// Interval of the mean of values in [0, 1] that holds at all times at once with probability
/// 1 − alpha, if every value has the same mean given those before it: no independence, no
/// distribution, and no price for looking often.
///
/// Predictable plug-in empirical-Bernstein sequence (I. Waudby-Smith, A. Ramdas, "Estimating means
/// of bounded random variables by betting", JRSS B 86, 2024, theorem 2): with bets λ_i and mean m_i
/// fixed before value x_i, it is
/// Σ λ x / Σ λ ± (ln(2 / alpha) + Σ (x_i − m_{i−1})² (−ln(1 − λ_i) − λ_i)) / Σ λ,
/// λ_i = min(√(2 ln(2 / alpha) / (s²_{i−1} i ln(1 + i))), ½), m_i = (½ + Σ x) / (i + 1) and
/// s²_i = (¼ + Σ (x_j − m_j)²) / (i + 1).
///
/// It depends on the order, so it is fed once per mature slice, in slice order, by one owner; it is
/// no state for panes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceSequence {
    /// ln(2 / alpha).
    log_risk: f64,
    values: u64,
    sum: f64,
    squares: f64,
    bets: f64,
    weighted: f64,
    penalty: f64,
}

impl ConfidenceSequence {
    /// No values yet. `alpha`: probability that the interval ever misses the mean, in (0, 1);
    /// what is not counts as 0.05.
    #[must_use]
    pub fn new(alpha: f64) -> Self {
        let alpha = if alpha > 0.0 && alpha < 1.0 { alpha } else { 0.05 };
        Self {
            log_risk: libm::log(2.0 / alpha),
            values: 0,
            sum: 0.0,
            squares: 0.0,
            bets: 0.0,
            weighted: 0.0,
            penalty: 0.0,
        }
    }

    /// Takes the next value; one outside [0, 1] counts as the nearer end, one that is no number is
    /// left out.
    #[allow(clippy::cast_precision_loss)]
    pub fn step(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        let value = value.clamp(0.0, 1.0);
        let before = self.values as f64;
        let (mean, variance) = ((0.5 + self.sum) / (before + 1.0), (0.25 + self.squares) / (before + 1.0));
        self.values = self.values.saturating_add(1);
        let count = self.values as f64;
        let bet = (2.0 * self.log_risk / (variance * count * libm::log1p(count))).sqrt().min(BET_MAX);
        self.bets += bet;
        self.weighted += bet * value;
        self.penalty += (value - mean) * (value - mean) * (-libm::log1p(-bet) - bet);
        self.sum += value;
        let mean = (0.5 + self.sum) / (count + 1.0);
        self.squares += (value - mean) * (value - mean);
    }

    /// Values taken.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.values
    }

    /// The weighted mean with the interval, cut off at 0 and 1. `None` without values.
    #[must_use]
    pub fn estimate(&self) -> Option<Estimate> {
        let half = (self.log_risk + self.penalty) / self.bets;
        (self.values > 0).then(|| Estimate::within(self.weighted / self.bets, half, 0.0, 1.0))
    }
}

#[cfg(test)]
#[path = "sequence_tests.rs"]
mod tests;
