//! What a runner is told, and the librdkafka settings that follow from it.

use crate::error::Error;
use crate::secret::Secret;
use domain::TopicRole;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Bytes of a batch of records: the client's default, below the broker's default limit.
const WRITE_BYTES: usize = 1_000_000;

/// How to reach the brokers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// Bootstrap servers, `host:port,host:port`.
    pub brokers: String,
    /// Further librdkafka properties (security, time-outs). They win over ours.
    pub properties: BTreeMap<String, String>,
    /// Those of them that are never shown.
    pub secrets: BTreeMap<String, Secret>,
    /// Where the token for OAUTHBEARER is; read anew before it expires.
    pub oauth_token_file: Option<PathBuf>,
}

impl Connection {
    /// A connection without further properties.
    #[must_use]
    pub fn to(brokers: &str) -> Self {
        Self { brokers: brokers.to_owned(), ..Self::default() }
    }

    /// A client configuration: ours first, the user's properties over it.
    pub(crate) fn client(&self, ours: &[(&str, String)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        config.set("bootstrap.servers", &self.brokers);
        for (key, value) in ours {
            config.set(*key, value);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        for (key, secret) in &self.secrets {
            config.set(key, secret.reveal());
        }
        config
    }
}

/// Between two attempts to connect, at most.
const RECONNECT_MS: &str = "1000";

/// How often a client that is polled says which brokers it knows.
const STATISTICS_MS: &str = "5000";

/// What a reader of the outputs may count on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Outputs and input offsets move in one Kafka transaction.
    ExactlyOnce,
    /// Outputs are acknowledged before the offsets are committed; a crash repeats some.
    AtLeastOnce,
}

/// How the partitions of a group are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupProtocol {
    /// By its members, cooperatively: every broker can.
    Classic,
    /// By the broker (KIP-848): Kafka 4.0 and later.
    Consumer,
}

/// What to do where a committed offset is not in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfLog {
    /// End with an error.
    Fail,
    /// Below the log's start, retention has passed: say what is lost and go on at the first record.
    /// Beyond its end, the topic was made anew: end with an error.
    GoOn,
    /// Beyond the end too: go on at the first record, as if nothing had ever been committed.
    Reset,
}

/// Everything a runner needs to know.
#[derive(Debug, Clone)]
pub struct RunnerConfig {
    /// How to reach the brokers.
    pub connection: Connection,
    /// Consumer group.
    pub group: String,
    /// Unique per live process and runner, stable over a restart: see [`crate::instance_slot`].
    pub transactional_id: String,
    /// How the group's partitions are given out.
    pub group_protocol: GroupProtocol,
    /// Whether the group knows this runner by its transactional id: after a restart within the
    /// session it has its partitions back at once, after a stop they wait for the session to end.
    pub is_static_member: bool,
    /// What readers of the outputs may count on.
    pub delivery: Delivery,
    /// The topics read, with what they are to the stage. A topic has one role.
    pub subscriptions: Vec<(TopicRole, String)>,
    /// Names of the pipeline's topics: outputs, and the control topic where it is read.
    pub topics: BTreeMap<TopicRole, String>,
    /// Whether `p.control` is read to its end before the group is joined, and followed after.
    pub reads_control: bool,
    /// Whether the stage is given wall-clock ticks.
    pub ticks: bool,
    /// A partition at the end of its log for so long is marked idle; `None`: never.
    pub idle_after: Option<Duration>,
    /// A batch ends at this many records over all partitions.
    pub batch_rows_max: usize,
    /// A batch ends at this many bytes over all partitions.
    pub batch_bytes_max: usize,
    /// Bytes that every topic written to takes at once: no larger batch of records is sent.
    pub write_bytes_max: usize,
    /// What to do where a committed offset is not in the log.
    pub out_of_log: OutOfLog,
    /// Under load commits are this far apart; a record that finds the runner idle does not wait.
    pub commit_interval: Duration,
    /// A replaying stage is checkpointed every so many commits; 0: only at stop.
    pub checkpoint_every: u64,
    /// Memory for queues towards and from the broker. Passing it pauses input, loses nothing.
    pub memory_limit_bytes: usize,
    /// How long a stop may take; below the session time-out and the pod's grace.
    pub drain_timeout: Duration,
    /// Seed and greatest delay in milliseconds of a random pause per turn. For tests that show that
    /// batch cuts do not change a result.
    pub delay_ms: Option<(u64, u64)>,
}

impl RunnerConfig {
    /// Defaults for everything but names: 10,000 rows, 8 MiB, 100 ms, 64 MiB, exactly once.
    #[must_use]
    pub fn new(connection: Connection, group: &str, transactional_id: &str) -> Self {
        Self {
            connection,
            group: group.to_owned(),
            transactional_id: transactional_id.to_owned(),
            group_protocol: GroupProtocol::Classic,
            is_static_member: false,
            delivery: Delivery::ExactlyOnce,
            subscriptions: Vec::new(),
            topics: BTreeMap::new(),
            reads_control: false,
            ticks: false,
            idle_after: None,
            batch_rows_max: 10_000,
            batch_bytes_max: 8 << 20,
            write_bytes_max: WRITE_BYTES,
            out_of_log: OutOfLog::GoOn,
            commit_interval: Duration::from_millis(100),
            checkpoint_every: 100,
            memory_limit_bytes: 64 << 20,
            drain_timeout: Duration::from_secs(20),
            delay_ms: None,
        }
    }

