//! What comes in: one consumer of a group, its records sorted into a batch per partition.

use crate::error::{Error, is_refusal};
use crate::rebalance::{Change, GroupContext};
use crate::settings::RunnerConfig;
use domain::{Header, Prepared, Preparer, RawBatch, RawRecord, SourcePartition, TopicRole};
use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaErrorCode;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a turn waits for a first record before it looks at everything else.
const IDLE_WAIT: Duration = Duration::from_millis(20);
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);
const WAKE_TIMEOUT: Duration = Duration::from_millis(200);
/// How long one look lasts while a commit is under way.
const AHEAD_WAIT: Duration = Duration::from_millis(1);

/// One assigned partition.
pub(crate) struct Source {
    pub(crate) source: SourcePartition,
    pub(crate) role: TopicRole,
    /// Offset and metadata of the last commit.
    pub(crate) commit: Option<(i64, String)>,
    /// The record to be stepped next; `None` while nothing was ever committed or stepped.
    pub(crate) next: Option<i64>,
    /// While set, records below it are replayed: stepped again, their outputs thrown away.
    pub(crate) restore_to: Option<i64>,
    /// Records to be replayed, and records to be stepped for the first time.
    pub(crate) replay: RawBatch,
    pub(crate) batch: RawBatch,
    /// What the stage's preparer made of `batch`.
    pub(crate) prepared: Option<Prepared>,
    /// Bytes of keys and values in `batch`, and of batches stepped since the last commit.
    pub(crate) batch_bytes: u64,
    pub(crate) stepped_bytes: u64,
    /// The log's end was reached and nothing came since.
    pub(crate) at_end: bool,
    /// The log's end was reached at least once since the assignment.
    pub(crate) reached_end: bool,
    pub(crate) idle_sent: bool,
    /// When the last record, or the assignment, came.
    pub(crate) since: Instant,
    /// The stage takes no input of it now.
    pub(crate) refused: bool,
    /// The client was told to fetch no more of it.
    paused: bool,
}

impl Source {
    pub(crate) fn new(role: TopicRole, source: SourcePartition) -> Self {
        Self {
            role,
            commit: None,
            next: None,
            restore_to: None,
            replay: RawBatch::new(role, source.clone()),
            batch: RawBatch::new(role, source.clone()),
            prepared: None,
            batch_bytes: 0,
            stepped_bytes: 0,
            at_end: false,
            reached_end: false,
            idle_sent: false,
            since: Instant::now(),
            refused: false,
            paused: false,
            source,
        }
    }

    /// Forgets the stepped batch; what had to wait is the next one.
    pub(crate) fn batch_done(&mut self, rest: Option<RawBatch>) {
        if let Some(last) = self.batch.last_offset() {
            self.next = Some(last + 1);
        }
        self.restore_to = None;
        self.batch = rest.unwrap_or_else(|| RawBatch::new(self.role, self.source.clone()));
        let bytes = |r: RawRecord<'_>| r.key.map_or(0, <[u8]>::len) + r.value.map_or(0, <[u8]>::len);
        let waiting = self.batch.iter().map(bytes).sum::<usize>() as u64;
        self.stepped_bytes += self.batch_bytes.saturating_sub(waiting);
        self.batch_bytes = waiting;
    }

    /// Forgets the replayed batch.
    pub(crate) fn replay_done(&mut self) {
        self.replay = RawBatch::new(self.role, self.source.clone());
    }

    fn push(&mut self, message: &BorrowedMessage<'_>) -> usize {
        let replayed = self.restore_to.is_some_and(|end| message.offset() < end);
        let bytes = message.key_len() + message.payload_len();
        if !replayed {
            self.batch_bytes += bytes as u64;
            self.prepared = None;
        }
        push(if replayed { &mut self.replay } else { &mut self.batch }, message);
        self.at_end = false;
        self.idle_sent = false;
        bytes
    }
}

/// Copies a message into a batch. Header names that are not UTF-8 become empty.
pub(crate) fn push(batch: &mut RawBatch, message: &BorrowedMessage<'_>) {
    let record = RawRecord {
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key(),
        value: message.payload(),
    };
    match message.headers() {
        None => batch.push(record, []),
        Some(headers) => {
            // The client panics on a header name that is not UTF-8; a foreign record must not stop us.
            let get = |i| catch_unwind(AssertUnwindSafe(|| headers.try_get(i))).ok().flatten();
            let all = (0..headers.count()).map(|i| match get(i) {
                Some(header) => Header { name: header.key, value: header.value },
                None => Header { name: "", value: None },
            });
            batch.push(record, all);
        }
    }
}

