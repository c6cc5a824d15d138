//! Cells against scikit-learn 1.9.1 and scipy 1.17.1, and the exactness of adding and removing.
//!
//! The golden rows are made by integer formulas, so that a few lines of numpy make them too; the
//! values came from `accuracy_score`, `log_loss`, `roc_auc_score`, `brier_score_loss`,
//! `mean_absolute_error`, `root_mean_squared_error`, `r2_score`, `scipy.stats.binomtest(k,
//! n).proportion_ci(.95, "wilson")` and `scipy.stats.norm.interval(.95, mean, sem)`.

use super::{Cell, Row};
use crate::interval::{hanley_mcneil, wilson};
use crate::{Estimate, PAIR_BETS, Performance, Shape, majority};
use domain::{Harm, Task};
use proptest::prelude::*;
use std::collections::BTreeMap;

const BINARY: Shape = Shape { task: Task::BinaryClassification, classes: 2 };
const THREE: Shape = Shape { task: Task::MulticlassClassification, classes: 3 };
const NUMBER: Shape = Shape { task: Task::Regression, classes: 0 };

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
}

fn binary_golden() -> Performance {
    let mut performance = Performance::empty(BINARY);
    for i in 0..200_u32 {
        let score = i * 37 % 101;
        let label = f64::from(u8::from(score + i * i % 60 > 80));
        performance.add(&[f64::from(score) / 100.0], label, 1);
    }
    performance
}

#[test]
fn binary_metrics_are_those_of_scikit_learn() {
    let performance = binary_golden();
    let metrics = performance.metrics();
    close(metrics["accuracy"].value, 0.84);
    close(metrics["accuracy"].low.unwrap(), 0.782_859_298_379_329);
    close(metrics["accuracy"].high.unwrap(), 0.884_325_879_684_129_8);
    close(metrics["log_loss"].value, 0.367_257_285_829_658_44);
    close(metrics["log_loss"].low.unwrap(), 0.324_793_689_929_084_8);
    close(metrics["log_loss"].high.unwrap(), 0.409_720_881_730_230_2);
    close(metrics["brier"].value, 0.113_237_5);
    // The 101 distinct scores lie in bins of their own, so the binned area is exact.
    close(metrics["auc"].value, 0.941_010_953_672_997_7);
    close(performance.mean_loss().unwrap(), 0.113_237_5);
    let Performance::Binary(sums) = &performance else { panic!("binary") };
    assert_eq!(sums.confusion(), [87, 20, 12, 81]);
    assert_eq!(performance.label_counts().classes, [107, 93]);
    let baseline = majority(&performance, &[0.6, 0.4]);
    close(baseline["accuracy"], 0.535);
    close(baseline["log_loss"], 0.699_366_899_036_287);
    close(baseline["brier"], 0.253);
}

#[test]
fn the_binned_auc_is_within_its_stated_worst_error() {
    let mut performance = Performance::empty(BINARY);
    let (mut scored, mut state) = (Vec::new(), 1_u64);
    for _ in 0..3000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Crowded into a few bins, so that binning costs something.
        let score = 0.5 + (state >> 40) as f64 / (1_u64 << 24) as f64 / 40.0;
        let label = (state >> 20) % 1000 < ((score - 0.5) * 30_000.0) as u64;
        performance.add(&[score], f64::from(u8::from(label)), 1);
        scored.push((score, label));
    }
    let (mut area, mut pairs) = (0.0, 0.0);
    for (p, _) in scored.iter().filter(|(_, label)| *label) {
        for (n, _) in scored.iter().filter(|(_, label)| !*label) {
            pairs += 1.0;
            area += if p > n {
                1.0
            } else if p == n {
                0.5
            } else {
                0.0
            };
        }
    }
    let Performance::Binary(sums) = &performance else { panic!("binary") };
    let auc = sums.auc().unwrap();
    assert!(auc.worst_error > 0.01, "the case must be hard: {auc:?}");
    assert!((auc.value - area / pairs).abs() <= auc.worst_error, "{auc:?}, exact {}", area / pairs);
    let shown = performance.metrics()["auc"];
    assert!(shown.low.unwrap() < auc.value - auc.worst_error && shown.high.unwrap() > auc.value + auc.worst_error);
}

#[test]
fn multiclass_metrics_are_those_of_scikit_learn() {
    let mut performance = Performance::empty(THREE);
    for i in 0..90_u32 {
        let weights = [1 + i * 7 % 11, 1 + i * 5 % 13, 1 + i * 3 % 7].map(f64::from);
        let sum: f64 = weights.iter().sum();
        performance.add(&weights.map(|w| w / sum), f64::from((i * i + i / 3) % 3), 1);
    }
    let metrics = performance.metrics();
    close(metrics["accuracy"].value, 0.344_444_444_444_444_44);
    close(metrics["log_loss"].value, 1.260_495_194_983_123_8);
    close(metrics["brier"].value, 0.378_520_625_501_239_3);
    assert_eq!(performance.label_counts().rows, 90);
    assert!(!metrics.contains_key("auc"));
}

