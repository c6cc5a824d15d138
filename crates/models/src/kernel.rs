//! The evaluation that runs live: rows in blocks, trees outermost, several rows in flight.
//!
//! Every row's leaf values are added in tree order, in f64, as in the row-wise reference; so the
//! bits depend neither on the block a row falls into nor on the size of the batch.
//! Layout: each tree breadth-first with its two children side by side (right = left + 1); a leaf
//! leads to itself, so that all rows of a tree take the same number of steps and nothing branches
//! on the data. Thresholds are f32, rounded down: for an f32 `x`, `x <= down(t)` is `x <= t`.

use crate::tree::{ZERO, in_set};
use crate::{Missing, Split, Tree};
use domain::FeatureMatrix;

/// Rows of a block: a tile of 28 features is 14 KiB and stays in the first-level cache.
const BLOCK: usize = 128;
/// Rows in flight: enough to hide the latency of a step's two loads.
const LANES: usize = 16;
/// Deeper trees are walked row by row, so that one long branch does not make every row walk it.
const STEPS_MAX: u32 = 48;

/// `Packed::kind` bits: NaN goes left.
const NAN_LEFT: u32 = 1;
/// `Packed::kind` bits: zero goes where NaN goes.
const ZERO_MISSING: u32 = 2;
/// `Packed::kind` bits: the rest is the number of a category set.
const CATEGORY: u32 = 4;
const SET_SHIFT: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Packed {
    threshold: f32,
    feature: u32,
    left: u32,
    kind: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    root: u32,
    depth: u32,
    plain: bool,
}

/// All trees of a forest, packed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kernel {
    /// The features the trees look at, ascending; `Packed::feature` is a place in it.
    used: Vec<u32>,
    nodes: Vec<Packed>,
    /// Value of the leaf at the same place in `nodes`; 0 at inner nodes.
    values: Vec<f64>,
    spans: Vec<Span>,
    sets: Vec<Vec<u32>>,
}

/// The tile of one block: `BLOCK` values per feature, feature by feature.
type Tile = [[f32; BLOCK]];

impl Kernel {
    /// Packs checked trees.
    pub(crate) fn new(trees: &[Tree]) -> Self {
        let mut used: Vec<u32> = trees.iter().flat_map(Tree::nodes).map(|node| node.feature).collect();
        used.sort_unstable();
        used.dedup();
        let mut kernel = Self { used, nodes: Vec::new(), values: Vec::new(), spans: Vec::new(), sets: Vec::new() };
        for tree in trees {
            kernel.push(tree);
        }
        kernel
    }

    fn push(&mut self, tree: &Tree) {
        let root = self.nodes.len() as u32;
        let mut span = Span { root, depth: 0, plain: true };
        let first = if tree.nodes().is_empty() { -1 } else { 0 };
        let mut level = vec![first];
        self.reserve(1);
        let mut place = root as usize;
        while !level.is_empty() {
            let mut next = Vec::new();
            for child in level {
                match usize::try_from(child).ok().and_then(|index| tree.nodes().get(index)) {
                    Some(node) => {
                        let left = self.nodes.len() as u32;
                        self.reserve(2);
                        let (threshold, kind) = self.pack(&node.split);
                        span.plain &= kind & !NAN_LEFT == 0;
                        let feature = self.used.binary_search(&node.feature).unwrap_or(0) as u32;
                        self.nodes[place] = Packed { threshold, feature, left, kind };
                        next.extend([node.left, node.right]);
                    }
                    None => self.values[place] = leaf_value(tree, child),
                }
                place += 1;
            }
            if !next.is_empty() {
                span.depth += 1;
            }
            level = next;
        }
        self.spans.push(span);
    }

    /// Appends leaves of value 0 that lead to themselves.
    fn reserve(&mut self, count: usize) {
        for _ in 0..count {
            let left = self.nodes.len() as u32;
            self.nodes.push(Packed { threshold: f32::INFINITY, feature: 0, left, kind: NAN_LEFT });
            self.values.push(0.0);
        }
    }

    fn pack(&mut self, split: &Split) -> (f32, u32) {
        match split {
            Split::Numeric { threshold, missing, default_left } => {
                let nan_left = if *missing == Missing::None { 0.0 <= *threshold } else { *default_left };
                let zero = if *missing == Missing::Zero { ZERO_MISSING } else { 0 };
                (round_down(*threshold), u32::from(nan_left) | zero)
            }
            Split::Category { set } => {
                self.sets.push(set.clone());
                (0.0, CATEGORY | ((self.sets.len() - 1) as u32) << SET_SHIFT)
            }
        }
    }

