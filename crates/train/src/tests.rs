//! Runs on made-up data, from files to a stored bundle.

use crate::random::Random;
use crate::run::run_in;
use crate::seed::{LabelColumns, SeedSpec, TimeUnit, seed};
use crate::spec::{Cause, DriftSegment, Gates, Spec};
use crate::{Error, data_set};
use arrow::array::{Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field as ArrowField, Schema};
use bundle::Manifest;
use domain::{EventSchema, Field, FieldType, Task};
use prepare::Recipe;
use records::control::Trigger;
use std::fmt::Write;
use std::sync::Arc;
use store::{ArchiveFile, Store, StreamKind};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Events per day.
const DAILY: i64 = 48;

fn schema() -> EventSchema {
    let field = |name: &str, field_type| Field { name: name.to_owned(), field_type, required: false };
    EventSchema { fields: vec![field("amount", FieldType::Float), field("shop", FieldType::Category)] }
}

fn spec(task: Task, families: &[&str], cut_off_ms: i64) -> Spec {
    let classes: &[&str] = match task {
        Task::BinaryClassification => &["no", "yes"],
        Task::MulticlassClassification => &["no", "maybe", "yes"],
        Task::Anomaly => &["normal", "anomaly"],
        Task::Regression | Task::Clustering => &[],
    };
    let classes: Vec<String> = classes.iter().map(|c| (*c).to_owned()).collect();
    Spec {
        pipeline: "p".to_owned(),
        store: "memory:///".to_owned(),
        schema: schema(),
        task,
        positive_class: (task == Task::BinaryClassification).then(|| "yes".to_owned()),
        classes,
        recipe: Recipe::default(),
        families: families.iter().map(|f| (*f).to_owned()).collect(),
        trials: 0,
        threads: 1,
        seed: 1,
        time_limit_ms: None,
        cut_off_ms,
        maturity_ms: 2 * HOUR,
        slice_ms: DAY,
        horizon_ms: DAY,
        unlabelled: domain::Unlabelled::Unknown,
        cause: Cause::First,
        champion: None,
        first_rows: None,
        change_ms: None,
        rows_since_change: None,
        segments: vec!["shop".to_owned()],
        drift_segments: vec![DriftSegment { name: "at".to_owned(), column: "shop".to_owned() }],
        gates: Gates { segment_rows: 20, ..Gates::default() },
        multivariate: crate::Multivariate::None,
        interval: crate::INTERVAL_SHARE,
        anomaly_share: 0.02,
        clusters: None,
    }
}

/// Both files as CSV: `days` of events, labels an hour later. From `change` on large amounts mean
/// the opposite.
fn files(folder: &std::path::Path, days: i64, task: Task, change: i64) -> (std::path::PathBuf, std::path::PathBuf) {
    let mut random = Random::new(5);
    let (mut events, mut labels) = ("id,time,amount,shop\n".to_owned(), "id,known,value\n".to_owned());
    for i in 0..days * DAILY {
        let time = i * DAY / DAILY;
        let (amount, noise) = (random.unit() * 10.0, random.unit());
        let shop = ["north", "south", "west"][(random.unit() * 3.0) as usize];
        let score =
            if time < change { amount } else { 10.0 - amount } + if shop == "west" { 2.0 } else { 0.0 } + 3.0 * noise;
        let amount = if i % 17 == 0 { String::new() } else { format!("{amount:.4}") };
        let value = match task {
            Task::BinaryClassification => if score > 8.0 { "yes" } else { "no" }.to_owned(),
            Task::MulticlassClassification => if score > 9.5 {
                "yes"
            } else if score > 6.0 {
                "maybe"
            } else {
                "no"
            }
            .to_owned(),
            Task::Regression => format!("{score:.4}"),
            Task::Anomaly | Task::Clustering => String::new(),
        };
        writeln!(events, "e{i},{time},{amount},{shop}").unwrap();
        writeln!(labels, "e{i},{},{value}", time + HOUR).unwrap();
    }
    let paths = (folder.join("events.csv"), folder.join("labels.csv"));
    std::fs::write(&paths.0, events).unwrap();
    std::fs::write(&paths.1, labels).unwrap();
    paths
}

