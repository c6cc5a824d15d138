//! Sums of the sequential tests: what a row multiplies the bets' capital by, in logarithms.

use crate::sums::{add_terms, apply, merge_terms, padded, unit};
use domain::{Fixed, Harm};
use serde::{Deserialize, Serialize};

/// Bets of the paired test: a row whose loss differs by d in [−1, 1] multiplies capital j by
/// `1 ± PAIR_BETS[j] × d`. They cover differences of a few hundredths to nearly 1 in units of
/// (mean / mean square), which is the best bet; all below 1, so that no capital is ever lost.
pub const PAIR_BETS: [f64; 5] = [0.06, 0.12, 0.25, 0.5, 0.9];

/// A factor below this counts as this: bets of a sound plan keep factors at 0.1 and more.
const FACTOR_MIN: f64 = 1e-12;

/// ln(1 + bet × gain), bounded below; a broken bet changes nothing.
fn log_factor(bet: f64, gain: f64) -> f64 {
    let factor = 1.0 + bet * gain;
    if factor.is_nan() { 0.0 } else { libm::log(factor.clamp(FACTOR_MIN, 1.0 / FACTOR_MIN)) }
}

/// Loss of the served version, and what it does to the bets of the harm monitor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HarmSums {
    /// Rows with a loss.
    pub rows: i64,
    /// Σ loss.
    pub loss: Fixed,
    /// Σ loss².
    pub loss_squares: Fixed,
    /// Σ ln(1 + b_j (loss − p0)) per bet; zeros at the end are left out, see [`HarmSums::log_sums`].
    pub logs: Vec<Fixed>,
}

impl HarmSums {
    pub(crate) fn add(&mut self, loss: f64, harm: Option<&Harm>, sign: i64) {
        self.rows = self.rows.saturating_add(unit(sign));
        apply(&mut self.loss, loss, sign);
        apply(&mut self.loss_squares, loss * loss, sign);
        if let Some(harm) = harm {
            add_terms(&mut self.logs, harm.bets.iter().map(|bet| log_factor(*bet, loss - harm.p0)), sign);
        }
    }

    /// Adds the other's sums: of the same version, hence of the same bets.
    pub fn merge(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.loss += other.loss;
        self.loss_squares += other.loss_squares;
        merge_terms(&mut self.logs, &other.logs);
    }

    /// Whether every sum is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Mean loss; `None` without rows.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn mean_loss(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.loss.to_f64() / self.rows as f64)
    }

    /// The log-sums of so many bets.
    #[must_use]
    pub fn log_sums(&self, bets: usize) -> Vec<f64> {
        padded(&self.logs, bets)
    }
}

/// Difference d = loss(served) − loss(previous) on the same rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairSums {
    /// Rows that both versions scored.
    pub rows: i64,
    /// Σ d.
    pub difference: Fixed,
    /// Σ d².
    pub squares: Fixed,
    /// Σ ln(1 + λ_j d) per bet of [`PAIR_BETS`]: grows where the served version is worse. Zeros at
    /// the end are left out, see [`PairSums::worse_logs`].
    pub worse: Vec<Fixed>,
    /// Σ ln(1 − λ_j d): grows where the served version is better.
    pub better: Vec<Fixed>,
}

impl PairSums {
    pub(crate) fn add(&mut self, difference: f64, sign: i64) {
        self.rows = self.rows.saturating_add(unit(sign));
        apply(&mut self.difference, difference, sign);
        apply(&mut self.squares, difference * difference, sign);
        add_terms(&mut self.worse, PAIR_BETS.iter().map(|bet| log_factor(*bet, difference)), sign);
        add_terms(&mut self.better, PAIR_BETS.iter().map(|bet| log_factor(*bet, -difference)), sign);
    }

    /// Adds the other's sums.
    pub fn merge(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.difference += other.difference;
        self.squares += other.squares;
        merge_terms(&mut self.worse, &other.worse);
        merge_terms(&mut self.better, &other.better);
    }

    /// Whether every sum is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Mean difference; `None` without rows.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn mean_difference(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.difference.to_f64() / self.rows as f64)
    }

    /// Σ ln(1 + λ_j d), one per bet.
    #[must_use]
    pub fn worse_logs(&self) -> Vec<f64> {
        padded(&self.worse, PAIR_BETS.len())
    }

    /// Σ ln(1 − λ_j d), one per bet.
    #[must_use]
    pub fn better_logs(&self) -> Vec<f64> {
        padded(&self.better, PAIR_BETS.len())
    }
}
