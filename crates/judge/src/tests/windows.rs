//! What windows tell: metrics that the user has asked for, and those of numbers.

use super::fixtures::{SLICE_MS, Script, config};
use super::world::World;
use crate::config::Config;
use domain::{Task, Unlabelled};
use measure::{CostMatrix, Shape};
use records::time::rfc3339;
use records::window::{Clock, Window};
use std::collections::BTreeMap;

/// Checks every window that has labels, of every segment and version.
fn check(config: Config, of_window: impl Fn(&str, &Window)) {
    let world = World::run(Script { calibrated: true, config, ..Script::quiet(20) }, 7, true);
    let windows = world.windows();
    let labelled: Vec<(&String, &Window)> =
        windows.iter().flat_map(|(key, w)| w.iter().map(move |w| (key, w))).filter(|(_, w)| w.labelled > 0).collect();
    assert!(labelled.len() > 60, "{}", labelled.len());
    labelled.into_iter().for_each(|(key, window)| of_window(key, window));
}

#[test]
fn a_window_tells_what_its_rows_cost() {
    // A false alarm costs 1, a miss 5.
    let cost = CostMatrix::new(2, vec![0.0, 1.0, 5.0, 0.0]).unwrap();
    check(Config { cost: Some(cost), ..config() }, |key, window| {
        let metric = |name: &str| window.metrics[name].value;
        let (predicted, wrong) = (metric("predicted_positive_share"), 1.0 - metric("accuracy"));
        let false_alarms = predicted * (1.0 - metric("precision"));
        let expected = false_alarms + 5.0 * (wrong - false_alarms);
        assert!((metric("cost") - expected).abs() < 1e-9, "{key}: {} for {expected}", metric("cost"));
        let interval = window.metrics["cost"];
        assert!(interval.low < Some(expected) && Some(expected) < interval.high, "{key}: {interval:?}");
    });
}

#[test]
fn numbers_are_told_with_the_errors_they_expected() {
    let shape = Shape { task: Task::Regression, classes: 0 };
    check(Config { shape, quantile: Some(0.5), ..config() }, |key, window| {
        let metric = |name: &str| window.metrics[name].value;
        // The median's loss is half of the absolute error.
        assert!((metric("pinball") - metric("mae") / 2.0).abs() < 1e-9, "{key}");
        let estimated = |name: &str| window.estimated[name].value;
        // Errors are of 0.2 or of 0.8, and the interval holds those of up to 0.5.
        let held = (0.8 - metric("mae")) / 0.6;
        assert!((metric("interval_coverage") - held).abs() < 1e-6, "{key}: {held}");
        assert!(window.metrics["interval_coverage"].low < Some(held) && metric("interval_width") == 1.0, "{key}");
        let median = if held >= 0.5 { 0.2 } else { 0.8 };
        assert!((median..median * 1.0625).contains(&metric("absolute_error_p50")), "{key}");
        // 0.8 × 0.2 + 0.2 × 0.8, and the root of 0.8 × 0.04 + 0.2 × 0.64.
        assert!((estimated("mae") - 0.32).abs() < 1e-9 && (estimated("rmse") - 0.4).abs() < 1e-9, "{key}");
        let gap = window.realised_minus_estimated["mae"];
        assert!((gap.value - (metric("mae") - 0.32)).abs() < 1e-9, "{key}: {gap:?}");
        // √((0.16 − 0.32²) / 200 rows), with one or two of them more at the end.
        assert!((gap.standard_error - 0.016_97).abs() < 1e-4, "{key}: {gap:?}");
        assert!(!window.metrics.contains_key("accuracy") && !window.metrics.contains_key("kappa_m"), "{key}");
    });
}

