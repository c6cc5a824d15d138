//! Isolation forests (Liu, Ting, Zhou, ICDM 2008): how few random splits set a row apart from the rest.
//!
//! The trees see no label. Labels, where there are any, only say what a mean depth is worth as a
//! probability: two numbers, by logistic regression on the depth, with Platt's targets (Advances in Large
//! Margin Classifiers, 1999), so that a handful of known anomalies is enough. Without labels the score is
//! 0.5 at the depth that the stated share of training rows does not reach, and at the median depth that share
//! itself, so that scores of two forests are alike. Depth and both numbers are written into the leaves, and the
//! result is a forest like any other.

use crate::Error;
use crate::random::Random;
use crate::trainer::{Fit, Fitter, Rows, Trainer, parameters};
use domain::{FeatureMatrix, Task};
use models::{Forest, Link, Missing, Model, Node, Split, Tree};
use prepare::Needs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const FAMILY: &str = "isolation_forest";
/// Most rows of a tree: more blur what is rare (the paper's section 5).
const SAMPLE_MAX: u32 = 4_096;
const TREES_MAX: u32 = 1_000;
/// Newton steps of the calibration; it has two numbers and converges in a few.
const STEPS: u32 = 50;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Parameters {
    /// Trees; the paper's default.
    trees: u32,
    /// Rows of a tree; the paper's default.
    sample: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { trees: 100, sample: 256 }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct IsolationForest {
    /// Without labels: share of the training rows that are anomalies.
    pub(crate) anomaly_share: Option<f64>,
}

impl Trainer for IsolationForest {
    fn family(&self) -> &'static str {
        FAMILY
    }

    fn needs(&self) -> Needs {
        Needs::Dense
    }

    fn rows_max(&self) -> Option<usize> {
        None
    }

    fn defaults(&self) -> Vec<Value> {
        vec![serde_json::to_value(Parameters::default()).unwrap_or_default()]
    }

    fn sample(&self, random: &mut Random) -> Option<Value> {
        if self.anomaly_share.is_some() {
            // Without labels nothing says which of two forests is better.
            return None;
        }
        let drawn = Parameters { trees: random.log_integer(50, 200), sample: random.log_integer(64, 1_024) };
        serde_json::to_value(drawn).ok()
    }

    fn open<'a>(&self, rows: Rows<'a>) -> Result<Box<dyn Fitter + 'a>, Error> {
        Ok(Box::new(Opened { rows, anomaly_share: self.anomaly_share }))
    }
}

struct Opened<'a> {
    rows: Rows<'a>,
    anomaly_share: Option<f64>,
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Trainer { family: FAMILY, detail: error.to_string() }
}

impl Fitter for Opened<'_> {
    fn fit(&mut self, given: &Value) -> Result<Fit, Error> {
        let given: Parameters = parameters(FAMILY, given)?;
        let rows = &self.rows;
        let is_limited = |value: u32, least: u32, most: u32| (least..=most).contains(&value);
        if !is_limited(given.trees, 1, TREES_MAX) || !is_limited(given.sample, 2, SAMPLE_MAX) {
            let (trees, sample) = (given.trees, given.sample);
            let expected = format!("expected 1 to {TREES_MAX} and 2 to {SAMPLE_MAX}");
            return Err(failed(format!("{trees} trees of {sample} rows, {expected}")));
        }
        let mut random = Random::new(rows.seed);
        let trees: Vec<Grown> =
            (0..given.trees).map(|_| Grown::new(rows.features, given.sample, &mut random)).collect();
        let depths = mean_depths(&trees, rows.features)?;
        let map = match (rows.shape.task, self.anomaly_share) {
            (Task::BinaryClassification, _) => calibrate(&depths, rows.labels),
            (Task::Anomaly, Some(share)) => threshold(&depths, share),
            (other, _) => return Err(failed(format!("{other:?}, expected two classes or anomalies"))),
        };
        let forest = forest(&trees, rows.features, Link::Sigmoid { factor: 1.0 }, map)?;
        // Splits are drawn, not chosen: no column is worth more than another.
        Ok(Fit { model: Model::Forest(forest), importance: vec![1.0; rows.features.columns().len()] })
    }
}

