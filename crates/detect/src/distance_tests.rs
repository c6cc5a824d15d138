//! Values of Evidently 0.7.23, scipy 1.17 and NannyML 0.13.1 as the reference page lists them.

use super::*;

const OLD: [u64; 6] = [16, 18, 16, 14, 12, 12];
const NEW: [u64; 6] = [16, 16, 16, 16, 16, 8];

fn check(name: &str, found: f64, expected: f64, error: f64) {
    assert!((found - expected).abs() <= error, "{name}: {found}, expected {expected}");
}

#[test]
fn dice_are_as_far_apart_as_evidently_and_scipy_say() {
    check("psi", psi(&OLD, &NEW), 0.037_218_4, 5e-8);
    check("hellinger", hellinger(&OLD, &NEW), 0.068_127_7, 5e-8);
    check("jensen-shannon, natural", jensen_shannon_natural(&OLD, &NEW), 0.068_048_2, 5e-8);
    check("jensen-shannon, base 2", jensen_shannon(&OLD, &NEW), 0.081_734_2, 5e-8);
    check("total variation", total_variation(&OLD, &NEW), 0.068_181_8, 5e-8);
    let two_sample = chi_square(&OLD, &NEW);
    check("two-sample chi-square", two_sample.statistic, 1.622_409, 5e-7);
    check("its p value", two_sample.p_value, 0.898_526, 5e-7);
    let fit = goodness_of_fit(&OLD, &NEW);
    check("goodness of fit", fit.statistic, 3.174_603, 5e-7);
    check("its p value", fit.p_value, 0.673_088, 5e-7);
}

#[test]
fn samples_are_as_far_apart_as_scipy_says() {
    let left = [38.7, 41.5, 43.8, 44.5, 45.5, 46.0, 47.7, 58.0];
    let right = [39.2, 39.3, 39.7, 41.4, 41.8, 42.9, 43.3, 45.8];
    let mut positions: Vec<f64> = left.iter().chain(&right).copied().collect();
    positions.sort_by(f64::total_cmp);
    let counts = |sample: &[f64]| -> Vec<u64> {
        positions.iter().map(|x| sample.iter().filter(|y| *y == x).count() as u64).collect()
    };
    check("kolmogorov-smirnov", kolmogorov_smirnov(&counts(&left), &counts(&right)), 0.625, 1e-12);
    check("wasserstein", wasserstein(&counts(&left), &counts(&right), &positions), 4.1625, 1e-12);
}

#[test]
fn categories_are_as_far_apart_as_nannyml_says() {
    check("l-infinity", l_infinity(&[2, 2, 2, 0], &[2, 2, 2, 1]), 1.0 / 7.0, 1e-12);
    check("l-infinity", l_infinity(&[2, 2, 2], &[0, 5, 0]), 2.0 / 3.0, 1e-12);
}

#[test]
fn nothing_and_everything() {
    for distance in [psi, jensen_shannon, hellinger, total_variation, l_infinity, kolmogorov_smirnov] {
        check("no rows", distance(&[], &[]), 0.0, 0.0);
        check("no current rows", distance(&[3, 4], &[0, 0]), 0.0, 0.0);
        check("same shares", distance(&[3, 4], &[6, 8, 0]), 0.0, 1e-15);
    }
    for distance in [jensen_shannon, hellinger, total_variation, l_infinity, kolmogorov_smirnov] {
        check("disjoint", distance(&[u64::MAX], &[0, 1]), 1.0, 1e-12);
    }
    // Zero rule by hand: shares 10/10 and 1/20 against 1/20 and 10/10, twice .95 ln 20.
    check("psi with empty bins", psi(&[10, 0], &[0, 10]), 1.9 * 20.0_f64.ln(), 1e-12);
}

/// Bins: under, two inner ones, over, missing.
#[test]
fn missing_and_unseen_rows_are_shares_of_the_current_rows() {
    let cases: [(&[u64], &[u64], f64, f64); 5] = [
        (&[0, 50, 40, 0, 10], &[5, 40, 40, 10, 5], 0.05, 0.15),
        (&[1, 50, 40, 0, 9], &[5, 40, 40, 10, 5], 0.05, 0.1),
        (&[0, 50, 40, 0, 0], &[0, 10, 10, 0, 80], 0.8, 0.8),
        (&[0, 50, 40, 0, 0], &[0, 0, 0, 0, 0], 0.0, 0.0),
        (&[], &[], 0.0, 0.0),
    ];
    for (reference, current, missing, unseen) in cases {
        check("missing", missing_share(current), missing, 1e-15);
        check("unseen", unseen_share(reference, current), unseen, 1e-15);
    }
}
