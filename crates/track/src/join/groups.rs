//! Line-ups that have open rows, and what the scores of a row are under one of them.

use super::blocks::{Blocks, Row};
use super::names::Names;
use crate::error::Error;
use domain::{Harm, LineUp};
use records::tracking::PredictionBatch;
use serde::{Deserialize, Serialize};

/// One line-up, with the segment columns of its rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    line_up: LineUp,
    /// Number of the champion's name.
    version: u32,
    frozen: Option<usize>,
    previous: Option<usize>,
    /// Values of a member's score: 1, or the number of classes.
    outputs: usize,
    segment_columns: Vec<String>,
    /// Blocks of open rows.
    blocks: u32,
}

/// All of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Groups {
    groups: Vec<Option<Group>>,
}

/// Scores of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scores<'a> {
    group: &'a Group,
    scores: &'a [f64],
    segments: &'a [u32],
}

impl Groups {
    /// The group of a batch's line-up and segment columns.
    pub(crate) fn find_or_add(&mut self, batch: &PredictionBatch, outputs: usize, names: &mut Names) -> u32 {
        let same = |group: &Group| {
            group.line_up == batch.line_up
                && group.outputs == outputs
                && group.segment_columns.iter().eq(batch.segments.iter().map(|s| &s.name))
        };
        if let Some(place) = self.groups.iter().position(|g| g.as_ref().is_some_and(same)) {
            return u32::try_from(place).unwrap_or(u32::MAX);
        }
        let line_up = batch.line_up.clone();
        let place_of = |version: &Option<domain::Version>| version.as_ref().and_then(|v| line_up.position(v));
        let group = Group {
            version: names.number(line_up.champion().map_or("", |m| m.version.as_str())),
            frozen: place_of(&line_up.frozen),
            previous: place_of(&line_up.previous),
            outputs,
            segment_columns: batch.segments.iter().map(|s| s.name.clone()).collect(),
            blocks: 0,
            line_up,
        };
        let place = self.groups.iter().position(Option::is_none).unwrap_or_else(|| {
            self.groups.push(None);
            self.groups.len() - 1
        });
        if let Some(free) = self.groups.get_mut(place) {
            *free = Some(group);
        }
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// A block of open rows more.
    pub(crate) fn retain(&mut self, group: u32) {
        if let Some(Some(group)) = self.groups.get_mut(group as usize) {
            group.blocks += 1;
        }
    }

    /// A block less.
    pub(crate) fn release(&mut self, group: u32) {
        if let Some(Some(group)) = self.groups.get_mut(group as usize) {
            group.blocks = group.blocks.saturating_sub(1);
        }
    }

    /// Drops line-ups without rows.
    pub(crate) fn drop_empty(&mut self) {
        for group in &mut self.groups {
            if group.as_ref().is_some_and(|g| g.blocks == 0) {
                *group = None;
            }
        }
    }

    /// Scores of an open row.
    pub(crate) fn scores<'a>(&'a self, blocks: &'a Blocks, place: u32, row: &Row) -> Option<Scores<'a>> {
        let group = self.groups.get(row.group as usize)?.as_ref()?;
        let (scores, segments) = blocks.values(place, group.score_stride(), group.segment_columns.len())?;
        Some(Scores { group, scores, segments })
    }

    /// Event times before this were seen by the champion in training.
    pub(crate) fn trained_until_ms(&self, group: u32) -> i64 {
        let group = self.groups.get(group as usize).and_then(Option::as_ref);
        group.and_then(|g| g.line_up.champion()).map_or(i64::MIN, |m| m.trained_until_ms)
    }
}

impl Group {
    fn score_stride(&self) -> usize {
        self.line_up.members.len() * self.outputs
    }
}

impl<'a> Scores<'a> {
    fn member(self, place: usize) -> Option<&'a [f64]> {
        let start = place * self.group.outputs;
        self.scores.get(start..start + self.group.outputs)
    }

    /// A shadow's score, unless it had seen the row in training.
    fn shadow(self, place: Option<usize>, event_ms: i64) -> Option<&'a [f64]> {
        let place = place?;
        let member = self.group.line_up.members.get(place)?;
        if event_ms < member.trained_until_ms { None } else { self.member(place) }
    }

    /// The champion's score.
    pub(crate) fn served(self) -> Option<&'a [f64]> {
        self.member(0)
    }

    /// The first champion's score.
    pub(crate) fn frozen(self, event_ms: i64) -> Option<&'a [f64]> {
        self.shadow(self.group.frozen, event_ms)
    }

    /// The replaced champion's score.
    pub(crate) fn previous(self, event_ms: i64) -> Option<&'a [f64]> {
        self.shadow(self.group.previous, event_ms)
    }

    /// Bets of the champion's harm monitor.
    pub(crate) fn harm(self) -> Option<&'a Harm> {
        self.group.line_up.champion().and_then(|m| m.harm.as_ref())
    }

    /// Numbers of the row's segments.
    pub(crate) fn segments(self) -> &'a [u32] {
        self.segments
    }

    /// Number of the promotion, and of the champion's name.
    pub(crate) fn promotion(self) -> (u64, u32) {
        (self.group.line_up.promotion, self.group.version)
    }
}

/// Checks that a batch's vectors fit together, so that no later access can miss.
pub(crate) fn check(batch: &PredictionBatch, outputs: usize) -> Result<(), Error> {
    let rows = batch.ids.len();
    let fail = |found: String, expected: String| {
        Err(Error::Malformed { source_partition: batch.source.to_string(), found, expected })
    };
    let lengths = [batch.offsets.len(), batch.times_ms.len(), batch.after_final.len()];
    if lengths.iter().any(|length| *length != rows) {
        return fail(format!("columns of {lengths:?} rows"), format!("{rows} rows, one per id"));
    }
    let members = batch.line_up.members.len();
    if members == 0 || batch.scores.len() != members {
        return fail(format!("scores of {} versions", batch.scores.len()), format!("{members}, at least one"));
    }
    let width = rows.saturating_mul(outputs);
    if let Some(scores) = batch.scores.iter().find(|scores| scores.len() != width) {
        return fail(format!("{} scores of a version", scores.len()), format!("{rows} rows of {outputs}"));
    }
    for column in &batch.segments {
        let known = |code: &u32| (*code as usize) < column.values.len();
        if column.codes.len() != rows || !column.codes.iter().all(known) {
            let found = format!("{} codes of segment {:?}", column.codes.len(), column.name);
            return fail(found, format!("{rows}, each below {}", column.values.len()));
        }
    }
    Ok(())
}
