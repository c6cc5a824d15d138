//! An event that stands for others: what an alert names.

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

#[cfg(test)]
mod tests {
    use super::{EXAMPLES_MAX, Example};
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
}
