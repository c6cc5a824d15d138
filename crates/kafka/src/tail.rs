//! A plain reader of whole topics, outside any group: the control topic, the console, the summary.

use crate::client::serve;
use crate::consumer::push;
use crate::error::{Error, is_refusal};
use crate::rebalance::GroupContext;
use crate::settings::{Connection, reader_settings};
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
/// What an error says was being done.
const READING: &str = "reading topics";

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
        let client = open(connection, group)?;
        let from = if start == Start::End { i64::MAX } else { 0 };
        let mut starts = Vec::new();
        for (_, topic) in topics {
            let metadata = client
                .fetch_metadata(Some(topic), QUERY_TIMEOUT)
                .map_err(|e| Error::of(&e, &connection.brokers, READING))?;
            let found = metadata.topics().iter().find(|t| t.name() == *topic);
            if let Some(code) = found.and_then(|t| t.error()).map(RDKafkaErrorCode::from).filter(|c| is_refusal(*c)) {
                let doing = format!("reading topic {topic:?}");
                return Err(Error::refused(code, &connection.brokers, &doing, &code.to_string()));
            }
            let found = found.filter(|t| t.error().is_none());
            let Some(found) = found.filter(|t| !t.partitions().is_empty()) else {
                return Err(Error::UnknownTopic((*topic).to_owned()));
            };
            starts.extend(found.partitions().iter().map(|p| (SourcePartition::new(topic, p.id()), from)));
        }
        let roles = topics.iter().map(|(role, topic)| ((*topic).to_owned(), *role)).collect();
        Self::assigned(client, connection, roles, starts)
    }

    /// Starts reading some partitions at offsets of theirs; one outside the log stands for the
    /// nearest that is in it. The group is only a name, as above.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the broker does not answer, or does not know a partition.
    pub fn at(
        connection: &Connection,
        group: &str,
        role: TopicRole,
        starts: Vec<(SourcePartition, i64)>,
    ) -> Result<Self, Error> {
        let roles = starts.iter().map(|(source, _)| (source.topic.to_string(), role)).collect();
        Self::assigned(open(connection, group)?, connection, roles, starts)
    }

    fn assigned(
        client: BaseConsumer<GroupContext>,
        connection: &Connection,
        roles: BTreeMap<String, TopicRole>,
        starts: Vec<(SourcePartition, i64)>,
    ) -> Result<Self, Error> {
        let brokers = connection.brokers.clone();
        let fail = |e: KafkaError| Error::of(&e, &brokers, READING);
        let mut list = TopicPartitionList::with_capacity(starts.len());
        let mut ends = BTreeMap::new();
        for (source, offset) in starts {
            let bounds = client.fetch_watermarks(&source.topic, source.partition, QUERY_TIMEOUT);
            let (low, high) = bounds.map_err(fail)?;
            let from = offset.max(low).min(high);
            list.add_partition_offset(&source.topic, source.partition, Offset::Offset(from)).map_err(fail)?;
            if from < high {
                ends.insert(source, high);
            }
        }
        client.assign(&list).map_err(fail)?;
        Ok(Self { client, brokers, roles, ends })
    }

    /// Takes at most so many records, waiting for the first one no longer than `timeout`; a batch
    /// per partition, in partition order.
    ///
    /// # Errors
    /// [`Error::Refused`] or [`Error::Broken`] if reading cannot go on.
    pub fn poll(&mut self, rows_max: usize, timeout: Duration) -> Result<Vec<RawBatch>, Error> {
        self.client.context().common.find_again(self.client.client());
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
            let position = self.client.position().map_err(|e| Error::of(&e, &self.brokers, READING))?;
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
        let doing = READING;
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

/// A client that sees committed records only, and to which a position outside the log is an error.
fn open(connection: &Connection, group: &str) -> Result<BaseConsumer<GroupContext>, Error> {
    let config = connection.client(&reader_settings(group, 8_192));
    let client: BaseConsumer<GroupContext> =
        BaseConsumer::from_config_and_context(&config, GroupContext::of(connection))
            .map_err(|e| Error::of(&e, &connection.brokers, READING))?;
    if client.context().common.shows_token() {
        serve(&client);
    }
    Ok(client)
}
