//! The steps of a transaction, and what each of their failures asks for.
//!
//! A retriable error runs the same step again; an abortable one ends the transaction; a time-out or
//! anything fatal costs the producer, since only `init_transactions` of a new one with the same id
//! tells what became of the transaction.

use crate::abandon::within;
use crate::error::{Error, code_of, is_refusal};
use crate::faults;
use crate::producer::{Commit, Failure, Outbox};
use crate::rebalance::{DeliveryContext, GroupContext};
use crate::settings::Delivery;
use domain::Outputs;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{Producer, ThreadedProducer};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaErrorCode;
use std::sync::Arc;
use std::time::Duration;

/// What we are in the group when a commit begins.
///
/// It is asked before the records of the next batch are polled for: whoever was thrown out, then or
/// since, has lost the assignment or has a stale generation, which the broker refuses. So a zombie's
/// commit never passes.
pub(crate) struct Membership<'a> {
    group: Option<Arc<ConsumerGroupMetadata>>,
    is_lost: bool,
    client: &'a BaseConsumer<GroupContext>,
}

impl<'a> Membership<'a> {
    /// Asks, on the polling thread: first the generation, then whether the assignment is lost.
    pub(crate) fn of(client: &'a BaseConsumer<GroupContext>) -> Self {
        let group = client.group_metadata().map(Arc::new);
        Self { group, is_lost: client.assignment_lost(), client }
    }
}

impl Outbox {
    pub(crate) fn begin(&mut self, producer: &ThreadedProducer<DeliveryContext>) -> Result<(), Failure> {
        if !self.is_open && self.config.delivery == Delivery::ExactlyOnce {
            self.attempt(|_| producer.begin_transaction())?;
            self.is_open = true;
            faults::step(self.stage, "begun");
        }
        Ok(())
    }

    /// Writes outputs and moves offsets in one transaction.
    pub(crate) fn transact(
        &mut self,
        producer: &ThreadedProducer<DeliveryContext>,
        member: &Membership<'_>,
        outputs: &[&Outputs],
        commits: &[Commit],
    ) -> Result<(), Failure> {
        #[cfg(feature = "faults")]
        let commits = if faults::has(faults::Bug::CommitFirst) {
            faults::commit_now(member.client, &offset_list(commits).map_err(abort)?).map_err(abort)?;
            &[]
        } else {
            commits
        };
        self.begin(producer)?;
        self.produce(producer, outputs)?;
        faults::step(self.stage, "produced");
        self.flush(producer)?;
        faults::step(self.stage, "flushed");
        if faults::must_abort(self.stage) {
            return Err(Failure::Abort("a fault was asked for".to_owned()));
        }
        if !commits.is_empty() {
            let offsets = Arc::new(offset_list(commits).map_err(abort)?);
            #[cfg(feature = "faults")]
            let stranger;
            #[cfg(feature = "faults")]
            let member = if faults::has(faults::Bug::NoGeneration) {
                let group = faults::no_generation(&self.config).map_err(abort)?.map(Arc::new);
                stranger = Membership { group, is_lost: false, client: member.client };
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
            self.attempt(|limit| {
                let owned = (producer.clone(), Arc::clone(&offsets), Arc::clone(group));
                within(limit, move || owned.0.send_offsets_to_transaction(&owned.1, &owned.2, limit))
            })?;
            faults::step(self.stage, "offsets_sent");
        }
        self.attempt(|limit| producer.commit_transaction(limit))?;
        faults::step(self.stage, "committed");
        Ok(())
    }

    /// Has outputs acknowledged, then moves offsets: after a crash in between they come twice.
    pub(crate) fn acknowledge(
        &mut self,
        producer: &ThreadedProducer<DeliveryContext>,
        member: &Membership<'_>,
        outputs: &[&Outputs],
        commits: &[Commit],
    ) -> Result<(), Failure> {
        self.produce(producer, outputs)?;
        self.flush(producer)?;
        if !commits.is_empty() {
            let offsets = offset_list(commits).map_err(abort)?;
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

    /// Runs a step of a transaction, which is given its time; a retriable error runs it again with
    /// the same arguments. A time-out is none: the client says that it can be resumed, but waits for
    /// a broker that is away as long as it is told to, and what came of the step is not known.
    pub(crate) fn attempt(&mut self, step: impl Fn(Duration) -> KafkaResult<()>) -> Result<(), Failure> {
        loop {
            let error = match step(self.step_timeout()) {
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
            } else if inner.is_retriable() && !inner.is_fatal() && !is_timeout(inner.code()) {
                self.overdue("finishing a transaction").map_err(Failure::End)?;
                std::thread::sleep(Duration::from_millis(50));
            } else {
                return Err(Failure::Replace { reason, fenced: is_fenced(inner.code()) });
            }
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn abort(error: KafkaError) -> Failure {
    Failure::Abort(error.to_string())
}

fn is_timeout(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::RequestTimedOut)
}

pub(crate) fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as C;
    matches!(code, C::Fenced | C::ProducerFenced | C::InvalidProducerEpoch | C::TransactionCoordinatorFenced)
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
