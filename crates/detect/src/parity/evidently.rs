//! Evidently 0.7.23: `legacy/calculations/stattests`.

use super::histogram::{counts, mean_and_deviation, sturges};
use super::{keys, sorted, union};
use crate::chi_square::survival;
use crate::distance::{self, total};
use crate::sample;
use serde::{Deserialize, Serialize};

/// Reference rows above which distances replace tests.
const SMALL_REFERENCE: usize = 1000;
/// Distinct reference values above which a number is binned.
const DISCRETE_MAX: usize = 20;
/// Share of drifted columns at which the data set counts as drifted.
pub const DATASET_SHARE: f64 = 0.5;

/// Which rule was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rule {
    /// Two-sample Kolmogorov-Smirnov test, alarm at p ≤ 0.05.
    KolmogorovSmirnov,
    /// Goodness of fit to the reference's shares, alarm at p < 0.05.
    ChiSquare,
    /// Difference of two proportions, alarm at p < 0.05.
    Proportions,
    /// Wasserstein distance over the reference's standard deviation, alarm at 0.1.
    Wasserstein,
    /// Jensen-Shannon distance with natural logarithms, alarm at 0.1.
    JensenShannon,
}

/// What Evidently says of one column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The rule it chose, by the size of the reference and the number of distinct values.
    pub rule: Rule,
    /// A p value or a distance.
    pub score: f64,
    /// Whether the column counts as drifted.
    pub drifted: bool,
}

impl Verdict {
    fn new(rule: Rule, score: f64) -> Self {
        let drifted = match rule {
            Rule::KolmogorovSmirnov => score <= 0.05,
            Rule::ChiSquare | Rule::Proportions => score < 0.05,
            Rule::Wasserstein | Rule::JensenShannon => score >= 0.1,
        };
        Self { rule, score, drifted }
    }
}

/// The default rule for a numeric column. Values that are not finite are left out.
#[must_use]
pub fn numeric(reference: &[f64], current: &[f64]) -> Verdict {
    let (old, new) = union(&keys(reference), &keys(current));
    let rows = sorted(reference).len();
    match (rows <= SMALL_REFERENCE, old.len()) {
        (true, 0..=2) => Verdict::new(Rule::Proportions, proportions(&old, &new)),
        (true, 3..=5) => Verdict::new(Rule::ChiSquare, chi_square(&old, &new)),
        (true, _) => Verdict::new(Rule::KolmogorovSmirnov, sample::ks_test(reference, current).p_value),
        (false, 0..=5) => Verdict::new(Rule::JensenShannon, distance::jensen_shannon_natural(&old, &new)),
        (false, _) => Verdict::new(Rule::Wasserstein, wasserstein(reference, current)),
    }
}

/// The default rule for a category.
#[must_use]
pub fn category<T: Ord>(reference: &[T], current: &[T]) -> Verdict {
    let (old, new) = union(reference, current);
    match (reference.len() <= SMALL_REFERENCE, old.len()) {
        (true, 0..=2) => Verdict::new(Rule::Proportions, proportions(&old, &new)),
        (true, _) => Verdict::new(Rule::ChiSquare, chi_square(&old, &new)),
        (false, _) => Verdict::new(Rule::JensenShannon, distance::jensen_shannon_natural(&old, &new)),
    }
}

/// Counts in Evidently's bins of a number: Sturges' edges over both samples together, so that the
/// bins move with the data; at most 20 distinct reference values are bins of their own.
#[must_use]
pub fn binned(reference: &[f64], current: &[f64]) -> (Vec<u64>, Vec<u64>) {
    let (old, new) = (sorted(reference), sorted(current));
    if old.chunk_by(|a, b| a == b).count() <= DISCRETE_MAX {
        return union(&keys(reference), &keys(current));
    }
    let edges = sturges(&[old.as_slice(), new.as_slice()].concat());
    (counts(&old, &edges), counts(&new, &edges))
}

/// Shares with Evidently's zero rule: an empty bin counts as 1e-4, or as a millionth of the least
/// share that is not empty where that is at most 1e-4.
fn filled_shares(counts: &[u64]) -> Vec<f64> {
    let all = total(counts);
    let shares: Vec<f64> = counts.iter().map(|c| *c as f64 / all).collect();
    let least = shares.iter().copied().filter(|share| *share > 0.0).fold(f64::INFINITY, f64::min);
    let filler = if least <= 0.0001 { least / 1e6 } else { 0.0001 };
    shares.into_iter().map(|share| if share == 0.0 { filler } else { share }).collect()
}

fn over_shares(reference: &[u64], current: &[u64], term: impl Fn(f64, f64) -> f64) -> f64 {
    if total(reference) == 0.0 || total(current) == 0.0 {
        return 0.0;
    }
    filled_shares(reference).into_iter().zip(filled_shares(current)).map(|(p, q)| term(p, q)).sum()
}

/// Population stability index by Evidently's zero rule; counts bin by bin.
#[must_use]
pub fn psi(reference: &[u64], current: &[u64]) -> f64 {
    over_shares(reference, current, |p, q| (p - q) * libm::log(p / q))
}

/// Kullback-Leibler divergence of the reference from the current rows, by the zero rule.
#[must_use]
pub fn kullback_leibler(reference: &[u64], current: &[u64]) -> f64 {
    // The filler makes the shares sum to more than 1; scipy's entropy divides by their sums.
    let sum = |counts| filled_shares(counts).into_iter().sum::<f64>();
    let (p_sum, q_sum) = (sum(reference), sum(current));
    over_shares(reference, current, |p, q| p / p_sum * libm::log(p / p_sum / (q / q_sum)))
}

/// Hellinger distance of a number: Sturges' edges over the *distinct* values, densities.
#[must_use]
pub fn hellinger(reference: &[f64], current: &[f64]) -> f64 {
    let mut distinct = sorted(&[reference, current].concat());
    distinct.dedup();
    let edges = sturges(&distinct);
    distance::hellinger(&counts(&sorted(reference), &edges), &counts(&sorted(current), &edges))
}

/// Wasserstein distance over the reference's population standard deviation, at least 0.001.
#[must_use]
pub fn wasserstein(reference: &[f64], current: &[f64]) -> f64 {
    let (_, deviation) = mean_and_deviation(&sorted(reference));
    sample::wasserstein(reference, current) / deviation.max(0.001)
}

/// p value of the goodness of fit to the reference's shares; 0 where a category was never seen in
/// the reference.
#[must_use]
pub fn chi_square(reference: &[u64], current: &[u64]) -> f64 {
    if reference.iter().zip(current).any(|(r, c)| *r == 0 && *c > 0) {
        return 0.0;
    }
    distance::goodness_of_fit(reference, current).p_value
}

/// p value of the difference of two proportions, of all but the first value; 1 where both samples
/// hold one value only.
#[must_use]
pub fn proportions(reference: &[u64], current: &[u64]) -> f64 {
    let (m, n) = (total(reference), total(current));
    let rest = |counts: &[u64]| total(counts.get(1..).unwrap_or(&[]));
    let (r, c) = (rest(reference), rest(current));
    let pooled = (r + c) / (m + n);
    let variance = pooled * (1.0 - pooled) * (1.0 / m + 1.0 / n);
    if m == 0.0 || n == 0.0 || variance <= 0.0 {
        return 1.0;
    }
    let gap = r / m - c / n;
    // The square of a standard normal variable is chi-square.
    survival(gap * gap / variance, 1.0, 0.0)
}
