//! Delivery as `kafka::runner` keeps it, one stage over the logs in memory: collect, act on
//! assignments, control tail, loaded parts, replays, batches, clock, then one transaction.

use super::log::{Log, push, source};
use domain::{Effect, Input, Outputs, RawBatch, SourcePartition, Stage, TopicRole, Version};
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

/// How a turn ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Commits,
    /// The transaction fails; the process lives and goes back.
    Aborts,
    /// The process dies before the transaction ends.
    DiesBefore,
    /// The process dies after it, before the effects are done.
    DiesAfter,
}

pub(super) type Part = Result<Arc<dyn Any + Send + Sync>, String>;

/// One assigned partition, as in the consumer.
struct Source {
    role: TopicRole,
    source: SourcePartition,
    commit: Option<(i64, String)>,
    next: Option<i64>,
    /// The client's position: the next record to be collected.
    position: i64,
    restore_to: Option<i64>,
    replay: RawBatch,
    batch: RawBatch,
    reached_end: bool,
    idle_sent: bool,
}

pub(super) struct Runner {
    pub(super) name: &'static str,
    stage: Box<dyn Stage>,
    sources: Vec<Source>,
    reads_control: bool,
    control_next: i64,
    standing: Outputs,
    out: Outputs,
    pub(super) inbox: VecDeque<(Version, Part)>,
}

/// What a turn may do; drawn by the world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) fate: Fate,
    /// Records collected of each partition.
    pub(super) rows: usize,
    pub(super) control: usize,
    pub(super) loads: usize,
    pub(super) tick: bool,
    pub(super) idle: bool,
    pub(super) checkpoint: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) progressed: bool,
    pub(super) died: bool,
    pub(super) effects: Vec<Effect>,
}

impl Runner {
    /// A new process: reads control to its end before it joins.
    pub(super) fn open(stage: Box<dyn Stage>, reads_control: bool, log: &Log) -> Self {
        let mut runner = Self {
            name: stage.name(),
            stage,
            sources: Vec::new(),
            reads_control,
            control_next: 0,
            standing: Outputs::default(),
            out: Outputs::default(),
            inbox: VecDeque::new(),
        };
        runner.step_control(log, usize::MAX);
        runner
    }

    pub(super) fn owned(&self) -> Vec<(TopicRole, SourcePartition)> {
        self.sources.iter().map(|s| (s.role, s.source.clone())).collect()
    }

    pub(super) fn revoke(&mut self, source: &SourcePartition) {
        self.sources.retain(|s| s.source != *source);
        self.step_aside(|stage, out| stage.step(Input::Revoked(source), out).unwrap());
    }

    pub(super) fn assign(&mut self, role: TopicRole, source: &SourcePartition, log: &Log) {
        let commit = log.committed(self.name, source);
        let offset = commit.as_ref().map(|(offset, _)| *offset);
        let (mut snapshot, mut position, mut restore_to) = (None, offset, None);
        if let (true, Some(end)) = (self.stage.replays(), offset) {
            let found = log.checkpoint(self.name, source, end);
            position = found.as_ref().map(|(at, _)| *at);
            snapshot = found.map(|(_, bytes)| bytes);
            restore_to = (position != Some(end)).then_some(end);
        }
        let metadata = commit.as_ref().map(|(_, metadata)| metadata.clone());
        self.step_aside(|stage, out| {
            let (metadata, snapshot) = (metadata.as_deref(), snapshot.as_deref());
            stage.step(Input::Assigned { source, offset, metadata, snapshot }, out).unwrap();
        });
        self.sources.push(Source {
            role,
            source: source.clone(),
            commit,
            next: offset,
            position: position.unwrap_or(0),
            restore_to,
            replay: RawBatch::new(role, source.clone()),
            batch: RawBatch::new(role, source.clone()),
            reached_end: false,
            idle_sent: false,
        });
        self.sources.sort_by(|a, b| a.source.cmp(&b.source));
    }

    fn step_aside(&mut self, step: impl FnOnce(&mut dyn Stage, &mut Outputs)) {
        let mut aside = Outputs::default();
        step(self.stage.as_mut(), &mut aside);
        self.keep_loads(aside.effects);
    }

    fn keep_loads(&mut self, effects: Vec<Effect>) {
        self.standing.effects.extend(effects.into_iter().filter(|e| matches!(e, Effect::Load(_))));
    }

    fn step_control(&mut self, log: &Log, most: usize) {
        if !self.reads_control {
            return;
        }
        let batch = log.read(TopicRole::Control, &source(TopicRole::Control, 0), self.control_next, most);
        if let Some(last) = batch.last_offset() {
            self.control_next = last + 1;
            self.stage.step(Input::Control(&batch), &mut self.standing).unwrap();
        }
    }

    fn collect(&mut self, log: &Log, rows: usize) {
        for source in &mut self.sources {
            // A paused partition gives nothing, but what was collected before the pause stays.
            if !self.stage.accepts(&source.source) && !source.batch.is_empty() {
                continue;
            }
            let records = log.records(&source.source);
            let first = records.partition_point(|r| r.offset < source.position);
            for record in records[first..].iter().take(rows) {
                let is_old = source.restore_to.is_some_and(|end| record.offset < end);
                push(if is_old { &mut source.replay } else { &mut source.batch }, record);
                source.position = record.offset + 1;
                source.idle_sent = false;
            }
            source.reached_end |= source.position >= log.end(&source.source);
        }
    }