/// The group's consumer with the partitions it was given, sorted.
pub(crate) struct Consumer {
    pub(crate) client: Arc<BaseConsumer<GroupContext>>,
    pub(crate) sources: Vec<Source>,
    roles: BTreeMap<String, TopicRole>,
    /// Place of the source of the last record: records come in runs.
    last: usize,
    brokers: String,
    rows_max: usize,
    bytes_max: usize,
    interval: Duration,
    /// Records were collected while a commit was under way: they are stepped first.
    is_ahead: bool,
    /// What went wrong with reading meanwhile.
    failed: Option<Error>,
}

impl Consumer {
    pub(crate) fn open(config: &RunnerConfig) -> Result<Self, Error> {
        let brokers = config.connection.brokers.clone();
        let client = BaseConsumer::from_config_and_context(&config.consumer(), GroupContext::of(&config.connection))
            .map_err(|e| Error::of(&e, &brokers, "opening a consumer"))?;
        Ok(Self {
            client: Arc::new(client),
            sources: Vec::new(),
            roles: config.subscriptions.iter().map(|(role, topic)| (topic.clone(), *role)).collect(),
            last: 0,
            brokers,
            rows_max: config.batch_rows_max.max(1),
            bytes_max: config.batch_bytes_max.max(1),
            interval: config.commit_interval,
            is_ahead: false,
            failed: None,
        })
    }

    /// Joins the group.
    pub(crate) fn join(&self) -> Result<(), Error> {
        let topics: Vec<&str> = self.roles.keys().map(String::as_str).collect();
        self.client.subscribe(&topics).map_err(|e| Error::of(&e, &self.brokers, "joining the group"))
    }

    /// What a topic is to the stage.
    pub(crate) fn role(&self, topic: &str) -> Option<TopicRole> {
        self.roles.get(topic).copied()
    }

