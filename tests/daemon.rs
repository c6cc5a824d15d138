//! The daemon end to end, on real Kafka: as a user runs it, killed, restarted, drained.

use crate::support::broker;
use crate::support::vigie::{Pipeline, Record, binary};
use std::collections::BTreeSet;
use std::time::Duration;
use tests::proof::world::Broker;

const EVENTS: &str = "config/data/flights.parquet";
const LABELS: &str = "config/data/flight_labels.parquet";
const LIMIT: Duration = Duration::from_secs(120);

/// Trains on January and gives how many events and broken ones `produce` then sent.
fn train(pipeline: &Pipeline) {
    pipeline.run(&["train", "--events", EVENTS, "--labels", LABELS, "--until", "2013-02-01"]);
}

fn produce(pipeline: &Pipeline, from: &str, days: &str) -> usize {
    let said = pipeline.run(&[
        "produce",
        "--events",
        EVENTS,
        "--labels",
        LABELS,
        "--from",
        from,
        "--days",
        days,
        "--partitions",
        "4",
        "--broken",
    ]);
    said.split_whitespace().next().unwrap().parse().unwrap()
}

/// Each published prediction: well formed, each event coordinate once.
fn check_predictions(records: &[Record]) {
    let mut coordinates = BTreeSet::new();
    for record in records {
        let value: serde_json::Value = serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
        let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 8, "{value}");
        let probability = value["probability"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&probability), "{value}");
        assert_eq!(value["prediction"], if probability >= 0.5 { "1" } else { "0" }, "{value}");
        assert_eq!(value["version"].as_str().unwrap().len(), 12, "{value}");
        assert!(record.timestamp_ms > 0);
        let coordinate = format!("{}/{}/{}", value["topic"], value["partition"], value["offset"]);
        assert!(coordinates.insert(coordinate), "{value} was published twice");
    }
}

#[test]
fn every_event_is_scored_or_rejected_once_though_the_daemon_is_killed() {
    let pipeline = Pipeline::of("flights.toml", "killed", broker::address());
    train(&pipeline);
    let mut sent = produce(&pipeline, "2013-02-01", "8");
    let daemon = pipeline.daemon();
    pipeline.read_until("killed.predictions", 1, LIMIT);
    daemon.kill();
    let daemon = pipeline.daemon();
    sent += produce(&pipeline, "2013-02-09", "8");
    let rejected = pipeline.read("killed.rejected").len();
    pipeline.read_until("killed.predictions", sent - sent / 100 - rejected, LIMIT);
    daemon.kill();
    let daemon = pipeline.daemon();
    let total = || pipeline.read("killed.rejected").len() + pipeline.read("killed.predictions").len();
    let began = std::time::Instant::now();
    let labels_rejected = |records: &[Record]| {
        records.iter().filter(|r| r.value.as_ref().is_some_and(|v| !v.starts_with(b"{\"event_id\":"))).count()
    };
    while total() < sent && began.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(300));
    }
    let (code, drained) = daemon.terminate();
    assert_eq!(code, Some(0), "{}", pipeline.log());
    assert!(drained < Duration::from_secs(15), "the drain took {drained:?}");
    let (predictions, rejected) = (pipeline.read("killed.predictions"), pipeline.read("killed.rejected"));
    check_predictions(&predictions);
    assert_eq!(predictions.len() + rejected.len(), sent, "of them odd: {}", labels_rejected(&rejected));
}

#[test]
fn a_process_told_to_end_while_the_broker_is_away_ends_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path().join("kafka"), None, false).unwrap();
    let pipeline = Pipeline::of("flights.toml", "away", &broker.address);
    let text = std::fs::read_to_string(pipeline.config()).unwrap();
    let drain = "[kafka]\ndrain_timeout = \"3s\"\n";
    std::fs::write(pipeline.config(), text.replace("[kafka]\n", drain)).unwrap();
    train(&pipeline);
    let sent = produce(&pipeline, "2013-02-01", "20");
    let daemon = pipeline.daemon();
    pipeline.read_until("away.predictions", 1, LIMIT);
    broker.signal("STOP").unwrap();
    let (code, _) = daemon.terminate();
    let said = pipeline.log();
    println!("{said}");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("did not stop within 3000 ms"), "{said}");
    broker.signal("CONT").unwrap();
    // Whoever leaves a group waits behind its own joining, and that for members that could not leave
    // (a session of 15 s): longer than the limit above, within the default.
    std::fs::write(pipeline.config(), text).unwrap();
    let daemon = pipeline.daemon();
    let total = || pipeline.read("away.rejected").len() + pipeline.read("away.predictions").len();
    let began = std::time::Instant::now();
    while total() < sent && began.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(300));
    }
    let (code, _) = daemon.terminate();
    assert_eq!(code, Some(0), "{}", pipeline.log());
    let (predictions, rejected) = (pipeline.read("away.predictions"), pipeline.read("away.rejected"));
    check_predictions(&predictions);
    assert_eq!(predictions.len() + rejected.len(), sent);
}

#[test]
fn bad_input_gets_a_clear_message_and_a_stable_exit_code() {
    let pipeline = Pipeline::of("flights.toml", "faulty", broker::address());
    let fails = |arguments: &[&str], code: i32, says: &str| {
        let output = pipeline.command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?} said: {said}");
        assert!(!said.contains("panicked"), "{said}");
    };
    fails(&["run"], 1, "faulty-events");
    let train = |until| ["train", "--events", EVENTS, "--labels", LABELS, "--until", until];
    fails(&train("2012-01-01"), 3, "not enough");
    fails(&train("someday"), 1, "`someday` is not a time");
    fails(&["train", "--events", "nowhere.parquet", "--labels", LABELS], 1, "nowhere.parquet");
    fails(&["models", "show", "champion"], 1, "no champion");
    fails(&["models", "show", "../../etc"], 1, "is not a version");
    let text = std::fs::read_to_string(pipeline.config()).unwrap();
    std::fs::write(pipeline.config(), text.replace("horizon", "horizn")).unwrap();
    fails(&["check"], 64, "did you mean `horizon`?");
    std::fs::write(pipeline.config(), text.replace(&pipeline.brokers, "127.0.0.1:1")).unwrap();
    fails(&["run"], 1, "127.0.0.1:1");
}

#[test]
fn two_files_are_compared_without_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.csv"), "x,s\n1.5,a\n2.5,b\n3.5,a\n").unwrap();
    std::fs::write(folder.path().join("new.csv"), "x,s\n1.5,a\n,a\n").unwrap();
    let compare = |rest: &[&str]| {
        let files = ["compare", "--reference", "old.csv", "--current", "new.csv"];
        std::process::Command::new(binary()).args(files).args(rest).current_dir(folder.path()).output().unwrap()
    };
    for rules in ["vigie", "evidently", "nannyml"] {
        let output = compare(&["--rules", rules, "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&said["rules"], &said["columns"][0]["missing_current"]), (&rules.into(), &0.5.into()), "{said}");
    }
    let refused = compare(&["--columns", "y"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("column `y` is not in old.csv, which has x, s"));
}
