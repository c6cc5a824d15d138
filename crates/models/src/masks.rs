//! Trees of few leaves, without walking: every node is asked, of many rows at once.
//!
//! The leaves of a tree are numbered from left to right, and a row starts with a bit for each. A
//! node that sends it right takes away the bits of its left branch; whatever the order in which
//! nodes are asked, the lowest bit left is the row's leaf (Lucchese et al., `QuickScorer`, SIGIR
//! 2015). Nothing depends on an answer before, so the compiler asks eight or sixteen rows with one
//! instruction: for 31 leaves about three times as fast as walking.

use crate::kernel::{Used, nan_goes_left, round_down};
use crate::{Missing, Split, Tree};
use std::collections::BTreeMap;
use std::ops::Range;

/// Rows asked at once.
pub(crate) const LANES: usize = 16;
/// The rows of a group: f32 bits or category codes, column by column.
pub(crate) type Lanes = [[u32; LANES]];

/// Words of the largest category set: tables of codes stay within the second-level cache.
const SET_WORDS_MAX: usize = 128;
/// Entries of all tables of codes of one width. A table is larger than the sets it is made of, so
/// that a small file could ask for much memory; trees beyond this are walked.
const CODES_MAX: usize = 1 << 21;

/// The category nodes of a tree by column: their sets, and what is left of those sent right.
type Sets<'t, M> = BTreeMap<u32, Vec<(&'t Vec<u32>, M)>>;

/// A bit per leaf.
pub(crate) trait Leaves: Copy + std::ops::BitAndAssign + std::ops::BitOr<Output = Self> {
    const COUNT: usize;
    const ALL: Self;
    /// All bits but those of a range.
    fn without(range: Range<usize>) -> Self;
    /// All bits, or none.
    fn spread(all: bool) -> Self;
    /// The lowest bit.
    fn first(self) -> usize;
}

macro_rules! leaves {
    ($word:ty) => {
        impl Leaves for $word {
            const COUNT: usize = <$word>::BITS as usize;
            const ALL: Self = <$word>::MAX;
            fn without(range: Range<usize>) -> Self {
                range.fold(Self::ALL, |all, leaf| all & !(1 << leaf))
            }
            #[inline(always)]
            fn spread(all: bool) -> Self {
                <$word>::from(all).wrapping_neg()
            }
            #[inline(always)]
            fn first(self) -> usize {
                self.trailing_zeros() as usize
            }
        }
    };
}
leaves!(u32);
leaves!(u64);

/// A numeric node: left when `x <= threshold`, or when NaN and `nan_left`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Number<M> {
    threshold: f32,
    column: u32,
    nan_left: bool,
    right: M,
}

/// All nodes of a tree that look at one category column: for every code the leaves that are left,
/// and last those of a code that is in no set.
#[derive(Debug, Clone, PartialEq)]
struct Category {
    column: u32,
    codes: Range<usize>,
}

/// Where the parts of a tree lie.
#[derive(Debug, Clone, PartialEq)]
struct Span {
    numbers: Range<usize>,
    categories: Range<usize>,
    first_leaf: usize,
}

/// Trees of at most `M::COUNT` leaves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Masks<M> {
    numbers: Vec<Number<M>>,
    categories: Vec<Category>,
    /// Leaves by code, see [`Category::codes`].
    codes: Vec<M>,
    leaves: Vec<f64>,
    spans: Vec<Span>,
}

impl<M> Default for Masks<M> {
    fn default() -> Self {
        let (numbers, categories) = (Vec::new(), Vec::new());
        Self { numbers, categories, codes: Vec::new(), leaves: Vec::new(), spans: Vec::new() }
    }
}

