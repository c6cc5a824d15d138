//! NannyML's published values, and what single columns cannot show.

use super::fit;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use numpy::NumpyRandom;
use profile::Reconstruction;
use std::sync::Arc;

/// One generator for the tests of both crates.
#[path = "../../detect/src/parity/tests_numpy.rs"]
mod numpy;

fn rows(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn mean_error(fitted: &Reconstruction, rows: &RecordBatch) -> f64 {
    fitted.errors(rows).unwrap().iter().sum::<f64>() / rows.num_rows() as f64
}

/// `sample_drift_data` of NannyML 0.13.1, `tests/drift/test_multiv_pca.py`: 20 weeks of 1,008 rows.
fn sample_drift_data() -> RecordBatch {
    let (count, week) = (20_160, 1_008);
    let mut random = NumpyRandom::new(167);
    let late = |row: usize| row >= 15 * week;
    let f1 = random.normal(0.0, count).into_iter().enumerate().map(|(row, x)| if late(row) { x + 0.6 } else { x });
    let f1: Float64Array = f1.collect();
    let f2 = (0..count).map(|row| (row, random.unit())).collect::<Vec<_>>();
    let f2: Float64Array = f2.into_iter().map(|(row, x)| if late(row) { x.sqrt() } else { x }).collect();
    let f3 = random.choice(&[0, 1, 2, 3], count).into_iter().enumerate();
    let f3 = f3
        .map(|(row, value)| (late(row), value))
        .map(|(late, value)| if value == 1 || value == 3 && !late { "1" } else { "0" });
    let f3: StringArray = f3.map(Some).collect();
    let color = |late: bool, value: u32| match value {
        13 | 14 | 18 if late => "white",
        19 if late => "red",
        0..=4 => "white",
        5..=9 => "red",
        10..=14 => "green",
        _ => "blue",
    };
    let twenty = random.choice(&(0..20).collect::<Vec<u32>>(), count);
    let f4: StringArray = twenty.into_iter().enumerate().map(|(row, value)| Some(color(late(row), value))).collect();
    rows(vec![("f1", Arc::new(f1)), ("f2", Arc::new(f2)), ("f3", Arc::new(f3)), ("f4", Arc::new(f4))])
}

#[test]
fn nannyml_s_published_reconstruction_errors() {
    // By week, from the same file; the first ten are the reference.
    let published = [
        0.795_939_312_162_986,
        0.784_011_046_396_623_6,
        0.811_909_873_009_142_5,
        0.798_213_008_218_715_9,
        0.807_815_521_612_754,
        0.849_204_266_946_496_3,
        0.781_412_740_909_008_3,
        0.802_262_162_630_076_8,
        0.810_474_212_996_683_1,
        0.770_390_127_062_576_7,
        0.800_707_012_860_629_6,
        0.795_316_998_296_217_2,
        0.786_278_418_246_870_1,
        0.838_376_989_270_861,
        0.801_928_064_041_002_1,
        0.715_433_937_283_724_7,
        0.717_116_959_389_496_8,
        0.725_599_956_196_801_7,
        0.734_930_132_558_86,
        0.777_771_738_850_153_8,
    ];
    let data = sample_drift_data();
    let fitted = fit(&data.slice(0, 10_080)).unwrap().unwrap();
    assert_eq!(fitted.axes.len(), 3);
    println!("week  ours              NannyML           difference");
    for (week, theirs) in published.into_iter().enumerate() {
        let ours = mean_error(&fitted, &data.slice(week * 1_008, 1_008));
        println!("{week:>4}  {ours:.15} {theirs:.15} {:+.1e}", ours - theirs);
        assert!((ours - theirs).abs() < 1e-9, "week {week}: {ours}, NannyML {theirs}");
    }
}

/// Three columns, each uniform; of the first two one follows the other by `turn`.
fn related(seed: u32, turn: impl Fn(f64) -> f64) -> RecordBatch {
    let mut random = NumpyRandom::new(seed);
    let x: Vec<f64> = (0..5_000).map(|_| random.unit()).collect();
    let y: Float64Array = x.iter().map(|x| turn(*x)).collect();
    let z: Float64Array = (0..5_000).map(|_| random.unit()).collect();
    rows(vec![("x", Arc::new(Float64Array::from(x))), ("y", Arc::new(y)), ("z", Arc::new(z))])
}

#[test]
fn a_relation_that_turns_shows_where_no_column_changes() {
    let fitted = fit(&related(1, |x| x)).unwrap().unwrap();
    let [before, same, turned] =
        [related(1, |x| x), related(2, |x| x), related(2, |x| 1.0 - x)].map(|rows| mean_error(&fitted, &rows));
    assert!((same / before - 1.0).abs() < 0.05 && turned > 1.5 * before, "{before} {same} {turned}");
}

#[test]
fn every_row_has_a_finite_error_whatever_batch_it_is_in() {
    let fitted = fit(&sample_drift_data().slice(0, 5_000)).unwrap().unwrap();
    let odd = |x: f64, y: Option<f64>, text: Option<&str>| {
        rows(vec![
            ("f1", Arc::new(Float64Array::from(vec![x])) as ArrayRef),
            ("f2", Arc::new(Float64Array::from(vec![y]))),
            ("f3", Arc::new(StringArray::from(vec![text]))),
            ("f4", Arc::new(StringArray::from(vec![text]))),
        ])
    };
    for (x, y, text) in [(f64::MAX, None, None), (f64::NAN, Some(f64::NEG_INFINITY), Some("unseen")), (0.0, None, None)]
    {
        let errors = fitted.errors(&odd(x, y, text)).unwrap();
        assert!(errors.len() == 1 && errors[0].is_finite(), "{x} {y:?} {text:?}: {errors:?}");
    }
    let all = fitted.errors(&sample_drift_data()).unwrap();
    for cut in [0, 1, 4_999, 20_159] {
        assert_eq!(fitted.errors(&sample_drift_data().slice(cut, 1)).unwrap(), all[cut..=cut]);
    }
    assert!(fitted.errors(&rows(vec![("f1", Arc::new(Float64Array::from(vec![1.0])) as ArrayRef)])).is_err());
}

#[test]
fn columns_that_say_nothing_together_have_no_axes() {
    let constant = || Arc::new(Float64Array::from(vec![7.0; 100])) as ArrayRef;
    let empty = Arc::new(Float64Array::from(vec![None::<f64>; 100])) as ArrayRef;
    let varied = || Arc::new((0..100).map(f64::from).collect::<Float64Array>()) as ArrayRef;
    for (columns, expected) in [
        (vec![("a", varied())], false),
        (vec![("a", varied()), ("b", empty)], false),
        (vec![("a", constant()), ("b", constant())], false),
        (vec![("a", varied()), ("b", constant())], true),
        (vec![("a", varied()), ("b", varied())], true),
    ] {
        let names: Vec<&str> = columns.iter().map(|c| c.0).collect();
        assert_eq!(fit(&rows(columns.clone())).unwrap().is_some(), expected, "{names:?}");
    }
}
