//! The stage join: predictions and labels of an event meet, and become cells of labelled rows.
//!
//! Its input is `p.tracking` alone, where score and intake have put both sides of an id into one
//! partition. The state of a partition is rebuilt from a checkpoint and the log behind it.
//! The result is a function of the *set* of records and of each source partition's own order, not
//! of how the partitions were interleaved or cut into batches; [`crate::rules`] says how.
//!
//! A row enters the cells once the label watermark has passed its time, because only then is
//! the baseline of the last known label fixed. Cells of phase `Mature` hold the label in force as
//! of maturity, cells of phase `Late` the exact difference to the label in force; so mature +
//! late is the truth of a window. A label that was late to its own partition can still change a
//! mature cell after the judge has tested it: this shows in windows only.
//!
//! What is held is bounded in rows of each source partition, counted by that partition's own
//! watermark ([`JoinConfig::rows_max`]): neither replicas nor the order of partitions show in it. The
//! balance goes to the journal with every batch that changes it, and with it, by slice, how many
//! predictions have a label and how old that was.
//!
//! Where order cannot be undone: a prediction of an id whose slice is already final is `repeated`
//! whatever its coordinate, for as long as the row is remembered (one more horizon); and what a
//! partition says after it was idle, and thereby overtaken, comes too late. A row that was in force for
//! a while and then gave way to another of its id keeps its place among the rows whose losses are told,
//! so which events an alert names may depend on it.

mod advance;
mod blocks;
mod entry;
mod groups;
mod history;
mod index;
mod labels;
mod names;
mod pane;
mod snapshot;
mod sources;
mod table;
#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::rules::Rules;
use domain::{Input, OutputRecord, Outputs, RawBatch, SourcePartition, Stage, StageError, TopicRole, Unlabelled};
use measure::{Cell, ScoreCount, Shape};
use pane::Pane;
use records::journal::{
    ArrivedCell, ArrivedPane, Coverage, ExactCell, ExactPane, JoinCell, JoinCounters, JoinMarker, JoinPane, Journal,
    LossCell, LossPane,
};
use records::tracking::Tracking;
use records::{RECORD_HEADER, kind};
use serde::Serialize;
use std::collections::BTreeMap;
use table::Table;

/// A pane with more bytes than this is written in parts: brokers take records of 1 MB by default.
const PANE_BYTES: usize = 512 * 1024;

/// The record type of `p.journal` as join writes it: the profile type of score's panes does not
/// occur in the variants written here, and does not change their bytes.
type Written = Journal<(), Cell, (), (), (), ScoreCount>;

/// What join must know.
#[derive(Debug, Clone, Copy)]
pub struct JoinConfig {
    /// When labels meet predictions.
    pub rules: Rules,
    /// What a score looks like.
    pub shape: Shape,
    /// Partitions of all events topics: there is no event watermark before all have reported.
    pub event_partitions: usize,
    /// Partitions of all labels topics; none in a task without labels, where every row counts once its slice
    /// is final, and the events' watermark stands for that of the labels.
    pub label_partitions: usize,
    /// What a prediction means whose label never came.
    pub unlabelled: Unlabelled,
    /// Tell the scores of labelled rows themselves, for exact areas under curves.
    pub exact_areas: bool,
    /// Rows of one event or label partition that are held in one tracking partition at a time, by
    /// that partition's own watermark; see [`ROWS_MAX`]. What is beyond it is left out of
    /// everything and counted.
    pub rows_max: usize,
}

/// Default of [`JoinConfig::rows_max`]. An open prediction takes 55 bytes with one binary score and
/// two segment columns (`examples/memory.rs`), a label 40, and up to 190 while nobody knows its id
/// and its time lies ahead: at most 0.8 GB for a source partition.
pub const ROWS_MAX: usize = 4_000_000;

impl JoinConfig {
    /// Values of one score.
    fn outputs(&self) -> usize {
        self.shape.outputs()
    }
}

#[derive(Debug)]
struct Partition {
    table: Table,
    next_offset: i64,
}

/// See the module's description.
#[derive(Debug)]
pub struct Join {
    config: JoinConfig,
    partitions: BTreeMap<SourcePartition, Partition>,
}

/// What a commit carries, for people who look at consumer groups; the state comes from the log.
#[derive(Serialize)]
struct Metadata {
    events_ms: Option<i64>,
    labels_ms: Option<i64>,
    joined: u64,
    pending: u64,
}

