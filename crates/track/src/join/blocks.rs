//! Rows of the join table, in blocks of columns.
//!
//! A block holds rows of one slice that are of one kind. Times and offsets are kept as distances
//! from the block's first row, so a row of a binary score and two segment columns takes 44 bytes; a
//! slice that is final drops the columns nobody asks for any more, and one that is forgotten drops
//! its blocks. Nothing moves a row but its replacement.

use super::groups::Groups;
use super::sources::Coordinate;
use domain::Fingerprint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows of a full block.
const ROWS: usize = 1_024;
/// Head of an empty list of labels.
pub(crate) const NO_LABEL: u32 = u32::MAX;
/// Distance in time of a row that was replaced or forgotten.
const DEAD: u32 = u32::MAX;

/// What a block's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Predictions in force of one event partition under one line-up, whose slice is not final.
    Open {
        /// A number of `Groups`.
        group: u32,
        /// A number of `Sources`.
        source: u32,
    },
    /// Predictions whose slice is final: their counts are settled, their scores gone.
    Closed,
    /// Ids without prediction: labels wait there. The slice is that of the first label's time.
    Bare,
}

/// See the module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Block {
    slice: i64,
    kind: Kind,
    first_ms: i64,
    first_offset: i64,
    #[serde(with = "super::snapshot::ids")]
    ids: Vec<Fingerprint>,
    times: Vec<u32>,
    offsets: Vec<u32>,
    scores: Vec<f64>,
    segments: Vec<u32>,
    /// Heads of the lists of labels; a checkpoint has the labels themselves instead.
    #[serde(skip)]
    labels: Vec<u32>,
    alive: u32,
}

/// A prediction as it stands in a block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    /// Fingerprint of the event's id.
    pub(crate) id: Fingerprint,
    /// Event time.
    pub(crate) time_ms: i64,
    /// Where the event stands.
    pub(crate) at: Coordinate,
    /// Line-up that scored it: a number of `Groups`.
    pub(crate) group: u32,
    /// Its slice is final.
    pub(crate) closed: bool,
}

/// All blocks of a table.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Blocks {
    blocks: Vec<Option<Block>>,
    free: Vec<u32>,
    /// The block that takes the next row, by slice and kind.
    filling: BTreeMap<(i64, Kind), u32>,
}

fn split(place: u32) -> (usize, usize) {
    (place as usize / ROWS, place as usize % ROWS)
}

fn distance(from: i64, to: i64) -> Option<u32> {
    to.checked_sub(from).and_then(|d| u32::try_from(d).ok()).filter(|d| *d != DEAD)
}

impl Block {
    fn takes(&self, time_ms: i64, offset: i64) -> bool {
        let near = distance(self.first_ms, time_ms).is_some() && distance(self.first_offset, offset).is_some();
        near && self.ids.len() < ROWS
    }

    fn is_alive(&self, row: usize) -> bool {
        self.times.get(row).is_some_and(|time| *time != DEAD)
    }
}

impl Blocks {
    fn block(&self, place: u32) -> Option<(&Block, usize)> {
        let (block, row) = split(place);
        self.blocks.get(block)?.as_ref().map(|block| (block, row))
    }

    fn block_mut(&mut self, place: u32) -> Option<(&mut Block, usize)> {
        let (block, row) = split(place);
        self.blocks.get_mut(block)?.as_mut().map(|block| (block, row))
    }

