//! How far the event partitions scored by this process have come, for stages beside score.

use crate::ids::SourcePartition;
use crate::time::Watermark;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

/// No partition has a watermark, or one that is not idle has none.
const UNKNOWN: i64 = i64::MIN;

/// The least watermark of the event partitions of this process, shared by its runners.
///
/// It may only pause input: score tells it of work that a failed transaction can still undo, and
/// partitions of other processes are not in it. No result depends on it.
#[derive(Debug)]
pub struct EventWatermark {
    partitions: Mutex<BTreeMap<SourcePartition, Option<Watermark>>>,
    least_ms: AtomicI64,
}

impl Default for EventWatermark {
    fn default() -> Self {
        Self { partitions: Mutex::default(), least_ms: AtomicI64::new(UNKNOWN) }
    }
}

impl EventWatermark {
    /// Takes where a partition stands; `None` for one of which no event was read.
    pub fn observe(&self, source: &SourcePartition, watermark: Option<Watermark>) {
        self.change(|partitions| {
            partitions.insert(source.clone(), watermark);
        });
    }

    /// A partition that is scored elsewhere from now on.
    pub fn forget(&self, source: &SourcePartition) {
        self.change(|partitions| {
            partitions.remove(source);
        });
    }

    /// Epoch milliseconds; `None` while a partition has no watermark, and while all are idle (there
    /// is nothing to wait for) or none is scored here.
    #[must_use]
    pub fn least_ms(&self) -> Option<i64> {
        Some(self.least_ms.load(Ordering::Relaxed)).filter(|ms| *ms != UNKNOWN)
    }

    fn change(&self, with: impl FnOnce(&mut BTreeMap<SourcePartition, Option<Watermark>>)) {
        // A map of plain values is whole whatever thread died holding it.
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        with(&mut partitions);
        let active = partitions.values().filter(|mark| mark.is_none_or(|mark| !mark.idle));
        let least = active.map(|mark| mark.map_or(UNKNOWN, |mark| mark.time_ms)).min();
        self.least_ms.store(least.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::EventWatermark;
    use crate::ids::SourcePartition;
    use crate::time::Watermark;

    #[test]
    fn the_least_is_of_partitions_that_are_here_read_and_not_idle() {
        let [a, b] = [0, 1].map(|partition| SourcePartition::new("t", partition));
        let shared = EventWatermark::default();
        let at = |time_ms, idle| Some(Watermark { time_ms, idle });
        assert_eq!(shared.least_ms(), None, "nothing is scored here");
        for (source, mark, least, why) in [
            (&a, at(10, false), Some(10), "one"),
            (&b, None, None, "nothing of it was read yet"),
            (&b, at(4, false), Some(4), "the least"),
            (&b, at(5, true), Some(10), "an idle one holds nobody up"),
            (&a, at(10, true), None, "all idle: nothing to wait for"),
            (&b, at(6, false), Some(6), "back again"),
        ] {
            shared.observe(source, mark);
            assert_eq!(shared.least_ms(), least, "{why}");
        }
        shared.forget(&b);
        assert_eq!(shared.least_ms(), None, "the other is idle");
    }
}
