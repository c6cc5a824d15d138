//! What goes out: outputs and offsets, in one transaction or acknowledged before the commit.
//!
//! Every failure ends in one of three ways: the transaction is aborted, the producer is replaced
//! (its next `init_transactions` decides what became of the transaction), or the runner ends. In
//! the first two the caller goes back to what is committed.

use crate::error::{Error, code_of, is_refusal, is_unwritable};
use crate::faults;
use crate::hooks::Stop;
use crate::rebalance::{DeliveryContext, GroupContext};
use crate::sender::refused;
use crate::settings::{Delivery, RunnerConfig};
use domain::{OutputRecord, Outputs, SourcePartition};
use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::util::Timeout;
use std::sync::Arc;
use std::time::{Duration, Instant};

const STEP_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a new producer waits for its connection before it asks for what it needs.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const FENCED_MAX: u32 = 5;
/// Between two looks at what is still to be acknowledged.
const FLUSH_POLL: Duration = Duration::from_micros(300);

/// A partition's commit: offset and metadata.
pub(crate) type Commit = (SourcePartition, i64, String);

/// How a commit ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Outputs and offsets are in the log. Bytes written per partition.
    Committed(Vec<(SourcePartition, u64)>),
    /// They are not, or it is not known: go back to the committed offsets.
    Rewind(String),
}

/// What we are in the group when a commit begins.
///
/// It is asked before the records of the next batch are polled for: whoever was thrown out, then or
/// since, has lost the assignment or has a stale generation, which the broker refuses. So a zombie's
/// commit never passes.
pub(crate) struct Membership<'a> {
    group: Option<ConsumerGroupMetadata>,
    is_lost: bool,
    client: &'a BaseConsumer<GroupContext>,
}

impl<'a> Membership<'a> {
    /// Asks, on the polling thread: first the generation, then whether the assignment is lost.
    pub(crate) fn of(client: &'a BaseConsumer<GroupContext>) -> Self {
        let group = client.group_metadata();
        Self { group, is_lost: client.assignment_lost(), client }
    }
}

/// Why a step of a transaction failed.
enum Failure {
    Abort(String),
    Replace { reason: String, fenced: bool },
    End(Error),
}

/// The producer of a runner.
pub(crate) struct Outbox {
    producer: Option<ThreadedProducer<DeliveryContext>>,
    config: Arc<RunnerConfig>,
    stage: &'static str,
    stop: Stop,
    stop_seen: Option<Instant>,
    fenced: u32,
    /// A transaction has begun, and what was written since the last commit.
    is_open: bool,
    written: Vec<(SourcePartition, u64)>,
}

impl Outbox {
    /// Opens the producer; with transactions it also waits until those of a predecessor are over.
    pub(crate) fn open(config: &RunnerConfig, stage: &'static str, stop: &Stop) -> Result<Self, Error> {
        let mut outbox = Self {
            producer: None,
            config: Arc::new(config.clone()),
            stage,
            stop: stop.clone(),
            stop_seen: None,
            fenced: 0,
            is_open: false,
            written: Vec::new(),
        };
        outbox.replace()?;
        Ok(outbox)
    }

    /// Drops the producer and opens another with the same transactional id.
    fn replace(&mut self) -> Result<(), Error> {
        self.producer = None;
        let brokers = self.config.connection.brokers.clone();
        let producer: ThreadedProducer<DeliveryContext> = ThreadedProducer::from_config_and_context(
            &self.config.producer(),
            DeliveryContext::of(&self.config.connection),
        )
        .map_err(|e| Error::of(&e, &brokers, "opening a producer"))?;
        if self.config.delivery == Delivery::ExactlyOnce {
            // The client asks for the coordinator at once, and without a connection again half a
            // second later; asking for anything else first waits for the connection. What is wrong
            // with it shows below.
            if let Some((_, topic)) = self.config.subscriptions.first()
                && let Err(error) = producer.client().fetch_metadata(Some(topic), CONNECT_TIMEOUT)
            {
                tracing::debug!(stage = self.stage, %error, "no metadata yet");
            }
            loop {
                match producer.init_transactions(STEP_TIMEOUT) {
                    Ok(()) => break,
                    Err(KafkaError::Transaction(error)) if error.is_retriable() && !is_refusal(error.code()) => {
                        tracing::warn!(stage = self.stage, %error, "transactions cannot be initialised yet");
                        self.overdue("initialising transactions")?;
                        // A handshake that the broker refuses shows only as a time-out here.
                        let refusal = producer.context().common.bad_credentials(&brokers, "initialising transactions");
                        if let Some(refusal) = refusal {
                            return Err(refusal);
                        }
                        std::thread::sleep(Duration::from_millis(200));
                    }
                    Err(error) => return Err(Error::of(&error, &brokers, "initialising transactions")),
                }
            }
        }
        self.producer = Some(producer);
        Ok(())
    }

