//! A plain member of a group, for whoever hands records to the world outside: each record goes to
//! one member, and is given out again until its offset is committed.

use crate::consumer::push;
use crate::error::{Error, is_refusal};
use crate::rebalance::{Change, GroupContext};
use crate::settings::{Connection, reader_settings};
use domain::{RawBatch, SourcePartition, TopicRole};
use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

const QUERY_TIMEOUT: Duration = Duration::from_secs(10);
const READING: &str = "reading as a member of a group";

/// Reads a topic as a member of a group. At least once.
pub struct Subscriber {
    client: BaseConsumer<GroupContext>,
    role: TopicRole,
    brokers: String,
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("role", &self.role).finish_non_exhaustive()
    }
}

impl Subscriber {
    /// Joins. A group that has never committed begins where the topic ends now: what was written
    /// before anybody was there to hand it on is not news.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the broker does not answer, [`Error::Refused`] if it refuses.
    pub fn join(connection: &Connection, group: &str, role: TopicRole, topic: &str) -> Result<Self, Error> {
        let fail = |e: KafkaError| Error::of(&e, &connection.brokers, READING);
        let mut settings = reader_settings(group, 1_024);
        settings.push(("partition.assignment.strategy", "cooperative-sticky".to_owned()));
        settings.push(("session.timeout.ms", "15000".to_owned()));
        let config = connection.client(&settings);
        let client: BaseConsumer<GroupContext> =
            BaseConsumer::from_config_and_context(&config, GroupContext::of(connection)).map_err(fail)?;
        if client.context().common.shows_token() {
            crate::client::serve(&client);
        }
        let subscriber = Self { client, role, brokers: connection.brokers.clone() };
        subscriber.begin_at_the_end(topic).map_err(fail)?;
        subscriber.client.subscribe(&[topic]).map_err(fail)?;
        Ok(subscriber)
    }

    fn begin_at_the_end(&self, topic: &str) -> Result<(), KafkaError> {
        let metadata = self.client.fetch_metadata(Some(topic), QUERY_TIMEOUT)?;
        let mut asked = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|t| t.partitions()) {
            asked.add_partition(topic, partition.id());
        }
        let known = self.client.committed_offsets(asked, QUERY_TIMEOUT)?;
        let mut ends = TopicPartitionList::new();
        for element in known.elements().iter().filter(|e| !matches!(e.offset(), Offset::Offset(_))) {
            let (_, end) = self.client.fetch_watermarks(topic, element.partition(), QUERY_TIMEOUT)?;
            ends.add_partition_offset(topic, element.partition(), Offset::Offset(end))?;
        }
        // Another member may have joined meanwhile: it has done the same.
        if ends.count() > 0
            && let Err(error) = self.client.commit(&ends, CommitMode::Sync)
        {
            tracing::debug!(%error, "the group begins where another member said");
        }
        Ok(())
    }

    /// Takes at most so many records, waiting for the first no longer than `timeout`; a batch per
    /// partition.
    ///
    /// # Errors
    /// [`Error::Refused`] if the broker refuses; anything else passes by itself.
    pub fn poll(&mut self, rows_max: usize, timeout: Duration) -> Result<Vec<RawBatch>, Error> {
        self.client.context().common.find_again(self.client.client());
        let mut batches: BTreeMap<SourcePartition, RawBatch> = BTreeMap::new();
        let deadline = Instant::now() + timeout;
        let mut rows = 0;
        while rows < rows_max {
            let wait = if rows == 0 { deadline.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            match self.client.poll(wait) {
                Some(Ok(message)) => {
                    let source = SourcePartition::new(message.topic(), message.partition());
                    let batch = batches.entry(source).or_insert_with_key(|s| RawBatch::new(self.role, s.clone()));
                    push(batch, &message);
                    rows += 1;
                }
                Some(Err(KafkaError::MessageConsumption(code))) if is_refusal(code) => {
                    let error = KafkaError::MessageConsumption(code);
                    self.client.context().common.refused(&error, &self.brokers, READING)?;
                }
                Some(Err(_)) => (),
                None if rows > 0 || Instant::now() >= deadline => break,
                None => (),
            }
            for change in self.client.context().take() {
                match change {
                    // What was taken of a partition that went away is its next owner's.
                    Change::Revoked(gone) => batches.retain(|source, _| !gone.contains(source)),
                    Change::Failed(error) => return Err(error),
                    // Reading from its start again hands on twice what the group could not say.
                    Change::Assigned(_) | Change::Unknown(_) => (),
                }
            }
        }
        Ok(batches.into_values().collect())
    }

    /// Records of these batches are not given out again.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and the like; the records may come again then.
    pub fn commit(&self, batches: &[RawBatch]) -> Result<(), Error> {
        let mut list = TopicPartitionList::with_capacity(batches.len());
        for batch in batches {
            if let Some(last) = batch.last_offset() {
                let SourcePartition { topic, partition } = &batch.source;
                list.add_partition_offset(topic, *partition, Offset::Offset(last + 1))
                    .map_err(|e| Error::of(&e, &self.brokers, READING))?;
            }
        }
        if list.count() == 0 {
            return Ok(());
        }
        self.client.commit(&list, CommitMode::Sync).map_err(|e| Error::of(&e, &self.brokers, "committing offsets"))
    }
}
