//! One table of every statistic: ours, theirs, difference.
//!
//! "Theirs" are the reference values that Evidently 0.7.23, NannyML 0.13.1 and scipy 1.17 give on the
//! named inputs (`testdata/samples.py` prints those of Evidently and scipy). Run it with
//! `cargo test -p detect parity -- --nocapture` to see the table.

use super::evidently::{self, Rule};
use super::tests_numpy::NumpyRandom;
use super::{nannyml, union};
use crate::{distance, sample};

/// Statistic, source, ours, theirs, tolerated difference.
type Row = (&'static str, &'static str, f64, f64, f64);

/// Counts of six categories (Evidently's own example), and eight numbers each.
fn small() -> Vec<Row> {
    let (old, new) = ([16, 18, 16, 14, 12, 12], [16, 16, 16, 16, 16, 8]);
    let two_sample = distance::chi_square(&old, &new);
    let fit = distance::goodness_of_fit(&old, &new);
    let left = [38.7, 41.5, 43.8, 44.5, 45.5, 46.0, 47.7, 58.0];
    let right = [39.2, 39.3, 39.7, 41.4, 41.8, 42.9, 43.3, 45.8];
    let ks = sample::ks_test(&left, &right);
    vec![
        ("PSI", "Evidently", evidently::psi(&old, &new), 0.037_218_4, 5e-8),
        ("PSI from our state", "Evidently", distance::psi(&old, &new), 0.037_218_4, 5e-8),
        ("Hellinger", "Evidently", distance::hellinger(&old, &new), 0.068_127_7, 5e-8),
        ("Jensen-Shannon, natural", "Evidently", distance::jensen_shannon_natural(&old, &new), 0.068_048_2, 5e-8),
        ("Jensen-Shannon, base 2", "scipy", distance::jensen_shannon(&old, &new), 0.081_734_2, 5e-8),
        ("total variation", "Evidently", distance::total_variation(&old, &new), 0.068_181_8, 5e-8),
        ("goodness of fit, chi-square", "scipy", fit.statistic, 3.174_603, 5e-7),
        ("goodness of fit, p", "Evidently", evidently::chi_square(&old, &new), 0.673_088, 5e-7),
        ("two-sample chi-square", "scipy", two_sample.statistic, 1.622_409, 5e-7),
        ("two-sample chi-square, p", "scipy", two_sample.p_value, 0.898_526, 5e-7),
        ("Kolmogorov-Smirnov", "scipy", ks.statistic, 0.625, 1e-12),
        ("Kolmogorov-Smirnov, p", "scipy", ks.p_value, 0.087_024_087_024_087_01, 1e-12),
        ("Wasserstein-1", "scipy", sample::wasserstein(&left, &right), 4.1625, 1e-12),
    ]
}

/// The samples of `testdata/samples.py`, drawn in its order.
fn evidently_samples() -> Vec<Row> {
    let mut random = NumpyRandom::new(1);
    let (small, other) = (random.normal(0.0, 900), random.normal(0.1, 300));
    let (large, shifted) = (random.normal(0.0, 5000), random.normal(0.2, 700));
    let (dice, loaded) = (random.choice(&[0, 1, 2, 3], 800), random.choice(&[0, 1, 2, 3, 4], 300));
    let (coin, biased) = (random.choice(&[0, 1], 800), random.choice(&[0, 1, 1], 200));
    let numbers = |from: i32| (0..from).map(f64::from).collect::<Vec<f64>>();
    let (wide, narrow) = (random.choice(&numbers(8), 2000), random.choice(&numbers(7), 50));
    let mut rows = Vec::new();
    let golden: [(&[f64], &[f64], [f64; 8]); 3] =
        [(&small, &other, SMALL), (&large, &shifted, LARGE), (&wide, &narrow, WIDE)];
    for (reference, current, theirs) in golden {
        let (old, new) = evidently::binned(reference, current);
        let ks = sample::ks_test(reference, current);
        let ours = [
            ("PSI", "Evidently", evidently::psi(&old, &new)),
            ("Jensen-Shannon, natural", "Evidently", distance::jensen_shannon_natural(&old, &new)),
            ("Hellinger", "Evidently", evidently::hellinger(reference, current)),
            ("Kullback-Leibler", "Evidently", evidently::kullback_leibler(&old, &new)),
            ("Wasserstein / deviation", "Evidently", evidently::wasserstein(reference, current)),
            ("Kolmogorov-Smirnov", "scipy", ks.statistic),
            ("Kolmogorov-Smirnov, p", "scipy", ks.p_value),
            ("Wasserstein-1", "scipy", sample::wasserstein(reference, current)),
        ];
        rows.extend(
            ours.into_iter().zip(theirs).map(|((name, source, ours), theirs)| (name, source, ours, theirs, 1e-11)),
        );
    }
    let (tails, heads) = union(&coin, &biased);
    let corrected = nannyml::chi_square(&coin, &biased);
    rows.extend([
        (
            "goodness of fit, p",
            "Evidently",
            evidently::category(&loaded, &dice).score,
            3.623_627_944_851_805e-44,
            1e-54,
        ),
        ("proportions, p", "Evidently", evidently::proportions(&tails, &heads), 2.223_334_111_928_210_2e-5, 1e-14),
        ("contingency, chi-square", "scipy", corrected.statistic, 17.322_807_432_310_594, 1e-11),
        ("contingency, p", "scipy", corrected.p_value, 3.153_788_304_264_191e-5, 1e-14),
    ]);
    rows
}

