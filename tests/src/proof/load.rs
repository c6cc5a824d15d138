//! The load generator: events with run, partition, sequence and checksum, labels that come later,
//! and the ledger of what the broker acknowledged.

use super::mix;
use anyhow::{Context, ensure};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Partitions of the events topic.
pub const EVENT_PARTITIONS: usize = 4;
/// Partitions of the labels topic: another number on purpose.
pub const LABEL_PARTITIONS: usize = 3;
/// Stamps begin at the last multiple of this.
const START_EVERY_MS: i64 = 6 * 3_600_000;
/// Stream time between two events of a partition.
const STEP_MS: i64 = 100;
/// Length of a window, as the configuration has it.
const WINDOW_MS: i64 = 60_000;
/// Stream time between an event and its label, at most; below the label horizon.
const DELAY_MAX_MS: u64 = 6 * 60_000;
/// Beyond every horizon: what is stamped so late closes all windows.
const CLOSING_MS: i64 = 3 * 3_600_000;
/// One label in so many events of a partition is cut off.
const BAD_LABEL_EVERY: u64 = 307;
const YEAR_MS: i64 = 365 * 86_400_000;
/// Nearly the broker's default limit for a message, which the topic keeps.
const LARGE_BYTES: usize = 1_048_588 - 600;

/// Event time of the first event, some hours ago.
///
/// Not longer: a broker that is killed forgets producers whose last record is stamped more than a day
/// ago (`producer.id.expiration.ms` goes by record timestamps), and then takes a batch that is sent
/// again as a new one. The generator's own batches were seen twice in a log for that reason.
#[must_use]
pub fn start_ms() -> i64 {
    static START: OnceLock<i64> = OnceLock::new();
    *START.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        now_ms - now_ms.rem_euclid(START_EVERY_MS)
    })
}

/// What an event is, and so what must become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As it should be.
    Good,
    /// Stamped a year ahead: scored, and moves no watermark.
    Future,
    /// At the topic's size limit.
    Large,
    /// Cut off.
    Truncated,
    /// A text where a number belongs.
    WrongType,
    /// No value.
    Tombstone,
    /// At the size limit, and cut off.
    LargeTruncated,
}

impl Kind {
    fn of(sequence: u64) -> Self {
        match sequence {
            1_000 => Self::Large,
            1_500 => Self::LargeTruncated,
            s if s % 97 == 13 => Self::Truncated,
            s if s % 97 == 31 => Self::WrongType,
            s if s % 211 == 7 => Self::Tombstone,
            s if s % 503 == 11 => Self::Future,
            _ => Self::Good,
        }
    }

    /// The reason with which it must be rejected, if it must.
    #[must_use]
    pub fn rejection(self) -> Option<&'static str> {
        match self {
            Self::Good | Self::Future | Self::Large => None,
            Self::Truncated | Self::LargeTruncated => Some("json.syntax"),
            Self::WrongType => Some("field.type"),
            Self::Tombstone => Some("value.null"),
        }
    }
}

/// One event as it was written.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its id: run, partition, sequence.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Event time in the payload.
    pub time_ms: i64,
    /// Kafka timestamp.
    pub stamp_ms: i64,
    /// The payload.
    pub value: Option<Vec<u8>>,
    /// Its true label.
    pub label: &'static str,
}

fn share(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}

/// An event is a function of the run's seed and its place, so the checker need not keep payloads.
#[must_use]
pub fn event(seed: u64, partition: usize, sequence: u64) -> Event {
    let base = mix(seed ^ mix((partition as u64) << 40 | sequence));
    let (x, y) = (share(mix(base ^ 1)), share(mix(base ^ 2)) * 2.0 - 1.0);
    let group = ["a", "b", "c", "d"][(mix(base ^ 3) % 4) as usize];
    let chance = 1.0 / (1.0 + (-(4.0 * (x - 0.5) + 2.0 * y)).exp());
    let label = if share(mix(base ^ 4)) < chance { "1" } else { "0" };
    let kind = Kind::of(sequence);
    let stamp_ms = start_ms() + sequence as i64 * STEP_MS + (mix(base ^ 5) % 100) as i64;
    let time_ms = if kind == Kind::Future { stamp_ms + YEAR_MS } else { stamp_ms };
    let id = format!("{seed}-{partition}-{sequence}");
    let x_text = if kind == Kind::WrongType { "\"much\"".to_owned() } else { format!("{x:.6}") };
    let filler = match kind {
        Kind::Large | Kind::LargeTruncated => "z".repeat(LARGE_BYTES),
        _ => String::new(),
    };
    let body = format!(
        "{{\"id\":\"{id}\",\"time\":{time_ms},\"x\":{x_text},\"y\":{y:.6},\"group\":\"{group}\",\"filler\":\"{filler}\",\"checksum\":\"{base:016x}\"}}"
    );
    let mut value = body.into_bytes();
    if matches!(kind, Kind::Truncated | Kind::LargeTruncated) {
        value.truncate(value.len() - 7);
    }
    let value = (kind != Kind::Tombstone).then_some(value);
    Event { id, kind, time_ms, stamp_ms, value, label }
}

