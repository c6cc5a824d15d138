//! What the group tells us: partitions come and go, and the client reports its state.
//!
//! librdkafka runs these hooks inside `poll`, on the runner's thread. They only write down what
//! happened; the runner acts on it before it steps the stage again.

use crate::client::Common;
use crate::error::{Error, code_of, is_refusal};
use crate::settings::Connection;
use domain::SourcePartition;
use rdkafka::TopicPartitionList;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionListElem};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long one look-up of committed offsets may take: an open transaction on them is waited for.
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(20);
const BOUNDS_TIMEOUT: Duration = Duration::from_secs(5);

/// What a partition's last commit says; `None` before the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) source: SourcePartition,
    pub(crate) commit: Option<(i64, String)>,
    /// First offset and end of its log; `None` if the broker did not say.
    pub(crate) log: Option<(i64, i64)>,
}

impl Committed {
    /// Where reading starts: an offset we name, so that the client never chooses one.
    fn start(&self) -> Offset {
        match (&self.commit, self.log) {
            (Some((offset, _)), Some((low, _))) if *offset < low => Offset::Offset(low),
            (Some((offset, _)), Some((_, high))) if *offset <= high => Offset::Offset(*offset),
            (Some((offset, _)), None) => Offset::Offset(*offset),
            // Never committed, or committed in another log.
            _ => Offset::Beginning,
        }
    }
}

/// A change of the assignment.
#[derive(Debug)]
pub(crate) enum Change {
    Assigned(Vec<Committed>),
    Revoked(Vec<SourcePartition>),
    /// Assigned, while the broker did not say what is committed: the runner asks again, and moves
    /// the position before any record is taken.
    Unknown(Vec<SourcePartition>),
    /// The broker refuses to say what is committed, or the group failed.
    Failed(Error),
}

/// Receives the consumer's hooks.
#[derive(Debug, Default)]
pub(crate) struct GroupContext {
    changes: Mutex<VecDeque<Change>>,
    /// What all clients have in common.
    pub(crate) common: Common,
}

impl GroupContext {
    pub(crate) fn of(connection: &Connection) -> Self {
        Self { common: Common::of(connection), ..Self::default() }
    }

    /// Changes since the last call, oldest first.
    pub(crate) fn take(&self) -> VecDeque<Change> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there are changes to be taken.
    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn push(&self, change: Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
    }
}

impl ClientContext for GroupContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Common::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.common.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.common.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.common.stats_raw(statistics);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.common.generate_oauth_token(config)
    }
}

impl ConsumerContext for GroupContext {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Revoke(list) => {
                // The client keeps a pause over a revocation: without this the partition would not
                // be read when it comes back. Those not paused are left as they are.
                if let Err(error) = consumer.resume(list) {
                    tracing::warn!(%error, "a revoked partition may stay paused");
                }
                self.push(Change::Revoked(list.elements().iter().map(source_of).collect()));
            }
            Rebalance::Assign(list) => match committed(consumer, list) {
                Ok(commits) => {
                    for element in &mut list.elements() {
                        let source = source_of(element);
                        let found = commits.iter().find(|c| c.source == source);
                        let offset = found.map_or(Offset::Beginning, Committed::start);
                        if let Err(error) = element.set_offset(offset) {
                            self.push(Change::Failed(Error::of(&error, "", "setting the start of a partition")));
                        }
                    }
                    self.push(Change::Assigned(commits));
                }
                Err(error) if code_of(&error).is_some_and(is_refusal) => {
                    self.push(Change::Failed(Error::of(&error, "", "reading committed offsets")));
                }
                Err(error) => {
                    tracing::warn!(%error, "committed offsets cannot be read yet");
                    for element in &mut list.elements() {
                        if let Err(error) = element.set_offset(Offset::Beginning) {
                            self.push(Change::Failed(Error::of(&error, "", "setting the start of a partition")));
                        }
                    }
                    self.push(Change::Unknown(list.elements().iter().map(source_of).collect()));
                }
            },
            Rebalance::Error(error) => self.push(Change::Failed(Error::of(error, "", "rebalancing"))),
        }
    }
}

fn source_of(element: &TopicPartitionListElem<'_>) -> SourcePartition {
    SourcePartition::new(element.topic(), element.partition())
}

/// Offsets and metadata the group has committed for the listed partitions. Waits for open
/// transactions on them: librdkafka asks for stable offsets.
pub(crate) fn committed(
    consumer: &BaseConsumer<GroupContext>,
    list: &TopicPartitionList,
) -> KafkaResult<Vec<Committed>> {
    if list.count() == 0 {
        return Ok(Vec::new());
    }
    let mut asked = TopicPartitionList::with_capacity(list.count());
    for element in list.elements() {
        asked.add_partition(element.topic(), element.partition());
    }
    let found = consumer.committed_offsets(asked, COMMITTED_TIMEOUT)?;
    found.elements().iter().try_for_each(|e| e.error())?;
    Ok(found
        .elements()
        .iter()
        .map(|element| {
            let commit = match element.offset() {
                Offset::Offset(offset) => Some((offset, element.metadata().to_owned())),
                _ => None,
            };
            // Without an answer reading finds out.
            let bounds = |_: &(i64, String)| {
                consumer.fetch_watermarks(element.topic(), element.partition(), BOUNDS_TIMEOUT).ok()
            };
            let log = commit.as_ref().and_then(bounds);
            Committed { source: source_of(element), commit, log }
        })
        .collect())
}

/// A delivery that failed for good.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) topic: String,
    pub(crate) error: KafkaError,
    pub(crate) count: u64,
}

/// Receives a producer's delivery reports: counts, and the first failure.
#[derive(Debug, Default)]
pub(crate) struct DeliveryContext {
    acknowledged: std::sync::atomic::AtomicU64,
    failed: Mutex<Option<Failed>>,
    /// What all clients have in common.
    pub(crate) common: Common,
}

impl DeliveryContext {
    pub(crate) fn of(connection: &Connection) -> Self {
        Self { common: Common::of(connection), ..Self::default() }
    }

    /// The first failure since the last call, with the number of all of them.
    pub(crate) fn take_failed(&self) -> Option<Failed> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Records the broker has acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl ClientContext for DeliveryContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Common::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.common.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.common.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.common.stats_raw(statistics);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.common.generate_oauth_token(config)
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.acknowledged.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
            Err((error, message)) => {
                use rdkafka::message::Message;
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                match failed.as_mut() {
                    Some(first) => first.count += 1,
                    None => {
                        *failed = Some(Failed { topic: message.topic().to_owned(), error: error.clone(), count: 1 });
                    }
                }
            }
        }
    }
}
