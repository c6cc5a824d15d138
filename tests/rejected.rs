//! Rejected records on real Kafka: listed, shown, mended and replayed, as a user does it.

use crate::support::broker;
use crate::support::vigie::{Pipeline, Record};
use kafka::{Message, Sender};
use serde_json::{Value, json};
use std::time::Duration;

const EVENTS: &str = "config/data/flights.parquet";
const LABELS: &str = "config/data/flight_labels.parquet";
const LIMIT: Duration = Duration::from_secs(120);
/// 2013-02-02T12:00:00Z.
const BROKEN_AT_MS: i64 = 1_359_806_400_000;
const NOT_UTF8: &[u8] = b"{\"event_id\":\"\xff\xfe\"}\x00\r\n";
const NO_ORIGIN: &[u8] =
    br#"{"event_id":"no-origin","event_time":"2013-02-02T12:00:00Z","scheduled_departure_minute":720}"#;

/// A pipeline whose name no other run has, with the quickest family.
fn pipeline() -> (Pipeline, String) {
    let name = broker::unique("mended");
    let pipeline = Pipeline::of("flights.toml", &name, broker::address());
    change(&pipeline, "\"logistic_regression\", \"gradient_boosting\"", "\"logistic_regression\"");
    (pipeline, name)
}

fn change(pipeline: &Pipeline, from: &str, to: &str) {
    let text = std::fs::read_to_string(pipeline.config()).unwrap();
    assert!(text.contains(from), "the configuration does not say {from}");
    std::fs::write(pipeline.config(), text.replace(from, to)).unwrap();
}

/// Three events, each broken in another way and on another partition.
fn send_broken(topic: &str) {
    let sender = Sender::new(&broker::connection(), 8 << 20).unwrap();
    for (partition, key, value) in
        [(1, Some(&b"no-origin"[..]), Some(NO_ORIGIN)), (2, None, Some(NOT_UTF8)), (3, Some(&b"gone"[..]), None)]
    {
        let headers: [(&str, &[u8]); 1] = [("trace", b"abc")];
        let timestamp_ms = Some(BROKEN_AT_MS);
        sender
            .send(&Message { topic, partition: Some(partition), key, value, timestamp_ms, headers: &headers })
            .unwrap();
    }
    sender.flush(Duration::from_secs(30)).unwrap();
}

/// Lines of `list --json`, and the last one apart.
fn list(pipeline: &Pipeline, filters: &[&str]) -> (Vec<Value>, Value) {
    let said = pipeline.run(&[&["rejected", "list", "--json"], filters].concat());
    let mut lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let total = lines.pop().unwrap();
    (lines, total)
}

/// Place of the record refused for a reason.
fn place(lines: &[Value], reason: &str) -> String {
    let line = lines.iter().find(|l| l["reason"] == reason).unwrap_or_else(|| panic!("no {reason} in {lines:?}"));
    line["place"].as_str().unwrap().to_owned()
}

fn says(pipeline: &Pipeline, arguments: &[&str], expected: &[&str]) {
    let said = pipeline.run(arguments);
    for text in expected {
        assert!(said.contains(text), "vigie {arguments:?} does not say {text:?} but:\n{said}");
    }
}

fn fails(pipeline: &Pipeline, arguments: &[&str], expected: &str) {
    let output = pipeline.command(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "vigie {arguments:?}: {said}");
    assert!(said.contains(expected) && !said.contains("panicked"), "vigie {arguments:?} said: {said}");
}

/// What `list` and `show` say of the three.
fn check_reading(pipeline: &Pipeline, events: &str) -> Vec<Value> {
    let (lines, total) = list(pipeline, &[]);
    let reasons = json!({"field.missing": 1, "json.encoding": 1, "value.null": 1});
    assert_eq!(total, json!({"matched": 3, "shown": 3, "reasons": reasons}));
    for line in &lines {
        assert_eq!((&line["topic"], &line["stage"]), (&Value::from(events), &Value::from("score")), "{line}");
        assert_eq!(line["time"], "2013-02-02T12:00:00.000Z", "{line}");
        assert_eq!(line["replayed"], false, "{line}");
    }
    let source = format!("{events}/1@");
    says(
        pipeline,
        &["rejected", "list"],
        &["field.missing", &source, "column `origin` is missing", "3 rejected records"],
    );
    let narrow = ["--reason", "json.encoding", "--stage", "score", "--topic", events, "--since", "2013-02-02"];
    assert_eq!(list(pipeline, &narrow).0.len(), 1);
    assert_eq!(list(pipeline, &["--since", "2013-02-03"]).1["matched"], 0);
    let (shown, total) = list(pipeline, &["--limit", "1"]);
    assert_eq!((shown.len(), &total["matched"]), (1, &Value::from(3)), "the limit does not change the counts");

    let not_utf8 = place(&lines, "json.encoding");
    let raw = pipeline.command(&["rejected", "show", &not_utf8, "--raw"]).output().unwrap();
    assert_eq!((raw.status.code(), raw.stdout.as_slice()), (Some(0), NOT_UTF8));
    says(pipeline, &["rejected", "show", &not_utf8], &["trace: abc", "00000000  7b 22", "vigie.reason: json.encoding"]);
    let text = std::str::from_utf8(NO_ORIGIN).unwrap();
    says(pipeline, &["rejected", "show", &place(&lines, "field.missing")], &["key        no-origin", text]);
    says(pipeline, &["rejected", "show", &place(&lines, "value.null")], &["value      null"]);
    fails(pipeline, &["rejected", "show", "0@999999"], "no record at 0@999999");
    fails(pipeline, &["rejected", "show", "44@0"], "no partition 44");
    fails(pipeline, &["rejected", "show", "17"], "`17` is not a place");
    fails(pipeline, &["rejected", "replay", "0@999999"], "no record at 0@999999");
    lines
}