    /// Settings of the consumer: read committed, nothing committed or stored by itself, an explicit
    /// error where a position is not in the log, and queues within half of the memory.
    pub(crate) fn consumer(&self) -> ClientConfig {
        let queued_kib = (self.memory_limit_bytes / 2 / 1024).clamp(1024, 2_000_000);
        let queued_rows = self.batch_rows_max.saturating_mul(4).clamp(1_000, 1_000_000);
        let fetch_bytes = (self.memory_limit_bytes / 4).clamp(1 << 20, 50 << 20);
        let mut ours = reader_settings(&self.group, queued_kib);
        ours.extend([
            ("queued.min.messages", queued_rows.to_string()),
            // Partitions added to a topic are found by then; the client's five minutes are long for
            // whoever waits for their events.
            ("topic.metadata.refresh.interval.ms", "30000".to_owned()),
            ("fetch.max.bytes", fetch_bytes.to_string()),
            ("fetch.message.max.bytes", (fetch_bytes / 4).max(1 << 20).to_string()),
            // A larger message than this is still fetched when it is the first of its partition.
            ("receive.message.max.bytes", (fetch_bytes + (64 << 20)).to_string()),
        ]);
        match self.group_protocol {
            GroupProtocol::Classic => {
                ours.push(("partition.assignment.strategy", "cooperative-sticky".to_owned()));
                // Short enough that a killed process holds its partitions up no longer than its
                // transaction does.
                ours.push(("session.timeout.ms", "15000".to_owned()));
            }
            // The client refuses the settings above: the broker has its own.
            GroupProtocol::Consumer => ours.push(("group.protocol", "consumer".to_owned())),
        }
        if self.is_static_member {
            ours.push(("group.instance.id", self.transactional_id.clone()));
        }
        self.connection.client(&ours)
    }

    /// Settings of the producer: idempotent, or transactional with a short time-out.
    pub(crate) fn producer(&self) -> ClientConfig {
        let queue_kib = (self.memory_limit_bytes / 4 / 1024).clamp(1024, 2_000_000);
        let mut ours = producer_settings(queue_kib);
        ours.push(("batch.size", self.write_bytes_max.clamp(1, WRITE_BYTES).to_string()));
        // That all is acknowledged shows in the flush; a report per record cost as much as a twentieth
        // of the daemon's time.
        ours.push(("delivery.report.only.error", "true".to_owned()));
        if self.delivery == Delivery::ExactlyOnce {
            ours.push(("transactional.id", self.transactional_id.clone()));
            // Readers of the outputs wait so long for a replica that died in a transaction.
            ours.push(("transaction.timeout.ms", "15000".to_owned()));
        }
        self.connection.client(&ours)
    }

    /// Name of the topic with a role.
    pub(crate) fn topic(&self, role: TopicRole) -> Result<&str, Error> {
        self.topics.get(&role).map(String::as_str).ok_or_else(|| Error::Settings(format!("no topic for role {role}")))
    }
}

/// Settings every reader shares: it sees committed records only, decides itself what is committed,
/// and a position outside the log is an error to it.
pub(crate) fn reader_settings(group: &str, queue_kib: usize) -> Vec<(&'static str, String)> {
    vec![
        ("group.id", group.to_owned()),
        ("enable.auto.commit", "false".to_owned()),
        ("enable.auto.offset.store", "false".to_owned()),
        ("isolation.level", "read_committed".to_owned()),
        ("enable.partition.eof", "true".to_owned()),
        ("auto.offset.reset", "error".to_owned()),
        ("allow.auto.create.topics", "false".to_owned()),
        ("queued.max.messages.kbytes", queue_kib.to_string()),
        ("fetch.queue.backoff.ms", "10".to_owned()),
        // An empty fetch is answered after this long; the embedded broker does not answer earlier when
        // something comes, so it is the latency of every hop there.
        ("fetch.wait.max.ms", "20".to_owned()),
        // A member of a group finds its coordinator by several connections, one after the other: with the
        // client's ten seconds, and half as much again by chance, between attempts, it was seen to come
        // back a minute after its broker.
        ("reconnect.backoff.max.ms", RECONNECT_MS.to_owned()),
        ("statistics.interval.ms", STATISTICS_MS.to_owned()),
    ]
}

/// Settings every producer shares.
pub(crate) fn producer_settings(queue_kib: usize) -> Vec<(&'static str, String)> {
    vec![
        ("enable.idempotence", "true".to_owned()),
        ("acks", "all".to_owned()),
        ("compression.type", "lz4".to_owned()),
        // A turn produces everything at once and then waits: a longer linger only adds latency.
        ("linger.ms", "2".to_owned()),
        ("queue.buffering.max.kbytes", queue_kib.to_string()),
        ("queue.buffering.max.messages", "500000".to_owned()),
        // Rejected records carry up to 64 KiB more than their source.
        ("message.max.bytes", (64 << 20).to_string()),
        ("statistics.interval.ms", STATISTICS_MS.to_owned()),
    ]
}
