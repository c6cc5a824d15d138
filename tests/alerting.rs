//! From a drift that was planted to whoever is told: the OTLP receiver by name and attributes, and a
//! webhook through `/metrics`, the shipped rules, Prometheus and Alertmanager.

use crate::support::otlp::Receiver;
use crate::support::prometheus::{Alerting, Scrape};
use crate::support::vigie::{Daemon, binary, root};
use mock_collector::Protocol;
use serde_json::{Value, json};
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(300);
const DAY_MS: i64 = 86_400_000;
/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;
const DRIFT_DAY: i64 = 52;
const DAYS: i64 = 60;
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

/// Two columns and a label that follows the first; from one day on the first is 1.5 deviations higher.
fn write_data(folder: &Path) {
    let (mut events, mut labels) = (String::new(), String::new());
    for row in 0..DAYS * ROWS_A_DAY {
        let (id, seed) = (format!("e{row}"), row as u64);
        let time_ms = START_MS + row * (DAY_MS / ROWS_A_DAY);
        let moved = if row >= DRIFT_DAY * ROWS_A_DAY { 1.5 } else { 0.0 };
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

/// Replays the data and leaves the console open; gives its address and the closing table.
fn demo(folder: &Path, endpoint: &str) -> (Daemon, String, Value) {
    let summary = folder.join("summary.json");
    let mut command = Command::new(binary());
    command.args(["demo", "--until", "2026-02-10", "--no-retrain", "--keep", "--console", "127.0.0.1:0"]);
    for (flag, file) in [
        ("--config", "planted.toml"),
        ("--events", "events.jsonl"),
        ("--labels", "labels.jsonl"),
        ("--summary", "summary.json"),
    ] {
        command.arg(flag).arg(folder.join(file));
    }
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).current_dir(root());
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
    write_data(folder.path());
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
        let is_it = |log: &crate::support::otlp::Log| {
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
    assert_eq!(told("output").expect("the drift of the output is told").severity, 13);

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
