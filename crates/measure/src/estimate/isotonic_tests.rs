use super::Isotonic;
use crate::estimate::{Calibration, ScoreMap};
use crate::{Error, Shape};
use domain::Task;

fn pairs(text: &str) -> Vec<(f64, f64)> {
    let pair = |line: &str| line.split_once(',').map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())).unwrap();
    text.lines().map(pair).collect()
}

fn rows() -> Vec<(f64, bool)> {
    pairs(include_str!("../../testdata/isotonic_rows.csv")).into_iter().map(|(s, l)| (s, l == 1.0)).collect()
}

#[test]
fn the_map_is_that_of_scikit_learn() {
    let map = Isotonic::fit(&rows()).unwrap();
    // IsotonicRegression of scikit-learn 1.9.1, see testdata/isotonic.py.
    for (score, expected) in pairs(include_str!("../../testdata/isotonic_expected.csv")) {
        let found = map.apply(score);
        assert!((found - expected).abs() < 1e-12, "{score}: {found}, expected {expected}");
    }
}

#[test]
fn the_order_of_rows_does_not_matter_and_the_map_survives_storage() {
    let map = Isotonic::fit(&rows()).unwrap();
    let mut turned = rows();
    turned.reverse();
    assert_eq!(Isotonic::fit(&turned).unwrap(), map);
    let stored = postcard::to_stdvec(&ScoreMap::Isotonic(map.clone())).unwrap();
    assert_eq!(postcard::from_bytes::<ScoreMap>(&stored).unwrap(), ScoreMap::Isotonic(map));
}

#[test]
fn broken_rows_and_maps_are_refused() {
    assert_eq!(Isotonic::fit(&[(0.1, true), (f64::NAN, true)]), Err(Error::Score { row: 1 }));
    assert_eq!(Isotonic::fit(&[]), Err(Error::MapLength { scores: 0, probabilities: 0 }));
    let broken: [(&[f64], &[f64]); 6] = [
        (&[], &[]),
        (&[0.1, 0.2], &[0.5]),
        (&[0.2, 0.1], &[0.1, 0.2]),
        (&[0.1, 0.2], &[0.2, 0.1]),
        (&[0.1, f64::INFINITY], &[0.1, 0.2]),
        (&[0.1, 0.2], &[0.1, 1.1]),
    ];
    for points in broken {
        let bytes = postcard::to_stdvec(&points).unwrap();
        assert!(postcard::from_bytes::<Isotonic>(&bytes).is_err(), "{points:?}");
    }
}

#[test]
fn scores_that_need_no_map_get_none() {
    let sure = |rows: &[(f64, bool)]| ScoreMap::fit(rows).unwrap() == ScoreMap::Identity;
    let one_class: Vec<(f64, bool)> = rows().into_iter().map(|row| (row.0, true)).collect();
    assert!(sure(&one_class));
    let perfect: Vec<(f64, bool)> = (0..200).map(|i| (f64::from(i) / 200.0, i >= 100)).collect();
    assert!(sure(&perfect), "an AUC of 1");
    let few = &rows()[..12];
    assert!(sure(few), "too few rows of a class for ten parts");
    assert!(!sure(&rows()), "the fixture's rates are far from its scores");
    assert_eq!(ScoreMap::Identity.apply(f64::NAN), 0.0);
    assert_eq!(ScoreMap::Identity.apply(7.0), 1.0);
}

#[test]
fn class_probabilities_add_up_to_one() {
    let half = |x: f64| ScoreMap::Isotonic(Isotonic::fit(&[(x, false), (x + 0.1, true)]).unwrap());
    let mut out = Vec::new();
    // Every map says 0: nothing is known.
    Calibration::of(vec![half(0.6), half(0.6), half(0.6)]).unwrap().apply(&[0.1, 0.2, 0.3], &mut out);
    assert_eq!(out, [1.0 / 3.0; 3]);
    Calibration::of(vec![ScoreMap::Identity, ScoreMap::Identity, half(0.0)]).unwrap().apply(&[0.2, 0.3, 0.5], &mut out);
    for (found, expected) in out.iter().zip([0.2 / 1.5, 0.3 / 1.5, 1.0 / 1.5]) {
        assert!((found - expected).abs() < 1e-15);
    }
    Calibration::of(vec![ScoreMap::Identity]).unwrap().apply(&[0.3], &mut out);
    assert_eq!(out, [0.7, 0.3]);
    assert!(Calibration::of(Vec::new()).is_err());
    let number = Shape { task: Task::Regression, classes: 0 };
    assert_eq!(Calibration::fit(number, &[1.0], &[1.0]), Err(Error::NoClasses));
    let three = Shape { task: Task::MulticlassClassification, classes: 3 };
    assert!(matches!(Calibration::fit(three, &[1.0], &[1.0]), Err(Error::Scores { width: 3, .. })));
    let scores = [0.2, 0.3, 0.5].repeat(30);
    let labels: Vec<f64> = (0..30).map(|i| f64::from(i % 3)).collect();
    assert_eq!(Calibration::fit(three, &scores, &labels).unwrap().maps().len(), 3);
}
