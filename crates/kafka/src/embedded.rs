//! librdkafka's mock cluster as an embedded broker: the demo and quick tests.
//!
//! It has no transactions, no `read_committed` and no compaction, and drops the oldest data beyond
//! 5 MiB per partition. No delivery claim rests on it; runners against it use
//! [`crate::Delivery::AtLeastOnce`], and writers hold while [`crate::Progress::behind_bytes`] is
//! large.

use crate::error::Error;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use rdkafka::config::{ClientConfig, FromClientConfig};
use rdkafka::producer::{BaseProducer, Producer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

/// Bytes a group may be behind on a partition before a writer must hold: the broker keeps 5 MiB.
pub const BEHIND_BYTES_MAX: u64 = 2 << 20;

type Answer = Sender<Result<(), Error>>;

/// A broker in this process, listening on the loopback interface. Ends when dropped.
pub struct EmbeddedBroker {
    address: String,
    commands: Option<Sender<(String, i32, Answer)>>,
    topics: Mutex<BTreeMap<String, i32>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedBroker").field("address", &self.address).finish_non_exhaustive()
    }
}

impl EmbeddedBroker {
    /// Starts it.
    ///
    /// # Errors
    /// [`Error::Broken`] if it cannot start.
    pub fn start() -> Result<Self, Error> {
        let (commands, orders) = unbounded();
        let (started, address) = bounded(1);
        // The cluster's handle may not change threads, so one thread owns it.
        let thread = std::thread::Builder::new()
            .name("embedded-broker".to_owned())
            .spawn(move || serve(&started, &orders))
            .map_err(|e| broken(&e.to_string()))?;
        let address = address.recv().map_err(|e| broken(&e.to_string()))??;
        Ok(Self { address, commands: Some(commands), topics: Mutex::default(), thread: Some(thread) })
    }

    /// Bootstrap servers.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Creates a topic, or checks that it has this many partitions.
    ///
    /// # Errors
    /// [`Error::PartitionCount`] if it exists with another count, [`Error::Broken`] if it cannot be
    /// created.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), Error> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = topics.get(topic) {
            let (topic, found) = (topic.to_owned(), *found);
            let same = found == partitions;
            return if same { Ok(()) } else { Err(Error::PartitionCount { topic, found, expected: partitions }) };
        }
        let (answer, result) = bounded(1);
        let gone = || broken("its thread has ended");
        let commands = self.commands.as_ref().ok_or_else(gone)?;
        commands.send((topic.to_owned(), partitions, answer)).map_err(|_| gone())?;
        result.recv().map_err(|_| gone())??;
        topics.insert(topic.to_owned(), partitions);
        Ok(())
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the embedded broker's thread panicked");
        }
    }
}

fn broken(reason: &str) -> Error {
    Error::Broken { doing: "running the embedded broker".to_owned(), reason: reason.to_owned() }
}

/// Owns the cluster until the command channel closes.
fn serve(started: &Sender<Result<String, Error>>, orders: &Receiver<(String, i32, Answer)>) {
    let mut config = ClientConfig::new();
    config.set("test.mock.num.brokers", "1");
    let producer = match BaseProducer::from_config(&config) {
        Ok(producer) => producer,
        Err(error) => return report(started, Err(broken(&error.to_string()))),
    };
    let Some(cluster) = producer.client().mock_cluster() else {
        return report(started, Err(broken("no mock cluster in this librdkafka")));
    };
    join_groups_at_once(&producer);
    report(started, Ok(cluster.bootstrap_servers()));
    for (topic, partitions, answer) in orders {
        let created = cluster.create_topic(&topic, partitions, 1);
        report(&answer, created.map_err(|e| broken(&format!("topic {topic:?}: {e}"))));
    }
}

fn report<T>(to: &Sender<T>, answer: T) {
    if to.send(answer).is_err() {
        tracing::debug!("nobody waits for the embedded broker's answer");
    }
}

/// Sets the delay before a group's first rebalance to 0; it is 3 s otherwise, and the crate has no
/// call for it.
#[allow(unsafe_code)]
fn join_groups_at_once(producer: &BaseProducer) {
    // SAFETY: the client outlives both calls; the handle is null or owned by the client, and the
    // setter takes the cluster's own lock.
    unsafe {
        let cluster = rdkafka::bindings::rd_kafka_handle_mock_cluster(producer.client().native_ptr());
        if !cluster.is_null() {
            rdkafka::bindings::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Connection, Delivery, Hooks, Message, RunnerConfig, Start, Stop, Tail, run};
    use domain::{Input, OutputRecord, Outputs, RawBatch, SourcePartition, Stage, StageError, TopicRole};
    use std::time::{Duration, Instant};

    /// Copies every record.
    struct Copy;

    impl Stage for Copy {
        fn name(&self) -> &'static str {
            "copy"
        }

        fn step(&mut self, input: Input<'_>, out: &mut Outputs) -> Result<(), StageError> {
            if let Input::Batch(batch) = input {
                for row in batch.iter() {
                    let record = OutputRecord {
                        topic: TopicRole::Predictions,
                        partition: 0,
                        timestamp_ms: Some(row.timestamp_ms),
                        key: row.key,
                        value: row.value,
                    };
                    out.push(record, &[]);
                }
            }
            Ok(())
        }

        fn commit_metadata(&self, source: &SourcePartition) -> String {
            format!("state of {}", source.partition)
        }
    }

    #[test]
    fn a_runner_copies_a_topic_and_progress_shows_it() {
        let broker = EmbeddedBroker::start().unwrap();
        broker.create_topic("events", 4).unwrap();
        broker.create_topic("predictions", 1).unwrap();
        assert!(matches!(broker.create_topic("events", 3), Err(Error::PartitionCount { found: 4, expected: 3, .. })));
        let connection = Connection::to(broker.address());
        let mut config = RunnerConfig::new(connection.clone(), "copy", "copy-0");
        config.delivery = Delivery::AtLeastOnce;
        config.subscriptions = vec![(TopicRole::Events, "events".to_owned())];
        config.topics.insert(TopicRole::Predictions, "predictions".to_owned());
        let hooks = Hooks::inert();
        let progress = hooks.progress.clone();
        progress.reads("copy", &["events"]);
        let sender = crate::Sender::new(&connection, 1 << 20).unwrap().publishing(progress.clone());
        for partition in 0..4 {
            let message =
                Message { topic: "events", partition: Some(partition), value: Some(b"12345"), ..Message::default() };
            sender.send(&message).unwrap();
        }
        sender.flush(Duration::from_secs(30)).unwrap();
        assert_eq!((sender.acknowledged(), progress.behind_bytes()), (4, 5));
        let stop = Stop::new();
        let told = stop.clone();
        let runner = std::thread::spawn(move || run(Box::new(Copy), config, hooks, told));
        let mut tail =
            Tail::new(&connection, "test", &[(TopicRole::Predictions, "predictions")], Start::Beginning).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut rows = 0;
        while rows < 4 {
            assert!(Instant::now() < deadline, "{rows} of 4 records copied");
            let batches = tail.poll(100, Duration::from_millis(100)).unwrap();
            rows += batches.iter().map(RawBatch::len).sum::<usize>();
        }
        while progress.behind_bytes() > 0 {
            assert!(Instant::now() < deadline, "still {} bytes behind", progress.behind_bytes());
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(progress.offset("copy", &SourcePartition::new("events", 3)), Some(1));
        stop.request();
        runner.join().unwrap().unwrap();
    }
}
