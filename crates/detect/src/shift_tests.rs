//! The null against direct integration and simulation; budget and power on wandering columns.

use super::{Gap, LENGTHS, Shift, Wander, Wanders, critical_g, p_value};
use crate::chi_square::survival;
use crate::harm::tests_support::Lcg;

const BINS: usize = 20;

/// A column whose mean wanders: AR(1) from slice to slice, and a day of 24 slices.
struct Column {
    level: f64,
    amplitude: f64,
    slice: u32,
}

impl Column {
    fn slice(&mut self, random: &mut Lcg, rows: usize, shift: f64) -> Vec<u64> {
        self.level = 0.7 * self.level + 0.714 * self.amplitude * random.normal();
        let day = self.amplitude * (f64::from(self.slice) * std::f64::consts::TAU / 24.0).sin();
        self.slice += 1;
        let mut counts = vec![0; BINS];
        for _ in 0..rows {
            let x = self.level + day + shift + random.normal();
            counts[((x + 2.5) * 4.0).clamp(0.0, BINS as f64 - 1.0) as usize] += 1;
        }
        counts
    }
}

fn sums(slices: &[Vec<u64>]) -> Vec<u64> {
    super::sum(slices.iter())
}

#[test]
fn without_wander_the_null_is_chi_square() {
    let gap = Gap { g: 21.0, degrees: 9.0, size: 250.0 };
    assert_eq!(p_value(gap, 0.0, 0.0), survival(21.0, 9.0, 0.0));
    assert_eq!(p_value(gap, 0.0, 0.01), survival(21.0, 9.0, 2.5));
}

/// 5 × chi-square(1) + chi-square(2) by another route: chi-square(2) has an exponential tail, so
/// P = ∫ φ(z) min(1, e^(−(t − 5 z²)/2)) dz, summed here on a fine grid.
#[test]
fn the_convolution_is_the_integral() {
    for g in [2.0, 20.0, 120.0] {
        let gap = Gap { g, degrees: 3.0, size: 100.0 };
        let width = 1e-4;
        let density = |z: f64| (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
        let expected: f64 = (0..100_000)
            .map(|i| (f64::from(i) + 0.5) * width)
            .map(|z| 2.0 * density(z) * (-(g - 5.0 * z * z).max(0.0) / 2.0).exp() * width)
            .sum();
        let found = p_value(gap, 0.04, 0.0);
        assert!((found / expected - 1.0).abs() < 1e-2, "{g}: {found}, expected {expected}");
    }
}

#[test]
fn few_slices_say_nothing_of_long_runs() {
    let mut random = Lcg(3);
    let mut column = Column { level: 0.0, amplitude: 0.1, slice: 0 };
    let slices: Vec<Vec<u64>> = (0..300).map(|_| column.slice(&mut random, 200, 0.0)).collect();
    let known = |count: usize| LENGTHS.map(|l| l as usize * 16 <= count);
    for count in [0, 15, 16, 64, 300] {
        let wander = Wander::measure(&slices[..count]);
        assert_eq!(std::array::from_fn(|i| wander.of_length(i).is_some()), known(count), "{count} slices");
    }
    let (calm, wild) = (Wander::measure(&vec![slices[0].clone(); 300]), Wander::measure(&slices));
    assert!(calm.of_length(0) < wild.of_length(0) && calm.of_length(0) >= Some(0.0));
}

#[test]
fn wandering_columns_keep_the_budget_and_a_shift_is_found() {
    let mut random = Lcg(19);
    let (columns, reference_slices, slices) = (10, 1100, 3000);
    let mut wanders = Vec::new();
    let mut references = Vec::new();
    let mut live: Vec<Column> =
        (0..columns).map(|i| Column { level: 0.0, amplitude: 0.03 * f64::from(i), slice: 0 }).collect();
    for column in &mut live {
        let seen: Vec<Vec<u64>> = (0..reference_slices).map(|_| column.slice(&mut random, 200, 0.0)).collect();
        wanders.push(Wander::measure(&seen));
        references.push(sums(&seen));
    }
    // Ten alarms in 1,000 slices: 30 in this test at most, and not none at all by construction.
    let mut shift = Shift::new(wanders, 10.0, 1000.0, 0.0);
    let mut alarms = 0;
    for _ in 0..slices {
        let slice: Vec<Vec<u64>> = live.iter_mut().map(|c| c.slice(&mut random, 200, 0.0)).collect();
        alarms += usize::from(!shift.step(&references, &slice).is_empty());
    }
    assert!(alarms <= 30, "{alarms}");
    let copy: Shift = serde_json::from_str(&serde_json::to_string(&shift).unwrap()).unwrap();
    assert_eq!(copy, shift);
    let found = (1..=64).find(|_| {
        let counts: Vec<Vec<u64>> = live
            .iter_mut()
            .enumerate()
            .map(|(i, c)| c.slice(&mut random, 200, if i == 3 { 0.4 } else { 0.0 }))
            .collect();
        let shifted = shift.step(&references, &counts);
        assert!(shifted.iter().all(|s| s.threshold <= s.distance && s.threshold > 0.0), "{shifted:?}");
        shifted.iter().any(|s| s.column == 3)
    });
    assert!(found.is_some_and(|slices| slices <= 16), "{found:?}");
}

#[test]
fn nothing_breaks_on_nothing() {
    let mut shift = Shift::new(vec![Wander::measure(&[]); 3], f64::NAN, 0.0, -1.0);
    for slice in [vec![], vec![vec![]], vec![vec![5, 5], vec![], vec![u64::MAX]]] {
        assert!(shift.step(&[vec![4, 4], vec![1]], &slice).is_empty());
    }
}

/// The 5 % quantile of chi-square with 9 degrees of freedom is 16.919 in every table.
#[test]
fn the_threshold_is_where_the_p_value_is_the_level() {
    let gap = Gap { g: 100.0, degrees: 9.0, size: 250.0 };
    let found = critical_g(gap, 0.0, 0.0, 0.05);
    assert!((found - 16.919).abs() < 2e-3, "{found}");
}

#[test]
fn wander_that_cannot_have_been_measured_fits_nothing() {
    let known = |json: &str| serde_json::from_str::<Wanders>(json).unwrap();
    let cases = [
        (r#"{"slice_ms": 5, "columns": [{"per_length": [0.1, null, null, null]}]}"#, true),
        (r#"{"slice_ms": 5, "columns": [{"per_length": [-0.1, null, null, null]}]}"#, false),
        (r#"{"slice_ms": 0, "columns": [{"per_length": [0.1, null, null, null]}]}"#, false),
        (r#"{"slice_ms": 5, "columns": []}"#, false),
    ];
    for (json, fits) in cases {
        assert_eq!(known(json).fits(1), fits, "{json}");
    }
}