/// A tree with depths as the values of its leaves.
#[derive(Debug, Default)]
struct Grown {
    nodes: Vec<Node>,
    leaves: Vec<f64>,
}

/// Mean depth at which a search for a value that is not there ends in a binary search tree of n values:
/// what is added for rows that a leaf leaves together. 2 H(n − 1) − 2 (n − 1) / n, with H(i) ≈ ln i + γ.
fn mean_path(rows: usize) -> f64 {
    /// Euler and Mascheroni's constant.
    const GAMMA: f64 = 0.577_215_664_901_532_9;
    #[allow(clippy::cast_precision_loss)]
    let n = rows as f64;
    match rows {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => 2.0 * (libm::log(n - 1.0) + GAMMA) - 2.0 * (n - 1.0) / n,
    }
}

impl Grown {
    /// A tree of some rows, drawn without replacement, as high as a balanced one of as many would be.
    fn new(features: &FeatureMatrix, sample: u32, random: &mut Random) -> Self {
        let mut places = random.draw(usize::try_from(sample).unwrap_or(usize::MAX), features.rows());
        let taken = places.len();
        let mut tree = Self::default();
        tree.grow(features, &mut places, (0, taken.next_power_of_two().trailing_zeros()), random);
        tree
    }

    /// Grows what is below a node for these rows; gives its number as a child.
    fn grow(
        &mut self,
        features: &FeatureMatrix,
        rows: &mut [usize],
        (depth, height): (u32, u32),
        random: &mut Random,
    ) -> i32 {
        let drawn = if rows.len() > 1 && depth < height { draw_split(features, rows, random) } else { None };
        let Some((feature, threshold)) = drawn else {
            self.leaves.push(f64::from(depth) + mean_path(rows.len()));
            return !i32::try_from(self.leaves.len() - 1).unwrap_or(i32::MAX);
        };
        let number = self.nodes.len();
        let split = Split::Numeric { threshold, missing: Missing::None, default_left: true };
        self.nodes.push(Node { feature: u32::try_from(feature).unwrap_or(u32::MAX), split, left: 0, right: 0 });
        let mut middle = 0;
        for place in 0..rows.len() {
            if rows.get(place).is_some_and(|row| value(features, feature, *row) <= threshold) {
                rows.swap(middle, place);
                middle += 1;
            }
        }
        let (low, high) = rows.split_at_mut(middle);
        let left = self.grow(features, low, (depth + 1, height), random);
        let right = self.grow(features, high, (depth + 1, height), random);
        if let Some(node) = self.nodes.get_mut(number) {
            (node.left, node.right) = (left, right);
        }
        i32::try_from(number).unwrap_or(i32::MAX)
    }
}

/// A number as the forest compares it: what is missing as 0.
fn value(features: &FeatureMatrix, feature: usize, row: usize) -> f64 {
    let found = features.columns().get(feature).and_then(|column| column.get(row)).copied().unwrap_or_default();
    if found.is_nan() { 0.0 } else { f64::from(found) }
}

/// A feature in which these rows differ, and a threshold that parts them; `None` where they are all alike.
fn draw_split(features: &FeatureMatrix, rows: &[usize], random: &mut Random) -> Option<(usize, f64)> {
    let range = |feature: usize| {
        let ends = rows.iter().map(|row| value(features, feature, *row));
        ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
    };
    let count = features.columns().len();
    let first = random.below(count);
    // Mostly the first that is drawn varies. From one that does not, the next one that does is taken.
    let varying = (0..count).map(|step| (first + step) % count).find_map(|feature| {
        let (low, high) = range(feature);
        (low < high && (high - low).is_finite()).then_some((feature, low, high))
    });
    let (feature, low, high) = varying?;
    let threshold = low + random.unit() * (high - low);
    // Rounding must not leave the upper side empty.
    Some((feature, if threshold < high { threshold } else { low }))
}

/// A probability's logarithm of odds as a function of the mean depth.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Map {
    slope: f64,
    intercept: f64,
}

fn forest(trees: &[Grown], features: &FeatureMatrix, link: Link, map: Map) -> Result<Forest, Error> {
    let tree = |grown: &Grown| {
        let leaves = grown.leaves.iter().map(|depth| map.slope * depth + map.intercept).collect();
        Tree::new(grown.nodes.clone(), leaves)
    };
    let trees = trees.iter().map(tree).collect::<Result<_, _>>()?;
    Ok(Forest::new(link, features.columns().len(), 1, true, trees)?)
}

