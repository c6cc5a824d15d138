//! A small language for logs of `p.tracking`, and a join run over one.

use crate::join::{Join, JoinConfig, Unlabelled};
use crate::rules::Rules;
use domain::time::Watermark;
use domain::{Harm, Input, LineUp, Member, Outputs, RawBatch, RawRecord, Slices, SourcePartition, Stage, Task};
use domain::{TopicRole, Version};
use measure::{Cell, Shape};
use records::example::Losses;
use records::journal::{JoinCell, JoinCounters, JoinMarker, Journal, Phase};
use records::tracking::{LabelBatch, Marker, PredictionBatch, SegmentColumn, StreamKind, Tracking};
use std::collections::BTreeMap;

pub(super) const RULES: Rules =
    Rules { slices: Slices { length_ms: 10 }, horizon_ms: 30, maturity_ms: 5, orphan_after_ms: 1 };
pub(super) const SHAPE: Shape = Shape { task: Task::BinaryClassification, classes: 2 };
pub(super) const SEGMENTS: [&str; 2] = ["JFK", "other"];

/// Event times before this were seen by version 2 in training.
pub(super) const TRAINED_UNTIL: i64 = 40;

/// One event, label or marker. `source` is the number of the event or label partition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    Prediction { source: i32, offset: i64, id: u128, time: i64, after_final: bool, promotion: u64 },
    Label { source: i32, offset: i64, id: u128, time: i64, value: f64 },
    Marker { kind: StreamKind, source: i32, time: i64, idle: bool },
}

pub(super) fn p(source: i32, offset: i64, id: u128, time: i64) -> Item {
    Item::Prediction { source, offset, id, time, after_final: false, promotion: 1 }
}
pub(super) fn l(source: i32, offset: i64, id: u128, time: i64, value: f64) -> Item {
    Item::Label { source, offset, id, time, value }
}
/// Markers of the only event partition and the only label partition.
pub(super) fn e(time: i64) -> Item {
    Item::Marker { kind: StreamKind::Events, source: 0, time, idle: false }
}
pub(super) fn m(time: i64) -> Item {
    Item::Marker { kind: StreamKind::Labels, source: 0, time, idle: false }
}

pub(super) fn name(kind: StreamKind, source: i32) -> SourcePartition {
    SourcePartition::new(if kind == StreamKind::Events { "flights" } else { "outcomes" }, source)
}

/// Scores of the members of a line-up: champion first.
pub(super) fn scores(id: u128, promotion: u64) -> Vec<f64> {
    let score = |factor: u32| f64::from(u32::try_from(id % 1000).unwrap() * factor % 97) / 97.0;
    if promotion == 1 { vec![score(7)] } else { vec![score(31), score(7)] }
}

pub(super) fn segment(id: u128) -> usize {
    usize::from(!id.is_multiple_of(3))
}

/// Promotion 1: version 1 alone. Promotion 2: version 2 with bets, version 1 as both shadows.
pub(super) fn line_up(promotion: u64) -> LineUp {
    let member = |name: &str, trained_until_ms, harm| Member { version: Version::new(name), trained_until_ms, harm };
    let first = member("000000000001", 0, None);
    let frozen = Some(first.version.clone());
    if promotion == 1 {
        return LineUp { promotion, members: vec![first], frozen, previous: None };
    }
    let second = member("000000000002", TRAINED_UNTIL, harm());
    LineUp { promotion, previous: frozen.clone(), members: vec![second, first], frozen }
}

pub(super) fn harm() -> Option<Harm> {
    Some(Harm { p0: 0.2, bets: vec![0.5, 1.0], scale: 1.0 })
}

pub(super) fn config(partitions: usize) -> JoinConfig {
    JoinConfig {
        rules: RULES,
        shape: SHAPE,
        event_partitions: partitions,
        label_partitions: partitions,
        unlabelled: Unlabelled::Unknown,
        exact_areas: false,
        rows_max: crate::ROWS_MAX,
    }
}