    /// Takes what is there: without waiting when the last commit is an interval ago, else until it
    /// is, if something was taken or is owed to a commit (`is_owing`). A change of the assignment
    /// ends it at once, so nothing is polled past a change.
    pub(crate) fn collect(&mut self, last_commit: Instant, is_owing: bool) -> Result<VecDeque<Change>, Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.client.context().common.find_again(self.client.client());
        let changes = self.take_changes();
        if std::mem::take(&mut self.is_ahead) || !changes.is_empty() {
            return Ok(changes);
        }
        let start = Instant::now();
        let (mut rows, mut bytes) = (0_usize, 0_usize);
        let interval = self.interval;
        let due_in = || whole_ms(interval.saturating_sub(last_commit.elapsed()));
        let idle_wait = if is_owing { IDLE_WAIT.min(due_in()) } else { IDLE_WAIT };
        let mut wait = idle_wait;
        loop {
            let waited = wait;
            match self.client.poll(wait) {
                Some(Ok(message)) => {
                    if let Some(size) = push_to(&mut self.sources, &mut self.last, &message) {
                        bytes += size;
                        rows += 1;
                        // There may be more; the client asks the clock less when it need not wait.
                        wait = Duration::ZERO;
                    }
                }
                Some(Err(error)) => self.note(&error)?,
                None => {
                    let changes = self.take_changes();
                    if !changes.is_empty() {
                        return Ok(changes);
                    }
                    if rows > 0 {
                        wait = due_in();
                        if wait.is_zero() {
                            break;
                        }
                    }
                }
            }
            let full = rows >= self.rows_max || bytes >= self.bytes_max;
            let limit = if rows == 0 { idle_wait } else { self.interval.max(IDLE_WAIT) };
            if full || (rows % 64 == 0 || waited > Duration::ZERO) && start.elapsed() >= limit {
                break;
            }
        }
        self.note_time();
        Ok(self.take_changes())
    }

    /// Changes of the assignment since the last look, oldest first.
    pub(crate) fn take_changes(&self) -> VecDeque<Change> {
        self.client.context().take()
    }

    fn note_time(&mut self) {
        let now = Instant::now();
        for source in self.sources.iter_mut().filter(|s| !s.batch.is_empty() || !s.replay.is_empty()) {
            source.since = now;
        }
    }

    /// Takes what comes while something else is under way, up to the limits of a batch or a change of
    /// the assignment, and has it prepared if it can be. The stage's state is not touched.
    pub(crate) fn collect_ahead(
        &mut self,
        preparer: Option<&mut (dyn Preparer + 'static)>,
        is_under_way: impl Fn() -> bool,
    ) {
        let (mut rows, mut bytes) = (0_usize, 0_usize);
        while rows < self.rows_max && bytes < self.bytes_max {
            if (rows % 64 == 0) && !is_under_way() {
                break;
            }
            match self.client.poll(AHEAD_WAIT) {
                Some(Ok(message)) => {
                    if let Some(size) = push_to(&mut self.sources, &mut self.last, &message) {
                        bytes += size;
                        rows += 1;
                    }
                }
                Some(Err(error)) => {
                    if let Err(failed) = self.note(&error) {
                        self.failed = Some(failed);
                        break;
                    }
                }
                None if self.client.context().has_changes() || !is_under_way() => break,
                None => {}
            }
        }
        self.is_ahead = rows > 0;
        self.note_time();
        let Some(preparer) = preparer else { return };
        for source in self.sources.iter_mut().filter(|s| !s.batch.is_empty()) {
            if !is_under_way() {
                break;
            }
            source.prepared = preparer.prepare(&source.batch);
        }
    }

    /// Acts on what the client reports between records.
    fn note(&mut self, error: &KafkaError) -> Result<(), Error> {
        match error {
            KafkaError::PartitionEOF(partition) => {
                // The client names no topic; `at_end_for_sure` tells equal numbers apart.
                for source in self.sources.iter_mut().filter(|s| s.source.partition == *partition) {
                    source.at_end = true;
                    source.reached_end = true;
                }
                Ok(())
            }
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                Err(self.out_of_range(error))
            }
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic,
            ) => Err(self.unknown_topic(error)),
            KafkaError::MessageConsumption(code) if is_refusal(*code) => {
                self.client.context().common.refused(error, &self.brokers, "reading")
            }
            KafkaError::MessageConsumptionFatal(_) => {
                Err(Error::Broken { doing: "reading".to_owned(), reason: error.to_string() })
            }
            // Transport and group errors: logged by the context, mended by the client.
            _ => Ok(()),
        }
    }

    /// Tells a client that gets no answer where the brokers are.
    pub(crate) fn name_brokers(&self) {
        self.client.context().common.name_brokers(self.client.client());
    }

    fn unknown_topic(&self, error: &KafkaError) -> Error {
        let missing = self.roles.keys().find(|topic| {
            let metadata = self.client.fetch_metadata(Some(topic), QUERY_TIMEOUT);
            metadata.is_ok_and(|m| m.topics().iter().all(|t| t.error().is_some() || t.partitions().is_empty()))
        });
        missing.map_or_else(|| Error::of(error, &self.brokers, "reading"), |topic| Error::UnknownTopic(topic.clone()))
    }

    /// Finds the partition whose position is outside its log.
    fn out_of_range(&self, error: &KafkaError) -> Error {
        for source in &self.sources {
            let SourcePartition { topic, partition } = &source.source;
            if let Ok((low, high)) = self.client.fetch_watermarks(topic, *partition, QUERY_TIMEOUT)
                && let Some(position) = self.position(&source.source).or(source.next)
                && !(low..=high).contains(&position)
            {
                return Error::OutOfRange { source_partition: source.source.clone(), position, low, high };
            }
        }
        Error::Broken { doing: "reading at a position outside the log".to_owned(), reason: error.to_string() }
    }

    /// The client's position: past control records too.
    fn position(&self, source: &SourcePartition) -> Option<i64> {
        let list = self.client.position().ok()?;
        match list.find_partition(&source.topic, source.partition)?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    /// Whether a source flagged as at its end is; asks the broker only where the flag is ambiguous.
    pub(crate) fn at_end_for_sure(&self, source: &Source) -> bool {
        let same_number = self.sources.iter().filter(|s| s.source.partition == source.source.partition);
        if !source.at_end || same_number.count() == 1 {
            return source.at_end;
        }
        let SourcePartition { topic, partition } = &source.source;
        let Ok((low, high)) = self.client.fetch_watermarks(topic, *partition, QUERY_TIMEOUT) else {
            return false;
        };
        self.position(&source.source).or(source.next).map_or(low == high, |position| position >= high)
    }

    /// Pauses partitions that cannot take input, resumes those that can again. One from which
    /// nothing came is left alone: a pause between its assignment and its first fetch can make
    /// librdkafka forget the fetch (its issue 5591).
    pub(crate) fn regulate(&mut self, accepts: impl Fn(&SourcePartition) -> bool) -> Result<(), Error> {
        let (mut pause, mut resume) = (TopicPartitionList::new(), TopicPartitionList::new());
        for source in &mut self.sources {
            source.refused = !accepts(&source.source);
            let holds = !source.batch.is_empty() || !source.replay.is_empty();
            let paused = source.refused && (source.paused || holds);
            if paused != source.paused {
                source.paused = paused;
                let list = if paused { &mut pause } else { &mut resume };
                list.add_partition(&source.source.topic, source.source.partition);
            }
        }
        let fail = |e: KafkaError| Error::of(&e, &self.brokers, "pausing or resuming partitions");
        if pause.count() > 0 {
            self.client.pause(&pause).map_err(fail)?;
        }
        if resume.count() > 0 {
            self.client.resume(&resume).map_err(fail)?;
            self.wake_readers(resume);
        }
        Ok(())
    }

    /// A resumed partition is fetched when its broker's thread looks next, which sleeps for up to a
    /// second where nothing else was read. A question to that broker wakes it; the answer is of no
    /// interest.
    fn wake_readers(&self, mut resumed: TopicPartitionList) {
        let asked = resumed.set_all_offsets(Offset::End);
        if let Err(error) = asked.and_then(|()| self.client.offsets_for_times(resumed, WAKE_TIMEOUT).map(drop)) {
            tracing::debug!(%error, "resumed partitions start late");
        }
    }

    /// Resumes everything: after a rewind the partitions' states begin anew.
    pub(crate) fn resume_all(&mut self) -> Result<(), Error> {
        let mut list = TopicPartitionList::new();
        for source in &mut self.sources {
            source.paused = false;
            list.add_partition(&source.source.topic, source.source.partition);
        }
        if list.count() == 0 {
            return Ok(());
        }
        self.client.resume(&list).map_err(|e| Error::of(&e, &self.brokers, "resuming partitions"))?;
        self.wake_readers(list);
        Ok(())
    }

    /// Moves the position of one assigned partition; `None` is the log's start. Waits while the
    /// client is still starting the partition.
    pub(crate) fn seek(&self, source: &SourcePartition, offset: Option<i64>) -> Result<(), Error> {
        let target = offset.map_or(Offset::Beginning, Offset::Offset);
        let deadline = Instant::now() + QUERY_TIMEOUT;
        loop {
            let mut list = TopicPartitionList::new();
            let added = list.add_partition_offset(&source.topic, source.partition, target);
            let sought = added
                .and_then(|()| self.client.seek_partitions(list, QUERY_TIMEOUT))
                .and_then(|done| done.elements().iter().try_for_each(|e| e.error()));
            match sought {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => {
                    return Err(Error::of(&error, &self.brokers, &format!("seeking in {source}")));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Adds an assigned partition, keeping the order.
    pub(crate) fn insert(&mut self, source: Source) {
        match self.sources.binary_search_by(|s| s.source.cmp(&source.source)) {
            Ok(place) => {
                if let Some(known) = self.sources.get_mut(place) {
                    *known = source;
                }
            }
            Err(place) => self.sources.insert(place, source),
        }
    }

    /// Drops a partition with everything collected from it.
    pub(crate) fn remove(&mut self, source: &SourcePartition) {
        self.sources.retain(|s| s.source != *source);
    }
}

/// The client waits whole milliseconds, and asks the clock without pause for what is left of one.
fn whole_ms(wait: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX))
}

/// Puts a record into its partition's batch; `last` is the place of the record before. Given back
/// are its bytes; `None` if the partition is not ours.
fn push_to(sources: &mut [Source], last: &mut usize, message: &BorrowedMessage<'_>) -> Option<usize> {
    *last = find(sources, *last, message.topic(), message.partition())?;
    sources.get_mut(*last).map(|source| source.push(message))
}

fn find(sources: &[Source], last: usize, topic: &str, partition: i32) -> Option<usize> {
    let is = |s: &Source| s.source.partition == partition && *s.source.topic == *topic;
    if sources.get(last).is_some_and(is) {
        return Some(last);
    }
    sources.iter().position(is)
}
