//! Source partitions whose records a tracking partition holds: how far each was read, and its
//! watermark.

use domain::SourcePartition;
use domain::time::{Watermark, Watermarks};
use records::tracking::{Marker, StreamKind};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// One source partition. A topic may be read as events and as labels: then it is two of these.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Source {
    kind: StreamKind,
    name: SourcePartition,
    highest_offset: i64,
    watermark: Option<Watermark>,
    held: Held,
}

/// Rows of a source partition that its *own* watermark has not made worthless yet, by the time
/// from which on they are. What other partitions do, or where batches are cut, does not show.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Held {
    rows: usize,
    by_end: BTreeMap<i64, usize>,
}

/// All of them, each under a small number that stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sources {
    known: Vec<Source>,
    // Rebuilt by `expect`: the numbers of partitions are configuration, not state.
    #[serde(skip)]
    events: Watermarks,
    #[serde(skip)]
    labels: Watermarks,
    #[serde(skip)]
    has_labels: bool,
}

/// Place of a record in its log. The order among partitions decides which of two predictions of
/// an id is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Coordinate {
    /// Number of the source partition.
    pub(crate) source: u32,
    /// Offset in it.
    pub(crate) offset: i64,
}

impl Sources {
    /// None yet.
    pub(crate) fn new(event_partitions: usize, label_partitions: usize) -> Self {
        let (events, labels) = (Watermarks::default(), Watermarks::default());
        let mut sources = Self { known: Vec::new(), events, labels, has_labels: false };
        sources.expect(event_partitions, label_partitions);
        sources
    }

    /// Waits for markers of this many partitions before there is a least watermark.
    pub(crate) fn expect(&mut self, event_partitions: usize, label_partitions: usize) {
        self.events = Watermarks::expecting(event_partitions);
        self.labels = Watermarks::expecting(label_partitions);
        self.has_labels = label_partitions > 0;
        for source in &self.known {
            if let Some(watermark) = source.watermark {
                let of_kind = match source.kind {
                    StreamKind::Events => &mut self.events,
                    StreamKind::Labels => &mut self.labels,
                };
                of_kind.observe(&source.name, watermark);
            }
        }
    }

    /// Number of a source partition. Looked up once per record of `p.tracking`, hence a scan.
    pub(crate) fn number(&mut self, kind: StreamKind, name: &SourcePartition) -> u32 {
        let found = self.known.iter().position(|s| s.kind == kind && &s.name == name);
        let place = found.unwrap_or_else(|| {
            self.known.push(Source {
                kind,
                name: name.clone(),
                highest_offset: i64::MIN,
                watermark: None,
                held: Held::default(),
            });
            self.known.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Whether a record is seen for the first time; remembers it.
    ///
    /// Records of a source partition stand in a tracking partition in offset order, except for
    /// re-deliveries. So an offset not above the highest seen is a repeat, whatever version a
    /// re-delivered prediction carries: there is one prediction per event coordinate, and the
    /// first in the log counts.
    pub(crate) fn is_new(&mut self, at: Coordinate) -> bool {
        match self.known.get_mut(at.source as usize) {
            Some(source) if at.offset > source.highest_offset => {
                source.highest_offset = at.offset;
                true
            }
            _ => false,
        }
    }

    /// Whether a row that is of use until a time still finds room among `rows_max` of its source
    /// partition; remembers it.
    pub(crate) fn has_room(&mut self, source: u32, until_ms: i64, rows_max: usize) -> bool {
        let Some(source) = self.known.get_mut(source as usize) else { return false };
        let (held, marked) = (&mut source.held, source.watermark.map_or(i64::MIN, |w| w.time_ms));
        if held.rows >= rows_max {
            return false;
        }
        held.rows += 1;
        // What is of no use already counts until the next marker: others may hold it up.
        *held.by_end.entry(until_ms.max(marked.saturating_add(1))).or_default() += 1;
        true
    }

    /// Order of coordinates: topic, partition, offset.
    pub(crate) fn order(&self, a: Coordinate, b: Coordinate) -> Ordering {
        if a.source == b.source {
            return a.offset.cmp(&b.offset);
        }
        let name = |c: Coordinate| self.known.get(c.source as usize).map(|s| &s.name);
        name(a).cmp(&name(b)).then(a.offset.cmp(&b.offset))
    }

    /// Takes a marker; tells whether the partition's idleness changed.
    pub(crate) fn observe(&mut self, marker: &Marker) -> bool {
        let number = self.number(marker.kind, &marker.source);
        let of_kind = match marker.kind {
            StreamKind::Events => &mut self.events,
            StreamKind::Labels => &mut self.labels,
        };
        of_kind.observe(&marker.source, marker.watermark);
        let now = of_kind.of(&marker.source);
        let Some(source) = self.known.get_mut(number as usize) else { return false };
        let was_idle = source.watermark.is_some_and(|w| w.idle);
        source.watermark = now;
        let marked = now.map_or(i64::MIN, |w| w.time_ms);
        while let Some(first) = source.held.by_end.first_entry().filter(|first| *first.key() <= marked) {
            source.held.rows = source.held.rows.saturating_sub(first.remove());
        }
        was_idle != marker.watermark.idle
    }

    /// What a source partition's last marker said; the beginning of time before the first.
    pub(crate) fn marked(&self, source: u32) -> i64 {
        self.known.get(source as usize).and_then(|s| s.watermark).map_or(i64::MIN, |w| w.time_ms)
    }

    /// Least watermark of the events, then of the labels. Where no labels are to come they are all here as
    /// soon as the events are.
    pub(crate) fn least(&self) -> (Option<i64>, Option<i64>) {
        let events = self.events.least();
        (events, if self.has_labels { self.labels.least() } else { events })
    }
}
