//! What is so now, read from the view at each collection.
//!
//! Observable gauges report only what they see: a retired version is gone at the next collection,
//! where a gauge that is set would show its last value for ever.

use console::View;
use console::server::SharedView;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use records::alert::State;
use records::window::{Drift, Window};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Columns reported: those that drifted most. The SDK joins what is beyond 2,000 series into one.
const COLUMNS_MAX: usize = 200;

/// One value with its attributes.
type Point = (f64, Vec<KeyValue>);

/// One gauge, and where its values come from.
pub(super) struct Gauge {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) meaning: &'static str,
    points: fn(&View) -> Vec<Point>,
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    meaning: &'static str,
    points: fn(&View) -> Vec<Point>,
) -> Gauge {
    Gauge { name, unit, meaning, points }
}

/// Registered apart, for its values depend on when they are asked for.
const AGE: &str = "vigie.judge.evaluation_age";

// A PSI is no ratio: with the unit `1` a Prometheus name would end in `_ratio`.
pub(super) const GAUGES: [Gauge; 21] = [
    gauge("vigie.drift.score", "{score}", "Population stability index of a column in the newest window", |view| {
        drift(view, |drift| drift.psi)
    }),
    gauge(
        "vigie.drift.threshold",
        "{score}",
        "Index above which it counts as drift in a window of this size",
        |view| drift(view, |drift| drift.threshold),
    ),
    gauge(
        "vigie.drift.state",
        "{state}",
        "1 where a column drifted in the newest window taken alone, else 0",
        |view| drift(view, |drift| f64::from(u8::from(drift.drifted))),
    ),
    gauge("vigie.accuracy.log_loss", "{nat}", "Log loss in the newest labelled window", |v| accuracy(v, "log_loss")),
    gauge("vigie.accuracy.auc", "1", "Area under the ROC curve in the newest labelled window", |v| accuracy(v, "auc")),
    gauge("vigie.accuracy.accuracy", "1", "Share of right classes in the newest labelled window", |v| {
        accuracy(v, "accuracy")
    }),
    gauge("vigie.accuracy.brier", "{score}", "Brier score in the newest labelled window", |v| accuracy(v, "brier")),
    gauge("vigie.accuracy.mae", "{label}", "Mean absolute error in the newest labelled window", |v| accuracy(v, "mae")),
    gauge("vigie.accuracy.rmse", "{label}", "Root mean square error in the newest labelled window", |v| {
        accuracy(v, "rmse")
    }),
    gauge("vigie.anomaly.alert_rate", "1", "Share of anomalies in the newest final window", |v| {
        unlabelled(v, "alert_rate")
    }),
    gauge("vigie.anomaly.score", "{score}", "Mean score in the newest final window", |v| unlabelled(v, "score_mean")),
    gauge(
        "vigie.clustering.inertia",
        "{squared_distance}",
        "Mean squared distance from the centroid in the newest final window",
        |v| unlabelled(v, "inertia"),
    ),
    gauge("vigie.clustering.silhouette", "{silhouette}", "Silhouette of a sample of the newest final window", |v| {
        unlabelled(v, "silhouette")
    }),
    gauge("vigie.accuracy.estimated", "1", "Metric expected without labels in the newest window", estimated),
    gauge("vigie.accuracy.gap", "1", "Realised less estimated metric in the newest labelled window", gap),
    gauge("vigie.label.coverage", "1", "Share of predictions with a label in the newest window that says so", coverage),
    gauge("vigie.window.rows", "{event}", "Events scored in the newest closed window", rows),
    gauge("vigie.join.pending", "{prediction}", "Predictions that wait for a label", pending),
    gauge("vigie.judge.judged_until", "s", "Stream time up to which all is judged, since 1970", judged_until),
    gauge(AGE, "s", "Time since the judge last came further", |_| Vec::new()),
    gauge("vigie.alert.open", "{alert}", "Alerts raised and not resolved", open_alerts),
];

