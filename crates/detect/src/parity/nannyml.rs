//! NannyML 0.13.1: `drift/univariate/methods.py` and `thresholds.py`.

use super::histogram::{counts, doane, equal_edges, mean_and_deviation};
use super::{sorted, union};
use crate::distance::{self, ChiSquare};
use crate::sample;

/// Reference rows from which distances are taken over bins instead of the sample.
const LARGE_REFERENCE: usize = 10_000;
/// Bins over the range of a large reference.
const BINS: usize = 10_000;

/// Counts in NannyML's bins of a number: Doane's edges over the reference, and one bin for all
/// current rows outside of them.
#[must_use]
pub fn binned(reference: &[f64], current: &[f64]) -> (Vec<u64>, Vec<u64>) {
    let (old, new) = (sorted(reference), sorted(current));
    let edges = doane(&old);
    with_leftover(counts(&old, &edges), counts(&new, &edges), new.len())
}

/// Counts of the reference's categories, and one bin for all others.
#[must_use]
pub fn categories<T: Ord>(reference: &[T], current: &[T]) -> (Vec<u64>, Vec<u64>) {
    let (old, new) = union(reference, current);
    let known: (Vec<u64>, Vec<u64>) = old.into_iter().zip(new).filter(|(r, _)| *r > 0).unzip();
    with_leftover(known.0, known.1, current.len())
}

fn with_leftover(mut old: Vec<u64>, mut new: Vec<u64>, rows: usize) -> (Vec<u64>, Vec<u64>) {
    let rest = (rows as u64).saturating_sub(new.iter().sum());
    if rest > 0 {
        old.push(0);
        new.push(rest);
    }
    (old, new)
}

/// Jensen-Shannon distance to base 2 of a number.
#[must_use]
pub fn jensen_shannon(reference: &[f64], current: &[f64]) -> f64 {
    let (old, new) = binned(reference, current);
    distance::jensen_shannon(&old, &new)
}

/// Hellinger distance of a number.
#[must_use]
pub fn hellinger(reference: &[f64], current: &[f64]) -> f64 {
    let (old, new) = binned(reference, current);
    distance::hellinger(&old, &new)
}

/// L-infinity distance of a category.
#[must_use]
pub fn l_infinity<T: Ord>(reference: &[T], current: &[T]) -> f64 {
    let (old, new) = union(reference, current);
    distance::l_infinity(&old, &new)
}

/// Contingency test of a category; alarm at p < 0.05. With two values, Yates' correction as
/// scipy applies it by default.
#[must_use]
pub fn chi_square<T: Ord>(reference: &[T], current: &[T]) -> ChiSquare {
    let (old, new) = union(reference, current);
    if old.len() == 2 { distance::chi_square_corrected(&old, &new) } else { distance::chi_square(&old, &new) }
}

/// Kolmogorov-Smirnov statistic: exact below 10,000 reference rows, else at the edges of 10,000
/// equal bins over the reference's range.
#[must_use]
pub fn kolmogorov_smirnov(reference: &[f64], current: &[f64]) -> f64 {
    let (old, new) = (sorted(reference), sorted(current));
    if old.len() < LARGE_REFERENCE {
        return sample::ks_statistic(&old, &new);
    }
    let gaps = cumulative_gaps(&old, &new, &equal_edges(&old, BINS), below(&old, &new));
    gaps.into_iter().fold(0.0, f64::max)
}

/// Wasserstein distance: exact below 10,000 reference rows, else over 10,000 equal bins, with
/// NannyML's terms for the tails.
#[must_use]
pub fn wasserstein(reference: &[f64], current: &[f64]) -> f64 {
    let (old, new) = (sorted(reference), sorted(current));
    let (Some(&low), Some(&high), false) = (old.first(), old.last(), new.is_empty()) else { return 0.0 };
    if old.len() < LARGE_REFERENCE {
        return sample::wasserstein(&old, &new);
    }
    let rows = new.len() as f64;
    let edges = equal_edges(&old, BINS);
    let smaller: Vec<f64> = new.iter().copied().take_while(|x| *x < low).chain(std::iter::once(low)).collect();
    let bigger: Vec<f64> = std::iter::once(high).chain(new.iter().copied().filter(|x| *x > high)).collect();
    // Each tail is weighted with one row more than it has; an empty one weighs nothing.
    let weight = |tail: &[f64]| if tail.len() > 1 { tail.len() as f64 / rows } else { 0.0 };
    let tail = |tail: &[f64], share: fn(f64) -> f64| -> f64 {
        let length = tail.len() as f64;
        let steps = tail.iter().zip(tail.iter().skip(1)).enumerate();
        steps.map(|(i, (x, next))| share((i + 1) as f64 / length) * (next - x)).sum()
    };
    let width = edges.iter().zip(edges.iter().skip(1)).map(|(a, b)| b - a).next().unwrap_or(0.0);
    let inner: f64 = cumulative_gaps(&old, &new, &edges, weight(&smaller)).into_iter().sum();
    let lower = tail(&smaller, |share| share) * weight(&smaller);
    let upper = tail(&bigger, |share| 1.0 - share) * weight(&bigger);
    inner * width + lower + upper
}

/// Share of current rows below the reference's least.
fn below(old: &[f64], new: &[f64]) -> f64 {
    let low = old.first().copied().unwrap_or(f64::NEG_INFINITY);
    new.partition_point(|x| *x < low) as f64 / (new.len() as f64).max(1.0)
}

/// |P − Q| at the upper edge of each bin, Q beginning with a share `below` the first edge.
fn cumulative_gaps(old: &[f64], new: &[f64], edges: &[f64], below: f64) -> Vec<f64> {
    let (m, n) = (old.len() as f64, (new.len() as f64).max(1.0));
    let (mut p, mut q) = (0.0, 0.0);
    let bins = counts(old, edges).into_iter().zip(counts(new, edges));
    bins.map(|(r, c)| {
        p += r as f64 / m;
        q += c as f64 / n;
        f64::abs(p - (q + below))
    })
    .collect()
}

/// NannyML's band around a statistic: mean ± 3 population standard deviations over the reference
/// chunks. Below for a distance no alarm is raised: its lower limit is 0.
#[must_use]
pub fn thresholds(reference_chunks: &[f64]) -> (f64, f64) {
    let (mean, deviation) = mean_and_deviation(reference_chunks);
    (mean - 3.0 * deviation, mean + 3.0 * deviation)
}
