//! scikit-learn's published path lengths, rows that stand apart, and labels that only calibrate.

use super::{Grown, IsolationForest, Map, calibrate, mean_depths, mean_path};
use crate::random::Random;
use crate::trainer::{Fit, Rows, Trainer};
use domain::{FeatureMatrix, Task};
use measure::Shape;
use serde_json::json;

const FOREST: IsolationForest = IsolationForest { anomaly_share: None };

/// `test_iforest_average_path_length` of scikit-learn 1.5, `sklearn/ensemble/tests/test_iforest.py`.
#[test]
fn scikit_learn_s_path_lengths() {
    const GAMMA: f64 = 0.577_215_664_901_532_9;
    let expected = [
        (1, 0.0),
        (2, 1.0),
        (5, 2.0 * (4.0_f64.ln() + GAMMA) - 2.0 * 4.0 / 5.0),
        (999, 2.0 * (998.0_f64.ln() + GAMMA) - 2.0 * 998.0 / 999.0),
    ];
    for (rows, expected) in expected {
        assert!((mean_path(rows) - expected).abs() < 1e-12, "{rows}: {}, expected {expected}", mean_path(rows));
    }
    assert!((mean_path(256) - 10.244_770_920_1).abs() < 1e-9, "{}", mean_path(256));
}

/// Rows of a ball, a fiftieth of them far outside of it; and which these are.
fn data(rows: usize) -> (FeatureMatrix, Vec<f64>) {
    let mut random = Random::new(17);
    let mut columns = vec![Vec::new(); 3];
    let mut labels = Vec::new();
    for row in 0..rows {
        let is_far = row % 50 == 7;
        for column in &mut columns {
            let near = random.unit() + random.unit() + random.unit() - 1.5;
            let side = if random.unit() < 0.5 { -1.0 } else { 1.0 };
            column.push((if is_far { side * (2.0 + 2.0 * random.unit()) } else { near }) as f32);
        }
        labels.push(f64::from(u8::from(is_far)));
    }
    // A column that never varies is never split.
    columns.push(vec![1.0; rows]);
    (FeatureMatrix::new(rows, columns).unwrap(), labels)
}

fn fit(features: &FeatureMatrix, labels: &[f64], seed: u64) -> Fit {
    let shape = Shape { task: Task::BinaryClassification, classes: 2 };
    let rows = Rows { features, described: &[], labels, shape, threads: 1, seed };
    FOREST.open(rows).unwrap().fit(&FOREST.defaults()[0]).unwrap()
}

fn scores(fit: &Fit, features: &FeatureMatrix) -> Vec<f64> {
    let mut scores = Vec::new();
    fit.model.predict(features, &mut scores).unwrap();
    scores
}

/// Share of pairs of a positive and a negative row that are in order.
fn area(scores: &[f64], labels: &[f64]) -> f64 {
    let of = |class: f64| scores.iter().zip(labels).filter(move |(_, label)| **label == class).map(|(score, _)| *score);
    let pairs = of(1.0).flat_map(|high| of(0.0).map(move |low| f64::from(u8::from(high > low))));
    pairs.clone().sum::<f64>() / pairs.count() as f64
}

#[test]
fn rows_that_stand_apart_have_the_highest_probabilities_which_are_as_many_as_they() {
    let (features, labels) = data(5_000);
    let scores = scores(&fit(&features, &labels, 3), &features);
    assert!(area(&scores, &labels) > 0.99, "{}", area(&scores, &labels));
    let (sum, share) = (scores.iter().sum::<f64>() / 5_000.0, 0.02);
    assert!((sum - share).abs() < 0.002, "{sum}, expected {share}");
}

/// Whatever a few labels say, the order of rows is that of the depths.
#[test]
fn a_handful_of_labels_is_enough() {
    let (features, labels) = data(5_000);
    let few: Vec<f64> = (0..).zip(&labels).map(|(row, label)| if row < 300 { *label } else { 0.0 }).collect();
    assert_eq!(few.iter().sum::<f64>(), 6.0);
    let scores = scores(&fit(&features, &few, 3), &features);
    assert!(area(&scores, &labels) > 0.99, "{}", area(&scores, &labels));
}

#[test]
fn a_seed_gives_one_forest_and_another_seed_another() {
    let (features, labels) = data(1_000);
    let bytes = |seed| fit(&features, &labels, seed).model.to_bytes();
    assert_eq!(bytes(5), bytes(5));
    assert_ne!(bytes(5), bytes(6));
}

