//! From a drift that was planted to whoever is told: the OTLP receiver by name and attributes, and a
//! webhook through `/metrics`, the shipped rules, Prometheus and Alertmanager.

use crate::support::broker;
use crate::support::otlp::{Log, Receiver};
use crate::support::prometheus::{Alerting, Scrape};
use crate::support::vigie::{Daemon, Pipeline, binary, root};
use mock_collector::Protocol;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(300);
const DAY_MS: i64 = 86_400_000;
/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;
const DRIFT_DAY: i64 = 52;
const DAYS: i64 = 60;
/// Days of a drift that passes.
const PASSING_DAYS: i64 = 3;
/// Days replayed with it: so many afterwards that it is found no more, whatever run of days found it.
const DAYS_WITH_PASSING: i64 = 95;
const ROWS_A_DAY: i64 = 400;

/// splitmix64, whose constants are those of Steele, Lea and Flood (2014); uniform in 0..1.
fn share(number: u64) -> f64 {
    let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A standard normal number: the sum of twelve uniform ones, less six.
fn normal(number: u64) -> f64 {
    (0..12).map(|i| share(number * 12 + i)).sum::<f64>() - 6.0
}

/// Two columns and a label that follows the first; on the days of the drift the first is 1.5 deviations
/// higher.
fn write_data(folder: &Path, days: i64, drift: Range<i64>) {
    let (mut events, mut labels) = (String::new(), String::new());
    for row in 0..days * ROWS_A_DAY {
        let (id, seed) = (format!("e{row}"), row as u64);
        let time_ms = START_MS + row * (DAY_MS / ROWS_A_DAY);
        let moved = if drift.contains(&(row / ROWS_A_DAY)) { 1.5 } else { 0.0 };
        let (load, noise) = (normal(3 * seed) + moved, normal(3 * seed + 1));
        let probability = 1.0 / (1.0 + (-1.5 * load).exp());
        let failed = u8::from(share(40 * seed + 39) < probability).to_string();
        let label_ms = time_ms + (share(40 * seed + 38) * 0.5 * DAY_MS as f64) as i64;
        writeln!(events, "{}", json!({"id": id, "time": time_ms, "load": load, "noise": noise})).unwrap();
        writeln!(labels, "{}", json!({"id": id, "failed": failed, "time": label_ms})).unwrap();
    }
    std::fs::write(folder.join("events.jsonl"), events).unwrap();
    std::fs::write(folder.join("labels.jsonl"), labels).unwrap();
    std::fs::write(folder.join("planted.toml"), CONFIG).unwrap();
}

const CONFIG: &str = r#"
version = 1
[pipeline]
name = "planted"
task = "binary_classification"
positive_class = "1"
[kafka]
brokers = "localhost:9092"
[events]
topic = "planted-events"
id = "id"
time = "time"
time_unit = "ms"
field = [{ name = "load", type = "float" }, { name = "noise", type = "float" }]
[labels]
topic = "planted-labels"
id = "id"
value = "failed"
time = "time"
time_unit = "ms"
horizon = "2d"
maturity = "1d"
[windows]
length = "1d"
[train]
families = ["logistic_regression"]
trials = 0
[alerts]
false_alarms = "1 per 30d"
[registry]
url = "file:///var/lib/vigie"
"#;

/// A replay of the data, told to a receiver.
fn replay(folder: &Path, endpoint: &str) -> Command {
    let mut command = Command::new(binary());
    command.args(["demo", "--until", "2026-02-10"]);
    for (flag, file) in [
        ("--config", "planted.toml"),
        ("--events", "events.jsonl"),
        ("--labels", "labels.jsonl"),
        ("--summary", "summary.json"),
    ] {
        command.arg(flag).arg(folder.join(file));
    }
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).current_dir(root());
    command
}