    /// Adds the value of every tree to the rows' scores (row-major, `outputs` to a row).
    /// The matrix has every feature the trees look at.
    pub(crate) fn add(&self, matrix: &FeatureMatrix, outputs: usize, out: &mut [f64]) {
        // Leaves look at place 0, which is there even when every tree is a constant.
        let mut tile = vec![[0.0_f32; BLOCK]; self.used.len().max(1)];
        for (block, scores) in out.chunks_mut(BLOCK * outputs).enumerate() {
            let start = block * BLOCK;
            for (cells, &feature) in tile.iter_mut().zip(&self.used) {
                let column = matrix.columns().get(feature as usize).map_or(&[][..], Vec::as_slice);
                let values = column.get(start..).unwrap_or_default();
                for (cell, &value) in cells.iter_mut().zip(values) {
                    // As LightGBM's row reader, and its bins in training, take numbers near zero.
                    *cell = if value.abs() <= ZERO { 0.0 } else { value };
                }
            }
            for (index, &span) in self.spans.iter().enumerate() {
                self.add_tree(span, &tile, index % outputs, outputs, scores);
            }
        }
    }

    fn add_tree(&self, span: Span, tile: &Tile, output: usize, outputs: usize, scores: &mut [f64]) {
        let rows = scores.len() / outputs;
        if span.depth > STEPS_MAX || rows < LANES {
            for row in 0..rows {
                let leaf = self.walk(span, tile, row);
                scores[row * outputs + output] += self.values[leaf as usize];
            }
            return;
        }
        for first in (0..rows).step_by(LANES) {
            // The rows beyond the last are walked on stale cells and not added.
            let leaves = if span.plain { self.step_plain(span, tile, first) } else { self.step_any(span, tile, first) };
            for (row, leaf) in (first..rows).zip(leaves) {
                scores[row * outputs + output] += self.values[leaf as usize];
            }
        }
    }

    fn step_plain(&self, span: Span, tile: &Tile, first: usize) -> [u32; LANES] {
        let mut at = [span.root; LANES];
        for _ in 0..span.depth {
            for (lane, place) in at.iter_mut().enumerate() {
                let node = self.nodes[*place as usize];
                let value = tile[node.feature as usize][first + lane];
                *place = follow(node, value);
            }
        }
        at
    }

    fn step_any(&self, span: Span, tile: &Tile, first: usize) -> [u32; LANES] {
        let mut at = [span.root; LANES];
        for _ in 0..span.depth {
            for (lane, place) in at.iter_mut().enumerate() {
                let node = self.nodes[*place as usize];
                let value = tile[node.feature as usize][first + lane];
                *place = self.follow_any(node, value);
            }
        }
        at
    }

    fn walk(&self, span: Span, tile: &Tile, row: usize) -> u32 {
        let mut place = span.root;
        loop {
            let node = self.nodes[place as usize];
            if node.left == place {
                return place;
            }
            place = self.follow_any(node, tile[node.feature as usize][row]);
        }
    }

    fn follow_any(&self, node: Packed, value: f32) -> u32 {
        if node.kind & CATEGORY != 0 {
            let set = self.sets.get((node.kind >> SET_SHIFT) as usize).map_or(&[][..], Vec::as_slice);
            return node.left + u32::from(!in_set(set, value));
        }
        let zero = node.kind & ZERO_MISSING != 0 && value.abs() <= ZERO;
        follow(node, if zero { f32::NAN } else { value })
    }
}

/// The next place of a row at a numeric node. A leaf leads to itself: every number is `<= +inf`,
/// and NaN goes left.
#[inline(always)]
fn follow(node: Packed, value: f32) -> u32 {
    let left = (value <= node.threshold) | (value.is_nan() & (node.kind & NAN_LEFT != 0));
    node.left + u32::from(!left)
}

fn leaf_value(tree: &Tree, child: i32) -> f64 {
    usize::try_from(!child).ok().and_then(|leaf| tree.leaves().get(leaf)).copied().unwrap_or(0.0)
}

/// The greatest f32 that is not above `threshold` (which is not NaN).
fn round_down(threshold: f64) -> f32 {
    let near = threshold as f32;
    if f64::from(near) > threshold { near.next_down() } else { near }
}
