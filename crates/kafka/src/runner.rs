//! How delivery is kept.
//!
//! A runner drives one stage against a real log, on one thread, in turns:
//! poll what is there; act on a changed assignment; step the stage; write its outputs. Every
//! interval the outputs and the offsets of what was read are committed in **one transaction**, with
//! the small state of each partition in the commit's metadata. Only after that commit does anything
//! else happen: effects, counts, checkpoints. A revocation between two commits takes everything
//! since the last one back, so a partition that went away never has work in flight.
//!
//! When a transaction fails, the stage forgets the partitions and is given them again as after a
//! crash (`Runner::rewind`). With [`Delivery::AtLeastOnce`](crate::Delivery) the outputs are
//! acknowledged before the offsets are committed instead.

use crate::consumer::Consumer;
use crate::control::ControlTail;
use crate::error::Error;
use crate::faults;
use crate::hooks::{Hooks, Stop};
use crate::producer::{Commit, Outbox, Outcome};
use crate::rebalance::Change;
use crate::settings::{OutOfLog, RunnerConfig};
use crate::transaction::Membership;
use domain::{Input, Outputs, Preparer, RawBatch, Stage};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Outputs of so many bytes are written before their commit is due: the broker takes them while more
/// is read. Fewer wait for the commit, so that a slow step with little to say holds no transaction
/// open.
const WRITE_EARLY_BYTES: usize = 256 << 10;
/// The broker's default limit for the metadata of a commit is 4,096 bytes.
const METADATA_BYTES_MAX: usize = 4_000;
/// Saying goodbye to the group is worth this, however late it is.
const LEAVE_MIN: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_secs(1);

/// Runs a stage until the stop is requested, on the caller's thread.
///
/// # Errors
/// What the process cannot mend by itself; see [`Error::class`]. A broker that is away is none.
pub fn run(stage: Box<dyn Stage>, config: RunnerConfig, hooks: Hooks, stop: Stop) -> Result<(), Error> {
    let mut runner = Runner::open(stage, config, hooks, stop)?;
    tracing::debug!(stage = runner.name(), "transactions are initialised");
    let worked = runner.work();
    let left = runner.leave(worked.is_ok());
    // A broker that is away is why both fail.
    worked.and(left)
}

/// One stage and its ways in and out.
pub(crate) struct Runner {
    pub(crate) stage: Box<dyn Stage>,
    pub(crate) config: RunnerConfig,
    pub(crate) hooks: Hooks,
    stop: Stop,
    pub(crate) consumer: Consumer,
    pub(crate) outbox: Outbox,
    control: Option<ControlTail>,
    /// What control records and loaded parts made the stage say: kept until it is committed.
    pub(crate) standing: Outputs,
    /// What batches, idleness and ticks made it say: thrown away when a transaction fails.
    pub(crate) out: Outputs,
    pub(crate) joined: bool,
    /// Something was stepped, or is still to be said, since the last commit.
    pub(crate) stepped: bool,
    last_commit: Instant,
    last_tick: Instant,
    commits: u64,
    pub(crate) rewinds: u32,
    /// Clients given up since one last learnt what is committed.
    pub(crate) fresh_clients: u32,
    delay: Option<Delay>,
    group: Arc<str>,
    preparer: Option<Box<dyn Preparer>>,
}

