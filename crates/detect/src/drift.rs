//! Whether a column has drifted: more than noise of these sample sizes, and more than tolerated.

use crate::chi_square::{survival, upper_quantile};
use crate::distance;
use serde::{Deserialize, Serialize};

/// Rows a bin must expect in the current window before it is tested: thinner bins alarm on
/// noise (at 128 bins and 1,000 rows in 20 % of windows instead of 5 %).
pub const EXPECTED_ROWS_MIN: f64 = 30.0;
/// Level of [`Psi::threshold`].
pub const LEVEL: f64 = 0.05;

/// Shift of one column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Psi {
    /// Population stability index over the merged bins.
    pub psi: f64,
    /// P(at least this index, if the true one is the tolerance).
    pub p_value: f64,
    /// Index that is exceeded with 5 % if the true one is the tolerance.
    pub threshold: f64,
    /// Bins after merging; with fewer than 2 there is no test and `p_value` is 1.
    pub bins: usize,
}

/// Tests whether the population stability index exceeds `tolerance` (0 asks for any shift).
///
/// Neighbouring bins are merged, which is exact, until each expects [`EXPECTED_ROWS_MIN`] rows of
/// the current window. Then PSI × n m / (n + m) is about chi-square with bins − 1 degrees of
/// freedom (Yurdakul, Western Michigan dissertation 3208, 2018) and non-centrality
/// tolerance × n m / (n + m) (Potgieter et al., arXiv 2307.11878).
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn psi(reference: &[u64], current: &[u64], tolerance: f64) -> Psi {
    let (old, new) = merged(reference, current);
    let (m, n) = (distance::total(&old), distance::total(&new));
    if old.len() < 2 || m == 0.0 || n == 0.0 {
        return Psi { psi: distance::psi(&old, &new), p_value: 1.0, threshold: f64::MAX, bins: old.len() };
    }
    let size = n / (n + m) * m;
    let degrees = (old.len() - 1) as f64;
    let lambda = tolerance.max(0.0) * size;
    let psi = distance::psi(&old, &new);
    Psi {
        psi,
        p_value: survival(psi * size, degrees, lambda),
        threshold: upper_quantile(LEVEL, degrees, lambda) / size,
        bins: old.len(),
    }
}

/// Both histograms with neighbouring bins merged until each expects enough rows; what is left
/// over at the end joins the last one.
pub(crate) fn merged(reference: &[u64], current: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let (m, n) = (distance::total(reference), distance::total(current));
    let (mut old, mut new): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
    let (mut r, mut c) = (0_u64, 0_u64);
    for bin in 0..reference.len().max(current.len()) {
        r = r.saturating_add(reference.get(bin).copied().unwrap_or(0));
        c = c.saturating_add(current.get(bin).copied().unwrap_or(0));
        if enough(r, m, n) {
            old.push(r);
            new.push(c);
            (r, c) = (0, 0);
        }
    }
    if let (Some(last_r), Some(last_c)) = (old.last_mut(), new.last_mut()) {
        *last_r = last_r.saturating_add(r);
        *last_c = last_c.saturating_add(c);
        return (old, new);
    }
    (vec![r], vec![c])
}

#[allow(clippy::cast_precision_loss)]
fn enough(reference_rows: u64, reference_total: f64, current_total: f64) -> bool {
    reference_rows > 0 && reference_rows as f64 * current_total >= EXPECTED_ROWS_MIN * reference_total
}

#[cfg(test)]
#[path = "drift_tests.rs"]
mod tests;
