//! A recorded change, found: how many rows after it each alarm speaks, and what was said of the
//! accuracy before any label came. The data are `config/data/car_loan_*.parquet`.

use crate::support::broker;
use crate::support::vigie::{Pipeline, binary, root};
use serde_json::Value;
use std::process::Command;

/// Day of the change; it came at three in the morning.
const CHANGE: &str = "2019-03-31";
/// Rows of a day.
const ROWS_A_DAY: f64 = 165.2;

/// Days since 2019-01-01 of a time in 2019.
fn day(time: &str) -> f64 {
    let number = |range: std::ops::Range<usize>| time[range].parse::<usize>().unwrap();
    let before = [0, 31, 59, 90, 120, 151, 181, 212][number(5..7) - 1];
    (before + number(8..10) - 1) as f64
}

/// Rows from the change to the end of the day whose closing raised it.
fn rows_after_change(alert: &Value) -> f64 {
    (day(alert["raised"].as_str().unwrap()) + 1.0 - day(CHANGE)) * ROWS_A_DAY
}

#[test]
fn the_change_is_found_in_time_and_the_accuracy_known_before_labels() {
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary.json");
    let output = Command::new(binary())
        .args(["demo", "--config", "config/car-loan.toml", "--until", "2019-01-15", "--no-retrain", "--console", ""])
        .args(["--events", "config/data/car_loan_events.parquet", "--labels", "config/data/car_loan_labels.parquet"])
        .args(["--brokers", broker::address(), "--summary"])
        .arg(&summary)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
    check_alerts(summary["alerts"].as_array().unwrap());
    let pipeline = Pipeline::of("car-loan.toml", "car-loan", broker::address());
    let windows = pipeline.read("car-loan.windows");
    let windows = windows.iter().filter_map(|record| serde_json::from_slice::<Value>(record.value.as_ref()?).ok());
    check_windows(&windows.filter(|window| window["clock"] == "event_time").collect::<Vec<_>>());
}

fn check_alerts(alerts: &[Value]) {
    // Statement of the configuration: one in thirty days; 75 days pass before the change. The bound is
    // the 95 % one of a Poisson count of 2.5 for each of the two tiers that may be wrong here.
    let early = |name: &str| {
        alerts.iter().filter(|a| a["name"] == name && a["tier"] != "run" && rows_after_change(a) <= 0.0).count()
    };
    assert!(early("vigie.accuracy_loss") <= 5, "{alerts:#?}");
    assert_eq!(early("vigie.drift"), 0, "drift before anything drifted: {alerts:#?}");
    let first = |name: &str, tier: &str| {
        let after = alerts.iter().filter(|a| a["name"] == name && a["tier"] == tier).map(rows_after_change);
        after.filter(|rows| *rows > 0.0).min_by(f64::total_cmp).unwrap_or(f64::INFINITY)
    };
    let shift = first("vigie.drift", "feature");
    assert!(shift <= 2_000.0, "the shift of features is found after {shift} rows");
    let run = first("vigie.accuracy_loss", "run");
    assert!(run <= 2_500.0, "the alarm that starts a run comes after {run} labelled rows");
    let page = first("vigie.accuracy_loss", "page");
    assert!(page <= 4_000.0, "the alarm that pages comes after {page} labelled rows");
}

/// The final windows of the one version over all rows, with a full day.
fn check_windows(windows: &[Value]) {
    let is_final =
        |w: &&Value| w["final"] == true && w["segment"] == "*" && w["version"] != "*" && w["labelled"] == w["rows"];
    let full: Vec<&Value> = windows.iter().filter(is_final).filter(|w| w["rows"].as_u64() > Some(160)).collect();
    assert!(full.len() > 200, "{} windows", full.len());
    let realised = |w: &Value| w["metrics"]["accuracy"]["value"].as_f64().unwrap();
    let estimate = |w: &Value, what: &str| w["estimated"]["accuracy"][what].as_f64().unwrap();
    let start = |w: &Value| w["window"]["start"].as_str().unwrap().to_owned();
    let (before, after): (Vec<&Value>, Vec<&Value>) = full.into_iter().partition(|w| start(w).as_str() < CHANGE);
    // The band is one of 95 %.
    let inside = |w: &&&Value| (estimate(w, "low")..=estimate(w, "high")).contains(&realised(w));
    let share = before.iter().filter(inside).count() as f64 / before.len() as f64;
    assert!(share >= 0.9, "of {} windows before the change {share} are in their band", before.len());
    // Known when the window closed, which was before any of its labels came.
    let first = |w: &&Value| {
        let said =
            windows.iter().find(|r| r["window"] == w["window"] && r["segment"] == "*" && r["version"] == w["version"]);
        said.is_some_and(|r| r["labelled"] == 0 && r["estimated"]["accuracy"] == w["estimated"]["accuracy"])
    };
    assert!(before.iter().all(first), "an estimate came late, or changed");
    let gap = |w: &&Value| {
        let gap = &w["realised_minus_estimated"]["accuracy"];
        assert!(gap["standard_error"].as_f64().unwrap() > 0.0, "{w}");
        gap["value"].as_f64().unwrap()
    };
    let mean = |windows: &[&Value]| windows.iter().map(gap).sum::<f64>() / windows.len() as f64;
    let (before, after) = (mean(&before), mean(&after));
    assert!(before.abs() < 0.005, "the estimates are off by {before} before the change");
    assert!(after < before - 0.005, "after the change {after}, before {before}: concept drift is not in the gap");
}
