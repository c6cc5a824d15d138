//! What a `read_committed` reader gets.

use anyhow::{Context, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A record with everything that is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Partition it was read from.
    pub partition: i32,
    /// Its offset there; 0 where it is no part of a comparison.
    pub offset: i64,
    /// Kafka timestamp.
    pub stamp_ms: i64,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value.
    pub value: Option<Vec<u8>>,
    /// Headers in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = message
            .headers()
            .map(|headers| headers.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect());
        Self {
            partition: message.partition(),
            offset: message.offset(),
            stamp_ms: message.timestamp().to_millis().unwrap_or(-1),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
        }
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(String::from_utf8_lossy(value.as_deref()?).into_owned())
    }
}

fn reader(brokers: &str, isolation: &str) -> anyhow::Result<BaseConsumer> {
    reader_of(brokers, "proof-reader", isolation)
}

fn reader_of(brokers: &str, group: &str, isolation: &str) -> anyhow::Result<BaseConsumer> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .create()?)
}

/// Gives every committed record of a topic to `each`: partitions mixed, each in its order.
///
/// # Errors
/// If the topic cannot be read, or nothing comes for a minute.
pub fn each(brokers: &str, topic: &str, mut each: impl FnMut(Record)) -> anyhow::Result<()> {
    let consumer = reader(brokers, "read_committed")?;
    let partitions = partitions(&consumer, topic)?;
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut ended = BTreeSet::new();
    let mut last = Instant::now();
    while i32::try_from(ended.len())? < partitions {
        match consumer.poll(Duration::from_millis(500)) {
            Some(Ok(message)) => each(Record::of(&message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ended.insert(partition)),
            // The client connects again, and goes on where it was.
            Some(Err(error)) if is_away(&error) && last.elapsed() <= PATIENCE => continue,
            Some(Err(error)) => return Err(error).context(format!("reading {topic}")),
            None if last.elapsed() > PATIENCE => bail!("reading {topic}: nothing for {PATIENCE:?}"),
            None => continue,
        }
        last = Instant::now();
    }
    Ok(())
}

/// Whether it says no more than that a broker cannot be reached just now.
fn is_away(error: &KafkaError) -> bool {
    let away = [
        RDKafkaErrorCode::AllBrokersDown,
        RDKafkaErrorCode::BrokerTransportFailure,
        RDKafkaErrorCode::OperationTimedOut,
        RDKafkaErrorCode::Resolve,
    ];
    error.rdkafka_error_code().is_some_and(|code| away.contains(&code))
}

/// Asks until there is an answer: a broker that was just away may refuse to give one.
fn patiently<T>(ask: impl Fn() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let began = Instant::now();
    loop {
        match ask() {
            Err(_) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(200)),
            answer => return answer,
        }
    }
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<i32> {
    let metadata = patiently(|| consumer.fetch_metadata(Some(topic), PATIENCE))?;
    let found = metadata.topics().first().map_or(0, |t| t.partitions().len());
    anyhow::ensure!(found > 0, "topic {topic} does not exist");
    Ok(i32::try_from(found)?)
}

/// Sum of the last stable offsets of topics: it moves when anything is committed there.
///
/// # Errors
/// If the broker does not answer.
pub fn ends(brokers: &str, topics: &[String]) -> anyhow::Result<i64> {
    ends_by(brokers, topics, "read_committed")
}

/// Sum of the ends of topics: it moves when anything is written, though a frozen process has a
/// transaction open there.
///
/// # Errors
/// If the broker does not answer.
pub fn written(brokers: &str, topics: &[String]) -> anyhow::Result<i64> {
    ends_by(brokers, topics, "read_uncommitted")
}

/// Offset that a group has committed of a topic's first partition; 0 before there is one.
///
/// # Errors
/// If the broker does not answer.
pub fn committed(brokers: &str, group: &str, topic: &str) -> anyhow::Result<i64> {
    let consumer = reader_of(brokers, group, "read_committed")?;
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    let found = patiently(|| consumer.committed_offsets(list.clone(), PATIENCE))?;
    let offset = found.elements().first().map(rdkafka::topic_partition_list::TopicPartitionListElem::offset);
    Ok(if let Some(Offset::Offset(offset)) = offset { offset } else { 0 })
}

fn ends_by(brokers: &str, topics: &[String], isolation: &str) -> anyhow::Result<i64> {
    let consumer = reader(brokers, isolation)?;
    let mut sum = 0;
    for topic in topics {
        for partition in 0..partitions(&consumer, topic)? {
            sum += patiently(|| consumer.fetch_watermarks(topic, partition, PATIENCE))?.1;
        }
    }
    Ok(sum)
}
