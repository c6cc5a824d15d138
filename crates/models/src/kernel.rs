//! The evaluation that runs live: rows in blocks, trees outermost, several rows in flight.
//!
//! Every row's leaf values are added in tree order, in f64, as in the row-wise reference; so the
//! bits depend neither on the block a row falls into nor on the size of the batch.
//! Layout: each tree breadth-first with its two children side by side (right = left + 1); a leaf
//! leads to itself, so that all rows of a tree take the same number of steps and nothing branches
//! on the data. Thresholds are f32, rounded down: for an f32 `x`, `x <= down(t)` is `x <= t`.

use crate::tree::ZERO;
use crate::{Missing, Node, Split, Tree};
use domain::FeatureMatrix;

/// Rows of a block: a tile of 28 features is 14 KiB and stays in the first-level cache.
const BLOCK: usize = 128;
/// Rows in flight: enough to hide the latency of a step's loads.
const LANES: usize = 16;
/// Groups of rows in flight of a block.
const GROUPS: usize = BLOCK / LANES;
/// Deeper trees are walked row by row, so that one long branch does not make every row walk it.
const STEPS_MAX: u32 = 48;

/// `Packed::kind` bits: NaN goes left.
const NAN_LEFT: u32 = 1;
/// `Packed::kind` bits: zero goes where NaN goes.
const ZERO_MISSING: u32 = 2;
/// `Packed::kind` bits: `threshold` is a place in the sets; the rest is the number of its words.
const CATEGORY: u32 = 4;
const WORDS_SHIFT: u32 = 3;
/// Code of a value that is in no set.
const UNKNOWN: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Packed {
    /// Bits of an f32, or the first word of a category set.
    threshold: u32,
    /// Place in `Kernel::used`.
    feature: u32,
    left: u32,
    kind: u32,
}

/// What the splits of a tree ask for, from the fastest way to walk it to the slowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Splits {
    /// Numbers only.
    Numbers,
    /// Numbers and categories.
    Mixed,
    /// Zero may stand for missing.
    Zeros,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    root: u32,
    depth: u32,
    splits: Splits,
}

/// A column of the tile: a feature as its numbers, or as category codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Used {
    feature: u32,
    as_codes: bool,
}

/// All trees of a forest, packed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kernel {
    /// What the trees look at, ascending; `Packed::feature` is a place in it.
    used: Vec<Used>,
    nodes: Vec<Packed>,
    /// Value of the leaf at the same place in `nodes`; 0 at inner nodes.
    values: Vec<f64>,
    spans: Vec<Span>,
    /// The words of all category sets, each set followed by a zero for what is beyond it. The
    /// first word is the one that numeric nodes look at, in vain.
    sets: Vec<u32>,
}

/// The rows in flight of one group: f32 bits or codes, feature by feature.
type Lanes = [[u32; LANES]];

impl Kernel {
    /// Packs checked trees.
    pub(crate) fn new(trees: &[Tree]) -> Self {
        let mut used: Vec<Used> = trees.iter().flat_map(Tree::nodes).map(used_by).collect();
        used.sort_unstable();
        used.dedup();
        let mut kernel = Self { used, nodes: Vec::new(), values: Vec::new(), spans: Vec::new(), sets: vec![0] };
        for tree in trees {
            kernel.push(tree);
        }
        kernel
    }