impl Join {
    /// A join without partitions.
    #[must_use]
    pub fn new(config: JoinConfig) -> Self {
        Self { config, partitions: BTreeMap::new() }
    }

    fn assigned(&mut self, source: &SourcePartition, snapshot: Option<&[u8]>) -> Result<(), Error> {
        let (table, next_offset) = match snapshot {
            Some(bytes) => snapshot::read(bytes, &source.to_string(), &self.config)?,
            None => (Table::new(self.config.event_partitions, self.config.label_partitions), i64::MIN),
        };
        self.partitions.insert(source.clone(), Partition { table, next_offset });
        Ok(())
    }

    fn batch(&mut self, batch: &RawBatch, out: &mut Outputs) -> Result<(), Error> {
        let config = self.config;
        let Some(partition) = self.partitions.get_mut(&batch.source) else {
            return Err(Error::Unassigned(batch.source.to_string()));
        };
        let table = &mut partition.table;
        let mut pane = Pane::new(config.shape, config.exact_areas);
        let (events_were, labels_were) = (table.events_ms, table.labels_ms);
        let counters_were = table.counters;
        let mut idleness_changed = false;
        let from = partition.next_offset; // a checkpoint may reach further than what is read again
        for record in batch.iter().filter(|record| record.offset >= from) {
            idleness_changed |= take(table, &batch.source, record, &config, &mut pane)?;
            partition.next_offset = record.offset.saturating_add(1);
        }
        let number = batch.source.partition;
        let range = (batch.first_offset().unwrap_or_default(), batch.last_offset().unwrap_or_default());
        let (coverage, losses) = (pane.coverage(), pane.take_losses(&table.names));
        let exact = pane.take_exact(&table.names);
        let (changed, arrived) = pane.into_cells(&table.names);
        push_panes(out, number, range, (changed, coverage), (arrived, losses, exact))?;
        let passed = |was: Option<i64>, now: Option<i64>| {
            was.map(|w| config.rules.slices.start(w)) != now.map(|w| config.rules.slices.start(w))
        };
        let time_passed = passed(events_were, table.events_ms) || passed(labels_were, table.labels_ms);
        // Whoever reads the journal knows the balance at all times.
        if idleness_changed || time_passed || counters_were != table.counters {
            let marker = Written::JoinMarker(JoinMarker {
                tracking_partition: number,
                events_ms: table.events_ms,
                labels_ms: table.labels_ms,
                counters: table.counters,
            });
            push(out, &encode(&marker)?);
        }
        count(out, &counters_were, &table.counters);
        Ok(())
    }
}

/// Tells telemetry what was taken, and what became of it. Kinds that a label or prediction leaves
/// again (waiting, pending) are no counts; the marker has them.
fn count(out: &mut Outputs, was: &JoinCounters, now: &JoinCounters) {
    let since = |of: fn(&JoinCounters) -> u64| of(now).saturating_sub(of(was));
    out.count("vigie.join.predictions", since(|c| c.predictions));
    out.count("vigie.join.joined", since(|c| c.joined));
    out.count("vigie.join.expired", since(|c| c.expired));
    out.count("vigie.join.repeated", since(|c| c.repeated));
    out.count("vigie.join.labels", since(|c| c.labels));
    out.count("vigie.join.duplicate", since(|c| c.duplicate));
    out.count("vigie.join.corrected", since(|c| c.corrected));
    out.count("vigie.join.late", since(|c| c.late));
    out.count("vigie.join.orphan", since(|c| c.orphan));
    out.count("vigie.join.overflow", since(|c| c.predictions_overflow.saturating_add(c.labels_overflow)));
}

/// Takes one record; tells whether a source partition's idleness changed.
fn take(
    table: &mut Table,
    source: &SourcePartition,
    record: domain::RawRecord<'_>,
    config: &JoinConfig,
    pane: &mut Pane,
) -> Result<bool, Error> {
    let bytes = record.value.unwrap_or_default();
    let decoded = records::from_postcard(bytes)
        .map_err(|fault| Error::Record { what: format!("record {source}/{}", record.offset), fault })?;
    match decoded {
        Tracking::Predictions(batch) => table.predictions(&batch, config, pane)?,
        Tracking::Labels(batch) => table.labels(&batch, config, pane)?,
        Tracking::Marker(marker) => return Ok(table.marker(&marker, config, pane)),
    }
    Ok(false)
}

