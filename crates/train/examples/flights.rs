//! Trains on a folder of the flights data and judges on later months: a measurement, not a test.
//!
//! `cargo run -p train --example flights -- FOLDER [TRIALS] [FAMILIES]`
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::too_many_lines)]

use arrow::array::{Array, AsArray, Float64Array, RecordBatch};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type};
use domain::{EventSchema, Field, FieldType, Task};
use std::path::Path;
use std::time::Instant;
use store::Store;
use train::{Cause, Gates, LabelColumns, SeedSpec, Spec, TimeUnit, read_file, seed};

const DAY: i64 = 86_400_000;

fn schema() -> EventSchema {
    let category = ["carrier", "origin", "destination"];
    let integer = ["distance", "scheduled_departure_minute", "weekday", "scheduled_block_minutes", "wind_direction"];
    let float =
        ["temperature", "dew_point", "humidity", "wind_speed", "wind_gust", "precipitation", "pressure", "visibility"];
    let tail: &[&str] = if std::env::var("TAIL").is_ok() { &["tail_number"] } else { &[] };
    let field = |name: &&str, field_type| Field { name: (*name).to_owned(), field_type, required: false };
    let mut fields: Vec<Field> = category.iter().chain(tail).map(|n| field(n, FieldType::Category)).collect();
    fields.extend(integer.iter().map(|n| field(n, FieldType::Integer)));
    fields.extend(float.iter().map(|n| field(n, FieldType::Float)));
    EventSchema { fields }
}

fn joined(folder: &Path, from: i64, until: i64) -> (RecordBatch, Vec<f64>) {
    let read = |name: &str| {
        let batches = read_file(&folder.join(name)).unwrap();
        concat_batches(&batches[0].schema(), &batches).unwrap()
    };
    let (events, labels) = (read("flights.parquet"), read("flight_labels.parquet"));
    let text = |rows: &RecordBatch| cast(rows.column_by_name("event_id").unwrap(), &DataType::Utf8).unwrap();
    let late = cast(labels.column_by_name("late").unwrap(), &DataType::Float64).unwrap();
    let late = late.as_any().downcast_ref::<Float64Array>().unwrap().clone();
    let ids = text(&labels);
    let known: std::collections::BTreeMap<&str, f64> =
        ids.as_string::<i32>().iter().flatten().zip(late.values().iter().copied()).collect();
    let times = cast(events.column_by_name("event_time").unwrap(), &DataType::Int64).unwrap();
    let times = times.as_primitive::<Int64Type>().clone();
    let event_ids = text(&events);
    let value = |i: usize| known.get(event_ids.as_string::<i32>().value(i)).copied();
    let keep: Vec<bool> =
        (0..events.num_rows()).map(|i| (from..until).contains(&times.value(i)) && value(i).is_some()).collect();
    let labels: Vec<f64> = (0..events.num_rows()).filter(|&i| keep[i]).filter_map(value).collect();
    let rows = filter_record_batch(&events, &keep.into()).unwrap();
    let schema = schema().arrow();
    let columns =
        schema.fields().iter().map(|f| cast(rows.column_by_name(f.name()).unwrap(), f.data_type()).unwrap()).collect();
    (RecordBatch::try_new(schema, columns).unwrap(), labels)
}

