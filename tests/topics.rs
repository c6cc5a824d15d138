//! What topics may do to a pipeline on real Kafka: limits below the user's, records nobody can read,
//! partitions that come later.

use crate::support::broker::{self, connection, unique};
use crate::support::vigie::{Pipeline, Record};
use kafka::{Error, Message, Need, NeedValue, Sender, TopicSpec, Topics};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const EVENTS: &str = "config/data/flights.parquet";
const LABELS: &str = "config/data/flight_labels.parquet";
const LIMIT: Duration = Duration::from_secs(120);
/// 2013-02-02T12:00:00Z.
const AT_MS: i64 = 1_359_806_400_000;
const MIB: usize = 1 << 20;
const POISON_ROWS: usize = 40_000;

/// A pipeline with a champion and its user topics; of events the largest record has four mebibytes.
fn pipeline(what: &str) -> (Pipeline, String) {
    let name = unique(what);
    let pipeline = Pipeline::of("flights.toml", &name, broker::address());
    let text = std::fs::read_to_string(pipeline.config()).unwrap();
    let families = "\"logistic_regression\", \"gradient_boosting\"";
    std::fs::write(pipeline.config(), text.replace(families, "\"logistic_regression\"")).unwrap();
    create(&format!("{name}-events"), 2, &[("max.message.bytes", "4194304")]);
    create(&format!("flight-outcomes-{name}"), 2, &[]);
    pipeline.run(&["train", "--events", EVENTS, "--labels", LABELS, "--until", "2013-02-01"]);
    (pipeline, name)
}

fn spec(name: &str, partitions: i32, settings: &[(&str, &str)]) -> TopicSpec {
    let config = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    TopicSpec { name: name.to_owned(), partitions, replication: 1, config, needs: Vec::new() }
}

fn create(name: &str, partitions: i32, settings: &[(&str, &str)]) {
    Topics::connect(&connection(), Duration::from_secs(30)).unwrap().ensure(&spec(name, partitions, settings)).unwrap();
}

fn event(id: &str, more: &str) -> Vec<u8> {
    let minute = "\"scheduled_departure_minute\":720,\"scheduled_block_minutes\":120";
    let place = "\"carrier\":\"UA\",\"origin\":\"EWR\",\"destination\":\"ORD\",\"distance\":719,\"weekday\":5";
    format!("{{\"event_id\":\"{id}\",\"event_time\":\"2013-02-02T12:00:00Z\",{minute},{place}{more}}}").into_bytes()
}

/// Key and value.
type Pair<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

fn send(topic: &str, partition: i32, records: &[Pair<'_>]) {
    let sender = Sender::new(&connection(), 64 << 20).unwrap();
    for (key, value) in records {
        let timestamp_ms = Some(AT_MS);
        let (key, value) = (*key, *value);
        let message = Message { topic, partition: Some(partition), key, value, timestamp_ms, headers: &[] };
        sender.send(&message).unwrap();
    }
    sender.flush(Duration::from_secs(60)).unwrap();
}

/// Letters that do not compress below three quarters of their length.
fn noise(length: usize) -> String {
    let mut state = 1_u32;
    let letter = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[(state >> 26) as usize])
    };
    (0..length).map(letter).collect()
}

fn ids(predictions: &[Record]) -> Vec<String> {
    let id = |r: &Record| serde_json::from_slice::<Value>(r.value.as_ref().unwrap()).unwrap()["id"].to_string();
    let mut ids: Vec<String> = predictions.iter().map(id).collect();
    ids.sort();
    ids
}

/// What the process has in memory now, in mebibytes.
fn resident_mib(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() / 1024
}

