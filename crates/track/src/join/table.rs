//! The join table of one tracking partition: predictions and labels by event id.

use super::entry::{Entry, Joined, Label, Row};
use super::groups::{self, Groups};
use super::history::History;
use super::names::Names;
use super::pane::Pane;
use super::sources::{Coordinate, Sources};
use crate::error::Error;
use crate::rules::{Relation, Rules};
use domain::Fingerprint;
use records::journal::JoinCounters;
use records::tracking::{LabelBatch, Marker, PredictionBatch, StreamKind};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

/// Ids are hashes already. The upper half serves: the lower bits of all ids of a tracking
/// partition are alike, since they chose the partition.
#[derive(Debug, Default, Clone)]
pub(crate) struct UpperHalf(u64);

impl Hasher for UpperHalf {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u128(&mut self, id: u128) {
        self.0 = u64::try_from(id >> 64).unwrap_or(0);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

pub(crate) type Entries = HashMap<Fingerprint, Entry, BuildHasherDefault<UpperHalf>>;

/// State of one tracking partition. Its size follows the rows and labels of the last horizons.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) sources: Sources,
    pub(crate) names: Names,
    pub(crate) groups: Groups,
    #[serde(with = "super::snapshot::sorted")]
    pub(crate) entries: Entries,
    /// Rows the label watermark has not passed, by event time.
    pub(crate) unripe: BinaryHeap<Reverse<(i64, Fingerprint)>>,
    /// Ids of open rows, by slice. Ids whose row was replaced stay until the slice's turn.
    pub(crate) open: BTreeMap<i64, Vec<Fingerprint>>,
    /// Ids of closed rows, by slice.
    pub(crate) closed: BTreeMap<i64, Vec<Fingerprint>>,
    /// Ids with a label that is about no open row, by slice of the label time.
    pub(crate) unmatched: BTreeMap<i64, Vec<Fingerprint>>,
    pub(crate) history: History,
    pub(crate) counters: JoinCounters,
    /// Least watermarks so far; they never go back, even when an idle partition wakes up.
    pub(crate) events_ms: Option<i64>,
    pub(crate) labels_ms: Option<i64>,
}

/// Moves an id's part of the balance.
pub(crate) fn recount(counters: &mut JoinCounters, was: &JoinCounters, now: &JoinCounters) {
    let minus = JoinCounters {
        joined: counters.joined.saturating_sub(was.joined),
        in_training: counters.in_training.saturating_sub(was.in_training),
        pending: counters.pending.saturating_sub(was.pending),
        labels_joined: counters.labels_joined.saturating_sub(was.labels_joined),
        waiting: counters.waiting.saturating_sub(was.waiting),
        orphan: counters.orphan.saturating_sub(was.orphan),
        duplicate: counters.duplicate.saturating_sub(was.duplicate),
        corrected: counters.corrected.saturating_sub(was.corrected),
        late: counters.late.saturating_sub(was.late),
        ..*counters
    };
    *counters = minus;
    counters.add(now);
}

impl Table {
    /// An empty table.
    pub(crate) fn new(event_partitions: usize, label_partitions: usize) -> Self {
        Self {
            sources: Sources::new(event_partitions, label_partitions),
            names: Names::default(),
            groups: Groups::default(),
            entries: Entries::default(),
            unripe: BinaryHeap::new(),
            open: BTreeMap::new(),
            closed: BTreeMap::new(),
            unmatched: BTreeMap::new(),
            history: History::default(),
            counters: JoinCounters::default(),
            events_ms: None,
            labels_ms: None,
        }
    }

    /// Labels with an earlier time wait no more.
    pub(crate) fn orphans_before(&self, rules: &Rules) -> i64 {
        self.events_ms.map_or(i64::MIN, |w| w.saturating_sub(rules.orphan_after_ms))
    }

    /// Takes predictions.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the batch's vectors do not fit together.
    pub(crate) fn predictions(
        &mut self,
        batch: &PredictionBatch,
        outputs: usize,
        rules: &Rules,
        pane: &mut Pane,
    ) -> Result<(), Error> {
        groups::check(batch, outputs)?;
        let source = self.sources.number(StreamKind::Events, &batch.source);
        let marked = self.sources.marked(source);
        let group = self.groups.find_or_add(batch, outputs, &mut self.names);
        let trained_until = self.groups.trained_until_ms(group);
        let codes = segment_numbers(batch, &mut self.names);
        let rows = batch.ids.iter().zip(&batch.offsets).zip(&batch.times_ms).zip(&batch.after_final);
        for (place, (((id, offset), time), after_final)) in rows.enumerate() {
            let at = Coordinate { source, offset: *offset };
            if !self.sources.is_new(at) {
                continue;
            }
            self.counters.predictions += 1;
            if *after_final || marked >= rules.final_at(rules.slice_end(*time)) {
                self.counters.expired += 1;
                continue;
            }
            if !self.may_take_over(*id, at) {
                self.counters.repeated += 1;
                continue;
            }
            let segments = codes.iter().filter_map(|column| column.get(place).copied());
            let slot = self.groups.store(group, batch, place, segments);
            let ripe = self.labels_ms.is_some_and(|w| *time < w);
            let row = Row {
                time_ms: *time,
                at,
                group,
                slot,
                ripe,
                closed: false,
                in_training: *time < trained_until,
                last_label: if ripe { self.history.last_at(*time) } else { None },
            };
            self.put_in_force(*id, row, rules, pane);
        }
        self.groups.drop_empty();
        Ok(())
    }

