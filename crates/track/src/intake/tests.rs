//! Tests of intake: routing, markers, watermarks, refusals, alignment.

use super::{Align, Intake, IntakeConfig};
use codec::{LabelFormat, Source, TimeSource, TimeUnit};
use domain::ids::tracking_partition;
use domain::time::Watermark;
use domain::{
    EventWatermark, Input, Outputs, RawBatch, RawRecord, Slices, SourcePartition, Stage, Task, TopicRole, fingerprint,
};
use records::tracking::{StreamKind, Tracking};
use std::sync::Arc;

const PARTITIONS: i32 = 3;

fn config() -> IntakeConfig {
    IntakeConfig {
        format: LabelFormat {
            id: Source::Column("id".to_owned()),
            value: "late".to_owned(),
            time: TimeSource::Column { path: "at".to_owned(), unit: TimeUnit::Milliseconds },
            task: Task::Regression,
            classes: vec![],
        },
        slices: Slices::of(10),
        lateness_ms: 2,
        max_skew_ms: 100,
        tracking_partitions: PARTITIONS,
        rejected: records::rejected::Topic { partitions: 2, record_bytes_max: 1 << 20 },
        align: None,
    }
}

fn source() -> SourcePartition {
    SourcePartition::new("outcomes", 5)
}

/// A batch of labels at these times, with ids `0`, `1`, … from the first offset; the Kafka
/// timestamp is 1000 throughout.
fn batch(first: i64, times: &[i64]) -> RawBatch {
    let mut batch = RawBatch::new(TopicRole::Labels, source());
    for (offset, time) in (first..).zip(times) {
        let value = format!(r#"{{"id":"{offset}","late":{offset}.5,"at":{time}}}"#);
        let record = RawRecord { offset, timestamp_ms: 1000, key: None, value: Some(value.as_bytes()) };
        batch.push(record, []);
    }
    batch
}

fn assigned(config: IntakeConfig, metadata: Option<&str>) -> Intake {
    let mut intake = Intake::new(config).unwrap();
    let source = source();
    let input = Input::Assigned { source: &source, offset: None, metadata, snapshot: None };
    intake.step(input, &mut Outputs::default()).unwrap();
    intake
}

/// What was written to one tracking partition: `l OFFSET` for each label, `m TIME` for a marker,
/// `i TIME` for one that is idle.
fn written(out: &Outputs, partition: i32) -> Vec<String> {
    let mut items = Vec::new();
    for record in out.records().filter(|r| r.topic == TopicRole::Tracking && r.partition == partition) {
        match records::from_postcard::<Tracking>(record.value.unwrap()).unwrap() {
            Tracking::Labels(labels) => {
                assert_eq!(labels.source, source());
                for (row, offset) in labels.offsets.iter().enumerate() {
                    assert_eq!(labels.ids[row], fingerprint(offset.to_string().as_bytes()));
                    assert_eq!(tracking_partition(labels.ids[row], PARTITIONS), partition);
                    assert!((labels.values[row] - (*offset as f64 + 0.5)).abs() < 1e-12);
                    items.push(format!("l {offset}"));
                }
            }
            Tracking::Marker(marker) => {
                assert_eq!((marker.kind, marker.source), (StreamKind::Labels, source()));
                items.push(format!("{} {}", if marker.watermark.idle { "i" } else { "m" }, marker.watermark.time_ms));
            }
            Tracking::Predictions(_) => panic!("intake wrote predictions"),
        }
    }
    items
}

#[test]
fn labels_are_routed_by_id_and_markers_stand_behind_the_record_that_passed_a_slice_end() {
    // Watermarks: 3, 9, 10, 10, 31, 31.
    let times = [5, 11, 12, 4, 33, 30];
    let mut expected = vec![Vec::new(); 3];
    for (offset, marker) in [(0, Some(3)), (1, None), (2, Some(10)), (3, None), (4, Some(31)), (5, None)] {
        let partition = tracking_partition(fingerprint(offset.to_string().as_bytes()), PARTITIONS);
        expected[usize::try_from(partition).unwrap()].push(format!("l {offset}"));
        for items in &mut expected {
            items.extend(marker.map(|time| format!("m {time}")));
        }
    }
    for cut in 0..=times.len() {
        let mut intake = assigned(config(), None);
        let mut all = vec![Vec::new(); 3];
        for (first, part) in [(0, &times[..cut]), (cut, &times[cut..])] {
            let mut out = Outputs::default();
            // A new owner goes on from the metadata of the last commit.
            intake = assigned(config(), Some(&intake.commit_metadata(&source())));
            intake.step(Input::Batch(&batch(i64::try_from(first).unwrap(), part)), &mut out).unwrap();
            for (partition, items) in (0..).zip(&mut all) {
                items.extend(written(&out, partition));
            }
        }
        assert_eq!(all, expected, "cut at {cut}");
    }
}

#[test]
fn a_label_far_ahead_of_its_own_record_does_not_move_the_watermark() {
    let mut intake = assigned(config(), None);
    let mut out = Outputs::default();
    intake.step(Input::Batch(&batch(0, &[1101, 1100])), &mut out).unwrap();
    for partition in 0..PARTITIONS {
        let markers: Vec<_> = written(&out, partition).into_iter().filter(|item| item.starts_with('m')).collect();
        assert_eq!(markers, ["m 1098"]);
    }
    assert!(intake.commit_metadata(&source()).contains("\"future\":1"));
}

#[test]
fn an_idle_partition_says_so_once_and_its_next_batch_ends_it() {
    let mut intake = assigned(config(), None);
    let step = |intake: &mut Intake, input: Input<'_>| {
        let mut out = Outputs::default();
        intake.step(input, &mut out).unwrap();
        let all: Vec<_> = (0..PARTITIONS).map(|partition| written(&out, partition)).collect();
        let markers = |items: &Vec<String>| items.iter().filter(|i| !i.starts_with('l')).cloned().collect();
        let first: Vec<String> = markers(&all[0]);
        assert!(all.iter().all(|items| markers(items) == first));
        first
    };
    let source = source();
    assert_eq!(step(&mut intake, Input::Idle(&source)), [format!("i {}", i64::MIN)], "no label yet");
    assert_eq!(step(&mut intake, Input::Batch(&batch(0, &[5]))), [format!("m {}", i64::MIN), "m 3".to_owned()]);
    assert_eq!(step(&mut intake, Input::Idle(&source)), ["i 3"]);
    assert_eq!(step(&mut intake, Input::Idle(&source)), [""; 0]);
    assert_eq!(step(&mut intake, Input::Batch(&batch(1, &[6]))), ["m 3"]);
    assert_eq!(step(&mut intake, Input::Batch(&batch(2, &[7]))), [""; 0]);
}

