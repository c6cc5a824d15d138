//! scikit-learn's published values, and all pairs of rows.

use super::{ExactScores, ScoreCount};
use crate::loss::Shape;
use crate::performance::Performance;
use domain::Task;

const BINARY: Shape = Shape { task: Task::BinaryClassification, classes: 2 };

fn of(shape: Shape, rows: &[(Vec<f64>, f64)]) -> ExactScores {
    let mut scores = ExactScores::default();
    rows.iter().for_each(|(score, label)| scores.add(shape, score, *label, 1));
    scores
}

/// The examples of `roc_auc_score` and `average_precision_score` in scikit-learn's documentation.
#[test]
fn scikit_learn_s_published_areas() {
    let rows = [(0.1, 0.0), (0.4, 0.0), (0.35, 1.0), (0.8, 1.0)].map(|(score, label)| (vec![score], label));
    let found = of(BINARY, &rows).metrics(BINARY);
    assert_eq!(found["auc"].value, 0.75);
    assert!((found["average_precision"].value - 0.833_333_333_333).abs() < 1e-9, "{found:?}");
}

fn drawn(count: u64, steps: f64, classes: usize) -> Vec<(Vec<f64>, f64)> {
    let mut state = 5_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1_u64 << 24) as f64
    };
    let mut row = || {
        let scores: Vec<f64> = (0..classes).map(|_| (draw() * steps).floor() / steps).collect();
        let likeliest = (0..classes).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap();
        let label = if classes == 1 { f64::from(u8::from(draw() < scores[0])) } else { likeliest as f64 };
        (scores, if draw() < 0.3 { 0.0 } else { label })
    };
    (0..count).map(|_| row()).collect()
}

/// Share of pairs in the right order, ties counting half.
fn of_pairs(rows: &[(f64, bool)]) -> f64 {
    let (mut right, mut pairs) = (0.0, 0.0);
    for (positive, _) in rows.iter().filter(|(_, is_positive)| *is_positive) {
        for (negative, _) in rows.iter().filter(|(_, is_positive)| !is_positive) {
            pairs += 1.0;
            right += if positive > negative {
                1.0
            } else if positive == negative {
                0.5
            } else {
                0.0
            };
        }
    }
    right / pairs
}

#[test]
fn an_area_is_the_share_of_ordered_pairs_and_lies_within_the_binned_one_s_bounds() {
    for steps in [5.0, 300.0, 1e7] {
        let rows = drawn(500, steps, 1);
        let found = of(BINARY, &rows).metrics(BINARY)["auc"];
        let pairs: Vec<(f64, bool)> = rows.iter().map(|(score, label)| (score[0], *label >= 0.5)).collect();
        assert!((found.value - of_pairs(&pairs)).abs() < 1e-12, "{steps}: {found:?}");
        let mut binned = Performance::empty(BINARY);
        rows.iter().for_each(|(score, label)| binned.add(score, *label, 1));
        let (binned, exact) = (binned.metrics(), of(BINARY, &rows).metrics(BINARY));
        for (name, exact) in exact {
            let (low, high) = (binned[&name].low.unwrap(), binned[&name].high.unwrap());
            assert!(low <= exact.value && exact.value <= high, "{name}: {exact:?} in {low} to {high}");
            assert!(exact.high.unwrap() - exact.low.unwrap() <= high - low + 1e-12, "{name} at {steps}");
        }
    }
}

#[test]
fn several_classes_have_the_mean_of_theirs() {
    let shape = Shape { task: Task::MulticlassClassification, classes: 3 };
    let rows = drawn(300, 1e7, 3);
    let found = of(shape, &rows).metrics(shape)["auc_macro"].value;
    let area = |class: usize| {
        let own = |(score, label): &(Vec<f64>, f64)| (score[class], *label == class as f64);
        of_pairs(&rows.iter().map(own).collect::<Vec<_>>())
    };
    assert!((found - (0..3).map(area).sum::<f64>() / 3.0).abs() < 1e-12, "{found}");
}

#[test]
fn parts_merge_to_the_whole_and_rows_taken_out_leave_nothing() {
    let rows = drawn(200, 50.0, 1);
    let whole = of(BINARY, &rows);
    let mut merged = ExactScores::default();
    rows.chunks(7).rev().for_each(|part| merged.merge(&of(BINARY, part)));
    assert_eq!(merged, whole);
    let mut read = ExactScores::default();
    whole.counts().for_each(|count| read.add_count(&count));
    assert_eq!(read, whole);
    rows.iter().for_each(|(score, label)| merged.add(BINARY, score, *label, -1));
    assert!(merged.is_empty() && merged.metrics(BINARY).is_empty());
}

#[test]
fn odd_scores_count_as_performance_counts_them() {
    let mut scores = ExactScores::default();
    scores.add(BINARY, &[f64::NAN], 1.0, 1);
    scores.add(BINARY, &[-0.0], 0.0, 1);
    scores.add(BINARY, &[7.0], 1.0, 1);
    scores.add(BINARY, &[], 0.0, 1);
    let expected = [(0.0_f64, 1, 1), (1.0, 1, 1)].map(|(score, negatives, positives)| ScoreCount {
        class: 0,
        score: score.to_bits(),
        negatives,
        positives,
    });
    assert_eq!(scores.counts().collect::<Vec<_>>(), expected);
    let many = Shape { task: Task::MulticlassClassification, classes: 1_000 };
    scores = ExactScores::default();
    scores.add(many, &[0.1; 1_000], 3.0, 1);
    assert!(scores.is_empty());
}
