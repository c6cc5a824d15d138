//! What goes out: outputs and offsets, in one transaction or acknowledged before the commit.
//!
//! Every failure ends in one of three ways: the transaction is aborted, the producer is replaced
//! (its next `init_transactions` decides what became of the transaction), or the runner ends. In
//! the first two the caller goes back to what is committed. No step waits for longer than a
//! transaction may take, however long the broker is away, and none begins after the drain's time.

use crate::error::{Error, is_refusal};
use crate::hooks::Stop;
use crate::rebalance::DeliveryContext;
use crate::settings::{Delivery, RunnerConfig};
use crate::transaction::Membership;
use domain::{Outputs, SourcePartition};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer, ThreadedProducer};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As long as a transaction may take (`transaction.timeout.ms`): its coordinator gives up then too.
const STEP_TIMEOUT: Duration = Duration::from_secs(15);
/// One look at whether transactions are initialised; asking again goes on with the same request.
const INIT_TIMEOUT: Duration = Duration::from_secs(3);
/// A last attempt is worth this, however late it is.
const STEP_TIMEOUT_MIN: Duration = Duration::from_millis(200);
/// How long a new producer waits for its connection before it asks for what it needs.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two looks at whether it has one.
const CONNECT_PAUSE: Duration = Duration::from_millis(1);
const FENCED_MAX: u32 = 5;

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

/// Why a step of a transaction failed.
pub(crate) enum Failure {
    Abort(String),
    Replace { reason: String, fenced: bool },
    End(Error),
}

/// The producer of a runner.
pub(crate) struct Outbox {
    producer: Option<ThreadedProducer<DeliveryContext>>,
    pub(crate) config: Arc<RunnerConfig>,
    pub(crate) stage: &'static str,
    stop: Stop,
    fenced: u32,
    pub(crate) step_limit: Duration,
    /// A transaction has begun, and what was written since the last commit.
    pub(crate) is_open: bool,
    pub(crate) written: Vec<(SourcePartition, u64)>,
}

impl Outbox {
    /// Opens the producer; with transactions it also waits until those of a predecessor are over.
    pub(crate) fn open(config: &RunnerConfig, stage: &'static str, stop: &Stop) -> Result<Self, Error> {
        let mut outbox = Self {
            producer: None,
            config: Arc::new(config.clone()),
            stage,
            stop: stop.clone(),
            fenced: 0,
            step_limit: STEP_TIMEOUT,
            is_open: false,
            written: Vec::new(),
        };
        outbox.replace()?;
        Ok(outbox)
    }

    /// Drops the producer and opens another with the same transactional id.
    fn replace(&mut self) -> Result<(), Error> {
        self.producer = None;
        self.overdue("opening a new producer")?;
        let brokers = self.config.connection.brokers.clone();
        let producer: ThreadedProducer<DeliveryContext> = ThreadedProducer::from_config_and_context(
            &self.config.producer(),
            DeliveryContext::of(&self.config.connection),
        )
        .map_err(|e| Error::of(&e, &brokers, "opening a producer"))?;
        if self.config.delivery == Delivery::ExactlyOnce {
            self.connect(&producer);
            loop {
                match producer.init_transactions(self.step_timeout().min(INIT_TIMEOUT)) {
                    Ok(()) => break,
                    Err(KafkaError::Transaction(error)) if error.is_retriable() && !is_refusal(error.code()) => {
                        tracing::warn!(stage = self.stage, %error, "transactions cannot be initialised yet");
                        producer.context().common.find_again(producer.client());
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

    /// Waits until the client has a connection that lasts, or a while.
    ///
    /// It asks for its coordinator at once, and without a connection again only half a second later.
    /// That to a bootstrap server is closed as soon as the brokers are known, so it does not count.
    fn connect(&self, producer: &ThreadedProducer<DeliveryContext>) {
        let topic = self.config.subscriptions.first().map(|(_, topic)| topic.as_str());
        let began = Instant::now();
        while let Some(left) = CONNECT_TIMEOUT.checked_sub(began.elapsed()) {
            match producer.client().fetch_metadata(topic, left) {
                Ok(metadata) if metadata.orig_broker_id() < 0 => std::thread::sleep(CONNECT_PAUSE),
                Ok(_) => return,
                // What is wrong shows in what is asked next.
                Err(error) => return tracing::debug!(stage = self.stage, %error, "no metadata yet"),
            }
        }
    }

    /// An error once a stop is requested and its time is up.
    pub(crate) fn overdue(&self, doing: &str) -> Result<(), Error> {
        let limit = self.config.drain_timeout;
        if !self.stop.requested() || self.stop.left_of(limit) > Duration::ZERO {
            return Ok(());
        }
        Err(Error::Drain { stage: self.stage, doing: doing.to_owned(), limit_ms: limit.as_millis() })
    }

    /// How long the next step of a transaction may take.
    pub(crate) fn step_timeout(&self) -> Duration {
        self.stop.left_of(self.config.drain_timeout).clamp(STEP_TIMEOUT_MIN, self.step_limit)
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
                    || self.attempt(|limit| producer.abort_transaction(limit)).is_ok();
                // What the abort purged is not a failed delivery.
                producer.context().take_failed();
                if aborted {
                    self.producer = Some(producer);
                } else {
                    retire(producer);
                    self.replace()?;
                }
                Ok(reason)
            }
            Failure::Replace { reason, fenced } => {
                self.fenced = if fenced { self.fenced + 1 } else { 0 };
                if self.fenced > FENCED_MAX {
                    return Err(Error::Fenced { id: self.config.transactional_id.clone(), times: self.fenced });
                }
                tracing::debug!(stage = self.stage, reason, "the producer is replaced");
                retire(producer);
                tracing::debug!(stage = self.stage, "the producer is gone");
                self.replace()?;
                Ok(reason)
            }
        }
    }
}

/// Lets go of a producer. It lives on where one of its calls has not returned.
fn retire(producer: ThreadedProducer<DeliveryContext>) {
    producer.context().common.retire();
    drop(producer);
}