#[test]
fn a_refused_label_goes_to_the_rejected_topic_and_its_neighbours_on() {
    let mut batch = batch(0, &[5]);
    let record = RawRecord { offset: 9, timestamp_ms: 1000, key: Some(b"k"), value: Some(b"{") };
    batch.push(record, []);
    let mut intake = assigned(config(), None);
    let mut out = Outputs::default();
    intake.step(Input::Batch(&batch), &mut out).unwrap();
    let rejected: Vec<_> = out.records().enumerate().filter(|(_, r)| r.topic == TopicRole::Rejected).collect();
    let [(place, record)] = rejected.as_slice() else { panic!("{} rejected", rejected.len()) };
    assert_eq!((record.partition, record.key, record.value), (1, Some(&b"k"[..]), Some(&b"{"[..])));
    let header = |name| out.headers(*place).find(|(n, _)| *n == name).map(|(_, v)| v.to_vec());
    assert_eq!(header("vigie.stage").unwrap(), b"intake");
    assert_eq!(header("vigie.reason").unwrap(), b"json.syntax");
    assert_eq!(header("vigie.offset").unwrap(), b"9");
    let labels: Vec<_> = (0..PARTITIONS).flat_map(|p| written(&out, p)).filter(|i| i.starts_with('l')).collect();
    assert_eq!(labels, ["l 0"]);
    let metadata = intake.commit_metadata(&source());
    assert!(metadata.contains("\"read\":2,\"accepted\":1,\"rejected\":1"), "{metadata}");
}

#[test]
fn labels_wait_while_they_are_too_far_ahead_of_events() {
    let events = Arc::<EventWatermark>::default();
    let align = Some(Align { events: Arc::clone(&events), align_ms: 10 });
    let mut intake = assigned(IntakeConfig { align, ..config() }, None);
    let accepts = |intake: &Intake, watermark| {
        events.observe(&SourcePartition::new("events", 0), watermark);
        intake.accepts(&source())
    };
    let at = |time_ms, idle| Some(Watermark { time_ms, idle });
    assert!(accepts(&intake, at(0, false)), "no label read yet");
    intake.step(Input::Batch(&batch(0, &[42])), &mut Outputs::default()).unwrap();
    for (watermark, expected) in
        [(None, true), (at(29, false), false), (at(29, true), true), (at(30, false), true), (at(i64::MAX, false), true)]
    {
        assert_eq!(accepts(&intake, watermark), expected, "events at {watermark:?}");
    }
}

#[test]
fn foreign_metadata_is_an_error() {
    let mut intake = Intake::new(config()).unwrap();
    let source = source();
    let input = Input::Assigned { source: &source, offset: Some(3), metadata: Some("hello"), snapshot: None };
    let error = intake.step(input, &mut Outputs::default()).unwrap_err();
    assert!(error.message.contains("commit metadata \"hello\" of outcomes/5"), "{error}");
}
