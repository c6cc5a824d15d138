//! Equal-width bins by numpy's rules.

use super::sorted;

/// Most bins between two edges; numpy would take any number.
const BINS_MAX: f64 = 1e6;

/// Edges of `bins` equal bins over the values; around a single value, a width of 1; over none, 0 to 1.
#[must_use]
pub fn equal_edges(values: &[f64], bins: usize) -> Vec<f64> {
    let values = sorted(values);
    let (low, high) = match (values.first(), values.last()) {
        (Some(low), Some(high)) if low < high => (*low, *high),
        (Some(only), Some(_)) => (only - 0.5, only + 0.5),
        _ => (0.0, 1.0),
    };
    let bins = bins.max(1);
    let step = (high - low) / bins as f64;
    (0..bins).map(|i| i as f64 * step + low).chain(std::iter::once(high)).collect()
}

/// Edges by Sturges' rule: log2(n) + 1 bins, rounded up.
#[must_use]
pub fn sturges(values: &[f64]) -> Vec<f64> {
    let finite = sorted(values);
    equal_edges(&finite, count(&finite, libm::log2(finite.len() as f64) + 1.0))
}

/// Edges by Doane's rule: more bins than Sturges' where the values are skewed.
#[must_use]
pub fn doane(values: &[f64]) -> Vec<f64> {
    let finite = sorted(values);
    let n = finite.len() as f64;
    let (mean, deviation) = mean_and_deviation(&finite);
    if n <= 2.0 || deviation <= 0.0 {
        return equal_edges(&finite, 1);
    }
    let cubes = finite.iter().map(|x| (x - mean) / deviation).map(|z| z * z * z);
    let skewness = cubes.sum::<f64>() / n;
    let error = (6.0 * (n - 2.0) / ((n + 1.0) * (n + 3.0))).sqrt();
    equal_edges(&finite, count(&finite, 1.0 + libm::log2(n) + libm::log2(1.0 + skewness.abs() / error)))
}

/// The range over the width, rounded up, as numpy divides: the width being range / `parts`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Bounded just before.
fn count(sorted: &[f64], parts: f64) -> usize {
    let range = match (sorted.first(), sorted.last()) {
        (Some(low), Some(high)) => high - low,
        _ => 0.0,
    };
    let width = range / parts;
    if width > 0.0 { (range / width).ceil().min(BINS_MAX) as usize } else { 1 }
}

/// Counts between edges, each bin with its lower edge, the last with both. What lies outside is
/// counted nowhere.
#[must_use]
pub fn counts(values: &[f64], edges: &[f64]) -> Vec<u64> {
    let bins = edges.len().saturating_sub(1);
    let mut counts = vec![0; bins];
    for x in values {
        let above = edges.partition_point(|edge| edge <= x);
        let bin = if edges.last() == Some(x) { bins.checked_sub(1) } else { above.checked_sub(1) };
        if let Some(count) = bin.and_then(|bin| counts.get_mut(bin)) {
            *count += 1;
        }
    }
    counts
}

/// Mean and population standard deviation; 0 of nothing.
#[must_use]
pub fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    if n == 0.0 {
        return (0.0, 0.0);
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|x| (x - mean) * (x - mean));
    (mean, (squares.sum::<f64>() / n).sqrt())
}