/// Whether an item may stand in one record of tracking with the one before.
fn together(a: &Item, b: &Item) -> bool {
    match (a, b) {
        (Item::Prediction { source, promotion, .. }, Item::Prediction { source: s, promotion: q, .. }) => {
            source == s && promotion == q
        }
        (Item::Label { source, .. }, Item::Label { source: s, .. }) => source == s,
        _ => false,
    }
}

/// The items as records of tracking, cut where `cut` says so or where they must be.
pub(super) fn records(items: &[Item], mut cut: impl FnMut() -> bool) -> Vec<Tracking> {
    let mut runs: Vec<Vec<Item>> = Vec::new();
    for item in items {
        match runs.last_mut() {
            Some(run) if together(run.last().unwrap(), item) && !cut() => run.push(item.clone()),
            _ => runs.push(vec![item.clone()]),
        }
    }
    runs.iter().map(|run| record(run)).collect()
}

fn record(run: &[Item]) -> Tracking {
    match run[0] {
        Item::Marker { kind, source, time, idle } => {
            let source = name(kind, source);
            Tracking::Marker(Marker { kind, source, watermark: Watermark { time_ms: time, idle } })
        }
        Item::Label { source, .. } => {
            let source = name(StreamKind::Labels, source);
            let mut batch = LabelBatch { source, ids: vec![], offsets: vec![], times_ms: vec![], values: vec![] };
            for item in run {
                let Item::Label { offset, id, time, value, .. } = *item else { unreachable!() };
                batch.ids.push(id);
                batch.offsets.push(offset);
                batch.times_ms.push(time);
                batch.values.push(value);
            }
            Tracking::Labels(batch)
        }
        Item::Prediction { source, promotion, .. } => {
            let line_up = line_up(promotion);
            let values = SEGMENTS.map(str::to_owned).to_vec();
            let mut batch = PredictionBatch {
                source: name(StreamKind::Events, source),
                scores: vec![vec![]; line_up.members.len()],
                line_up,
                ids: vec![],
                offsets: vec![],
                times_ms: vec![],
                after_final: vec![],
                segments: vec![SegmentColumn { name: "origin".to_owned(), values, codes: vec![] }],
            };
            for item in run {
                let Item::Prediction { offset, id, time, after_final, .. } = *item else { unreachable!() };
                batch.ids.push(id);
                batch.offsets.push(offset);
                batch.times_ms.push(time);
                batch.after_final.push(after_final);
                batch.segments[0].codes.push(u32::try_from(segment(id)).unwrap());
                for (member, score) in batch.scores.iter_mut().zip(scores(id, promotion)) {
                    member.push(score);
                }
            }
            Tracking::Predictions(batch)
        }
    }
}

pub(super) fn tracking() -> SourcePartition {
    SourcePartition::new("p.tracking", 0)
}

/// Batches of the records, cut where `cut` says so.
pub(super) fn batches(records: &[Tracking], mut cut: impl FnMut() -> bool) -> Vec<RawBatch> {
    let mut batches: Vec<RawBatch> = Vec::new();
    for (place, record) in records.iter().enumerate() {
        if batches.is_empty() || cut() {
            batches.push(RawBatch::new(TopicRole::Tracking, tracking()));
        }
        let value = records::to_postcard(record).unwrap();
        // Transactions leave gaps between offsets.
        let offset = i64::try_from(place * 2).unwrap();
        let raw = RawRecord { offset, timestamp_ms: 0, key: None, value: Some(&value) };
        batches.last_mut().unwrap().push(raw, []);
    }
    batches
}

pub(super) type CellKey = (i64, Phase, String, u64, Version);

/// All that a run said.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) cells: BTreeMap<CellKey, Cell>,
    /// All rows by the slice of their first label.
    pub(super) arrived: BTreeMap<i64, Cell>,
    /// By slice and version.
    pub(super) losses: BTreeMap<(i64, Version), Losses>,
    pub(super) markers: Vec<JoinMarker>,
    pub(super) counters: JoinCounters,
    pub(super) bytes: Vec<Vec<u8>>,
}