#[test]
fn regression_metrics_are_those_of_scikit_learn() {
    let mut performance = Performance::empty(NUMBER);
    for i in 0..120_u32 {
        let prediction = f64::from(i * 17 % 29) / 3.0 - 2.0;
        performance.add(&[prediction], prediction + f64::from(i * 11 % 13) / 7.0 - 1.0, 1);
    }
    let metrics = performance.metrics();
    close(metrics["mae"].value, 0.476_190_476_190_476_16);
    close(metrics["rmse"].value, 0.556_959_676_846_226_5);
    close(metrics["r2"].value, 0.961_969_478_746_021_5);
    close(metrics["bias"].value, 0.140_476_190_476_190_5);
    close(metrics["bias"].low.unwrap(), 0.043_642_687_561_146_296);
    close(metrics["bias"].high.unwrap(), 0.237_309_693_391_234_7);
    close(majority(&performance, &[1.5])["rmse"], 3.023_653_289_302_162_6);
}

#[test]
fn intervals_are_those_of_scipy_and_of_the_paper() {
    let cases = [
        (0, 10, 0.0, 0.277_532_799_862_889_26),
        (3, 10, 0.107_791_267_406_301_02, 0.603_221_852_538_854_6),
        (999, 1000, 0.994_357_441_402_042_1, 0.999_823_453_629_373_9),
    ];
    for (successes, trials, low, high) in cases {
        let found = wilson(successes, trials).unwrap();
        close(found.low.unwrap(), low);
        close(found.high.unwrap(), high);
    }
    assert_eq!(wilson(-1, 10), None);
    assert_eq!(wilson(0, 0), None);
    // Hanley and McNeil 1982: AUC .893 of 51 abnormal and 58 normal images has standard error .0325.
    assert!((hanley_mcneil(0.893, 51.0, 58.0).unwrap() - 0.0325).abs() < 5e-5);
}

#[test]
fn the_last_label_has_no_metrics_of_probabilities() {
    let mut cell = Cell::empty(BINARY);
    for last in [1.0, 0.0, 1.0, 1.0] {
        let row = Row { served: &[0.7], frozen: None, previous: None, label: 1.0, last_label: Some(last), harm: None };
        cell.add(&row, 1);
    }
    let metrics = cell.last_label.metrics();
    let names = ["accuracy", "balanced_accuracy", "f1", "kappa", "precision", "predicted_positive_share", "recall"];
    assert_eq!(metrics.keys().collect::<Vec<_>>(), names);
    close(metrics["accuracy"].value, 0.75);
    assert!(cell.frozen.is_empty());
}

#[test]
fn bets_are_summed_in_logarithms() {
    let harm = Harm { p0: 0.2, bets: vec![0.5, 2.0], scale: 1.0 };
    let mut cell = Cell::empty(BINARY);
    let rows = [(0.9, 1.0, 0.6), (0.3, 1.0, 0.8), (0.1, 0.0, 0.1)];
    let (mut capital, mut worse) = ([1.0, 1.0], [1.0; PAIR_BETS.len()]);
    for (served, label, previous) in rows {
        let (loss, other) = ((served - label) * (served - label), (previous - label) * (previous - label));
        for (capital, bet) in capital.iter_mut().zip(&harm.bets) {
            *capital *= 1.0 + bet * (loss - harm.p0);
        }
        for (worse, bet) in worse.iter_mut().zip(PAIR_BETS) {
            *worse *= 1.0 + bet * (loss - other);
        }
        let (served, previous) = ([served], [previous]);
        let row = Row {
            served: &served,
            frozen: None,
            previous: Some(&previous),
            label,
            last_label: None,
            harm: Some(&harm),
        };
        cell.add(&row, 1);
    }
    for (log, capital) in cell.harm.log_sums(2).into_iter().zip(capital) {
        close(log.exp(), capital);
    }
    for (log, worse) in cell.pair.worse_logs().into_iter().zip(worse) {
        close(log.exp(), worse);
    }
    close(cell.harm.mean_loss().unwrap(), (0.01 + 0.49 + 0.01) / 3.0);
    close(cell.pair.mean_difference().unwrap(), (0.01 - 0.16 + 0.49 - 0.04) / 3.0);
}

#[test]
fn a_regression_row_without_scale_is_in_no_sequential_test() {
    let mut cell = Cell::empty(NUMBER);
    let row = Row { served: &[2.0], frozen: None, previous: Some(&[3.0]), label: 1.0, last_label: None, harm: None };
    cell.add(&row, 1);
    assert_eq!(cell.served.rows(), 1);
    assert!(cell.harm.is_empty() && cell.pair.is_empty());
}

