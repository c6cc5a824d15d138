//! What no label topic should hold, and some will: it is counted, bounded, and hurts nobody else.

#![allow(clippy::unwrap_used)]

use domain::time::Watermark;
use domain::{Input, LineUp, Member, Outputs, RawBatch, RawRecord, Slices, SourcePartition, Stage, Task};
use domain::{TopicRole, Version, fingerprint};
use measure::{Cell, Shape};
use records::journal::{JoinCounters, JoinPane, Journal};
use records::tracking::{LabelBatch, Marker, PredictionBatch, SegmentColumn, Tracking};
use std::collections::{BTreeMap, BTreeSet};
use track::{Join, JoinConfig, Rules, Unlabelled};

const HOUR: i64 = 3_600_000;
const YEAR: i64 = 365 * 24 * HOUR;
const SHAPE: Shape = Shape { task: Task::BinaryClassification, classes: 2 };

/// Hourly slices, labels for six hours, one partition of each kind.
struct Bench {
    join: Join,
    offset: i64,
    counters: JoinCounters,
    cells: BTreeMap<(i64, String), Cell>,
}

fn tracking() -> SourcePartition {
    SourcePartition::new("p.tracking", 0)
}

impl Bench {
    fn new(rows_max: usize) -> Self {
        let config = JoinConfig {
            rules: Rules { slices: Slices::of(HOUR), horizon_ms: 6 * HOUR, maturity_ms: HOUR, orphan_after_ms: 0 },
            shape: SHAPE,
            event_partitions: 1,
            label_partitions: 1,
            unlabelled: Unlabelled::Unknown,
            exact_areas: false,
            rows_max,
        };
        let mut join = Join::new(config);
        let source = tracking();
        let input = Input::Assigned { source: &source, offset: None, metadata: None, snapshot: None };
        join.step(input, &mut Outputs::default()).unwrap();
        Self { join, offset: 0, counters: JoinCounters::default(), cells: BTreeMap::new() }
    }

    fn take(&mut self, record: &Tracking) {
        let mut batch = RawBatch::new(TopicRole::Tracking, tracking());
        let value = records::to_postcard(record).unwrap();
        batch.push(RawRecord { offset: self.offset, timestamp_ms: 0, key: None, value: Some(&value) }, []);
        self.offset += 1;
        let mut out = Outputs::default();
        self.join.step(Input::Batch(&batch), &mut out).unwrap();
        for record in out.records() {
            match records::from_postcard::<Journal<(), Cell>>(record.value.unwrap()).unwrap() {
                Journal::JoinMarker(marker) => self.counters = marker.counters,
                Journal::JoinPane(JoinPane { cells, .. }) => {
                    assert!(cells.is_empty(), "only rows that change have cells of no arrival");
                }
                Journal::Arrived(pane) => {
                    for c in pane.cells.into_iter().map(|c| c.joined) {
                        let cell =
                            self.cells.entry((c.slice_start_ms, c.segment)).or_insert_with(|| Cell::empty(SHAPE));
                        cell.merge(&c.cell);
                    }
                }
                Journal::Losses(pane) => assert!(!pane.cells.is_empty()),
                other => panic!("join wrote {other:?}"),
            }
        }
        assert!(self.counters.balances(), "{:?}", self.counters);
    }

    /// Both watermarks pass a time.
    fn pass(&mut self, time_ms: i64) {
        let watermark = Watermark { time_ms, idle: false };
        self.take(&Tracking::Marker(Marker::events(SourcePartition::new("events", 0), watermark)));
        self.take(&Tracking::Marker(Marker::labels(SourcePartition::new("labels", 0), watermark)));
    }

    fn checkpoint(&self) -> usize {
        self.join.snapshot(&tracking()).unwrap().len()
    }
}

fn id(name: &str, n: i64) -> u128 {
    fingerprint(format!("{name}{n}").as_bytes())
}

/// Predictions of the events n at their times, with a score and a segment value each.
fn predictions(rows: &[(i64, i64, f64)], segment: impl Fn(i64) -> String) -> Tracking {
    let member = Member { version: Version::new("000000000001"), trained_until_ms: i64::MIN, harm: None };
    let values: BTreeSet<String> = rows.iter().map(|(n, ..)| segment(*n)).collect();
    let values: Vec<String> = values.into_iter().collect();
    let code = |n: i64| u32::try_from(values.binary_search(&segment(n)).unwrap()).unwrap();
    Tracking::Predictions(PredictionBatch {
        source: SourcePartition::new("events", 0),
        line_up: LineUp { promotion: 1, members: vec![member], frozen: None, previous: None },
        ids: rows.iter().map(|(n, ..)| id("event", *n)).collect(),
        offsets: rows.iter().map(|(n, ..)| *n).collect(),
        times_ms: rows.iter().map(|(_, time, _)| *time).collect(),
        after_final: vec![false; rows.len()],
        segments: vec![SegmentColumn {
            name: "origin".to_owned(),
            codes: rows.iter().map(|(n, ..)| code(*n)).collect(),
            values: values.clone(),
        }],
        scores: vec![rows.iter().map(|(.., score)| *score).collect()],
    })
}

fn one(_: i64) -> String {
    "JFK".to_owned()
}

/// Labels (offset, time) of the events of the same number, or of ids nobody knows.
fn labels(name: &str, rows: impl Iterator<Item = (i64, i64)>) -> Tracking {
    let source = SourcePartition::new("labels", 0);
    let mut batch = LabelBatch { source, ids: vec![], offsets: vec![], times_ms: vec![], values: vec![] };
    for (n, time) in rows {
        batch.ids.push(id(name, n));
        batch.offsets.push(n);
        batch.times_ms.push(time);
        batch.values.push(1.0);
    }
    Tracking::Labels(batch)
}