/// The last event of a partition, stamped so late that it closes all windows.
#[must_use]
pub fn closing(seed: u64, partition: usize, sequence: u64) -> Event {
    let time_ms = start_ms() + sequence as i64 * STEP_MS + CLOSING_MS;
    let id = format!("{seed}-{partition}-closing");
    let value = format!("{{\"id\":\"{id}\",\"time\":{time_ms},\"x\":0.5,\"y\":0.5,\"group\":\"a\"}}").into_bytes();
    Event { id, kind: Kind::Good, time_ms, stamp_ms: time_ms, value: Some(value), label: "1" }
}

/// Offsets the broker acknowledged, per event partition by sequence; -1 where it has not.
pub type Acknowledged = Vec<Vec<i64>>;

#[derive(Debug, Default)]
struct Ledger {
    offsets: Mutex<Acknowledged>,
    failed: AtomicU64,
}

/// Marks the delivery of a label, whose place nobody asks for.
const IS_LABEL: usize = usize::MAX;

impl ClientContext for Ledger {}

impl ProducerContext for Ledger {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, place: usize) {
        match result {
            Ok(message) if place != IS_LABEL => {
                let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
                let partition = offsets.get_mut(place >> 40);
                if let Some(slot) = partition.and_then(|p| p.get_mut(place & ((1 << 40) - 1))) {
                    *slot = message.offset();
                }
            }
            Ok(_) => (),
            Err(_) => {
                self.failed.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// A generator under way.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<anyhow::Result<Acknowledged>>,
}

/// Where and how much to write.
#[derive(Debug, Clone)]
pub struct Target {
    /// Bootstrap servers.
    pub brokers: String,
    /// Topic of the events.
    pub events: String,
    /// Topic of the labels.
    pub labels: String,
    /// Seed of everything written.
    pub seed: u64,
    /// Events a second, over all partitions.
    pub rate: u64,
}

impl Load {
    /// Starts writing.
    ///
    /// # Errors
    /// If no producer can be made.
    pub fn start(target: Target) -> anyhow::Result<Self> {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &target.brokers).set("enable.idempotence", "true");
        // An outage is no reason to give an event up.
        config.set("message.timeout.ms", "3600000").set("linger.ms", "5");
        config.set("message.max.bytes", "4000000");
        let producer: ThreadedProducer<Ledger> = ThreadedProducer::from_config_and_context(&config, Ledger::default())?;
        let mut writer = Writer { target, producer, due: BTreeMap::new(), sequence: 0, written: Arc::clone(&written) };
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            writer.write_until(&told)?;
            writer.close()
        });
        Ok(Self { stop, written, thread })
    }

    /// Events written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Ends the load with records that close all windows, and waits for every acknowledgement.
    ///
    /// # Errors
    /// If something was not acknowledged.
    pub fn end(self) -> anyhow::Result<Acknowledged> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().map_err(|_| anyhow::anyhow!("the load generator panicked"))?
    }
}

struct Writer {
    target: Target,
    producer: ThreadedProducer<Ledger>,
    /// Labels by the time at which they are known.
    due: BTreeMap<(i64, String), Vec<u8>>,
    sequence: u64,
    written: Arc<AtomicU64>,
}

