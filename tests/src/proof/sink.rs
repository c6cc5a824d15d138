//! An outage of the outputs alone: the predictions topic lives on a broker of its own, which dies while
//! the one with everything else goes on.

use super::load::EVENT_PARTITIONS;
use super::world::{Broker, World};
use anyhow::{Context, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use std::time::Duration;

/// Node of the broker that holds the outputs.
const NODE: i32 = 2;
const TIMEOUT: Duration = Duration::from_secs(20);

/// The broker of the predictions topic.
#[derive(Debug)]
pub struct Sink {
    broker: Broker,
    topic: String,
    brokers: String,
}

impl Sink {
    /// Starts the second broker, creates the topic there, and takes it down again, so that whatever
    /// else is created before it is [`Sink::open`]ed is not put on it.
    ///
    /// # Errors
    /// If the brokers refuse.
    pub fn prepare(world: &World, first: &Broker, topic: &str) -> anyhow::Result<Self> {
        let broker = Broker::join(world.folder.join("kafka-sink"), first)?;
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &world.brokers).create()?;
        let places: Vec<&[i32]> = vec![&[NODE]; EVENT_PARTITIONS];
        // The events are older than any retention by time.
        let new = NewTopic::new(topic, EVENT_PARTITIONS as i32, TopicReplication::Variable(&places));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let created = runtime.block_on(admin.create_topics(&[new.set("retention.ms", "-1")], &AdminOptions::new()))?;
        for one in created {
            one.map_err(|(topic, code)| anyhow::anyhow!("topic {topic} was not created: {code}"))?;
        }
        broker.end()?;
        Ok(Self { broker, topic: topic.to_owned(), brokers: world.brokers.clone() })
    }

    /// Lets the outputs be written.
    ///
    /// # Errors
    /// If the broker does not start, or holds anything but the topic.
    pub fn open(&self) -> anyhow::Result<()> {
        self.broker.begin_again()?;
        let client: rdkafka::consumer::BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).create()?;
        let metadata = rdkafka::consumer::Consumer::fetch_metadata(&client, None, TIMEOUT)?;
        let mut found = 0;
        for topic in metadata.topics() {
            for partition in topic.partitions() {
                let is_here = partition.replicas() == [NODE];
                let is_its = topic.name() == self.topic;
                ensure!(is_here == is_its, "{}/{} is on {:?}", topic.name(), partition.id(), partition.replicas());
                found += usize::from(is_its);
            }
        }
        ensure!(found == EVENT_PARTITIONS, "{} has {found} partitions, expected {EVENT_PARTITIONS}", self.topic);
        Ok(())
    }

    /// kill -9: nobody else has the topic.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn close(&self) -> anyhow::Result<()> {
        self.broker.kill().context("the broker of the outputs was not killed")
    }

    /// Starts it again.
    ///
    /// # Errors
    /// If it does not start.
    pub fn open_again(&self) -> anyhow::Result<()> {
        self.broker.begin_again()
    }

    /// What [`Broker::markers_skipped`] says.
    #[must_use]
    pub fn markers_skipped(&self) -> u64 {
        self.broker.markers_skipped()
    }
}
