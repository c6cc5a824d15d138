//! Stream time as the markers tell it: which slices are closed, mature and final.

use crate::config::Config;
use domain::SourcePartition;
use domain::Watermarks;
use domain::time::Watermark;
use records::journal::JoinMarker;
use records::tracking::{Marker, StreamKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Markers of one kind of source partition. How many are expected is the configuration's to say,
/// since partitions may be added while a checkpoint lies in store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Marks(BTreeMap<SourcePartition, Watermark>);

impl Marks {
    fn observe(&mut self, source: &SourcePartition, watermark: Watermark) {
        let time_ms = self.0.get(source).map_or(watermark.time_ms, |known| known.time_ms.max(watermark.time_ms));
        self.0.insert(source.clone(), Watermark { time_ms, idle: watermark.idle });
    }

    /// The least, by the domain's rule for idle partitions.
    fn least(&self, expected: usize) -> Option<i64> {
        let mut marks = Watermarks::expecting(expected);
        for (source, watermark) in &self.0 {
            marks.observe(source, *watermark);
        }
        marks.least()
    }
}

/// Least watermarks. None of them ever goes back, whatever idle partitions do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Clock {
    score: Marks,
    archived_events: Marks,
    archived_labels: Marks,
    join: BTreeMap<i32, (Option<i64>, Option<i64>)>,
    /// Score has shown every row before this.
    closed_ms: Option<i64>,
    /// Join has seen every event, and every label, before these.
    joined_ms: Option<(i64, i64)>,
}

impl Clock {
    pub(crate) fn score_marker(&mut self, marker: &Marker, config: &Config) {
        self.score.observe(&marker.source, marker.watermark);
        self.closed_ms = self.closed_ms.max(self.score.least(config.event_partitions));
    }

    pub(crate) fn join_marker(&mut self, marker: &JoinMarker, config: &Config) {
        let known = self.join.entry(marker.tracking_partition).or_default();
        *known = (known.0.max(marker.events_ms), known.1.max(marker.labels_ms));
        if self.join.len() < config.tracking_partitions {
            return;
        }
        let events = self.join.values().map(|marks| marks.0).min().flatten();
        let labels = self.join.values().map(|marks| marks.1).min().flatten();
        if let (Some(events), Some(labels)) = (events, labels) {
            let before = self.joined_ms.unwrap_or((i64::MIN, i64::MIN));
            self.joined_ms = Some((events.max(before.0), labels.max(before.1)));
        }
    }

    pub(crate) fn archive_marker(&mut self, marker: &Marker) {
        match marker.kind {
            StreamKind::Events => self.archived_events.observe(&marker.source, marker.watermark),
            StreamKind::Labels => self.archived_labels.observe(&marker.source, marker.watermark),
        }
    }

    /// Slices that end at or before this are closed: score has shown all their rows.
    pub(crate) fn closed_until_ms(&self) -> Option<i64> {
        self.closed_ms
    }

    /// Slices that end at or before this are closed and mature. Where the absence of a label is one, or there
    /// are no labels, join says so when a slice is final, and not before.
    pub(crate) fn mature_until_ms(&self, config: &Config) -> Option<i64> {
        let (events, labels) = self.joined_ms?;
        if config.unlabelled.counts(config.shape.task) {
            return Some(self.closed_ms?.min(self.final_until_ms(config)?));
        }
        Some(self.closed_ms?.min(events).min(labels.saturating_sub(config.maturity_ms)))
    }

    /// Slices that end at or before this have their labels, those that were not late, and every
    /// prediction of before.
    pub(crate) fn arrived_until_ms(&self) -> Option<i64> {
        self.joined_ms.map(|(events, labels)| events.min(labels))
    }

    /// Slices that end at or before this are final.
    pub(crate) fn final_until_ms(&self, config: &Config) -> Option<i64> {
        Some(self.arrived_until_ms()?.saturating_sub(config.horizon_ms))
    }

    /// Whether the archive holds every event before the cut-off and every label before
    /// cut-off + maturity.
    pub(crate) fn has_archived(&self, cut_off_ms: i64, config: &Config) -> bool {
        // Of what has no partitions everything is archived.
        let reached =
            |marks: &Marks, expected, until| expected == 0 || marks.least(expected).is_some_and(|least| least >= until);
        reached(&self.archived_events, config.event_partitions, cut_off_ms)
            && reached(&self.archived_labels, config.label_partitions, cut_off_ms.saturating_add(config.maturity_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use crate::config::Config;
    use crate::tests::fixtures::config;
    use domain::Unlabelled;

    #[test]
    fn a_slice_is_mature_when_its_labels_are_there_even_those_that_never_come() {
        let slice = config().slices.length_ms;
        // Join has seen 5 slices of events and 9 of labels, score 7 of events; maturity is one slice.
        let clock = Clock { closed_ms: Some(7 * slice), joined_ms: Some((5 * slice, 9 * slice)), ..Clock::default() };
        assert_eq!(clock.mature_until_ms(&config()), Some(5 * slice));
        let negative = Config { unlabelled: Unlabelled::Negative, maturity_ms: 3 * slice, ..config() };
        assert_eq!(clock.mature_until_ms(&negative), Some(2 * slice));
        assert_eq!(clock.final_until_ms(&negative), Some(2 * slice));
    }
}
