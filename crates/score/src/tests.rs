//! The stage over scripted logs, without a broker: any batch cuts, aborts and crashes.

use crate::live::{Apply, Live, class_of};
use crate::pane::Entry;
use crate::{Config, Segment, Stage};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use codec::{EventFormat, Source, TimeSource, TimeUnit, Tombstone};
use domain::{
    Effect, EventSchema, Field, FieldType, Fingerprint, Header, Input, LineUp, Member, Outputs, RawBatch, RawRecord,
    Slices, SourcePartition, Stage as _, StageError, Task, TopicRole, Version,
};
use measure::{Calibration, ChildSums, Expected, ScoreMap};
use profile::{Bins, ColumnLayout, Counts, Layout, Reference};
use proptest::prelude::*;
use records::control::{Control, Promotion, PromotionCause};
use records::example::Example;
use records::journal::{Journal, ScoreCounters};
use records::sample::{Sample, rows_max};
use records::tracking::Tracking;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod imposed;
mod samples;

const TASKS: [Task; 5] =
    [Task::BinaryClassification, Task::MulticlassClassification, Task::Regression, Task::Anomaly, Task::Clustering];

/// Score = fraction of x × weight; NaN for x = 13, a fault for the whole batch at x = 666.
#[derive(Debug)]
struct Fake {
    weight: f64,
    outputs: usize,
    /// Expects every row to err by half of its score.
    has_errors: bool,
}

impl Apply for Fake {
    fn apply(&self, rows: &RecordBatch) -> Result<Vec<f64>, String> {
        let x = rows.column_by_name("x").unwrap().as_primitive::<Float64Type>();
        if x.iter().flatten().any(|v| v == 666.0) {
            return Err("division by zero".to_owned());
        }
        let mut values = Vec::new();
        for row in 0..x.len() {
            let value = if x.is_null(row) { 0.25 } else { (x.value(row) * self.weight).rem_euclid(1.0) };
            let value = if x.is_valid(row) && x.value(row) == 13.0 { f64::NAN } else { value };
            match self.outputs {
                1 => values.push(value),
                n => values.extend((0..n).map(|k| if k == 0 { value } else { (1.0 - value) / (n - 1) as f64 })),
            }
        }
        Ok(values)
    }

    fn apply_expecting(&self, rows: &RecordBatch) -> Result<(Vec<f64>, Option<bundle::RowErrors>), String> {
        let values = self.apply(rows)?;
        let errors = values.iter().map(|v| [v / 2.0, v * v / 4.0]).collect();
        Ok((values, self.has_errors.then_some(errors)))
    }

    /// What the score was computed from, and the same once more.
    fn features(&self, rows: &RecordBatch) -> Result<Vec<Vec<f32>>, String> {
        let x = rows.column_by_name("x").unwrap().as_primitive::<Float64Type>();
        let x: Vec<f32> = x.iter().map(|x| x.unwrap_or(-1.0) as f32).collect();
        Ok(vec![x.clone(), x])
    }
}

fn config(task: Task) -> Config {
    let field = |name: &str, field_type| Field { name: name.to_owned(), field_type, required: false };
    let classes: &[&str] = match task {
        Task::BinaryClassification => &["no", "yes"],
        Task::MulticlassClassification => &["a", "b", "c"],
        Task::Anomaly => &["normal", "anomaly"],
        Task::Regression | Task::Clustering => &[],
    };
    Config {
        format: EventFormat {
            schema: EventSchema { fields: vec![field("x", FieldType::Float), field("origin", FieldType::Category)] },
            id: Source::Column("id".to_owned()),
            time: TimeSource::Column { path: "t".to_owned(), unit: TimeUnit::Milliseconds },
            tombstone: Tombstone::Ignore,
        },
        task,
        classes: classes.iter().map(|c| (*c).to_owned()).collect(),
        slices: Slices::of(1_000),
        lateness_ms: 200,
        max_skew_ms: 5_000,
        horizon_ms: 2_000,
        tracking_partitions: 3,
        predictions_partitions: 2,
        prediction_bytes_max: 1 << 20,
        rejected: records::rejected::Topic { partitions: 4, record_bytes_max: 1 << 20 },
        swaps: None,
        segments: vec![Segment { name: "by_origin".to_owned(), column: "origin".to_owned(), drift: true }],
    }
}

