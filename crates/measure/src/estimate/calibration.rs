//! Calibration of a model's scores on its reference, and whether it helps.

use super::isotonic::Isotonic;
use crate::error::Error;
use crate::loss::{Shape, class_of};
use crate::multiclass::CLASSES_MAX;
use domain::Task;
use serde::{Deserialize, Serialize};

/// Parts of the reference that are left out of a fit in turn, to see whether it helps elsewhere.
const FOLDS: usize = 10;
/// Bins with equally many rows of the error that must fall.
const BINS: usize = 10;
/// Scores that rank better than this need no map (NannyML's limit).
const AUC_PERFECT: f64 = 0.999;

/// From score to probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreMap {
    /// The score is the probability.
    Identity,
    /// A fitted map.
    Isotonic(Isotonic),
}

impl ScoreMap {
    /// The map fitted to scores and labels if that lowers the calibration error, else none.
    ///
    /// NannyML's rule: none with one class only or an AUC above 0.999; else the error
    /// Σ n_b / N × |label rate − mean probability| over 10 bins with equally many rows, on rows that
    /// were not fitted, must fall. NannyML pools the test parts of ten random stratified shuffles of
    /// a tenth; here the rows of each class are dealt to ten parts in turn, which needs no random
    /// numbers, tests each row once, and splits equal probabilities over bins in proportion. The
    /// map itself is then fitted on all rows.
    ///
    /// # Errors
    /// See [`Isotonic::fit`].
    pub fn fit(rows: &[(f64, bool)]) -> Result<Self, Error> {
        let map = Isotonic::fit(rows)?;
        Ok(if helps(rows)? { Self::Isotonic(map) } else { Self::Identity })
    }

    /// Probability of a score in [0, 1]; one that is no number counts as 0.
    #[must_use]
    pub fn apply(&self, score: f64) -> f64 {
        match self {
            Self::Identity if score.is_nan() => 0.0,
            Self::Identity => score.clamp(0.0, 1.0),
            Self::Isotonic(map) => map.apply(score),
        }
    }
}

fn helps(rows: &[(f64, bool)]) -> Result<bool, Error> {
    let (mut negatives, mut positives) = (0_usize, 0_usize);
    let mut rows: Vec<(f64, bool, usize)> = rows
        .iter()
        .map(|(score, positive)| {
            let rank = if *positive { &mut positives } else { &mut negatives };
            *rank += 1;
            (*score, *positive, *rank % FOLDS)
        })
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    if negatives.min(positives) < FOLDS || auc(&rows) > AUC_PERFECT {
        return Ok(false);
    }
    let mut after = Vec::with_capacity(rows.len());
    for fold in 0..FOLDS {
        let others = rows.iter().filter(|row| row.2 != fold).map(|row| (row.0, row.1));
        let map = Isotonic::fit_sorted(others)?;
        after.extend(rows.iter().filter(|row| row.2 == fold).map(|row| (map.apply(row.0), row.1)));
    }
    after.sort_by(|a, b| a.0.total_cmp(&b.0));
    let before: Vec<(f64, bool)> = rows.iter().map(|row| (row.0, row.1)).collect();
    Ok(error(&after) < error(&before))
}

/// Runs of equal scores of rows in rising order: (score, rows, positives).
#[allow(clippy::cast_precision_loss)]
fn ties(rows: impl Iterator<Item = (f64, bool)>) -> Vec<(f64, f64, f64)> {
    let mut found: Vec<(f64, f64, f64)> = Vec::new();
    for (score, positive) in rows {
        let one = f64::from(u8::from(positive));
        match found.last_mut() {
            Some(tie) if tie.0 >= score => {
                tie.1 += 1.0;
                tie.2 += one;
            }
            _ => found.push((score, 1.0, one)),
        }
    }
    found
}

fn auc(rows: &[(f64, bool, usize)]) -> f64 {
    let runs = ties(rows.iter().map(|row| (row.0, row.1)));
    crate::curve::auc(runs.into_iter().map(|run| [run.1 - run.2, run.2])).map_or(1.0, |auc| auc.value)
}

#[allow(clippy::cast_precision_loss)]
fn error(rows: &[(f64, bool)]) -> f64 {
    let size = rows.len() as f64 / BINS as f64;
    let (mut sum, mut room, mut distance) = (0.0, size, 0.0);
    for (score, count, positives) in ties(rows.iter().copied()) {
        let mut left = count;
        while left > 0.0 {
            let taken = left.min(room);
            distance += taken * (positives / count - score);
            left -= taken;
            room -= taken;
            if room <= 0.0 {
                sum += distance.abs();
                (room, distance) = (size, 0.0);
            }
        }
    }
    sum + distance.abs()
}

/// From a model's scores to class probabilities: one map in binary classification, for the
/// positive class, else one per class, whose results are scaled to a sum of 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    maps: Vec<ScoreMap>,
}

impl Calibration {
    /// Fits row-major scores as in [`crate::Performance::add`] and their labels, one map per class
    /// against the rest, each kept only if it helps ([`ScoreMap::fit`]).
    ///
    /// # Errors
    /// Regression, no rows, or numbers that do not fit together, are broken or too many.
    pub fn fit(shape: Shape, scores: &[f64], labels: &[f64]) -> Result<Self, Error> {
        let width = match shape.task {
            Task::BinaryClassification => 1,
            Task::MulticlassClassification => shape.classes,
            Task::Regression | Task::Anomaly | Task::Clustering => return Err(Error::NoClasses),
        };
        if width == 0 || width > CLASSES_MAX as usize || labels.len().checked_mul(width) != Some(scores.len()) {
            return Err(Error::Scores { scores: scores.len(), labels: labels.len(), width });
        }
        let map = |place: usize| {
            let class = if width == 1 { 1 } else { place };
            let column = scores.iter().skip(place).step_by(width);
            let rows: Vec<(f64, bool)> =
                column.zip(labels).map(|(score, label)| (*score, class_of(*label) == class)).collect();
            ScoreMap::fit(&rows)
        };
        Ok(Self { maps: (0..width).map(map).collect::<Result<_, _>>()? })
    }

    /// Of maps made elsewhere: one, or one per class.
    ///
    /// # Errors
    /// No map, or more than there can be classes.
    pub fn of(maps: Vec<ScoreMap>) -> Result<Self, Error> {
        if maps.is_empty() || maps.len() > CLASSES_MAX as usize {
            return Err(Error::Scores { scores: maps.len(), labels: 0, width: maps.len() });
        }
        Ok(Self { maps })
    }

    /// The maps, in class order; in binary classification that of the positive class.
    #[must_use]
    pub fn maps(&self) -> &[ScoreMap] {
        &self.maps
    }

    /// Writes the class probabilities of a row's score into `out`, in class order. They are equal
    /// where every map says 0.
    #[allow(clippy::cast_precision_loss)]
    pub fn apply(&self, score: &[f64], out: &mut Vec<f64>) {
        out.clear();
        if let [map] = self.maps.as_slice() {
            let positive = map.apply(score.first().copied().unwrap_or(f64::NAN));
            out.extend([1.0 - positive, positive]);
            return;
        }
        let known = |place: usize| score.get(place).copied().unwrap_or(f64::NAN);
        out.extend(self.maps.iter().enumerate().map(|(place, map)| map.apply(known(place))));
        let sum: f64 = out.iter().sum();
        let equal = 1.0 / self.maps.len() as f64;
        for probability in out {
            *probability = if sum > 0.0 { *probability / sum } else { equal };
        }
    }
}