    /// An error once a stop is requested and its time is up.
    pub(crate) fn overdue(&mut self, doing: &str) -> Result<(), Error> {
        if !self.stop.requested() {
            return Ok(());
        }
        let since = *self.stop_seen.get_or_insert_with(Instant::now);
        let limit = self.config.drain_timeout;
        if since.elapsed() < limit {
            return Ok(());
        }
        Err(Error::Drain { stage: self.stage, doing: doing.to_owned(), limit_ms: limit.as_millis() })
    }

    /// Writes outputs now, so that the broker takes them while more is read; the next commit makes
    /// them count. `Some`: it failed, go back to the committed offsets.
    pub(crate) fn write(&mut self, outputs: &Outputs) -> Result<Option<String>, Error> {
        let done = self.guarded(|outbox, producer| {
            outbox.begin(producer)?;
            outbox.produce(producer, &[outputs])
        })?;
        Ok(done.err())
    }

    /// Whether something was written that no commit has made count.
    pub(crate) fn has_written(&self) -> bool {
        self.is_open || !self.written.is_empty()
    }

    /// Takes back what was written since the last commit.
    pub(crate) fn give_up(&mut self) -> Result<(), Error> {
        if self.has_written() {
            self.guarded(|_, _| Err::<(), _>(Failure::Abort(String::new())))?.err();
        }
        Ok(())
    }

    /// Writes outputs and commits offsets, with all that was written before.
    pub(crate) fn commit(
        &mut self,
        member: &Membership<'_>,
        outputs: &[&Outputs],
        commits: &[Commit],
    ) -> Result<Outcome, Error> {
        let done = self.guarded(|outbox, producer| match outbox.config.delivery {
            Delivery::ExactlyOnce => outbox.transact(producer, member, outputs, commits),
            Delivery::AtLeastOnce => outbox.acknowledge(producer, member, outputs, commits),
        })?;
        Ok(match done {
            Ok(()) => {
                self.fenced = 0;
                self.is_open = false;
                Outcome::Committed(std::mem::take(&mut self.written))
            }
            Err(reason) => Outcome::Rewind(reason),
        })
    }