fn of_no_origin(records: &[Record]) -> Vec<&Record> {
    let is_it = |r: &&Record| r.value.as_deref().is_some_and(|v| v.starts_with(b"{\"id\":\"no-origin\""));
    records.iter().filter(is_it).collect()
}

#[test]
fn rejected_records_are_listed_shown_and_replayed_once() {
    let (pipeline, name) = pipeline();
    let (events, rejected) = (format!("{name}-events"), format!("{name}.rejected"));
    pipeline.run(&["train", "--events", EVENTS, "--labels", LABELS, "--until", "2013-02-01"]);
    pipeline.run(&["produce", "--events", EVENTS, "--labels", LABELS, "--from", "2013-02-01", "--days", "1"]);
    send_broken(&events);
    let sent = pipeline.read(&events).len();
    let daemon = pipeline.daemon();
    pipeline.read_until(&rejected, 3, LIMIT);
    let lines = check_reading(&pipeline, &events);
    pipeline.read_until(&format!("{name}.predictions"), sent - 3, LIMIT);
    assert_eq!(daemon.terminate().0, Some(0), "{}", pipeline.log());

    let origin = "{ name = \"origin\", type = \"category\"";
    change(&pipeline, &format!("{origin}, required = true }}"), &format!("{origin} }}"));
    says(&pipeline, &["rejected", "replay", "--dry-run"], &["3 would be sent, 0 skipped, 0 truncated"]);
    assert_eq!(pipeline.read(&events).len(), sent, "a dry run sends nothing");
    says(&pipeline, &["rejected", "replay", &place(&lines, "field.missing")], &["1 sent, 0 skipped, 0 truncated"]);
    says(&pipeline, &["rejected", "replay"], &["2 sent, 1 skipped, 0 truncated"]);
    let copies = pipeline.read(&events);
    assert_eq!(copies.len(), sent + 3);
    let same = |r: &&Record| r.value.as_deref() == Some(NOT_UTF8) && r.timestamp_ms == BROKEN_AT_MS;
    assert_eq!(copies.iter().filter(same).count(), 2, "the copy is the original, byte by byte");

    let daemon = pipeline.daemon();
    let predictions = pipeline.read_until(&format!("{name}.predictions"), sent - 2, LIMIT);
    let scored = of_no_origin(&predictions);
    assert_eq!(scored.iter().map(|r| r.timestamp_ms).collect::<Vec<_>>(), [BROKEN_AT_MS]);
    let prediction: Value = serde_json::from_slice(scored[0].value.as_ref().unwrap()).unwrap();
    assert_eq!(prediction["partition"], 1, "a copy goes to the partition of its original");
    pipeline.read_until(&rejected, 5, LIMIT);
    let (lines, total) = list(&pipeline, &[]);
    assert_eq!(total["reasons"], json!({"field.missing": 1, "json.encoding": 2, "value.null": 2}));
    assert_eq!(lines.iter().filter(|l| l["replayed"] == true).count(), 2, "{lines:?}");
    let copy = lines.iter().find(|l| l["replayed"] == true && l["reason"] == "json.encoding").unwrap();
    let copy = copy["place"].as_str().unwrap();
    let replayed = format!("vigie.replayed: {rejected}/2/");
    says(&pipeline, &["rejected", "show", copy], &["trace: abc", &replayed, "vigie.reason: json.encoding"]);
    says(&pipeline, &["rejected", "replay", copy], &["0 sent, 1 skipped, 0 truncated"]);
    says(&pipeline, &["rejected", "replay"], &["0 sent, 5 skipped, 0 truncated"]);
    assert_eq!(pipeline.read(&events).len(), sent + 3, "nothing is replayed a second time");
    let again = ["rejected", "replay", "--again", "--dry-run", "--reason", "value.null"];
    says(&pipeline, &again, &["2 would be sent, 0 skipped"]);
    assert_eq!(daemon.terminate().0, Some(0), "{}", pipeline.log());
}
