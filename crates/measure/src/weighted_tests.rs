//! Weighted metrics against what all rows would have said, and against the survey textbook by hand.

use super::metrics;
use crate::estimate::Expected;
use crate::{Performance, Shape, predicted_class};
use domain::Task;

const BINARY: Shape = Shape { task: Task::BinaryClassification, classes: 2 };
const THREE: Shape = Shape { task: Task::MulticlassClassification, classes: 3 };

/// Scored rows, of which those that are labelled are known and all are the truth.
struct Seen {
    scored: Expected,
    known: Performance,
    all: Performance,
}

impl Seen {
    fn new(shape: Shape) -> Self {
        let empty = Performance::empty(shape);
        Self { scored: Expected::new(shape.classes), known: empty.clone(), all: empty }
    }

    fn add(&mut self, task: Task, score: &[f64], label: f64, is_labelled: bool) {
        let binary = [1.0 - score[0], score[0]];
        let probabilities = if task == Task::BinaryClassification { &binary[..] } else { score };
        self.scored.add(score, predicted_class(task, score), probabilities, 1);
        self.all.add(score, label, 1);
        if is_labelled {
            self.known.add(score, label, 1);
        }
    }
}

/// A fixed sequence of numbers in [0, 1) that look random.
fn unit(n: u64) -> f64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Scores are right; whoever has a score of at least 0.7 is always looked at, others one in ten.
#[test]
fn rows_that_are_looked_at_by_their_score_stand_for_the_others() {
    let mut seen = Seen::new(BINARY);
    for n in 0..40_000 {
        let score = unit(3 * n);
        let label = f64::from(u8::from(unit(3 * n + 1) < score));
        seen.add(BINARY.task, &[score], label, score >= 0.7 || unit(3 * n + 2) < 0.1);
    }
    let (weighted, naive, truth) = (metrics(&seen.known, &seen.scored), seen.known.metrics(), seen.all.metrics());
    for name in ["accuracy", "balanced_accuracy", "precision", "recall", "f1", "auc", "average_precision"] {
        let (found, naive, truth) = (weighted[name].value, naive[name].value, truth[name].value);
        assert!((found - truth).abs() < 0.02, "{name}: {found}, of all rows {truth}");
        assert!((naive - truth).abs() > 2.0 * (found - truth).abs(), "{name}: {naive} without weights, {found} with");
    }
    let accuracy = weighted["accuracy"];
    assert!(accuracy.low < Some(truth["accuracy"].value) && Some(truth["accuracy"].value) < accuracy.high);
}

/// Where every row has a label a weight is 1, and nothing changes.
#[test]
fn with_all_labels_the_metrics_are_those_of_all_rows() {
    let (mut binary, mut three) = (Seen::new(BINARY), Seen::new(THREE));
    for n in 0..2_000 {
        let score = unit(2 * n);
        binary.add(BINARY.task, &[score], f64::from(u8::from(unit(2 * n + 1) < score)), true);
        let weights = [unit(5 * n) + 0.1, unit(5 * n + 1) + 0.1, unit(5 * n + 2) + 0.1];
        let sum: f64 = weights.iter().sum();
        three.add(THREE.task, &weights.map(|w| w / sum), (unit(5 * n + 3) * 3.0).floor(), true);
    }
    for seen in [binary, three] {
        let truth = seen.all.metrics();
        let weighted = metrics(&seen.known, &seen.scored);
        assert!(weighted.len() >= 3);
        for (name, found) in weighted {
            assert!((found.value - truth[&name].value).abs() < 1e-9, "{name}: {found:?}, {:?}", truth[&name]);
        }
    }
}

/// Two strata of 100 and 300 scored rows, 50 and 30 labelled, of which 45 and 15 are right:
/// 100/400 × 0.9 + 300/400 × 0.5 = 0.6; with 46/52 and 16/32 the variance is
/// (1/4)² × 0.102 071 / 50 + (3/4)² × 0.25 / 30 = 0.004 815.
#[test]
fn the_accuracy_of_a_stratified_sample_is_that_of_the_textbook() {
    let mut seen = Seen::new(BINARY);
    for (score, rows, labelled, right) in [(0.75, 100, 50, 45), (0.25, 300, 30, 15)] {
        for row in 0..rows {
            let is_right = row < right;
            let label = f64::from(u8::from((score > 0.5) == is_right));
            seen.add(BINARY.task, &[score], label, row < labelled);
        }
    }
    let accuracy = metrics(&seen.known, &seen.scored)["accuracy"];
    assert!((accuracy.value - 0.6).abs() < 1e-12, "{accuracy:?}");
    assert!((accuracy.high.unwrap() - (0.6 + 1.959_964 * 0.004_815_1_f64.sqrt())).abs() < 1e-4, "{accuracy:?}");
}

/// Rows that are predicted to be of class 2 are looked at one in ten, all others always; whoever is
/// predicted to be of class 2 is so half of the time, of the others nine in ten.
#[test]
fn predicted_classes_stand_for_themselves() {
    let mut seen = Seen::new(THREE);
    for n in 0..100_000 {
        let predicted = (unit(4 * n) * 3.0) as usize;
        let mut score = [0.2; 3];
        score[predicted] = 0.6;
        let is_right = unit(4 * n + 1) < if predicted == 2 { 0.5 } else { 0.9 };
        let label = if is_right { predicted } else { (predicted + 1) % 3 };
        seen.add(THREE.task, &score, label as f64, predicted != 2 || unit(4 * n + 2) < 0.1);
    }
    let (weighted, naive, truth) = (metrics(&seen.known, &seen.scored), seen.known.metrics(), seen.all.metrics());
    for name in ["accuracy", "balanced_accuracy", "f1_macro"] {
        let (found, naive, truth) = (weighted[name].value, naive[name].value, truth[name].value);
        assert!((found - truth).abs() < 0.01, "{name}: {found}, of all rows {truth}");
        assert!((naive - truth).abs() > 2.0 * (found - truth).abs(), "{name}: {naive} without weights, {found} with");
    }
}

/// One labelled row of a thousand that are predicted negative decides nothing but its interval.
#[test]
fn few_labels_of_a_stratum_leave_the_accuracy_and_its_interval() {
    let mut seen = Seen::new(BINARY);
    for n in 0..2_000 {
        let is_positive = n % 2 == 0;
        let score = if is_positive { 0.9 } else { 0.1 };
        seen.add(BINARY.task, &[score], 1.0, is_positive || n == 1);
    }
    let found = metrics(&seen.known, &seen.scored);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["accuracy"]);
    let accuracy = found["accuracy"];
    assert!(accuracy.high.unwrap() - accuracy.low.unwrap() > 0.4, "{accuracy:?}");
}

#[test]
fn what_nothing_stands_for_is_not_made_up() {
    let empty = Seen::new(BINARY);
    assert!(metrics(&empty.known, &empty.scored).is_empty());
    // Nobody who is predicted negative is ever looked at.
    let mut seen = Seen::new(BINARY);
    for n in 0..1_000 {
        let score = unit(n);
        seen.add(BINARY.task, &[score], 1.0, score >= 0.5);
    }
    let found = metrics(&seen.known, &seen.scored);
    assert!(!found.contains_key("accuracy"), "{found:?}");
    let numbers = Performance::empty(Shape { task: Task::Regression, classes: 0 });
    assert!(metrics(&numbers, &Expected::new(2)).is_empty());
}
