//! The null by simulation, and a relation that changes while no column does.

use super::{Joint, Watched, compare, wander};
use crate::harm::tests_support::Lcg;
use crate::shift::{Shift, Wander};
use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use profile::{Kernel, MeanVector};
use std::sync::Arc;

/// Three normal columns; the first two have this correlation, and the level of a slice.
fn rows(random: &mut Lcg, count: usize, correlation: f64, level: f64) -> RecordBatch {
    let mut columns = vec![Vec::new(); 3];
    for _ in 0..count {
        let (x, y, z) = (random.normal(), random.normal(), random.normal());
        let second = correlation * x + (1.0 - correlation * correlation).sqrt() * y;
        for (column, value) in columns.iter_mut().zip([x + level, second, z]) {
            column.push(value);
        }
    }
    let named = ["x", "y", "z"].into_iter().zip(columns);
    RecordBatch::try_from_iter(named.map(|(name, c)| (name, Arc::new(Float64Array::from(c)) as ArrayRef))).unwrap()
}

fn vector(kernel: &Kernel, rows: &RecordBatch) -> MeanVector {
    kernel.sum(rows).unwrap()
}

fn kernel(random: &mut Lcg, count: usize) -> Kernel {
    Kernel::fit(&rows(random, count, 0.0, 0.0), 256, 5).unwrap().unwrap()
}

/// Windows of what the reference is are never beyond a quantile of the null more often than it says, and not
/// much less often either.
#[test]
fn p_values_of_undrifted_windows_are_at_most_uniform() {
    let mut random = Lcg(11);
    let kernel = kernel(&mut random, 20_000);
    let trials = 8_000;
    let p_values: Vec<f64> = (0..trials)
        .map(|_| compare(&kernel, &vector(&kernel, &rows(&mut random, 150, 0.0, 0.0)), 0.0).unwrap().p_value)
        .collect();
    for level in [0.1, 0.02, 0.005, 0.001] {
        let found = p_values.iter().filter(|p| **p <= level).count() as f64;
        let expected = level * f64::from(trials);
        // Three standard errors.
        let bound = 3.0 * expected.sqrt();
        assert!(found <= expected + bound, "{found} of {trials} at {level}, expected {expected} at most");
        assert!(found >= 0.4 * expected - bound, "{found} of {trials} at {level}, expected about {expected}");
    }
}

/// A mean that has moved by as much as is tolerated, in the columns that spread most, is beyond the 5 %
/// quantile in 5 % of windows at most.
#[test]
fn a_shift_of_the_tolerance_is_tolerated() {
    let mut random = Lcg(29);
    let kernel = kernel(&mut random, 200_000);
    let moved = |random: &mut Lcg| vector(&kernel, &rows(random, 200_000, 0.0, 0.2));
    let tolerance = compare(&kernel, &moved(&mut random), 0.0).unwrap().squared_discrepancy / kernel.spread.largest;
    assert!(tolerance > 0.01, "{tolerance}");
    let trials = 1_000;
    let window = |random: &mut Lcg| vector(&kernel, &rows(random, 300, 0.0, 0.2));
    let found =
        (0..trials).filter(|_| compare(&kernel, &window(&mut random), tolerance).unwrap().p_value <= 0.05).count();
    assert!(found <= 70, "{found} of {trials}");
    let strict = (0..100).filter(|_| compare(&kernel, &window(&mut random), 0.0).unwrap().p_value <= 0.05).count();
    assert!(strict > 50, "{strict} of 100 without tolerance");
}

