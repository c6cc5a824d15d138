//! The null keeps its level, the tolerance holds, bins merge exactly.

use super::{Psi, merged, psi};
use crate::harm::tests_support::Lcg;

fn draw(random: &mut Lcg, bins: usize, rows: usize) -> Vec<u64> {
    let mut counts = vec![0; bins];
    for _ in 0..rows {
        counts[(random.unit() * bins as f64) as usize] += 1;
    }
    counts
}

/// Share of windows without any shift whose p value is below 5 %.
fn alarms(bins: usize, rows: usize, tolerance: f64) -> f64 {
    let mut random = Lcg(11);
    let repeats = 1000;
    let hits = (0..repeats).filter(|_| {
        let reference = draw(&mut random, bins, 5000);
        psi(&reference, &draw(&mut random, bins, rows), tolerance).p_value < 0.05
    });
    hits.count() as f64 / f64::from(repeats)
}

#[test]
fn noise_alarms_at_its_level_even_where_bins_are_thin() {
    // 128 bins and 1,000 rows alarm in 20 % of windows if bins are not merged.
    for (bins, rows) in [(10, 300), (10, 1000), (128, 1000), (128, 5000)] {
        let share = alarms(bins, rows, 0.0);
        // Where most bins expect just over 30 rows and the reference is as small as the window, the
        // bins that merge are those the reference's own noise made low, and the test is cautious.
        assert!((0.02..0.08).contains(&share), "{bins} bins, {rows} rows: {share}");
    }
    assert!(alarms(10, 1000, 0.02) < 0.005, "a tolerance leaves no room for noise");
}

#[test]
fn a_tolerated_shift_is_no_drift_however_many_rows_there_are() {
    let reference = [500_000, 500_000];
    // PSI of 52 % against 50 %: 0.0016.
    let current = [520_000, 480_000];
    let strict = psi(&reference, &current, 0.0);
    assert!(strict.p_value < 1e-12 && strict.psi > strict.threshold, "{strict:?}");
    let tolerant = psi(&reference, &current, 0.01);
    assert!(tolerant.p_value > 0.999 && tolerant.psi < tolerant.threshold, "{tolerant:?}");
    let large = psi(&reference, &[600_000, 400_000], 0.01);
    assert!(large.p_value < 1e-12, "{large:?}");
}

#[test]
fn the_threshold_is_where_the_p_value_is_five_percent() {
    let (reference, current) = ([3000, 3000, 4000], [90, 110, 100]);
    let test = psi(&reference, &current, 0.01);
    let size = 300.0 / 10_300.0 * 10_000.0;
    let at = crate::chi_square::survival(test.threshold * size, 2.0, 0.01 * size);
    assert!((at - 0.05).abs() < 1e-9, "{at}");
}

#[test]
fn neighbours_merge_until_each_expects_thirty_rows() {
    let cases: [[&[u64]; 4]; 4] = [
        // 100 rows against 100: 30 expected rows are 30 reference rows.
        [&[10, 20, 30, 35, 5], &[0, 1, 2, 90, 7], &[30, 30, 40], &[1, 2, 97]],
        [&[0, 0, 100, 0, 0], &[3, 4, 50, 1, 2], &[100], &[60]],
        [&[50, 50], &[10], &[100], &[10]],
        [&[], &[5], &[0], &[5]],
    ];
    for [reference, current, old, new] in cases {
        assert_eq!(merged(reference, current), (old.to_vec(), new.to_vec()), "{reference:?} {current:?}");
    }
}

#[test]
fn without_rows_there_is_no_test() {
    for (reference, current) in [(vec![], vec![]), (vec![5, 5], vec![0, 0]), (vec![0, 0], vec![5, 5])] {
        let Psi { psi, p_value, .. } = psi(&reference, &current, 0.0);
        assert!(psi == 0.0 && p_value == 1.0);
    }
}