impl Writer {
    fn write_until(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let began = Instant::now();
        while !stop.load(Ordering::SeqCst) {
            let due = u64::try_from(began.elapsed().as_millis()).unwrap_or(0) * self.target.rate / 1000;
            while self.sequence * (EVENT_PARTITIONS as u64) < due {
                self.step()?;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// One event in each partition, and the labels known by then.
    fn step(&mut self) -> anyhow::Result<()> {
        let sequence = self.sequence;
        self.sequence += 1;
        for partition in 0..EVENT_PARTITIONS {
            let event = event(self.target.seed, partition, sequence);
            self.keep_label(&event, sequence);
            self.write_event(partition, sequence, &event)?;
        }
        let now_ms = start_ms() + sequence as i64 * STEP_MS;
        let later = self.due.split_off(&(now_ms, String::new()));
        if sequence % BAD_LABEL_EVERY == 5 {
            self.write_label(0, now_ms, b"{\"id\":")?;
        }
        for ((time_ms, id), label) in std::mem::replace(&mut self.due, later) {
            self.write_label(mix(hash(&id)) as usize % LABEL_PARTITIONS, time_ms, &label)?;
        }
        Ok(())
    }

    /// Nine of ten are labelled; some twice, some corrected later.
    fn keep_label(&mut self, event: &Event, sequence: u64) {
        let chance = mix(hash(&event.id));
        if sequence % 10 == 9 || event.kind.rejection().is_some() {
            return;
        }
        let first_ms = event.stamp_ms + (chance % DELAY_MAX_MS) as i64;
        let mut keep = |time_ms: i64, label: &str| {
            let id = &event.id;
            let text = format!("{{\"id\":\"{id}\",\"label\":\"{label}\",\"label_time\":{time_ms}}}");
            self.due.insert((time_ms, id.clone()), text.into_bytes());
        };
        keep(first_ms, event.label);
        match chance >> 32 {
            c if c % 50 == 0 => keep(first_ms + 1_000, event.label),
            c if c % 100 == 1 => keep(first_ms + 2_000, if event.label == "1" { "0" } else { "1" }),
            _ => (),
        }
    }

    fn write_event(&self, partition: usize, sequence: u64, event: &Event) -> anyhow::Result<()> {
        {
            let mut offsets = self.producer.context().offsets.lock().unwrap_or_else(PoisonError::into_inner);
            offsets.resize(EVENT_PARTITIONS, Vec::new());
            if let Some(slots) = offsets.get_mut(partition) {
                slots.push(-1);
            }
        }
        let place = partition << 40 | usize::try_from(sequence)?;
        let mut record = BaseRecord::<'_, [u8], [u8], usize>::with_opaque_to(&self.target.events, place)
            .partition(i32::try_from(partition)?)
            .timestamp(event.stamp_ms)
            .key(event.id.as_bytes());
        if let Some(value) = &event.value {
            record = record.payload(value.as_slice());
        }
        self.send(record)?;
        self.written.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn write_label(&self, partition: usize, time_ms: i64, label: &[u8]) -> anyhow::Result<()> {
        let record = BaseRecord::<'_, [u8], [u8], usize>::with_opaque_to(&self.target.labels, IS_LABEL)
            .partition(i32::try_from(partition)?)
            .timestamp(time_ms)
            .payload(label);
        self.send(record)
    }

    fn send(&self, mut record: BaseRecord<'_, [u8], [u8], usize>) -> anyhow::Result<()> {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    std::thread::sleep(Duration::from_millis(2));
                    record = back;
                }
                Err((error, _)) => return Err(error).context("the load generator cannot write"),
            }
        }
    }

    /// What is still due, then one record beyond every horizon in each partition of both topics.
    fn close(&mut self) -> anyhow::Result<Acknowledged> {
        for ((time_ms, id), label) in std::mem::take(&mut self.due) {
            self.write_label(mix(hash(&id)) as usize % LABEL_PARTITIONS, time_ms, &label)?;
        }
        let end_ms = start_ms() + self.sequence as i64 * STEP_MS + CLOSING_MS;
        for partition in 0..EVENT_PARTITIONS {
            self.write_event(partition, self.sequence, &closing(self.target.seed, partition, self.sequence))?;
        }
        for partition in 0..LABEL_PARTITIONS {
            let text = format!("{{\"id\":\"closing-{partition}\",\"label\":\"1\",\"label_time\":{end_ms}}}");
            self.write_label(partition, end_ms, text.as_bytes())?;
        }
        self.producer.flush(Duration::from_secs(600)).context("the last records were not acknowledged")?;
        let ledger = self.producer.context();
        let failed = ledger.failed.load(Ordering::SeqCst);
        ensure!(failed == 0, "{failed} records were not acknowledged");
        Ok(ledger.offsets.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Rows to train on: the same world, before [`start_ms`].
#[must_use]
pub fn training_rows(rows: u64) -> (String, String) {
    let (mut events, mut labels) = (String::new(), String::new());
    for sequence in 0..rows {
        let mut one = event(u64::MAX, 0, sequence);
        if one.kind != Kind::Good {
            one = event(u64::MAX, 0, sequence + rows);
        }
        let Some(value) = one.value.filter(|_| one.kind == Kind::Good) else { continue };
        let time_ms = one.time_ms;
        let shifted = time_ms - (rows as i64 + 1) * 2 * STEP_MS - DELAY_MAX_MS as i64;
        let text =
            String::from_utf8_lossy(&value).replace(&format!("\"time\":{time_ms}"), &format!("\"time\":{shifted}"));
        events.push_str(&text);
        events.push('\n');
        let (id, label) = (&one.id, one.label);
        labels.push_str(&format!("{{\"id\":\"{id}\",\"label\":\"{label}\",\"label_time\":{}}}\n", shifted + 60_000));
    }
    (events, labels)
}

/// Labels that cannot be read, among those written beside so many events per partition.
#[must_use]
pub fn bad_labels(events_per_partition: u64) -> u64 {
    (0..events_per_partition).filter(|sequence| sequence % BAD_LABEL_EVERY == 5).count() as u64
}

/// Start of the window in which an event of this sequence is stamped.
#[must_use]
pub fn window_start_ms(sequence: u64) -> i64 {
    let stamp_ms = start_ms() + sequence as i64 * STEP_MS;
    stamp_ms - stamp_ms.rem_euclid(WINDOW_MS)
}
