//! Reading LightGBM's text models (`version=v4`; v3 has the same keys).
//!
//! The file is foreign data: every array must have the length its tree states, every number must
//! be one, and what we do not evaluate (linear trees, other objectives) is refused by name.

use crate::{Error, FEATURES_MAX, Forest, Link, Missing, Model, Node, OUTPUTS_MAX, Split, TREES_MAX, Tree};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// Objectives whose output is the raw score.
const IDENTITY: [&str; 6] = ["regression", "regression_l1", "huber", "fair", "quantile", "mape"];

/// Reads a text model into a forest with the link of its objective.
///
/// # Errors
/// [`Error::LightGbm`] with the line, the key, the value found and what was expected.
pub fn parse(text: &str) -> Result<Model, Error> {
    let blocks = blocks(text)?;
    let Some((head, trees)) = blocks.split_first() else {
        return Err(fault(0, "file is empty, expected a text model"));
    };
    let features = head.number::<usize>("max_feature_idx")?.saturating_add(1);
    let outputs = head.number::<usize>("num_tree_per_iteration")?;
    if features > FEATURES_MAX || outputs == 0 || outputs > OUTPUTS_MAX {
        let expected = format!("expected at most {FEATURES_MAX} and 1 to {OUTPUTS_MAX}");
        return Err(fault(head.line, format!("{features} features and {outputs} trees per iteration, {expected}")));
    }
    let average = head.values.contains_key("average_output");
    let link = link(head, outputs)?;
    let trees: Vec<Tree> = trees.iter().map(tree).collect::<Result<_, _>>()?;
    Forest::new(link, features, outputs, average, trees).map(Model::Forest).map_err(|e| fault(0, e))
}

/// `key=value` lines between two `Tree=` lines; the first block is the head of the file.
struct Block<'a> {
    line: usize,
    values: BTreeMap<&'a str, (usize, &'a str)>,
}

fn blocks(text: &str) -> Result<Vec<Block<'_>>, Error> {
    let mut blocks = vec![Block { line: 1, values: BTreeMap::new() }];
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim_end());
        match (index, line) {
            (0, "tree") => continue,
            (0, _) => return Err(fault(1, format!("first line is `{}`, expected `tree`", short(line)))),
            (_, "end of trees") => return Ok(blocks),
            (_, "") => continue,
            _ => {}
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if key == "Tree" {
            if value != (blocks.len() - 1).to_string() || blocks.len() > TREES_MAX {
                let expected = blocks.len() - 1;
                return Err(fault(number, format!("tree number is `{}`, expected {expected}", short(value))));
            }
            blocks.push(Block { line: number, values: BTreeMap::new() });
            continue;
        }
        if let Some(block) = blocks.last_mut()
            && block.values.insert(key, (number, value)).is_some()
        {
            return Err(fault(number, format!("key `{}` stands twice, expected once", short(key))));
        }
    }
    Err(fault(0, "file stops before `end of trees`, expected a whole model"))
}

impl<'a> Block<'a> {
    fn get(&self, key: &str) -> Result<(usize, &'a str), Error> {
        self.values.get(key).copied().ok_or_else(|| fault(self.line, format!("key `{key}` is missing")))
    }

    fn number<T: FromStr>(&self, key: &str) -> Result<T, Error> {
        let (line, value) = self.get(key)?;
        one(line, key, value)
    }

    /// A blank-separated array of exactly `expected` numbers.
    fn numbers<T: FromStr>(&self, key: &str, expected: usize) -> Result<Vec<T>, Error> {
        let (line, value) = self.get(key)?;
        // The text itself bounds what is allocated: a number takes at least two bytes.
        let numbers: Vec<T> = value.split_ascii_whitespace().map(|v| one(line, key, v)).collect::<Result<_, _>>()?;
        if numbers.len() != expected {
            return Err(fault(line, format!("`{key}` has {} numbers, expected {expected}", numbers.len())));
        }
        Ok(numbers)
    }
}

fn one<T: FromStr>(line: usize, key: &str, value: &str) -> Result<T, Error> {
    value.trim().parse().map_err(|_| fault(line, format!("`{key}` has `{}`, expected a number", short(value))))
}