#[test]
fn what_is_too_large_or_poison_is_set_apart_and_the_rest_is_scored() {
    let (pipeline, name) = pipeline("large");
    let (events, rejected) = (format!("{name}-events"), format!("{name}.rejected"));
    // Somebody made them with a broker's usual limit of one mebibyte.
    let narrow = [("max.message.bytes", "1048588"), ("message.timestamp.after.max.ms", "9223372036854775807")];
    create(&format!("{name}.predictions"), 2, &narrow);
    create(&rejected, 2, &narrow);
    let noise = noise(2 * MIB);
    let padded = event("padded", &format!(",\"note\":\"{noise}\""));
    let (long_key, poison) = (noise.as_bytes(), noise.as_bytes());
    let small = event("small", "");
    let long_id = event(noise.get(..MIB).unwrap(), "");
    let records: [Pair<'_>; 5] = [
        (None, Some(&padded)),
        (Some(long_key), Some(&small)),
        (Some(b"key"), Some(poison)),
        (None, Some(&long_id)),
        (None, Some(&small)),
    ];
    let daemon = pipeline.daemon();
    send(&events, 0, &records);
    let predictions = pipeline.read_until(&format!("{name}.predictions"), 2, LIMIT);
    assert_eq!(ids(&predictions), ["\"padded\"", "\"small\""]);
    pipeline.read_until(&rejected, 3, LIMIT);
    let said = pipeline.run(&["rejected", "list", "--json"]);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reasons = json!({"json.syntax": 1, "prediction.size": 2});
    assert_eq!(lines.last().unwrap()["reasons"], reasons, "{said}");
    let poisoned = lines.iter().find(|l| l["reason"] == "json.syntax").unwrap();
    assert_eq!((&poisoned["truncated"], &poisoned["size_bytes"]), (&json!(true), &json!(2 * MIB)), "{poisoned}");

    // Nothing but poison: alive, bounded, and what comes after it is scored.
    let before = resident_mib(daemon.0.id());
    let poison = vec![b'{'; 2_000];
    let records: Vec<Pair<'_>> =
        (0..POISON_ROWS).map(|row| (None, (row % 10 > 0).then_some(poison.as_slice()))).collect();
    for partition in [0, 1] {
        send(&events, partition, &records);
        send(&events, partition, &[(None, Some(&event(&format!("after-{partition}"), "")))]);
    }
    pipeline.read_until(&rejected, 3 + 2 * POISON_ROWS, LIMIT);
    let predictions = pipeline.read_until(&format!("{name}.predictions"), 4, LIMIT);
    assert_eq!(ids(&predictions), ["\"after-0\"", "\"after-1\"", "\"padded\"", "\"small\""]);
    let after = resident_mib(daemon.0.id());
    assert!(after < before + 300, "{before} MiB before 150 MB of poison, {after} MiB after");
    assert_eq!(daemon.terminate().0, Some(0), "{}", pipeline.log());
}

#[test]
fn partitions_added_while_running_are_scored_and_the_next_start_knows_them() {
    let (pipeline, name) = pipeline("grown");
    let text = std::fs::read_to_string(pipeline.config()).unwrap();
    let often = "[kafka.properties]\n\"topic.metadata.refresh.interval.ms\" = \"500\"\n\n[topics]";
    assert!(text.contains("[topics]"));
    std::fs::write(pipeline.config(), text.replace("[topics]", often)).unwrap();
    let (events, predictions) = (format!("{name}-events"), format!("{name}.predictions"));
    let daemon = pipeline.daemon();
    send(&events, 1, &[(None, Some(&event("before", "")))]);
    pipeline.read_until(&predictions, 1, LIMIT);
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", broker::address()).create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let more = NewPartitions::new(&events, 5);
    let done = runtime.block_on(admin.create_partitions([&more], &AdminOptions::new())).unwrap();
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let began = std::time::Instant::now();
    while Topics::connect(&connection(), LIMIT).unwrap().partitions(&events).unwrap() != Some(5) {
        assert!(began.elapsed() < LIMIT, "the partitions do not appear");
    }
    send(&events, 4, &[(None, Some(&event("grown", "")))]);
    pipeline.read_until(&predictions, 2, LIMIT);
    assert_eq!(daemon.terminate().0, Some(0), "{}", pipeline.log());
    let daemon = pipeline.daemon();
    send(&events, 3, &[(None, Some(&event("restarted", "")))]);
    let found = pipeline.read_until(&predictions, 3, LIMIT);
    assert_eq!(ids(&found), ["\"before\"", "\"grown\"", "\"restarted\""]);
    assert_eq!(daemon.terminate().0, Some(0), "{}", pipeline.log());
}

#[test]
fn a_topic_with_settings_that_cannot_work_is_named_with_what_it_needs() {
    let topics = Topics::connect(&connection(), Duration::from_secs(30)).unwrap();
    let name = unique("narrow");
    create(&name, 1, &[("retention.ms", "1000"), ("max.message.bytes", "2000"), ("cleanup.policy", "delete")]);
    let check = |setting: &'static str, value: NeedValue, expected: Option<&str>| {
        let spec = TopicSpec { needs: vec![Need { setting, value }], ..spec(&name, 1, &[]) };
        match (topics.ensure(&spec), expected) {
            (Ok(()), None) => (),
            (Err(Error::TopicSetting { topic, found, expected: needed, .. }), Some(expected)) => {
                assert_eq!((topic.as_str(), format!("{found}, {needed}").as_str()), (name.as_str(), expected));
            }
            (other, expected) => panic!("{setting}: {other:?}, expected {expected:?}"),
        }
    };
    check("retention.ms", NeedValue::AtLeast(1000), None);
    check("retention.ms", NeedValue::AtLeast(1001), Some("1000, at least 1001"));
    check("max.message.bytes", NeedValue::AtLeast(1_000_000), Some("2000, at least 1000000"));
    check("cleanup.policy", NeedValue::Contains("compact"), Some("delete, compact"));
    check("cleanup.policy", NeedValue::Lacks("compact"), None);
    check("no.such.setting", NeedValue::AtLeast(1), None);
    let settings: BTreeMap<String, String> = topics.settings(&name).unwrap().unwrap();
    assert_eq!(settings.get("max.message.bytes").map(String::as_str), Some("2000"));
}