/// The unbiased estimate of Gretton et al. over all pairs, with the Gaussian kernel itself.
#[test]
fn the_discrepancy_is_that_of_all_pairs() {
    let mut random = Lcg(7);
    let kernel = kernel(&mut random, 400);
    let reference = rows(&mut Lcg(7), 400, 0.0, 0.0);
    let window = rows(&mut random, 300, 0.0, 1.0);
    let scaled = |rows: &RecordBatch| -> Vec<Vec<f64>> {
        let columns: Vec<Vec<f64>> = kernel.columns.iter().map(|column| column.scaled(rows).unwrap()).collect();
        (0..rows.num_rows()).map(|row| columns.iter().map(|c| c[row]).collect()).collect()
    };
    let (left, right) = (scaled(&reference), scaled(&window));
    let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>();
    let mut distances: Vec<f64> = (0..200).map(|row| square(&left[row], &left[row + 200]).sqrt()).collect();
    distances.sort_by(f64::total_cmp);
    let value = |a: &[f64], b: &[f64]| (-square(a, b) / (2.0 * distances[100] * distances[100])).exp();
    let mean = |a: &[Vec<f64>], b: &[Vec<f64>], skips: bool| {
        let all = a.iter().enumerate().flat_map(|(i, x)| b.iter().enumerate().map(move |(j, y)| (i, j, x, y)));
        let sum: f64 = all.filter(|(i, j, _, _)| !skips || i != j).map(|(_, _, x, y)| value(x, y)).sum();
        sum / (a.len() * (b.len() - usize::from(skips))) as f64
    };
    let expected = mean(&left, &left, true) + mean(&right, &right, true) - 2.0 * mean(&left, &right, false);
    let found = compare(&kernel, &vector(&kernel, &window), 0.0).unwrap().squared_discrepancy;
    assert!(expected > 0.05 && (found - expected).abs() < 0.2 * expected, "{found}, expected {expected}");
}

/// 80 slices of a reference whose level wanders, then 80 with it and 80 whose first columns depend on one
/// another: their histograms are as before.
#[test]
fn a_changed_relation_is_found_and_a_wandering_level_is_not() {
    let mut random = Lcg(23);
    let mut level = 0.0;
    let mut slice = |random: &mut Lcg, correlation: f64| {
        level = 0.7 * level + 0.03 * random.normal();
        rows(random, 200, correlation, level)
    };
    let slices: Vec<RecordBatch> = (0..80).map(|_| slice(&mut random, 0.0)).collect();
    let all = arrow::compute::concat_batches(&slices[0].schema(), &slices).unwrap();
    let kernel = Kernel::fit(&all, 256, 5).unwrap().unwrap();
    let vectors: Vec<MeanVector> = slices.iter().map(|slice| vector(&kernel, slice)).collect();
    let wander = wander(&kernel, &vectors);
    assert!(wander.of_length(0).is_some_and(|w| w > 0.0) && wander.of_length(1).is_some(), "{wander:?}");
    let mut joint = Joint::new(Watched { wander, tolerance: 0.0 });
    // One column that never differs, for company.
    let column = vec![Wander::measure(&vec![vec![100, 100]; 80])];
    let mut shift = Shift::with_joint(column, Some(&wander), (1.0, 720.0), 0.0);
    let counts = [vec![100, 100]];
    let mut alarms = |random: &mut Lcg, correlation: f64| {
        let mut found = Vec::new();
        for _ in 0..80 {
            let next = vector(&kernel, &slice(random, correlation));
            found.extend(shift.step_with(&[vec![8_000, 8_000]], &counts, Some((&kernel, &next, &mut joint))));
        }
        found
    };
    assert_eq!(alarms(&mut random, 0.0), []);
    let found = alarms(&mut random, 0.8);
    assert!(!found.is_empty());
    for shifted in found {
        assert_eq!(shifted.column, 1);
        assert!(shifted.threshold > 0.0 && shifted.threshold <= shifted.distance, "{shifted:?}");
        assert!(shifted.p_value < 0.01, "{shifted:?}");
    }
}

#[test]
fn no_rows_say_nothing() {
    let kernel = kernel(&mut Lcg(3), 100);
    assert_eq!(compare(&kernel, &MeanVector::default(), 0.0), None);
    let few = vector(&kernel, &rows(&mut Lcg(1), 99, 0.9, 3.0));
    assert_eq!(compare(&kernel, &few, 0.0), None);
    let unknown = wander(&kernel, &[]);
    assert_eq!(unknown, Wander::default());
    let mut joint = Joint::new(Watched { wander: unknown, tolerance: 0.0 });
    let mut shift = Shift::new(vec![Wander::measure(&vec![vec![50, 50]; 32])], 1.0, 10.0, 0.0);
    let found = shift.step_with(&[vec![50, 50]], &[vec![50, 50]], Some((&kernel, &MeanVector::default(), &mut joint)));
    assert_eq!(found, []);
}
