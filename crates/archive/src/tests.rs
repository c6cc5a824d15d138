//! The stage over a scripted log, with crashes and re-deliveries, and a store in memory.

use crate::{Archive, Config, Put};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use codec::{EventFormat, LabelFormat, Source, TimeSource, TimeUnit, Tombstone};
use domain::{
    EventSchema, Field, FieldType, Input, Outputs, RawBatch, RawRecord, Slices, SourcePartition, Stage, Task,
    TopicRole, Version,
};
use proptest::prelude::*;
use records::control::{Control, Run, RunState, Trigger};
use records::journal::Journal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use store::{ArchiveFile, Error, Origin};

/// Files by name; `fails` counts down the attempts that find no answer.
#[derive(Debug, Default, Clone)]
struct Memory {
    files: Arc<Mutex<BTreeMap<ArchiveFile, RecordBatch>>>,
    fails: Arc<Mutex<usize>>,
}

impl Put for Memory {
    fn put(&self, file: &ArchiveFile, rows: &RecordBatch) -> Result<(), Error> {
        let mut fails = self.fails.lock().unwrap();
        if *fails > 0 {
            *fails -= 1;
            return Err(Error::Missing { path: "the whole store".to_owned() });
        }
        let mut files = self.files.lock().unwrap();
        let known = files.entry(file.clone()).or_insert_with(|| rows.clone());
        if known == rows { Ok(()) } else { Err(Error::Conflict { path: format!("{file:?}") }) }
    }
}

fn config(rows_max: usize) -> Config {
    let time = TimeSource::Column { path: "t".to_owned(), unit: TimeUnit::Milliseconds };
    let id = Source::Column("id".to_owned());
    let x = Field { name: "x".to_owned(), field_type: FieldType::Float, required: true };
    Config {
        pipeline: "p".to_owned(),
        label_topics: vec!["labels".to_owned()],
        events: EventFormat {
            schema: EventSchema { fields: vec![x] },
            id: id.clone(),
            time: time.clone(),
            tombstone: Tombstone::Ignore,
        },
        labels: Some(LabelFormat { id, value: "x".to_owned(), time, task: Task::Regression, classes: vec![] }),
        slices: Slices::of(100),
        lateness_ms: 10,
        max_skew_ms: 1_000,
        maturity_ms: 50,
        rows_max,
        bytes_max: usize::MAX,
    }
}

fn events() -> SourcePartition {
    SourcePartition::new("events", 3)
}

