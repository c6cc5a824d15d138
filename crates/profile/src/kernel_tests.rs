use super::{Kernel, MeanVector, Spread, Standardised, circle};
use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use std::sync::Arc;

/// Numbers that look random: the fraction of multiples of an irrational number.
fn numbers(count: usize, step: f64) -> Vec<f64> {
    (0..count).map(|row| (row as f64 * step).fract()).collect()
}

fn rows(count: usize) -> RecordBatch {
    let texts = numbers(count, 0.754_877_666).into_iter().map(|x| if x < 0.3 { "a" } else { "b" });
    let columns: [(&str, ArrayRef); 3] = [
        ("x", Arc::new(Float64Array::from(numbers(count, 0.618_033_988)))),
        ("y", Arc::new(Float64Array::from(numbers(count, 0.414_213_562)))),
        ("z", Arc::new(texts.map(Some).collect::<StringArray>())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn vector(kernel: &Kernel, rows: &RecordBatch) -> MeanVector {
    kernel.sum(rows).unwrap()
}

#[test]
fn the_circle_is_that_of_libm() {
    for step in -4_000..4_000 {
        let turns = f64::from(step) / 777.0;
        let (cosine, sine) = circle(turns);
        let angle = turns * std::f64::consts::TAU;
        assert!((cosine - libm::cos(angle)).abs() < 1e-9, "cosine of {turns} turns: {cosine}");
        assert!((sine - libm::sin(angle)).abs() < 1e-9, "sine of {turns} turns: {sine}");
    }
}

/// Products of mean vectors are means of the Gaussian kernel over all pairs of rows.
#[test]
fn a_product_is_the_mean_of_the_kernel_over_all_pairs() {
    let all = rows(400);
    let kernel = Kernel::fit(&all, 256, 7).unwrap().unwrap();
    let (left, right) = (all.slice(0, 200), all.slice(200, 200));
    let found = vector(&kernel, &left).product(&vector(&kernel, &right));
    let scaled = Standardised::of(&kernel.columns, &all).unwrap();
    let square =
        |a: usize, b: usize| -> f64 { scaled.row(a).iter().zip(scaled.row(b)).map(|(x, y)| (x - y) * (x - y)).sum() };
    let mut distances: Vec<f64> = (0..200).map(|row| square(row, row + 200).sqrt()).collect();
    distances.sort_by(f64::total_cmp);
    let width = distances[100];
    let pairs = (0..200).flat_map(|a| (200..400).map(move |b| (a, b)));
    let expected = pairs.map(|(a, b)| (-square(a, b) / (2.0 * width * width)).exp()).sum::<f64>() / 40_000.0;
    // 64 frequencies: one kernel value has a standard error of at most 1 / √128.
    assert!((found - expected).abs() < 0.05, "{found}, expected {expected}");
}

#[test]
fn parts_merge_to_the_whole_and_subtract_exactly() {
    let all = rows(700);
    let kernel = Kernel::fit(&all, 256, 7).unwrap().unwrap();
    assert_eq!(kernel.reference, vector(&kernel, &all));
    let mut merged = MeanVector::default();
    let mut start = 0;
    for length in [1, 255, 256, 3, 185] {
        merged.merge(&vector(&kernel, &all.slice(start, length)));
        start += length;
    }
    assert_eq!(merged, kernel.reference);
    merged.subtract(&vector(&kernel, &all.slice(0, 300)));
    assert_eq!(merged, vector(&kernel, &all.slice(300, 400)));
    let bytes = postcard::to_stdvec(&merged).unwrap();
    assert_eq!(postcard::from_bytes::<MeanVector>(&bytes).unwrap(), merged);
    assert!(bytes.len() < 128 * 5, "{} bytes", bytes.len());
}

/// Σλ of vectors of length 1 is 1 less the square of their mean.
#[test]
fn the_spread_is_that_of_a_covariance() {
    let all = rows(2_000);
    let kernel = Kernel::fit(&all, 256, 3).unwrap().unwrap();
    let Spread { sum, squares, largest } = kernel.spread;
    let expected = 1.0 - kernel.reference.product(&kernel.reference);
    assert!((sum - expected).abs() < 1e-5, "{sum}, expected {expected}");
    assert!(largest * largest < squares && squares < largest * sum, "{:?}", kernel.spread);
    // Columns that do not depend on one another leave no direction with half of the spread.
    assert!(largest < 0.5 * sum && largest > sum / 128.0, "{:?}", kernel.spread);
}

/// Columns of zeros and ones of which most rows are the same still have a kernel.
#[test]
fn rows_that_are_mostly_the_same_have_a_width() {
    let column =
        |step: f64| numbers(400, step).into_iter().map(|x| f64::from(u8::from(x < 0.05))).collect::<Vec<f64>>();
    let columns = [0.618_033_988, 0.414_213_562].map(|step| Arc::new(Float64Array::from(column(step))) as ArrayRef);
    let rows = RecordBatch::try_from_iter(["x", "y"].into_iter().zip(columns)).unwrap();
    assert!(Kernel::fit(&rows, 256, 1).unwrap().is_some());
}

#[test]
fn what_does_not_vary_has_no_kernel_and_odd_values_do_no_harm() {
    let constant: ArrayRef = Arc::new(Float64Array::from(vec![1.0; 50]));
    let same = RecordBatch::try_from_iter([("x", Arc::clone(&constant)), ("y", constant)]).unwrap();
    assert_eq!(Kernel::fit(&same, 256, 1).unwrap(), None);
    assert_eq!(Kernel::fit(&rows(100), 1, 1).unwrap(), None);
    assert_eq!(Kernel::fit(&rows(0), 256, 1).unwrap(), None);
    let kernel = Kernel::fit(&rows(100), 256, 1).unwrap().unwrap();
    let odd: [(&str, ArrayRef); 3] = [
        ("x", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(f64::INFINITY), None]))),
        ("y", Arc::new(Float64Array::from(vec![1e300, -1e300, 0.0]))),
        ("z", Arc::new(StringArray::from(vec![None, Some(""), Some("never seen")]))),
    ];
    let found = vector(&kernel, &RecordBatch::try_from_iter(odd).unwrap());
    assert_eq!(found.rows(), 3);
    assert!(found.product(&found).abs() <= 1.01);
    let check = |change: &dyn Fn(&mut Kernel)| {
        let mut changed = kernel.clone();
        change(&mut changed);
        assert!(!changed.is_sound());
    };
    check(&|k| k.frequencies[3].truncate(1));
    check(&|k| k.frequencies[0][0] = f64::NAN);
    check(&|k| k.frequencies[0][0] = 1e9);
    check(&|k| k.frequencies.clear());
    check(&|k| k.spread.largest = 0.0);
    check(&|k| k.spread.squares = 1e-12);
    check(&|k| k.spread.sum = f64::INFINITY);
    check(&|k| k.reference.rows /= 2);
    check(&|k| k.reference = MeanVector::default());
    check(&|k| k.columns[1].deviation = 0.0);
}
