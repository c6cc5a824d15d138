//! How a partition's state comes and goes: assignment, revocation, and the way back to what is
//! committed after a transaction failed. There is no undo: state is dropped and rebuilt.

use crate::consumer::{Consumer, Source};
use crate::error::Error;
use crate::gap::GoOn;
use crate::rebalance::{Change, Committed, committed};
use crate::runner::Runner;
use crate::topics::answers;
use domain::{Count, Effect, Input, Outputs, SourcePartition};
use rdkafka::TopicPartitionList;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Twenty seconds each, which is longer than any transaction of ours may take.
const ATTEMPTS: u64 = 2;
/// Longer than a new client takes to be answered.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// It is not the client's fault then.
const FRESH_CLIENTS_TOLD: u32 = 2;

impl Runner {
    /// Acts on changes of the assignment, in their order, before anything else is stepped.
    pub(crate) fn apply(&mut self, changes: VecDeque<Change>) -> Result<(), Error> {
        for change in changes {
            match change {
                Change::Failed(error) => return Err(error),
                Change::Unknown(sources) => {
                    self.joined = true;
                    if !self.begin_at_commits(&sources)? {
                        // The other changes are those of a client that is gone.
                        return Ok(());
                    }
                }
                Change::Revoked(sources) => {
                    for source in sources {
                        tracing::info!(stage = self.name(), %source, "partition revoked");
                        self.consumer.remove(&source);
                        self.step_aside(Input::Revoked(&source))?;
                    }
                }
                Change::Assigned(commits) => {
                    self.joined = true;
                    self.fresh_clients = 0;
                    for commit in commits {
                        tracing::info!(stage = self.name(), source = %commit.source, at = ?commit.commit.as_ref().map(|c| c.0), "partition assigned");
                        self.begin(commit, false)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Starts a partition at its last commit. The client already reads from there, unless it is to
    /// go back (`rewind`) or the stage replays its log.
    fn begin(&mut self, start: Committed, rewind: bool) -> Result<(), Error> {
        let GoOn { source, commit, low } = self.within_log(start)?;
        let Some(role) = self.consumer.role(&source.topic) else {
            return Err(Error::Contract {
                stage: self.name(),
                reason: format!("assigned {source}, which it does not read"),
            });
        };
        let mut state = Source::new(role, source.clone());
        // After a gap the next record is the first there is.
        let offset = commit.as_ref().map(|(offset, _)| low.map_or(*offset, |low| low.max(*offset)));
        let mut snapshot = None;
        let mut position = offset;
        if let (true, Some(end)) = (self.stage.replays(), offset) {
            let found = (self.hooks.checkpoint)(&source, end).filter(|(at, _)| *at <= end);
            position = found.as_ref().map(|(at, _)| *at);
            if let (Some(at), Some(low)) = (position, low.filter(|low| position.is_some_and(|at| at < *low))) {
                // What the checkpoint lacks is gone.
                self.say_gap(&source, at, low)?;
                position = Some(low);
            }
            snapshot = found.map(|(_, bytes)| bytes);
            if position != Some(end) {
                state.restore_to = Some(end);
            }
        }
        if rewind || state.restore_to.is_some() {
            self.consumer.seek(&source, position)?;
        }
        state.next = offset;
        let input = Input::Assigned {
            source: &source,
            offset,
            metadata: commit.as_ref().map(|(_, metadata)| metadata.as_str()),
            snapshot: snapshot.as_deref(),
        };
        self.step_aside(input)?;
        state.commit = commit;
        self.consumer.insert(state);
        Ok(())
    }

    /// Goes back to the committed offsets. What control records and loaded parts made the stage say
    /// is kept, and said in the next transaction.
    pub(crate) fn rewind(&mut self, reason: &str) -> Result<(), Error> {
        tracing::warn!(stage = self.name(), reason, "transaction given up; going back to the committed offsets");
        self.outbox.give_up()?;
        self.out.clear();
        // Partitions that went away meanwhile have no position to go back to.
        let changes = self.consumer.take_changes();
        self.apply(changes)?;
        self.rewinds = self.rewinds.saturating_add(1);
        self.stepped = true;
        let stage = Some(("stage", self.name().to_owned()));
        let count = Count { name: "vigie.transactions.aborted", attribute: stage, value: 1 };
        (self.hooks.committed)(Vec::new(), vec![count]);
        // Failing again and again is no reason to be quick about it.
        std::thread::sleep(Duration::from_millis(50 * u64::from(self.rewinds.min(20))));
        let mut sources = Vec::new();
        for source in std::mem::take(&mut self.consumer.sources) {
            self.step_aside(Input::Revoked(&source.source))?;
            sources.push(source.source);
        }
        self.begin_at_commits(&sources)?;
        // Resumed partitions are paused again by the next turn if they must be.
        self.consumer.resume_all()
    }

    /// Asks what is committed until the broker says, and moves each partition there; whether it did.
    /// If it does not say, while it answers a new client, ours is given up for a new one, which is
    /// given partitions by the group. Asked by ours the question proved worthless: clients were seen
    /// that got no answer at all for minutes, beside others that did.
    fn begin_at_commits(&mut self, sources: &[SourcePartition]) -> Result<bool, Error> {
        let mut list = TopicPartitionList::with_capacity(sources.len());
        for source in sources {
            list.add_partition(&source.topic, source.partition);
        }
        for attempt in 1_u64.. {
            match committed(&self.consumer.client, &list) {
                Ok(commits) => {
                    commits.into_iter().try_for_each(|commit| self.begin(commit, true))?;
                    self.fresh_clients = 0;
                    return Ok(true);
                }
                Err(error) => {
                    let error = Error::of(&error, &self.config.connection.brokers, "reading committed offsets");
                    if matches!(error, Error::Refused { .. }) {
                        return Err(error);
                    }
                    tracing::warn!(stage = self.name(), %error, "cannot go back yet");
                    self.consumer.name_brokers();
                    self.outbox.overdue("going back to the committed offsets")?;
                    if attempt >= ATTEMPTS && answers(&self.config.connection, ANSWER_TIMEOUT) {
                        self.start_over()?;
                        return Ok(false);
                    }
                    std::thread::sleep(ASK_AGAIN_AFTER);
                }
            }
        }
        Ok(false)
    }

    /// Joins the group with a new client. The old one leaves in its own time.
    fn start_over(&mut self) -> Result<(), Error> {
        self.fresh_clients += 1;
        if self.fresh_clients == FRESH_CLIENTS_TOLD {
            tracing::error!(
                stage = self.name(),
                group = %self.config.group,
                "the broker answers, but not what is committed, whoever asks: a transaction on the group's offsets does not end. kafka-transactions.sh find-hanging names it, and abort ends it; brokers of Kafka 4.3.1 and 4.4.0 may leave one behind when they crash (KAFKA-20734)"
            );
        } else {
            tracing::warn!(stage = self.name(), "the client cannot learn what is committed: joining with a new one");
        }
        for source in std::mem::take(&mut self.consumer.sources) {
            self.step_aside(Input::Revoked(&source.source))?;
        }
        self.joined = false;
        let fresh = Consumer::open(&self.config)?;
        let old = std::mem::replace(&mut self.consumer, fresh);
        std::thread::spawn(move || drop(old));
        self.consumer.join()
    }

    /// Steps the stage and throws its records away; loads are asked for again.
    fn step_aside(&mut self, input: Input<'_>) -> Result<(), Error> {
        let mut aside = Outputs::default();
        let name = self.stage.name();
        self.stage.step(input, &mut aside).map_err(|error| Error::Stage { stage: name, error })?;
        self.keep_loads(aside.effects);
        Ok(())
    }

    /// Loading has no effect on the log, and a stage that is being rebuilt waits for it.
    pub(crate) fn keep_loads(&mut self, effects: Vec<Effect>) {
        self.standing.effects.extend(effects.into_iter().filter(|e| matches!(e, Effect::Load(_))));
    }

    /// Stores the state of every partition that is up to date, between transactions.
    pub(crate) fn checkpoint(&mut self) {
        if !self.stage.replays() {
            return;
        }
        for source in &self.consumer.sources {
            let at = source.commit.as_ref().map(|(offset, _)| *offset);
            if source.restore_to.is_none()
                && let Some(offset) = at.filter(|_| at == source.next)
                && let Some(bytes) = self.stage.snapshot(&source.source)
            {
                (self.hooks.store_checkpoint)(&source.source, offset, bytes);
            }
        }
    }

    /// Says whether the group is joined and no partition is being rebuilt.
    pub(crate) fn report_ready(&self) {
        let ready = self.joined && self.consumer.sources.iter().all(|s| s.restore_to.is_none() && !s.refused);
        self.hooks.ready.store(ready, Ordering::SeqCst);
    }
}
