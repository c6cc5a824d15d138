//! Packing, opening, and refusing whatever is damaged or does not belong together.

use crate::{
    Calibrated, Error, ErrorModels, FORMAT_VERSION, Manifest, Packed, Parts, open, pack, sha256_hex, version_of,
};
use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use detect::shift::{Wander, Wanders};
use domain::{EventSchema, Field, FieldType, HarmReference, Task, Version};
use measure::estimate::GapReference;
use models::{Linear, Link, Model};
use profile::Encoded;
use std::collections::BTreeMap;
use std::sync::Arc;

fn schema() -> EventSchema {
    let field = |name: &str, field_type| Field { name: name.to_string(), field_type, required: false };
    EventSchema { fields: vec![field("amount", FieldType::Float), field("carrier", FieldType::Category)] }
}

fn rows() -> RecordBatch {
    let amounts = (0..80).map(|i| (i % 9 != 0).then_some(f64::from(i * 37 % 100)));
    let carriers = (0..80).map(|i| ["AA", "DL", "UA"].get(i % 4).copied());
    let amounts: ArrayRef = Arc::new(Float64Array::from_iter(amounts));
    let carriers: ArrayRef = Arc::new(StringArray::from_iter(carriers));
    RecordBatch::try_new(schema().arrow(), vec![amounts, carriers]).unwrap()
}

fn manifest() -> Manifest {
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
    Manifest {
        format_version: 0,
        parent: None,
        task: Task::BinaryClassification,
        classes: vec!["0".to_string(), "1".to_string()],
        positive_class: Some("1".to_string()),
        family: "logistic_regression".to_string(),
        parameters: serde_json::json!({"alpha": 0.1}),
        input: schema(),
        rows: 80,
        first_rows: 80,
        trained_from_ms: 0,
        trained_until_ms: 1_000,
        label_cut_off_ms: 2_000,
        seed: 7,
        reference,
        metrics: BTreeMap::from([("auc".to_string(), 0.1 + 0.2)]),
        class_rates: vec![0.8, 0.2],
        interval: None,
        verdicts: vec!["log_loss 0.4 below majority 0.5".to_string()],
        search: vec![serde_json::json!({"trial": 0})],
        files: Vec::new(),
        requires: Vec::new(),
        producer: BTreeMap::from([("name".to_string(), "vigie".to_string())]),
    }
}

fn gap() -> GapReference {
    GapReference { slices: 3, errors: 0.2, mean: 0.01, standard_error: 0.02, variance_slices: 0.001, scale: 1.0 }
}

fn parts() -> Parts {
    let recipe = prepare::Recipe::default();
    let preprocessor = prepare::fit(&recipe, "logistic_regression", prepare::Needs::Dense, &schema(), &rows()).unwrap();
    let weights = (0..preprocessor.features().len()).map(|i| 0.3 - i as f64 * 0.17).collect();
    let model = Model::Linear(Linear::new(Link::Sigmoid { factor: 1.0 }, vec![weights], vec![-0.4]).unwrap());
    let layout = profile::Layout::from_rows(&rows(), 16).unwrap();
    let mut counts = profile::Counts::default();
    let all: Vec<u32> = (0..80).collect();
    layout.observe(&rows(), &all, &mut counts).unwrap();
    let reference = profile::Reference { layout, counts, importance: vec![0.5, 0.5] };
    let calibration = measure::Calibration::fit(
        measure::Shape { task: Task::BinaryClassification, classes: 2 },
        &[0.1, 0.9, 0.4],
        &[0.0, 1.0, 0.0],
    );
    let calibrated = Some(Calibrated { calibration: calibration.unwrap(), gap: Some(gap()) });
    let wander =
        Some(Wanders { slice_ms: 1_000, columns: vec![Wander::default(); 2], segments: BTreeMap::new(), joint: None });
    Parts {
        manifest_without_files: manifest(),
        preprocessor,
        model,
        reference,
        golden: rows(),
        calibrated,
        errors: None,
        wander,
        segments: profile::Segments::default(),
        reconstruction: None,
        kernel: None,
    }
}

/// Parts whose reference has the errors of rebuilding rows from one axis.
fn watched_together() -> Parts {
    let columns = ["amount", "carrier"].map(|name| Encoded::of(name, &rows()).unwrap().unwrap()).to_vec();
    let axis = std::f64::consts::FRAC_1_SQRT_2;
    let reconstruction = profile::Reconstruction { columns, axes: vec![vec![axis; 2]] };
    let errors: ArrayRef = Arc::new(Float64Array::from(reconstruction.errors(&rows()).unwrap()));
    let profiled = RecordBatch::try_from_iter([("reconstruction_error", errors)]).unwrap();
    let layout = profile::Layout::from_rows(&profiled, 16).unwrap();
    let mut counts = profile::Counts::default();
    layout.observe(&profiled, &(0..80).collect::<Vec<u32>>(), &mut counts).unwrap();
    let reference = profile::Reference { layout, counts, importance: vec![0.0] };
    Parts { reference, wander: None, reconstruction: Some(reconstruction), ..parts() }
}

