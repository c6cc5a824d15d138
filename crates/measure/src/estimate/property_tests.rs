//! Sums of estimates add up exactly, whatever the cut and the order.

use super::{ChildSums, Expected};
use proptest::prelude::*;

/// Raw score, predicted class, probabilities.
type Scored = (Vec<f64>, usize, Vec<f64>);

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 0.0..=1.0_f64, 1 => -2.0..3.0_f64, 1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, -0.0])]
}

fn rows() -> impl Strategy<Value = Vec<Scored>> {
    let numbers = || prop::collection::vec(number(), 0..5);
    prop::collection::vec((numbers(), 0_usize..6, numbers()), 0..40)
}

fn bytes<T: serde::Serialize>(sums: &T) -> Vec<u8> {
    postcard::to_stdvec(sums).unwrap()
}

proptest! {
    #[test]
    fn expected_counts_merge_and_subtract_exactly(rows in rows(), cut in 0_usize..40, classes in 2_usize..20) {
        let cut = cut.min(rows.len());
        let mut whole = Expected::new(classes);
        let mut parts = [Expected::new(classes), Expected::new(classes)];
        for (number, (score, predicted, probabilities)) in rows.iter().enumerate() {
            whole.add(score, *predicted, probabilities, 1);
            parts[usize::from(number < cut)].add(score, *predicted, probabilities, 1);
        }
        let [mut second, first] = parts;
        second.merge(&first);
        prop_assert_eq!(bytes(&second), bytes(&whole));
        prop_assert_eq!(postcard::from_bytes::<Expected>(&bytes(&whole)).unwrap(), whole.clone());
        prop_assert!(whole.estimates().values().all(|e| e.value.is_finite()));
        for (score, predicted, probabilities) in rows[..cut].iter().rev() {
            whole.add(score, *predicted, probabilities, -1);
        }
        let mut kept = Expected::new(classes);
        for (score, predicted, probabilities) in &rows[cut..] {
            kept.add(score, *predicted, probabilities, 1);
        }
        prop_assert_eq!(bytes(&whole), bytes(&kept));
        prop_assert_eq!(kept.is_empty(), cut == rows.len());
    }

    #[test]
    fn child_sums_merge_and_subtract_exactly(
        rows in prop::collection::vec((number(), prop::option::of(number())), 0..40),
        cut in 0_usize..40,
    ) {
        let cut = cut.min(rows.len());
        let sum = |rows: &[(f64, Option<f64>)]| {
            let mut sums = ChildSums::default();
            rows.iter().for_each(|(absolute, squared)| sums.add(*absolute, *squared, 1));
            sums
        };
        let (mut first, mut whole) = (sum(&rows[..cut]), sum(&rows));
        let second = sum(&rows[cut..]);
        first.merge(&second);
        prop_assert_eq!(bytes(&first), bytes(&whole));
        for (absolute, squared) in &rows[..cut] {
            whole.add(*absolute, *squared, -1);
        }
        prop_assert_eq!(bytes(&whole), bytes(&second));
    }
}

#[test]
fn child_models_estimate_errors() {
    let mut sums = ChildSums::default();
    for (absolute, squared) in [(2.0, 5.0), (4.0, 20.0), (3.0, 8.0), (-1.0, -3.0)] {
        sums.add(absolute, Some(squared), 1);
    }
    let found = sums.estimates();
    // By hand: (2 + 4 + 3 + 0) / 4; √((5 + 20 + 8 + 0) / 4); spreads 1, 4, 0 (8 < 9), 0.
    let half = crate::interval::Z_95 * 5.0_f64.sqrt() / 4.0;
    assert!((found["mae"].value - 2.25).abs() < 1e-12);
    assert!((found["mae"].high.unwrap() - 2.25 - half).abs() < 1e-9);
    assert!((found["rmse"].value - 8.25_f64.sqrt()).abs() < 1e-12);
    sums.add(1.0, None, 1);
    assert_eq!(sums.estimates().keys().collect::<Vec<_>>(), ["mae"]);
    assert_eq!(sums.estimates()["mae"].low, None);
}

#[test]
fn estimates_of_few_rows_are_few_bytes() {
    for (classes, limits) in [(2, [8, 49, 168, 3008]), (3, [8, 76, 375, 2953])] {
        for (rows, limit) in [0, 1, 10, 1000].into_iter().zip(limits) {
            let mut sums = Expected::new(classes);
            for i in 0..rows {
                let p = f64::from((i * 617 + 300) % 1009) / 1009.0;
                let probabilities = if classes == 2 { vec![1.0 - p, p] } else { vec![p / 2.0, p / 2.0, 1.0 - p] };
                let score = if classes == 2 { vec![p] } else { probabilities.clone() };
                sums.add(&score, usize::from(p > 0.5), &probabilities, 1);
            }
            let found = bytes(&sums).len();
            println!("{classes} classes, {rows} rows: {found} bytes");
            assert!(found <= limit, "{classes} classes, {rows} rows: {found} bytes, at most {limit}");
        }
    }
}