fn live(config: &Config, weight: f64) -> Result<Live, String> {
    let prediction = match config.task {
        Task::MulticlassClassification => Bins::Category { values: config.classes.clone() },
        Task::Clustering => Bins::Category { values: vec!["0".to_owned()] },
        _ => Bins::Numeric { edges: vec![0.25, 0.5, 0.75] },
    };
    let column = |name: &str, bins| ColumnLayout { name: name.to_owned(), bins };
    let layout = Layout::new(vec![
        column("x", Bins::Numeric { edges: vec![0.0, 10.0, 20.0] }),
        column("origin", Bins::Category { values: vec!["EWR".to_owned(), "JFK".to_owned()] }),
        column("prediction", prediction),
    ]);
    let outputs = config.task.outputs(config.classes.len());
    let reference = Reference { layout, counts: Counts::default(), importance: vec![0.0; 3] };
    let live = Live::new(
        Arc::new(Fake { weight, outputs, has_errors: config.task == Task::Regression }),
        Arc::new(reference),
        config,
    )?;
    // Binary scores are taken at their word; the other tasks' bundles are those of earlier builds.
    let is_binary = config.task == Task::BinaryClassification;
    let calibration = is_binary.then(|| Calibration::of(vec![ScoreMap::Identity]).unwrap());
    let calibration = calibration.map(|calibration| Arc::new(bundle::Calibrated { calibration, gap: None }));
    let mut live = live;
    live.calibration = calibration;
    live.half_width = (config.task == Task::Regression).then_some(0.5);
    let profiled = ["by_origin=EWR", "by_origin=JFK", "by_origin=missing"];
    live.profiled_segments = Arc::new(profiled.map(str::to_owned).into());
    Ok(live)
}

fn weight(version: &Version) -> f64 {
    f64::from(u8::from_str_radix(&version.as_str()[..2], 16).unwrap()) * 0.137
}

fn line_up(promotion: u64, versions: &[&str]) -> LineUp {
    let member = |v: &&str| Member { version: Version::new(v), trained_until_ms: 0, harm: None };
    LineUp { promotion, members: versions.iter().map(member).collect(), frozen: None, previous: None }
}

fn promotion(number: u64, effective_from_ms: Option<i64>, versions: &[&str]) -> Control {
    Control::Promotion(Promotion {
        cause: PromotionCause::Run,
        effective_from_ms,
        line_up: line_up(number, versions),
        run: None,
        decided_at_ms: None,
        reasons: vec![],
    })
}

const A: &str = "0a0000000000";
const B: &str = "0b0000000000";
const C: &str = "0c0000000000";

fn control(records: &[Control]) -> RawBatch {
    let mut batch = RawBatch::new(TopicRole::Control, SourcePartition::new("control", 0));
    for (offset, record) in (0..).zip(records) {
        let value = records::to_json(record).unwrap();
        batch.push(RawRecord { offset, timestamp_ms: 0, key: Some(record.key().as_bytes()), value: Some(&value) }, []);
    }
    batch
}

fn source() -> SourcePartition {
    SourcePartition::new("events", 5)
}

/// One event of a scripted log: event time and value.
type Event = (i64, Option<String>);