fn seed_spec(spec: &Spec, until_ms: Option<i64>) -> SeedSpec {
    SeedSpec {
        schema: spec.schema.clone(),
        event_id: "id".to_owned(),
        event_time: "time".to_owned(),
        event_time_unit: TimeUnit::Millisecond,
        labels: spec.task.has_labels().then(|| LabelColumns {
            id: "id".to_owned(),
            time: "known".to_owned(),
            time_unit: TimeUnit::Millisecond,
            value: "value".to_owned(),
        }),
        task: spec.task,
        classes: spec.classes.clone(),
        until_ms,
    }
}

async fn seeded(days: i64, task: Task, change: i64, spec: &Spec) -> Store {
    let folder = tempfile::tempdir().unwrap();
    let (events, labels) = files(folder.path(), days, task, change);
    let store = Store::open("memory:///").unwrap();
    let until = Some(days * DAY);
    let labels = task.has_labels().then_some(labels.as_path());
    let found = seed(&store, "p", &events, labels, &seed_spec(spec, until)).await.unwrap();
    let rows = (days * DAILY) as u64;
    let labelled = if task.has_labels() { rows } else { 0 };
    assert_eq!((found.events, found.labels, found.skipped), (rows, labelled, 0));
    store
}

#[tokio::test]
async fn a_first_training_stores_a_bundle_that_beats_the_baseline_in_every_task() {
    let cases: [(Task, &[&str]); 3] = [
        (Task::BinaryClassification, &["logistic_regression", "gradient_boosting", "isolation_forest"]),
        (Task::MulticlassClassification, &["logistic_regression", "gradient_boosting"]),
        (Task::Regression, &["linear_regression", "elastic_net", "gradient_boosting"]),
    ];
    for (task, families) in cases {
        let mut spec = spec(task, families, 40 * DAY);
        spec.trials = 2;
        let store = seeded(40, task, i64::MAX, &spec).await;
        let mut phases = Vec::new();
        let challenger = run_in(&store, &spec, &mut |p| phases.push(p.phase)).await.unwrap();
        assert!(challenger.passed, "{task:?}: {:?}", challenger.verdicts);
        assert!(
            challenger.reference.mean < 0.8 * challenger.reference.prior_mean,
            "{task:?}: {:?}",
            challenger.reference
        );
        assert!(phases.first().is_some_and(|p| p == "data_set") && phases.last().is_some_and(|p| p == "stored"));
        let bundle = store.bundle(&challenger.version).await.unwrap();
        assert_eq!((bundle.manifest.rows, bundle.manifest.first_rows), (1920, 1920));
        assert_eq!((bundle.manifest.trained_until_ms, bundle.manifest.search.len()), (40 * DAY, families.len() + 2));
        let worth: f64 = bundle.reference.importance.iter().sum();
        assert!((worth - 1.0).abs() < 1e-9 && bundle.reference.counts.rows() == 1920);
        let wander = bundle.wander.as_ref().unwrap();
        assert!(wander.slice_ms == DAY && wander.fits(bundle.reference.layout.columns.len()), "{wander:?}");
        // 48 rows a day make no two bins of 30, and 40 days no 16 runs of four.
        assert!(wander.columns.iter().all(|w| (0..4).all(|length| w.of_length(length).is_none())), "{wander:?}");
        assert_eq!(bundle.segments.counts.keys().collect::<Vec<_>>(), ["at=north", "at=south", "at=west"]);
        assert_eq!(bundle.segments.counts.values().map(profile::Counts::rows).sum::<u64>(), 1920);
        assert!(wander.segments.keys().eq(bundle.segments.counts.keys()));
        let calibrated = bundle.calibrated.as_ref();
        assert_eq!(calibrated.is_some(), task != Task::Regression);
        assert_eq!(bundle.errors.is_some(), task == Task::Regression);
        assert_eq!(bundle.manifest.interval.is_some(), task == Task::Regression);
        let gap = calibrated.and_then(|calibrated| calibrated.gap);
        assert!(gap.is_none_or(|gap| gap.is_sound() && gap.mean.abs() < 0.1), "{gap:?}");
    }
}

