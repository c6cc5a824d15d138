//! Equal models seldom reach 20, worse ones do soon.

use super::{Paired, SLICES_MIN, THRESHOLD};
use crate::harm::tests_support::Lcg;
use measure::PAIR_BETS;

/// One slice of paired loss differences.
fn step(paired: &mut Paired, differences: &[f64]) {
    let logs: Vec<f64> = PAIR_BETS.iter().map(|b| differences.iter().map(|d| (b * d).ln_1p()).sum()).collect();
    let mean = differences.iter().sum::<f64>() / differences.len() as f64;
    paired.step(differences.len() as u64, &logs, mean);
}

/// Brier losses of two models on 200 rows a slice: P(y = 1) differs by row; each model adds its
/// own error to it, and a shuffled one knows nothing of the row.
fn slice(random: &mut Lcg, shuffled: bool) -> Vec<f64> {
    let noisy = |p: f64, random: &mut Lcg| (p + 0.1 * (random.unit() - 0.5)).clamp(0.0, 1.0);
    (0..200)
        .map(|_| {
            let p = random.unit();
            let y = f64::from(u8::from(random.unit() < p));
            let (old, mut new) = (noisy(p, random), noisy(p, random));
            if shuffled {
                new = random.unit();
            }
            (new - y) * (new - y) - (old - y) * (old - y)
        })
        .collect()
}

#[test]
fn equal_models_seldom_reach_twenty() {
    let mut random = Lcg(41);
    let trials = 400;
    let (mut rows, mut slices, mut both) = (0, 0, 0);
    for _ in 0..trials {
        let mut paired = Paired::new();
        let (mut by_rows, mut by_slices, mut by_both) = (false, false, false);
        for _ in 0..60 {
            step(&mut paired, &slice(&mut random, false));
            let (row_evidence, slice_evidence) = paired.evidence_worse();
            by_rows |= row_evidence >= THRESHOLD;
            by_slices |= slice_evidence >= THRESHOLD;
            by_both |= paired.is_worse(THRESHOLD);
        }
        rows += usize::from(by_rows);
        slices += usize::from(by_slices);
        both += usize::from(by_both);
    }
    // Ville: 5 % for rows, and as much asymptotically for slice means; 400 trials wander by 2 %.
    assert!(rows <= trials * 7 / 100, "rows: {rows} of {trials}");
    assert!(slices <= trials * 9 / 100, "slice means: {slices} of {trials}");
    assert!(both <= trials * 3 / 100, "both: {both} of {trials}");
}

#[test]
fn a_shuffled_model_reaches_twenty_soon_and_its_rival_never() {
    let mut random = Lcg(43);
    for trial in 0..50 {
        let (mut worse, mut better) = (Paired::new(), Paired::new());
        let found = (1..=20).find(|_| {
            let differences = slice(&mut random, true);
            step(&mut worse, &differences);
            step(&mut better, &differences.iter().map(|d| -d).collect::<Vec<_>>());
            worse.is_worse(THRESHOLD)
        });
        assert!(found.is_some_and(|slices| slices <= 2 * SLICES_MIN), "trial {trial}: {found:?}");
        let (rows, slices) = better.evidence_worse();
        assert!(rows < 1.0 && slices < 1.0, "trial {trial}: {rows} {slices}");
    }
}

#[test]
fn rows_are_the_mean_product_over_the_bets() {
    let mut paired = Paired::new();
    let differences = [0.3, -0.1, 0.2, 0.05];
    step(&mut paired, &differences[..2]);
    step(&mut paired, &differences[2..]);
    let product = |bet: &f64| differences.iter().map(|d| 1.0 + bet * d).product::<f64>();
    let expected = PAIR_BETS.iter().map(product).sum::<f64>() / PAIR_BETS.len() as f64;
    assert!((paired.evidence_worse().0 / expected - 1.0).abs() < 1e-12);
    assert_eq!((paired.rows(), paired.slices()), (4, 2));
}

/// The mixture by direct integration: ∫ over effects m > 0 of the half-normal prior with
/// deviation ρ of exp(m S − m² t / 2), for slice means of deviation 1.
#[test]
fn slice_evidence_is_the_mixture_integral() {
    let means = [0.9, -0.4, 1.7, 0.3, 1.4, 0.2];
    let mut paired = Paired::new();
    for mean in means {
        paired.step(10, &[0.0; PAIR_BETS.len()], mean);
    }
    let slices = means.len() as f64;
    let average = means.iter().sum::<f64>() / slices;
    let variance = means.iter().map(|m| (m - average) * (m - average)).sum::<f64>() / (slices - 1.0);
    let sum = means.iter().sum::<f64>() / variance.sqrt();
    let rho_squared = super::mixture_width();
    let density = |m: f64| (2.0 / (std::f64::consts::PI * rho_squared)).sqrt() * (-m * m / (2.0 * rho_squared)).exp();
    let width = 1e-4;
    let integral: f64 = (0..200_000)
        .map(|i| (f64::from(i) + 0.5) * width)
        .map(|m| density(m) * (m * sum - m * m * slices / 2.0).exp() * width)
        .sum();
    let found = paired.evidence_worse().1;
    assert!((found / integral - 1.0).abs() < 1e-6, "{found}, expected {integral}");
}

#[test]
fn identical_models_and_empty_slices_give_no_evidence() {
    let mut paired = Paired::new();
    for _ in 0..50 {
        step(&mut paired, &[0.0; 10]);
        paired.step(0, &[9.0; PAIR_BETS.len()], 1.0);
        paired.step(5, &[9.0; PAIR_BETS.len()], f64::NAN);
    }
    assert_eq!(paired.slices(), 50);
    let (rows, slices) = paired.evidence_worse();
    assert!((rows - 1.0).abs() < 1e-12 && slices <= 1.0, "{rows} {slices}");
    let copy: Paired = serde_json::from_str(&serde_json::to_string(&paired).unwrap()).unwrap();
    assert_eq!(copy, paired);
}