fn event(time_ms: i64, x: &str, origin: &str) -> Event {
    (time_ms, Some(format!(r#"{{"id":"e{time_ms}-{x}","t":{time_ms},"x":{x},"origin":{origin}}}"#)))
}

/// Five slices, out of order by up to half a slice, with every kind of trouble in between.
fn log() -> Vec<Event> {
    let mut log = Vec::new();
    for n in 0..60_i64 {
        let time_ms = 10_000 + n * 90 - (n % 5) * 100;
        let origin = ["\"EWR\"", "\"JFK\"", "\"LGA\"", "null"][n as usize % 4];
        log.push(event(time_ms, &n.to_string(), origin));
        match n {
            7 => log.push((time_ms, Some("{\"id\":".to_owned()))),
            11 => log.push((time_ms, None)),
            20 => log.push(event(time_ms + 1_000_000, "5", "null")), // of the future
            30 => log.push(event(time_ms, "666", "null")),           // fails alone
            40 => log.push(event(time_ms - 2_500, "7.5", "null")),   // after the end of its window
            44 => log.push((time_ms, Some("null".to_owned()))),
            _ => {}
        }
    }
    log
}

fn raw(log: &[Event], from: usize, to: usize) -> RawBatch {
    let mut batch = RawBatch::new(TopicRole::Events, source());
    for (place, (time_ms, value)) in log.iter().enumerate().take(to).skip(from) {
        // Offsets have gaps. The record's own time is near the first time of the log.
        let offset = place as i64 * 2 + 100;
        let timestamp_ms = (*time_ms).min(20_000);
        let key = format!("k{place}");
        let record =
            RawRecord { offset, timestamp_ms, key: Some(key.as_bytes()), value: value.as_deref().map(str::as_bytes) };
        let trace = Header { name: "traceparent", value: Some(b"00-ab-cd-01") };
        batch.push(record, (place % 2 == 0).then_some(trace));
    }
    batch
}

/// Everything the outside sees, in a form that does not depend on cuts.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    predictions: Vec<String>,
    rejected: Vec<String>,
    swaps: Vec<String>,
    cells: BTreeMap<(i64, String), (u64, u64, Counts)>,
    /// By slice, version and segment.
    expected: BTreeMap<(i64, String, String), Expected>,
    errors: BTreeMap<(i64, String, String), ChildSums>,
    segments: BTreeMap<(i64, String, String), Counts>,
    examples: BTreeMap<(i64, String), BTreeMap<Fingerprint, Example>>,
    samples: BTreeMap<(i64, String), Sample>,
    tracked: BTreeSet<String>,
    counters: ScoreCounters,
    state: String,
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or(b"<none>")).into_owned()
}

impl Seen {
    fn commit(&mut self, out: &Outputs) {
        for (index, record) in out.records().enumerate() {
            let headers: Vec<String> = out.headers(index).map(|(n, v)| format!("{n}={}", text(Some(v)))).collect();
            let line =
                format!("{:?} {} {:?} {}", record.partition, text(record.key), record.timestamp_ms, text(record.value));
            let value = record.value.unwrap_or_default();
            match record.topic {
                TopicRole::Predictions => self.predictions.push(format!("{line} {headers:?}")),
                TopicRole::Rejected => self.rejected.push(format!("{line} {headers:?}")),
                TopicRole::Control => self.swaps.push(line),
                TopicRole::Journal => self.journal(value),
                TopicRole::Tracking => self.tracking(record.partition, value),
                other => panic!("nothing is written to {other}"),
            }
        }
    }

    fn journal(&mut self, value: &[u8]) {
        let entry: Entry = records::from_postcard(value).unwrap();
        if let Journal::Expected(pane) = &entry {
            for cell in &pane.cells {
                let key = (cell.slice_start_ms, cell.version.to_string(), cell.segment.clone());
                self.expected.entry(key).or_insert_with(|| Expected::new(2)).merge(&cell.expected);
            }
        }
        if let Journal::ExpectedErrors(pane) = &entry {
            for cell in &pane.cells {
                let key = (cell.slice_start_ms, cell.version.to_string(), cell.segment.clone());
                self.errors.entry(key).or_default().merge(&cell.expected);
            }
        }
        if let Journal::Segments(pane) = &entry {
            for cell in &pane.cells {
                let key = (cell.slice_start_ms, cell.version.to_string(), cell.segment.clone());
                self.segments.entry(key).or_default().merge(&cell.profile);
            }
        }
        if let Journal::Examples(pane) = &entry {
            for cell in &pane.cells {
                let sample = self.examples.entry((cell.slice_start_ms, cell.version.to_string())).or_default();
                cell.examples.iter().for_each(|(fingerprint, example)| example.clone().keep_in(sample, *fingerprint));
            }
        }
        if let Journal::Sample(pane) = &entry {
            for cell in &pane.cells {
                let sample = self.samples.entry((cell.slice_start_ms, cell.version.to_string())).or_default();
                sample.merge(cell.sample.clone(), rows_max);
            }
        }
        if let Journal::ScorePane(pane) = entry {
            for cell in pane.cells {
                let key = (cell.slice_start_ms, cell.version.to_string());
                let sum = self.cells.entry(key).or_default();
                sum.0 += cell.rows;
                sum.1 += cell.after_final;
                sum.2.merge(&cell.profile);
            }
        }
    }

    fn tracking(&mut self, partition: i32, value: &[u8]) {
        let Tracking::Predictions(batch) = records::from_postcard(value).unwrap() else { return };
        let segment = &batch.segments[0];
        for row in 0..batch.ids.len() {
            assert_eq!(domain::ids::tracking_partition(batch.ids[row], 3), partition);
            let width = batch.scores[0].len() / batch.ids.len();
            let scores: Vec<&[f64]> = batch.scores.iter().map(|s| &s[row * width..(row + 1) * width]).collect();
            let added = self.tracked.insert(format!(
                "{} {} {} {} {} {scores:?}",
                batch.offsets[row],
                batch.times_ms[row],
                batch.after_final[row],
                segment.values[segment.codes[row] as usize],
                batch.line_up.promotion,
            ));
            assert!(added, "tracked twice");
        }
    }
}

/// A stage that has read `decisions` and owns the partition, with all bundles loaded.
fn started(config: &Config, decisions: &[Control], metadata: Option<&str>) -> Stage {
    let mut stage = Stage::new(config.clone()).unwrap();
    let mut out = Outputs::default();
    let source = source();
    stage.step(Input::Control(&control(decisions)), &mut out).unwrap();
    let assigned = Input::Assigned { source: &source, offset: None, metadata, snapshot: None };
    stage.step(assigned, &mut out).unwrap();
    assert!(!stage.accepts(&source));
    load(&mut stage, config, &mut out);
    assert!(stage.accepts(&source));
    stage
}

/// Carries out the effects.
fn load(stage: &mut Stage, config: &Config, out: &mut Outputs) {
    for effect in std::mem::take(&mut out.effects) {
        let Effect::Load(version) = effect else { panic!("score only loads: {effect:?}") };
        stage.take_live(&version, live(config, weight(&version)), out).unwrap();
    }
}

/// Runs the log cut at `cuts`; at the batches named in `crashes` the outputs are lost and a new
/// process takes over from the last commit.
fn run(config: &Config, decisions: &[Control], log: &[Event], cuts: &[usize], crashes: &[usize]) -> Seen {
    let mut stage = started(config, decisions, None);
    let (mut seen, mut metadata, mut from) = (Seen::default(), String::new(), 0);
    let ends = cuts.iter().copied().chain([log.len()]);
    for (number, to) in ends.enumerate() {
        let to = to.clamp(from, log.len());
        let mut out = Outputs::default();
        stage.step(Input::Batch(&raw(log, from, to)), &mut out).unwrap();
        if crashes.contains(&number) {
            stage = started(config, decisions, Some(&metadata));
            continue;
        }
        load(&mut stage, config, &mut out);
        seen.commit(&out);
        metadata = stage.commit_metadata(&source());
        assert!(metadata.len() <= 4_000);
        from = to;
    }
    let mut out = Outputs::default();
    stage.step(Input::Batch(&raw(log, from, log.len())), &mut out).unwrap();
    seen.commit(&out);
    seen.state = stage.commit_metadata(&source());
    let state = crate::partition::State::restore(Some(&seen.state)).unwrap();
    assert_eq!(state.metadata(), seen.state, "restored exactly");
    seen.counters = state.counters;
    seen
}

fn decisions() -> Vec<Control> {
    vec![
        promotion(1, None, &[A]),
        promotion(2, Some(12_000), &[B, A]),
        promotion(3, Some(13_500), &[C, B, A]),
        Control::Progress { judged_until_ms: 0 },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn cuts_and_crashes_change_nothing_that_is_seen(
        mut cuts in prop::collection::vec(0..70_usize, 0..12),
        crashes in prop::collection::vec(0..12_usize, 0..4),
        task in prop::sample::select(TASKS.to_vec()),
    ) {
        cuts.sort_unstable();
        let (config, log) = (config(task), log());
        let straight = run(&config, &decisions(), &log, &[], &[]);
        let disturbed = run(&config, &decisions(), &log, &cuts, &crashes);
        prop_assert_eq!(&straight, &disturbed);
    }
}

#[test]
fn every_event_is_published_once_or_rejected_once_and_counted() {
    let log = log();
    let seen = run(&config(Task::BinaryClassification), &decisions(), &log, &[13, 14, 50], &[1]);
    // Trouble: two unreadable, one tombstone (ignored), x = 13 is not finite, x = 666 fails.
    let expected = ScoreCounters { read: 66, scored: 61, rejected: 4, future: 1, ignored: 1 };
    assert_eq!(seen.counters, expected);
    assert_eq!((seen.predictions.len(), seen.tracked.len()), (61, 61));
    for reason in ["json.syntax", "json.type", "score.not_finite", "score.failed"] {
        assert_eq!(
            seen.rejected.iter().filter(|r| r.contains(&format!("vigie.reason={reason}"))).count(),
            1,
            "{reason}"
        );
    }
    let (rows, after_final) = seen.cells.values().fold((0, 0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
    assert_eq!((rows, after_final), (60, 1));
    assert!(seen.cells.values().all(|cell| cell.2.rows() == cell.0));
    assert!(seen.tracked.iter().any(|t| t.contains(" true missing ")));
    assert!(seen.tracked.iter().any(|t| t.contains(" false other ")));
}

#[test]
fn predictions_read_as_documented() {
    let log = [event(10_000, "1", "null")];
    let check = |task, expected: &str| {
        let seen = run(&config(task), &[promotion(1, None, &[A])], &log, &[], &[]);
        let head = r#"1 k0 Some(10000) {"id":"e10000-1","time":"1970-01-01T00:00:10.000Z","prediction":"#;
        let tail = r#","version":"0a0000000000","topic":"events","partition":5,"offset":100} ["vigie.record=prediction/1", "traceparent=00-ab-cd-01"]"#;
        assert_eq!(seen.predictions, [format!("{head}{expected}{tail}")]);
    };
    // Version 0a weighs 10 × 0.137 = 1.37, so x = 1 scores 0.37 (with the rounding of f64).
    let p = 1.37_f64.rem_euclid(1.0);
    let rest = (1.0 - p) / 2.0;
    check(Task::BinaryClassification, &format!(r#""no","probability":{p}"#));
    check(Task::MulticlassClassification, &format!(r#""a","probabilities":{{"a":{p},"b":{rest},"c":{rest}}}"#));
    check(Task::Regression, &format!(r#"{p},"low":{},"high":{}"#, p - 0.5, p + 0.5));
    assert_eq!(class_of(&[0.4, 0.4, 0.2], &["a".to_owned(), "b".to_owned(), "c".to_owned()]), "a");
}

#[test]
fn a_line_up_is_taken_at_its_stream_time_and_written_before_its_first_prediction() {
    let seen = run(&config(Task::Regression), &decisions(), &log(), &[30], &[]);
    let swaps: Vec<(i64, u64, Option<String>, i64)> = seen
        .swaps
        .iter()
        .map(|line| match records::from_json(line.split_once("None ").unwrap().1.as_bytes()).unwrap() {
            Control::Swap(s) => (s.from_offset, s.promotion, s.previous.map(|v| v.to_string()), s.time_ms),
            other => panic!("{other:?}"),
        })
        .collect();
    // The event of the future (after n = 20, at 1,011,800) begins neither: the first events not
    // before 12,000 and 13,500 do, at n = 25 (12,250) and n = 40 (13,600).
    let expected = [(1, None, 10_000), (2, Some(A), 12_250), (3, Some(B), 13_600)];
    let found: Vec<_> = swaps.iter().map(|s| (s.1, s.2.as_deref(), s.3)).collect();
    assert_eq!(found, expected);
    let champion = |offset: i64| {
        if offset < swaps[1].0 {
            A
        } else if offset < swaps[2].0 {
            B
        } else {
            C
        }
    };
    for line in &seen.predictions {
        let offset = line.rsplit_once("\"offset\":").unwrap().1.split_once('}').unwrap().0.parse().unwrap();
        assert!(line.contains(champion(offset)), "{line}");
    }
}

#[test]
fn a_promotion_that_has_passed_is_taken_with_the_next_transaction() {
    let config = config(Task::Regression);
    let log: Vec<Event> = (0..10).map(|n| event(10_000 + n * 500, &n.to_string(), "null")).collect();
    let mut stage = started(&config, &[promotion(1, None, &[A])], None);
    let (mut out, mut seen) = (Outputs::default(), Seen::default());
    stage.step(Input::Batch(&raw(&log, 0, 5)), &mut out).unwrap();
    stage.step(Input::Control(&control(&[promotion(2, Some(11_000), &[B])])), &mut out).unwrap();
    assert!(!stage.accepts(&source()), "never scores before the bundle is here");
    assert!(stage.step(Input::Batch(&raw(&log, 5, 6)), &mut Outputs::default()).is_err());
    load(&mut stage, &config, &mut out);
    assert!(stage.accepts(&source()));
    stage.step(Input::Batch(&raw(&log, 5, 10)), &mut out).unwrap();
    seen.commit(&out);
    assert_eq!(seen.swaps.len(), 2);
    assert!(seen.swaps[1].contains("swap/events/5/110"), "{:?}", seen.swaps);
}

fn acknowledgements(out: &Outputs) -> Vec<(u64, bool)> {
    let journal = out.records().filter(|r| r.topic == TopicRole::Journal);
    let entries = journal.map(|r| records::from_postcard::<Entry>(r.value.unwrap()).unwrap());
    entries
        .filter_map(|e| match e {
            Journal::Acknowledged { promotion, fault, .. } => Some((promotion, fault.is_some())),
            _ => None,
        })
        .collect()
}

#[test]
fn a_bundle_that_cannot_be_loaded_pauses_the_partition_until_it_is_withdrawn() {
    let config = config(Task::Regression);
    let mut stage = started(&config, &[promotion(1, None, &[A])], None);
    let mut out = Outputs::default();
    stage.step(Input::Batch(&raw(&log(), 0, 5)), &mut out).unwrap();
    out.clear();
    stage.step(Input::Control(&control(&[promotion(2, Some(99_000), &[B, A])])), &mut out).unwrap();
    assert_eq!(out.effects, [Effect::Load(Version::new(B))]);
    let version = Version::new(B);
    let fault = Err("golden rows differ".to_owned());
    stage.step(Input::Loaded { version: &version, part: fault }, &mut out).unwrap();
    assert_eq!(acknowledgements(&out), [(2, true)]);
    assert!(!stage.accepts(&source()));
    out.clear();
    stage.step(Input::Control(&control(&[promotion(3, Some(99_500), &[A])])), &mut out).unwrap();
    assert!(stage.accepts(&source()), "the champion stays");
    assert_eq!(acknowledgements(&out), [(3, false)]);
    // What a new assignment makes the stage say is thrown away: it only asks for the champion that
    // is here already, and acknowledges again when that comes.
    let metadata = stage.commit_metadata(&source());
    out.clear();
    let source = source();
    stage.step(Input::Revoked(&source), &mut out).unwrap();
    let assigned = Input::Assigned { source: &source, offset: None, metadata: Some(&metadata), snapshot: None };
    stage.step(assigned, &mut out).unwrap();
    assert!(out.is_empty());
    assert_eq!(out.effects, [Effect::Load(Version::new(A)), Effect::Load(Version::new(B))]);
    stage.take_live(&Version::new(A), live(&config, weight(&Version::new(A))), &mut out).unwrap();
    assert_eq!(acknowledgements(&out), [(1, false), (3, false)]);
}

#[test]
fn a_part_that_does_not_fit_is_a_fault_and_not_a_crash() {
    let mut stage = Stage::new(config(Task::Regression)).unwrap();
    let mut out = Outputs::default();
    let source = source();
    stage.step(Input::Assigned { source: &source, offset: None, metadata: None, snapshot: None }, &mut out).unwrap();
    assert!(!stage.accepts(&source), "no line-up is known");
    stage.step(Input::Control(&control(&[promotion(1, None, &[A])])), &mut out).unwrap();
    stage.step(Input::Loaded { version: &Version::new(A), part: Ok(Arc::new("?")) }, &mut out).unwrap();
    assert_eq!(acknowledgements(&out), [(1, true)]);
    let binary = config(Task::BinaryClassification);
    let mut other = binary.clone();
    other.format.schema.fields.remove(1);
    assert!(live(&binary, 1.0).is_ok());
    assert!(live(&other, 1.0).is_err(), "the reference has a column the events lack");
}

#[test]
fn markers_follow_slices_and_idleness() {
    let config = config(Task::Regression);
    let mut stage = started(&config, &[promotion(1, None, &[A])], None);
    let log: Vec<Event> = [10_000, 10_100, 11_300, 11_350].iter().map(|t| event(*t, "1", "null")).collect();
    let source = source();
    // `None`: idle; else the events given.
    let steps = [
        (None, vec![(codec::EARLIEST_MS, true)]),
        (None, vec![]),
        (Some((0, 1)), vec![(codec::EARLIEST_MS, false), (9_800, false)]),
        (Some((1, 2)), vec![]),
        (Some((2, 3)), vec![(11_100, false)]),
        (None, vec![(11_100, true)]),
        (Some((3, 4)), vec![(11_100, false)]),
    ];
    for (number, (given, expected)) in steps.into_iter().enumerate() {
        let batch = given.map(|(from, to)| raw(&log, from, to));
        let mut out = Outputs::default();
        let input = batch.as_ref().map_or(Input::Idle(&source), Input::Batch);
        stage.step(input, &mut out).unwrap();
        let (mut tracked, mut journalled) = (vec![Vec::new(); 3], Vec::new());
        for record in out.records() {
            let value = record.value.unwrap();
            if record.topic == TopicRole::Tracking
                && let Tracking::Marker(m) = records::from_postcard(value).unwrap()
            {
                tracked[record.partition as usize].push((m.watermark.time_ms, m.watermark.idle));
            } else if record.topic == TopicRole::Journal
                && let Entry::ScoreMarker { marker: m, .. } = records::from_postcard(value).unwrap()
            {
                journalled.push((m.watermark.time_ms, m.watermark.idle));
            }
        }
        assert_eq!(journalled, expected, "step {number}");
        assert!(tracked.iter().all(|t| *t == expected), "step {number}: every tracking partition");
    }
}

#[test]
fn a_row_that_fails_does_not_take_its_neighbours_along() {
    let config = config(Task::Regression);
    let live = live(&config, 0.1).unwrap();
    let x = |values: Vec<f64>| {
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(arrow::array::Float64Array::from(values.clone())),
            arrow::array::new_null_array(&DataType::Utf8, values.len()),
        ];
        RecordBatch::try_new(config.format.schema.arrow(), columns).unwrap()
    };
    let scored = live.score(&x(vec![1.0, 666.0, 3.0, 666.0, 5.0]));
    assert_eq!(scored.failed.iter().map(|f| f.0).collect::<Vec<_>>(), [1, 3]);
    assert_eq!([scored.values[0], scored.values[2], scored.values[4]], [0.1, 0.1 * 3.0, 0.5]);
    assert!(scored.values[1].is_nan() && scored.values[3].is_nan());
    assert_eq!(live.score(&x(vec![666.0; 100])).failed.len(), 100);
}

#[test]
fn scores_expect_something_of_every_row_that_counts_by_slice_and_segment() {
    let config = config(Task::BinaryClassification);
    let seen = run(&config, &decisions(), &log(), &[7, 20, 41], &[]);
    assert!(!seen.cells.is_empty());
    for ((slice, version), (rows, _, _)) in &seen.cells {
        let of_cell = seen.expected.iter().filter(|((s, v, _), _)| (s, v) == (slice, version));
        let (all, by_segment): (Vec<_>, Vec<_>) = of_cell.partition(|((_, _, segment), _)| segment == "*");
        let all_rows: i64 = all.iter().map(|(_, expected)| expected.rows()).sum();
        assert_eq!(all_rows, *rows as i64, "{slice} {version}");
        let mut sum = Expected::new(2);
        by_segment.iter().for_each(|(_, expected)| sum.merge(expected));
        assert!(all.iter().all(|(_, expected)| **expected == sum), "{slice} {version}");
        assert!(by_segment.iter().all(|((_, _, segment), _)| segment.starts_with("by_origin=")));
    }
    let classes = run(&self::config(Task::MulticlassClassification), &decisions(), &log(), &[], &[]);
    assert!(classes.expected.is_empty() && classes.errors.is_empty(), "without a calibration nothing is expected");
}

#[test]
fn numbers_expect_their_errors_by_slice_and_segment_however_the_log_is_cut() {
    let config = config(Task::Regression);
    let seen = run(&config, &decisions(), &log(), &[7, 20, 41], &[]);
    assert!(!seen.errors.is_empty() && seen.expected.is_empty());
    for ((slice, version), (rows, _, _)) in &seen.cells {
        let of_cell = seen.errors.iter().filter(|((s, v, _), _)| (s, v) == (slice, version));
        let (all, by_segment): (Vec<_>, Vec<_>) = of_cell.partition(|((_, _, segment), _)| segment == "*");
        let mut sum = ChildSums::default();
        by_segment.iter().for_each(|(_, errors)| sum.merge(errors));
        assert!(all.iter().all(|(_, errors)| **errors == sum && errors.rows() == *rows as i64), "{slice} {version}");
    }
    // The error to be expected is half of every prediction that counts, so their sums are too.
    let whole = run(&config, &decisions(), &log(), &[], &[]);
    assert_eq!(whole.errors, seen.errors);
    let (rows, mae): (f64, f64) = whole
        .errors
        .iter()
        .filter(|((_, _, segment), _)| segment == "*")
        .map(|(_, errors)| (errors.rows() as f64, errors.rows() as f64 * errors.estimates()["mae"].value))
        .fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(rows > 20.0 && mae / rows > 0.1 && mae / rows < 0.5, "{mae} of {rows}");
}

/// Values of column `origin`: EWR, JFK, other and missing, a fourth of the rows each.
#[test]
fn segments_with_a_reference_are_profiled_beside_all_rows() {
    let seen = run(&config(Task::BinaryClassification), &decisions(), &log(), &[7, 20, 41], &[]);
    for ((slice, version), (rows, _, all)) in &seen.cells {
        let of_cell = seen.segments.iter().filter(|((s, v, _), _)| (s, v) == (slice, version));
        let profiled: u64 = of_cell.map(|(_, profile)| profile.rows()).sum();
        assert_eq!(profiled, rows - all.column(1, 4)[2], "{slice} {version}: all but those of another origin");
    }
    for ((slice, version, segment), profile) in &seen.segments {
        let rows = profile.rows();
        let expected = match segment.as_str() {
            "by_origin=EWR" => [rows, 0, 0, 0],
            "by_origin=JFK" => [0, rows, 0, 0],
            "by_origin=missing" => [0, 0, 0, rows],
            other => panic!("{other} has no reference"),
        };
        assert_eq!(profile.column(1, 4), expected, "{slice} {version} {segment}");
        assert_eq!(profile.column(2, 5).iter().sum::<u64>(), rows, "its predictions");
    }
    for (place, sample) in &seen.examples {
        let (rows, _, profile) = &seen.cells[place];
        assert_eq!(sample.len() as u64, *rows, "fewer than are kept");
        for column in 0..3 {
            let mut counts = vec![0; 6];
            sample.values().for_each(|example| counts[usize::from(example.bins[column])] += 1);
            assert_eq!(counts, profile.column(column, 6), "{place:?} {column}");
        }
        let in_segments = sample.values().filter(|example| !example.segments.is_empty()).count() as u64;
        assert_eq!(in_segments, rows - profile.column(1, 4)[2]);
    }
    let mut config = config(Task::BinaryClassification);
    config.segments[0].drift = false;
    let without = run(&config, &decisions(), &log(), &[], &[]);
    assert!(without.segments.is_empty() && without.cells == seen.cells);
}
