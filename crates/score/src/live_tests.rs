//! A real bundle, handed over as the daemon does.

use crate::kernel::KernelSums;
use crate::live::Live;
use crate::{Config, Stage};
use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use codec::{EventFormat, Source, TimeSource, Tombstone};
use domain::{
    EventSchema, Field, FieldType, HarmReference, Input, LineUp, Member, Outputs, RawBatch, RawRecord, Slices,
    SourcePartition, Stage as _, Task, TopicRole,
};
use models::{Linear, Link, Model};
use profile::Encoded;
use profile::Reconstruction;
use records::control::{Control, Promotion, PromotionCause};
use std::collections::BTreeMap;
use std::sync::Arc;

fn schema() -> EventSchema {
    let field = |name: &str, field_type| Field { name: name.to_owned(), field_type, required: false };
    EventSchema { fields: vec![field("amount", FieldType::Float), field("carrier", FieldType::Category)] }
}

fn rows() -> RecordBatch {
    let amounts: ArrayRef = Arc::new(Float64Array::from_iter((0..80).map(|i| Some(f64::from(i * 37 % 100)))));
    let carriers = (0..80).map(|i| ["AA", "DL", "UA"].get(i % 4).copied());
    RecordBatch::try_new(schema().arrow(), vec![amounts, Arc::new(StringArray::from_iter(carriers))]).unwrap()
}

fn bundle() -> Arc<bundle::Bundle> {
    let reference = HarmReference {
        rows: 100,
        mean: 0.2,
        standard_error: 0.01,
        variance_rows: 0.05,
        variance_slices: 0.001,
        prior_mean: 0.25,
        relative_standard_error: 0.01,
        scale: 1.0,
    };
    let manifest_without_files = bundle::Manifest {
        format_version: 0,
        parent: None,
        task: Task::BinaryClassification,
        classes: vec!["0".to_owned(), "1".to_owned()],
        positive_class: Some("1".to_owned()),
        family: "logistic_regression".to_owned(),
        parameters: serde_json::Value::Null,
        input: schema(),
        rows: 80,
        first_rows: 80,
        trained_from_ms: 0,
        trained_until_ms: 1_000,
        label_cut_off_ms: 2_000,
        seed: 7,
        reference,
        metrics: BTreeMap::new(),
        class_rates: vec![0.8, 0.2],
        interval: None,
        verdicts: vec![],
        search: vec![],
        files: vec![],
        requires: vec![],
        producer: BTreeMap::new(),
    };
    let needs = prepare::Needs::Dense;
    let recipe = prepare::Recipe::default();
    let preprocessor = prepare::fit(&recipe, "logistic_regression", needs, &schema(), &rows()).unwrap();
    let weights = (0..preprocessor.features().len()).map(|i| 0.3 - i as f64 * 0.17).collect();
    let model = Model::Linear(Linear::new(Link::Sigmoid { factor: 1.0 }, vec![weights], vec![-0.4]).unwrap());
    let layout = profile::Layout::from_rows(&rows(), 16).unwrap();
    let mut counts = profile::Counts::default();
    layout.observe(&rows(), &(0..80).collect::<Vec<u32>>(), &mut counts).unwrap();
    let reference = profile::Reference { layout, counts, importance: vec![0.5, 0.5] };
    let parts = bundle::Parts {
        manifest_without_files,
        preprocessor,
        model,
        reference,
        golden: rows(),
        calibrated: None,
        errors: None,
        wander: None,
        segments: profile::Segments::default(),
        reconstruction: None,
        kernel: profile::Kernel::fit(&rows(), 256, 1).unwrap(),
    };
    let packed = bundle::pack(parts).unwrap();
    Arc::new(bundle::open(&packed.version, &packed.files.into_iter().collect()).unwrap())
}

#[test]
fn rows_are_profiled_with_their_prediction_and_how_far_they_are_from_the_axes() {
    let columns = ["amount", "carrier"].map(|name| Encoded::of(name, &rows()).unwrap().unwrap()).to_vec();
    let reconstruction = Arc::new(Reconstruction { columns, axes: vec![vec![0.6, 0.8]] });
    let errors = reconstruction.errors(&rows()).unwrap();
    let (model, reference) = (bundle(), Arc::clone(&bundle().reference));
    let live = |watched: bool| {
        let reconstruction = watched.then(|| Arc::clone(&reconstruction));
        Live::watching(model.clone(), Arc::clone(&reference), reconstruction, &config()).unwrap()
    };
    let scores: Vec<f64> = (0..80).map(f64::from).collect();
    let alone = live(false).profiled(&rows(), &scores, &config()).unwrap();
    let together = live(true).profiled(&rows(), &scores, &config()).unwrap();
    assert_eq!(together.project(&[0, 1, 2]).unwrap(), alone);
    let column =
        |rows: &RecordBatch, name| rows.column_by_name(name).unwrap().as_primitive::<Float64Type>().values().to_vec();
    assert_eq!(column(&together, "prediction"), scores);
    assert_eq!(column(&together, "reconstruction_error"), errors);
}