/// Replays the data and leaves the console open; gives its address and the closing table.
fn demo(folder: &Path, endpoint: &str) -> (Daemon, String, Value) {
    let mut command = replay(folder, endpoint);
    command.args(["--no-retrain", "--keep", "--console", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let daemon = Daemon(child);
    let (mut address, mut said) = (None, String::new());
    for line in lines.map_while(Result::ok) {
        if let Some((_, found)) = line.split_once("console: http://") {
            address = Some(found.trim().to_owned());
        }
        writeln!(said, "{line}").unwrap();
        if line.contains("the console stays open") {
            break;
        }
    }
    let address = address.unwrap_or_else(|| panic!("no console:\n{said}"));
    let summary = folder.join("summary.json");
    let summary = std::fs::read(summary).unwrap_or_else(|error| panic!("no closing table: {error}\n{said}"));
    (daemon, address, serde_json::from_slice(&summary).unwrap())
}

fn day(number: i64) -> String {
    // The replay is over in the first half of 2026.
    let (month, first) = if number < 31 {
        (1, 0)
    } else if number < 59 {
        (2, 31)
    } else {
        (3, 59)
    };
    format!("2026-{month:02}-{:02}", number - first + 1)
}

#[test]
fn a_planted_drift_reaches_whoever_is_to_be_told() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), DAYS, DRIFT_DAY..DAYS);
    let receiver = Receiver::start(Protocol::HttpBinary);
    let (daemon, address, summary) = demo(folder.path(), &receiver.endpoint());
    let alerts = summary["alerts"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for alert in alerts {
        assert!(text(&alert["raised"]) >= day(DRIFT_DAY), "raised before anything drifted: {alert}");
    }
    for tier in ["output", "feature"] {
        let raised = alerts.iter().find(|alert| alert["tier"] == tier).map(|alert| text(&alert["raised"]));
        assert!(raised.as_ref().is_some_and(|at| *at < day(DRIFT_DAY + 3)), "tier {tier}: {raised:?} of {alerts:?}");
    }

    let began = Instant::now();
    let told = |tier: &str| {
        let is_it = |log: &Log| {
            log.event == "vigie.drift.raised" && log.attributes.get("vigie.alert.tier").is_some_and(|t| t == tier)
        };
        receiver.logs().into_iter().find(is_it)
    };
    while told("feature").is_none() && began.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(100));
    }
    let feature = told("feature").expect("the drift of a feature is told");
    assert!(feature.attributes["vigie.features"].starts_with("load"), "{:?}", feature.attributes);
    assert_eq!(feature.attributes["vigie.pipeline"], "planted");
    let output = told("output").expect("the drift of the output is told");
    assert_eq!(output.severity, 13);
    assert!(feature.ids.0.len() == 32 && feature.ids.1.len() == 16, "{:?}", feature.ids);
    assert_ne!(feature.ids, output.ids, "each alert has a trace of its own");

    let shown = Scrape::of(&address);
    assert_eq!(shown.value("vigie_alert_open", &["vigie_alert_tier=\"output\""]), Some(1.0), "{}", shown.text);
    assert!(shown.value("vigie_drift_score", &["vigie_feature=\"load\""]).is_some_and(|psi| psi > 0.5));
    assert!(shown.value("vigie_score_predictions_total", &[]).is_some_and(|count| count > 1_000.0));
    assert!(shown.value("vigie_judge_evaluation_age_seconds", &[]).is_some());

    let alerting = Alerting::start(folder.path(), &address);
    let body = alerting.first(LIMIT, |alert| alert["labels"]["alertname"] == "VigieModelDrift");
    assert_eq!(body["labels"]["vigie_pipeline"], "planted", "{body}");
    assert_eq!(body["labels"]["severity"], "ticket", "{body}");
    assert_eq!(body["annotations"]["summary"], "planted: predictions have shifted", "{body}");
    let (code, _) = daemon.terminate();
    assert_eq!(code, Some(0));
}