fn link(head: &Block<'_>, outputs: usize) -> Result<Link, Error> {
    let (line, objective) = head.get("objective")?;
    let mut words = objective.split_ascii_whitespace();
    let name = words.next().unwrap_or("");
    let (mut factor, mut classes, mut other) = (1.0, 1, None);
    for word in words {
        match word.split_once(':') {
            Some(("sigmoid", value)) => factor = one(line, "sigmoid", value)?,
            Some(("num_class", value)) => classes = one(line, "num_class", value)?,
            _ => other = Some(word),
        }
    }
    let link = match name {
        "binary" | "multiclassova" => Link::Sigmoid { factor },
        "cross_entropy" | "xentropy" => Link::Sigmoid { factor: 1.0 },
        "multiclass" => Link::Softmax,
        // `sqrt` squares the output: not ours. Settings of a loss leave the output as it is.
        _ if IDENTITY.contains(&name) && other != Some("sqrt") => Link::Identity,
        _ => {
            let known = "binary, cross_entropy, multiclass, multiclassova or an identity regression";
            return Err(fault(line, format!("objective is `{}`, expected {known}", short(objective))));
        }
    };
    if classes != outputs {
        return Err(fault(line, format!("objective has {classes} classes, expected {outputs} as trees per iteration")));
    }
    Ok(link)
}

fn tree(block: &Block<'_>) -> Result<Tree, Error> {
    if block.values.get("is_linear").is_some_and(|(_, value)| value.trim() != "0") {
        return Err(fault(block.line, "`is_linear` is set, expected constant leaves: linear trees are not supported"));
    }
    let leaves = block.number::<usize>("num_leaves")?;
    let count = leaves.checked_sub(1).ok_or_else(|| fault(block.line, "`num_leaves` is 0, expected at least 1"))?;
    let values = block.numbers::<f64>("leaf_value", leaves)?;
    if count == 0 {
        return Tree::new(Vec::new(), values).map_err(|e| fault(block.line, e));
    }
    let features = block.numbers::<u32>("split_feature", count)?;
    let thresholds = block.numbers::<f64>("threshold", count)?;
    let decisions = block.numbers::<u32>("decision_type", count)?;
    let left = block.numbers::<i32>("left_child", count)?;
    let right = block.numbers::<i32>("right_child", count)?;
    let sets = Sets::read(block)?;
    let mut nodes = Vec::with_capacity(count);
    for (index, (&feature, &threshold)) in features.iter().zip(&thresholds).enumerate() {
        let split = split(block, &sets, decisions[index], threshold)?;
        nodes.push(Node { feature, split, left: left[index], right: right[index] });
    }
    Tree::new(nodes, values).map_err(|e| fault(block.line, e))
}

fn split(block: &Block<'_>, sets: &Sets, decision: u32, threshold: f64) -> Result<Split, Error> {
    let missing = match decision >> 2 {
        0 => Missing::None,
        1 => Missing::Zero,
        2 => Missing::Nan,
        _ => return Err(fault(block.line, format!("decision type is {decision}, expected missing type 0, 1 or 2"))),
    };
    if decision & 1 == 1 {
        let set = sets.get(threshold).ok_or_else(|| {
            let known = sets.boundaries.len().saturating_sub(1);
            fault(block.line, format!("categorical threshold is {threshold}, expected one of {known} sets"))
        })?;
        return Ok(Split::Category { set: set.to_vec() });
    }
    Ok(Split::Numeric { threshold, missing, default_left: decision & 2 == 2 })
}

/// The category sets of a tree: words `boundaries[i]..boundaries[i + 1]` are set `i`.
struct Sets {
    boundaries: Vec<usize>,
    words: Vec<u32>,
}

impl Sets {
    fn read(block: &Block<'_>) -> Result<Self, Error> {
        let count = block.number::<usize>("num_cat")?;
        if count == 0 {
            return Ok(Self { boundaries: Vec::new(), words: Vec::new() });
        }
        let boundaries = block.numbers::<usize>("cat_boundaries", count.saturating_add(1))?;
        let words = block.numbers::<u32>("cat_threshold", boundaries.last().copied().unwrap_or(0))?;
        Ok(Self { boundaries, words })
    }

    /// A set by its number, which stands in the node's threshold.
    fn get(&self, threshold: f64) -> Option<&[u32]> {
        // The cast saturates, so a threshold that is no number of a set finds none or is unequal.
        let index = threshold as usize;
        if index as f64 != threshold {
            return None;
        }
        let (&from, &to) = (self.boundaries.get(index)?, self.boundaries.get(index.checked_add(1)?)?);
        self.words.get(from..to)
    }
}

fn fault(line: usize, detail: impl Display) -> Error {
    Error::LightGbm { line, detail: detail.to_string() }
}

/// The start of a foreign text, for messages.
fn short(text: &str) -> String {
    text.chars().take(60).collect()
}