const SMALL: [f64; 8] = [
    0.031_272_185_267_744_56,
    0.062_606_663_742_100_08,
    0.066_631_339_456_218_3,
    0.017_650_806_315_818_817,
    0.066_423_767_515_088_04,
    0.056_666_666_666_666_664,
    0.457_318_911_668_152_64,
    0.065_852_645_161_538_09,
];
const LARGE: [f64; 8] = [
    0.068_263_326_649_840_62,
    0.090_842_675_807_733_43,
    0.093_440_247_652_389_7,
    0.037_009_721_185_802_54,
    0.191_929_612_461_078_8,
    0.092_457_142_857_142_86,
    5.096_731_985_135_435e-5,
    0.192_680_710_179_161_27,
];
const WIDE: [f64; 8] = [
    0.934_236_193_611_111_2,
    0.237_093_395_252_370_14,
    0.067_076_894_317_718_75,
    0.750_653_290_681_905_9,
    0.186_725_242_934_259_1,
    0.120_5,
    0.445_374_269_560_792_07,
    0.428_000_000_000_000_1,
];

/// NannyML's samples: seed 1, the reference first.
fn nannyml_samples() -> Vec<Row> {
    let draw = |mean: f64, rows: usize, reference_rows: usize| {
        let mut random = NumpyRandom::new(1);
        (random.normal(0.0, reference_rows), random.normal(mean, rows))
    };
    let choose = |from: &[u8], to: &[u8], rows: usize| {
        let mut random = NumpyRandom::new(1);
        (random.choice(from, 10_000), random.choice(to, rows))
    };
    let points = |rows: usize| {
        let mut random = NumpyRandom::new(1);
        let six: Vec<f64> = (0..6).map(|i| 0.4 * f64::from(i)).collect();
        (random.choice(&six, 10_000), random.choice(&[0.0, 1.0, 2.0], rows))
    };
    let (reference, same) = draw(0.0, 1000, 10_000);
    let (old, new) = choose(b"abcd", b"abce", 1000);
    let letters = nannyml::categories(&old, &new);
    let (_, moved) = draw(-2.0, 10_000, 10_000);
    let (_, near) = draw(1.0, 1000, 10_000);
    let (six, three) = points(1000);
    let (many, far) = draw(-4.0, 1000, 100_000);
    vec![
        ("Jensen-Shannon, base 2", "NannyML", nannyml::jensen_shannon(&reference, &same), 0.047_236_4, 5e-8),
        ("bins by Doane's rule", "NannyML", (super::histogram::doane(&reference).len() - 1) as f64, 16.0, 0.0),
        ("Jensen-Shannon, few values", "NannyML", nannyml::jensen_shannon(&six, &three), 0.728_542_1, 5e-8),
        ("Jensen-Shannon, categories", "NannyML", distance::jensen_shannon(&letters.0, &letters.1), 0.503_817_1, 5e-8),
        ("Hellinger", "NannyML", nannyml::hellinger(&reference, &moved), 0.625_020_7, 5e-8),
        ("Hellinger, few values", "NannyML", nannyml::hellinger(&six, &three), 0.719_157_1, 5e-8),
        ("Hellinger, categories", "NannyML", distance::hellinger(&letters.0, &letters.1), 0.503_244_3, 5e-8),
        ("Wasserstein-1, binned", "NannyML", nannyml::wasserstein(&reference, &near), 1.011_450_3, 5e-8),
        ("Wasserstein-1, in the tail", "NannyML", nannyml::wasserstein(&many, &far), 3.994_995_5, 5e-8),
        ("L-infinity", "NannyML", nannyml::l_infinity(b"aabbcc", b"aabbccd"), 1.0 / 7.0, 1e-12),
        ("L-infinity", "NannyML", nannyml::l_infinity(b"aabbcc", b"bbbbb"), 2.0 / 3.0, 1e-12),
    ]
}

