//! Stream time: slices and watermarks. All times are epoch milliseconds in UTC.

use crate::ids::SourcePartition;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How stream time is cut into slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slices {
    /// Length of a slice in milliseconds, at least 1.
    pub length_ms: i64,
}

impl Slices {
    /// Cuts time into slices of this length (at least a millisecond), aligned to the epoch.
    #[must_use]
    pub fn of(length_ms: i64) -> Self {
        Self { length_ms: length_ms.max(1) }
    }

    /// Start of the slice that holds a time.
    #[must_use]
    pub fn start(self, time_ms: i64) -> i64 {
        time_ms.div_euclid(self.length_ms).saturating_mul(self.length_ms)
    }

    /// End (exclusive) of the slice that starts at `start_ms`.
    #[must_use]
    pub fn end(self, start_ms: i64) -> i64 {
        start_ms.saturating_add(self.length_ms)
    }
}

/// Watermark of one source partition as a marker reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// Records older than this are late: largest time read, less `lateness`.
    pub time_ms: i64,
    /// The partition was at the end of its log for `idle_after`: it holds nobody up.
    pub idle: bool,
}

/// Watermarks of all partitions of one kind, and the least of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermarks {
    expected: usize,
    seen: BTreeMap<SourcePartition, Watermark>,
}

impl Watermarks {
    /// Expects markers from this many partitions; before all have reported there is no watermark.
    #[must_use]
    pub fn expecting(partitions: usize) -> Self {
        Self { expected: partitions, seen: BTreeMap::new() }
    }

    /// Takes a marker. A partition's watermark never goes back.
    pub fn observe(&mut self, source: &SourcePartition, marker: Watermark) {
        match self.seen.get_mut(source) {
            Some(known) => {
                known.time_ms = known.time_ms.max(marker.time_ms);
                known.idle = marker.idle;
            }
            None => {
                self.seen.insert(source.clone(), marker);
            }
        }
    }

    /// The watermark of one partition.
    #[must_use]
    pub fn of(&self, source: &SourcePartition) -> Option<Watermark> {
        self.seen.get(source).copied()
    }

    /// The least watermark of the partitions that are not idle; with all of them idle the
    /// greatest of theirs. `None` until every expected partition has reported.
    #[must_use]
    pub fn least(&self) -> Option<i64> {
        if self.expected == 0 || self.seen.len() < self.expected {
            return None;
        }
        let active = self.seen.values().filter(|w| !w.idle).map(|w| w.time_ms).min();
        active.or_else(|| self.seen.values().map(|w| w.time_ms).max())
    }
}

#[cfg(test)]
mod tests {
    use super::{Slices, Watermark, Watermarks};
    use crate::ids::SourcePartition;

    #[test]
    fn slices_are_aligned_to_the_epoch_on_both_sides_of_it() {
        let day = Slices::of(86_400_000);
        for (time, start) in [(0, 0), (86_399_999, 0), (86_400_000, 86_400_000), (-1, -86_400_000)] {
            assert_eq!(day.start(time), start, "time {time}");
        }
    }

    #[test]
    fn the_least_watermark_waits_for_every_partition_and_skips_idle_ones() {
        let (a, b) = (SourcePartition::new("t", 0), SourcePartition::new("t", 1));
        let mut marks = Watermarks::expecting(2);
        marks.observe(&a, Watermark { time_ms: 10, idle: false });
        assert_eq!(marks.least(), None);
        marks.observe(&b, Watermark { time_ms: 4, idle: false });
        assert_eq!(marks.least(), Some(4));
        marks.observe(&b, Watermark { time_ms: 3, idle: true });
        assert_eq!(marks.least(), Some(10));
        marks.observe(&a, Watermark { time_ms: 12, idle: true });
        assert_eq!(marks.least(), Some(12), "all idle: the greatest");
    }
}
