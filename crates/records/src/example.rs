//! Events that stand for others: what an alert names, and how wrong they turned out.

use domain::Fingerprint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Events of a slice and champion that are kept as examples.
pub const EXAMPLES_MAX: usize = 32;
/// A longer id is no example.
pub const EXAMPLE_ID_BYTES_MAX: usize = 128;

/// An event, and where it is in the profile of its slice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Example {
    /// Its id.
    pub id: String,
    /// Its bin of each column of the reference.
    pub bins: Vec<u16>,
    /// The profiled segments that it is in, `name=value`.
    pub segments: Vec<String>,
}

impl Example {
    /// Puts it in a sample, which keeps the smallest fingerprints; of two with the same one, as events
    /// have that were sent twice, the smaller, whichever came first.
    pub fn keep_in(self, sample: &mut BTreeMap<Fingerprint, Self>, fingerprint: Fingerprint) {
        match sample.entry(fingerprint) {
            Entry::Occupied(mut known) if self < *known.get() => drop(known.insert(self)),
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => drop(place.insert(self)),
        }
        if sample.len() > EXAMPLES_MAX {
            sample.pop_last();
        }
    }
}

/// Losses of the labelled rows of a slice and version that have the smallest fingerprints: where all rows
/// are labelled, those of the examples. What is added and taken out again sums up to nothing, in whatever order and
/// however panes were cut; an id that was ever named keeps its place, or the order would show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses(BTreeMap<Fingerprint, BTreeMap<u64, i64>>);

impl Losses {
    /// Whether a row with this fingerprint would be among them.
    #[must_use]
    pub fn takes(&self, fingerprint: Fingerprint) -> bool {
        self.last_of_full().is_none_or(|last| fingerprint <= last)
    }

    /// The greatest fingerprint, where there are as many as are kept: a greater one will never be.
    #[must_use]
    pub fn last_of_full(&self) -> Option<Fingerprint> {
        self.0.last_key_value().filter(|_| self.0.len() >= EXAMPLES_MAX).map(|(last, _)| *last)
    }

    /// Adds (1) or takes out (−1) a row's loss.
    pub fn add(&mut self, fingerprint: Fingerprint, loss: f64, sign: i64) {
        if !self.takes(fingerprint) {
            return;
        }
        let of_row = self.0.entry(fingerprint).or_default();
        let rows = of_row.entry(loss.to_bits()).or_default();
        *rows = rows.saturating_add(sign);
        if *rows == 0 {
            of_row.remove(&loss.to_bits());
        }
        if self.0.len() > EXAMPLES_MAX {
            self.0.pop_last();
        }
    }

    /// Adds the other's.
    pub fn merge(&mut self, other: &Self) {
        for (fingerprint, of_row) in &other.0 {
            let ours = self.0.entry(*fingerprint).or_default();
            for (loss, more) in of_row {
                let rows = ours.entry(*loss).or_default();
                *rows = rows.saturating_add(*more);
                if *rows == 0 {
                    ours.remove(loss);
                }
            }
        }
        while self.0.len() > EXAMPLES_MAX {
            self.0.pop_last();
        }
    }

    /// Rows with their losses, the greatest loss first, of equals the smaller fingerprint.
    #[must_use]
    pub fn worst_first(&self) -> Vec<(Fingerprint, f64)> {
        let of_row = |(fingerprint, of_row): (&Fingerprint, &BTreeMap<u64, i64>)| {
            let counted = of_row.iter().filter(|(_, rows)| **rows > 0).map(|(loss, _)| f64::from_bits(*loss));
            counted.max_by(f64::total_cmp).map(|loss| (*fingerprint, loss))
        };
        let mut found: Vec<(Fingerprint, f64)> = self.0.iter().filter_map(of_row).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{EXAMPLES_MAX, Example, Losses};
    use std::collections::BTreeMap;

    #[test]
    fn a_sample_is_the_same_in_whatever_order_events_come() {
        let event = |number: u128| Example { id: format!("{}", number % 100), bins: vec![0], segments: Vec::new() };
        // Every fingerprint comes twice, with ids of different text.
        let fingerprint = |number: u128| number % 50 * 37 % 50;
        let (mut forwards, mut backwards) = (BTreeMap::new(), BTreeMap::new());
        (0..100).for_each(|number| event(number).keep_in(&mut forwards, fingerprint(number)));
        (0..100).rev().for_each(|number| event(number).keep_in(&mut backwards, fingerprint(number)));
        assert_eq!(forwards, backwards);
        assert!(forwards.keys().copied().eq(0..EXAMPLES_MAX as u128));
    }

    /// 100 rows, every third of which is corrected from a loss of 1 to one that grows with its number.
    #[test]
    fn losses_are_the_same_in_whatever_order_and_parts_they_come() {
        let mut terms: Vec<(u128, f64, i64)> = Vec::new();
        for row in 0..100_u32 {
            let loss = f64::from(row) / 100.0;
            let corrected = [(1.0, 1), (1.0, -1), (loss, 1)];
            let own = if row % 3 == 0 { &corrected[..] } else { &corrected[2..] };
            terms.extend(own.iter().map(|(loss, sign)| (u128::from(row), *loss, *sign)));
        }
        let sum = |terms: &[(u128, f64, i64)]| {
            let mut losses = Losses::default();
            terms.iter().for_each(|(row, loss, sign)| losses.add(*row, *loss, *sign));
            losses
        };
        let whole = sum(&terms);
        let backwards: Vec<_> = terms.iter().rev().copied().collect();
        assert_eq!(sum(&backwards), whole);
        for size in [1, 2, 7, 40] {
            let mut merged = Losses::default();
            backwards.chunks(size).for_each(|part| merged.merge(&sum(part)));
            assert_eq!(merged, whole, "parts of {size}");
        }
        let worst = whole.worst_first();
        assert_eq!(worst.len(), EXAMPLES_MAX);
        assert_eq!(worst[..2], [(31, 0.31), (30, 0.3)]);
    }
}