#[test]
fn axes_are_read_as_written_and_those_that_fit_nothing_are_refused() {
    let packed = pack(watched_together()).unwrap();
    let bundle = open(&packed.version, &files(&packed)).unwrap();
    assert_eq!(bundle.reconstruction.as_deref(), watched_together().reconstruction.as_ref());
    let check = |change: fn(&mut Parts), expected: &str| {
        let mut parts = watched_together();
        change(&mut parts);
        let refused = pack(parts).unwrap_err().to_string();
        assert!(refused.contains("reconstruction.json") && refused.contains(expected), "{refused}");
    };
    check(|parts| parts.reference = self::parts().reference, "reconstruction_error");
    check(|parts| parts.reconstruction.as_mut().unwrap().axes[0].truncate(1), "axes");
    check(|parts| parts.reconstruction.as_mut().unwrap().axes.clear(), "axes");
    check(|parts| parts.reconstruction.as_mut().unwrap().columns[0].deviation = 0.0, "out of range");
    check(|parts| parts.reconstruction.as_mut().unwrap().columns[0].name = "gone".to_string(), "gone");
}

#[test]
fn a_kernel_is_read_as_written_and_one_that_fits_nothing_is_refused() {
    let with_kernel = || Parts { kernel: profile::Kernel::fit(&rows(), 256, 1).unwrap(), ..parts() };
    let packed = pack(with_kernel()).unwrap();
    let bundle = open(&packed.version, &files(&packed)).unwrap();
    assert!(bundle.kernel.is_some());
    assert_eq!(bundle.kernel.as_deref(), with_kernel().kernel.as_ref());
    let check = |change: fn(&mut profile::Kernel), expected: &str| {
        let mut parts = with_kernel();
        change(parts.kernel.as_mut().unwrap());
        let refused = pack(parts).unwrap_err().to_string();
        assert!(refused.contains("kernel.json") && refused.contains(expected), "{refused}");
    };
    check(|kernel| kernel.frequencies[1].truncate(1), "frequencies");
    check(|kernel| kernel.spread.sum = -1.0, "out of range");
    check(|kernel| kernel.reference.merge(&kernel.reference.clone()), "160 rows, expected the 80");
    check(|kernel| kernel.columns[0].name = "gone".to_string(), "gone");
}

fn files(packed: &Packed) -> BTreeMap<String, Vec<u8>> {
    packed.files.iter().cloned().collect()
}

#[test]
fn a_bundle_opens_as_it_was_packed_and_packs_to_the_same_bytes() {
    let packed = pack(parts()).unwrap();
    assert_eq!(packed, pack(parts()).unwrap());
    assert_eq!(packed.files.last().unwrap().0, "manifest.json");
    let bundle = open(&packed.version, &files(&packed)).unwrap();
    assert!(bundle.version.is_well_formed());
    assert_eq!(bundle.manifest.format_version, FORMAT_VERSION);
    assert_eq!(bundle.manifest.requires, ["model.linear/1"]);
    assert_eq!(bundle.manifest.metrics["auc"].to_bits(), (0.1_f64 + 0.2).to_bits());
    let whole = bundle.apply(&rows()).unwrap();
    assert_eq!((whole.outputs, whole.values.len()), (1, 80));
    let part = bundle.apply(&rows().slice(30, 20)).unwrap();
    assert_eq!(part.values, whole.values[30..50]);
    let lacking = rows().project(&[0]).unwrap();
    assert!(bundle.apply(&lacking).unwrap_err().to_string().contains("carrier"));
}

#[test]
fn sha_256_is_that_of_fips_180() {
    assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(version_of(b"abc"), Version::new("ba7816bf8f01"));
}

#[test]
fn no_damaged_file_is_ever_opened() {
    let packed = pack(parts()).unwrap();
    let whole = files(&packed);
    let mut state = 1_u64;
    let mut random = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    for (name, bytes) in &whole {
        for round in 0..300 {
            let mut damaged = bytes.clone();
            match round % 3 {
                0 => damaged.truncate(random(bytes.len())),
                1 => damaged.push(random(256) as u8),
                _ => damaged[random(bytes.len())] ^= 1 << random(8),
            }
            let mut files = whole.clone();
            files.insert(name.clone(), damaged);
            let message = open(&packed.version, &files).unwrap_err().to_string();
            assert!(message.contains(name.as_str()) && message.contains("expected"), "{message}");
        }
        let mut files = whole.clone();
        files.remove(name);
        assert!(matches!(open(&packed.version, &files), Err(Error::Missing { file, .. }) if file == *name));
    }
}

