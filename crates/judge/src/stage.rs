//! The stage contract: what waits for what, and what was said before.

use crate::config::Known;
use crate::error::Error;
use crate::imposed;
use crate::intake::{self, Record};
use crate::judge::{Judge, Reading, Turn};
use crate::state::State;
use domain::{Effect, Input, Outputs, RawBatch, SourcePartition, Stage, StageError, Version};
use serde::Serialize;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

/// References kept in memory before those that no slice needs are let go.
const KNOWN_MAX: usize = 16;

/// What a commit carries, for people who look at consumer groups; the state comes from the log.
#[derive(Serialize)]
struct Metadata<'a> {
    judged_until_ms: Option<i64>,
    champion: Option<&'a Version>,
    run: Option<u64>,
}

impl Stage for Judge {
    fn name(&self) -> &'static str {
        "judge"
    }

    fn step(&mut self, input: Input<'_>, out: &mut Outputs) -> Result<(), StageError> {
        match input {
            Input::Assigned { source, offset, snapshot, .. } => self.assigned(source, offset, snapshot, out)?,
            Input::Revoked(source) => {
                if self.journal.as_ref().is_some_and(|journal| &journal.source == source) {
                    self.journal = None;
                    self.missing.clear();
                }
            }
            Input::Batch(batch) => {
                self.collect(batch, out)?;
                self.take_waiting(out)?;
            }
            Input::Tick { .. } => {
                self.take_waiting(out)?;
                self.relaunch(out)?;
                self.let_go();
            }
            // What had to wait goes on with the next batch or tick: only their outputs are undone
            // when a transaction fails.
            Input::Loaded { version, part } => self.loaded(version, part, out)?,
            Input::Idle(_) | Input::Control(_) => {}
        }
        Ok(())
    }

    fn commit_metadata(&self, _source: &SourcePartition) -> String {
        let state = self.journal.as_ref().map(|journal| &journal.state);
        let metadata = Metadata {
            judged_until_ms: state.and_then(|s| s.judged_until_ms),
            champion: state.and_then(|s| s.reign.as_ref()).map(|r| &r.champion.version),
            run: state.and_then(|s| s.run.as_ref()).map(|r| r.run),
        };
        serde_json::to_string(&metadata).unwrap_or_default()
    }

    fn commit_offset(&self, _source: &SourcePartition, next: i64) -> i64 {
        let Some(journal) = &self.journal else { return next };
        // Records that are read again may wait too. What they say was said: going back below that
        // would have the next judge say it twice.
        journal.waiting.front().map_or(next, |(offset, _)| *offset.max(&journal.said_until))
    }

    fn accepts(&self, _source: &SourcePartition) -> bool {
        self.missing.is_empty()
    }

    fn replays(&self) -> bool {
        true
    }

    fn snapshot(&self, source: &SourcePartition) -> Option<Vec<u8>> {
        // With records waiting the state is that of an earlier offset than was read to.
        let is_whole = |journal: &&Reading| &journal.source == source && journal.waiting.is_empty();
        let journal = self.journal.as_ref().filter(is_whole)?;
        records::to_postcard(&journal.state).ok()
    }
}

impl Judge {
    fn assigned(
        &mut self,
        source: &SourcePartition,
        offset: Option<i64>,
        snapshot: Option<&[u8]>,
        out: &mut Outputs,
    ) -> Result<(), Error> {
        let state = match snapshot {
            Some(bytes) => State::restore(bytes, &self.config)?,
            None => State::new(&self.config),
        };
        imposed::agrees(&state, &self.config)?;
        self.missing = state.versions_in_slices().into_iter().filter(|v| !self.known.contains_key(v)).collect();
        out.effects.extend(self.missing.iter().cloned().map(Effect::Load));
        self.journal = Some(Reading {
            source: source.clone(),
            state,
            waiting: VecDeque::new(),
            said_until: offset.unwrap_or(i64::MIN),
            relaunch: true,
        });
        Ok(())
    }

    fn collect(&mut self, batch: &RawBatch, out: &mut Outputs) -> Result<(), Error> {
        let journal = self.journal.as_mut().filter(|journal| journal.source == batch.source);
        let journal = journal.ok_or_else(|| Error::Unassigned(batch.source.to_string()))?;
        let first = journal.waiting.back().map_or(journal.state.next_offset, |(offset, _)| offset.saturating_add(1));
        for record in batch.iter().filter(|record| record.offset >= first) {
            let value = record.value.and_then(|value| records::from_postcard::<Record>(value).ok());
            out.count("vigie.judge.unreadable", u64::from(value.is_none()));
            journal.waiting.push_back((record.offset, value));
        }
        Ok(())
    }

    /// Takes records in order, up to the first that speaks of a version not known yet.
    fn take_waiting(&mut self, out: &mut Outputs) -> Result<(), Error> {
        while self.missing.is_empty() {
            let Some(journal) = self.journal.as_mut() else { return Ok(()) };
            let Some((offset, record)) = journal.waiting.front() else { return Ok(()) };
            let (offset, needed) = (*offset, record.as_ref().map(intake::versions).unwrap_or_default());
            self.missing = needed.into_iter().filter(|v| !self.known.contains_key(v)).collect();
            if !self.missing.is_empty() {
                out.effects.extend(self.missing.iter().cloned().map(Effect::Load));
                return Ok(());
            }
            let record = journal.waiting.pop_front().and_then(|(_, record)| record);
            journal.state.next_offset = offset.saturating_add(1);
            let was_said = offset < journal.said_until;
            let mut aside = Outputs::default();
            let into = if was_said { &mut aside } else { &mut *out };
            if let Some(record) = record {
                Turn { config: &self.config, known: &self.known, state: &mut journal.state, out: into }.take(record)?;
            }
            if was_said {
                out.effects.extend(aside.effects.into_iter().filter(|effect| matches!(effect, Effect::Load(_))));
            } else {
                self.relaunch(out)?;
            }
        }
        Ok(())
    }

    /// Once after an assignment, with the first live input: effects that may have been lost.
    fn relaunch(&mut self, out: &mut Outputs) -> Result<(), Error> {
        let Some(journal) =
            self.journal.as_mut().filter(|j| j.relaunch && j.waiting.front().is_none_or(|(o, _)| *o >= j.said_until))
        else {
            return Ok(());
        };
        journal.relaunch = false;
        Turn { config: &self.config, known: &self.known, state: &mut journal.state, out }.repeat_effects()
    }

    fn loaded(
        &mut self,
        version: &Version,
        part: Result<Arc<dyn Any + Send + Sync>, String>,
        out: &mut Outputs,
    ) -> Result<(), Error> {
        match part {
            Ok(part) => {
                let known = part.downcast::<Known>().map_err(|_| Error::Part(version.to_string()))?;
                self.known.insert(version.clone(), known);
                self.missing.remove(version);
            }
            // Asked for again at once: no tick comes before the log's end, and without this version
            // the log is not read on. Whoever loads waits before it reports a fault.
            Err(_) => {
                out.count("vigie.judge.not_loaded", 1);
                out.effects.extend(self.missing.get(version).cloned().map(Effect::Load));
            }
        }
        Ok(())
    }

    fn let_go(&mut self) {
        if self.known.len() > KNOWN_MAX
            && let Some(journal) = &self.journal
        {
            let kept = journal.state.versions();
            self.known.retain(|version, _| kept.contains(version));
        }
    }
}