    pub(super) fn turn(&mut self, log: &mut Log, turn: Turn) -> Done {
        let mut done = Done::default();
        self.collect(log, turn.rows);
        self.step_control(log, turn.control);
        for _ in 0..turn.loads {
            if let Some((version, part)) = self.inbox.pop_front() {
                let input = Input::Loaded { version: &version, part };
                self.stage.step(input, &mut self.standing).unwrap();
                done.progressed = true;
            }
        }
        done.progressed |= self.step_replays(log);
        done.progressed |= self.step_batches();
        self.step_clock(log, turn);
        self.commit(log, turn, &mut done);
        done
    }

    fn step_replays(&mut self, log: &Log) -> bool {
        let (mut said, mut replayed) = (Outputs::default(), false);
        for source in &mut self.sources {
            if !source.replay.is_empty() && self.stage.accepts(&source.source) {
                self.stage.step(Input::Batch(&source.replay), &mut said).unwrap();
                source.replay = RawBatch::new(source.role, source.source.clone());
                replayed = true;
            }
            let at_end = source.position >= log.end(&source.source);
            if source.restore_to.is_some() && source.replay.is_empty() && source.batch.is_empty() && at_end {
                source.restore_to = None;
            }
        }
        self.keep_loads(said.effects);
        replayed
    }

    fn step_batches(&mut self) -> bool {
        let mut any = false;
        for source in &mut self.sources {
            if !source.batch.is_empty() && source.replay.is_empty() && self.stage.accepts(&source.source) {
                let until = self.stage.accepts_until(&source.source);
                let rest = until.and_then(|offset| source.batch.split_off(offset));
                self.stage.step(Input::Batch(&source.batch), &mut self.out).unwrap();
                source.next = source.batch.last_offset().map(|last| last + 1).or(source.next);
                source.restore_to = None;
                source.batch = rest.unwrap_or_else(|| RawBatch::new(source.role, source.source.clone()));
                any = true;
            }
        }
        any
    }

    fn step_clock(&mut self, log: &Log, turn: Turn) {
        for source in self.sources.iter_mut().filter(|_| turn.idle) {
            let quiet = source.batch.is_empty() && source.restore_to.is_none() && !source.idle_sent;
            if quiet && source.position >= log.end(&source.source) {
                self.stage.step(Input::Idle(&source.source), &mut self.out).unwrap();
                source.idle_sent = true;
            }
        }
        let up_to_date =
            !self.sources.is_empty() && self.sources.iter().all(|s| s.reached_end && s.restore_to.is_none());
        if turn.tick && up_to_date {
            self.stage.step(Input::Tick { now_ms: 0 }, &mut self.out).unwrap();
        }
    }

    fn commit(&mut self, log: &mut Log, turn: Turn, done: &mut Done) {
        if turn.fate == Fate::DiesBefore {
            done.died = true;
            return;
        }
        if !self.sources.is_empty() && self.sources.iter().all(|s| s.restore_to.is_some()) {
            let effects = std::mem::take(&mut self.standing.effects);
            self.standing.clear();
            self.keep_loads(effects);
            return self.hand_over(done);
        }
        let mut commits = Vec::new();
        for (place, source) in self.sources.iter().enumerate().filter(|(_, s)| s.restore_to.is_none()) {
            let Some(next) = source.next else { continue };
            let offset = self.stage.commit_offset(&source.source, next);
            let metadata = self.stage.commit_metadata(&source.source);
            if !source.commit.as_ref().is_some_and(|(o, m)| *o == offset && *m == metadata) {
                commits.push((place, offset, metadata));
            }
        }
        if commits.is_empty() && self.standing.is_empty() && self.out.is_empty() {
            return self.hand_over(done);
        }
        if turn.fate == Fate::Aborts {
            return self.rewind(log);
        }
        log.write(&[&self.standing, &self.out]);
        done.progressed = true;
        for (place, offset, metadata) in commits {
            let source = &mut self.sources[place];
            log.commit(self.name, &source.source, offset, metadata.clone());
            source.commit = Some((offset, metadata));
        }
        if turn.fate == Fate::DiesAfter {
            done.died = true;
            return;
        }
        self.hand_over(done);
        if turn.checkpoint && self.stage.replays() {
            self.checkpoint(log);
        }
    }

    fn hand_over(&mut self, done: &mut Done) {
        done.effects.append(&mut self.standing.effects);
        done.effects.append(&mut self.out.effects);
        done.progressed |= !done.effects.is_empty();
        self.standing.clear();
        self.out.clear();
    }

    fn rewind(&mut self, log: &Log) {
        self.out.clear();
        let owned = self.owned();
        self.sources.clear();
        for (_, source) in &owned {
            self.step_aside(|stage, out| stage.step(Input::Revoked(source), out).unwrap());
        }
        for (role, source) in &owned {
            self.assign(*role, source, log);
        }
    }

    fn checkpoint(&self, log: &mut Log) {
        for source in &self.sources {
            let at = source.commit.as_ref().map(|(offset, _)| *offset);
            if source.restore_to.is_none()
                && let Some(offset) = at.filter(|_| at == source.next)
                && let Some(bytes) = self.stage.snapshot(&source.source)
            {
                log.keep(self.name, &source.source, offset, bytes);
            }
        }
    }

    /// For whoever has to find out why nothing moves.
    pub(super) fn standing(&self, log: &Log) -> String {
        let of = |s: &Source| {
            let accepts = self.stage.accepts(&s.source);
            let (end, next, collected) = (log.end(&s.source), s.next, (s.replay.len(), s.batch.len()));
            format!(
                "{} accepts {accepts}, next {next:?} of {end}, collected {collected:?}, to {:?}",
                s.source, s.restore_to
            )
        };
        format!("{} {:?}, {} loads", self.name, self.sources.iter().map(of).collect::<Vec<_>>(), self.inbox.len())
    }
}
