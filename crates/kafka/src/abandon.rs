//! A call of the client that may never return.
//!
//! `rd_kafka_send_offsets_to_transaction` takes a time-out and never looks at it: while the
//! coordinator of the group is away it does not return (librdkafka issues 5456 and 5511). The
//! partitions of whoever waits in it stand still, and a stop is not heard.

use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Waits no longer than `limit` for a call; after that it is left alone, with all it owns, and
/// counts as timed out. What it owns is dropped where it ran, when it returns.
pub(crate) fn within(limit: Duration, call: impl FnOnce() -> KafkaResult<()> + Send + 'static) -> KafkaResult<()> {
    // Room for the answer of a call nobody waits for any more.
    let (answer, answered) = mpsc::sync_channel(1);
    let work = move || drop(answer.send(call()));
    let timed_out = || KafkaError::Global(RDKafkaErrorCode::OperationTimedOut);
    let spawned = thread::Builder::new().name("send offsets".to_owned()).spawn(work);
    if let Err(error) = spawned {
        tracing::error!(%error, "no thread for a call of the client");
        return Err(timed_out());
    }
    answered.recv_timeout(limit).unwrap_or_else(|_| {
        tracing::warn!(limit_ms = limit.as_millis(), "the client did not return in time and is left alone");
        Err(timed_out())
    })
}

#[cfg(test)]
mod tests {
    use super::within;
    use crate::error::code_of;
    use crate::producer::{Commit, Outbox, Outcome};
    use crate::rebalance::GroupContext;
    use crate::settings::{Connection, RunnerConfig};
    use crate::transaction::Membership;
    use domain::{OutputRecord, Outputs, SourcePartition, TopicRole};
    use rdkafka::config::FromClientConfigAndContext;
    use rdkafka::consumer::BaseConsumer;
    use rdkafka::error::KafkaError;
    use rdkafka::mocking::{MockCluster, MockCoordinator};
    use rdkafka::types::RDKafkaErrorCode;
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    #[test]
    fn what_returns_in_time_is_given_back() {
        let long = Duration::from_secs(60);
        assert_eq!(within(long, || Ok(())), Ok(()));
        let refused = KafkaError::Global(RDKafkaErrorCode::Fenced);
        let cause = refused.clone();
        assert_eq!(within(long, move || Err(cause)), Err(refused));
    }

    #[test]
    fn what_does_not_return_is_left_alone_with_what_it_owns() {
        let owned = Arc::new(());
        let (go_on, wait) = mpsc::channel::<()>();
        let held = Arc::clone(&owned);
        let result = within(Duration::from_millis(20), move || {
            let _held = held;
            wait.recv().ok();
            Ok(())
        });
        assert_eq!(result.err().and_then(|error| code_of(&error)), Some(RDKafkaErrorCode::OperationTimedOut));
        assert_eq!(Arc::strong_count(&owned), 2, "still owned by the call");
        drop(go_on);
        while Arc::strong_count(&owned) > 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Two brokers: one has the topic and the transactions, the other the group.
    #[test]
    fn a_commit_whose_group_has_no_coordinator_is_given_up_and_the_next_one_passes() {
        const MAIN: i32 = 1;
        const GROUP: i32 = 2;
        let cluster = MockCluster::new(2).unwrap();
        for topic in ["in", "out"] {
            cluster.create_topic(topic, 1, 1).unwrap();
            cluster.partition_leader(topic, 0, Some(MAIN)).unwrap();
        }
        cluster.coordinator(MockCoordinator::Transaction("id".to_owned()), MAIN).unwrap();
        cluster.coordinator(MockCoordinator::Group("group".to_owned()), GROUP).unwrap();

        let mut config = RunnerConfig::new(Connection::to(&cluster.bootstrap_servers()), "group", "id");
        config.topics.insert(TopicRole::Predictions, "out".to_owned());
        let context = GroupContext::of(&config.connection);
        let client: BaseConsumer<GroupContext> =
            BaseConsumer::from_config_and_context(&config.consumer(), context).unwrap();
        let member = Membership::of(&client);
        let mut outputs = Outputs::default();
        let topic = TopicRole::Predictions;
        outputs.push(OutputRecord { topic, partition: 0, timestamp_ms: None, key: None, value: Some(b"1") }, &[]);
        let commits: Vec<Commit> = vec![(SourcePartition::new("in", 0), 7, String::new())];

        let mut outbox = Outbox::open(&config, "score", &crate::hooks::Stop::default()).unwrap();
        outbox.step_limit = Duration::from_secs(3);
        let commit = |outbox: &mut Outbox| match outbox.commit(&member, &[&outputs], &commits).unwrap() {
            Outcome::Committed(_) => "committed".to_owned(),
            Outcome::Rewind(reason) => reason,
        };
        assert_eq!(commit(&mut outbox), "committed");
        cluster.broker_down(GROUP).unwrap();
        let reason = commit(&mut outbox);
        assert_eq!(reason, "Global error: OperationTimedOut (Local: Timed out)");
        cluster.broker_up(GROUP).unwrap();
        assert_eq!(commit(&mut outbox), "committed");
    }
}
