//! What windows tell: metrics that the user has asked for, and those of numbers.

use super::fixtures::{Script, config};
use super::world::World;
use crate::config::Config;
use domain::Task;
use measure::{CostMatrix, Shape};
use records::window::Window;

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
        // 0.8 × 0.2 + 0.2 × 0.8, and the root of 0.8 × 0.04 + 0.2 × 0.64.
        assert!((estimated("mae") - 0.32).abs() < 1e-9 && (estimated("rmse") - 0.4).abs() < 1e-9, "{key}");
        let gap = window.realised_minus_estimated["mae"];
        assert!((gap.value - (metric("mae") - 0.32)).abs() < 1e-9, "{key}: {gap:?}");
        // √((0.16 − 0.32²) / 200 rows), with one or two of them more at the end.
        assert!((gap.standard_error - 0.016_97).abs() < 1e-4, "{key}: {gap:?}");
        assert!(!window.metrics.contains_key("accuracy") && !window.metrics.contains_key("kappa_m"), "{key}");
    });
}
