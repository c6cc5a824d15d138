//! How far two histograms are apart: all from the same counts.
//!
//! Bins beyond the end of the shorter histogram are empty. A histogram without rows is at
//! distance 0 from everything: there is nothing to say.

use crate::chi_square::survival;

/// Shares of both histograms, bin by bin; `None` if one of them has no rows.
#[allow(clippy::cast_precision_loss)]
fn shares(reference: &[u64], current: &[u64]) -> Option<Vec<(f64, f64)>> {
    let (m, n) = (total(reference), total(current));
    (m > 0.0 && n > 0.0).then(|| pairs(reference, current).map(|(r, c)| (r as f64 / m, c as f64 / n)).collect())
}

fn pairs<'a>(reference: &'a [u64], current: &'a [u64]) -> impl Iterator<Item = (u64, u64)> + 'a {
    let at = |counts: &'a [u64], i: usize| counts.get(i).copied().unwrap_or(0);
    (0..reference.len().max(current.len())).map(move |i| (at(reference, i), at(current, i)))
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn total(counts: &[u64]) -> f64 {
    counts.iter().fold(0_u128, |sum, count| sum + u128::from(*count)) as f64
}

fn sum_over(reference: &[u64], current: &[u64], term: impl Fn(f64, f64) -> f64) -> f64 {
    shares(reference, current).map_or(0.0, |shares| shares.into_iter().map(|(p, q)| term(p, q)).sum())
}

/// Population stability index Σ (q − p) ln(q / p). Zero rule: where one of the two counts is
/// zero it counts as half a row; where both are, the bin is left out.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn psi(reference: &[u64], current: &[u64]) -> f64 {
    let (m, n) = (total(reference), total(current));
    if m == 0.0 || n == 0.0 {
        return 0.0;
    }
    let occupied = pairs(reference, current).filter(|(r, c)| *r > 0 || *c > 0);
    occupied
        .map(|(r, c)| {
            let (p, q) = ((r as f64).max(0.5) / m, (c as f64).max(0.5) / n);
            (q - p) * libm::log(q / p)
        })
        .sum()
}

fn jensen_shannon_divergence(reference: &[u64], current: &[u64]) -> f64 {
    let part = |share: f64, middle: f64| if share > 0.0 { share * libm::log(share / middle) } else { 0.0 };
    sum_over(reference, current, |p, q| {
        let middle = (p + q) / 2.0;
        (part(p, middle) + part(q, middle)) / 2.0
    })
    .max(0.0)
}

/// Jensen-Shannon distance to base 2: the root of the divergence, 0 to 1.
#[must_use]
pub fn jensen_shannon(reference: &[u64], current: &[u64]) -> f64 {
    (jensen_shannon_divergence(reference, current) / std::f64::consts::LN_2).sqrt()
}

/// Jensen-Shannon distance with natural logarithms, 0 to sqrt(ln 2).
#[must_use]
pub fn jensen_shannon_natural(reference: &[u64], current: &[u64]) -> f64 {
    jensen_shannon_divergence(reference, current).sqrt()
}

/// Hellinger distance sqrt(½ Σ (√p − √q)²), 0 to 1.
#[must_use]
pub fn hellinger(reference: &[u64], current: &[u64]) -> f64 {
    (sum_over(reference, current, |p, q| (p.sqrt() - q.sqrt()) * (p.sqrt() - q.sqrt())) / 2.0).sqrt()
}

/// Total variation ½ Σ |p − q|, 0 to 1.
#[must_use]
pub fn total_variation(reference: &[u64], current: &[u64]) -> f64 {
    sum_over(reference, current, |p, q| (p - q).abs()) / 2.0
}

/// Largest difference of a bin's share, 0 to 1.
#[must_use]
pub fn l_infinity(reference: &[u64], current: &[u64]) -> f64 {
    let shares = shares(reference, current).unwrap_or_default();
    shares.into_iter().fold(0.0, |largest, (p, q)| (p - q).abs().max(largest))
}

/// |P − Q| of the cumulative shares up to and with each bin.
fn cumulative_gaps(reference: &[u64], current: &[u64]) -> Vec<f64> {
    let mut gap = 0.0;
    let shares = shares(reference, current).unwrap_or_default();
    shares
        .into_iter()
        .map(|(p, q)| {
            gap += p - q;
            f64::abs(gap)
        })
        .collect()
}

