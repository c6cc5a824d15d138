//! Sparse sums by a small key.

use domain::Fixed;
use serde::{Deserialize, Serialize};

/// What can be summed exactly.
pub(crate) trait Term: Copy + Default + PartialEq {
    fn plus(self, other: Self) -> Self;
}

impl Term for i64 {
    fn plus(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

impl Term for Fixed {
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

/// Sums by key, sorted by key, without zeros: few rows are few bytes, and equal sums are equal
/// bytes. Sums may be negative: a late cell may take out what an earlier one added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sparse<T>(Vec<(u32, T)>);

/// Fixed-point sums by key.
pub(crate) type FixedSums = Sparse<Fixed>;
/// Counts by key.
pub(crate) type Histogram = Sparse<i64>;

/// Where the other has at least this share of our keys, both lists are walked once; below it,
/// keys are inserted one by one.
const WALK_SHARE: usize = 8;

impl<T: Term> Sparse<T> {
    pub(crate) fn add(&mut self, key: u32, term: T) {
        match self.place(key) {
            Ok(place) => {
                let total = self.0.get(place).map_or(T::default(), |entry| entry.1).plus(term);
                if total == T::default() {
                    self.0.remove(place);
                } else if let Some(entry) = self.0.get_mut(place) {
                    entry.1 = total;
                }
            }
            Err(place) if term != T::default() => self.0.insert(place, (key, term)),
            Err(_) => {}
        }
    }

    /// Where a key is or belongs. Where keys lie evenly, as they do in a full histogram, it is found at once.
    fn place(&self, key: u32) -> Result<usize, usize> {
        let last = self.0.last().map_or(0, |entry| entry.0);
        let guess = usize::try_from(u64::from(key) * self.0.len() as u64 / (u64::from(last) + 1)).unwrap_or(0);
        match self.0.get(guess) {
            Some(entry) if entry.0 == key => Ok(guess),
            _ => self.0.binary_search_by_key(&key, |entry| entry.0),
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if other.0.len() * WALK_SHARE < self.0.len() {
            for (key, term) in &other.0 {
                self.add(*key, *term);
            }
            return;
        }
        let mut merged = Vec::with_capacity(self.0.len() + other.0.len());
        let (mut ours, mut theirs) = (self.0.iter().copied().peekable(), other.0.iter().copied().peekable());
        while let (Some(a), Some(b)) = (ours.peek().copied(), theirs.peek().copied()) {
            let entry = (
                a.0.min(b.0),
                if a.0 == b.0 {
                    a.1.plus(b.1)
                } else if a.0 < b.0 {
                    a.1
                } else {
                    b.1
                },
            );
            if a.0 <= b.0 {
                ours.next();
            }
            if b.0 <= a.0 {
                theirs.next();
            }
            if entry.1 != T::default() {
                merged.push(entry);
            }
        }
        merged.extend(ours);
        merged.extend(theirs);
        self.0 = merged;
    }

    /// The sum of a key; zero where there is none.
    pub(crate) fn get(&self, key: u32) -> T {
        let place = self.0.binary_search_by_key(&key, |entry| entry.0).ok();
        place.and_then(|place| self.0.get(place)).map_or(T::default(), |entry| entry.1)
    }

    pub(crate) fn total(&self) -> T {
        self.0.iter().fold(T::default(), |sum, (_, term)| sum.plus(*term))
    }

    /// Keys and sums by rising key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, T)> + '_ {
        self.0.iter().copied()
    }
}