    fn push(&mut self, tree: &Tree) {
        let root = self.nodes.len() as u32;
        let mut span = Span { root, depth: 0, splits: Splits::Numbers };
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
                        span.splits = span.splits.max(splits_of(kind));
                        let feature = self.used.binary_search(&used_by(node)).unwrap_or(0) as u32;
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
            self.nodes.push(Packed { threshold: f32::INFINITY.to_bits(), feature: 0, left, kind: NAN_LEFT });
            self.values.push(0.0);
        }
    }

    fn pack(&mut self, split: &Split) -> (u32, u32) {
        match split {
            Split::Numeric { threshold, missing, default_left } => {
                let nan_left = if *missing == Missing::None { 0.0 <= *threshold } else { *default_left };
                let zero = if *missing == Missing::Zero { ZERO_MISSING } else { 0 };
                (round_down(*threshold).to_bits(), u32::from(nan_left) | zero)
            }
            Split::Category { set } => {
                let first = self.sets.len() as u32;
                self.sets.extend_from_slice(set);
                self.sets.push(0);
                (first, CATEGORY | (set.len() as u32) << WORDS_SHIFT)
            }
        }
    }

    /// Adds the value of every tree to the rows' scores (row-major, `outputs` to a row).
    /// The matrix has every feature the trees look at.
    pub(crate) fn add(&self, matrix: &FeatureMatrix, outputs: usize, out: &mut [f64]) {
        // Leaves look at place 0, which is there even when every tree is a constant.
        let width = self.used.len().max(1);
        let mut tile = vec![[0_u32; LANES]; width * GROUPS];
        for (block, scores) in out.chunks_mut(BLOCK * outputs).enumerate() {
            for (place, used) in self.used.iter().enumerate() {
                let column = matrix.columns().get(used.feature as usize).map_or(&[][..], Vec::as_slice);
                let values = column.get(block * BLOCK..).unwrap_or_default();
                for (group, values) in values.chunks(LANES).take(GROUPS).enumerate() {
                    for (cell, &value) in tile[group * width + place].iter_mut().zip(values) {
                        *cell = if used.as_codes { code(value) } else { number(value).to_bits() };
                    }
                }
            }
            for (index, &span) in self.spans.iter().enumerate() {
                let output = index % outputs;
                for (lanes, scores) in tile.chunks_exact(width).zip(scores.chunks_mut(LANES * outputs)) {
                    self.add_tree(span, lanes, scores.iter_mut().skip(output).step_by(outputs));
                }
            }
        }
    }

    /// Adds a tree's values for one group. Lanes beyond the last row are walked on stale cells and
    /// not added.
    fn add_tree<'a>(&self, span: Span, lanes: &Lanes, scores: impl ExactSizeIterator<Item = &'a mut f64>) {
        if span.depth > STEPS_MAX || scores.len() < LANES {
            for (lane, score) in scores.enumerate() {
                *score += self.values[self.walk(span, lanes, lane) as usize];
            }
            return;
        }
        let leaves = match span.splits {
            Splits::Numbers => self.step(span, lanes, |node, bits| by_number(node, bits)),
            Splits::Mixed => self.step(span, lanes, |node, bits| self.by_either(node, bits)),
            Splits::Zeros => self.step(span, lanes, |node, bits| self.by_any(node, bits)),
        };
        for (score, leaf) in scores.zip(leaves) {
            *score += self.values[leaf as usize];
        }
    }

    #[inline(always)]
    fn step(&self, span: Span, lanes: &Lanes, goes_left: impl Fn(Packed, u32) -> u32) -> [u32; LANES] {
        let mut at = [span.root; LANES];
        for _ in 0..span.depth {
            for (lane, place) in at.iter_mut().enumerate() {
                let node = self.nodes[*place as usize];
                *place = node.left + 1 - goes_left(node, lanes[node.feature as usize][lane]);
            }
        }
        at
    }

    fn walk(&self, span: Span, lanes: &Lanes, lane: usize) -> u32 {
        let mut place = span.root;
        loop {
            let node = self.nodes[place as usize];
            if node.left == place {
                return place;
            }
            place = node.left + 1 - self.by_any(node, lanes[node.feature as usize][lane]);
        }
    }

    /// Both questions are asked and one answer is taken: nothing branches on the data.
    #[inline(always)]
    fn by_either(&self, node: Packed, bits: u32) -> u32 {
        let mask = 0_u32.wrapping_sub((node.kind & CATEGORY) / CATEGORY);
        let words = (node.kind >> WORDS_SHIFT) & mask;
        let word = self.sets[((node.threshold & mask) + (bits >> 5).min(words)) as usize];
        ((word >> (bits & 31)) & 1 & mask) | (by_number(node, bits) & !mask)
    }

    fn by_any(&self, node: Packed, bits: u32) -> u32 {
        let is_zero = node.kind & ZERO_MISSING != 0 && f32::from_bits(bits).abs() <= ZERO;
        self.by_either(node, if is_zero { f32::NAN.to_bits() } else { bits })
    }
}

/// 1 where a row goes left at a numeric node, else 0. A leaf leads to itself: every number is
/// `<= +inf`, and NaN goes left.
#[inline(always)]
fn by_number(node: Packed, bits: u32) -> u32 {
    let value = f32::from_bits(bits);
    let is_below = value <= f32::from_bits(node.threshold);
    u32::from(is_below | (value.is_nan() & (node.kind & NAN_LEFT != 0)))
}

/// As LightGBM's row reader, and its bins in training, take numbers near zero.
fn number(value: f32) -> f32 {
    if value.abs() <= ZERO { 0.0 } else { value }
}

/// The category of a value. Truncation toward zero makes everything above -1 one, as in C++; NaN
/// and what is out of range is in no set.
fn code(value: f32) -> u32 {
    if value > -1.0 && value < 2_147_483_648.0 { value as u32 } else { UNKNOWN }
}

fn used_by(node: &Node) -> Used {
    Used { feature: node.feature, as_codes: matches!(node.split, Split::Category { .. }) }
}

fn splits_of(kind: u32) -> Splits {
    match (kind & ZERO_MISSING != 0, kind & CATEGORY != 0) {
        (true, _) => Splits::Zeros,
        (false, true) => Splits::Mixed,
        (false, false) => Splits::Numbers,
    }
}

fn leaf_value(tree: &Tree, child: i32) -> f64 {
    usize::try_from(!child).ok().and_then(|leaf| tree.leaves().get(leaf)).copied().unwrap_or(0.0)
}

/// The greatest f32 that is not above `threshold` (which is not NaN).
fn round_down(threshold: f64) -> f32 {
    let near = threshold as f32;
    if f64::from(near) > threshold { near.next_down() } else { near }
}