    /// Works with the producer; after a failure the transaction is over, and why is given.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &ThreadedProducer<DeliveryContext>) -> Result<T, Failure>,
    ) -> Result<Result<T, String>, Error> {
        let Some(producer) = self.producer.take() else {
            self.replace()?;
            return Ok(Err("the producer had broken down".to_owned()));
        };
        match work(self, &producer) {
            Ok(done) => {
                self.producer = Some(producer);
                Ok(Ok(done))
            }
            Err(failure) => {
                self.is_open = false;
                self.written.clear();
                self.recover(producer, failure).map(Err)
            }
        }
    }

    fn recover(&mut self, producer: ThreadedProducer<DeliveryContext>, failure: Failure) -> Result<String, Error> {
        match failure {
            Failure::End(error) => Err(error),
            Failure::Abort(reason) => {
                let aborted = self.config.delivery == Delivery::AtLeastOnce
                    || self.attempt(|| producer.abort_transaction(STEP_TIMEOUT)).is_ok();
                // What the abort purged is not a failed delivery.
                producer.context().take_failed();
                if aborted {
                    self.producer = Some(producer);
                } else {
                    drop(producer);
                    self.replace()?;
                }
                Ok(reason)
            }
            Failure::Replace { reason, fenced } => {
                self.fenced = if fenced { self.fenced + 1 } else { 0 };
                if self.fenced > FENCED_MAX {
                    return Err(Error::Fenced { id: self.config.transactional_id.clone(), times: self.fenced });
                }
                drop(producer);
                self.replace()?;
                Ok(reason)
            }
        }
    }

    fn begin(&mut self, producer: &ThreadedProducer<DeliveryContext>) -> Result<(), Failure> {
        if !self.is_open && self.config.delivery == Delivery::ExactlyOnce {
            self.attempt(|| producer.begin_transaction())?;
            self.is_open = true;
            faults::step(self.stage, "begun");
        }
        Ok(())
    }

    fn transact(
        &mut self,
        producer: &ThreadedProducer<DeliveryContext>,
        member: &Membership<'_>,
        outputs: &[&Outputs],
        commits: &[Commit],
    ) -> Result<(), Failure> {
        #[cfg(feature = "faults")]
        let commits = if faults::has(faults::Bug::CommitFirst) { commit_now(member.client, commits)? } else { commits };
        self.begin(producer)?;
        self.produce(producer, outputs)?;
        faults::step(self.stage, "produced");
        self.flush(producer)?;
        faults::step(self.stage, "flushed");
        if faults::must_abort(self.stage) {
            return Err(Failure::Abort("a fault was asked for".to_owned()));
        }
        if !commits.is_empty() {
            let offsets = offset_list(commits).map_err(|e| Failure::Abort(e.to_string()))?;
            #[cfg(feature = "faults")]
            let stranger;
            #[cfg(feature = "faults")]
            let member = if faults::has(faults::Bug::NoGeneration) {
                stranger = Membership { group: self.no_generation()?, is_lost: false, client: member.client };
                &stranger
            } else {
                member
            };
            let Some(group) = &member.group else {
                return Err(Failure::Abort("not a member of the group".to_owned()));
            };
            if member.is_lost {
                return Err(Failure::Abort("the assignment is lost".to_owned()));
            }
            self.attempt(|| producer.send_offsets_to_transaction(&offsets, group, STEP_TIMEOUT))?;
            faults::step(self.stage, "offsets_sent");
        }
        self.attempt(|| producer.commit_transaction(Timeout::Never))?;
        faults::step(self.stage, "committed");
        Ok(())
    }

    /// The bug of that name: who never joined has no generation, and is not looked at.
    #[cfg(feature = "faults")]
    fn no_generation(&self) -> Result<Option<ConsumerGroupMetadata>, Failure> {
        let stranger =
            BaseConsumer::from_config_and_context(&self.config.consumer(), GroupContext::of(&self.config.connection));
        let stranger = stranger.map_err(|e| Failure::Abort(e.to_string()))?;
        Ok(stranger.group_metadata())
    }

    fn acknowledge(
        &mut self,
        producer: &ThreadedProducer<DeliveryContext>,
        member: &Membership<'_>,
        outputs: &[&Outputs],
        commits: &[Commit],
    ) -> Result<(), Failure> {
        self.produce(producer, outputs)?;
        self.flush(producer)?;
        if !commits.is_empty() {
            let offsets = offset_list(commits).map_err(|e| Failure::Abort(e.to_string()))?;
            if member.is_lost {
                return Err(Failure::Abort("the assignment is lost".to_owned()));
            }
            member.client.commit(&offsets, CommitMode::Sync).map_err(|error| match code_of(&error) {
                Some(code) if is_refusal(code) => {
                    Failure::End(Error::of(&error, &self.config.connection.brokers, "committing offsets"))
                }
                _ => Failure::Abort(error.to_string()),
            })?;
        }
        Ok(())
    }

    /// Queues all records, those of a partition together and in their order.
    fn produce(&mut self, producer: &ThreadedProducer<DeliveryContext>, outputs: &[&Outputs]) -> Result<(), Failure> {
        let mut rows: Vec<(OutputRecord<'_>, &Outputs, usize)> = Vec::new();
        for outputs in outputs {
            rows.extend(outputs.records().enumerate().map(|(index, record)| (record, *outputs, index)));
        }
        rows.sort_by_key(|(record, ..)| (record.topic, record.partition));
        let mut current = None;
        let mut topic = "";
        let config = Arc::clone(&self.config);
        for (record, outputs, index) in rows {
            if current != Some((record.topic, record.partition)) {
                current = Some((record.topic, record.partition));
                topic = config.topic(record.topic).map_err(Failure::End)?;
                self.written.push((SourcePartition::new(topic, record.partition), 0));
            }
            let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            if let Some((_, sum)) = self.written.last_mut() {
                *sum += bytes as u64;
            }
            self.send(producer, topic, &record, headers_of(outputs, index))?;
        }
        Ok(())
    }

    fn send(
        &mut self,
        producer: &ThreadedProducer<DeliveryContext>,
        topic: &str,
        record: &OutputRecord<'_>,
        headers: Option<OwnedHeaders>,
    ) -> Result<(), Failure> {
        let mut base: BaseRecord<'_, [u8], [u8]> = BaseRecord {
            topic,
            partition: Some(record.partition),
            payload: record.value,
            key: record.key,
            timestamp: record.timestamp_ms,
            headers,
            delivery_opaque: (),
        };
        loop {
            match producer.send(base) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    // Back-pressure: the client's own thread empties the queue.
                    self.overdue("waiting for room in the producer's queue").map_err(Failure::End)?;
                    std::thread::sleep(Duration::from_millis(1));
                    base = back;
                }
                Err((error, _)) => return Err(self.delivery_failure(topic, &error, 1)),
            }
        }
    }

    /// Waits until every record is acknowledged.
    fn flush(&mut self, producer: &ThreadedProducer<DeliveryContext>) -> Result<(), Failure> {
        loop {
            match flush_step(producer) {
                Ok(true) => break,
                Ok(false) => self.overdue("flushing outputs").map_err(Failure::End)?,
                Err(error) => return Err(Failure::Replace { reason: error.to_string(), fenced: false }),
            }
        }
        match producer.context().take_failed() {
            None => Ok(()),
            Some(failed) => Err(self.delivery_failure(&failed.topic, &failed.error, failed.count)),
        }
    }

    fn delivery_failure(&self, topic: &str, error: &KafkaError, count: u64) -> Failure {
        match code_of(error) {
            Some(code) if is_unwritable(code) => {
                Failure::End(refused(topic, error, count, &self.config.connection.brokers))
            }
            // What was not acknowledged in time may still reach the log: only a new producer, whose
            // `init_transactions` ends the transaction under another epoch, keeps it out of the next one.
            code => Failure::Replace { reason: error.to_string(), fenced: code.is_some_and(is_fenced) },
        }
    }

    /// Runs a step of a transaction; a retriable error runs it again with the same arguments.
    fn attempt(&mut self, mut step: impl FnMut() -> KafkaResult<()>) -> Result<(), Failure> {
        loop {
            let error = match step() {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let KafkaError::Transaction(inner) = &error else {
                // A time-out while the commit flushed, for one.
                return Err(Failure::Replace { reason: error.to_string(), fenced: false });
            };
            let reason = inner.to_string();
            if is_refusal(inner.code()) {
                return Err(Failure::End(Error::of(
                    &error,
                    &self.config.connection.brokers,
                    "writing in a transaction",
                )));
            } else if inner.txn_requires_abort() {
                return Err(Failure::Abort(reason));
            } else if inner.is_retriable() && !inner.is_fatal() {
                self.overdue("finishing a transaction").map_err(Failure::End)?;
                std::thread::sleep(Duration::from_millis(50));
            } else {
                return Err(Failure::Replace { reason, fenced: is_fenced(inner.code()) });
            }
        }
    }
}

