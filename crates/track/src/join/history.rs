//! The labels of a tracking partition by time: what "repeat the last known label" would say.

use super::sources::{Coordinate, Sources};
use domain::Fingerprint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Known {
    id: Fingerprint,
    at: Coordinate,
    value: f64,
}

/// One label per label time: that of the greatest (id, coordinate), since only the greatest
/// (label time, id) before an event is ever asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct History {
    by_time: BTreeMap<i64, Known>,
}

impl History {
    /// Takes a label.
    pub(crate) fn insert(&mut self, time_ms: i64, id: Fingerprint, at: Coordinate, value: f64, sources: &Sources) {
        let label = Known { id, at, value };
        let known = self.by_time.entry(time_ms).or_insert(label);
        if known.id.cmp(&id).then_with(|| sources.order(known.at, at)).is_lt() {
            *known = label;
        }
    }

    /// The last label known at a time: the greatest (label time, id) not after it.
    pub(crate) fn last_at(&self, time_ms: i64) -> Option<f64> {
        self.by_time.range(..=time_ms).next_back().map(|(_, known)| known.value)
    }

    /// Forgets what no event from this time on can ask for: all before it but one.
    pub(crate) fn prune(&mut self, from_ms: i64) {
        let Some(keep_from) = self.by_time.range(..=from_ms).next_back().map(|(time, _)| *time) else { return };
        while let Some(first) = self.by_time.first_entry().filter(|first| *first.key() < keep_from) {
            first.remove();
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
        history.prune(15);
        check(&history, &[(15, Some(2.0)), (20, Some(4.0))]);
        history.prune(25);
        check(&history, &[(15, None), (25, Some(4.0))]);
    }
}