/// Registers the gauges.
pub(super) fn register(meter: &Meter, view: &SharedView, pipeline: &str) {
    for gauge in GAUGES {
        let (view, pipeline) = (Arc::clone(view), KeyValue::new("vigie.pipeline", pipeline.to_owned()));
        let age = Mutex::new(Age::default());
        meter
            .f64_observable_gauge(gauge.name)
            .with_unit(gauge.unit)
            .with_description(gauge.meaning)
            .with_callback(move |observer| {
                let view = view.lock().unwrap_or_else(PoisonError::into_inner);
                let mut points = (gauge.points)(&view);
                let judged_until_ms = view.judged_until_ms;
                drop(view);
                if gauge.name == AGE {
                    let age = age.lock().unwrap_or_else(PoisonError::into_inner).at(judged_until_ms, Instant::now());
                    points.extend(age.map(|age| (age.as_secs_f64(), Vec::new())));
                }
                for (value, mut attributes) in points {
                    attributes.insert(0, pipeline.clone());
                    observer.observe(value, &attributes);
                }
            })
            .build();
    }
}

/// Since when the judge stands where it does, as far as anybody asked.
#[derive(Default)]
struct Age(Option<(i64, Instant)>);

impl Age {
    fn at(&mut self, judged_until_ms: Option<i64>, now: Instant) -> Option<Duration> {
        let judged_until_ms = judged_until_ms?;
        let (_, since) =
            *self.0.filter(|(known_ms, _)| *known_ms == judged_until_ms).as_ref().unwrap_or(&(judged_until_ms, now));
        self.0 = Some((judged_until_ms, since));
        Some(now.saturating_duration_since(since))
    }
}

/// The windows over all rows with the newest start among those that are `told`.
fn newest(view: &View, told: impl Fn(&Window) -> bool) -> Vec<&Window> {
    // Keys begin with clock and start.
    let mut windows = view.windows.values().rev().filter(|w| told(w)).peekable();
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
    of_windows(newest(view, |w| w.labelled > 0), metric)
}

/// Without labels: of the newest final window, if it has the metric.
fn unlabelled(view: &View, metric: &str) -> Vec<Point> {
    let is_of_task = |w: &Window| w.metrics.contains_key("alert_rate") || w.metrics.contains_key("ambiguity");
    of_windows(newest(view, |w| w.r#final && is_of_task(w)), metric)
}

fn of_windows(windows: Vec<&Window>, metric: &str) -> Vec<Point> {
    let point =
        |w: &Window| Some((w.metrics.get(metric)?.value, vec![KeyValue::new("vigie.version", w.version.clone())]));
    windows.into_iter().filter_map(point).collect()
}

fn by_metric(windows: Vec<&Window>, value: fn(&Window) -> Vec<(&String, f64)>) -> Vec<Point> {
    let attributes = |w: &Window, metric: &str| {
        vec![KeyValue::new("vigie.version", w.version.clone()), KeyValue::new("vigie.metric", metric.to_owned())]
    };
    windows.into_iter().flat_map(|w| value(w).into_iter().map(|(m, v)| (v, attributes(w, m)))).collect()
}

fn estimated(view: &View) -> Vec<Point> {
    by_metric(newest(view, |w| !w.estimated.is_empty()), |w| w.estimated.iter().map(|(m, e)| (m, e.value)).collect())
}

fn gap(view: &View) -> Vec<Point> {
    by_metric(newest(view, |w| !w.realised_minus_estimated.is_empty()), |w| {
        w.realised_minus_estimated.iter().map(|(m, d)| (m, d.value)).collect()
    })
}

fn coverage(view: &View) -> Vec<Point> {
    let windows = newest(view, |w| w.coverage.is_some());
    windows.into_iter().filter_map(|w| w.coverage.map(|share| (share, Vec::new()))).collect()
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
        assert!(GAUGES.iter().all(|gauge| (gauge.points)(&view).is_empty()), "nothing is known yet");
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
    fn a_judge_that_stands_still_grows_old() {
        let (mut age, start) = (Age::default(), Instant::now());
        let mut at = |judged_until_ms, after_s| {
            age.at(judged_until_ms, start + Duration::from_secs(after_s)).map(|age| age.as_secs())
        };
        assert_eq!([at(None, 0), at(Some(7), 1), at(Some(7), 5)], [None, Some(0), Some(4)]);
        assert_eq!([at(Some(8), 6), at(Some(8), 8)], [Some(0), Some(2)]);
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
