//! Three bundles for a task: right before the change, right after it, and wrong. They are linear, or of clusters.

use super::script::{classes, schema, shape};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Float64Type, Schema};
use bundle::{Bundle, Manifest, Packed, Parts};
use domain::{HarmReference, Task, Version};
use models::{Centroids, Forest, Linear, Link, Missing, Model, Node, Split, Tree};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bundles by version, and the versions in the order above.
#[derive(Debug)]
pub(super) struct Models {
    pub(super) bundles: BTreeMap<Version, Arc<Bundle>>,
    pub(super) versions: Vec<Version>,
}

impl Models {
    pub(super) fn of(task: Task) -> Self {
        let made: Vec<Arc<Bundle>> =
            [(1.0, 0.0), (0.0, 1.0), (0.0, -1.0)].map(|weights| Arc::new(bundle(task, weights))).to_vec();
        let versions = made.iter().map(|b| b.version.clone()).collect();
        Self { bundles: made.into_iter().map(|b| (b.version.clone(), b)).collect(), versions }
    }
}

/// Loss of the right model on validation rows, generously.
pub(super) fn harm_reference(task: Task) -> HarmReference {
    let (mean, prior_mean, scale) = match task {
        Task::BinaryClassification => (0.08, 0.25, 1.0),
        Task::MulticlassClassification => (0.2, 0.33, 1.0),
        Task::Regression => (0.05, 0.5, 5.0),
        // Nothing is known that a model without features could be right about.
        Task::Anomaly => (0.5, 0.0, 1.0),
        Task::Clustering => (0.6, 0.0, 1.0),
    };
    if !task.has_labels() {
        // Half of the rows are strange, in slices of 60.
        let (variance_rows, variance_slices) = (0.25, 0.0042);
        let (standard_error, relative_standard_error) = (0.016, 0.016);
        let rows = 1_000;
        return HarmReference {
            rows,
            mean,
            standard_error,
            variance_rows,
            variance_slices,
            prior_mean,
            relative_standard_error,
            scale,
        };
    }
    HarmReference {
        rows: 1_000,
        mean,
        standard_error: 0.004,
        variance_rows: 0.02,
        variance_slices: 0.0004,
        prior_mean,
        relative_standard_error: 0.005,
        scale,
    }
}

fn rows() -> RecordBatch {
    let spread = |n: i32, step: i32| f64::from(n * step % 101 - 50) / 50.0;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from_iter_values((0..101).map(|n| spread(n, 37)))),
        Arc::new(Float64Array::from_iter_values((0..101).map(|n| spread(n, 53)))),
        Arc::new(StringArray::from_iter((0..101).map(|n| ["EWR", "JFK", "LGA"].get(n % 4).copied()))),
    ];
    RecordBatch::try_new(schema().arrow(), columns).unwrap()
}

fn bundle(task: Task, weights: (f64, f64)) -> Bundle {
    let packed = packed(task, weights, false);
    bundle::open(&packed.version, &packed.files.iter().cloned().collect()).unwrap()
}

/// Trees that split columns of each kind, for the form alone.
fn forest(features: usize) -> Model {
    let numeric = |threshold, missing, default_left| Split::Numeric { threshold, missing, default_left };
    let node = |feature, split, left, right| Node { feature, split, left, right };
    let trees = vec![
        Tree::new(
            vec![
                node(0, numeric(0.25, Missing::Nan, true), 1, !2),
                node(1, numeric(-0.5, Missing::None, false), !0, !1),
            ],
            vec![-1.0, 0.5, 2.0],
        ),
        Tree::new(vec![node(0, Split::Category { set: vec![2] }, !0, !1)], vec![0.125, -0.125]),
    ];
    let trees = trees.into_iter().map(Result::unwrap).collect();
    Model::Forest(Forest::new(Link::Sigmoid { factor: 1.0 }, features, 1, false, trees).unwrap())
}

