//! Rows of a slice that stand for all of them, as the model sees them.

use domain::Fingerprint;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Rows of a sample, at most.
pub const ROWS_MAX: usize = 128;
/// And at least: fewer say nothing about how far clusters lie apart.
pub const ROWS_MIN: usize = 16;
/// Numbers of a sample of up to 512 features: 32 KiB in a record of the journal; of more features it has
/// the least rows, and is larger.
const NUMBERS_MAX: usize = 8_192;
/// Features of which there are samples, at most: the least rows of as many take 500 KB, half of what the
/// journal takes in a record.
const FEATURES_MAX: usize = 7_500;

/// A row as the model sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vector {
    /// The cluster it was put into.
    pub cluster: u32,
    /// Its prepared features.
    pub features: Vec<f32>,
}

/// The rows with the smallest fingerprints of their ids: a fair sample, which panes, partitions and replicas
/// merge to the same one, however they were cut.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample(BTreeMap<Fingerprint, Vector>);

/// Rows that a sample of so many features has at most; 0 where there is none, as they are too many.
#[must_use]
pub fn rows_max(features: usize) -> usize {
    let rows = (NUMBERS_MAX / features.max(1)).clamp(ROWS_MIN, ROWS_MAX);
    if features > FEATURES_MAX { 0 } else { rows }
}

impl Sample {
    /// Whether a row with this fingerprint would stay in a sample of so many.
    #[must_use]
    pub fn takes(&self, id: Fingerprint, rows_max: usize) -> bool {
        self.0.len() < rows_max || self.0.last_key_value().is_some_and(|(last, _)| id <= *last)
    }

    /// Adds a row to at most so many. Of an event that was sent twice one stands, whichever came first.
    pub fn add(&mut self, id: Fingerprint, row: Vector, rows_max: usize) {
        if !self.takes(id, rows_max) {
            return;
        }
        let stands = self.0.get(&id).is_some_and(|known| order(known, &row).is_le());
        if !stands {
            self.0.insert(id, row);
        }
        while self.0.len() > rows_max {
            self.0.pop_last();
        }
    }

    /// Adds the other's rows; of them all at most so many as `rows_max` says of their number of features
    /// stay.
    pub fn merge(&mut self, other: Self, rows_max: impl Fn(usize) -> usize) {
        for (id, row) in other.0 {
            let rows_max = rows_max(row.features.len());
            self.add(id, row, rows_max);
        }
    }

    /// Rows by rising fingerprint.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Vector> {
        self.0.values()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Any order will do, if it is always the same.
fn order(a: &Vector, b: &Vector) -> Ordering {
    let bits = |row: &Vector| row.features.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    a.cluster.cmp(&b.cluster).then_with(|| bits(a).cmp(&bits(b)))
}

#[cfg(test)]
mod tests {
    use super::{Sample, Vector, rows_max};
    use domain::fingerprint;

    fn sample(numbers: impl Iterator<Item = u32>) -> Sample {
        let mut sample = Sample::default();
        for number in numbers {
            let row = Vector { cluster: number % 3, features: vec![number as f32; 4] };
            sample.add(fingerprint(number.to_string().as_bytes()), row, 128);
        }
        sample
    }

    #[test]
    fn any_cut_and_order_gives_the_same_sample() {
        let whole = sample(0..1_000);
        let mut parts = sample((500..1_000).rev());
        parts.merge(sample((0..600).rev()), rows_max);
        assert_eq!(parts, whole);
        assert_eq!((whole.rows().len(), parts.is_empty()), (128, false));
        // The same event with other values: one stands, whichever came first.
        let twice = |order: [u32; 2]| {
            let mut sample = Sample::default();
            let row = |cluster| Vector { cluster, features: vec![1.0] };
            order.into_iter().for_each(|cluster| sample.add(fingerprint(b"e"), row(cluster), 2));
            sample
        };
        assert_eq!(twice([1, 2]), twice([2, 1]));
        assert_eq!(twice([1, 2]).rows().len(), 1);
        // A sample of fewer is the beginning of it; of none, nothing.
        let fewer = |rows: usize| {
            let mut sample = Sample::default();
            sample.merge(whole.clone(), |_| rows);
            sample
        };
        assert!(fewer(20).rows().eq(whole.rows().take(20)));
        assert_eq!(fewer(20).rows().len(), 20);
        assert!(fewer(0).is_empty());
    }

    #[test]
    fn rows_of_many_features_are_fewer() {
        assert_eq!([0, 1, 64, 100, 512, 7_500, 7_501].map(rows_max), [128, 128, 128, 81, 16, 16, 0]);
    }
}
