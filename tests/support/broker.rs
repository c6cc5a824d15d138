//! One real Apache Kafka for all tests of the binary, started by `scripts/kafka`.

use domain::{RawBatch, TopicRole};
use kafka::{Connection, Message, Sender, Start, Tail, TopicSpec, Topics};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for what must happen; nothing is asserted about how long it takes.
const PATIENCE: Duration = Duration::from_secs(180);

/// Address of the broker. It ends, and its data vanishes, when this process ends.
/// `VIGIE_TEST_BROKERS` runs the same tests against a cluster that is already there.
pub(crate) fn address() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| {
        if let Ok(brokers) = std::env::var("VIGIE_TEST_BROKERS") {
            return brokers;
        }
        start(&["--fast"]).1
    })
}

/// Starts a broker that ends, and whose data vanishes, when this process ends. Its folder and address.
pub(crate) fn start(options: &[&str]) -> (PathBuf, String) {
    // In memory where that is possible: a broker whose disk stalls fences itself.
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let data = tempfile::Builder::new().prefix("vigie-kafka-").tempdir_in(parent).unwrap().keep();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kafka");
    let output = Command::new(script)
        .arg("start")
        .args(options)
        .arg("--data")
        .arg(&data)
        .env("VIGIE_KAFKA_PARENT", std::process::id().to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "no broker for the tests:\n{said}");
    (data, String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// A connection with time-outs for tests.
pub(crate) fn connection() -> Connection {
    let mut connection = Connection::to(address());
    // A loaded machine must not look like a dead process.
    connection.properties.insert("session.timeout.ms".to_owned(), "30000".to_owned());
    connection.properties.insert("heartbeat.interval.ms".to_owned(), "500".to_owned());
    connection.properties.insert("transaction.timeout.ms".to_owned(), "60000".to_owned());
    connection
}

/// A name no other test uses.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst))
}

/// Creates a topic.
pub(crate) fn create(topic: &str, partitions: i32) {
    let spec =
        TopicSpec { name: topic.to_owned(), partitions, replication: 1, config: BTreeMap::new(), needs: Vec::new() };
    Topics::connect(&connection(), Duration::from_secs(30)).unwrap().ensure(&spec).unwrap();
}

/// Writes records numbered `numbers` round robin over the partitions: key and value are the number.
pub(crate) fn fill(topic: &str, partitions: i32, numbers: std::ops::Range<i64>) {
    let sender = Sender::new(&connection(), 8 << 20).unwrap();
    let expected = numbers.end - numbers.start;
    for number in numbers {
        let text = number.to_string();
        let partition = i32::try_from(number % i64::from(partitions)).unwrap();
        let message = Message {
            topic,
            partition: Some(partition),
            key: Some(text.as_bytes()),
            value: Some(text.as_bytes()),
            headers: &[("number", text.as_bytes())],
            ..Message::default()
        };
        sender.send(&message).unwrap();
    }
    sender.flush(Duration::from_secs(30)).unwrap();
    assert_eq!(sender.acknowledged(), u64::try_from(expected).unwrap());
}

/// Everything committed in a topic: reads until `rows` records are there, and a little longer to see
/// whether more follow.
pub(crate) fn read(topic: &str, rows: usize) -> Vec<RawBatch> {
    let mut tail = Tail::new(&connection(), "reader", &[(TopicRole::Predictions, topic)], Start::Beginning).unwrap();
    let mut found = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    let mut quiet_until = None;
    loop {
        let batches = tail.poll(100_000, Duration::from_millis(200)).unwrap();
        found.extend(batches);
        let count: usize = found.iter().map(RawBatch::len).sum();
        if count >= rows && quiet_until.is_none() {
            quiet_until = Some(Instant::now() + Duration::from_millis(800));
        }
        if quiet_until.is_some_and(|end| Instant::now() >= end) {
            return found;
        }
        assert!(Instant::now() < deadline, "{topic} has {count} committed records, expected {rows}");
    }
}

/// Waits until a condition holds.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