impl Runner {
    /// Opens everything but the membership in the group. Transactions of a predecessor are over
    /// when this returns.
    fn open(stage: Box<dyn Stage>, config: RunnerConfig, hooks: Hooks, stop: Stop) -> Result<Self, Error> {
        let topics: Vec<&str> = config.subscriptions.iter().map(|(_, topic)| topic.as_str()).collect();
        hooks.progress.reads(&config.group, &topics);
        // The consumer finds its way to the broker while transactions are initialised.
        let consumer = Consumer::open(&config)?;
        Ok(Self {
            outbox: Outbox::open(&config, stage.name(), &stop)?,
            consumer,
            control: config.reads_control.then(|| ControlTail::open(&config)).transpose()?,
            standing: Outputs::default(),
            out: Outputs::default(),
            joined: false,
            stepped: false,
            last_commit: Instant::now(),
            last_tick: Instant::now(),
            commits: 0,
            rewinds: 0,
            fresh_clients: 0,
            delay: config.delay_ms.map(|(seed, max_ms)| Delay { state: seed, max_ms }),
            group: Arc::from(config.group.as_str()),
            preparer: stage.preparer(),
            stage,
            config,
            hooks,
            stop,
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.stage.name()
    }

    /// Everything until the stop, with the last commit.
    fn work(&mut self) -> Result<(), Error> {
        self.read_control_to_its_end()?;
        self.consumer.join()?;
        tracing::debug!(stage = self.name(), "joined its group");
        while !self.stop.requested() {
            self.turn()?;
        }
        self.commit()
    }

    /// Every decision made so far is known before the first record is read.
    fn read_control_to_its_end(&mut self) -> Result<(), Error> {
        while let Some(control) = &mut self.control {
            let Some(batches) = control.next_of_the_past()? else { break };
            self.step_control(&batches)?;
            if self.stop.requested() {
                break;
            }
        }
        Ok(())
    }

    /// One turn: poll, then step, then commit.
    fn turn(&mut self) -> Result<(), Error> {
        if let Some(delay) = &mut self.delay {
            std::thread::sleep(delay.next());
        }
        let changes = match self.consumer.collect(self.last_commit, self.stepped) {
            // Retention passed us while we were reading: go back, and find out what is lost.
            Err(Error::OutOfRange { position, low, .. })
                if position < low && self.config.out_of_log != OutOfLog::Fail =>
            {
                return self.rewind("retention passed the position");
            }
            collected => collected?,
        };
        if self.stepped && changes.iter().any(|change| matches!(change, Change::Revoked(_))) {
            self.outbox.give_up()?;
            self.apply(changes)?;
            return self.rewind("partitions were revoked before the commit was due");
        }
        self.apply(changes)?;
        faults::step(self.name(), "collected");
        if let Some(control) = &mut self.control {
            let news = control.news()?;
            self.step_control(&news)?;
        }
        self.step_loaded()?;
        self.step_replays()?;
        self.step_batches()?;
        self.step_clock()?;
        faults::step(self.name(), "stepped");
        if self.is_due() {
            self.commit()?
        } else {
            self.write_early()?
        };
        let stage = &self.stage;
        self.consumer.regulate(|source| stage.accepts(source))?;
        self.report_ready();
        Ok(())
    }

    fn step_control(&mut self, batches: &[RawBatch]) -> Result<(), Error> {
        for batch in batches {
            step(self.stage.as_mut(), Input::Control(batch), &mut self.standing)?;
            self.stepped = true;
        }
        Ok(())
    }

    fn step_loaded(&mut self) -> Result<(), Error> {
        while let Ok(loaded) = self.hooks.inbox.try_recv() {
            let input = Input::Loaded { version: &loaded.version, part: loaded.part };
            step(self.stage.as_mut(), input, &mut self.standing)?;
            self.stepped = true;
        }
        Ok(())
    }

    /// Rebuilds state from records that were processed before; what it says was said then.
    fn step_replays(&mut self) -> Result<(), Error> {
        let mut said = Outputs::default();
        for place in 0..self.consumer.sources.len() {
            let Some(source) = self.consumer.sources.get_mut(place) else { break };
            if !source.replay.is_empty() && self.stage.accepts(&source.source) {
                step(self.stage.as_mut(), Input::Batch(&source.replay), &mut said)?;
                source.replay_done();
                said.counts.clear();
            }
            // The log may end right where the last commit stands.
            if source.restore_to.is_some() && source.replay.is_empty() && source.batch.is_empty() && source.at_end {
                source.restore_to = None;
            }
        }
        self.keep_loads(said.effects);
        Ok(())
    }

    /// Steps new records in partition order. What a partition cannot take now stays collected.
    fn step_batches(&mut self) -> Result<(), Error> {
        for source in &mut self.consumer.sources {
            if !source.batch.is_empty() && source.replay.is_empty() && self.stage.accepts(&source.source) {
                let until = self.stage.accepts_until(&source.source);
                let rest = until.and_then(|offset| source.batch.split_off(offset));
                // What was prepared is the whole batch.
                let done = match source.prepared.take().filter(|_| rest.is_none()) {
                    Some(prepared) => self.stage.step_prepared(&source.batch, prepared, &mut self.out),
                    None => self.stage.step(Input::Batch(&source.batch), &mut self.out),
                };
                done.map_err(|error| Error::Stage { stage: self.stage.name(), error })?;
                source.batch_done(rest);
                self.stepped = true;
            }
        }
        Ok(())
    }

    /// Idle marks and ticks: the only inputs that a clock decides.
    fn step_clock(&mut self) -> Result<(), Error> {
        if let Some(idle_after) = self.config.idle_after
            && self.hooks.idle_enabled.load(Ordering::SeqCst)
        {
            for place in 0..self.consumer.sources.len() {
                let Some(source) = self.consumer.sources.get(place) else { break };
                let quiet = source.batch.is_empty() && source.restore_to.is_none() && !source.idle_sent;
                if quiet && source.since.elapsed() >= idle_after && self.consumer.at_end_for_sure(source) {
                    step(self.stage.as_mut(), Input::Idle(&source.source), &mut self.out)?;
                    self.stepped = true;
                    if let Some(source) = self.consumer.sources.get_mut(place) {
                        source.idle_sent = true;
                    }
                }
            }
        }
        let sources = &self.consumer.sources;
        let up_to_date = !sources.is_empty() && sources.iter().all(|s| s.reached_end && s.restore_to.is_none());
        if self.config.ticks && up_to_date && self.last_tick.elapsed() >= TICK {
            self.last_tick = Instant::now();
            let now_ms = (self.hooks.now_ms)();
            step(self.stage.as_mut(), Input::Tick { now_ms }, &mut self.out)?;
            self.stepped = true;
        }
        Ok(())
    }

    /// A record that finds the runner idle is committed at once.
    fn is_due(&self) -> bool {
        self.last_commit.elapsed() >= self.config.commit_interval || self.stop.requested()
    }

    fn write_early(&mut self) -> Result<(), Error> {
        if self.out.byte_len() < WRITE_EARLY_BYTES {
            return Ok(());
        }
        let failed = self.outbox.write(&self.out)?;
        self.out.clear_records();
        failed.map_or(Ok(()), |reason| self.rewind(&reason))
    }

    /// Writes outputs and moves offsets, both or neither; then lets the rest of the daemon know.
    fn commit(&mut self) -> Result<(), Error> {
        // A stage may let go of offsets it held back without being given anything.
        if !self.stepped && self.last_commit.elapsed() < TICK {
            self.hand_over();
            return Ok(());
        }
        self.stepped = false;
        self.last_commit = Instant::now();
        let sources = &self.consumer.sources;
        if !sources.is_empty() && sources.iter().all(|s| s.restore_to.is_some()) {
            // A stage that is still being rebuilt cannot know better than what it said before.
            let effects = std::mem::take(&mut self.standing.effects);
            self.standing.clear();
            self.keep_loads(effects);
            self.hand_over();
            return Ok(());
        }
        let commits = self.offsets()?;
        if commits.is_empty() && self.standing.is_empty() && self.out.is_empty() && !self.outbox.has_written() {
            // Read, but held back by the stage: whoever waits for readers need not wait for that.
            self.publish_progress();
            self.hand_over();
            return Ok(());
        }
        match self.commit_all(&commits)? {
            #[cfg(feature = "faults")]
            Outcome::Rewind(_) if faults::has(faults::Bug::NoRewind) => {
                self.out.clear();
                Ok(())
            }
            Outcome::Rewind(reason) => self.rewind(&reason),
            Outcome::Committed(written) => {
                for (target, bytes) in written {
                    self.hooks.progress.written(&target, bytes);
                }
                self.committed(commits);
                faults::step(self.name(), "handed_over");
                Ok(())
            }
        }
    }

    /// Commits on a thread of its own: the next batch is collected meanwhile, and prepared if the stage
    /// can do that.
    fn commit_all(&mut self, commits: &[Commit]) -> Result<Outcome, Error> {
        let client = Arc::clone(&self.consumer.client);
        let member = Membership::of(&client);
        let (outbox, outputs) = (&mut self.outbox, [&self.standing, &self.out]);
        if self.stop.requested() {
            return outbox.commit(&member, &outputs, commits);
        }
        let (consumer, preparer) = (&mut self.consumer, self.preparer.as_deref_mut());
        std::thread::scope(|scope| {
            let committing = scope.spawn(|| outbox.commit(&member, &outputs, commits));
            consumer.collect_ahead(preparer, || !committing.is_finished());
            let gone = |_| Error::Broken { doing: "committing".to_owned(), reason: "the thread panicked".to_owned() };
            committing.join().map_err(gone)?
        })
    }

    /// Offset and metadata of every partition where either has changed.
    fn offsets(&self) -> Result<Vec<Commit>, Error> {
        let mut commits = Vec::new();
        for source in self.consumer.sources.iter().filter(|s| s.restore_to.is_none()) {
            let Some(next) = source.next else { continue };
            let offset = self.stage.commit_offset(&source.source, next);
            let metadata = self.stage.commit_metadata(&source.source);
            if metadata.len() > METADATA_BYTES_MAX {
                let reason = format!(
                    "commit metadata of {} has {} bytes, at most {METADATA_BYTES_MAX} fit",
                    source.source,
                    metadata.len()
                );
                return Err(Error::Contract { stage: self.stage.name(), reason });
            }
            if !source.commit.as_ref().is_some_and(|(o, m)| *o == offset && *m == metadata) {
                commits.push((source.source.clone(), offset, metadata));
            }
        }
        Ok(commits)
    }

    fn committed(&mut self, commits: Vec<Commit>) {
        self.rewinds = 0;
        let moved = !commits.is_empty();
        for (partition, offset, metadata) in commits {
            if let Some(source) = self.consumer.sources.iter_mut().find(|s| s.source == partition) {
                source.commit = Some((offset, metadata));
            }
        }
        self.publish_progress();
        self.hand_over();
        self.commits += u64::from(moved);
        let every = self.config.checkpoint_every;
        if moved && every > 0 && self.commits.is_multiple_of(every) {
            self.checkpoint();
        }
    }

    /// Tells how far was read, for whoever must not run ahead of the readers.
    fn publish_progress(&mut self) {
        for source in &mut self.consumer.sources {
            if let (Some(next), bytes @ 1..) = (source.next, std::mem::take(&mut source.stepped_bytes)) {
                self.hooks.progress.committed(&self.group, &source.source, next, bytes);
            }
        }
    }

    /// Effects and counts leave only when nothing they belong to can be undone any more.
    fn hand_over(&mut self) {
        let mut effects = std::mem::take(&mut self.standing.effects);
        effects.append(&mut self.out.effects);
        let mut counts = std::mem::take(&mut self.standing.counts);
        counts.append(&mut self.out.counts);
        self.standing.clear();
        self.out.clear();
        if !effects.is_empty() || !counts.is_empty() {
            (self.hooks.committed)(effects, counts);
        }
    }

    /// Leaves the group in bounded time; if everything is committed, with a last checkpoint.
    fn leave(mut self, is_whole: bool) -> Result<(), Error> {
        if is_whole {
            self.checkpoint();
        }
        self.hooks.ready.store(false, Ordering::SeqCst);
        let (stage, limit) = (self.name(), self.config.drain_timeout);
        let left = self.stop.left_of(limit).max(LEAVE_MIN);
        let (gone, done) = crossbeam_channel::bounded::<()>(1);
        let consumer = self.consumer;
        // Leaving waits for the broker, which may be away.
        std::thread::spawn(move || {
            drop(consumer);
            drop(gone);
        });
        match done.recv_timeout(left) {
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => {
                Err(Error::Drain { stage, doing: "leaving the group".to_owned(), limit_ms: limit.as_millis() })
            }
            _ => Ok(()),
        }
    }
}

fn step(stage: &mut dyn Stage, input: Input<'_>, out: &mut Outputs) -> Result<(), Error> {
    let name = stage.name();
    stage.step(input, out).map_err(|error| Error::Stage { stage: name, error })
}

/// A seeded random pause: splitmix64, whose constants are those of Steele, Lea and Flood (2014).
struct Delay {
    state: u64,
    max_ms: u64,
}

impl Delay {
    fn next(&mut self) -> Duration {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Duration::from_millis((z ^ (z >> 31)) % self.max_ms.saturating_add(1))
    }
}
