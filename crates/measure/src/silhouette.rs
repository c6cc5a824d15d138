//! The silhouette of a sample of rows: how much nearer a row is to its own cluster than to the next.

use crate::interval::{self, Estimate};
use std::collections::BTreeMap;

/// Silhouette of every row (P. J. Rousseeuw, Journal of Computational and Applied Mathematics 20, 1987):
/// (b − a) / max(a, b), where a is the mean distance from the other rows of its cluster and b the least mean
/// distance from the rows of another. A row that is alone in its cluster has 0. `None` unless there are at
/// least two clusters, and fewer than rows, as scikit-learn has it.
#[must_use]
pub fn silhouettes(clusters: &[u32], distance: impl Fn(usize, usize) -> f64) -> Option<Vec<f64>> {
    let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
    for cluster in clusters {
        *sizes.entry(*cluster).or_default() += 1;
    }
    if sizes.len() < 2 || sizes.len() >= clusters.len() {
        return None;
    }
    let of_row = |(row, own): (usize, &u32)| {
        let mut sums: BTreeMap<u32, f64> = BTreeMap::new();
        for (other, cluster) in clusters.iter().enumerate().filter(|(other, _)| *other != row) {
            *sums.entry(*cluster).or_default() += distance(row, other);
        }
        #[allow(clippy::cast_precision_loss)]
        let mean = |(cluster, sum): (&u32, &f64)| {
            let rows = sizes.get(cluster).copied().unwrap_or(1) - usize::from(cluster == own);
            sum / rows.max(1) as f64
        };
        let Some(within) = sums.get_key_value(own).map(mean) else { return 0.0 };
        let next = sums.iter().filter(|(cluster, _)| *cluster != own).map(mean).fold(f64::INFINITY, f64::min);
        let larger = within.max(next);
        if larger > 0.0 { (next - within) / larger } else { 0.0 }
    };
    Some(clusters.iter().enumerate().map(of_row).collect())
}

/// Mean silhouette of rows of a sample, by Euclidean distance between their vectors, and what it is worth
/// for rows like them: the normal interval of a mean. `None` as in [`silhouettes`], and where a distance
/// is no number.
#[must_use]
pub fn silhouette(clusters: &[u32], vectors: &[&[f32]]) -> Option<Estimate> {
    let distance = |a: usize, b: usize| {
        let (Some(a), Some(b)) = (vectors.get(a), vectors.get(b)) else { return f64::NAN };
        let squares = a.iter().zip(*b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let found = silhouettes(clusters, distance)?;
    let rows = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let (sum, squares) = found.iter().fold((0.0, 0.0), |(sum, squares), s| (sum + s, squares + s * s));
    interval::mean(rows, sum, squares).filter(|mean| mean.value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::{silhouette, silhouettes};

    /// Dissimilarities of twelve countries: Rousseeuw 1987, table 1, below the diagonal, in the order Belgium,
    /// Brazil, China, Cuba, Egypt, France, India, Israel, United States, Soviet Union, Yugoslavia, Zaire.
    const COUNTRIES: [&[f64]; 12] = [
        &[],
        &[5.58],
        &[7.00, 6.50],
        &[7.08, 7.00, 3.83],
        &[4.83, 5.08, 8.17, 5.83],
        &[2.17, 5.75, 6.67, 6.92, 4.92],
        &[6.42, 5.00, 5.58, 6.00, 4.67, 6.42],
        &[3.42, 5.50, 6.42, 6.42, 5.00, 3.92, 6.17],
        &[2.50, 4.92, 6.25, 7.33, 4.50, 2.25, 6.33, 2.75],
        &[6.08, 6.67, 4.25, 2.67, 6.00, 6.17, 6.17, 6.92, 6.17],
        &[5.25, 6.83, 4.50, 3.75, 5.75, 5.42, 6.08, 5.83, 6.67, 3.67],
        &[4.75, 3.00, 6.08, 6.67, 5.00, 5.58, 4.83, 6.17, 5.67, 6.50, 6.92],
    ];

    /// The paper's figures 2 and 3, to two digits.
    #[test]
    fn rousseeuw_s_countries() {
        for (clusters, expected, mean) in [
            (
                [1, 1, 2, 2, 1, 1, 2, 1, 1, 2, 2, 1],
                [0.39, 0.22, 0.33, 0.40, 0.20, 0.35, -0.04, 0.30, 0.43, 0.34, 0.26, 0.19],
                0.28,
            ),
            (
                [1, 2, 3, 3, 1, 1, 2, 1, 1, 3, 3, 2],
                [0.42, 0.25, 0.31, 0.48, 0.02, 0.44, 0.17, 0.37, 0.47, 0.44, 0.31, 0.28],
                0.33,
            ),
        ] {
            let found = silhouettes(&clusters, |a, b| COUNTRIES[a.max(b)][a.min(b)]).unwrap();
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() <= 0.005 + 1e-9, "{found}, expected {expected}");
            }
            let average = found.iter().sum::<f64>() / 12.0;
            assert!((average - mean).abs() <= 0.005, "{average}, expected {mean}");
        }
    }

    #[test]
    fn what_has_no_silhouette_has_none() {
        let far: Vec<Vec<f32>> = (0..6).map(|i| vec![i as f32 * 10.0, 1.0]).collect();
        let vectors: Vec<&[f32]> = far.iter().map(Vec::as_slice).collect();
        assert_eq!(silhouette(&[], &[]), None);
        assert_eq!(silhouette(&[3; 6], &vectors), None, "one cluster");
        assert_eq!(silhouette(&[0, 1, 2, 3, 4, 5], &vectors), None, "as many as rows");
        assert_eq!(silhouette(&[0, 0, 0, 1, 1, 1], &vectors[..4]), None, "rows without a vector");
        // Alone in a cluster: 0, and the mean of the others.
        let found = silhouette(&[0, 0, 0, 0, 0, 1], &vectors).unwrap();
        assert!(found.value > -1.0 && found.low < Some(found.value), "{found:?}");
        let same: Vec<&[f32]> = vec![&[1.0, 1.0]; 4];
        assert_eq!(silhouette(&[0, 0, 1, 1], &same).map(|s| s.value), Some(0.0));
    }
}
