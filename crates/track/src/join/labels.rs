//! The labels of all ids: lists from the greatest (label time, coordinate) to the least.

use super::blocks::NO_LABEL;
use super::sources::{Coordinate, Sources};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Labels kept of one id. A bound on what a constant id column can cost: beyond it the one with
/// the least (label time, coordinate) is forgotten and counted `corrected`.
pub(crate) const LABELS_PER_ID: usize = 256;

/// Labels of one chunk; there is no doubling, which would hold everything twice.
const CHUNK: usize = 4_096;

/// One label.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Label {
    /// Label time.
    pub(crate) time_ms: i64,
    /// Where it stands.
    pub(crate) at: Coordinate,
    /// What its partition had marked before it.
    pub(crate) watermark_ms: i64,
    /// The label.
    pub(crate) value: f64,
}

/// A label without padding, and the next of its id (or the next free place).
#[derive(Debug, Clone, Copy)]
struct Node {
    time_ms: i64,
    offset: i64,
    watermark_ms: i64,
    value: f64,
    source: u32,
    next: u32,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Labels {
    chunks: Vec<Vec<Node>>,
    free: u32,
    alive: usize,
}

impl Default for Labels {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: NO_LABEL, alive: 0 }
    }
}

impl Node {
    fn label(&self) -> Label {
        let at = Coordinate { source: self.source, offset: self.offset };
        Label { time_ms: self.time_ms, at, watermark_ms: self.watermark_ms, value: self.value }
    }
}

impl Labels {
    fn node(&self, place: u32) -> Option<&Node> {
        self.chunks.get(place as usize / CHUNK)?.get(place as usize % CHUNK)
    }

    fn node_mut(&mut self, place: u32) -> Option<&mut Node> {
        self.chunks.get_mut(place as usize / CHUNK)?.get_mut(place as usize % CHUNK)
    }

    /// Labels of all ids.
    pub(crate) fn len(&self) -> usize {
        self.alive
    }

    /// From the greatest to the least.
    pub(crate) fn of(&self, head: u32) -> impl Iterator<Item = Label> + '_ {
        let node = move |place: u32| self.node(place);
        std::iter::successors(node(head), move |n| node(n.next)).map(Node::label)
    }

    /// Puts a label before all others of a list; gives the new head.
    pub(crate) fn push(&mut self, label: &Label, next: u32) -> u32 {
        let node = Node {
            time_ms: label.time_ms,
            offset: label.at.offset,
            watermark_ms: label.watermark_ms,
            value: label.value,
            source: label.at.source,
            next,
        };
        self.alive += 1;
        let free = self.free;
        if let Some(place) = self.node_mut(free) {
            let next_free = std::mem::replace(place, node).next;
            self.free = next_free;
            return free;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            // The first ones grow with use, so that small tables stay small.
            self.chunks.push(if self.chunks.is_empty() { Vec::new() } else { Vec::with_capacity(CHUNK) });
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let Some(chunk) = self.chunks.last_mut() else { return NO_LABEL };
        chunk.push(node);
        u32::try_from(before + chunk.len() - 1).unwrap_or(NO_LABEL)
    }

    /// Adds a label to a list; gives the new head, and how many were forgotten to keep the bound
    /// (0 or 1).
    pub(crate) fn insert(&mut self, head: u32, label: &Label, sources: &Sources) -> (u32, u64) {
        let (mut before, mut at, mut length) = (NO_LABEL, head, 0);
        while let Some(node) = self.node(at) {
            let place = Coordinate { source: node.source, offset: node.offset };
            let order = node.time_ms.cmp(&label.time_ms).then_with(|| sources.order(place, label.at));
            if order == Ordering::Less {
                break;
            }
            (before, at, length) = (at, node.next, length + 1);
        }
        let new = self.push(label, at);
        let head = match self.node_mut(before) {
            Some(node) => {
                node.next = new;
                head
            }
            None => new,
        };
        length += 1;
        let mut last = new;
        while let Some(node) = self.node(at) {
            (last, at, length) = (at, node.next, length + 1);
        }
        if length <= LABELS_PER_ID {
            return (head, 0);
        }
        let keeper = self.before(head, last);
        if let Some(node) = self.node_mut(keeper) {
            node.next = NO_LABEL;
        }
        self.release(last);
        (head, 1)
    }

    fn before(&self, head: u32, last: u32) -> u32 {
        let mut at = head;
        while let Some(node) = self.node(at).filter(|node| node.next != last) {
            at = node.next;
        }
        at
    }

    fn release(&mut self, place: u32) {
        let free = self.free;
        if let Some(node) = self.node_mut(place) {
            node.next = free;
            self.free = place;
            self.alive = self.alive.saturating_sub(1);
        }
        if self.alive == 0 {
            *self = Self::default(); // gives back what a flood took
        }
    }

    /// Keeps the labels of a list that the condition holds for; gives the new head and how many
    /// were dropped.
    pub(crate) fn retain(&mut self, head: u32, keep: impl Fn(&Label) -> bool) -> (u32, u64) {
        let (mut first, mut last, mut at, mut dropped) = (NO_LABEL, NO_LABEL, head, 0);
        while let Some(node) = self.node(at).copied() {
            if keep(&node.label()) {
                if first == NO_LABEL {
                    first = at;
                }
                last = at;
            } else {
                if let Some(before) = self.node_mut(last) {
                    before.next = node.next;
                }
                self.release(at);
                dropped += 1;
            }
            at = node.next;
        }
        (first, dropped)
    }
}
