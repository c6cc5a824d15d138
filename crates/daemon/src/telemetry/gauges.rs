//! What is so now, read from the view at each collection.
//!
//! Observable gauges report only what they see: a retired version is gone at the next collection,
//! where a gauge that is set would show its last value for ever.

use console::View;
use console::server::SharedView;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use records::alert::State;
use records::window::{Clock, Drift, Window};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// Columns reported: those that drifted most. The SDK joins what is beyond 2,000 series into one.
const COLUMNS_MAX: usize = 200;

/// One value with its attributes.
type Point = (f64, Vec<KeyValue>);

/// One gauge: name, unit, meaning, and where its values come from.
type Gauge = (&'static str, &'static str, &'static str, fn(&View) -> Vec<Point>);

// A PSI is no ratio: with the unit `1` a Prometheus name would end in `_ratio`.
const GAUGES: [Gauge; 12] = [
    ("vigie.drift.score", "{score}", "Population stability index of a column in the newest window", |view| {
        drift(view, |drift| drift.psi)
    }),
    ("vigie.drift.threshold", "{score}", "Index above which it counts as drift", |view| {
        drift(view, |drift| drift.threshold)
    }),
    ("vigie.accuracy.log_loss", "{nat}", "Log loss in the newest labelled window", |v| accuracy(v, "log_loss")),
    ("vigie.accuracy.auc", "1", "Area under the ROC curve in the newest labelled window", |v| accuracy(v, "auc")),
    ("vigie.accuracy.accuracy", "1", "Share of right classes in the newest labelled window", |v| {
        accuracy(v, "accuracy")
    }),
    ("vigie.accuracy.brier", "{score}", "Brier score in the newest labelled window", |v| accuracy(v, "brier")),
    ("vigie.accuracy.mae", "{label}", "Mean absolute error in the newest labelled window", |v| accuracy(v, "mae")),
    ("vigie.accuracy.rmse", "{label}", "Root mean square error in the newest labelled window", |v| accuracy(v, "rmse")),
    ("vigie.window.rows", "{event}", "Events scored in the newest closed window", rows),
    ("vigie.join.pending", "{prediction}", "Predictions that wait for a label", pending),
    ("vigie.judge.judged_until", "s", "Stream time up to which all is judged, since 1970", judged_until),
    ("vigie.alert.open", "{alert}", "Alerts raised and not resolved", open_alerts),
];

/// Registers the gauges.
pub(super) fn register(meter: &Meter, view: &SharedView, pipeline: &str) {
    for (name, unit, description, points) in GAUGES {
        let (view, pipeline) = (Arc::clone(view), KeyValue::new("vigie.pipeline", pipeline.to_owned()));
        meter
            .f64_observable_gauge(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observer| {
                let points = points(&view.lock().unwrap_or_else(PoisonError::into_inner));
                for (value, mut attributes) in points {
                    attributes.insert(0, pipeline.clone());
                    observer.observe(value, &attributes);
                }
            })
            .build();
    }
}

/// The windows over all rows with the newest start among those that are `told`.
fn newest(view: &View, told: impl Fn(&Window) -> bool) -> Vec<&Window> {
    // Keys begin with clock and start.
    let mut windows =
        view.windows.values().rev().filter(|w| w.clock == Clock::EventTime && w.segment == "*" && told(w)).peekable();
    let Some(start) = windows.peek().map(|w| &w.window.start) else { return Vec::new() };
    windows.take_while(|w| &w.window.start == start).collect()
}

fn drift(view: &View, value: fn(&Drift) -> f64) -> Vec<Point> {
    let windows = newest(view, |w| w.version != "*" && !w.drift.is_empty());
    let mut columns: Vec<(&str, &str, &Drift)> = windows
        .iter()
        .flat_map(|w| w.drift.iter().map(|(column, drift)| (w.version.as_str(), column.as_str(), drift)))
        .collect();
    columns.sort_by(|a, b| b.2.psi.total_cmp(&a.2.psi).then_with(|| (a.0, a.1).cmp(&(b.0, b.1))));
    columns.truncate(COLUMNS_MAX);
    let attributes = |version: &str, column: &str| {
        vec![KeyValue::new("vigie.version", version.to_owned()), KeyValue::new("vigie.feature", column.to_owned())]
    };
    columns.into_iter().map(|(version, column, drift)| (value(drift), attributes(version, column))).collect()
}

fn accuracy(view: &View, metric: &str) -> Vec<Point> {
    let windows = newest(view, |w| w.labelled > 0);
    let point =
        |w: &Window| Some((w.metrics.get(metric)?.value, vec![KeyValue::new("vigie.version", w.version.clone())]));
    windows.into_iter().filter_map(point).collect()
}

// A share of a day's events that is small beside its neighbours shows a source that fell silent.
#[allow(clippy::cast_precision_loss)]
fn rows(view: &View) -> Vec<Point> {
    let windows = newest(view, |_| true);
    windows.into_iter().map(|w| (w.rows as f64, vec![KeyValue::new("vigie.version", w.version.clone())])).collect()
}

#[allow(clippy::cast_precision_loss)]
fn pending(view: &View) -> Vec<Point> {
    if view.join.is_empty() { Vec::new() } else { vec![(view.join_totals().pending as f64, Vec::new())] }
}

#[allow(clippy::cast_precision_loss)]
fn judged_until(view: &View) -> Vec<Point> {
    view.judged_until_ms.map(|ms| (ms as f64 / 1_000.0, Vec::new())).into_iter().collect()
}

/// By kind and tier; a kind that was raised before and is not now shows 0.
fn open_alerts(view: &View) -> Vec<Point> {
    let newest: BTreeMap<&str, _> = view.alerts.iter().map(|alert| (alert.id.as_str(), alert)).collect();
    let mut open: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for alert in newest.values() {
        *open.entry((&alert.name, &alert.tier)).or_default() += u32::from(alert.state != State::Resolved);
    }
    let attributes = |name: &str, tier: &str| {
        vec![KeyValue::new("vigie.alert.name", name.to_owned()), KeyValue::new("vigie.alert.tier", tier.to_owned())]
    };
    open.into_iter().map(|((name, tier), count)| (f64::from(count), attributes(name, tier))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::TopicRole;
    use serde_json::json;

    fn observe(view: &mut View, role: TopicRole, record: &serde_json::Value) {
        view.observe(role, Some(&serde_json::to_vec(record).unwrap()), |_| None);
        assert_eq!(view.unreadable, 0, "{record}");
    }

    fn window(day: u32, version: &str, labelled: u64) -> serde_json::Value {
        let metrics =
            if labelled > 0 { json!({"log_loss": {"value": 0.5, "low": null, "high": null}}) } else { json!({}) };
        json!({
            "window": {"start": format!("2013-04-{day:02}T00:00:00.000Z"), "end": format!("2013-04-{:02}T00:00:00.000Z", day + 1)},
            "clock": "event_time", "segment": "*", "version": version, "final": false, "rows": 10 * day,
            "labelled": labelled, "after_final": 0, "metrics": metrics, "baselines": {},
            "drift": {"distance": {"psi": 0.1 * f64::from(day), "threshold": 0.2, "p_value": 0.5, "drifted": false}},
        })
    }

    fn told(points: &[Point]) -> Vec<String> {
        let text = |(value, attributes): &Point| {
            let attributes: Vec<String> = attributes.iter().map(|a| a.value.to_string()).collect();
            format!("{} {value:.1}", attributes.join(" "))
        };
        points.iter().map(text).collect()
    }

    #[test]
    fn gauges_tell_the_newest_window_so_that_a_retired_version_disappears() {
        let mut view = View::default();
        assert!(GAUGES.iter().all(|(_, _, _, points)| points(&view).is_empty()), "nothing is known yet");
        for (day, versions) in [(1, ["*", "old"]), (2, ["*", "old"])] {
            versions.iter().for_each(|v| observe(&mut view, TopicRole::Windows, &window(day, v, 5)));
        }
        assert_eq!(told(&drift(&view, |d| d.psi)), ["old distance 0.2"]);
        assert_eq!(told(&accuracy(&view, "log_loss")), ["old 0.5", "* 0.5"]);
        for version in ["*", "new"] {
            observe(&mut view, TopicRole::Windows, &window(3, version, 0));
        }
        assert_eq!(told(&drift(&view, |d| d.psi)), ["new distance 0.3"]);
        assert_eq!(told(&rows(&view)), ["new 30.0", "* 30.0"]);
        assert_eq!(told(&accuracy(&view, "log_loss")), ["old 0.5", "* 0.5"], "the newest window with labels");
        for version in ["*", "new"] {
            observe(&mut view, TopicRole::Windows, &window(3, version, 5));
        }
        assert_eq!(told(&accuracy(&view, "log_loss")), ["new 0.5", "* 0.5"]);
        assert!(accuracy(&view, "rmse").is_empty());
    }

    #[test]
    fn an_alert_is_open_until_it_is_resolved() {
        let mut view = View::default();
        let alert = |id: &str, state: &str| {
            json!({
                "id": id, "name": "vigie.drift", "state": state, "tier": "feature", "value": 1.0, "threshold": 0.5,
                "window": {"start": "2013-04-01T00:00:00.000Z", "end": "2013-04-02T00:00:00.000Z"}, "segment": "*",
                "version": "v", "features": [], "example_ids": [], "run": null,
            })
        };
        let cases =
            [("a", "raised", 1), ("b", "raised", 2), ("a", "held", 2), ("a", "resolved", 1), ("b", "resolved", 0)];
        for (id, state, open) in cases {
            observe(&mut view, TopicRole::Alerts, &alert(id, state));
            assert_eq!(told(&open_alerts(&view)), [format!("vigie.drift feature {open}.0")], "{id} {state}");
        }
    }
}