/// Kolmogorov-Smirnov distance at the edges of ordered bins: at most the exact one.
#[must_use]
pub fn kolmogorov_smirnov(reference: &[u64], current: &[u64]) -> f64 {
    cumulative_gaps(reference, current).into_iter().fold(0.0, f64::max)
}

/// Wasserstein-1 distance Σ |P − Q| × (distance to the next bin), with the rows of bin i at
/// `positions[i]`, ascending. Bins without position are left out.
#[must_use]
pub fn wasserstein(reference: &[u64], current: &[u64], positions: &[f64]) -> f64 {
    let gaps = cumulative_gaps(reference, current);
    gaps.iter().zip(positions.windows(2)).map(|(gap, pair)| gap * (pair[1] - pair[0])).sum()
}

/// A chi-square test's outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    /// The statistic.
    pub statistic: f64,
    /// Degrees of freedom.
    pub degrees: f64,
    /// P(at least this statistic, if nothing has changed).
    pub p_value: f64,
}

impl ChiSquare {
    #[allow(clippy::cast_precision_loss)]
    fn new(statistic: f64, bins: usize) -> Self {
        let degrees = bins.saturating_sub(1) as f64;
        let p_value = if degrees > 0.0 { survival(statistic, degrees, 0.0) } else { 1.0 };
        Self { statistic, degrees, p_value }
    }
}

/// Two-sample chi-square test: Σ (c √(m/n) − r √(n/m))² / (c + r) over occupied bins.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn chi_square(reference: &[u64], current: &[u64]) -> ChiSquare {
    let (m, n) = (total(reference), total(current));
    if m == 0.0 || n == 0.0 {
        return ChiSquare::new(0.0, 0);
    }
    let occupied: Vec<(f64, f64)> =
        pairs(reference, current).filter(|(r, c)| *r > 0 || *c > 0).map(|(r, c)| (r as f64, c as f64)).collect();
    let (to_current, to_reference) = ((m / n).sqrt(), (n / m).sqrt());
    let terms = occupied.iter().map(|(r, c)| {
        let gap = c * to_current - r * to_reference;
        gap * gap / (c + r)
    });
    ChiSquare::new(terms.sum(), occupied.len())
}

/// The same with Yates' correction for continuity, for two bins: each count moves by at most half a
/// row towards what is expected.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn chi_square_corrected(reference: &[u64], current: &[u64]) -> ChiSquare {
    let (m, n) = (total(reference), total(current));
    if m == 0.0 || n == 0.0 {
        return ChiSquare::new(0.0, 0);
    }
    let occupied: Vec<(f64, f64)> =
        pairs(reference, current).filter(|(r, c)| *r > 0 || *c > 0).map(|(r, c)| (r as f64, c as f64)).collect();
    let terms = occupied.iter().map(|(r, c)| {
        let expected = (c + r) * n / (m + n);
        let gap = ((c - expected).abs() - 0.5).max(0.0);
        // Of both samples: the reference's gap is as large.
        gap * gap / expected + gap * gap / (c + r - expected)
    });
    ChiSquare::new(terms.sum(), occupied.len())
}

/// Share of rows in the last bin, *missing* in every layout of `profile`; 0 without rows.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn missing_share(counts: &[u64]) -> f64 {
    let rows = total(counts);
    if rows == 0.0 { 0.0 } else { counts.last().copied().unwrap_or(0) as f64 / rows }
}

/// Share of current rows in bins where the reference has none: numbers out of its range,
/// categories it has never seen; 0 without rows of either.
#[must_use]
pub fn unseen_share(reference: &[u64], current: &[u64]) -> f64 {
    sum_over(reference, current, |p, q| if p == 0.0 { q } else { 0.0 })
}

/// Goodness of fit of the current rows to the reference's shares, as if those were exact (what
/// Evidently does; for comparison only). Bins the reference has never seen are left out.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn goodness_of_fit(reference: &[u64], current: &[u64]) -> ChiSquare {
    let (m, n) = (total(reference), total(current));
    if m == 0.0 || n == 0.0 {
        return ChiSquare::new(0.0, 0);
    }
    let expected: Vec<(f64, f64)> =
        pairs(reference, current).filter(|(r, _)| *r > 0).map(|(r, c)| (r as f64 * n / m, c as f64)).collect();
    let statistic = expected.iter().map(|(e, c)| (c - e) * (c - e) / e).sum();
    ChiSquare::new(statistic, expected.len())
}

#[cfg(test)]
#[path = "distance_tests.rs"]
mod tests;
