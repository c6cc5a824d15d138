//! Markers: how far a partition's stream time has come.

use crate::pane::{Entry, push_entry};
use crate::partition::State;
use crate::tracking::push;
use crate::{Config, Error};
use domain::time::Watermark;
use domain::{Outputs, SourcePartition, TopicRole};
use records::kind;
use records::tracking::{Marker, Tracking};

/// Writes the partition's watermark to every tracking partition and to the journal. A partition
/// that never had an event reports the earliest time there is.
pub(crate) fn write(config: &Config, source: &SourcePartition, state: &State, out: &mut Outputs) -> Result<(), Error> {
    let time_ms = state.watermark_ms.unwrap_or(codec::EARLIEST_MS);
    let marker = Marker::events(source.clone(), Watermark { time_ms, idle: state.idle });
    let bytes = records::to_postcard(&Tracking::Marker(marker.clone()))?;
    for partition in 0..config.tracking_partitions {
        push(out, TopicRole::Tracking, partition, kind::TRACKING, &bytes);
    }
    push_entry(out, &Entry::ScoreMarker { marker, counters: state.counters })
}

/// Whether a watermark lies in another slice than the one before.
pub(crate) fn passed(config: &Config, before: Option<i64>, after: Option<i64>) -> bool {
    let slice = |watermark: Option<i64>| watermark.map(|w| config.slices.start(w));
    slice(before) != slice(after)
}