/// The drift's log records and its span are one trace, and every run is a span.
#[test]
fn a_drift_that_passes_is_a_span_beside_its_log_records_and_so_is_each_run() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path(), DAYS_WITH_PASSING, DRIFT_DAY..DRIFT_DAY + PASSING_DAYS);
    let receiver = Receiver::start(Protocol::HttpBinary);
    let (path, traced) = told_to_trainers(folder.path());
    let output =
        replay(folder.path(), &receiver.endpoint()).args(["--console", ""]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&std::fs::read(folder.path().join("summary.json")).unwrap()).unwrap();

    let (logs, spans) = (receiver.logs(), receiver.spans());
    let of = |event: &str| logs.iter().filter(|log| log.event == event).collect::<Vec<&Log>>();
    let resolved = of("vigie.drift.resolved");
    assert!(!resolved.is_empty(), "the drift has not passed: {}", summary["alerts"]);
    for end in resolved {
        let id = &end.attributes["vigie.alert.id"];
        let start = of("vigie.drift.raised").into_iter().find(|log| log.attributes["vigie.alert.id"] == *id).unwrap();
        assert_eq!(start.ids, end.ids, "{id}");
        let its: Vec<_> = spans.iter().filter(|span| span.ids == end.ids).collect();
        assert_eq!(its.len(), 1, "{id} is no span: {spans:?}");
        assert_eq!((its[0].name.as_str(), &its[0].attributes["vigie.alert.id"]), ("vigie.drift", id));
        assert!(its[0].times.0 > 0 && its[0].times.0 <= its[0].times.1, "{:?}", its[0]);
    }

    let runs = summary["runs"].as_array().unwrap();
    assert!(!runs.is_empty(), "nothing was retrained");
    for run in runs {
        let number = run["run"].to_string();
        let is_its =
            |span: &&crate::support::otlp::Span| span.name == "vigie.run" && span.attributes["vigie.run"] == number;
        let its: Vec<_> = spans.iter().filter(is_its).collect();
        assert!(!its.is_empty(), "{run} is no span: {spans:?}");
        assert!(its.iter().all(|span| span.ids.0 == its[0].ids.0 && span.times.0 < span.times.1), "{its:?}");
        let last = &its[its.len() - 1].attributes;
        assert!(["promoted", "refused"].contains(&last["vigie.outcome"].as_str()), "{last:?}");
        assert_eq!(last["vigie.version"], run["version"].as_str().unwrap());
        let is_by_alarm = last["vigie.trigger"] == "harm";
        assert!(its.iter().all(|span| span.links.len() == usize::from(is_by_alarm)), "{its:?}");
    }
    let traced = std::fs::read_to_string(traced).unwrap();
    let runs = spans.iter().filter(|span| span.name == "vigie.run");
    let mut expected: Vec<String> = runs.map(|span| format!("00-{}-{}-01", span.ids.0, span.ids.1)).collect();
    let mut found: Vec<&str> = traced.lines().collect();
    expected.sort();
    found.sort_unstable();
    assert_eq!(found, expected, "what the process of each run finds in TRACEPARENT is the span of the run");
}

/// A `nice` before the real one, which writes down what it finds in TRACEPARENT: the search path with it,
/// and the file.
fn told_to_trainers(folder: &Path) -> (std::ffi::OsString, std::path::PathBuf) {
    let (first, file) = (folder.join("bin"), folder.join("traced"));
    std::fs::create_dir(&first).unwrap();
    let script =
        format!("#!/bin/sh\necho \"$TRACEPARENT\" >>'{}'\nPATH=\"${{PATH#*:}}\" exec nice \"$@\"\n", file.display());
    std::fs::write(first.join("nice"), script).unwrap();
    std::fs::set_permissions(first.join("nice"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path =
        std::env::join_paths([first].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())));
    (path.unwrap(), file)
}

