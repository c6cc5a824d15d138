//! Performance on all scored rows from those that have a label, where others may never get one.
//!
//! Rows that are labelled may not be like the others: where whoever looks does so by the score, the
//! labelled ones are the easy ones or the hard ones. Post-stratification (D. Holt, T. M. F. Smith,
//! Journal of the Royal Statistical Society A 142, 1979) lets each labelled row stand for all scored
//! rows of its stratum: a weight of N / n, the inverse of the share that is labelled. Strata are ranges
//! of the score in binary classification and predicted classes otherwise. What is right by it: labels
//! that are missing at random *given the stratum*; what cannot be mended: absence that depends on the
//! label itself.

use crate::curve;
use crate::estimate::Expected;
use crate::interval::{self, Estimate, Z_95};
use crate::performance::Performance;
use std::collections::BTreeMap;

/// Labelled rows of a stratum, at least: neighbouring score bins are merged until then. Fewer have
/// weights that are mostly chance.
const STRATUM_ROWS_MIN: f64 = 30.0;

/// Scored rows that are alike.
#[derive(Debug, Clone, Default, PartialEq)]
struct Stratum {
    /// All of them.
    rows: f64,
    labelled: f64,
    right: f64,
}

/// Weighted rows of a class.
#[derive(Debug, Clone, Default)]
struct Class {
    labelled: f64,
    predicted: f64,
    right: f64,
}

impl Stratum {
    /// Scored rows that a labelled one stands for.
    fn weight(&self) -> f64 {
        // Labels that come before score's pane was read make more labelled than scored rows.
        if self.labelled > 0.0 { (self.rows / self.labelled).max(1.0) } else { 0.0 }
    }

    /// Nothing that is labelled stands for its rows.
    fn is_silent(&self) -> bool {
        self.rows > 0.0 && self.labelled <= 0.0
    }

    /// Few labelled rows stand for others.
    fn is_thin(&self) -> bool {
        self.labelled < STRATUM_ROWS_MIN && self.labelled < self.rows
    }

    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.labelled += other.labelled;
        self.right += other.right;
    }
}

/// Metrics of all scored rows of a classifier, by name as in [`Performance::metrics`]: binary
/// `accuracy`, `balanced_accuracy`, `precision`, `recall`, `f1`, `auc`, `average_precision`; of several
/// classes `accuracy`, `balanced_accuracy` and `f1_macro`. The interval of `accuracy` is that of a
/// stratified sample; the others have none, and are left out where fewer than 30 labelled rows stand for
/// others of a stratum. Empty for numbers, where nothing is labelled, and where scored
/// rows of some stratum have no labelled one to stand for them.
#[must_use]
pub fn metrics(labelled: &Performance, scored: &Expected) -> BTreeMap<String, Estimate> {
    match labelled {
        Performance::Binary(sums) => binary(&sums.labelled_by_score(), &scored.rows_by_score()),
        Performance::Multiclass(sums) => multiclass(&sums.confusion().collect::<Vec<_>>(), scored),
        _ => BTreeMap::new(),
    }
}

/// `counts` are labelled negatives and positives by score bin.
fn binary(counts: &[[f64; 2]], rows: &[f64]) -> BTreeMap<String, Estimate> {
    let is_positive = |bin: usize| 2 * bin >= rows.len();
    let of_bin = |bin: usize| {
        let [negatives, positives] = counts.get(bin).copied().unwrap_or_default();
        let right = if is_positive(bin) { positives } else { negatives };
        Stratum { rows: rows.get(bin).copied().unwrap_or(0.0), labelled: negatives + positives, right }
    };
    // Ranges of bins; none holds scores of both predicted classes.
    let mut strata: Vec<(usize, Stratum)> = Vec::new();
    for bin in 0..rows.len() {
        match strata.last_mut() {
            Some((first, stratum))
                if stratum.labelled < STRATUM_ROWS_MIN && is_positive(*first) == is_positive(bin) =>
            {
                stratum.add(&of_bin(bin));
            }
            _ => strata.push((bin, of_bin(bin))),
        }
    }
    let strata = with_enough(strata, is_positive);
    if strata.iter().any(|(_, stratum)| stratum.is_silent()) {
        return BTreeMap::new();
    }
    let mut weighted = vec![[0.0; 2]; rows.len()];
    for (place, (first, stratum)) in strata.iter().enumerate() {
        let end = strata.get(place + 1).map_or(rows.len(), |next| next.0);
        for bin in *first..end {
            if let (Some(to), Some(from)) = (weighted.get_mut(bin), counts.get(bin)) {
                *to = from.map(|count| count * stratum.weight());
            }
        }
    }
    let accuracy = accuracy(strata.iter().map(|(_, stratum)| stratum));
    if strata.iter().any(|(_, stratum)| stratum.is_thin()) {
        return interval::named(vec![("accuracy", accuracy)]);
    }
    let (below, above) = weighted.split_at(weighted.len() / 2);
    let sum =
        |bins: &[[f64; 2]]| bins.iter().fold([0.0; 2], |[n, p], [negatives, positives]| [n + negatives, p + positives]);
    let ([true_negatives, false_negatives], [false_positives, true_positives]) = (sum(below), sum(above));
    let recalls = (
        share(true_positives, true_positives + false_negatives),
        share(true_negatives, true_negatives + false_positives),
    );
    let balanced = recalls.0.zip(recalls.1).map(|(a, b)| f64::midpoint(a, b));
    let average_precision = curve::average_precision(weighted.iter().rev().copied());
    interval::named(vec![
        ("accuracy", accuracy),
        ("balanced_accuracy", balanced.map(Estimate::bare)),
        ("precision", share(true_positives, true_positives + false_positives).map(Estimate::bare)),
        ("recall", recalls.0.map(Estimate::bare)),
        (
            "f1",
            share(2.0 * true_positives, 2.0 * true_positives + false_positives + false_negatives).map(Estimate::bare),
        ),
        ("auc", curve::auc(weighted.iter().copied()).map(|area| Estimate::bare(area.value))),
        ("average_precision", average_precision.map(|area| Estimate::bare(area.value))),
    ])
}

