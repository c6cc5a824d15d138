//! Sparse counts by a small key.

use serde::{Deserialize, Serialize};

/// Counts by key, sorted by key, without zeros: few rows are few bytes, and equal counts are
/// equal bytes. Counts may be negative: a late cell may take out what an earlier one added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Histogram(Vec<(u32, i64)>);

impl Histogram {
    pub(crate) fn add(&mut self, key: u32, count: i64) {
        match self.0.binary_search_by_key(&key, |entry| entry.0) {
            Ok(place) => {
                let total = self.0.get(place).map_or(0, |entry| entry.1).saturating_add(count);
                if total == 0 {
                    self.0.remove(place);
                } else if let Some(entry) = self.0.get_mut(place) {
                    entry.1 = total;
                }
            }
            Err(place) if count != 0 => self.0.insert(place, (key, count)),
            Err(_) => {}
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
            return;
        }
        for (key, count) in &other.0 {
            self.add(*key, *count);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn total(&self) -> i64 {
        self.0.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Keys and counts by rising key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, i64)> + '_ {
        self.0.iter().copied()
    }
}