fn encode(record: &Written) -> Result<Vec<u8>, Error> {
    records::to_postcard(record).map_err(|fault| Error::Record { what: "journal record of join".to_owned(), fault })
}

fn push(out: &mut Outputs, value: &[u8]) {
    out.push(
        OutputRecord { topic: TopicRole::Journal, partition: 0, timestamp_ms: None, key: None, value: Some(value) },
        &[(RECORD_HEADER, kind::JOURNAL.as_bytes())],
    );
}

/// Writes the panes of a step, each in halves while it is too large for one record.
fn push_panes(
    out: &mut Outputs,
    tracking_partition: i32,
    (from_offset, to_offset): (i64, i64),
    (changed, coverage): (Vec<JoinCell<Cell>>, Vec<Coverage>),
    (arrived, losses, exact): (Vec<ArrivedCell<Cell>>, Vec<LossCell>, Vec<ExactCell<ScoreCount>>),
) -> Result<(), Error> {
    let mut parts = Vec::new();
    if !losses.is_empty() {
        parts.push(Written::Losses(LossPane { tracking_partition, from_offset, to_offset, cells: losses }));
    }
    if !exact.is_empty() {
        parts.push(Written::Exact(ExactPane { tracking_partition, from_offset, to_offset, cells: exact }));
    }
    if !arrived.is_empty() {
        parts.push(Written::Arrived(ArrivedPane { tracking_partition, from_offset, to_offset, cells: arrived }));
    }
    if !changed.is_empty() || !coverage.is_empty() {
        let pane = JoinPane { tracking_partition, from_offset, to_offset, cells: changed, coverage };
        parts.push(Written::JoinPane(pane));
    }
    while let Some(part) = parts.pop() {
        let bytes = encode(&part)?;
        let halves = if bytes.len() > PANE_BYTES { halves(part) } else { None };
        match halves {
            Some((first, second)) => parts.extend([second, first]),
            None => push(out, &bytes),
        }
    }
    Ok(())
}

/// The cells of a pane in two; `None` if there is one, or none.
fn halves(part: Written) -> Option<(Written, Written)> {
    match part {
        Written::JoinPane(mut first) if first.cells.len() > 1 => {
            let cells = first.cells.split_off(first.cells.len() / 2);
            let second = JoinPane { cells, coverage: Vec::new(), ..first };
            Some((Written::JoinPane(first), Written::JoinPane(second)))
        }
        Written::Arrived(mut first) if first.cells.len() > 1 => {
            let cells = first.cells.split_off(first.cells.len() / 2);
            let second = ArrivedPane { cells, ..first };
            Some((Written::Arrived(first), Written::Arrived(second)))
        }
        Written::Losses(mut first) if first.cells.len() > 1 => {
            let cells = first.cells.split_off(first.cells.len() / 2);
            let second = LossPane { cells, ..first };
            Some((Written::Losses(first), Written::Losses(second)))
        }
        Written::Exact(mut first) if first.cells.len() > 1 => {
            let cells = first.cells.split_off(first.cells.len() / 2);
            let second = ExactPane { cells, ..first };
            Some((Written::Exact(first), Written::Exact(second)))
        }
        _ => None,
    }
}

impl Stage for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn step(&mut self, input: Input<'_>, out: &mut Outputs) -> Result<(), StageError> {
        match input {
            Input::Assigned { source, snapshot, .. } => self.assigned(source, snapshot)?,
            Input::Revoked(source) => {
                self.partitions.remove(source);
            }
            Input::Batch(batch) => self.batch(batch, out)?,
            // Tracking's own idleness means nothing: source partitions report theirs in markers.
            Input::Idle(_) | Input::Control(_) | Input::Loaded { .. } | Input::Tick { .. } => {}
        }
        Ok(())
    }

    fn commit_metadata(&self, source: &SourcePartition) -> String {
        let Some(Partition { table, .. }) = self.partitions.get(source) else { return String::new() };
        let metadata = Metadata {
            events_ms: table.events_ms,
            labels_ms: table.labels_ms,
            joined: table.counters.joined,
            pending: table.counters.pending,
        };
        records::to_json(&metadata).ok().and_then(|json| String::from_utf8(json).ok()).unwrap_or_default()
    }

    fn replays(&self) -> bool {
        true
    }

    fn snapshot(&self, source: &SourcePartition) -> Option<Vec<u8>> {
        let partition = self.partitions.get(source)?;
        snapshot::write(&partition.table, partition.next_offset, &self.config).ok()
    }
}