#[test]
fn sums_of_a_kernel_are_those_of_the_rows_of_a_slice() {
    let live = Live::of_bundle(&bundle(), &config()).unwrap();
    let standardised = live.standardised(&rows()).unwrap().unwrap();
    let version = domain::Version::new("000000000001");
    let mut sums = KernelSums::default();
    let (first, second): (Vec<u32>, Vec<u32>) = (0..80).partition(|row| row % 3 == 0);
    for (slice, places) in [(0, &first[..5]), (10, &second[..]), (0, &first[5..]), (20, &[][..])] {
        sums.add(&standardised, (slice, &version), places);
    }
    let of = |places: &[u32]| {
        let rows =
            arrow::compute::take_record_batch(&rows(), &arrow::array::UInt32Array::from(places.to_vec())).unwrap();
        bundle().kernel.as_ref().unwrap().sum(&rows).unwrap()
    };
    let expected = [(0, of(&first)), (10, of(&second))].map(|(slice, sum)| ((slice, version.clone()), sum));
    assert_ne!(expected[0].1, expected[1].1);
    assert_eq!(sums.0, expected.into());
}

fn config() -> Config {
    Config {
        format: EventFormat {
            schema: schema(),
            id: Source::Key,
            time: TimeSource::KafkaTimestamp,
            tombstone: Tombstone::Reject,
        },
        task: Task::BinaryClassification,
        classes: vec!["0".to_owned(), "1".to_owned()],
        slices: Slices::of(1_000),
        lateness_ms: 0,
        max_skew_ms: 0,
        horizon_ms: 1_000,
        tracking_partitions: 1,
        predictions_partitions: 1,
        prediction_bytes_max: 1 << 20,
        rejected: records::rejected::Topic { partitions: 1, record_bytes_max: 1 << 20 },
        segments: vec![],
        swaps: None,
    }
}

/// A stage that owns `events/0` and was told to use the bundle and given it.
fn with_bundle(config: Config) -> (Stage, SourcePartition) {
    let (bundle, source) = (bundle(), SourcePartition::new("events", 0));
    let member = Member { version: bundle.version.clone(), trained_until_ms: 0, harm: None };
    let promotion = Control::Promotion(Promotion {
        cause: PromotionCause::First,
        effective_from_ms: None,
        line_up: LineUp { promotion: 1, members: vec![member], frozen: None, previous: None },
        run: None,
        decided_at_ms: None,
        reasons: vec![],
    });
    let mut control = RawBatch::new(TopicRole::Control, SourcePartition::new("control", 0));
    let value = records::to_json(&promotion).unwrap();
    control.push(RawRecord { offset: 0, timestamp_ms: 0, key: None, value: Some(&value) }, []);
    let (mut stage, mut out) = (Stage::new(config).unwrap(), Outputs::default());
    stage.step(Input::Assigned { source: &source, offset: None, metadata: None, snapshot: None }, &mut out).unwrap();
    stage.step(Input::Control(&control), &mut out).unwrap();
    let version = bundle.version.clone();
    stage.step(Input::Loaded { version: &version, part: Ok(bundle) }, &mut out).unwrap();
    (stage, source)
}

#[test]
fn predictions_are_the_outputs_of_the_bundle() {
    let (mut stage, source) = with_bundle(config());
    assert!(stage.accepts(&source));
    let mut raw = RawBatch::new(TopicRole::Events, source);
    for offset in 0..80 {
        let carrier = ["\"AA\"", "\"DL\"", "\"UA\"", "null"][offset as usize % 4];
        let value = format!(r#"{{"amount":{},"carrier":{carrier}}}"#, offset * 37 % 100);
        let (key, value) = (offset.to_string(), value.into_bytes());
        raw.push(RawRecord { offset, timestamp_ms: offset, key: Some(key.as_bytes()), value: Some(&value) }, []);
    }
    let mut out = Outputs::default();
    stage.step(Input::Batch(&raw), &mut out).unwrap();
    let predictions = out.records().filter(|r| r.topic == TopicRole::Predictions);
    let probability =
        |value: &[u8]| serde_json::from_slice::<serde_json::Value>(value).unwrap()["probability"].as_f64();
    let found: Vec<Option<f64>> = predictions.map(|r| probability(r.value.unwrap())).collect();
    let expected = bundle().apply(&rows()).unwrap().values;
    assert_eq!(found, expected.into_iter().map(Some).collect::<Vec<_>>());
}

#[test]
fn a_bundle_for_other_classes_or_columns_is_never_used() {
    let other_classes = Config { classes: vec!["no".to_owned(), "yes".to_owned()], ..config() };
    let mut other_columns = config();
    other_columns.format.schema.fields.pop();
    let other_task = Config { task: Task::Regression, ..config() };
    for config in [other_classes, other_columns, other_task] {
        let (stage, source) = with_bundle(config);
        assert!(!stage.accepts(&source));
    }
}