impl<M: Leaves> Masks<M> {
    /// Whether a tree can be taken. It cannot where zero means missing, or sets are very large.
    pub(crate) fn takes(&self, tree: &Tree) -> bool {
        let mut codes = self.codes.len();
        let mut is_plain = |split: &Split| match split {
            Split::Numeric { missing, .. } => *missing != Missing::Zero,
            Split::Category { set } => {
                codes += set.len() * 32 + 1;
                set.len() <= SET_WORDS_MAX && codes <= CODES_MAX
            }
        };
        tree.leaves().len() <= M::COUNT && tree.nodes().iter().all(|node| is_plain(&node.split))
    }

    /// Takes a checked tree; gives its number.
    pub(crate) fn push(&mut self, tree: &Tree, used: &[Used]) -> u32 {
        let (numbers, categories, first_leaf) = (self.numbers.len(), self.categories.len(), self.leaves.len());
        let mut sets = BTreeMap::new();
        self.branch(tree, if tree.nodes().is_empty() { -1 } else { 0 }, first_leaf, used, &mut sets);
        for (column, nodes) in sets {
            self.category(column, &nodes);
        }
        self.spans.push(Span {
            numbers: numbers..self.numbers.len(),
            categories: categories..self.categories.len(),
            first_leaf,
        });
        (self.spans.len() - 1) as u32
    }

    /// Takes a branch, leaves from left to right. At most `M::COUNT` deep.
    fn branch<'t>(&mut self, tree: &'t Tree, child: i32, first_leaf: usize, used: &[Used], sets: &mut Sets<'t, M>) {
        let Some(node) = usize::try_from(child).ok().and_then(|index| tree.nodes().get(index)) else {
            let leaf = usize::try_from(!child).ok().and_then(|leaf| tree.leaves().get(leaf));
            self.leaves.push(leaf.copied().unwrap_or(0.0));
            return;
        };
        let begin = self.leaves.len() - first_leaf;
        self.branch(tree, node.left, first_leaf, used, sets);
        let right = M::without(begin..self.leaves.len() - first_leaf);
        let column = Used::by(node).place(used);
        match &node.split {
            Split::Numeric { threshold, missing, default_left } => {
                let nan_left = nan_goes_left(*threshold, *missing, *default_left);
                self.numbers.push(Number { threshold: round_down(*threshold), column, nan_left, right });
            }
            Split::Category { set } => sets.entry(column).or_default().push((set, right)),
        }
        self.branch(tree, node.right, first_leaf, used, sets);
    }

    fn category(&mut self, column: u32, nodes: &[(&Vec<u32>, M)]) {
        let words = nodes.iter().map(|(set, _)| set.len()).max().unwrap_or(0);
        let first = self.codes.len();
        for code in 0..=words * 32 {
            let mut open = M::ALL;
            for (set, right) in nodes {
                let is_in = set.get(code / 32).is_some_and(|word| (word >> (code % 32)) & 1 == 1);
                open &= *right | M::spread(is_in);
            }
            self.codes.push(open);
        }
        self.categories.push(Category { column, codes: first..self.codes.len() });
    }

    /// Values of a tree for the rows of a group. Plain loops of a fixed length are what the compiler
    /// makes wide instructions of.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    pub(crate) fn values(&self, tree: u32, lanes: &Lanes) -> [f64; LANES] {
        let span = &self.spans[tree as usize];
        let mut open = [M::ALL; LANES];
        for node in &self.numbers[span.numbers.clone()] {
            let cells = &lanes[node.column as usize];
            for lane in 0..LANES {
                let value = f32::from_bits(cells[lane]);
                let left = (value <= node.threshold) | (value.is_nan() & node.nan_left);
                open[lane] &= node.right | M::spread(left);
            }
        }
        for category in &self.categories[span.categories.clone()] {
            let (cells, codes) = (&lanes[category.column as usize], &self.codes[category.codes.clone()]);
            let last = codes.len() - 1;
            for lane in 0..LANES {
                open[lane] &= codes[(cells[lane] as usize).min(last)];
            }
        }
        let leaves = &self.leaves[span.first_leaf..];
        let mut values = [0.0; LANES];
        for lane in 0..LANES {
            values[lane] = leaves[open[lane].first()];
        }
        values
    }
}