/// Looks whether everything is acknowledged, which the producer's own thread is told. The crate's
/// flush with a time-out would ask the clock without pause until the time is up; a short sleep costs
/// nothing and is as quick.
pub(crate) fn flush_step(producer: &ThreadedProducer<DeliveryContext>) -> KafkaResult<bool> {
    match producer.flush(Duration::ZERO) {
        Ok(()) => Ok(true),
        Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) => {
            std::thread::sleep(FLUSH_POLL);
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The bug *commit first*: what is committed now is no part of the transaction.
#[cfg(feature = "faults")]
fn commit_now<'c>(consumer: &BaseConsumer<GroupContext>, commits: &[Commit]) -> Result<&'c [Commit], Failure> {
    let abort = |e: KafkaError| Failure::Abort(e.to_string());
    if !commits.is_empty() {
        consumer.commit(&offset_list(commits).map_err(abort)?, CommitMode::Sync).map_err(abort)?;
    }
    Ok(&[])
}

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as C;
    matches!(code, C::Fenced | C::ProducerFenced | C::InvalidProducerEpoch | C::TransactionCoordinatorFenced)
}

fn headers_of(outputs: &Outputs, index: usize) -> Option<OwnedHeaders> {
    let headers = outputs.headers(index);
    let count = headers.len();
    (count > 0).then(|| {
        headers.fold(OwnedHeaders::new_with_capacity(count), |owned, (key, value)| {
            owned.insert(Header { key, value: Some(value) })
        })
    })
}

fn offset_list(commits: &[Commit]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(commits.len());
    for (source, offset, metadata) in commits {
        let mut element = list.add_partition(&source.topic, source.partition);
        element.set_offset(Offset::Offset(*offset))?;
        element.set_metadata(metadata);
    }
    Ok(list)
}
