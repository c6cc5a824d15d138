use super::Expected;
use crate::simulation::uniform;
use crate::{Performance, Shape};
use domain::Task;
use std::collections::BTreeMap;

/// Windows of a calibrated model: how often each realised metric lies in the interval that was
/// published before the labels.
fn coverage(classes: usize, windows: u32, rows: u32) -> BTreeMap<String, f64> {
    let task = if classes == 2 { Task::BinaryClassification } else { Task::MulticlassClassification };
    let (mut state, mut held) = (21, BTreeMap::new());
    for _ in 0..windows {
        let (mut expected, mut realised) = (Expected::new(classes), Performance::empty(Shape { task, classes }));
        for _ in 0..rows {
            let weights: Vec<f64> = (0..classes).map(|_| 0.05 + uniform(&mut state)).collect();
            let sum: f64 = weights.iter().sum();
            let probabilities: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
            let score = if classes == 2 { &probabilities[1..] } else { &probabilities[..] };
            expected.add(score, crate::predicted_class(task, score), &probabilities, 1);
            let (drawn, mut label, mut below) = (uniform(&mut state), 0, probabilities[0]);
            while drawn > below && label + 1 < classes {
                label += 1;
                below += probabilities[label];
            }
            realised.add(score, label as f64, 1);
        }
        let metrics = realised.metrics();
        for (name, estimate) in expected.estimates() {
            let (Some(low), Some(high)) = (estimate.low, estimate.high) else { continue };
            let value = metrics[&name].value;
            *held.entry(name).or_insert(0.0) += f64::from(u8::from((low..=high).contains(&value))) / f64::from(windows);
        }
    }
    held
}

#[test]
fn intervals_hold_what_labels_will_say() {
    let names = [
        (2, vec!["accuracy", "auc", "f1", "precision", "recall"]),
        (4, vec!["accuracy", "auc_macro", "precision_macro"]),
    ];
    for (classes, names) in names {
        let found = coverage(classes, 600, 400);
        assert_eq!(found.keys().collect::<Vec<_>>(), names);
        for (name, share) in found {
            println!("{classes} classes, {name}: {share:.3}");
            // 95 % within four standard errors of 600 windows; AUCs are wider by design.
            let most = if name.starts_with("auc") { 1.001 } else { 0.986 };
            assert!((0.914..=most).contains(&share), "{classes} classes, {name}: {share}");
        }
    }
}

#[test]
fn numbers_that_are_none_count_as_nothing() {
    let mut sums = Expected::new(2);
    sums.add(&[f64::NAN], 9, &[f64::NAN, 2.0], 1);
    assert_eq!(sums.confusion(1), [0.0, 0.0, 0.0, 1.0]);
    let mut other = Expected::new(3);
    other.add(&[1.0], 0, &[1.0], 1);
    sums.merge(&other);
    assert_eq!(sums.rows(), 1, "another number of classes never mixes");
    assert!(Expected::new(2).estimates().is_empty());
    assert_eq!(Expected::new(17).auc(3), None);
}
