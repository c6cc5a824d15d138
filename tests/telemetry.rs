//! Alerts and metrics at an independent OTLP receiver, from the built binary as a user runs it.

use crate::support::otlp::{Log, Point, Receiver};
use crate::support::vigie::{binary, quick_config, root};
use mock_collector::Protocol;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};

/// A short demo that trains on January alone; gives what it said and its closing table.
fn demo(variables: &[(&str, &str)]) -> (Output, Value) {
    let folder = tempfile::tempdir().unwrap();
    let (config, summary) = (quick_config(folder.path()), folder.path().join("summary.json"));
    let output = Command::new(binary())
        .args(["demo", "--until", "2013-02-01", "--days", "8", "--no-retrain", "--console", ""])
        .args(["--config".as_ref(), config.as_os_str(), "--summary".as_ref(), summary.as_os_str()])
        .envs(variables.iter().copied())
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let summary = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
    (output, summary)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Each alert of the closing table as (event name, alert id): raised once, resolved at most once.
fn expected_events(summary: &Value) -> Vec<(String, String)> {
    let mut events = Vec::new();
    for alert in summary["alerts"].as_array().unwrap() {
        let (name, id) = (alert["name"].as_str().unwrap(), alert["id"].as_str().unwrap());
        events.push((format!("{name}.raised"), id.to_owned()));
        if !alert["resolved"].is_null() {
            events.push((format!("{name}.resolved"), id.to_owned()));
        }
    }
    events.sort();
    events
}

fn check_alerts(logs: &[Log], summary: &Value) {
    let mut events: Vec<_> =
        logs.iter().map(|log| (log.event.clone(), log.attributes["vigie.alert.id"].clone())).collect();
    events.sort();
    assert_eq!(events, expected_events(summary), "each alert arrives once, and nothing but alerts");
    let raised = |log: &&Log| ["vigie.drift.raised", "vigie.accuracy_loss.raised"].contains(&log.event.as_str());
    assert!(logs.iter().any(|log| raised(&log)), "no drift and no loss of accuracy was raised: {summary}");
    for log in logs {
        let attribute =
            |name: &str| log.attributes.get(name).unwrap_or_else(|| panic!("{} has no {name}", log.event)).as_str();
        let severity = match (log.event.ends_with(".resolved"), attribute("vigie.alert.tier")) {
            (true, _) => 9,
            (false, "page") => 17,
            (false, _) => 13,
        };
        assert_eq!(log.severity, severity, "{}", log.event);
        assert_eq!(attribute("vigie.pipeline"), "flights");
        assert_eq!(attribute("vigie.segment"), "*");
        assert_eq!(attribute("vigie.version").len(), 12);
        assert!(attribute("vigie.window.start") < attribute("vigie.window.end"));
        let (score, threshold): (f64, f64) =
            (attribute("vigie.score").parse().unwrap(), attribute("vigie.threshold").parse().unwrap());
        if log.event.ends_with("drift.raised") {
            // What labels say of the model's own estimates is about no column.
            let names_columns = attribute("vigie.alert.tier") == "concept" || !attribute("vigie.features").is_empty();
            assert!(score > threshold && names_columns, "{score} against {threshold}");
        }
        assert_eq!(log.resource["service.name"], "vigie-under-test", "OTEL_SERVICE_NAME is honoured");
        assert_eq!(log.resource["deployment.environment.name"], "test", "OTEL_RESOURCE_ATTRIBUTES is honoured");
        assert!(log.resource["service.instance.id"].len() > 1);
    }
}

/// All states of an alert belong to one span, which comes when the alert is resolved.
fn check_spans(receiver: &Receiver) {
    let (logs, spans) = (receiver.logs(), receiver.spans());
    let is_id = |id: &str, digits: usize| id.len() == digits && id.bytes().any(|digit| digit != b'0');
    let mut by_alert: BTreeMap<&str, &(String, String)> = BTreeMap::new();
    for log in &logs {
        assert!(is_id(&log.ids.0, 32) && is_id(&log.ids.1, 16), "{:?}", log.ids);
        let known = by_alert.entry(&log.attributes["vigie.alert.id"]).or_insert(&log.ids);
        assert_eq!(*known, &log.ids, "{} is in another trace than what was said before", log.event);
    }
    assert_eq!(by_alert.values().collect::<BTreeSet<_>>().len(), by_alert.len(), "two alerts share a trace");
    let resolved: Vec<&Log> = logs.iter().filter(|log| log.event.ends_with(".resolved")).collect();
    assert_eq!(spans.len(), resolved.len(), "{spans:?}");
    for log in resolved {
        let span = spans.iter().find(|span| span.ids == log.ids).unwrap_or_else(|| panic!("{} has no span", log.event));
        assert_eq!(format!("{}.resolved", span.name), log.event);
        assert!(span.times.0 > 0 && span.times.0 <= span.times.1, "{:?}", span.times);
        assert_eq!(span.attributes, log.attributes);
    }
}

/// The last export of a metric.
fn last(receiver: &Receiver, name: &str) -> Vec<Point> {
    receiver.metric(name).pop().unwrap_or_else(|| panic!("no {name} among {:?}", receiver.metric_names()))
}

fn values(points: &[Point], attribute: &str) -> BTreeMap<String, f64> {
    points.iter().map(|point| (point.attributes[attribute].clone(), point.value)).collect()
}

fn check_metrics(receiver: &Receiver, summary: &Value) {
    let total = |name: &str| last(receiver, name).iter().map(|p| p.value).sum::<f64>();
    assert_eq!(total("vigie.score.predictions"), summary["predictions"].as_f64().unwrap());
    assert_eq!(total("vigie.join.pending"), summary["pending"].as_f64().unwrap());
    let (scores, thresholds) = (last(receiver, "vigie.drift.score"), last(receiver, "vigie.drift.threshold"));
    assert!(scores.iter().chain(&thresholds).all(|point| point.unit == "{score}"), "a PSI is no ratio");
    let (scores, thresholds) = (values(&scores, "vigie.feature"), values(&thresholds, "vigie.feature"));
    assert!(scores.contains_key("prediction") && scores.len() > 10, "{scores:?}");
    assert!(scores.keys().eq(thresholds.keys()) && scores.values().any(|score| *score > 0.0));
    let log_loss = values(&last(receiver, "vigie.accuracy.log_loss"), "vigie.version");
    assert_eq!(log_loss.len(), 2, "all versions, and the champion: {log_loss:?}");
    assert!((0.2..1.0).contains(&log_loss["*"]), "{log_loss:?}");
    let alerts = summary["alerts"].as_array().unwrap();
    let open = alerts.iter().filter(|alert| alert["resolved"].is_null()).count();
    assert_eq!(total("vigie.alert.open"), open as f64);
    // The name says it: ours, dotted, without unit or `_total`.
    let names = receiver.metric_names();
    let odd: BTreeSet<&String> = names.iter().filter(|n| !n.starts_with("vigie.") || n.ends_with("_total")).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

fn check(protocol: Protocol, variables: &[(&str, &str)]) {
    let receiver = Receiver::start(protocol);
    let endpoint = receiver.endpoint();
    let common = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_SERVICE_NAME", "vigie-under-test"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    let (output, summary) = demo(&[&common, variables].concat());
    assert!(said(&output).contains(&format!("metrics and alerts go to {endpoint}")), "{}", said(&output));
    assert!(!said(&output).contains("do not reach"), "{}", said(&output));
    check_alerts(&receiver.logs(), &summary);
    check_spans(&receiver);
    check_metrics(&receiver, &summary);
}

/// Without a protocol named; metrics go out once, at the end: stopping hands over what is queued.
#[test]
fn alerts_and_metrics_arrive_by_http() {
    check(Protocol::HttpBinary, &[]);
}

/// Metrics go out again and again.
#[test]
fn alerts_and_metrics_arrive_by_grpc() {
    check(Protocol::Grpc, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_METRIC_EXPORT_INTERVAL", "300")]);
}

/// Nobody listens: said once for alerts and once for metrics, though each fails many times.
#[test]
fn a_dead_receiver_is_said_once_and_changes_nothing() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let (output, summary) = demo(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_METRIC_EXPORT_INTERVAL", "100")]);
    assert!(!expected_events(&summary).is_empty());
    let said = said(&output);
    for signal in ["alerts", "metrics"] {
        assert_eq!(said.matches(&format!("{signal} do not reach the telemetry receiver")).count(), 1, "{said}");
    }
    assert!(!said.contains("ExportError") && !said.contains("panicked"), "{said}");
}
