//! A plain idempotent producer for whoever writes records outside a stage: replay, run reports,
//! commands.

use crate::delivery::flush_step;
use crate::error::{Error, code_of, is_unwritable};
use crate::progress::Progress;
use crate::rebalance::DeliveryContext;
use crate::settings::{Connection, producer_settings};
use domain::SourcePartition;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use std::fmt;
use std::time::{Duration, Instant};

/// A record to send.
#[derive(Debug, Clone, Copy, Default)]
pub struct Message<'a> {
    /// Topic it goes to.
    pub topic: &'a str,
    /// Partition; `None`: by the hash of the key.
    pub partition: Option<i32>,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Kafka timestamp; `None`: now.
    pub timestamp_ms: Option<i64>,
    /// Headers.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// Sends records and counts what the broker acknowledged.
pub struct Sender {
    producer: ThreadedProducer<DeliveryContext>,
    brokers: String,
    progress: Option<Progress>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("acknowledged", &self.acknowledged()).finish_non_exhaustive()
    }
}

impl Sender {
    /// Connects. Nothing is sent yet, so an unreachable broker shows at [`Sender::flush`].
    ///
    /// # Errors
    /// [`Error::Settings`] if the properties are not usable.
    pub fn new(connection: &Connection, memory_limit_bytes: usize) -> Result<Self, Error> {
        let queue_kib = (memory_limit_bytes / 1024).clamp(1024, 2_000_000);
        let config = connection.client(&producer_settings(queue_kib));
        let producer = ThreadedProducer::from_config_and_context(&config, DeliveryContext::of(connection))
            .map_err(|e| Error::of(&e, &connection.brokers, "opening a producer"))?;
        Ok(Self { producer, brokers: connection.brokers.clone(), progress: None })
    }

    /// Publishes written bytes, so that a replay can hold while groups are behind. Counts records
    /// with an explicit partition.
    #[must_use]
    pub fn publishing(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Queues a record. A full queue is back-pressure: this waits, and never drops.
    ///
    /// # Errors
    /// [`Error::Unwritable`] if the record can never be written, [`Error::Broken`] if the client
    /// cannot go on.
    pub fn send(&self, message: &Message<'_>) -> Result<(), Error> {
        let mut record = base_record(message);
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.context().common.find_again(self.producer.client());
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(refused(message.topic, &error, 1, &self.brokers)),
            }
        }
        if let (Some(progress), Some(partition)) = (&self.progress, message.partition) {
            let bytes = message.key.map_or(0, <[u8]>::len) + message.value.map_or(0, <[u8]>::len);
            progress.written(&SourcePartition::new(message.topic, partition), bytes as u64);
        }
        Ok(())
    }

    /// Waits until every queued record is acknowledged.
    ///
    /// # Errors
    /// The first failed delivery since the last call, or [`Error::Unreachable`] after `timeout`.
    pub fn flush(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        while !flush_step(&self.producer).unwrap_or(false) {
            self.producer.context().common.find_again(self.producer.client());
            if Instant::now() >= deadline {
                let what = format!("{} records unacknowledged", self.producer.in_flight_count());
                return Err(self.producer.context().common.unanswered(&what, &self.brokers, "flushing records"));
            }
        }
        match self.producer.context().take_failed() {
            None => Ok(()),
            Some(failed) => Err(refused(&failed.topic, &failed.error, failed.count, &self.brokers)),
        }
    }

    /// Records the broker has acknowledged since the start.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.producer.context().acknowledged()
    }

    /// Records queued or on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.producer.in_flight_count()).unwrap_or(0)
    }
}

fn base_record<'a>(message: &Message<'a>) -> BaseRecord<'a, [u8], [u8]> {
    let mut headers = None;
    if !message.headers.is_empty() {
        let mut owned = OwnedHeaders::new_with_capacity(message.headers.len());
        for (key, value) in message.headers {
            owned = owned.insert(Header { key, value: Some(*value) });
        }
        headers = Some(owned);
    }
    BaseRecord {
        topic: message.topic,
        partition: message.partition,
        payload: message.value,
        key: message.key,
        timestamp: message.timestamp_ms,
        headers,
        delivery_opaque: (),
    }
}

/// The error of a delivery that failed.
pub(crate) fn refused(topic: &str, error: &KafkaError, count: u64, brokers: &str) -> Error {
    match code_of(error) {
        Some(code) if is_unwritable(code) => {
            Error::Unwritable { topic: topic.to_owned(), reason: error.to_string(), count }
        }
        _ => Error::of(error, brokers, &format!("writing to topic {topic:?}")),
    }
}