    /// Whether a prediction is in force from now on: no other is, or one with a greater
    /// coordinate. A row whose slice is final stays: an id that comes again so much later is a
    /// repeat as long as it is remembered.
    fn may_take_over(&self, id: Fingerprint, at: Coordinate) -> bool {
        match self.entries.get(&id).and_then(|entry| entry.row.as_ref()) {
            Some(known) => !known.closed && self.sources.order(at, known.at).is_lt(),
            None => true,
        }
    }

    fn put_in_force(&mut self, id: Fingerprint, row: Row, rules: &Rules, pane: &mut Pane) {
        let orphans_before = self.orphans_before(rules);
        let entry = self.entries.entry(id).or_default();
        let (was, joined_was) = entry.standing(rules, orphans_before);
        if let Some(old) = entry.row.take() {
            let scores = self.groups.scores(old.group, old.slot);
            pane.replace(rules, &old, scores, joined_was, Joined::NONE);
            self.groups.release(old.group, old.slot);
            self.counters.repeated += 1;
            // Labels that were about the old row may be about none now; ids may stand twice.
            for label in entry.labels.as_slice() {
                self.unmatched.entry(rules.slices.start(label.time_ms)).or_default().push(id);
            }
        }
        entry.row = Some(row);
        let (now, joined_now) = entry.standing(rules, orphans_before);
        recount(&mut self.counters, &was, &now);
        pane.replace(rules, &row, self.groups.scores(row.group, row.slot), Joined::NONE, joined_now);
        if !row.ripe {
            self.unripe.push(Reverse((row.time_ms, id)));
        }
        self.open.entry(rules.slices.start(row.time_ms)).or_default().push(id);
    }

    /// Takes labels.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the batch's vectors do not fit together.
    pub(crate) fn labels(&mut self, batch: &LabelBatch, rules: &Rules, pane: &mut Pane) -> Result<(), Error> {
        let rows = batch.ids.len();
        let lengths = [batch.offsets.len(), batch.times_ms.len(), batch.values.len()];
        if lengths.iter().any(|length| *length != rows) || !batch.values.iter().all(|v| v.is_finite()) {
            return Err(Error::Malformed {
                source_partition: batch.source.to_string(),
                found: format!("label columns of {lengths:?} rows or a value that is no number"),
                expected: format!("{rows} finite values, one per id"),
            });
        }
        let source = self.sources.number(StreamKind::Labels, &batch.source);
        let watermark_ms = self.sources.marked(source);
        let rows = batch.ids.iter().zip(&batch.offsets).zip(&batch.times_ms).zip(&batch.values);
        for (((id, offset), time), value) in rows {
            let at = Coordinate { source, offset: *offset };
            if self.sources.is_new(at) {
                self.label(*id, Label { time_ms: *time, at, watermark_ms, value: *value }, rules, pane);
            }
        }
        Ok(())
    }

    fn label(&mut self, id: Fingerprint, label: Label, rules: &Rules, pane: &mut Pane) {
        self.counters.labels += 1;
        // A label older than its partition's watermark was not known in time. Leaving it out makes
        // the history below the least watermark a fact about the records.
        if label.time_ms >= label.watermark_ms {
            self.history.insert(label.time_ms, id, label.at, label.value, &self.sources);
        }
        let orphans_before = self.orphans_before(rules);
        let entry = self.entries.entry(id).or_default();
        if let Some(row) = entry.row.as_ref().filter(|row| row.closed)
            && rules.relation(row.time_ms, label.time_ms, label.watermark_ms) != Relation::Apart
        {
            self.counters.late += 1;
            return;
        }
        let (was, joined_was) = entry.standing(rules, orphans_before);
        self.counters.corrected += entry.labels.insert(label, &self.sources);
        let (now, joined_now) = entry.standing(rules, orphans_before);
        recount(&mut self.counters, &was, &now);
        if joined_was != joined_now
            && let Some(row) = &entry.row
        {
            pane.replace(rules, row, self.groups.scores(row.group, row.slot), joined_was, joined_now);
        }
        if entry.is_unmatched(&label, rules) {
            self.unmatched.entry(rules.slices.start(label.time_ms)).or_default().push(id);
        }
    }

    /// Takes a marker; tells whether the source partition's idleness changed.
    pub(crate) fn marker(&mut self, marker: &Marker, rules: &Rules, pane: &mut Pane) -> bool {
        let changed = self.sources.observe(marker);
        self.advance(rules, pane);
        changed
    }
}

/// Numbers of the names `column=value` of every row, column by column.
fn segment_numbers(batch: &PredictionBatch, names: &mut Names) -> Vec<Vec<u32>> {
    let of_column = |column: &records::tracking::SegmentColumn, names: &mut Names| {
        let numbers: Vec<u32> =
            column.values.iter().map(|value| names.number(&format!("{}={value}", column.name))).collect();
        column.codes.iter().map(|code| numbers.get(*code as usize).copied().unwrap_or_default()).collect()
    };
    batch.segments.iter().map(|column| of_column(column, names)).collect()
}
