//! Sums of a clustering: how near rows are to their centroids, and how much nearer than to others.

use crate::interval::{self, Estimate};
use crate::loss::ambiguity;
use crate::sums::{Moments, unit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Squared distances are clamped to 2^39, so that their squares stay below the largest term of a
/// fixed-point sum.
const SQUARE_MAX: f64 = 549_755_813_888.0;

/// Sums of a clustering: Σd² with d the distance from a row's centroid, in units of the prepared
/// features, and Σs with s the simplified silhouette, 1 − d / (distance from the next centroid).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clustering {
    rows: i64,
    square: Moments,
    silhouette: Moments,
}

impl Clustering {
    /// Adds (+1) or takes out (−1) a row: cluster, own distance and the next one. What is no number counts
    /// as the farthest, with a silhouette of 0.
    pub(crate) fn add(&mut self, score: &[f64], sign: i64) {
        let own = score.get(1).copied().unwrap_or(f64::NAN);
        let square = own * own;
        let ambiguity = ambiguity(score);
        self.rows = self.rows.saturating_add(unit(sign));
        self.square.add(if square.is_nan() { SQUARE_MAX } else { square.min(SQUARE_MAX) }, sign);
        self.silhouette.add(if ambiguity.is_nan() { 0.0 } else { 1.0 - ambiguity.clamp(0.0, 1.0) }, sign);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.square.merge(&other.square);
        self.silhouette.merge(&other.silhouette);
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.rows
    }

    fn mean(&self, of: &Moments) -> Option<Estimate> {
        interval::mean(self.rows, of.sum.to_f64(), of.squares.to_f64())
    }

    pub(crate) fn mean_loss(&self) -> Option<f64> {
        self.mean(&self.silhouette).map(|silhouette| 1.0 - silhouette.value)
    }

    pub(crate) fn metrics(&self) -> BTreeMap<String, Estimate> {
        let silhouette = self.mean(&self.silhouette);
        let turned = |end: Option<f64>| end.map(|end| 1.0 - end);
        let loss = silhouette.map(|s| Estimate { value: 1.0 - s.value, low: turned(s.high), high: turned(s.low) });
        interval::named(vec![
            ("ambiguity", loss),
            ("inertia", self.mean(&self.square)),
            ("silhouette_simplified", silhouette),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::Clustering;

    fn of(rows: &[[f64; 3]]) -> Clustering {
        let mut sums = Clustering::default();
        rows.iter().for_each(|row| sums.add(row, 1));
        sums
    }

    #[test]
    fn inertia_and_silhouette_are_means_over_rows() {
        let sums = of(&[[0.0, 1.0, 2.0], [1.0, 2.0, 2.0], [1.0, 0.0, 3.0], [0.0, f64::NAN, 1.0]]);
        // By hand, but for the last row, which is as far as can be.
        let mut known = sums.clone();
        known.add(&[0.0, f64::NAN, 1.0], -1);
        let found = known.metrics();
        assert!((found["inertia"].value - 5.0 / 3.0).abs() < 1e-9, "{found:?}");
        assert!((found["silhouette_simplified"].value - 0.5).abs() < 1e-9, "{found:?}");
        assert!((known.mean_loss().unwrap() - 0.5).abs() < 1e-9);
        let (loss, silhouette) = (found["ambiguity"], found["silhouette_simplified"]);
        assert!((loss.value - 0.5).abs() < 1e-9 && (loss.low.unwrap() + silhouette.high.unwrap() - 1.0).abs() < 1e-9);
        assert!(sums.metrics()["inertia"].value > 1e11);
        assert!(Clustering::default().metrics().is_empty());
    }

    #[test]
    fn any_cut_gives_the_same_sums_and_what_is_taken_out_leaves_no_trace() {
        let rows: Vec<[f64; 3]> =
            (0..100).map(|i| [f64::from(i % 4), f64::from(i) / 7.0, f64::from(i) / 7.0 + 0.3]).collect();
        let mut parts = of(&rows[60..]);
        parts.merge(&of(&rows[..60]));
        assert_eq!(parts, of(&rows));
        rows.iter().for_each(|row| parts.add(row, -1));
        assert!(parts.is_empty());
    }
}