/// A last range of a predicted class that has too few labels joins the one before it.
fn with_enough(strata: Vec<(usize, Stratum)>, is_positive: impl Fn(usize) -> bool) -> Vec<(usize, Stratum)> {
    let mut merged: Vec<(usize, Stratum)> = Vec::new();
    for (first, stratum) in strata {
        match merged.last_mut() {
            Some((before, larger))
                if stratum.labelled < STRATUM_ROWS_MIN && is_positive(*before) == is_positive(first) =>
            {
                larger.add(&stratum);
            }
            _ => merged.push((first, stratum)),
        }
    }
    merged
}

/// `confusion` has label, predicted class and rows.
#[allow(clippy::cast_precision_loss)]
fn multiclass(confusion: &[(usize, usize, i64)], scored: &Expected) -> BTreeMap<String, Estimate> {
    let mut strata: BTreeMap<usize, Stratum> = BTreeMap::new();
    for (predicted, rows) in scored.rows_by_predicted() {
        strata.entry(predicted).or_default().rows = rows;
    }
    for (label, predicted, rows) in confusion {
        let stratum = strata.entry(*predicted).or_default();
        stratum.labelled += *rows as f64;
        stratum.right += if label == predicted { *rows as f64 } else { 0.0 };
    }
    if strata.values().any(Stratum::is_silent) {
        return BTreeMap::new();
    }
    let accuracy = accuracy(strata.values());
    if strata.values().any(Stratum::is_thin) {
        return interval::named(vec![("accuracy", accuracy)]);
    }
    let weight = |predicted: usize| strata.get(&predicted).map_or(0.0, Stratum::weight);
    let mut classes: BTreeMap<usize, Class> = BTreeMap::new();
    for (label, predicted, rows) in confusion {
        let rows = *rows as f64 * weight(*predicted);
        classes.entry(*predicted).or_default().predicted += rows;
        let class = classes.entry(*label).or_default();
        class.labelled += rows;
        class.right += if label == predicted { rows } else { 0.0 };
    }
    let mean = |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    let recalls = classes.values().filter_map(|class| share(class.right, class.labelled)).collect();
    let f1s = classes.values().filter_map(|class| share(2.0 * class.right, class.labelled + class.predicted));
    interval::named(vec![
        ("accuracy", accuracy),
        ("balanced_accuracy", mean(recalls).map(Estimate::bare)),
        ("f1_macro", mean(f1s.collect()).map(Estimate::bare)),
    ])
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// Σ W_s p_s with its standard error √(Σ W_s² p_s (1 − p_s) / n_s), where W_s is a stratum's share of
/// all rows and p_s its share of right ones (W. G. Cochran, Sampling Techniques, 1977, section 5). p_s is
/// drawn towards one half by one right and one wrong row in the error only, which would be 0 otherwise
/// where all are right. `None` without rows.
fn accuracy<'a>(strata: impl Iterator<Item = &'a Stratum> + Clone) -> Option<Estimate> {
    let size = |stratum: &Stratum| stratum.rows.max(stratum.labelled);
    let all: f64 = strata.clone().map(size).sum();
    let (mut value, mut variance) = (0.0, 0.0);
    for stratum in strata.filter(|stratum| stratum.labelled > 0.0) {
        let of_all = size(stratum) / all;
        let drawn = (stratum.right + 1.0) / (stratum.labelled + 2.0);
        value += of_all * stratum.right / stratum.labelled;
        variance += of_all * of_all * drawn * (1.0 - drawn) / stratum.labelled;
    }
    (all > 0.0).then(|| Estimate::within(value, Z_95 * variance.sqrt(), 0.0, 1.0))
}

#[cfg(test)]
#[path = "weighted_tests.rs"]
mod tests;
