//! The evaluation that runs live: rows in blocks, trees outermost, several rows at once.
//!
//! Every row's leaf values are added in tree order, in f64, as in the row-wise reference; so the
//! bits depend neither on the block a row falls into nor on the size of the batch.
//! Small trees are not walked ([`crate::masks`]). Large ones are, several rows in flight: each tree
//! breadth-first with its two children side by side (right = left + 1); a leaf leads to itself, so
//! that all rows of a tree take the same number of steps and nothing branches on the data.
//! Thresholds are f32, rounded down: for an f32 `x`, `x <= down(t)` is `x <= t`.

use crate::masks::{LANES, Lanes, Masks};
use crate::tree::ZERO;
use crate::{Missing, Node, Split, Tree};
use domain::FeatureMatrix;

/// Rows of a block: a tile of 28 features is 14 KiB and stays in the first-level cache.
const BLOCK: usize = 128;
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

/// A tree that is walked.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    root: u32,
    depth: u32,
    /// Only numbers are asked for, and none stands for missing.
    plain: bool,
}

/// How a tree is evaluated.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// At most 32 leaves: its number in `Kernel::short`.
    Short(u32),
    /// 33 to 64 leaves: its number in `Kernel::long`.
    Long(u32),
    Walked(Span),
}

/// A column of the tile: a feature as its numbers, or as category codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Used {
    feature: u32,
    as_codes: bool,
}

impl Used {
    /// What a node looks at.
    pub(crate) fn by(node: &Node) -> Self {
        Self { feature: node.feature, as_codes: matches!(node.split, Split::Category { .. }) }
    }

    /// Its place among all that is looked at, ascending.
    pub(crate) fn place(self, all: &[Self]) -> u32 {
        all.binary_search(&self).unwrap_or(0) as u32
    }
}

/// All trees of a forest, packed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kernel {
    /// What the trees look at, ascending; `Packed::feature` is a place in it.
    used: Vec<Used>,
    ways: Vec<Way>,
    short: Masks<u32>,
    long: Masks<u64>,
    /// Nodes of the trees that are walked.
    nodes: Vec<Packed>,
    /// Value of the leaf at the same place in `nodes`; 0 at inner nodes.
    values: Vec<f64>,
    /// The words of all category sets, each set followed by a zero for what is beyond it. The
    /// first word is the one that numeric nodes look at, in vain.
    sets: Vec<u32>,
}

impl Kernel {
    /// Packs checked trees.
    pub(crate) fn new(trees: &[Tree]) -> Self {
        let mut used: Vec<Used> = trees.iter().flat_map(Tree::nodes).map(Used::by).collect();
        used.sort_unstable();
        used.dedup();
        let (short, long) = (Masks::default(), Masks::default());
        let (ways, nodes, values) = (Vec::with_capacity(trees.len()), Vec::new(), Vec::new());
        let mut kernel = Self { used, ways, short, long, nodes, values, sets: vec![0] };
        for tree in trees {
            let way = if kernel.short.takes(tree) {
                Way::Short(kernel.short.push(tree, &kernel.used))
            } else if tree.leaves().len() > u32::BITS as usize && kernel.long.takes(tree) {
                Way::Long(kernel.long.push(tree, &kernel.used))
            } else {
                Way::Walked(kernel.push(tree))
            };
            kernel.ways.push(way);
        }
        kernel
    }

    fn push(&mut self, tree: &Tree) -> Span {
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
                        let feature = Used::by(node).place(&self.used);
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
        span
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
                let nan_left = nan_goes_left(*threshold, *missing, *default_left);
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
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function was compiled for.
            #[allow(unsafe_code)]
            unsafe {
                self.add_avx2(matrix, outputs, out);
            }
            return;
        }
        self.add_all(matrix, outputs, out);
    }

    /// The same operations, and so the same bits, on wider registers.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn add_avx2(&self, matrix: &FeatureMatrix, outputs: usize, out: &mut [f64]) {
        self.add_all(matrix, outputs, out);
    }

    #[inline(always)]
    fn add_all(&self, matrix: &FeatureMatrix, outputs: usize, out: &mut [f64]) {
        // Leaves look at place 0, which is there even when every tree is a constant.
        let width = self.used.len().max(1);
        let mut tile = vec![[0_u32; LANES]; width * GROUPS];
        for (block, scores) in out.chunks_mut(BLOCK * outputs).enumerate() {
            self.fill(matrix, block * BLOCK, &mut tile);
            for (index, way) in self.ways.iter().enumerate() {
                let output = index % outputs;
                for (lanes, scores) in tile.chunks_exact(width).zip(scores.chunks_mut(LANES * outputs)) {
                    // Lanes beyond the last row hold stale cells; their values are not added.
                    let values = match way {
                        Way::Short(tree) => self.short.values(*tree, lanes),
                        Way::Long(tree) => self.long.values(*tree, lanes),
                        Way::Walked(span) => self.walk(*span, lanes),
                    };
                    // One output to a row is most of what there is, and plain slices are added widely.
                    if outputs == 1 {
                        scores.iter_mut().zip(&values).for_each(|(score, value)| *score += value);
                        continue;
                    }
                    for (row, value) in scores.chunks_exact_mut(outputs).zip(&values) {
                        row[output] += value;
                    }
                }
            }
        }
    }

    /// Copies the columns of a block, each in groups of lanes.
    fn fill(&self, matrix: &FeatureMatrix, first: usize, tile: &mut Lanes) {
        let width = self.used.len();
        for (place, used) in self.used.iter().enumerate() {
            let column = matrix.columns().get(used.feature as usize).map_or(&[][..], Vec::as_slice);
            let values = column.get(first..).unwrap_or_default();
            for (group, values) in values.chunks(LANES).take(GROUPS).enumerate() {
                for (cell, &value) in tile[group * width + place].iter_mut().zip(values) {
                    *cell = if used.as_codes { code(value) } else { number(value).to_bits() };
                }
            }
        }
    }

    #[inline(always)]
    fn walk(&self, span: Span, lanes: &Lanes) -> [f64; LANES] {
        let leaves = if span.depth > STEPS_MAX {
            std::array::from_fn(|lane| self.walk_one(span, lanes, lane))
        } else if span.plain {
            self.step(span, lanes, by_number)
        } else {
            self.step(span, lanes, |node, bits| self.by_any(node, bits))
        };
        leaves.map(|leaf| self.values[leaf as usize])
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

    fn walk_one(&self, span: Span, lanes: &Lanes, lane: usize) -> u32 {
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

/// Where NaN goes. Where nothing is missing it is compared as 0.
pub(crate) fn nan_goes_left(threshold: f64, missing: Missing, default_left: bool) -> bool {
    if missing == Missing::None { 0.0 <= threshold } else { default_left }
}

fn leaf_value(tree: &Tree, child: i32) -> f64 {
    usize::try_from(!child).ok().and_then(|leaf| tree.leaves().get(leaf)).copied().unwrap_or(0.0)
}

/// The greatest f32 that is not above `threshold` (which is not NaN).
pub(crate) fn round_down(threshold: f64) -> f32 {
    let near = threshold as f32;
    if f64::from(near) > threshold { near.next_down() } else { near }
}
