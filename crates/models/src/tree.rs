//! One decision tree, as trainers write it, and the reference way to evaluate it.

use crate::{CATEGORY_WORDS_MAX, Error};

/// Numbers this close to zero count as zero where zero means missing (LightGBM's `kZeroThreshold`,
/// a float literal there).
pub(crate) const ZERO: f32 = 1e-35;

/// What a numeric split takes for missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: NaN is compared as 0.
    None,
    /// 0 and NaN.
    Zero,
    /// NaN.
    Nan,
}

/// How an inner node decides.
#[derive(Debug, Clone, PartialEq)]
pub enum Split {
    /// Missing values take the default side, others go left when `x <= threshold`, compared in f64.
    Numeric {
        /// The threshold; not NaN.
        threshold: f64,
        /// What counts as missing.
        missing: Missing,
        /// Where missing values go.
        default_left: bool,
    },
    /// Goes left when the bit of the value, truncated toward zero, is set; NaN, negative and
    /// unknown values go right.
    Category {
        /// Bit `c` of word `c / 32` stands for category `c`.
        set: Vec<u32>,
    },
}

/// An inner node. A child that is not negative is an inner node, a negative one is leaf `!child`.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The feature it looks at.
    pub feature: u32,
    /// How it decides.
    pub split: Split,
    /// Left child.
    pub left: i32,
    /// Right child.
    pub right: i32,
}

/// A decision tree: inner nodes (the root is the first) and leaf values. Without inner nodes it
/// is the constant of its only leaf.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    nodes: Vec<Node>,
    leaves: Vec<f64>,
}

impl Tree {
    /// A checked tree: every node and leaf is reached exactly once from the root (so there is no
    /// cycle), thresholds are not NaN, leaf values are finite.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the node.
    pub fn new(nodes: Vec<Node>, leaves: Vec<f64>) -> Result<Self, Error> {
        if leaves.len() != nodes.len() + 1 {
            let (found, expected) = (leaves.len(), nodes.len() + 1);
            return Err(Error::invalid(format!(
                "tree of {} nodes has {found} leaves, expected {expected}",
                nodes.len()
            )));
        }
        if let Some(value) = leaves.iter().find(|v| !v.is_finite()) {
            return Err(Error::invalid(format!("leaf value is {value}, expected a finite number")));
        }
        nodes.iter().enumerate().try_for_each(|(index, node)| check_split(index, &node.split))?;
        check_shape(&nodes)?;
        Ok(Self { nodes, leaves })
    }

    /// The inner nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The leaf values.
    #[must_use]
    pub fn leaves(&self) -> &[f64] {
        &self.leaves
    }

    /// Reference evaluation of one row: what the kernel must equal, bit for bit.
    #[cfg(test)]
    pub(crate) fn value(&self, row: &[f32]) -> f64 {
        let mut child = if self.nodes.is_empty() { -1 } else { 0 };
        while let Ok(index) = usize::try_from(child) {
            let node = &self.nodes[index];
            let left = node.split.goes_left(row[node.feature as usize]);
            child = if left { node.left } else { node.right };
        }
        self.leaves[usize::try_from(!child).unwrap()]
    }
}

impl Split {
    /// `Tree::NumericalDecision` and `Tree::CategoricalDecision` of LightGBM.
    #[cfg(test)]
    pub(crate) fn goes_left(&self, value: f32) -> bool {
        match self {
            Self::Numeric { threshold, missing, default_left } => {
                let value = if value.is_nan() && *missing != Missing::Nan { 0.0 } else { value };
                let zero = *missing == Missing::Zero && value.abs() <= ZERO;
                if zero || value.is_nan() { *default_left } else { f64::from(value) <= *threshold }
            }
            Self::Category { set } => in_set(set, value),
        }
    }
}

/// Whether the bit of a category is set. NaN, negative values and those beyond the set are not in.
#[cfg(test)]
fn in_set(set: &[u32], value: f32) -> bool {
    // Truncation toward zero makes everything above -1 a category, as in C++.
    let known = value > -1.0 && value < 2_147_483_648.0;
    // The cast saturates and takes NaN to 0: no value is undefined.
    let category = value as u32;
    known && set.get((category / 32) as usize).is_some_and(|word| word >> (category % 32) & 1 == 1)
}

fn check_split(index: usize, split: &Split) -> Result<(), Error> {
    match split {
        Split::Numeric { threshold, .. } if threshold.is_nan() => {
            Err(Error::invalid(format!("threshold of node {index} is NaN, expected a number")))
        }
        Split::Category { set } if set.len() > CATEGORY_WORDS_MAX => {
            let found = set.len();
            Err(Error::invalid(format!(
                "category set of node {index} has {found} words, expected at most {CATEGORY_WORDS_MAX}"
            )))
        }
        _ => Ok(()),
    }
}

/// Walks from the root: reaching a node or leaf twice is a cycle or a shared branch; reaching
/// each once leaves none over, since there are as many child places as nodes and leaves to fill.
fn check_shape(nodes: &[Node]) -> Result<(), Error> {
    let mut node_seen = vec![false; nodes.len()];
    let mut leaf_seen = vec![false; nodes.len() + 1];
    let mut open = Vec::new();
    if let Some(first) = node_seen.first_mut() {
        *first = true;
        open.push(0);
    }
    let mut reached = 0;
    while let Some(index) = open.pop() {
        reached += 1;
        let Some(node) = nodes.get(index) else { continue };
        for child in [node.left, node.right] {
            let place = if child < 0 { !child } else { child } as usize;
            let seen = if child < 0 { leaf_seen.get_mut(place) } else { node_seen.get_mut(place) };
            match seen {
                Some(seen) if !*seen => *seen = true,
                _ => {
                    return Err(Error::invalid(format!(
                        "child of node {index} is {child}, expected a node or leaf not used before"
                    )));
                }
            }
            if child >= 0 {
                open.push(place);
            }
        }
    }
    if reached == nodes.len() {
        return Ok(());
    }
    Err(Error::invalid(format!("{reached} of {} nodes are reached from the root, expected all", nodes.len())))
}