/// Half of the scored rows are predicted positive, of the labelled ones about half are.
#[test]
fn labelled_rows_stand_for_all_scored_ones_where_the_others_are_censored() {
    check(Config { unlabelled: Unlabelled::Censored, ..config() }, |key, window| {
        let metric = |name: &str| window.metrics[name].value;
        let positive = metric("predicted_positive_share");
        let right = [(metric("accuracy") - positive * metric("precision")) / (1.0 - positive), metric("precision")];
        let labelled = window.labelled as f64;
        let rows = [1.0 - positive, positive].map(|share| (labelled * share).max(100.0));
        if window.clock == Clock::LabelTime {
            assert!(window.weighted.is_empty(), "{key}");
            return;
        }
        let expected = (rows[0] * right[0] + rows[1] * right[1]) / (rows[0] + rows[1]);
        assert!((window.weighted["accuracy"].value - expected).abs() < 1e-9, "{key}: {expected}");
        assert!(window.weighted.contains_key("auc"), "{key}");
    });
    check(config(), |key, window| assert!(window.weighted.is_empty(), "{key}"));
}

/// Rows of a slice are labelled within it, but for one of each partition, which is two slices later.
#[test]
fn windows_by_label_time_hold_the_rows_whose_labels_came_and_become_final_last() {
    let world = World::run(Script { calibrated: true, ..Script::quiet(20) }, 7, true);
    let (by_label, by_event) = (world.windows_by("label_time/"), world.windows());
    let total = |start_ms: i64| format!("{}/{SLICE_MS}/*/*", rfc3339(start_ms));
    for slice in 0..20 {
        let key = total(slice * SLICE_MS);
        let told = &by_label[&format!("label_time/{key}")];
        // Two horizons of three slices and one slice after its end, of which 3 follow the last slice.
        let finals: Vec<bool> = told.iter().map(|window| window.r#final).collect();
        assert_eq!(finals, if slice <= 15 { vec![false, true] } else { vec![false] }, "{key}");
        let of_events = &by_event[&format!("event_time/{key}")];
        let mature = of_events.iter().find(|window| window.labelled > 0).unwrap();
        for window in told {
            assert_eq!((window.clock, window.rows), (Clock::LabelTime, window.labelled), "{key}");
            assert_eq!(window.labelled, if slice < 2 { 200 } else { 202 }, "{key}");
            let right = |window: &Window| window.metrics["accuracy"].value * window.labelled as f64;
            let late = right(window) - right(mature);
            assert!((-1e-9..2.0 + 1e-9).contains(&late), "{key}: {late} of the late rows are right");
            assert!(window.drift.is_empty() && window.estimated.is_empty() && window.coverage.is_none(), "{key}");
            assert!(window.baselines.contains_key("majority"), "{key}");
        }
    }
    let labelled = |windows: &BTreeMap<String, Vec<Window>>| -> u64 {
        let newest = windows.iter().filter(|(key, _)| key.ends_with("/*/*")).filter_map(|(_, told)| told.last());
        newest.map(|window| window.labelled).sum()
    };
    assert_eq!(labelled(&by_label), labelled(&by_event), "each row counts once by either clock");
    assert!(by_label.keys().any(|key| key.contains("origin=JFK")));
}

/// From slice 10 on join tells the scores. There are two, so bins lose nothing but the width of the interval.
#[test]
fn areas_are_exact_where_all_scores_are_told() {
    let told = World::run(Script { exact_from: 10, ..Script::quiet(20) }, 3, true).windows();
    let binned = World::run(Script::quiet(20), 3, true).windows();
    let mut seen = [0; 2];
    for (key, windows) in &told {
        for (window, binned) in windows.iter().zip(&binned[key]).filter(|(window, _)| window.labelled > 0) {
            let is_exact = window.segment == "*" && window.window.start.as_str() >= "1970-01-01T00:00:10";
            for name in ["auc", "average_precision"] {
                let from_bins = window.metrics[name];
                assert_eq!(from_bins, binned.metrics[name], "{key}: {name}");
                let found = window.metrics.get(&format!("{name}_exact"));
                assert_eq!(found.is_some(), is_exact, "{key}: {name}");
                let Some(found) = found else { continue };
                assert_eq!(found.value, from_bins.value, "{key}: {name}");
                let width = |estimate: &records::window::Estimate| estimate.high.unwrap() - estimate.low.unwrap();
                assert!(width(found) < width(&from_bins), "{key}: {name} {found:?} {from_bins:?}");
            }
            seen[usize::from(is_exact)] += 1;
        }
    }
    assert!(seen.into_iter().all(|count| count > 10), "{seen:?}");
}
