//! A plain reader of whole topics, outside any group: the control topic, the console, the summary.

use crate::client::serve;
use crate::consumer::push;
use crate::error::{Error, is_refusal};
use crate::rebalance::GroupContext;
use crate::settings::Connection;
use domain::{RawBatch, SourcePartition, TopicRole};
use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// Where reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first record there is.
    Beginning,
    /// After the last record there is.
    End,
}

/// Reads every partition of some topics. Sees committed records only.
pub struct Tail {
    client: BaseConsumer<GroupContext>,
    brokers: String,
    roles: BTreeMap<String, TopicRole>,
    /// End of each log when reading began, until it is reached.
    ends: BTreeMap<SourcePartition, i64>,
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("roles", &self.roles).field("ends", &self.ends).finish_non_exhaustive()
    }
}

impl Tail {
    /// Starts reading. The group is only a name (for access rules): it is neither joined nor are
    /// offsets committed to it.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`] if a topic does not exist, [`Error::Unreachable`] if the broker does
    /// not answer.
    pub fn new(
        connection: &Connection,
        group: &str,
        topics: &[(TopicRole, &str)],
        start: Start,
    ) -> Result<Self, Error> {
        let config = connection.client(&[
            ("group.id", group.to_owned()),
            ("enable.auto.commit", "false".to_owned()),
            ("enable.auto.offset.store", "false".to_owned()),
            ("isolation.level", "read_committed".to_owned()),
            ("enable.partition.eof", "true".to_owned()),
            ("auto.offset.reset", "error".to_owned()),
            ("allow.auto.create.topics", "false".to_owned()),
            ("queued.max.messages.kbytes", "8192".to_owned()),
            ("fetch.queue.backoff.ms", "10".to_owned()),
            // An empty fetch is answered after this long; the embedded broker does not answer earlier when
            // something comes, so it is the latency of every hop there.
            ("fetch.wait.max.ms", "20".to_owned()),
        ]);
        let brokers = connection.brokers.clone();
        let fail = |e: KafkaError| Error::of(&e, &brokers, "reading topics");
        let client = BaseConsumer::from_config_and_context(&config, GroupContext::of(connection)).map_err(fail)?;
        if client.context().common.shows_token() {
            serve(&client);
        }
        let mut list = TopicPartitionList::new();
        let mut ends = BTreeMap::new();
        for (_, topic) in topics {
            let metadata = client.fetch_metadata(Some(topic), QUERY_TIMEOUT).map_err(fail)?;
            let found = metadata.topics().iter().find(|t| t.name() == *topic);
            if let Some(code) = found.and_then(|t| t.error()).map(RDKafkaErrorCode::from).filter(|c| is_refusal(*c)) {
                let doing = format!("reading topic {topic:?}");
                return Err(Error::refused(code, &brokers, &doing, &code.to_string()));
            }
            let found = found.filter(|t| t.error().is_none());
            let Some(found) = found.filter(|t| !t.partitions().is_empty()) else {
                return Err(Error::UnknownTopic((*topic).to_owned()));
            };
            for partition in found.partitions() {
                let (low, high) = client.fetch_watermarks(topic, partition.id(), QUERY_TIMEOUT).map_err(fail)?;
                let from = if start == Start::End { high } else { low };
                list.add_partition_offset(topic, partition.id(), Offset::Offset(from)).map_err(fail)?;
                if from < high {
                    ends.insert(SourcePartition::new(topic, partition.id()), high);
                }
            }
        }
        client.assign(&list).map_err(fail)?;
        let roles = topics.iter().map(|(role, topic)| ((*topic).to_owned(), *role)).collect();
        Ok(Self { client, brokers, roles, ends })
    }

    /// Takes at most so many records, waiting for the first one no longer than `timeout`; a batch
    /// per partition, in partition order.
    ///
    /// # Errors
    /// [`Error::Refused`] or [`Error::Broken`] if reading cannot go on.
    pub fn poll(&mut self, rows_max: usize, timeout: Duration) -> Result<Vec<RawBatch>, Error> {
        let mut batches: BTreeMap<SourcePartition, RawBatch> = BTreeMap::new();
        let deadline = Instant::now() + timeout;
        let mut rows = 0;
        while rows < rows_max {
            let wait = if rows == 0 { deadline.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            match self.client.poll(wait) {
                Some(Ok(message)) => {
                    let Some(role) = self.roles.get(message.topic()) else { continue };
                    let source = SourcePartition::new(message.topic(), message.partition());
                    let batch = batches.entry(source).or_insert_with_key(|s| RawBatch::new(*role, s.clone()));
                    push(batch, &message);
                    rows += 1;
                }
                Some(Err(error)) => self.note(&error)?,
                None if rows > 0 || Instant::now() >= deadline => break,
                None => (),
            }
        }
        Ok(batches.into_values().collect())
    }

    /// Whether everything that was there when reading began has been given out.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the client has lost its assignment.
    pub fn caught_up(&mut self) -> Result<bool, Error> {
        if !self.ends.is_empty() {
            let position = self.client.position().map_err(|e| Error::of(&e, &self.brokers, "reading topics"))?;
            self.ends.retain(|source, end| {
                let at = position.find_partition(&source.topic, source.partition).map(|e| e.offset());
                !matches!(at, Some(Offset::Offset(offset)) if offset >= *end)
            });
        }
        Ok(self.ends.is_empty())
    }

    /// First offset and end of a partition's log.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the broker does not answer.
    pub fn bounds(&self, source: &SourcePartition) -> Result<(i64, i64), Error> {
        self.client
            .fetch_watermarks(&source.topic, source.partition, QUERY_TIMEOUT)
            .map_err(|e| Error::of(&e, &self.brokers, &format!("reading the bounds of {source}")))
    }

    fn note(&self, error: &KafkaError) -> Result<(), Error> {
        use RDKafkaErrorCode as C;
        let doing = "reading topics";
        match error {
            KafkaError::MessageConsumption(C::AutoOffsetReset) | KafkaError::MessageConsumptionFatal(_) => {
                Err(Error::Broken { doing: doing.to_owned(), reason: error.to_string() })
            }
            // The group is only a name here.
            KafkaError::MessageConsumption(C::GroupAuthorizationFailed) => Ok(()),
            KafkaError::MessageConsumption(code) if is_refusal(*code) => {
                self.client.context().common.refused(error, &self.brokers, doing)
            }
            _ => Ok(()),
        }
    }
}
