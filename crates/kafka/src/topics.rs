//! Topics: what exists, what must, and how it is made.

use crate::client::{Common, hand_token, serve};
use crate::error::{Error, code_of, is_refusal};
use crate::rebalance::GroupContext;
use crate::settings::Connection;
use domain::SourcePartition;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// A refusal is believed when so many questions, one, two and four seconds long, met it.
const REFUSED_TRIES: u32 = 3;
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a partition may be without a leader.
const LEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// A topic the pipeline needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Partitions it must have.
    pub partitions: i32,
    /// Replicas of each, when it is created; -1 is the broker's default.
    pub replication: i32,
    /// Settings, when it is created: `cleanup.policy` and so on.
    pub config: BTreeMap<String, String>,
    /// What a topic that exists already must not fall short of.
    pub needs: Vec<Need>,
}

/// A setting a topic cannot do without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Its name.
    pub setting: &'static str,
    /// What it must be like.
    pub value: NeedValue,
}

/// What a setting must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeedValue {
    /// A number not below this; -1, Kafka's *unlimited*, is more than any.
    AtLeast(i64),
    /// A list with this in it.
    Contains(&'static str),
    /// A list without this.
    Lacks(&'static str),
}

impl Need {
    fn is_met(&self, found: &str) -> bool {
        let mut items = found.split(',').map(str::trim);
        match self.value {
            NeedValue::AtLeast(least) => found.parse::<i64>().is_ok_and(|value| value == -1 || value >= least),
            NeedValue::Contains(item) => items.any(|i| i == item),
            NeedValue::Lacks(item) => items.all(|i| i != item),
        }
    }
}

impl fmt::Display for NeedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::Contains(item) => f.write_str(item),
            Self::Lacks(item) => write!(f, "without {item}"),
        }
    }
}

/// Looks topics up and creates them.
pub struct Topics {
    client: BaseConsumer<GroupContext>,
    admin: AdminClient<Common>,
    brokers: String,
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

impl Topics {
    /// Connects, and waits until a broker answers.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if none does in time, [`Error::Refused`] if one refuses us.
    pub fn connect(connection: &Connection, timeout: Duration) -> Result<Self, Error> {
        let brokers = connection.brokers.clone();
        let fail = |e: KafkaError| Error::of(&e, &brokers, "connecting");
        let ours = [
            ("allow.auto.create.topics", "false".to_owned()),
            // Ends of logs as readers of committed records see them.
            ("isolation.level", "read_committed".to_owned()),
        ];
        let client = BaseConsumer::from_config_and_context(&connection.client(&ours), GroupContext::of(connection))
            .map_err(fail)?;
        let admin =
            AdminClient::from_config_and_context(&connection.client(&[]), Common::of(connection)).map_err(fail)?;
        await_answer(&client, &brokers, timeout)?;
        Ok(Self { client, admin, brokers })
    }

    /// The client, with a fresh token if it shows one: it is not polled between two questions.
    fn client(&self) -> &BaseConsumer<GroupContext> {
        if self.client.context().common.shows_token() {
            serve(&self.client);
        }
        &self.client
    }

    /// Number of partitions of a topic; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Refused`] or [`Error::Unreachable`].
    pub fn partitions(&self, topic: &str) -> Result<Option<i32>, Error> {
        let doing = format!("looking up topic {topic:?}");
        let metadata =
            self.client().fetch_metadata(Some(topic), TIMEOUT).map_err(|e| Error::of(&e, &self.brokers, &doing))?;
        let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else {
            return Ok(None);
        };
        match found.error().map(RDKafkaErrorCode::from) {
            None => Ok(i32::try_from(found.partitions().len()).ok().filter(|count| *count > 0)),
            Some(code) if is_refusal(code) => Err(Error::refused(code, &self.brokers, &doing, &code.to_string())),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
            Some(code) => Err(Error::Unreachable { brokers: self.brokers.clone(), doing, reason: code.to_string() }),
        }
    }

    /// Number of partitions of a topic that must exist: the user's.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`] if it does not.
    pub fn require(&self, topic: &str) -> Result<i32, Error> {
        self.partitions(topic)?.ok_or_else(|| Error::UnknownTopic(topic.to_owned()))
    }

    /// The settings of a topic. `None` if the broker does not tell us: another user's access rules.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the broker does not answer.
    pub fn settings(&self, topic: &str) -> Result<Option<BTreeMap<String, String>>, Error> {
        hand_token(self.admin.inner())?;
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let asked = block_on(self.admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options));
        let doing = format!("reading the settings of topic {topic:?}");
        match asked.map_err(|e| Error::of(&e, &self.brokers, &doing))?.into_iter().next() {
            Some(Ok(found)) => {
                Ok(Some(found.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()))
            }
            Some(Err(code)) if !is_refusal(code) => {
                Err(Error::Unreachable { brokers: self.brokers.clone(), doing, reason: code.to_string() })
            }
            _ => {
                tracing::warn!("the broker does not tell the settings of topic {topic:?}: they are not checked");
                Ok(None)
            }
        }
    }