/// Amounts from 0 to 10 in three shops, without a label; every 17th amount is missing.
#[tokio::test]
async fn without_labels_every_row_is_learnt_from_and_the_manifest_says_what_they_are_like() {
    for (task, family) in [(Task::Anomaly, "isolation_forest"), (Task::Clustering, "k_means")] {
        let spec = spec(task, &[family], 40 * DAY);
        let store = seeded(60, task, i64::MAX, &spec).await;
        let challenger = run_in(&store, &spec, &mut |_| {}).await.unwrap();
        assert!(challenger.passed, "{:?}", challenger.verdicts);
        let bundle = store.bundle(&challenger.version).await.unwrap();
        let Manifest { rows, trained_until_ms, class_rates, metrics, reference, .. } = &bundle.manifest;
        assert_eq!((*rows, *trained_until_ms, class_rates.as_slice()), (1920, 40 * DAY, [0.0].as_slice()));
        assert!(bundle.calibrated.is_none() && bundle.errors.is_none() && bundle.manifest.interval.is_none());
        // There is nothing that a model of no features could be right about.
        assert!(reference.mean > 0.0 && reference.mean < 1.0 && reference.prior_mean == 0.0, "{reference:?}");
        let names: &[&str] = match task {
            Task::Anomaly => &["alert_rate", "score_mean", "score_p50", "score_p90", "score_p99"],
            _ => &["ambiguity", "inertia", "silhouette_simplified"],
        };
        assert!(metrics.keys().map(String::as_str).eq(names.iter().copied()), "{metrics:?}");
        let data = data_set::load(&store, &spec).await.unwrap();
        assert!(data.len() == 1920 && data.labels.iter().all(|label| *label == 0.0));
        let scores = bundle.apply(&data.rows).unwrap();
        assert_eq!(scores.values.len(), 1920 * scores.outputs);
        // The reference of the output is that of the model itself, or of ones like it.
        let output = bundle.reference.layout.columns.iter().position(|column| column.name == "prediction").unwrap();
        let bins = bundle.reference.layout.columns[output].bins.count();
        let counts = bundle.reference.counts.column(output, bins);
        match task {
            Task::Anomaly => {
                let found = scores.values.iter().filter(|score| **score >= 0.5).count();
                // A fiftieth of 1,920.
                assert_eq!(found, 38, "{metrics:?}");
            }
            _ => {
                let clusters: std::collections::BTreeSet<u64> =
                    scores.values.chunks_exact(3).map(|score| score[0] as u64).collect();
                let tried = bundle.manifest.parameters["clusters"].as_u64().unwrap();
                assert_eq!((clusters.len() as u64, bundle.manifest.search.len()), (tried, 9));
                assert_eq!(counts.iter().filter(|count| **count > 0).count() as u64, tried, "{counts:?}");
            }
        }
        let again = run_in(&store, &spec, &mut |_| {}).await.unwrap();
        assert_eq!(again.version, challenger.version);
        let retrain = Spec {
            cause: Cause::Trigger(Trigger::NewLabels),
            champion: Some(challenger.version.clone()),
            first_rows: Some(1920),
            cut_off_ms: 60 * DAY,
            ..spec.clone()
        };
        let challenger = run_in(&store, &retrain, &mut |_| {}).await.unwrap();
        assert!(challenger.champion_loss.is_some() && challenger.verdicts[0].starts_with("champion"));
        assert!(challenger.verdicts.iter().all(|v| !v.starts_with("baselines") && !v.starts_with("calibration")));
    }
}

