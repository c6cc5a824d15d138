//! The labels of a tracking partition by time: what "repeat the last known label" would say.

use super::sources::{Coordinate, Sources};
use domain::Fingerprint;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Known {
    id: Fingerprint,
    at: Coordinate,
    value: f64,
}

/// One label per label time: that of the greatest (id, coordinate), since only the greatest
/// (label time, id) before an event is ever asked for. Below the label watermark nothing can
/// change any more, and only the times at which the value changes are kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct History {
    settled_before_ms: Option<i64>,
    settled: VecDeque<(i64, f64)>,
    by_time: BTreeMap<i64, Known>,
}

impl History {
    /// Takes a label. One below the label watermark comes from a partition that was idle, and
    /// thereby overtaken: it was not known in time.
    pub(crate) fn insert(&mut self, time_ms: i64, id: Fingerprint, at: Coordinate, value: f64, sources: &Sources) {
        if self.settled_before_ms.is_some_and(|settled| time_ms < settled) {
            return;
        }
        let label = Known { id, at, value };
        let known = self.by_time.entry(time_ms).or_insert(label);
        if known.id.cmp(&id).then_with(|| sources.order(known.at, at)).is_lt() {
            *known = label;
        }
    }

    /// No label before this time can come any more.
    pub(crate) fn settle(&mut self, before_ms: i64) {
        while let Some(first) = self.by_time.first_entry().filter(|first| *first.key() < before_ms) {
            let (time_ms, known) = first.remove_entry();
            if self.settled.back().is_none_or(|(_, value)| value.to_bits() != known.value.to_bits()) {
                self.settled.push_back((time_ms, known.value));
            }
        }
        self.settled_before_ms = self.settled_before_ms.max(Some(before_ms));
    }

    /// The last label known at a time: the greatest (label time, id) not after it.
    pub(crate) fn last_at(&self, time_ms: i64) -> Option<f64> {
        if self.settled_before_ms.is_none_or(|settled| time_ms >= settled)
            && let Some((_, known)) = self.by_time.range(..=time_ms).next_back()
        {
            return Some(known.value);
        }
        let after = self.settled.partition_point(|(time, _)| *time <= time_ms);
        self.settled.get(after.checked_sub(1)?).map(|(_, value)| *value)
    }

    /// Forgets what no event from this time on can ask for: all before it but one.
    pub(crate) fn prune(&mut self, from_ms: i64) {
        while self.settled.get(1).is_some_and(|(time, _)| *time <= from_ms) {
            self.settled.pop_front();
        }
        if self.settled.capacity() > 4 * self.settled.len().max(256) {
            self.settled.shrink_to(2 * self.settled.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::History;
    use crate::join::sources::{Coordinate, Sources};

    #[test]
    fn the_last_label_is_the_greatest_time_then_id_and_survives_pruning() {
        let sources = Sources::new(1, 1);
        let mut history = History::default();
        let at = |offset| Coordinate { source: 0, offset };
        for (time, id, offset, value) in [(10, 5, 1, 1.0), (10, 9, 2, 2.0), (10, 7, 3, 3.0), (20, 1, 4, 4.0)] {
            history.insert(time, id, at(offset), value, &sources);
        }
        let check = |history: &History, cases: &[(i64, Option<f64>)]| {
            for (time, expected) in cases {
                assert_eq!(history.last_at(*time), *expected, "time {time}");
            }
        };
        check(&history, &[(9, None), (10, Some(2.0)), (19, Some(2.0)), (20, Some(4.0))]);
        history.settle(15);
        history.insert(14, 99, at(5), 5.0, &sources);
        check(&history, &[(9, None), (10, Some(2.0)), (14, Some(2.0)), (19, Some(2.0)), (20, Some(4.0))]);
        history.settle(30);
        check(&history, &[(9, None), (10, Some(2.0)), (19, Some(2.0)), (20, Some(4.0)), (40, Some(4.0))]);
        history.prune(15);
        check(&history, &[(15, Some(2.0)), (20, Some(4.0))]);
        history.prune(25);
        check(&history, &[(15, None), (25, Some(4.0))]);
    }
}
