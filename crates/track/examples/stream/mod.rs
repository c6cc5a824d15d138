//! A made-up stream of `p.tracking` as score and intake would write it: one version, a binary
//! score, two segment columns, ids as fingerprints, four event and four label partitions.

use domain::time::Watermark;
use domain::{Input, LineUp, Member, Outputs, RawBatch, RawRecord, Slices, SourcePartition, Stage, Task};
use domain::{TopicRole, Version, fingerprint};
use measure::Shape;
use records::tracking::{LabelBatch, Marker, PredictionBatch, SegmentColumn, Tracking};
use track::{Join, JoinConfig, ROWS_MAX, Rules, Unlabelled};

/// Partitions of the events topic, and of the labels topic.
pub(crate) const PARTITIONS: usize = 4;
/// Rows of one record.
pub(crate) const ROWS: usize = 1_000;
const DAY_MS: i64 = 86_400_000;

/// Daily slices, labels for three days.
pub(crate) fn config(exact_areas: bool) -> JoinConfig {
    JoinConfig {
        rules: Rules {
            slices: Slices::of(DAY_MS),
            horizon_ms: 3 * DAY_MS,
            maturity_ms: DAY_MS / 2,
            orphan_after_ms: DAY_MS / 24,
        },
        shape: Shape { task: Task::BinaryClassification, classes: 2 },
        event_partitions: PARTITIONS,
        label_partitions: PARTITIONS,
        unlabelled: Unlabelled::Unknown,
        exact_areas,
        rows_max: ROWS_MAX,
    }
}

/// The tracking partition.
pub(crate) fn tracking() -> SourcePartition {
    SourcePartition::new("p.tracking", 0)
}

/// A join that owns the tracking partition.
pub(crate) fn assigned(snapshot: Option<&[u8]>, exact_areas: bool) -> Join {
    let mut join = Join::new(config(exact_areas));
    let source = tracking();
    let input = Input::Assigned { source: &source, offset: None, metadata: None, snapshot };
    join.step(input, &mut Outputs::default()).expect("a partition can be assigned");
    join
}

fn range(number: usize) -> std::ops::Range<i64> {
    let rows = i64::try_from(ROWS).expect("small");
    let first = i64::try_from(number).expect("small") * rows;
    first..first + rows
}

fn partition(number: usize) -> i32 {
    i32::try_from(number % PARTITIONS).expect("small")
}

/// Mixes the bits of a row's number (SplitMix64's finaliser: Steele, Lea, Flood, OOPSLA 2014).
fn mixed(n: i64) -> u64 {
    let mut z = n.unsigned_abs().wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn column(name: &str, values: u64, rows: std::ops::Range<i64>) -> SegmentColumn {
    SegmentColumn {
        name: name.to_owned(),
        values: (0..values).map(|v| format!("v{v}")).collect(),
        codes: rows.map(|n| u32::try_from(mixed(n) / 7 % values).expect("small")).collect(),
    }
}

#[allow(clippy::cast_precision_loss)]
fn share(n: i64) -> f64 {
    (mixed(n) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Record `number` of predictions; row n has the time n × `step_ms`.
pub(crate) fn predictions(number: usize, step_ms: i64) -> Tracking {
    let version = Version::new("0123456789ab");
    let member = Member { version: version.clone(), trained_until_ms: i64::MIN, harm: None };
    let rows = range(number);
    Tracking::Predictions(PredictionBatch {
        source: SourcePartition::new("flights", partition(number)),
        line_up: LineUp { promotion: 1, members: vec![member], frozen: Some(version), previous: None },
        ids: rows.clone().map(|n| fingerprint(&n.to_le_bytes())).collect(),
        offsets: rows.clone().collect(),
        times_ms: rows.clone().map(|n| n * step_ms).collect(),
        after_final: vec![false; ROWS],
        segments: vec![column("origin", 100, rows.clone()), column("carrier", 12, rows.clone())],
        scores: vec![rows.map(share).collect()],
    })
}

/// Labels of the rows of prediction record `number`, each up to six hours after its event.
pub(crate) fn labels(number: usize, step_ms: i64) -> Tracking {
    let rows = range(number);
    let delay = |n: i64| i64::try_from(mixed(n) % 21_600_000).expect("small");
    Tracking::Labels(LabelBatch {
        source: SourcePartition::new("outcomes", partition(number)),
        ids: rows.clone().map(|n| fingerprint(&n.to_le_bytes())).collect(),
        offsets: rows.clone().collect(),
        times_ms: rows.clone().map(|n| n * step_ms + delay(n)).collect(),
        values: rows.map(|n| f64::from(u8::from(share(n + 1) < 0.2))).collect(),
    })
}

/// Labels of ids that no prediction has.
#[allow(dead_code)]
pub(crate) fn orphans(number: usize, step_ms: i64) -> Tracking {
    let Tracking::Labels(mut batch) = labels(number, step_ms) else { unreachable!("labels are labels") };
    for id in &mut batch.ids {
        *id = fingerprint(&id.to_le_bytes());
    }
    Tracking::Labels(batch)
}

/// Markers of all event or all label partitions.
#[allow(dead_code)]
pub(crate) fn markers(labels: bool, time_ms: i64) -> Vec<Tracking> {
    let watermark = Watermark { time_ms, idle: false };
    (0..PARTITIONS)
        .map(|number| {
            let marker = if labels {
                Marker::labels(SourcePartition::new("outcomes", partition(number)), watermark)
            } else {
                Marker::events(SourcePartition::new("flights", partition(number)), watermark)
            };
            Tracking::Marker(marker)
        })
        .collect()
}

/// A batch of records, as the runner gives it.
pub(crate) fn batch(offset: &mut i64, records: &[Tracking]) -> RawBatch {
    let mut batch = RawBatch::new(TopicRole::Tracking, tracking());
    for record in records {
        let value = records::to_postcard(record).expect("a record can be written");
        batch.push(RawRecord { offset: *offset, timestamp_ms: 0, key: None, value: Some(&value) }, []);
        *offset += 1;
    }
    batch
}