/// The label is the amount and noise in [0, 3): a mean error of 3 / 4 at best. Where the amount is
/// missing, in one row of 17, nobody can tell it from 0 to 10: a mean error of 2.5 at best.
#[tokio::test]
async fn a_regression_expects_larger_errors_where_it_knows_less() {
    let spec = spec(Task::Regression, &["linear_regression", "gradient_boosting"], 60 * DAY);
    let store = seeded(60, spec.task, i64::MAX, &spec).await;
    let challenger = run_in(&store, &spec, &mut |_| {}).await.unwrap();
    let bundle = store.bundle(&challenger.version).await.unwrap();
    let data = data_set::load(&store, &spec).await.unwrap();
    let (scores, errors) = bundle.apply_expecting(&data.rows).unwrap();
    let errors = errors.unwrap();
    assert_eq!((scores.values.len(), errors.len()), (data.len(), data.len()));
    let amounts = data.rows.column_by_name("amount").unwrap().clone();
    let mean = |is_missing: bool, of: fn(&[f64; 2]) -> f64| {
        let rows = errors.iter().enumerate().filter(|(row, _)| amounts.is_null(*row) == is_missing);
        let values: Vec<f64> = rows.map(|(_, errors)| of(errors)).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    // In one row of 17 the error is up to 8, in the others up to 1.5: nine in ten are within little more.
    let interval = bundle.manifest.interval.unwrap();
    assert!(interval.share == 0.9 && (1.2..2.2).contains(&interval.half_width), "{interval:?}");
    let held = scores.values.iter().zip(&data.labels).filter(|(s, y)| (*s - *y).abs() <= interval.half_width).count();
    assert!((0.86..0.95).contains(&(held as f64 / data.len() as f64)), "{held} of {}", data.len());
    let (known, missing) = (mean(false, |e| e[0]), mean(true, |e| e[0]));
    assert!((0.65..1.1).contains(&known) && (1.8..3.2).contains(&missing), "{known} {missing}");
    // Squares: 9 / 12 at best, and 100 / 12 more.
    let (known, missing) = (mean(false, |e| e[1]), mean(true, |e| e[1]));
    assert!((0.65..1.6).contains(&known) && (4.0..13.0).contains(&missing), "{known} {missing}");
}

#[tokio::test]
async fn the_same_spec_gives_the_same_version() {
    let mut spec = spec(Task::BinaryClassification, &["logistic_regression", "gradient_boosting"], 40 * DAY);
    spec.trials = 1;
    let mut versions = Vec::new();
    for _ in 0..2 {
        let store = seeded(40, spec.task, i64::MAX, &spec).await;
        versions.push(run_in(&store, &spec, &mut |_| {}).await.unwrap().version);
    }
    assert_eq!(versions[0], versions[1]);
}

#[tokio::test]
async fn the_gate_refuses_a_retraining_that_gains_nothing_and_passes_one_after_a_change() {
    let first = spec(Task::BinaryClassification, &["gradient_boosting"], 60 * DAY);
    for (change, cause, passes) in [
        (i64::MAX, Trigger::NewLabels, false),
        (i64::MAX, Trigger::Harm, true),
        (62 * DAY, Trigger::Harm, true),
        (62 * DAY, Trigger::NewLabels, true),
    ] {
        let store = seeded(100, first.task, change, &first).await;
        let champion = run_in(&store, &first, &mut |_| {}).await.unwrap();
        let mut again = first.clone();
        again.cut_off_ms = 100 * DAY;
        again.cause = Cause::Trigger(cause);
        again.champion = Some(champion.version.clone());
        again.first_rows = Some(champion.rows);
        again.change_ms = (change < i64::MAX).then_some(change);
        let challenger = run_in(&store, &again, &mut |_| {}).await.unwrap();
        assert_eq!(challenger.passed, passes, "{change} {cause:?}: {:#?}", challenger.verdicts);
        let bundle = store.bundle(&challenger.version).await.unwrap();
        assert_eq!(bundle.manifest.parent, Some(champion.version));
    }
}

#[tokio::test]
async fn rows_the_champion_has_seen_do_not_judge_it() {
    let first = spec(Task::BinaryClassification, &["gradient_boosting"], 60 * DAY);
    let store = seeded(60, first.task, i64::MAX, &first).await;
    let champion = run_in(&store, &first, &mut |_| {}).await.unwrap();
    let mut again = first.clone();
    again.cause = Cause::Trigger(Trigger::Command);
    again.champion = Some(champion.version);
    let error = run_in(&store, &again, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::NotEnoughData { found: 0, .. }), "{error}");
}

#[tokio::test]
async fn too_few_rows_are_said_with_their_number() {
    let spec = spec(Task::BinaryClassification, &["gradient_boosting"], DAY);
    let store = seeded(1, spec.task, i64::MAX, &spec).await;
    let error = run_in(&store, &spec, &mut |_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "not enough data: 48 mature labelled rows, expected at least 90");
}

fn coordinates(offsets: &[Option<i64>]) -> Vec<(&'static str, Arc<dyn Array>)> {
    let topics: StringArray = offsets.iter().map(|o| o.map(|_| "t")).collect();
    let partitions: Int32Array = offsets.iter().map(|o| o.map(|_| 0)).collect();
    let offsets: Int64Array = offsets.iter().copied().collect();
    vec![("_topic", Arc::new(topics)), ("_partition", Arc::new(partitions)), ("_offset", Arc::new(offsets))]
}

fn batch(columns: Vec<(&str, Arc<dyn Array>)>) -> RecordBatch {
    let fields: Vec<ArrowField> =
        columns.iter().map(|(name, c)| ArrowField::new(*name, c.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, c)| c).collect()).unwrap()
}

