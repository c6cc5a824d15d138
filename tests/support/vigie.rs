//! The built binary, run as a user runs it.

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as C;
use rdkafka::{Offset, TopicPartitionList};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(180);

/// The repository's top folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The binary beside this test's own.
pub(crate) fn binary() -> PathBuf {
    binary_named("vigie")
}

/// One of the binaries, `vigie` or `vigie-faulty`.
pub(crate) fn binary_named(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.parent().unwrap().parent().unwrap().join(name);
    let how = if name == "vigie" { "" } else { " --bin vigie-faulty --features daemon/faults" };
    assert!(path.exists(), "{} is not built; run: cargo build --workspace{how}", path.display());
    path
}

/// The flights configuration with the quickest of its families and so large a budget of false alarms
/// that a few quiet days raise some, for tests that are about neither training nor alarms.
pub(crate) fn quick_config(folder: &Path) -> PathBuf {
    let file = folder.join("demo.toml");
    let text = std::fs::read_to_string(root().join("config/flights.toml")).unwrap();
    let families = "\"logistic_regression\", \"gradient_boosting\"";
    assert!(text.contains(families), "the search is not shortened");
    let budget = "false_alarms = \"1 per 30d\"";
    assert!(text.contains(budget), "the budget is not widened");
    let text = text.replace(families, "\"logistic_regression\"").replace(budget, "false_alarms = \"40 per 1d\"");
    std::fs::write(&file, text).unwrap();
    file
}

/// A pipeline of its own: topics, registry and cache that no other test uses.
pub(crate) struct Pipeline {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) brokers: String,
}

impl Pipeline {
    /// Rewrites one of the repository's configurations.
    pub(crate) fn of(config: &str, name: &str, brokers: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(root().join("config").join(config)).unwrap();
        let own_name = text.lines().find_map(|l| l.strip_prefix("name = \"")).unwrap().trim_end_matches('"').to_owned();
        let events = text.lines().find_map(|l| l.strip_prefix("topic = \"")).unwrap().trim_end_matches('"').to_owned();
        let registry = format!("url = \"file://{}/registry\"", folder.path().display());
        let text = text
            .replace(&format!("name = \"{own_name}\""), &format!("name = \"{name}\""))
            .replace(&format!("topic = \"{events}\""), &format!("topic = \"{name}-events\""))
            .replace("-outcomes\"", &format!("-outcomes-{name}\""))
            .replace("url = \"file:///var/lib/vigie\"", &registry)
            .replace("localhost:9092", brokers)
            .replace("listen = \"127.0.0.1:8080\"", "listen = \"\"")
            .replace("idle_after = \"30s\"", "idle_after = \"1s\"");
        let pipeline = Self { folder, brokers: brokers.to_owned() };
        std::fs::write(pipeline.config(), text).unwrap();
        pipeline
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("pipeline.toml")
    }

    /// Runs a command to its end; gives standard output, and fails with what it said.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "vigie {arguments:?}: {}\n{}", output.status, text(&output.stderr));
        text(&output.stdout)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        let (first, rest) = arguments.split_first().unwrap();
        command.arg(first);
        if ["models", "rejected"].contains(first) {
            let (action, rest) = rest.split_first().unwrap();
            command.arg(action).arg("--config").arg(self.config()).args(rest);
        } else {
            command.arg("--config").arg(self.config()).args(rest);
        }
        command.current_dir(root());
        command
    }

    /// Starts the daemon.
    pub(crate) fn daemon(&self) -> Daemon {
        let log = std::fs::File::create(self.folder.path().join("daemon.log")).unwrap();
        let mut command = self.command(&["run"]);
        command.arg("--cache").arg(self.folder.path().join("cache"));
        Daemon(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default()
    }

    /// Every committed record of a topic, in offset order of each partition.
    pub(crate) fn read(&self, topic: &str) -> Vec<Record> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", "vigie-tests-reader")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
        let partitions = metadata.topics().first().map_or(0, |t| t.partitions().len());
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition as i32, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let (mut records, mut ended) = (Vec::new(), 0);
        while ended < partitions {
            match consumer.poll(Duration::from_secs(10)) {
                Some(Ok(m)) => records.push(Record {
                    value: m.payload().map(<[u8]>::to_vec),
                    timestamp_ms: m.timestamp().to_millis().unwrap_or(-1),
                }),
                Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
                // A broker that was just away.
                Some(Err(KafkaError::MessageConsumption(C::AllBrokersDown | C::BrokerTransportFailure))) => (),
                Some(Err(error)) => panic!("reading {topic}: {error}"),
                None => panic!("reading {topic}: nothing for 10 s"),
            }
        }
        records
    }

    /// Reads a topic again and again until it holds as many records.
    pub(crate) fn read_until(&self, topic: &str, wanted: usize, limit: Duration) -> Vec<Record> {
        let began = Instant::now();
        loop {
            let records = self.read(topic);
            if records.len() >= wanted {
                return records;
            }
            assert!(
                began.elapsed() < limit,
                "{topic} has {} of {wanted} records after {limit:?}; the daemon said:\n{}",
                records.len(),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

/// A record as a reader sees it.
pub(crate) struct Record {
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) timestamp_ms: i64,
}

/// A running daemon; killed when dropped.
pub(crate) struct Daemon(pub(crate) Child);

impl Daemon {
    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGTERM; gives the exit code and how long the drain took.
    pub(crate) fn terminate(mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return (status.code(), began.elapsed());
            }
            assert!(began.elapsed() < PATIENCE, "process {pid} did not end after SIGTERM");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.0.try_wait().ok().flatten().is_none() {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }
}