fn mean_depths(trees: &[Grown], features: &FeatureMatrix) -> Result<Vec<f64>, Error> {
    let forest = forest(trees, features, Link::Identity, Map { slope: 1.0, intercept: 0.0 })?;
    let mut depths = Vec::new();
    Model::Forest(forest).predict(features, &mut depths)?;
    Ok(depths)
}

/// Logistic regression of the label on the depth, by Newton's method on the standardised depth. Platt's
/// targets keep it finite where depths part the classes.
#[allow(clippy::cast_precision_loss)]
fn calibrate(depths: &[f64], labels: &[f64]) -> Map {
    let (mean, deviation) = spread(depths);
    let positives = labels.iter().filter(|label| **label >= 0.5).count() as f64;
    let negatives = labels.len() as f64 - positives;
    let targets = [1.0 / (negatives + 2.0), (positives + 1.0) / (positives + 2.0)];
    let (mut slope, mut intercept) = (0.0, libm::log((positives + 1.0) / (negatives + 1.0)));
    for _ in 0..STEPS {
        // Gradient and Hessian of the log loss.
        let (mut g, mut h) = ([0.0; 2], [0.0; 3]);
        for (depth, label) in depths.iter().zip(labels) {
            let x = (depth - mean) / deviation;
            let p = 1.0 / (1.0 + libm::exp(-(slope * x + intercept)));
            let error = p - if *label >= 0.5 { targets[1] } else { targets[0] };
            let weight = (p * (1.0 - p)).max(1e-12);
            g = [g[0] + error * x, g[1] + error];
            h = [h[0] + weight * x * x, h[1] + weight * x, h[2] + weight];
        }
        let determinant = h[0] * h[2] - h[1] * h[1];
        if determinant <= 0.0 {
            break;
        }
        let step = [(h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant];
        // A far step comes from a flat place: halfway is enough, and never away from the minimum for long.
        let scale = 2.0 / (step[0].abs().max(step[1].abs())).max(2.0);
        slope -= scale * step[0];
        intercept -= scale * step[1];
        if step[0].abs().max(step[1].abs()) < 1e-10 {
            break;
        }
    }
    Map { slope: slope / deviation, intercept: intercept - slope * mean / deviation }
}

/// Puts the score 0.5 halfway between the last of the least depths that are anomalies and the next one, and
/// the share (a tenth at most) at the median depth; of depths that are alike none is an anomaly.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn threshold(depths: &[f64], share: f64) -> Map {
    /// Share at the median, at most: nearer to a half the threshold is too near to the median.
    const MEDIAN_MAX: f64 = 0.1;
    let mut sorted = depths.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (_, deviation) = spread(depths);
    let wanted = (share * sorted.len() as f64).round() as usize;
    let parts = |count: &usize| match (sorted.get(count.wrapping_sub(1)), sorted.get(*count)) {
        // What differs by rounding alone is alike: leaves are added up once more when rows are scored.
        (Some(last), Some(next)) if next - last > 1e-9 * (1.0 + next.abs()) => Some(last + (next - last) / 2.0),
        _ => None,
    };
    let least = sorted.first().copied().unwrap_or_default();
    let at = (1..=wanted).rev().find_map(|count| parts(&count)).unwrap_or(least - deviation);
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    let odds = share.min(MEDIAN_MAX);
    let distance = if middle > at { middle - at } else { deviation };
    let slope = libm::log(odds / (1.0 - odds)) / distance;
    Map { slope, intercept: -slope * at }
}

/// Mean and standard deviation; 1 where all are alike.
#[allow(clippy::cast_precision_loss)]
fn spread(depths: &[f64]) -> (f64, f64) {
    let count = depths.len().max(1) as f64;
    let mean = depths.iter().sum::<f64>() / count;
    let deviation = (depths.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / count).sqrt();
    (mean, if deviation > 0.0 { deviation } else { 1.0 })
}

#[cfg(test)]
#[path = "isolation_tests.rs"]
mod tests;