/// (offset, id, time, amount)
fn event_batch(rows: &[(Option<i64>, &str, i64, f64)]) -> RecordBatch {
    let mut columns = coordinates(&rows.iter().map(|r| r.0).collect::<Vec<_>>());
    columns.push(("_id", Arc::new(rows.iter().map(|r| Some(r.1)).collect::<StringArray>())));
    let times = TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.2)).with_timezone("UTC");
    columns.push(("_time", Arc::new(times)));
    columns.push(("amount", Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.3)))));
    batch(columns)
}

/// (offset, id, label time, value)
fn label_batch(rows: &[(Option<i64>, &str, i64, f64)]) -> RecordBatch {
    let mut columns = coordinates(&rows.iter().map(|r| r.0).collect::<Vec<_>>());
    columns.push(("_id", Arc::new(rows.iter().map(|r| Some(r.1)).collect::<StringArray>())));
    let times = TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.2)).with_timezone("UTC");
    columns.push(("_label_time", Arc::new(times)));
    columns.push(("_value", Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.3)))));
    batch(columns)
}

#[tokio::test]
async fn each_event_counts_once_with_the_label_in_force_at_the_cut_off() {
    let mut spec = spec(Task::Regression, &["elastic_net"], DAY + HOUR);
    spec.horizon_ms = 6 * HOUR;
    let events = [
        (None, "seed", 0, 1.0),
        (Some(7), "seed", 0, 9.0),
        (Some(3), "twice", 2 * HOUR, 9.0),
        (Some(2), "twice", HOUR, 2.0),
        (Some(8), "beyond the horizon", 3 * HOUR, 9.0),
        (Some(9), "never labelled", 3 * HOUR, 9.0),
        (Some(10), "label after maturity", DAY - HOUR, 9.0),
        (Some(11), "in an open slice", DAY, 9.0),
        (Some(12), "b", 4 * HOUR, 4.0),
        (Some(13), "a", 4 * HOUR, 3.0),
    ];
    let labels = [
        (Some(0), "seed", HOUR, 10.0),
        (Some(1), "twice", 4 * HOUR, 20.0),
        (Some(2), "twice", 3 * HOUR, 99.0),
        (Some(3), "twice", 4 * HOUR, 21.0),
        (Some(4), "beyond the horizon", 9 * HOUR + 1, 99.0),
        (Some(5), "label after maturity", DAY + 3 * HOUR, 99.0),
        (Some(6), "in an open slice", DAY, 99.0),
        (Some(7), "a", 10 * HOUR, 30.0),
        (Some(8), "a", 10 * HOUR + 1, 99.0),
        (Some(9), "b", 5 * HOUR, 40.0),
        (Some(10), "unknown", 5 * HOUR, 99.0),
    ];
    let expected = [(0, 1.0, 10.0), (HOUR, 2.0, 21.0), (4 * HOUR, 3.0, 30.0), (4 * HOUR, 4.0, 40.0)];
    for cut in [1, 3, 100] {
        let store = Store::open("memory:///").unwrap();
        let source = domain::SourcePartition::new("t", 0);
        for (place, rows) in events.chunks(cut).enumerate() {
            let file = ArchiveFile::range("p", StreamKind::Events, &source, place as i64, place as i64 + 1);
            store.put_rows(&file, &event_batch(rows)).await.unwrap();
        }
        for (place, rows) in labels.chunks(cut).enumerate() {
            let file = ArchiveFile::range("p", StreamKind::Labels, &source, place as i64, place as i64 + 1);
            store.put_rows(&file, &label_batch(rows)).await.unwrap();
        }
        let data = data_set::load(&store, &spec).await.unwrap();
        let amounts = data.rows.column_by_name("amount").unwrap().clone();
        let amounts = amounts.as_any().downcast_ref::<Float64Array>().unwrap();
        let found: Vec<(i64, f64, f64)> =
            (0..data.len()).map(|i| (data.times_ms[i], amounts.value(i), data.labels[i])).collect();
        assert_eq!(found, expected, "cut {cut}");
        assert_eq!(data.rows.column_by_name("shop").unwrap().data_type(), &DataType::Utf8);
    }
}