/// Rows 0 to n − 1 of one column: each tree of two rows parts them by one split.
#[test]
fn depths_are_those_of_the_splits() {
    let features = FeatureMatrix::new(2, vec![vec![0.0, 1.0]]).unwrap();
    let mut random = Random::new(1);
    let trees: Vec<Grown> = (0..10).map(|_| Grown::new(&features, 256, &mut random)).collect();
    assert_eq!(mean_depths(&trees, &features).unwrap(), [1.0, 1.0]);
    let alike = FeatureMatrix::new(4, vec![vec![2.0; 4], vec![f32::NAN; 4]]).unwrap();
    let trees = vec![Grown::new(&alike, 256, &mut random)];
    assert_eq!(mean_depths(&trees, &alike).unwrap(), [mean_path(4); 4]);
}

/// The maximum of the likelihood is where the gradient vanishes: residuals sum to 0, alone and times depth.
#[test]
fn the_calibration_is_the_maximum_of_the_likelihood() {
    let depths: Vec<f64> = (0..1_000).map(|row| 5.0 + f64::from(row % 97) / 10.0).collect();
    let mut random = Random::new(9);
    let label = |depth: &f64| f64::from(u8::from(random.unit() < 1.0 / (1.0 + (2.0 * (depth - 7.0)).exp())));
    let labels: Vec<f64> = depths.iter().map(label).collect();
    let Map { slope, intercept } = calibrate(&depths, &labels);
    assert!((slope + 2.0).abs() < 0.5, "{slope}");
    let positives = labels.iter().sum::<f64>();
    let target = |label: f64| match label {
        1.0 => (positives + 1.0) / (positives + 2.0),
        _ => 1.0 / (1_000.0 - positives + 2.0),
    };
    let residual = |(depth, label): (&f64, &f64)| target(*label) - 1.0 / (1.0 + (-(slope * depth + intercept)).exp());
    let sum: f64 = depths.iter().zip(&labels).map(residual).sum();
    let weighted: f64 = depths.iter().zip(&labels).map(|row| row.0 * residual(row)).sum();
    assert!(sum.abs() < 1e-6 && weighted.abs() < 1e-5, "{sum} {weighted}");
}

#[test]
fn classes_that_depths_part_and_none_at_all_stay_finite() {
    let depths: Vec<f64> = (0..100).map(f64::from).collect();
    let labels: Vec<f64> = (0..100).map(|row| f64::from(u8::from(row < 10))).collect();
    let parted = calibrate(&depths, &labels);
    assert!(parted.slope < 0.0 && parted.slope.is_finite() && parted.intercept.is_finite(), "{parted:?}");
    for (depths, labels) in [(vec![3.0; 50], vec![0.0; 50]), (Vec::new(), Vec::new()), (depths, vec![0.0; 100])] {
        let map = calibrate(&depths, &labels);
        assert!(map.slope.is_finite() && map.intercept.is_finite(), "{map:?}");
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    let (features, labels) = data(100);
    let shape = Shape { task: Task::BinaryClassification, classes: 2 };
    let rows = Rows { features: &features, described: &[], labels: &labels, shape, threads: 1, seed: 1 };
    for given in [json!({"trees": 0}), json!({"sample": 1}), json!({"trees": 5_000}), json!({"depth": 3})] {
        assert!(FOREST.open(rows).unwrap().fit(&given).is_err(), "{given}");
    }
}

#[test]
fn without_labels_the_stated_share_of_rows_is_strange_and_the_right_ones_are() {
    let (features, is_far) = data(2_000);
    let shape = Shape { task: Task::Anomaly, classes: 2 };
    let none = vec![0.0; 2_000];
    let rows = Rows { features: &features, described: &[], labels: &none, shape, threads: 1, seed: 3 };
    let forest = IsolationForest { anomaly_share: Some(0.02) };
    let fit = forest.open(rows).unwrap().fit(&forest.defaults()[0]).unwrap();
    let found = scores(&fit, &features);
    assert_eq!(found.iter().filter(|score| **score >= 0.5).count(), 40, "a fiftieth of 2,000");
    let mut sorted = found.clone();
    sorted.sort_by(f64::total_cmp);
    assert!((sorted[1_000] - 0.02).abs() < 1e-3, "the share at the median: {}", sorted[1_000]);
    assert!(area(&found, &is_far) > 0.99);
}

#[test]
fn depths_that_are_alike_are_no_anomalies() {
    for (depths, share, expected) in [
        (vec![5.0; 10], 0.1, 0),
        (vec![1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 0.2, 0),
        (vec![1.0, 2.0, 2.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 0.2, 1),
        (vec![8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0, -1.0], 0.2, 2),
        (vec![1.0, 2.0, 3.0], 0.01, 0),
        (vec![], 0.1, 0),
    ] {
        let map = super::threshold(&depths, share);
        let found = depths.iter().filter(|depth| map.slope * **depth + map.intercept >= 0.0).count();
        assert_eq!(found, expected, "{depths:?} at {share}: {map:?}");
    }
}