/// A bundle whose file is exchanged and whose hashes are made to fit: what a hash cannot catch.
fn forged(name: &str, bytes: Vec<u8>, edit: impl Fn(&mut Manifest)) -> Result<crate::Bundle, Error> {
    let mut files = files(&pack(parts()).unwrap());
    let mut manifest: Manifest = serde_json::from_slice(&files["manifest.json"]).unwrap();
    if let Some(entry) = manifest.files.iter_mut().find(|entry| entry.path == name) {
        entry.bytes = bytes.len() as u64;
        entry.sha256 = sha256_hex(&bytes);
        files.insert(name.to_string(), bytes);
    }
    edit(&mut manifest);
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let version = version_of(&bytes);
    files.insert("manifest.json".to_string(), bytes);
    open(&version, &files)
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let check = |result: Result<crate::Bundle, Error>, words: &str| {
        let message = result.map(drop).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    };
    assert!(forged("", Vec::new(), |_| ()).is_ok());
    check(forged("", Vec::new(), |m| m.format_version = 2), "format_version is `2`, expected 1");
    let interval = |share| Some(measure::PredictionInterval { share, half_width: 2.0 });
    check(forged("", Vec::new(), |m| m.interval = interval(0.9)), "interval of task BinaryClassification");
    let regression = |m: &mut Manifest| (m.task, m.classes, m.positive_class) = (Task::Regression, Vec::new(), None);
    let unsound = |m: &mut Manifest| {
        regression(m);
        m.interval = interval(1.5);
    };
    check(forged("", Vec::new(), unsound), "expected a share below 1");
    check(forged("", Vec::new(), |m| m.requires.push("magic/9".to_string())), "requires is `magic/9`");
    check(forged("", Vec::new(), |m| m.requires.clear()), "model.linear/1");
    check(forged("", Vec::new(), |m| m.classes.clear()), "0 classes");
    check(forged("", Vec::new(), |m| m.positive_class = Some("0".to_string())), "positive class is Some(\"0\")");
    check(forged("", Vec::new(), |m| m.input.fields.truncate(1)), "pipeline.json");
    check(forged("", Vec::new(), |m| m.files.clear()), "not listed once");
    let other = |count, intercept| {
        let model = Linear::new(Link::Sigmoid { factor: 1.0 }, vec![vec![0.5; count]], vec![intercept]).unwrap();
        Model::Linear(model).to_bytes()
    };
    check(forged("model.bin", other(1, 0.0), |_| ()), "reads 1 features");
    let features = parts().preprocessor.features().len();
    check(forged("model.bin", other(features, 0.0), |_| ()), "row 0, output 0");
    check(forged("golden.arrow", vec![0; 64], |_| ()), "golden.arrow");
    check(forged("input.schema", vec![1, 2, 3], |_| ()), "input.schema");
    check(forged("reference.arrow", vec![255; 100], |_| ()), "reference.arrow");
}

#[test]
fn the_last_bit_of_an_output_matters() {
    let mut parts = parts();
    let Model::Linear(linear) = &mut parts.model else { panic!("linear expected") };
    linear.intercepts[0] = linear.intercepts[0].next_up();
    let bytes = parts.model.to_bytes();
    // One unit in the last place of the intercept moves some output of 80 rows by at least one bit.
    assert!(matches!(forged("model.bin", bytes, |_| ()), Err(Error::Golden { .. })));
}

#[test]
fn a_manifest_with_numbers_json_cannot_hold_is_not_packed() {
    let mut parts = parts();
    parts.manifest_without_files.metrics.insert("auc".to_string(), f64::NAN);
    assert!(pack(parts).unwrap_err().to_string().contains("manifest.json"));
}

/// Bundles of before these files were written, and readers of before they were known.
#[test]
fn a_bundle_without_calibration_and_wander_is_read_and_stray_files_are_passed_over() {
    let old = Parts { calibrated: None, wander: None, ..parts() };
    let packed = pack(old).unwrap();
    let mut files = files(&packed);
    assert_eq!(files.len(), 6);
    files.insert("wander.json".to_string(), b"not listed, so never parsed".to_vec());
    let bundle = open(&packed.version, &files).unwrap();
    assert!(bundle.calibrated.is_none() && bundle.wander.is_none());
    let bundle = pack(parts()).map(|packed| open(&packed.version, &self::files(&packed)).unwrap()).unwrap();
    assert_eq!(bundle.calibrated.unwrap().gap, Some(gap()));
    assert_eq!(bundle.wander.unwrap().columns.len(), 2);
}