/// Raised and resolved alerts of the topic, as (event, id).
fn written(pipeline: &Pipeline) -> BTreeSet<(String, String)> {
    let alerts = pipeline.read("told.alerts").into_iter().filter_map(|record| record.value);
    let alerts = alerts.map(|value| serde_json::from_slice::<Value>(&value).unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told = alerts.filter(|alert| alert["state"] != "held");
    told.map(|alert| (format!("{}.{}", text(&alert["name"]), text(&alert["state"])), text(&alert["id"]))).collect()
}

fn arrived(receiver: &Receiver) -> Vec<(String, String)> {
    receiver.logs().iter().map(|log| (log.event.clone(), log.attributes["vigie.alert.id"].clone())).collect()
}

fn until<T>(what: &str, pipeline: &Pipeline, condition: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(began.elapsed() < LIMIT, "never: {what}\n{}", pipeline.log());
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Two processes of one pipeline, a receiver that comes late, and the death of the process that told.
#[test]
fn alerts_wait_for_a_receiver_and_outlive_the_process_that_told_the_first() {
    let pipeline = Pipeline { folder: tempfile::tempdir().unwrap(), brokers: broker::address().to_owned() };
    let folder = pipeline.folder.path();
    write_data(folder, DAYS_WITH_PASSING, DRIFT_DAY..DRIFT_DAY + PASSING_DAYS);
    let registry = format!("file://{}/registry", folder.display());
    let config = CONFIG
        .replace("\"planted", "\"told")
        .replace("localhost:9092", &pipeline.brokers)
        .replace("file:///var/lib/vigie", &registry)
        .replace("[windows]\n", "[windows]\nidle_after = \"1s\"\n");
    std::fs::write(pipeline.config(), config + "[retrain]\non = []\n[console]\nlisten = \"\"\n").unwrap();
    let (events, labels) = (folder.join("events.jsonl"), folder.join("labels.jsonl"));
    let data = ["--events", events.to_str().unwrap(), "--labels", labels.to_str().unwrap()];
    pipeline.run(&[&["train"], &data[..], &["--until", "2026-02-10"]].concat());
    pipeline.run(&[&["produce"], &data[..], &["--from", "2026-02-10", "--days", "17"]].concat());

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let log = std::fs::File::create(folder.join("daemon.log")).unwrap();
    let start = |cache: &str| {
        let mut command = pipeline.command(&["run"]);
        command.arg("--cache").arg(folder.join(cache));
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}"));
        Daemon(command.stdout(Stdio::null()).stderr(log.try_clone().unwrap()).spawn().unwrap())
    };
    let mut daemons = vec![start("cache-1"), start("cache-2")];
    let raised = until("two alerts", &pipeline, || Some(written(&pipeline)).filter(|written| written.len() >= 2));
    until("that nobody listens is said", &pipeline, || {
        pipeline.log().contains("alerts do not reach the telemetry receiver").then_some(())
    });

    let receiver = Receiver::start_at(Protocol::HttpBinary, port);
    until("what was raised arrives", &pipeline, || (arrived(&receiver).len() >= raised.len()).then_some(()));
    assert_eq!(arrived(&receiver).into_iter().collect::<BTreeSet<_>>(), raised);
    assert_eq!(arrived(&receiver).len(), raised.len(), "each by one of two processes");
    let instance = receiver.logs()[0].resource["service.instance.id"].clone();
    let teller = daemons.iter().position(|daemon| instance.ends_with(&format!("-{}", daemon.0.id()))).unwrap();
    daemons.remove(teller).kill();

    pipeline.run(&[&["produce"], &data[..], &["--from", "2026-02-27", "--days", "40"]].concat());
    let is_over = |written: &BTreeSet<(String, String)>| written.len() == 2 * raised.len();
    let all = until("every alert is resolved", &pipeline, || Some(written(&pipeline)).filter(is_over));
    until("the other process tells the rest", &pipeline, || {
        (arrived(&receiver).into_iter().collect::<BTreeSet<_>>() == all).then_some(())
    });
    for log in receiver.logs() {
        let id = &log.attributes["vigie.alert.id"];
        let first = receiver.logs().into_iter().find(|first| first.attributes["vigie.alert.id"] == *id).unwrap();
        assert_eq!(first.ids, log.ids, "one trace, whoever tells it");
        // One that died before it committed has its last alerts told again.
        let is_resolved = log.event.ends_with(".resolved");
        assert!(!is_resolved || log.resource["service.instance.id"] != instance, "{}", log.event);
    }
    let (code, _) = daemons.remove(0).terminate();
    assert_eq!(code, Some(0), "{}", pipeline.log());
}

#[test]
fn the_shipped_rules_do_what_they_say() {
    let output = Command::new("promtool")
        .args(["test", "rules", "rules_test.yaml"])
        .current_dir(root().join("config/prometheus"))
        .output()
        .unwrap_or_else(|error| panic!("promtool: {error}; install it with: apt-get install -y prometheus"));
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{said}");
}