impl Said {
    fn take(&mut self, out: &Outputs) {
        let mut marked = false;
        for record in out.records() {
            assert_eq!(record.topic, TopicRole::Journal);
            self.bytes.push(record.value.unwrap().to_vec());
            match records::from_postcard::<Journal<(), Cell>>(record.value.unwrap()).unwrap() {
                Journal::JoinPane(pane) => {
                    assert!(!marked, "panes come before the marker");
                    assert!(!(pane.cells.is_empty() && pane.coverage.is_empty()) && pane.from_offset <= pane.to_offset);
                    self.merge(pane.cells);
                }
                Journal::Arrived(pane) => {
                    assert!(!marked && !pane.cells.is_empty() && pane.from_offset <= pane.to_offset);
                    for cell in &pane.cells {
                        let arrived =
                            self.arrived.entry(cell.arrived_slice_start_ms).or_insert_with(|| Cell::empty(SHAPE));
                        if cell.joined.segment == "*" {
                            arrived.merge(&cell.joined.cell);
                        }
                    }
                    self.merge(pane.cells.into_iter().map(|cell| cell.joined).collect());
                }
                Journal::Losses(pane) => {
                    assert!(!marked && !pane.cells.is_empty() && pane.from_offset <= pane.to_offset);
                    for cell in pane.cells {
                        let place = (cell.slice_start_ms, cell.version);
                        self.losses.entry(place).or_default().merge(&cell.losses);
                    }
                }
                Journal::JoinMarker(marker) => {
                    marked = true;
                    self.markers.push(marker);
                }
                other => panic!("join wrote {other:?}"),
            }
        }
    }

    /// Slices have fewer rows than a sample takes, so losses are those of all mature rows.
    fn check_losses(&self) {
        for ((slice, version), losses) in &self.losses {
            let is_of = |key: &CellKey| key.0 == *slice && key.1 == Phase::Mature && key.2 == "*" && key.4 == *version;
            let mut cell = Cell::empty(SHAPE);
            self.cells.iter().filter(|(key, _)| is_of(key)).for_each(|(_, part)| cell.merge(part));
            let sampled = losses.worst_first();
            assert_eq!(i64::try_from(sampled.len()).unwrap(), cell.harm.rows, "slice {slice} of {version}");
            let sum: f64 = sampled.iter().map(|(_, loss)| loss).sum();
            assert!((sum - cell.harm.loss.to_f64()).abs() < 1e-6, "slice {slice} of {version}: {sampled:?}");
        }
    }

    fn merge(&mut self, cells: Vec<JoinCell<Cell>>) {
        for cell in cells {
            let key = (cell.slice_start_ms, cell.phase, cell.segment, cell.promotion, cell.version);
            self.cells.entry(key).or_insert_with(|| Cell::empty(SHAPE)).merge(&cell.cell);
        }
        self.cells.retain(|_, cell| !cell.is_empty());
    }
}

/// A join with its tracking partition assigned.
pub(super) fn assigned(config: JoinConfig, snapshot: Option<&[u8]>) -> Join {
    let mut join = Join::new(config);
    let source = tracking();
    let input = Input::Assigned { source: &source, offset: None, metadata: None, snapshot };
    join.step(input, &mut Outputs::default()).unwrap();
    join
}

/// Runs a join over batches; before the batch at `restart` it is thrown away and restored.
pub(super) fn run(config: JoinConfig, batches: &[RawBatch], restart: Option<usize>) -> (Said, Vec<u8>) {
    let mut join = assigned(config, None);
    let mut said = Said::default();
    for (place, batch) in batches.iter().enumerate() {
        if restart == Some(place) {
            let snapshot = join.snapshot(&tracking()).unwrap();
            join = assigned(config, Some(&snapshot));
        }
        let mut out = Outputs::default();
        join.step(Input::Batch(batch), &mut out).unwrap();
        said.take(&out);
        said.counters = join.partitions[&tracking()].table.counters;
        assert!(said.counters.balances(), "after batch {place}: {:?}", said.counters);
    }
    said.check_losses();
    (said, join.snapshot(&tracking()).unwrap())
}

/// Runs items one to a record and one to a batch.
pub(super) fn play(items: &[Item]) -> Said {
    run(config(1), &batches(&records(items, || true), || true), None).0
}
