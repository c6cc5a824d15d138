//! One batch: cut into runs of rows under one line-up, each scored by every member once.

use crate::live::{Live, Scored};
use crate::metrics::{FAILED, NOT_FINITE, TOO_LARGE};
use crate::partition::State;
use crate::promotions::{Pending, Start};
use crate::{Config, Error, publish};
use arrow::array::{Array, RecordBatch};
use codec::{Decoded, Refused};
use domain::{Fingerprint, LineUp, RawBatch, Version, fingerprint};
use std::ops::Range;

/// What the steps of one batch share.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) config: &'a Config,
    pub(crate) raw: &'a RawBatch,
    pub(crate) decoded: &'a Decoded,
    /// Of the event ids, per accepted row.
    fingerprints: Vec<Fingerprint>,
    /// Per accepted row.
    pub(crate) after_final: Vec<bool>,
    /// Per accepted row: it did not move the watermark.
    pub(crate) is_future: Vec<bool>,
}

/// Contiguous accepted rows under one line-up.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) rows: Range<usize>,
    pub(crate) line_up: LineUp,
    /// The line-up begins here; the champion before, if there was one.
    pub(crate) swap: Option<Option<Version>>,
}

/// A scored run. Places in `kept` count from the run's first row.
#[derive(Debug)]
pub(crate) struct ScoredRun<'a> {
    pub(crate) run: Run,
    pub(crate) champion: &'a Live,
    pub(crate) rows: RecordBatch,
    /// One per member of the line-up, with its outputs per row.
    pub(crate) members: Vec<(Scored, usize)>,
    /// Rows whose champion's outputs are all finite.
    pub(crate) kept: Vec<u32>,
    /// The others.
    pub(crate) refused: Vec<Refused>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(config: &'a Config, raw: &'a RawBatch, decoded: &'a Decoded) -> Self {
        let of_id = |id: Option<&str>| fingerprint(id.unwrap_or_default().as_bytes());
        let fingerprints = decoded.ids.iter().map(of_id).collect();
        let rows = decoded.times_ms.len();
        let (after_final, is_future) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        Self { config, raw, decoded, fingerprints, after_final, is_future }
    }

    /// Index in the raw batch, and offset, of an accepted row.
    pub(crate) fn origin(&self, row: usize) -> (usize, i64) {
        let index = self.decoded.indexes.get(row).map_or(0, |i| *i as usize);
        (index, self.raw.get(index).map_or(0, |r| r.offset))
    }

    /// Event time of an accepted row.
    pub(crate) fn time_ms(&self, row: usize) -> i64 {
        self.decoded.times_ms.get(row).copied().unwrap_or_default()
    }

    /// Event id of an accepted row.
    pub(crate) fn id(&self, row: usize) -> &'a str {
        let ids = &self.decoded.ids;
        if row < ids.len() { ids.value(row) } else { "" }
    }

    /// Fingerprint of the event id of an accepted row.
    pub(crate) fn fingerprint(&self, row: usize) -> Fingerprint {
        self.fingerprints.get(row).copied().unwrap_or_default()
    }

    /// Takes the rows' times, and the pending line-ups where they fall due.
    pub(crate) fn cut(&mut self, state: &mut State, pending: Vec<Pending>) -> Result<Vec<Run>, Error> {
        let mut runs: Vec<Run> = Vec::new();
        let mut pending = pending.into_iter().peekable();
        for (row, time_ms) in self.decoded.times_ms.iter().enumerate() {
            let timestamp_ms = self.raw.get(self.origin(row).0).map_or(-1, |r| r.timestamp_ms);
            let timing = state.observe(self.config, *time_ms, timestamp_ms);
            self.after_final.push(timing.after_final);
            self.is_future.push(timing.future);
            // The largest time read decides, this row's among them unless it is of the future: such
            // a row says nothing about the partition's time, so it cannot begin a line-up either.
            let offset = self.origin(row).1;
            let due = |p: &Pending| match p.from {
                Start::Now => true,
                Start::Time(from) => state.max_time_ms.is_some_and(|max| max >= from),
                Start::Offset(from) => offset >= from,
            };
            let mut taken = None;
            while let Some(next) = pending.next_if(due) {
                self.is_exact(next.from, offset)?;
                taken = Some(next.line_up);
            }
            if let Some(line_up) = taken {
                let previous = state.line_up.as_ref().and_then(LineUp::champion).map(|m| m.version.clone());
                state.line_up = Some(line_up.clone());
                runs.push(Run { rows: row..row, line_up, swap: Some(previous) });
            }
            if runs.is_empty() {
                let Some(line_up) = state.line_up.clone() else {
                    return Err(self.has_no_line_up(offset, pending.peek()));
                };
                runs.push(Run { rows: row..row, line_up, swap: None });
            }
            if let Some(run) = runs.last_mut() {
                run.rows.end = row + 1;
            }
        }
        Ok(runs)
    }

    /// A swap that a table imposes begins with the very event it began with in the other run.
    fn is_exact(&self, from: Start, offset: i64) -> Result<(), Error> {
        match from {
            Start::Offset(from) if from != offset => Err(Error::Table(format!(
                "{} swaps at offset {from} by the swap table, but the event there is gone or was not accepted: the next is at {offset}",
                self.raw.source
            ))),
            _ => Ok(()),
        }
    }

    fn has_no_line_up(&self, offset: i64, next: Option<&Pending>) -> Error {
        let source = &self.raw.source;
        match next.map(|next| next.from) {
            Some(Start::Offset(from)) => Error::Table(format!(
                "{source} has an event at offset {offset}, before its first swap of the swap table, which is at {from}"
            )),
            _ if self.config.swaps.is_some() => Error::Table(format!(
                "{source} has an event at offset {offset}, but the swap table has no swap of {source}"
            )),
            _ => Error::Contract(format!("{source} was given before its line-up")),
        }
    }

    /// Scores a run; `live` has one bundle per member.
    pub(crate) fn score<'l>(&self, run: Run, live: &[&'l Live]) -> Result<ScoredRun<'l>, Error> {
        let Some(champion) = live.first().copied() else {
            return Err(Error::Contract(format!("promotion {} has no champion", run.line_up.promotion)));
        };
        let rows = self.decoded.rows.slice(run.rows.start, run.rows.len());
        let score = |(place, live): (usize, &&Live)| {
            let scored = if place == 0 { live.score_expecting(&rows) } else { live.score(&rows) };
            (scored, live.outputs)
        };
        let members: Vec<(Scored, usize)> = live.iter().enumerate().map(score).collect();
        let (mut kept, mut refused) = (Vec::with_capacity(run.rows.len()), Vec::new());
        let room = publish::room(self.config, &self.raw.source.topic);
        if let Some((scored, outputs)) = members.first() {
            let mut failed = scored.failed.iter().peekable();
            for (place, values) in scored.values.chunks_exact((*outputs).max(1)).enumerate() {
                let row = run.rows.start + place;
                let index = self.origin(row).0;
                let needs = publish::needs(self.id(row), self.raw.get(index).and_then(|r| r.key));
                let is_finite = values.iter().all(|v| v.is_finite());
                if is_finite && needs <= room {
                    kept.push(u32::try_from(place).unwrap_or(u32::MAX));
                    continue;
                }
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                let refusal = match failed.next_if(|(row, _)| *row == place) {
                    Some((_, fault)) => (FAILED, fault.clone()),
                    None if is_finite => {
                        (TOO_LARGE, format!("key and id may take {needs} bytes in a prediction, {room} fit the topic"))
                    }
                    None => (NOT_FINITE, format!("the model's output is {values:?}, expected finite numbers")),
                };
                refused.push(Refused { index, reason: refusal.0, detail: refusal.1 });
            }
        }
        Ok(ScoredRun { run, champion, rows, members, kept, refused })
    }
}

impl ScoredRun<'_> {
    /// Outputs of a member for a row of the run.
    pub(crate) fn outputs(&self, member: usize, place: u32) -> &[f64] {
        let Some((scored, outputs)) = self.members.get(member) else { return &[] };
        let start = place as usize * outputs;
        scored.values.get(start..start + outputs).unwrap_or_default()
    }

    /// |e| and e² that the champion expects of every row; none where it does not know.
    pub(crate) fn errors(&self) -> &[[f64; 2]] {
        self.members.first().map_or(&[], |(scored, _)| &scored.errors)
    }

    /// Rows that shadows could not score.
    pub(crate) fn shadow_faults(&self) -> u64 {
        self.members.iter().skip(1).map(|(scored, _)| scored.failed.len() as u64).sum()
    }
}
