//! Metrics against `testdata/metrics_expected.csv`: scikit-learn 1.9.1 and statsmodels 0.15.0 on
//! the inputs beside it, made by `testdata/metrics.py`.

use crate::{CostMatrix, Estimate, Performance, Shape, cost, kappa_against};
use domain::Task;

const EXPECTED: &str = include_str!("../testdata/metrics_expected.csv");

fn load(shape: Shape, text: &str) -> Performance {
    let mut performance = Performance::empty(shape);
    for line in text.lines() {
        let mut numbers: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        let label = numbers.pop().unwrap();
        performance.add(&numbers, label, 1);
    }
    performance
}

fn case(name: &str) -> Performance {
    match name {
        "binary" => {
            load(Shape { task: Task::BinaryClassification, classes: 2 }, include_str!("../testdata/metrics_binary.csv"))
        }
        "three" => load(
            Shape { task: Task::MulticlassClassification, classes: 3 },
            include_str!("../testdata/metrics_three.csv"),
        ),
        _ => load(Shape { task: Task::Regression, classes: 0 }, include_str!("../testdata/metrics_number.csv")),
    }
}

/// Our estimate of the name; what scikit-learn has under another name or condition is mapped here.
fn ours(performance: &Performance, name: &str) -> Estimate {
    match (name.strip_prefix("pinball_"), performance) {
        (Some(quantile), Performance::Regression(sums)) => {
            Estimate::bare(sums.pinball(quantile.parse().unwrap()).unwrap())
        }
        (None, Performance::Binary(sums)) if name == "average_precision_logit" => {
            let area = sums.average_precision().unwrap();
            let shown = area.estimate();
            // The published interval is wider by what binning may have cost.
            Estimate {
                low: shown.low.map(|low| low + area.worst_error),
                high: shown.high.map(|high| high - area.worst_error),
                ..shown
            }
        }
        _ => *performance.metrics().get(name).unwrap_or_else(|| panic!("no {name}")),
    }
}

#[test]
fn metrics_are_those_of_scikit_learn_and_statsmodels() {
    let performances = ["binary", "three", "number"].map(|name| (name, case(name)));
    for line in EXPECTED.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let performance = &performances.iter().find(|(name, _)| *name == fields[0]).unwrap().1;
        let found = ours(performance, fields[1]);
        // Some gradients behind the intervals are finite differences; `ece` sums rounded scores.
        let exact = if fields[1] == "ece" { 5e-7 } else { 1e-9 };
        let expected = [
            (found.value, fields[2], exact),
            (found.low.unwrap_or(f64::NAN), fields[3], 1e-6),
            (found.high.unwrap_or(f64::NAN), fields[4], 1e-6),
        ];
        for (number, text, tolerance) in expected.into_iter().filter(|e| !e.1.is_empty()) {
            let wanted: f64 = text.parse().unwrap();
            assert!((number - wanted).abs() < tolerance, "{line}: found {number}");
        }
    }
}

#[test]
fn every_metric_has_a_golden_value() {
    for name in ["binary", "three", "number"] {
        for metric in case(name).metrics().keys() {
            assert!(EXPECTED.contains(&format!("{name},{metric},")), "{name} {metric}");
        }
    }
}

#[test]
fn what_is_undefined_is_left_out() {
    let mut one_class = Performance::empty(Shape { task: Task::BinaryClassification, classes: 2 });
    one_class.add(&[0.2], 0.0, 1);
    let metrics = one_class.metrics();
    for name in ["auc", "average_precision", "precision", "recall", "f1", "kappa"] {
        assert!(!metrics.contains_key(name), "{name}");
    }
    assert_eq!(metrics["balanced_accuracy"].value, 1.0);
    one_class.add(&[0.2], 1.0, -1);
    assert!(!one_class.metrics().contains_key("accuracy"), "an incomplete window has no rates");
    let many = Performance::empty(Shape { task: Task::MulticlassClassification, classes: 17 });
    assert!(many.metrics().is_empty());
}

#[test]
fn kappas_against_baselines() {
    // MOA's kappa-temporal and kappa-M: (p0 − p_baseline) / (1 − p_baseline).
    let cases = [
        (0.9, 0.8, Some(0.5)),
        (0.8, 0.8, Some(0.0)),
        (0.5, 0.75, Some(-1.0)),
        (1.0, 0.0, Some(1.0)),
        (0.9, 1.0, None),
        (f64::NAN, 0.5, None),
    ];
    for (accuracy, baseline, expected) in cases {
        let found = kappa_against(accuracy, baseline);
        let same = match (found, expected) {
            (Some(a), Some(b)) => f64::abs(a - b) < 1e-12,
            (a, b) => a.is_none() && b.is_none(),
        };
        assert!(same, "{accuracy} against {baseline}: {found:?}");
    }
}

#[test]
fn costs_are_weighted_counts() {
    let performance = case("binary");
    // 400 rows of the fixture: 164 true negatives, 90 false positives, 20 false negatives, 126
    // true positives, as sklearn.metrics.confusion_matrix has them.
    assert_eq!(performance.confusion(), [(0, 0, 164), (0, 1, 90), (1, 0, 20), (1, 1, 126)]);
    let matrix = CostMatrix::new(2, vec![0.0, 1.0, 12.0, -2.0]).unwrap();
    let found = cost(performance.confusion(), &matrix).unwrap();
    assert!((found.value - (90.0 + 240.0 - 252.0) / 400.0).abs() < 1e-12);
    assert!(found.low.unwrap() < found.value && found.high.unwrap() > found.value);
    assert_eq!(cost([(2, 0, 1)], &matrix), None);
    assert_eq!(cost([(0, 0, -1)], &matrix), None);
    assert!(CostMatrix::new(2, vec![0.0; 3]).is_err());
    assert!(CostMatrix::new(1, vec![f64::NAN]).is_err());
}