#[test]
fn a_million_labels_of_unknown_ids_are_held_up_to_the_bound_counted_and_forgotten() {
    let mut bench = Bench::new(20_000);
    bench.pass(0);
    bench.take(&predictions(&[(2_000_000, HOUR / 2, 0.7), (2_000_001, 40 * HOUR, 0.7)], one));
    for part in 0..100_i64 {
        let rows = part * 10_000..(part + 1) * 10_000;
        bench.take(&labels("nobody", rows.map(|n| (n, HOUR + n % HOUR))));
    }
    let counters = bench.counters;
    assert_eq!((counters.labels, counters.waiting, counters.labels_overflow), (1_000_000, 20_000, 980_000));
    let held = bench.checkpoint();
    assert!(held < 20_000 * 120, "{held} bytes for 20,000 labels");
    // The flood's own partition pays, also with a label that somebody waits for.
    bench.take(&labels("event", [(2_000_000, HOUR)].into_iter()));
    assert_eq!((bench.counters.joined, bench.counters.labels_overflow), (0, 980_001));
    // Once stream time has passed them there is room again, and nothing is left of them.
    bench.pass(30 * HOUR);
    bench.take(&labels("event", [(2_000_001, 41 * HOUR)].into_iter()));
    let counters = bench.counters;
    assert_eq!((counters.joined, counters.orphan, counters.waiting, counters.expired), (1, 20_000, 0, 1));
    assert!(bench.checkpoint() < 2_000, "{} bytes for one label", bench.checkpoint());
}

#[test]
fn predictions_beyond_the_bound_are_counted_and_leave_no_trace() {
    let mut bench = Bench::new(3);
    bench.pass(0);
    let rows: Vec<_> = (0..10).map(|n| (n, n * 60_000, 0.7)).collect();
    bench.take(&predictions(&rows, one));
    bench.take(&labels("event", (0..3).map(|n| (n, HOUR))));
    let counters = bench.counters;
    assert_eq!((counters.predictions, counters.joined, counters.predictions_overflow), (10, 3, 7));
    bench.pass(20 * HOUR);
    let rows: Vec<_> = (10..13).map(|n| (n, 20 * HOUR, 0.7)).collect();
    bench.take(&predictions(&rows, one));
    assert_eq!((bench.counters.pending, bench.counters.predictions_overflow), (3, 7));
}

#[test]
fn clocks_far_off_meet_nobody_and_are_forgotten_in_their_time() {
    let mut bench = Bench::new(1_000);
    bench.pass(0);
    let times = [HOUR, YEAR, -YEAR, i64::MAX, i64::MIN];
    let rows: Vec<_> = (0..).zip(times).map(|(n, time)| (n, time, 0.7)).collect();
    bench.take(&predictions(&rows, one));
    // An event long past is closed at once.
    assert_eq!((bench.counters.pending, bench.counters.expired), (3, 2));
    bench.take(&labels("event", [(0, YEAR), (1, HOUR), (2, i64::MAX), (3, i64::MIN)].into_iter()));
    assert_eq!((bench.counters.joined, bench.counters.labels), (0, 4));
    bench.take(&labels("event", [(4, 2 * HOUR)].into_iter())); // about the event of i64::MIN: of no use
    let good = predictions(&[(5, HOUR, 0.7)], one);
    bench.take(&good);
    bench.take(&labels("event", [(5, 2 * HOUR)].into_iter()));
    assert_eq!(bench.counters.joined, 1, "a neighbour");
    bench.pass(YEAR + 20 * HOUR);
    let counters = bench.counters;
    assert_eq!((counters.joined, counters.pending, counters.expired), (1, 1, 4), "one lies beyond all time");
    assert_eq!(bench.cells.values().map(|cell| cell.served.rows()).sum::<i64>(), 2, "all rows and one segment");
}

#[test]
fn broken_scores_are_wrong_predictions_and_poison_no_sum() {
    let mut bench = Bench::new(1_000);
    bench.pass(0);
    let scores = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -3.0, 7.0, 0.8];
    let rows: Vec<_> = (0..).zip(scores).map(|(n, score)| (n, HOUR, score)).collect();
    bench.take(&predictions(&rows, one));
    bench.take(&labels("event", (0..6).map(|n| (n, HOUR + 1))));
    bench.pass(2 * HOUR);
    let cell = &bench.cells[&(HOUR, "*".to_owned())];
    assert_eq!(cell.served.rows(), 6);
    let metrics = cell.served.metrics();
    assert!(metrics.values().all(|estimate| estimate.value.is_finite()), "{metrics:?}");
    // All labels are positive: not a number, minus infinity and -3 are wrong.
    assert!((metrics["accuracy"].value - 0.5).abs() < 1e-12, "{metrics:?}");
}

#[test]
fn a_hundred_thousand_segment_values_end_in_other() {
    let mut bench = Bench::new(1_000_000);
    bench.pass(0);
    for part in 0..10_i64 {
        let rows: Vec<_> = (part * 10_000..(part + 1) * 10_000).map(|n| (n, HOUR, 0.7)).collect();
        bench.take(&predictions(&rows, |n| format!("v{n}")));
        bench.take(&labels("event", (part * 10_000..(part + 1) * 10_000).map(|n| (n, HOUR + 1))));
    }
    bench.pass(2 * HOUR);
    assert_eq!(bench.cells.len(), 1 + 4_096 + 1, "all rows, the values that have a name, the others");
    let rows = |segment: &str| bench.cells[&(HOUR, segment.to_owned())].served.rows();
    assert_eq!((rows("*"), rows("origin=other"), rows("origin=v0")), (100_000, 100_000 - 4_096, 1));
}