/// (why, newest label's time, rows and labels expected): the horizon is 6 hours, the cut-off 24.
#[tokio::test]
async fn the_absence_of_a_label_is_one_where_the_spec_says_so() {
    let events = [
        (Some(0), "fraud", HOUR, 1.0),
        (Some(1), "never", 2 * HOUR, 2.0),
        (Some(2), "too late", 3 * HOUR, 3.0),
        (Some(3), "never, in the evening", 23 * HOUR, 4.0),
        (Some(4), "of the next slice", 24 * HOUR, 5.0),
    ];
    let known = [(HOUR, 1.0, 1.0)];
    let assumed = [known[0], (2 * HOUR, 2.0, 0.0), (3 * HOUR, 3.0, 0.0)];
    let evening = [assumed[0], assumed[1], assumed[2], (23 * HOUR, 4.0, 0.0)];
    for (unlabelled, cause, newest, expected) in [
        (domain::Unlabelled::Unknown, Cause::First, 40 * HOUR, &known[..]),
        // Files tell by their newest label how far they go.
        (domain::Unlabelled::Negative, Cause::First, 10 * HOUR, &assumed[..]),
        (domain::Unlabelled::Negative, Cause::First, 40 * HOUR, &evening[..]),
        // A run starts when the archive has every label up to cut-off and horizon.
        (domain::Unlabelled::Negative, Cause::Trigger(Trigger::Harm), 10 * HOUR, &evening[..]),
    ] {
        let mut spec = spec(Task::BinaryClassification, &["gradient_boosting"], DAY);
        (spec.horizon_ms, spec.maturity_ms, spec.unlabelled, spec.cause) = (6 * HOUR, 6 * HOUR, unlabelled, cause);
        let labels = [
            (Some(0), "fraud", 2 * HOUR, 1.0),
            (Some(1), "too late", 9 * HOUR + 1, 1.0),
            (Some(2), "unknown", newest, 1.0),
        ];
        let data = data_set::join(&spec, &[event_batch(&events)], &[label_batch(&labels)]).await.unwrap();
        let amounts = data.rows.column_by_name("amount").unwrap().clone();
        let amounts = amounts.as_any().downcast_ref::<Float64Array>().unwrap();
        let found: Vec<(i64, f64, f64)> =
            (0..data.len()).map(|i| (data.times_ms[i], amounts.value(i), data.labels[i])).collect();
        assert_eq!(found, expected, "{unlabelled:?} {cause:?} {newest}");
        assert!(data.label_times_ms.iter().zip(&data.times_ms).all(|(label, time)| label - time <= 6 * HOUR));
    }
}

#[tokio::test]
async fn a_seed_takes_json_lines_and_other_types_and_stops_at_until() {
    let folder = tempfile::tempdir().unwrap();
    let (events, labels) = (folder.path().join("e.jsonl"), folder.path().join("l.jsonl"));
    let event = |id: i64, time: &str, amount: &str| {
        format!("{{\"id\":{id},\"time\":\"{time}\",\"amount\":{amount},\"shop\":7}}\n")
    };
    let text = event(1, "1970-01-01T00:00:00Z", "1")
        + &event(2, "1970-01-01T05:00:00Z", "null")
        + &event(3, "1970-01-02T00:00:00Z", "3");
    std::fs::write(&events, text).unwrap();
    let label =
        |id: i64, value: &str| format!("{{\"id\":{id},\"known\":\"1970-01-03T00:00:00.5Z\",\"value\":{value}}}\n");
    std::fs::write(&labels, label(1, "1") + &label(2, "0") + &label(2, "5") + &label(3, "1")).unwrap();
    let mut spec = seed_spec(&spec(Task::BinaryClassification, &["gradient_boosting"], DAY), Some(DAY));
    spec.classes = vec!["0".to_owned(), "1".to_owned()];
    let store = Store::open("memory:///").unwrap();
    for _ in 0..2 {
        let found = seed(&store, "p", &events, Some(&labels), &spec).await.unwrap();
        assert_eq!((found.events, found.labels, found.skipped, found.last_event_ms), (2, 2, 1, Some(5 * HOUR)));
    }
    let files = store.seeds("p", StreamKind::Labels).await.unwrap();
    assert_eq!(files.len(), 1, "the same call twice changes nothing");
    let rows = store.rows(&files[0]).await.unwrap();
    let values = rows[0].column_by_name("_value").unwrap().clone();
    assert_eq!(values.as_any().downcast_ref::<Float64Array>().unwrap().values().to_vec(), [1.0, 0.0]);
}