/// Exact area under the curve, and the mean log loss.
fn scores(found: &[f64], labels: &[f64]) -> (f64, f64) {
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|a, b| found[*a].total_cmp(&found[*b]));
    let (mut below, mut area, mut begin) = (0.0, 0.0, 0);
    while begin < order.len() {
        let mut end = begin;
        while end < order.len() && found[order[end]] == found[order[begin]] {
            end += 1;
        }
        let positive: f64 = order[begin..end].iter().map(|i| labels[*i]).sum();
        let negative = (end - begin) as f64 - positive;
        area += positive * (below + negative / 2.0);
        below += negative;
        begin = end;
    }
    let loss: f64 = found.iter().zip(labels).map(|(p, y)| -(if *y > 0.5 { *p } else { 1.0 - p }).ln()).sum();
    (area / (below * (labels.len() as f64 - below)), loss / labels.len() as f64)
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap();
    let trials = arguments.next().map_or(4, |t| t.parse().unwrap());
    let families = arguments.next().unwrap_or_else(|| "logistic_regression,gradient_boosting".to_owned());
    let folder = Path::new(&folder);
    // 2013-04-01 and 2014-01-01 in New York.
    let (april, end) = (1_364_788_800_000_i64, 1_388_552_400_000_i64);
    let scratch = tempfile::tempdir().unwrap();
    let url = format!("file://{}", scratch.path().display());
    let store = Store::open(&url).unwrap();
    let mut spec = Spec {
        pipeline: "flights".to_owned(),
        store: url,
        schema: schema(),
        task: Task::BinaryClassification,
        classes: vec!["0".to_owned(), "1".to_owned()],
        positive_class: Some("1".to_owned()),
        recipe: prepare::Recipe::default(),
        families: families.split(',').map(str::to_owned).collect(),
        trials,
        threads: std::env::var("THREADS").map_or(2, |t| t.parse().unwrap()),
        seed: 1,
        time_limit_ms: None,
        cut_off_ms: april,
        maturity_ms: DAY / 2,
        slice_ms: DAY,
        horizon_ms: 3 * DAY,
        unlabelled: domain::Unlabelled::Unknown,
        cause: Cause::First,
        champion: None,
        first_rows: None,
        change_ms: None,
        rows_since_change: None,
        segments: vec!["origin".to_owned()],
        drift_segments: Vec::new(),
        gates: Gates::default(),
        multivariate: train::Multivariate::None,
        interval: train::INTERVAL_SHARE,
        anomaly_share: train::ANOMALY_SHARE,
        clusters: None,
    };
    let asked = SeedSpec {
        schema: schema(),
        event_id: "event_id".to_owned(),
        event_time: "event_time".to_owned(),
        event_time_unit: TimeUnit::Millisecond,
        labels: Some(LabelColumns {
            id: "event_id".to_owned(),
            time: "label_time".to_owned(),
            time_unit: TimeUnit::Millisecond,
            value: "late".to_owned(),
        }),
        task: spec.task,
        classes: spec.classes.clone(),
        until_ms: None,
    };
    let begin = Instant::now();
    let (events, labels) = (folder.join("flights.parquet"), folder.join("flight_labels.parquet"));
    println!(
        "{:?} in {:.1} s",
        seed(&store, "flights", &events, Some(&labels), &asked).await.unwrap(),
        begin.elapsed().as_secs_f64()
    );
    let (rows, truth) = joined(folder, april, end);
    let (rows_april, truth_april) = joined(folder, april, april + 30 * DAY);
    let mut champion = None;
    for (days, cause) in [(0, Cause::First), (91, Cause::Trigger(records::control::Trigger::NewLabels))] {
        spec.cut_off_ms = april + days * DAY;
        spec.cause = cause;
        spec.champion = champion.clone();
        let begin = Instant::now();
        let challenger =
            train::run(&spec, &mut |p| println!("{:6.2} s {p:?}", begin.elapsed().as_secs_f64())).await.unwrap();
        println!("{:.2} s in total: {challenger:#?}", begin.elapsed().as_secs_f64());
        let bundle = store.bundle(&challenger.version).await.unwrap();
        for line in &bundle.manifest.search {
            println!("{line}");
        }
        println!("{:?}", bundle.manifest.metrics);
        if days == 0 {
            println!("april {:?}", scores(&bundle.apply(&rows_april).unwrap().values, &truth_april));
            println!("april to december {:?}", scores(&bundle.apply(&rows).unwrap().values, &truth));
        }
        spec.first_rows.get_or_insert(bundle.manifest.rows.max(challenger.rows));
        champion = Some(challenger.version);
    }
}