/// The files of one bundle.
pub(super) fn packed(task: Task, (on_a, on_b): (f64, f64), with_trees: bool) -> Packed {
    let rows = rows();
    let family = "logistic_regression";
    let recipe = prepare::Recipe::default();
    let preprocessor = prepare::fit(&recipe, family, prepare::Needs::Dense, &schema(), &rows).unwrap();
    let weights = |factor: f64| -> Vec<f64> {
        let weight = |source: &str| match source {
            "a" => on_a * factor,
            "b" => on_b * factor,
            _ => 0.0,
        };
        preprocessor.features().iter().map(|f| weight(&f.source)).collect()
    };
    let linear = |task: Task| match task {
        Task::BinaryClassification | Task::Anomaly => {
            Linear::new(Link::Sigmoid { factor: 1.0 }, vec![weights(3.0)], vec![0.0])
        }
        Task::MulticlassClassification => {
            Linear::new(Link::Softmax, vec![weights(3.5), weights(0.0), weights(-3.5)], vec![0.0, 2.0, 0.0])
        }
        // The standardised column has a deviation of 0.58.
        Task::Regression | Task::Clustering => Linear::new(Link::Identity, vec![weights(5.8)], vec![0.0]),
    };
    let model = match task {
        // One to either side of the middle, along the column that decides.
        Task::Clustering => {
            let middles = [weights(1.0), weights(-1.0)].concat();
            Model::Centroids(Centroids::new(preprocessor.features().len(), middles).unwrap())
        }
        _ if with_trees => forest(preprocessor.features().len()),
        _ => Model::Linear(linear(task).unwrap()),
    };
    let mut scores = Vec::new();
    model.predict(&preprocessor.apply(&rows).unwrap(), &mut scores).unwrap();
    let profiled = with_prediction(task, &rows, &scores);
    let layout = profile::Layout::from_rows(&profiled, 8).unwrap();
    let mut counts = profile::Counts::default();
    let all: Vec<u32> = (0..101).collect();
    layout.observe(&profiled, &all, &mut counts).unwrap();
    let kernel = profile::Kernel::fit(&rows, 256, 1).unwrap();
    let segments = by_origin(&profiled, &layout);
    let reference = profile::Reference { layout, counts, importance: vec![0.5, 0.5, 0.0, 0.0] };
    let manifest = manifest(task, vec![serde_json::json!({"weights": [on_a, on_b]})]);
    let parts = Parts {
        manifest_without_files: manifest,
        preprocessor,
        model,
        reference,
        golden: rows.slice(0, 64),
        calibrated: calibrated(task),
        errors: None,
        wander: None,
        segments,
        reconstruction: None,
        kernel,
    };
    bundle::pack(parts).unwrap()
}

/// Counts of the rows of each origin; a fourth of them has none.
fn by_origin(rows: &RecordBatch, layout: &profile::Layout) -> profile::Segments {
    let of = |(code, name): (u32, &str)| {
        let members: Vec<u32> = (0..101).filter(|row| row % 4 == code).collect();
        let mut counts = profile::Counts::default();
        layout.observe(rows, &members, &mut counts).unwrap();
        (profile::segment_name("from", name), counts)
    };
    let counts = (0..).zip(["EWR", "JFK", "LGA", "missing"]).map(of).collect();
    profile::Segments { columns: BTreeMap::from([("from".to_owned(), "origin".to_owned())]), counts }
}

/// Scores are taken at their word, so that panes of expected performance flow.
fn calibrated(task: Task) -> Option<bundle::Calibrated> {
    let maps = match task {
        Task::BinaryClassification => 1,
        Task::MulticlassClassification => 3,
        Task::Regression | Task::Anomaly | Task::Clustering => return None,
    };
    let calibration = measure::Calibration::of(vec![measure::ScoreMap::Identity; maps]).unwrap();
    let gap = measure::estimate::GapReference {
        slices: 10,
        errors: 0.2,
        mean: 0.0,
        standard_error: 0.01,
        variance_slices: 0.001,
        scale: 1.0,
    };
    Some(bundle::Calibrated { calibration, gap: Some(gap) })
}

fn with_prediction(task: Task, rows: &RecordBatch, scores: &[f64]) -> RecordBatch {
    let prediction: ArrayRef = match task {
        Task::MulticlassClassification => {
            let best = |row: &[f64]| (0..row.len()).max_by(|x, y| row[*x].total_cmp(&row[*y])).unwrap();
            Arc::new(StringArray::from_iter_values(scores.chunks(3).map(|row| classes(task)[best(row)].clone())))
        }
        Task::Clustering => Arc::new(StringArray::from_iter_values(scores.chunks(3).map(|row| row[0].to_string()))),
        _ => Arc::new(Float64Array::from(scores.to_vec())),
    };
    let data_type = prediction.data_type().clone();
    assert!(rows.column(0).as_primitive::<Float64Type>().null_count() == 0);
    let mut fields: Vec<Arc<Field>> = rows.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("prediction", data_type, true)));
    let columns = rows.columns().iter().cloned().chain([prediction]).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn manifest(task: Task, search: Vec<serde_json::Value>) -> Manifest {
    let classes = classes(task);
    let positive_class = if task == Task::BinaryClassification { classes.get(1).cloned() } else { None };
    let class_rates = match shape(task).classes {
        0 => vec![0.0],
        _ if !task.has_labels() => vec![0.0],
        n => vec![1.0 / n as f64; n],
    };
    Manifest {
        format_version: 0,
        parent: None,
        task,
        classes,
        positive_class,
        family: "logistic_regression".to_owned(),
        parameters: serde_json::json!({}),
        input: schema(),
        rows: 101,
        first_rows: 101,
        trained_from_ms: 0,
        trained_until_ms: 0,
        label_cut_off_ms: 0,
        seed: 7,
        reference: harm_reference(task),
        metrics: BTreeMap::new(),
        class_rates,
        interval: (task == Task::Regression).then_some(measure::PredictionInterval { share: 0.9, half_width: 2.0 }),
        verdicts: Vec::new(),
        search,
        files: Vec::new(),
        requires: Vec::new(),
        producer: BTreeMap::new(),
    }
}