    /// The block that takes a row, and whether it is new.
    fn filling(&mut self, slice: i64, kind: Kind, time_ms: i64, offset: i64) -> (u32, bool) {
        if let Some(number) = self.filling.get(&(slice, kind))
            && let Some(Some(block)) = self.blocks.get(*number as usize)
            && block.takes(time_ms, offset)
        {
            return (*number, false);
        }
        // Times in a block may come in any order: those of a slice are counted from its start
        // where they fit, which they do for slices of up to 49 days.
        let first_ms = if distance(slice, time_ms).is_some() { slice } else { time_ms };
        let block = Block {
            slice,
            kind,
            first_ms,
            first_offset: offset,
            ids: Vec::new(),
            times: Vec::new(),
            offsets: Vec::new(),
            scores: Vec::new(),
            segments: Vec::new(),
            labels: Vec::new(),
            alive: 0,
        };
        let number = self.free.pop().unwrap_or_else(|| {
            self.blocks.push(None);
            u32::try_from(self.blocks.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(free) = self.blocks.get_mut(number as usize) {
            *free = Some(block);
        }
        self.filling.insert((slice, kind), number);
        (number, true)
    }

    fn push(&mut self, number: u32, id: Fingerprint, time_ms: i64, labels: u32) -> Option<(u32, &mut Block)> {
        let block = self.blocks.get_mut(number as usize)?.as_mut()?;
        let row = block.ids.len();
        block.ids.push(id);
        block.times.push(distance(block.first_ms, time_ms).unwrap_or_default());
        block.labels.push(labels);
        block.alive += 1;
        let place = number.checked_mul(u32::try_from(ROWS).ok()?)?.checked_add(u32::try_from(row).ok()?)?;
        Some((place, block))
    }

    /// Appends a prediction; gives its place, and the number of its block if that is new.
    pub(crate) fn add_row(
        &mut self,
        slice: i64,
        row: &Row,
        labels: u32,
        scores: impl Iterator<Item = f64>,
        segments: impl Iterator<Item = u32>,
    ) -> Option<(u32, Option<u32>)> {
        let kind = Kind::Open { group: row.group, source: row.at.source };
        let (number, is_new) = self.filling(slice, kind, row.time_ms, row.at.offset);
        let (place, block) = self.push(number, row.id, row.time_ms, labels)?;
        block.offsets.push(distance(block.first_offset, row.at.offset).unwrap_or_default());
        block.scores.extend(scores);
        block.segments.extend(segments);
        if block.ids.len() == ROWS {
            block.scores.shrink_to_fit();
            block.segments.shrink_to_fit();
        }
        Some((place, is_new.then_some(number)))
    }

    /// Appends an id without prediction.
    pub(crate) fn add_bare(&mut self, id: Fingerprint, slice: i64, labels: u32) -> Option<u32> {
        let (number, _) = self.filling(slice, Kind::Bare, slice, 0);
        self.push(number, id, slice, labels).map(|(place, _)| place)
    }

    /// Id of a place.
    pub(crate) fn id(&self, place: u32) -> Option<Fingerprint> {
        let (block, row) = self.block(place)?;
        block.ids.get(row).copied()
    }

    /// The prediction at a place, unless only labels are there.
    pub(crate) fn row(&self, place: u32) -> Option<Row> {
        let (block, row) = self.block(place)?;
        let id = *block.ids.get(row)?;
        let time_ms = block.first_ms.saturating_add(i64::from(*block.times.get(row)?));
        match block.kind {
            Kind::Open { group, source } => {
                let offset = block.first_offset.saturating_add(i64::from(*block.offsets.get(row)?));
                Some(Row { id, time_ms, at: Coordinate { source, offset }, group, closed: false })
            }
            Kind::Closed => {
                let at = Coordinate { source: 0, offset: 0 };
                Some(Row { id, time_ms, at, group: u32::MAX, closed: true })
            }
            Kind::Bare => None,
        }
    }

    /// Scores and segment numbers of an open row, as wide as given.
    pub(crate) fn values(&self, place: u32, scores: usize, segments: usize) -> Option<(&[f64], &[u32])> {
        let (block, row) = self.block(place)?;
        let scores = block.scores.get(row * scores..(row + 1) * scores)?;
        Some((scores, block.segments.get(row * segments..(row + 1) * segments)?))
    }

    /// Head of a place's list of labels.
    pub(crate) fn labels(&self, place: u32) -> u32 {
        self.block(place).and_then(|(block, row)| block.labels.get(row).copied()).unwrap_or(NO_LABEL)
    }

    /// Sets the head of a place's list of labels.
    pub(crate) fn set_labels(&mut self, place: u32, head: u32) {
        if let Some((block, row)) = self.block_mut(place)
            && let Some(labels) = block.labels.get_mut(row)
        {
            *labels = head;
        }
    }

    /// Forgets a row or an id that was replaced. A block of ids goes with the last of them.
    pub(crate) fn kill(&mut self, place: u32) {
        let Some((block, row)) = self.block_mut(place) else { return };
        if !block.is_alive(row) {
            return;
        }
        if let (Some(time), Some(labels)) = (block.times.get_mut(row), block.labels.get_mut(row)) {
            (*time, *labels) = (DEAD, NO_LABEL);
        }
        block.alive -= 1;
        if block.alive == 0 && block.kind == Kind::Bare {
            self.drop_block(u32::try_from(split(place).0).unwrap_or(u32::MAX));
        }
    }

    /// Forgets a block.
    pub(crate) fn drop_block(&mut self, number: u32) {
        if let Some(block) = self.blocks.get_mut(number as usize).and_then(Option::take) {
            if self.filling.get(&(block.slice, block.kind)) == Some(&number) {
                self.filling.remove(&(block.slice, block.kind));
            }
            self.free.push(number);
        }
    }

    /// The slice of a block is final: only ids, times and labels stay.
    pub(crate) fn close(&mut self, number: u32, groups: &mut Groups) {
        let Some(Some(block)) = self.blocks.get_mut(number as usize) else { return };
        let Kind::Open { group, .. } = block.kind else { return };
        groups.release(group);
        if self.filling.get(&(block.slice, block.kind)) == Some(&number) {
            self.filling.remove(&(block.slice, block.kind));
        }
        block.kind = Kind::Closed;
        (block.offsets, block.scores, block.segments) = (Vec::new(), Vec::new(), Vec::new());
    }

    /// Places and ids of a block's rows that were neither replaced nor forgotten.
    pub(crate) fn alive(&self, number: u32) -> impl Iterator<Item = (u32, Fingerprint)> + '_ {
        let first = number.saturating_mul(u32::try_from(ROWS).unwrap_or_default());
        let block = self.blocks.get(number as usize).and_then(Option::as_ref);
        let ids = block.map(|block| block.ids.as_slice()).unwrap_or_default();
        (first..)
            .zip(ids)
            .zip(0..)
            .filter(move |(_, row)| block.is_some_and(|b| b.is_alive(*row)))
            .map(|(p, _)| (p.0, *p.1))
    }

    /// Places of a block's open rows with a time in a range; cheap where there is none.
    pub(crate) fn between(&self, number: u32, from_ms: i64, until_ms: i64) -> Vec<u32> {
        let in_range = |(place, _): &(u32, Fingerprint)| {
            self.row(*place).is_some_and(|row| row.time_ms >= from_ms && row.time_ms < until_ms)
        };
        self.alive(number).filter(in_range).map(|(place, _)| place).collect()
    }

    /// Numbers of all blocks.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.blocks).filter(|(_, block)| block.is_some()).map(|(number, _)| number)
    }

    /// After a checkpoint was read: no row has labels yet.
    pub(crate) fn without_labels(&mut self) {
        for block in self.blocks.iter_mut().flatten() {
            block.labels = vec![NO_LABEL; block.ids.len()];
        }
    }
}