#[test]
fn segments_are_read_as_written_and_those_of_other_columns_are_refused() {
    let reference = parts().reference;
    let of = |counts: profile::SegmentCounts| {
        let columns = BTreeMap::from([("by".to_string(), "carrier".to_string())]);
        Parts { segments: profile::Segments { columns, counts }, ..parts() }
    };
    let whole = of([("by=AA".to_string(), reference.counts.clone())].into());
    let packed = pack(whole.clone()).unwrap();
    assert_eq!(open(&packed.version, &files(&packed)).unwrap().segments, whole.segments);
    let none = serde_json::from_str(r#"{"rows": 5, "columns": []}"#).unwrap();
    let refused = pack(of([("by=AA".to_string(), none)].into())).unwrap_err().to_string();
    assert!(refused.contains("segments.json") && refused.contains("by=AA"), "{refused}");
    let many = (0..65).map(|number| (format!("by={number}"), reference.counts.clone())).collect();
    let refused = pack(of(many)).unwrap_err().to_string();
    assert!(refused.contains("65 segments, expected at most 64"), "{refused}");
}

#[test]
fn calibration_and_wander_that_cannot_be_are_refused() {
    let cases = [
        ("calibration.json", r#"{"calibration": {"maps": []}, "gap": null}"#, "0 maps"),
        ("calibration.json", r#"{"calibration": {"maps": ["identity", "identity"]}, "gap": null}"#, "2 maps"),
        (
            "calibration.json",
            r#"{"calibration": {"maps": [{"isotonic": {"scores": [0.5, 0.1], "probabilities": [0.1, 0.2]}}]}}"#,
            "must rise",
        ),
        (
            "calibration.json",
            r#"{"calibration": {"maps": ["identity"]},
                "gap": {"slices": 1, "errors": 7.0, "mean": 0.0, "standard_error": 0.0, "variance_slices": 0.0}}"#,
            "out of range",
        ),
        ("wander.json", r#"{"slice_ms": 5, "columns": []}"#, "0 columns"),
        ("wander.json", "[]", "wander.json"),
    ];
    for (file, json, words) in cases {
        let message = forged(file, json.as_bytes().to_vec(), |_| ()).map(drop).unwrap_err().to_string();
        assert!(message.contains(words) && message.contains(file), "{message}");
    }
}

#[test]
fn models_of_errors_open_with_a_regression_and_with_nothing_else() {
    let with = |task: Task, errors: Option<ErrorModels>| {
        let mut parts = parts();
        let (classes, positive) = if task == Task::Regression { (vec![], None) } else { (vec!["0", "1"], Some("1")) };
        parts.manifest_without_files.task = task;
        parts.manifest_without_files.classes = classes.into_iter().map(str::to_string).collect();
        parts.manifest_without_files.positive_class = positive.map(str::to_string);
        parts.calibrated = None;
        parts.errors = errors;
        pack(parts)
    };
    let features = parts().preprocessor.features().len();
    let child = |inputs: usize, factor: f64| {
        let mut weights = vec![0.0; inputs];
        // The last input is the prediction.
        *weights.last_mut().unwrap() = factor;
        Model::Linear(Linear::new(Link::Identity, vec![weights], vec![0.25]).unwrap())
    };
    let errors = |inputs: usize| {
        Some(ErrorModels { absolute: child(inputs, 0.5), squared: child(inputs, 2.0), gap: Some(gap()) })
    };
    let packed = with(Task::Regression, errors(features + 1)).unwrap();
    let bundle = open(&packed.version, &files(&packed)).unwrap();
    let (scores, found) = bundle.apply_expecting(&rows()).unwrap();
    assert_eq!(scores, bundle.apply(&rows()).unwrap());
    for (score, [absolute, squared]) in scores.values.iter().zip(found.unwrap()) {
        let prediction = f64::from(*score as f32);
        assert!((absolute - 0.25 - prediction / 2.0).abs() < 1e-9, "{score} {absolute}");
        assert!((squared - 0.25 - prediction * 2.0).abs() < 1e-9, "{score} {squared}");
    }
    let old = with(Task::Regression, None).unwrap();
    let old = open(&old.version, &files(&old)).unwrap();
    assert!(old.apply_expecting(&rows()).unwrap().1.is_none());
    assert_eq!(bundle.errors.as_ref().unwrap().gap, Some(gap()));
    let unsound =
        errors(features + 1).map(|found| ErrorModels { gap: Some(GapReference { scale: 0.0, ..gap() }), ..found });
    let message = with(Task::Regression, unsound).unwrap_err().to_string();
    assert!(message.contains("error_gap.json") && message.contains("scale"), "{message}");
    for (task, inputs) in [(Task::BinaryClassification, features + 1), (Task::Regression, features)] {
        let message = with(task, errors(inputs)).unwrap_err().to_string();
        assert!(message.contains("absolute_error.bin") && message.contains("in regression"), "{message}");
    }
}