/// Records `from..to` of a log in which every seventh cannot be read.
fn raw(source: &SourcePartition, from: i64, to: i64) -> RawBatch {
    let mut batch = RawBatch::new(TopicRole::Events, source.clone());
    for n in from..to {
        let value = if n % 7 == 3 { "{".to_owned() } else { format!(r#"{{"id":"e{n}","t":{},"x":{n}}}"#, n * 10) };
        let record = RawRecord { offset: n * 2, timestamp_ms: n * 10, key: None, value: Some(value.as_bytes()) };
        batch.push(record, []);
    }
    batch
}

fn archive(config: &Config, memory: &Memory, source: &SourcePartition, metadata: Option<&str>) -> Archive {
    let mut archive = Archive::new(config.clone(), Box::new(memory.clone())).unwrap();
    let assigned = Input::Assigned { source, offset: None, metadata, snapshot: None };
    archive.step(assigned, &mut Outputs::default()).unwrap();
    archive
}

fn markers(out: &Outputs) -> Vec<(i64, bool)> {
    let entries = out.records().map(|r| records::from_postcard::<Journal<(), ()>>(r.value.unwrap()).unwrap());
    entries
        .map(|e| match e {
            Journal::ArchiveMarker { marker } => (marker.watermark.time_ms, marker.watermark.idle),
            other => panic!("archive only marks: {other:?}"),
        })
        .collect()
}

/// Offsets in the files, and how often each.
fn offsets(memory: &Memory) -> BTreeMap<(String, i32, i64), usize> {
    let mut seen = BTreeMap::new();
    for (file, rows) in memory.files.lock().unwrap().iter() {
        let Origin::Range { from, to, .. } = &file.origin else { panic!("no seeds here") };
        for row in 0..rows.num_rows() {
            let offset = rows["_offset"].as_primitive::<Int64Type>().value(row);
            assert!((*from..*to).contains(&offset));
            let topic = rows["_topic"].as_string::<i32>().value(row).to_owned();
            *seen.entry((topic, rows["_partition"].as_primitive::<Int32Type>().value(row), offset)).or_default() += 1;
        }
    }
    seen
}

#[test]
fn a_topic_made_anew_takes_other_names_and_loses_nothing() {
    let (config, memory, source) = (config(5), Memory::default(), events());
    let mut old = archive(&config, &memory, &source, None);
    old.step(Input::Batch(&raw(&source, 0, 6)), &mut Outputs::default()).unwrap();
    let before = memory.files.lock().unwrap().clone();
    assert_eq!(before.len(), 1);
    // Same offsets, other events; and once more after a crash before the first commit.
    let mut anew = RawBatch::new(TopicRole::Events, source.clone());
    for record in raw(&source, 100, 106).iter().zip(raw(&source, 0, 6).iter()) {
        anew.push(RawRecord { offset: record.1.offset, ..record.0 }, []);
    }
    for _ in 0..2 {
        let mut stage = archive(&config, &memory, &source, None);
        stage.step(Input::Batch(&anew), &mut Outputs::default()).unwrap();
        assert_eq!(stage.commit_offset(&source, 11), 11, "it is stored");
    }
    let after = memory.files.lock().unwrap().clone();
    assert_eq!(after.len(), 2);
    assert!(before.iter().all(|(file, rows)| after.get(file) == Some(rows)), "nothing is overwritten");
}

proptest! {
    #[test]
    fn after_crashes_and_re_deliveries_the_files_hold_every_record(
        mut cuts in prop::collection::vec(0..200_i64, 0..20),
        crashes in prop::collection::vec(0..20_usize, 0..6),
        outages in 0..3_usize,
        rows_max in 5..40_usize,
    ) {
        cuts.sort_unstable();
        let (config, memory, source) = (config(rows_max), Memory::default(), events());
        *memory.fails.lock().unwrap() = outages;
        let mut stage = archive(&config, &memory, &source, None);
        let (mut from, mut committed, mut metadata) = (0, 0, String::new());
        for (number, to) in cuts.iter().copied().chain([200]).enumerate() {
            let mut out = Outputs::default();
            stage.step(Input::Batch(&raw(&source, from, to.max(from))), &mut out).unwrap();
            if crashes.contains(&number) {
                // Files may be stored already; commit and outputs are lost.
                stage = archive(&config, &memory, &source, Some(&metadata));
                from = committed / 2;
                continue;
            }
            from = to.max(from);
            committed = stage.commit_offset(&source, from * 2);
            metadata = stage.commit_metadata(&source);
            prop_assert!(committed <= from * 2);
            // Everything below what was committed is stored.
            let stored = offsets(&memory);
            let below = (0..committed / 2).filter(|n| n % 7 != 3);
            for n in below {
                let key = ("events".to_owned(), 3, n * 2);
                prop_assert!(stored.contains_key(&key), "{} below {}", n * 2, committed);
            }
        }
        stage.step(Input::Batch(&raw(&source, from, 200)), &mut Outputs::default()).unwrap();
        while *memory.fails.lock().unwrap() > 0 {
            stage.step(Input::Tick { now_ms: 0 }, &mut Outputs::default()).unwrap();
            *memory.fails.lock().unwrap() = 0;
        }
        let mut out = Outputs::default();
        stage.step(Input::Idle(&source), &mut out).unwrap();
        prop_assert_eq!(markers(&out).last().copied(), Some((1_970, true)));
        let expected: BTreeSet<i64> = (0..200).filter(|n| n % 7 != 3).map(|n| n * 2).collect();
        prop_assert_eq!(offsets(&memory).keys().map(|k| k.2).collect::<BTreeSet<_>>(), expected);
        prop_assert_eq!(stage.commit_offset(&source, 400), 400);
    }
}

fn run(state: RunState, cut_off_ms: i64) -> RawBatch {
    let run = Run {
        run: 1,
        attempt: 1,
        trigger: Trigger::Command,
        state,
        cut_off_ms,
        change_ms: None,
        rows_since_change: None,
        first_rows: 0,
        champion: Version::new("0a0000000000"),
        report: None,
    };
    let value = records::to_json(&Control::Run(run)).unwrap();
    let mut batch = RawBatch::new(TopicRole::Control, SourcePartition::new("control", 0));
    batch.push(RawRecord { offset: 0, timestamp_ms: 0, key: None, value: Some(&value) }, []);
    batch
}

#[test]
fn a_waiting_run_has_the_rows_stored_as_soon_as_its_cut_off_has_passed() {
    let check = |topic: &str, cut_off_ms: i64, ordered_first: bool, expected: &[(i64, bool)]| {
        let (config, memory, source) = (config(1_000), Memory::default(), SourcePartition::new(topic, 0));
        let mut stage = archive(&config, &memory, &source, None);
        let mut out = Outputs::default();
        // The last time read is 190, so the watermark 180.
        let (order, batch) = (run(RunState::Snapshot, cut_off_ms), raw(&source, 0, 20));
        let inputs = [Input::Batch(&batch), Input::Control(&order)];
        let inputs = if ordered_first { inputs.into_iter().rev().collect::<Vec<_>>() } else { inputs.into() };
        for input in inputs {
            stage.step(input, &mut out).unwrap();
        }
        assert_eq!(markers(&out), expected, "{topic} {cut_off_ms}");
        // A run that trains waits no more: what comes then waits for a full file again.
        stage.step(Input::Control(&run(RunState::Training, cut_off_ms)), &mut out).unwrap();
        stage.step(Input::Batch(&raw(&source, 20, 30)), &mut out).unwrap();
        assert_eq!(markers(&out), expected, "{topic} {cut_off_ms}");
    };
    check("events", 180, false, &[(180, false)]);
    check("events", 180, true, &[(180, false)]);
    check("events", 900, true, &[]);
    check("labels", 130, false, &[(180, false)]);
    check("labels", 131, true, &[]);
}

#[test]
fn an_idle_partition_says_so_once_and_takes_it_back() {
    let (config, memory, source) = (config(1_000), Memory::default(), events());
    let mut stage = archive(&config, &memory, &source, None);
    let mut step = |input: Input<'_>| {
        let mut out = Outputs::default();
        stage.step(input, &mut out).unwrap();
        markers(&out)
    };
    assert_eq!(step(Input::Idle(&source)), [(codec::EARLIEST_MS, true)]);
    assert_eq!(step(Input::Idle(&source)), []);
    assert_eq!(step(Input::Batch(&raw(&source, 0, 3))), [(codec::EARLIEST_MS, false)]);
    assert_eq!(step(Input::Idle(&source)), [(10, false), (10, true)]);
}

#[test]
fn idleness_during_an_outage_is_told_with_the_file() {
    let (config, memory, source) = (config(1_000), Memory::default(), events());
    *memory.fails.lock().unwrap() = 1;
    let mut stage = archive(&config, &memory, &source, None);
    let mut out = Outputs::default();
    stage.step(Input::Batch(&raw(&source, 0, 3)), &mut out).unwrap();
    stage.step(Input::Idle(&source), &mut out).unwrap();
    assert_eq!(markers(&out), []);
    stage.step(Input::Tick { now_ms: 0 }, &mut out).unwrap();
    assert_eq!(markers(&out), [(10, true)]);
}

#[test]
fn an_outage_of_the_store_holds_the_partition_but_loses_nothing() {
    let (config, memory, source) = (config(10), Memory::default(), events());
    *memory.fails.lock().unwrap() = 3;
    let mut stage = archive(&config, &memory, &source, None);
    let mut out = Outputs::default();
    stage.step(Input::Batch(&raw(&source, 0, 15)), &mut out).unwrap();
    assert!(stage.accepts(&source));
    assert_eq!(stage.commit_offset(&source, 30), 0);
    stage.step(Input::Batch(&raw(&source, 15, 30)), &mut out).unwrap();
    assert!(!stage.accepts(&source), "two files' worth is buffered");
    stage.step(Input::Tick { now_ms: 0 }, &mut out).unwrap();
    assert!(markers(&out).is_empty());
    stage.step(Input::Tick { now_ms: 1 }, &mut out).unwrap();
    assert_eq!(markers(&out), [(280, false)]);
    assert!(stage.accepts(&source));
    assert_eq!(stage.commit_offset(&source, 60), 60);
}

#[test]
fn files_have_the_columns_training_reads() {
    let memory = Memory::default();
    for topic in ["events", "labels"] {
        let source = SourcePartition::new(topic, 0);
        let mut stage = archive(&config(1), &memory, &source, None);
        stage.step(Input::Batch(&raw(&source, 2, 4)), &mut Outputs::default()).unwrap();
    }
    let files = memory.files.lock().unwrap();
    let rows: Vec<&RecordBatch> = files.values().collect();
    let names = |rows: &RecordBatch| rows.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    assert_eq!(names(rows[0]), ["_topic", "_partition", "_offset", "_id", "_time", "x"]);
    assert_eq!(names(rows[1]), ["_topic", "_partition", "_offset", "_id", "_label_time", "_value"]);
    assert_eq!(rows[0]["_time"].as_primitive::<TimestampMillisecondType>().value(0), 20);
    assert_eq!(rows[1]["_value"].as_primitive::<Float64Type>().value(0), 2.0);
    assert_eq!(rows[0]["_id"].as_string::<i32>().value(0), "e2");
    assert!(rows.iter().all(|r| r.num_rows() == 1 && !r["_offset"].is_null(0)));
    let to = |file: &ArchiveFile| matches!(file.origin, Origin::Range { from: 4, to: 7, .. });
    assert!(files.keys().all(to), "the unreadable record behind the row is covered");
}