/// Cells of builds that did not count sizes of errors are read, and merge with those that do.
#[test]
fn sums_without_sizes_of_errors_merge_with_those_that_have_them() {
    let add = |mut performance: Performance| {
        (1..=4).for_each(|i| performance.add(&[f64::from(i)], 0.0, 1));
        performance
    };
    let (old, new) = (add(Performance::empty(NUMBER)), add(Performance::empty_binned(NUMBER)));
    assert_eq!(postcard::from_bytes::<Performance>(&postcard::to_stdvec(&old).unwrap()).unwrap(), old);
    let (mut older, mut newer) = (old.clone(), new.clone());
    older.merge(&new);
    newer.merge(&old);
    assert_eq!(older, newer);
    assert_eq!((newer.rows(), newer.errors().map(crate::ErrorBins::rows)), (8, Some(4)));
    close(newer.metrics()["mae"].value, 2.5);
    assert_eq!((new.metrics()["absolute_error_p50"].value, new.metrics()["absolute_error_p90"].value), (2.0, 4.0));
    assert!(!old.metrics().contains_key("absolute_error_p50"));
}

/// A row's numbers: served, frozen, previous, label, last label, and whether bets are known.
type Numbers = (Vec<f64>, Option<Vec<f64>>, Option<Vec<f64>>, f64, Option<f64>, bool);

fn add(cell: &mut Cell, numbers: &Numbers, harm: &Harm, sign: i64) {
    let (served, frozen, previous, label, last_label, bets) = numbers;
    let row = Row {
        served,
        frozen: frozen.as_deref(),
        previous: previous.as_deref(),
        label: *label,
        last_label: *last_label,
        harm: bets.then_some(harm),
    };
    cell.add(&row, sign);
}

fn rows() -> impl Strategy<Value = Vec<Numbers>> {
    let value = prop_oneof![8 => 0.0..=1.0_f64, 1 => -1e6..1e6_f64, 1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, -0.0])];
    let scores = prop::collection::vec(value, 0..4);
    let label = prop_oneof![(0..4).prop_map(f64::from), -9.0..9.0_f64];
    let row = (
        scores.clone(),
        prop::option::of(scores.clone()),
        prop::option::of(scores),
        label.clone(),
        prop::option::of(label),
        any::<bool>(),
    );
    prop::collection::vec(row, 0..40)
}

fn bytes(cell: &Cell) -> Vec<u8> {
    postcard::to_stdvec(cell).unwrap()
}

proptest! {
    #[test]
    fn what_was_added_can_be_taken_out_in_any_order(kept in rows(), gone in rows(), task in 0_usize..3) {
        let shape = [BINARY, THREE, NUMBER][task];
        let harm = Harm { p0: 0.1, bets: vec![0.3, 1.0, 8.0], scale: 2.0 };
        let (mut before, mut after) = (Cell::empty(shape), Cell::empty(shape));
        for numbers in &gone {
            add(&mut after, numbers, &harm, 1);
        }
        for numbers in &kept {
            add(&mut before, numbers, &harm, 1);
            add(&mut after, numbers, &harm, 1);
        }
        for numbers in gone.iter().rev() {
            add(&mut after, numbers, &harm, -1);
        }
        prop_assert_eq!(&after, &before);
        prop_assert_eq!(bytes(&after), bytes(&before));
        for numbers in &kept {
            add(&mut after, numbers, &harm, -1);
        }
        prop_assert!(after.is_empty());
        prop_assert_eq!(bytes(&after), bytes(&Cell::empty(shape)));
    }

    #[test]
    fn parts_in_any_cut_and_order_merge_to_the_whole(rows in rows(), cut in 0_usize..40, turn in any::<bool>(), task in 0_usize..3) {
        let shape = [BINARY, THREE, NUMBER][task];
        let harm = Harm { p0: 0.1, bets: vec![0.3, 1.0, 8.0], scale: 2.0 };
        let cut = cut.min(rows.len());
        let (mut first, mut second, mut whole) = (Cell::empty(shape), Cell::empty(shape), Cell::empty(shape));
        for (number, numbers) in rows.iter().enumerate() {
            // Some rows are taken out: late corrections make negative cells.
            let sign = if number % 5 == 4 { -1 } else { 1 };
            add(&mut whole, numbers, &harm, sign);
            add(if number < cut { &mut first } else { &mut second }, numbers, &harm, sign);
        }
        if turn {
            std::mem::swap(&mut first, &mut second);
        }
        first.merge(&second);
        prop_assert_eq!(bytes(&first), bytes(&whole));
        prop_assert_eq!(postcard::from_bytes::<Cell>(&bytes(&whole)).unwrap(), whole);
        let metrics: BTreeMap<String, Estimate> = first.served.metrics();
        prop_assert!(metrics.values().all(|m| m.value.is_finite()), "{:?}", metrics);
    }
}