    /// Creates a topic, or checks that it has the partitions and settings it must have.
    ///
    /// # Errors
    /// [`Error::PartitionCount`], [`Error::TopicSetting`], [`Error::CannotCreate`], [`Error::Unreachable`].
    pub fn ensure(&self, spec: &TopicSpec) -> Result<(), Error> {
        if let Some(found) = self.partitions(&spec.name)? {
            check_count(spec, found)?;
            return self.check_needs(spec);
        }
        let mut topic = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(spec.replication));
        for (key, value) in &spec.config {
            topic = topic.set(key, value);
        }
        hand_token(self.admin.inner())?;
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        let answers =
            block_on(self.admin.create_topics([&topic], &options)).map_err(|e| cannot_create(spec, e.to_string()))?;
        for answer in answers {
            match answer {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => (),
                Err((_, code)) => return Err(cannot_create(spec, code.to_string())),
            }
        }
        self.await_topic(spec)
    }

    fn check_needs(&self, spec: &TopicSpec) -> Result<(), Error> {
        if spec.needs.is_empty() {
            return Ok(());
        }
        let Some(settings) = self.settings(&spec.name)? else { return Ok(()) };
        // What a broker does not know, it does not enforce.
        let unmet = spec.needs.iter().find_map(|need| {
            let found = settings.get(need.setting)?;
            (!need.is_met(found)).then(|| Error::TopicSetting {
                topic: spec.name.clone(),
                setting: need.setting,
                found: found.clone(),
                expected: need.value.to_string(),
            })
        });
        unmet.map_or(Ok(()), Err)
    }

    /// A created topic shows in the metadata only after a while.
    fn await_topic(&self, spec: &TopicSpec) -> Result<(), Error> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(found) = self.partitions(&spec.name)? {
                return check_count(spec, found);
            }
            if Instant::now() >= deadline {
                return Err(cannot_create(spec, "it was created but does not appear".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// First offset and end of a partition's log.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the broker does not answer.
    pub fn bounds(&self, source: &SourcePartition) -> Result<(i64, i64), Error> {
        let deadline = Instant::now() + LEADER_TIMEOUT;
        loop {
            match self.client().fetch_watermarks(&source.topic, source.partition, TIMEOUT) {
                Ok(bounds) => return Ok(bounds),
                Err(error) if has_no_leader_yet(&error) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(Error::of(&error, &self.brokers, &format!("reading the bounds of {source}"))),
            }
        }
    }
}

/// Asks until a broker answers. Refused handshakes are reported elsewhere, and the questions merely
/// stay without an answer: a broker that starts may refuse once, so only what lasts is believed.
fn await_answer(client: &BaseConsumer<GroupContext>, brokers: &str, timeout: Duration) -> Result<(), Error> {
    let doing = "connecting";
    let deadline = Instant::now() + timeout;
    let (mut wait, mut tries) = (Duration::from_secs(1), 0);
    if client.context().common.shows_token() {
        serve(client);
    }
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let error = match client.fetch_metadata(None, wait.min(left)) {
            Ok(_) => return Ok(()),
            Err(error) if code_of(&error).is_some_and(is_refusal) => return Err(Error::of(&error, brokers, doing)),
            Err(error) => error,
        };
        serve(client);
        tries += 1;
        wait *= 2;
        let common = &client.context().common;
        if Instant::now() >= deadline {
            return Err(common.unanswered(&error.to_string(), brokers, doing));
        }
        if let Some(refusal) = common.refusal(brokers, doing).filter(|_| tries >= REFUSED_TRIES) {
            return Err(refusal);
        }
    }
}

/// Whether the brokers answer a client that has just been made.
pub(crate) fn answers(connection: &Connection, timeout: Duration) -> bool {
    let made = BaseConsumer::from_config_and_context(&connection.client(&[]), GroupContext::of(connection));
    made.is_ok_and(|client| await_answer(&client, &connection.brokers, timeout).is_ok())
}

/// A partition that was just created, or is moving, finds its leader soon.
fn has_no_leader_yet(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as C;
    let passing = [C::NotLeaderForPartition, C::LeaderNotAvailable, C::UnknownTopicOrPartition, C::UnknownPartition];
    error.rdkafka_error_code().is_some_and(|code| passing.contains(&code))
}

fn check_count(spec: &TopicSpec, found: i32) -> Result<(), Error> {
    if found == spec.partitions {
        return Ok(());
    }
    Err(Error::PartitionCount { topic: spec.name.clone(), found, expected: spec.partitions })
}

fn cannot_create(spec: &TopicSpec, reason: String) -> Error {
    let config: Vec<String> = spec.config.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Error::CannotCreate {
        topic: spec.name.clone(),
        reason,
        partitions: spec.partitions,
        config: if config.is_empty() { "the broker's defaults".to_owned() } else { config.join(" ") },
    }
}

/// Wakes the thread that waits in [`block_on`].
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs the admin client's futures: its own thread completes them.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
