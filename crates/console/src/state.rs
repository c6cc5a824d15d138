//! The view as the JSON that the dashboard draws.

use crate::shown::{self, Shown};
use crate::summary::{Replay, Summary};
use crate::view::View;
use records::window::Window;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Features shown in the drift chart: those that drifted most.
const FEATURES_MAX: usize = 8;
/// Newest states of alerts shown.
const ALERTS_SHOWN: usize = 50;

/// Everything one page needs.
pub(crate) fn state(view: &View, pipeline: &str) -> Value {
    let replay = Replay { events_produced: 0, seconds: 0.0, held_seconds: 0.0 };
    let summary = Summary::of(view, replay);
    let mut totals: Vec<&Window> = view.windows.values().filter(|w| w.version == "*").collect();
    totals.sort_by(|a, b| a.window.start.cmp(&b.window.start));
    // Not what is final alone: a page has something to draw as soon as a window has been measured.
    let (_, shown) = shown::of_task(|name| totals.iter().any(|w| w.metrics.contains_key(name)));
    let series: Vec<Value> = totals.iter().map(|w| point(w, shown)).collect();
    let alerts: Vec<_> = view.alerts.iter().rev().take(ALERTS_SHOWN).collect();
    json!({
        "pipeline": pipeline,
        "champion": view.champion(),
        "judged_until": view.judged_until_ms.map(records::time::rfc3339),
        "score": view.score_totals(),
        "join": view.join_totals(),
        "labels_rejected": summary.labels_rejected,
        "rejected": view.rejected.iter().map(|((stage, reason), n)| json!({"stage": stage, "reason": reason, "count": n})).collect::<Vec<_>>(),
        "shown": shown,
        "served": summary.served,
        "frozen": summary.frozen,
        "months": summary.months,
        "windows": series,
        "versions": versions(view, shown),
        "drift": drift(view),
        "swaps": summary.swaps,
        "promotions": view.promotions.values().map(|p| json!({
            "promotion": p.line_up.promotion,
            "cause": p.cause,
            "version": p.line_up.champion().map(|m| m.version.clone()),
            "effective_from": p.effective_from_ms.map(records::time::rfc3339),
            "reasons": p.reasons,
        })).collect::<Vec<_>>(),
        "runs": summary.runs,
        "alerts": alerts,
    })
}

fn point(window: &Window, shown: [Shown; 2]) -> Value {
    let metric =
        |one: Shown| Some((one.metric, window.metrics.get(one.metric).map(|e| json!([e.value, e.low, e.high]))?));
    json!({
        "start": window.window.start,
        "final": window.r#final,
        "rows": window.rows,
        "labelled": window.labelled,
        "metrics": shown.into_iter().filter_map(metric).collect::<BTreeMap<_, _>>(),
        "baselines": window.baselines,
    })
}

/// The first metric shown of each version's own windows, for the chart by version.
fn versions(view: &View, [first, _]: [Shown; 2]) -> Value {
    let mut by_version: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for window in view.windows.values().filter(|w| w.version != "*" && !w.metrics.is_empty()) {
        let value = window.metrics.get(first.metric).map(|e| e.value);
        // Without labels every row counts.
        let rows = if window.labelled > 0 { window.labelled } else { window.rows };
        by_version.entry(&window.version).or_default().push(json!([window.window.start, value, rows]));
    }
    json!(by_version)
}

/// Population stability index by window of the features that drifted most at their worst.
fn drift(view: &View) -> Value {
    let windows: Vec<&Window> = view.windows.values().filter(|w| !w.drift.is_empty()).collect();
    let mut worst: BTreeMap<&str, f64> = BTreeMap::new();
    for (name, drift) in windows.iter().flat_map(|w| &w.drift) {
        let most = worst.entry(name).or_insert(0.0);
        *most = most.max(drift.psi);
    }
    let mut ranked: Vec<(&str, f64)> = worst.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let mut series: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (name, _) in ranked.into_iter().take(FEATURES_MAX) {
        let mut points: Vec<(&str, &records::window::Drift)> =
            windows.iter().filter_map(|w| w.drift.get(name).map(|d| (w.window.start.as_str(), d))).collect();
        points.sort_by_key(|(start, _)| *start);
        series.insert(name, points.iter().map(|(start, d)| json!([start, d.psi, d.threshold, d.drifted])).collect());
    }
    json!(series)
}
