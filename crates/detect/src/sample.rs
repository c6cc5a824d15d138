//! Distances of two raw samples, exact: for reports on files and for comparison with other tools.
//! Live data has no samples, only counts.

use serde::{Deserialize, Serialize};

/// Rows of the larger sample up to which the p value of [`ks_test`] is exact.
pub const EXACT_ROWS_MAX: usize = 10_000;
/// Terms of Kolmogorov's series.
const TERMS_MAX: u32 = 100;

/// A Kolmogorov-Smirnov test's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KolmogorovSmirnov {
    /// Largest distance of the two empirical distribution functions.
    pub statistic: f64,
    /// P(at least this distance, if both samples are of one continuous distribution).
    pub p_value: f64,
}

fn ordered(sample: &[f64]) -> Vec<f64> {
    let mut values: Vec<f64> = sample.iter().copied().filter(|x| x.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Walks over the distinct values of both samples: (value, rows of the reference up to and with
/// it, rows of the current sample up to and with it).
fn steps(old: &[f64], new: &[f64]) -> Vec<(f64, usize, usize)> {
    let mut all: Vec<f64> = [old, new].concat();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all.into_iter().map(|x| (x, old.partition_point(|y| *y <= x), new.partition_point(|y| *y <= x))).collect()
}

/// Largest distance of the empirical distribution functions; 0 if a sample is empty. Values that
/// are not finite are left out.
#[must_use]
pub fn ks_statistic(reference: &[f64], current: &[f64]) -> f64 {
    let (old, new) = (ordered(reference), ordered(current));
    gap(&old, &new) as f64 / (old.len().max(1) as f64 * new.len().max(1) as f64)
}

/// The statistic times both sizes: a whole number, so that comparisons are exact.
fn gap(old: &[f64], new: &[f64]) -> u128 {
    let (m, n) = (old.len() as u128, new.len() as u128);
    steps(old, new).into_iter().map(|(_, r, c)| (r as u128 * n).abs_diff(c as u128 * m)).max().unwrap_or(0)
}

/// Two-sided two-sample test. Up to [`EXACT_ROWS_MAX`] rows the p value is the share of lattice
/// paths that leave the band, counted by Hodges' recursion (Arkiv för Matematik 3, 1958), else
/// Kolmogorov's limit with Stephens' correction (JRSS B 32, 1970).
#[must_use]
pub fn ks_test(reference: &[f64], current: &[f64]) -> KolmogorovSmirnov {
    let (old, new) = (ordered(reference), ordered(current));
    if old.is_empty() || new.is_empty() {
        return KolmogorovSmirnov { statistic: 0.0, p_value: 1.0 };
    }
    let (m, n) = (old.len(), new.len());
    let gap = gap(&old, &new);
    let statistic = gap as f64 / (m as f64 * n as f64);
    let p_value = if m.max(n) <= EXACT_ROWS_MAX { exact(m, n, gap) } else { limit(m as f64, n as f64, statistic) };
    KolmogorovSmirnov { statistic, p_value }
}

/// 1 − P(a random lattice path from (0, 0) to (m, n) stays closer than `gap` to the diagonal).
///
/// Row by row, `inside[j]` is the number of paths inside the band to (i, j) over that of all paths
/// to it, which keeps it in 0 to 1: of all paths to (i, j), i / (i + j) come from (i − 1, j).
fn exact(m: usize, n: usize, gap: u128) -> f64 {
    let mut inside = vec![0.0; n + 1];
    for i in 0..=m {
        let mut left = 0.0;
        for (j, here) in inside.iter_mut().enumerate() {
            let distance = (i as u128 * n as u128).abs_diff(j as u128 * m as u128);
            let share = match (i, j) {
                (0, 0) => 1.0,
                _ => (i as f64 * *here + j as f64 * left) / (i + j) as f64,
            };
            *here = if distance < gap { share } else { 0.0 };
            left = *here;
        }
    }
    (1.0 - inside.last().copied().unwrap_or(0.0)).clamp(0.0, 1.0)
}

fn limit(m: f64, n: f64, statistic: f64) -> f64 {
    let root = (m * n / (m + n)).sqrt();
    let t = (root + 0.12 + 0.11 / root) * statistic;
    if t < 0.2 {
        // The series converges slowly there; the p value is 1 to 12 digits.
        return 1.0;
    }
    let term = |k: u32| {
        let k = f64::from(k);
        let sign = if k % 2.0 == 0.0 { -1.0 } else { 1.0 };
        sign * libm::exp(-2.0 * k * k * t * t)
    };
    (2.0 * (1..=TERMS_MAX).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

/// Wasserstein-1 distance: the area between the empirical distribution functions; 0 if a sample is
/// empty.
#[must_use]
pub fn wasserstein(reference: &[f64], current: &[f64]) -> f64 {
    let (old, new) = (ordered(reference), ordered(current));
    if old.is_empty() || new.is_empty() {
        return 0.0;
    }
    let (m, n) = (old.len() as f64, new.len() as f64);
    let steps = steps(&old, &new);
    let widths = steps.iter().zip(steps.iter().skip(1));
    widths.map(|((x, r, c), (next, _, _))| (*r as f64 / m - *c as f64 / n).abs() * (next - x)).sum()
}
