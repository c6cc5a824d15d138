//! The join table of one tracking partition: predictions and labels by event id.

use super::JoinConfig;
use super::blocks::{Blocks, NO_LABEL, Row};
use super::entry::{Joined, Moment, Standing};
use super::groups::{self, Groups};
use super::history::History;
use super::index::Index;
use super::labels::{Label, Labels};
use super::names::Names;
use super::pane::{Known, Pane};
use super::sources::{Coordinate, Sources};
use crate::error::Error;
use crate::rules::{Relation, Rules};
use domain::Fingerprint;
use records::journal::JoinCounters;
use records::tracking::{LabelBatch, Marker, PredictionBatch, StreamKind};
use std::collections::BTreeMap;

/// State of one tracking partition. Its size follows the rows and labels of the last horizons.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) sources: Sources,
    pub(crate) names: Names,
    pub(crate) groups: Groups,
    pub(crate) blocks: Blocks,
    pub(crate) index: Index,
    pub(crate) labels: Labels,
    /// Blocks of open rows, by slice.
    pub(crate) open: BTreeMap<i64, Vec<u32>>,
    /// Blocks of closed rows, by slice.
    pub(crate) closed: BTreeMap<i64, Vec<u32>>,
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
            blocks: Blocks::default(),
            index: Index::default(),
            labels: Labels::default(),
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

    /// What counts now.
    pub(crate) fn moment(&self, row: Option<&Row>, rules: &Rules) -> Moment {
        Moment {
            orphans_before_ms: self.orphans_before(rules),
            ripe_before_ms: self.labels_ms.unwrap_or(i64::MIN),
            trained_until_ms: row.map_or(i64::MIN, |row| self.groups.trained_until_ms(row.group)),
        }
    }

    /// Where an id stands: its row, if it has one, and the head of its labels.
    pub(crate) fn standing(&self, row: Option<&Row>, labels: u32, rules: &Rules) -> Standing {
        rules.standing(row, self.labels.of(labels), self.moment(row, rules))
    }

    pub(crate) fn known(&self, place: u32, row: &Row) -> Known<'_> {
        Known { scores: self.groups.scores(&self.blocks, place, row), history: &self.history }
    }

    /// Takes predictions.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the batch's vectors do not fit together.
    pub(crate) fn predictions(
        &mut self,
        batch: &PredictionBatch,
        config: &JoinConfig,
        pane: &mut Pane,
    ) -> Result<(), Error> {
        let (rules, outputs) = (&config.rules, config.outputs());
        groups::check(batch, outputs)?;
        let source = self.sources.number(StreamKind::Events, &batch.source);
        let marked = self.sources.marked(source);
        let group = self.groups.find_or_add(batch, outputs, &mut self.names);
        let codes = segment_numbers(batch, &mut self.names);
        let rows = batch.ids.iter().zip(&batch.offsets).zip(&batch.times_ms).zip(&batch.after_final);
        for (place, (((id, offset), time), after_final)) in rows.enumerate() {
            let at = Coordinate { source, offset: *offset };
            if !self.sources.is_new(at) {
                continue;
            }
            self.counters.predictions += 1;
            let end = rules.slice_end(*time);
            if *after_final || marked >= rules.final_at(end) {
                self.counters.expired += 1;
                continue;
            }
            if !self.sources.has_room(source, rules.forgotten_at(end), config.rows_max) {
                self.counters.predictions_overflow += 1;
                continue;
            }
            let scores = batch.scores.iter().flat_map(|m| m.get(place * outputs..(place + 1) * outputs)).flatten();
            let segments = codes.iter().filter_map(|column| column.get(place).copied());
            let row = Row { id: *id, time_ms: *time, at, group, closed: false };
            self.put_in_force(&row, (scores.copied(), segments), rules, pane);
        }
        self.groups.drop_empty();
        Ok(())
    }

    /// A prediction is in force from now on if no other is, or one with a greater coordinate. A
    /// row whose slice is final stays: an id that comes again so much later is a repeat as long as
    /// it is remembered.
    fn put_in_force(
        &mut self,
        row: &Row,
        (scores, segments): (impl Iterator<Item = f64>, impl Iterator<Item = u32>),
        rules: &Rules,
        pane: &mut Pane,
    ) {
        let id = row.id;
        let place = self.index.get(id, &self.blocks);
        let old = place.and_then(|place| self.blocks.row(place));
        if old.is_some_and(|old| old.closed || !self.sources.order(row.at, old.at).is_lt()) {
            self.counters.repeated += 1;
            return;
        }
        let labels = place.map_or(NO_LABEL, |place| self.blocks.labels(place));
        let was = self.standing(old.as_ref(), labels, rules);
        if let (Some(place), Some(old)) = (place, old) {
            pane.replace(rules, &old, self.known(place, &old), was.joined, Joined::NONE);
            pane.age(rules, &old, was.age, None);
            pane.cover(rules, &old, -1);
            self.counters.repeated += 1;
            // Labels that were about the old row may be about none now; ids may stand twice.
            for label in self.labels.of(labels) {
                self.unmatched.entry(rules.slices.start(label.time_ms)).or_default().push(id);
            }
        }
        let slice = rules.slices.start(row.time_ms);
        let Some((new, block)) = self.blocks.add_row(slice, row, labels, scores, segments) else { return };
        if let Some(block) = block {
            self.groups.retain(row.group);
            self.open.entry(slice).or_default().push(block);
        }
        match place {
            Some(place) => {
                self.index.replace(id, place, new);
                self.blocks.kill(place);
            }
            None => self.index.insert(id, new, &self.blocks),
        }
        let now = self.standing(Some(row), labels, rules);
        recount(&mut self.counters, &was.counts, &now.counts);
        pane.replace(rules, row, self.known(new, row), Joined::NONE, now.joined);
        pane.age(rules, row, None, now.age);
        pane.cover(rules, row, 1);
    }

    /// Takes labels.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the batch's vectors do not fit together.
    pub(crate) fn labels(&mut self, batch: &LabelBatch, config: &JoinConfig, pane: &mut Pane) -> Result<(), Error> {
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
            if !self.sources.is_new(at) {
                continue;
            }
            self.counters.labels += 1;
            let until = config.rules.labels_forgotten_at(config.rules.slice_end(*time));
            if self.sources.has_room(source, until, config.rows_max) {
                self.label(*id, &Label { time_ms: *time, at, watermark_ms, value: *value }, &config.rules, pane);
            } else {
                self.counters.labels_overflow += 1;
            }
        }
        Ok(())
    }

    fn label(&mut self, id: Fingerprint, label: &Label, rules: &Rules, pane: &mut Pane) {
        // A label older than its partition's watermark was not known in time. Leaving it out makes
        // the history below the least watermark a fact about the records.
        if label.time_ms >= label.watermark_ms {
            self.history.insert(label.time_ms, id, label.at, label.value, &self.sources);
        }
        let slice = rules.slices.start(label.time_ms);
        let place = self.index.get(id, &self.blocks);
        let row = place.and_then(|place| self.blocks.row(place));
        if let Some(row) = row.filter(|row| row.closed)
            && rules.relation(row.time_ms, label.time_ms, label.watermark_ms) != Relation::Apart
        {
            self.counters.late += 1;
            return;
        }
        let head = place.map_or(NO_LABEL, |place| self.blocks.labels(place));
        let was = self.standing(row.as_ref(), head, rules);
        let (head, forgotten) = self.labels.insert(head, label, &self.sources);
        self.counters.corrected += forgotten;
        let now = self.standing(row.as_ref(), head, rules);
        recount(&mut self.counters, &was.counts, &now.counts);
        match place {
            Some(place) => self.blocks.set_labels(place, head),
            None => {
                if let Some(place) = self.blocks.add_bare(id, slice, head) {
                    self.index.insert(id, place, &self.blocks);
                }
            }
        }
        if let (Some(place), Some(row)) = (place, &row) {
            pane.replace(rules, row, self.known(place, row), was.joined, now.joined);
            pane.age(rules, row, was.age, now.age);
        }
        if rules.is_unmatched(row.as_ref(), label) {
            self.unmatched.entry(slice).or_default().push(id);
        }
    }

    /// Takes a marker; tells whether the source partition's idleness changed.
    pub(crate) fn marker(&mut self, marker: &Marker, config: &JoinConfig, pane: &mut Pane) -> bool {
        let changed = self.sources.observe(marker);
        self.advance(config, pane);
        changed
    }
}

/// Numbers of the names `column=value` of every row, column by column.
fn segment_numbers(batch: &PredictionBatch, names: &mut Names) -> Vec<Vec<u32>> {
    let of_column = |column: &records::tracking::SegmentColumn, names: &mut Names| {
        let numbers: Vec<u32> = column.values.iter().map(|value| names.segment(&column.name, value)).collect();
        column.codes.iter().map(|code| numbers.get(*code as usize).copied().unwrap_or_default()).collect()
    };
    batch.segments.iter().map(|column| of_column(column, names)).collect()
}
