//! Against scipy 1.17.1: `scipy.stats.ncx2.sf`, `chi2.sf`, and their `isf`.

use super::{mixture, survival, upper_quantile};

#[test]
fn the_survival_function_is_that_of_scipy() {
    let cases = [
        (1.0, 1.0, 0.5, 0.428_702_989_613_254_04),
        (3.84, 1.0, 0.0, 0.050_043_521_248_705_19),
        (20.0, 9.0, 0.0, 0.017_912_404_529_843_298),
        (20.0, 9.0, 5.0, 0.159_123_485_269_706_27),
        (150.0, 127.0, 10.0, 0.218_656_625_674_737_23),
        (300.0, 9.0, 100.0, 1.107_452_450_756_787_4e-12),
        (0.5, 3.0, 20.0, 0.999_991_226_805_196),
        (20_500.0, 127.0, 20_000.0, 0.094_403_129_866_258_46),
        (60.0, 2.0, 1.5, 8.973_339_808_571_64e-11),
        (1000.0, 31.0, 400.0, 1.344_698_665_660_270_8e-28),
        (10.0, 4.0, 1e-6, 0.040_427_724_106_688_57),
    ];
    for (x, degrees, lambda, expected) in cases {
        let found = survival(x, degrees, lambda);
        assert!((found / expected - 1.0).abs() < 1e-8, "sf({x}, {degrees}, {lambda}) = {found}, expected {expected}");
    }
}

#[test]
fn the_quantile_is_that_of_scipy() {
    let cases = [
        (0.05, 9.0, 0.0, 16.918_977_604_620_45),
        (0.05, 9.0, 18.0, 44.048_230_438_757_84),
        (0.05, 127.0, 2000.0, 2_278.107_849_979_867_8),
        (0.01, 1.0, 3.0, 16.470_600_927_820_74),
    ];
    for (tail, degrees, lambda, expected) in cases {
        let found = upper_quantile(tail, degrees, lambda);
        assert!((found / expected - 1.0).abs() < 1e-9, "isf({tail}, {degrees}, {lambda}) = {found}");
    }
}

#[test]
fn extremes_end_and_never_alarm_by_accident() {
    let cases = [
        (f64::NAN, 3.0, 0.0, 1.0),
        (0.0, 3.0, 2.0, 1.0),
        (-1.0, 3.0, 2.0, 1.0),
        (5.0, 0.0, 2.0, 1.0),
        (f64::INFINITY, 3.0, 2.0, 0.0),
        (1e9, 127.0, 5.0, 0.0),
        (1.0, 127.0, 1e9, 1.0),
    ];
    for (x, degrees, lambda, expected) in cases {
        let found = survival(x, degrees, lambda);
        assert!((found - expected).abs() < 1e-12, "sf({x}, {degrees}, {lambda}) = {found}");
    }
}

/// A window of a column that has become another one altogether has a p-value of 0, and must not
/// cost more than any other: every series has to end by itself.
#[test]
fn every_series_ends_by_itself() {
    for x in [0.1, 10.0, 128.0, 1e3, 9e3, 1e5, 1e6, 1e8] {
        for lambda in [0.0, 0.1, 10.0, 90.0, 900.0, 9e3] {
            for degrees in [1.0, 2.0, 9.0, 127.0] {
                let mut terms = 0;
                let found = mixture(x, degrees, lambda, &mut terms);
                assert!((0.0..=1.0).contains(&found), "sf({x}, {degrees}, {lambda}) = {found}");
                assert!(terms < 10_000, "sf({x}, {degrees}, {lambda}) took {terms} terms");
            }
        }
    }
}
