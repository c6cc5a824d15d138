//! Two versions on the same rows: which is worse, at any time, with evidence.

use crate::capital::{exp_bounded, finite, log_mean_exp};
use measure::PAIR_BETS;
use serde::{Deserialize, Serialize};

/// Evidence at which a version counts as worse: at most 1 in 20 equal ones ever reach it.
pub const THRESHOLD: f64 = 20.0;
/// Test slices before their means are believed.
pub const SLICES_MIN: u64 = 5;
/// Number of test slices at which the evidence of slice means is sharpest.
const SLICES_TYPICAL: f64 = 10.0;
/// Standard deviation below which differing slice means are rounding.
const DEVIATION_MIN: f64 = 1e-9;

/// The sequential paired test of "the served version is no worse than the other".
///
/// Rows alone are no 5 % test where rows cluster (bad days), slice means alone are slow and only
/// asymptotic: both must reach the threshold. For "no better", feed another one with the logs of
/// the opposite sign and the negated difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    rows: u64,
    /// Σ ln(1 + λ_j d) over all rows so far.
    logs: [f64; PAIR_BETS.len()],
    slices: u64,
    /// Mean of the slice means, and the sum of their squared deviations from it (Welford).
    mean: f64,
    deviations: f64,
}

impl Default for Paired {
    fn default() -> Self {
        Self::new()
    }
}

impl Paired {
    /// No evidence yet.
    #[must_use]
    pub fn new() -> Self {
        Self { rows: 0, logs: [0.0; PAIR_BETS.len()], slices: 0, mean: 0.0, deviations: 0.0 }
    }

    /// Feeds one mature test slice, in slice order, once: rows that both versions scored,
    /// Σ ln(1 + λ_j d) per bet of [`PAIR_BETS`] with d = loss(served) − loss(other), and the mean
    /// of d. A slice without rows is not a step.
    pub fn step(&mut self, rows: u64, worse_logs: &[f64], slice_mean_difference: f64) {
        if rows == 0 || !slice_mean_difference.is_finite() {
            return;
        }
        self.rows = self.rows.saturating_add(rows);
        for (total, log) in self.logs.iter_mut().zip(worse_logs) {
            *total = finite(*total + finite(*log));
        }
        self.slices = self.slices.saturating_add(1);
        let gap = slice_mean_difference - self.mean;
        self.mean += gap / self.slices as f64;
        self.deviations += gap * (slice_mean_difference - self.mean);
    }

    /// Evidence that the served version is worse: from rows, and from slice means. 1 is none.
    ///
    /// Rows: the mean over the bets of Π (1 + λ_j d), a non-negative martingale if the mean of d
    /// given the past is 0, so by Ville's inequality it ever reaches 20 with at most 5 %.
    ///
    /// Slice means: Robbins' one-sided normal mixture with the empirical variance, an asymptotic
    /// e-process (Howard et al., Annals of Statistics 49, 2021; Waudby-Smith et al., Annals of
    /// Statistics 52, 2024): with S the sum of the t slice means over their standard deviation
    /// and V = 1 + t ρ², it is 2 Φ(ρ S / √V) exp(ρ² S² / (2 V)) / √V.
    #[must_use]
    pub fn evidence_worse(&self) -> (f64, f64) {
        (exp_bounded(log_mean_exp(self.logs.iter().copied())), self.slice_evidence())
    }

    fn slice_evidence(&self) -> f64 {
        if self.slices < SLICES_MIN {
            return 1.0;
        }
        let slices = self.slices as f64;
        let deviation = (self.deviations / (slices - 1.0)).max(0.0).sqrt().max(DEVIATION_MIN);
        let sum = slices * self.mean / deviation;
        let rho_squared = mixture_width();
        let spread = 1.0 + slices * rho_squared;
        let z = (rho_squared / spread).sqrt() * sum;
        // 2 Φ(z) = erfc(−z / √2).
        let side = libm::erfc(-z / std::f64::consts::SQRT_2);
        if side <= 0.0 {
            return 0.0;
        }
        exp_bounded(libm::log(side) + z * z / 2.0 - libm::log(spread) / 2.0)
    }

    /// Whether both kinds of evidence have reached the threshold, usually [`THRESHOLD`].
    #[must_use]
    pub fn is_worse(&self, threshold: f64) -> bool {
        let (rows, slices) = self.evidence_worse();
        rows >= threshold && slices >= threshold
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Test slices so far.
    #[must_use]
    pub fn slices(&self) -> u64 {
        self.slices
    }
}

/// ρ² that makes the boundary tightest at [`SLICES_TYPICAL`] slices and level 1 / [`THRESHOLD`]
/// (Waudby-Smith et al., their formula for the approximate minimiser).
fn mixture_width() -> f64 {
    let twice_log = 2.0 * libm::log(THRESHOLD);
    (twice_log + libm::log(twice_log + 1.0)) / SLICES_TYPICAL
}

#[cfg(test)]
#[path = "paired_tests.rs"]
mod tests;