#[test]
fn every_statistic_is_that_of_the_tool_it_comes_from() {
    println!("{:30} {:10} {:>22} {:>22} {:>10}", "statistic", "source", "ours", "theirs", "difference");
    let mut wrong = Vec::new();
    for (name, source, ours, theirs, tolerance) in [small(), evidently_samples(), nannyml_samples()].concat() {
        let difference = (ours - theirs).abs();
        println!("{name:30} {source:10} {ours:22.15e} {theirs:22.15e} {difference:10.1e}");
        if difference.is_nan() || difference > tolerance {
            wrong.push(format!("{name} of {source}: {ours}, expected {theirs} within {tolerance:e}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Evidently's choice by reference size and distinct values; scores of both sides of each limit.
#[test]
fn evidently_chooses_by_the_size_of_the_reference() {
    let numbers = |rows: u32, distinct: u32| -> Vec<f64> { (0..rows).map(|i| f64::from(i % distinct)).collect() };
    let cases = [
        (1000, 2, Rule::Proportions, Rule::Proportions),
        (1000, 5, Rule::ChiSquare, Rule::ChiSquare),
        (1000, 6, Rule::KolmogorovSmirnov, Rule::ChiSquare),
        (1001, 5, Rule::JensenShannon, Rule::JensenShannon),
        (1001, 6, Rule::Wasserstein, Rule::JensenShannon),
    ];
    for (rows, distinct, numeric, category) in cases {
        let reference = numbers(rows, distinct);
        let letters: Vec<u32> = (0..rows).map(|i| i % distinct).collect();
        let same = [evidently::numeric(&reference, &reference), evidently::category(&letters, &letters)];
        assert_eq!(same.map(|v| v.rule), [numeric, category], "{rows} rows, {distinct} values");
        assert!(same.iter().all(|v| !v.drifted), "{same:?}");
        let moved: Vec<f64> = reference.iter().map(|x| x.min(0.0)).collect();
        let others: Vec<u32> = letters.iter().map(|_| 0).collect();
        let drifted = [evidently::numeric(&reference, &moved), evidently::category(&letters, &others)];
        assert!(drifted.iter().all(|v| v.drifted), "{drifted:?}");
    }
    let unseen = evidently::category(&["a", "b", "c"], &["a", "b", "d"]);
    assert_eq!((unseen.score, unseen.drifted), (0.0, true), "scipy divides by zero there");
}

#[test]
fn nannyml_thresholds_are_three_population_deviations() {
    // Mean 5, deviation 2 (the textbook example of a population deviation).
    assert_eq!(nannyml::thresholds(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), (-1.0, 11.0));
}

#[test]
fn nothing_is_no_distance() {
    let (none, some): (&[f64], &[f64]) = (&[], &[1.0, f64::NAN, 2.0]);
    for (a, b) in [(none, none), (none, some), (some, none)] {
        let scores = [
            evidently::numeric(a, b).score,
            evidently::hellinger(a, b),
            nannyml::jensen_shannon(a, b),
            nannyml::kolmogorov_smirnov(a, b),
            nannyml::wasserstein(a, b),
            sample::ks_test(a, b).p_value,
        ];
        assert!(scores.iter().all(|score| score.is_finite()), "{scores:?}");
        assert!(!evidently::numeric(a, b).drifted);
    }
}

/// 10,001 rows against 9,000 take the limit; the exact value and the limit agree to three digits.
#[test]
fn the_limit_joins_the_exact_distribution() {
    let mut random = NumpyRandom::new(5);
    let (old, new) = (random.normal(0.0, 10_001), random.normal(0.02, 9_000));
    let limit = sample::ks_test(&old, &new).p_value;
    let exact = sample::ks_test(&old[1..], &new).p_value;
    assert!((limit - exact).abs() < 0.01 && limit > 0.001 && limit < 0.9, "{limit} {exact}");
}
