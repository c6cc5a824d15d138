//! Isotonic regression: the non-decreasing map from score to probability that fits labels best.

use crate::error::Error;
use serde::{Deserialize, Serialize};

/// Most points of a map: a bundle's calibration is read from outside.
pub const POINTS_MAX: usize = 65_536;

/// A non-decreasing map from score to probability: straight between its points, constant beyond
/// them (scikit-learn's `IsotonicRegression` with `out_of_bounds="clip"`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Points", into = "Points")]
pub struct Isotonic {
    scores: Vec<f64>,
    probabilities: Vec<f64>,
}

/// The serialised form of [`Isotonic`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Points {
    scores: Vec<f64>,
    probabilities: Vec<f64>,
}

impl From<Isotonic> for Points {
    fn from(map: Isotonic) -> Self {
        Self { scores: map.scores, probabilities: map.probabilities }
    }
}

impl TryFrom<Points> for Isotonic {
    type Error = Error;

    fn try_from(points: Points) -> Result<Self, Error> {
        let Points { scores, probabilities } = points;
        if scores.is_empty() || scores.len() > POINTS_MAX || scores.len() != probabilities.len() {
            return Err(Error::MapLength { scores: scores.len(), probabilities: probabilities.len() });
        }
        let rises = scores.iter().zip(scores.iter().skip(1)).all(|(a, b)| a < b);
        let never_falls = probabilities.iter().zip(probabilities.iter().skip(1)).all(|(a, b)| a <= b);
        let is_finite = scores.iter().all(|score| score.is_finite());
        if !rises || !never_falls || !is_finite || !probabilities.iter().all(|p| (0.0..=1.0).contains(p)) {
            return Err(Error::MapShape);
        }
        Ok(Self { scores, probabilities })
    }
}

/// Scores that are fitted to one probability.
#[derive(Debug, Clone, Copy)]
struct Block {
    first: f64,
    last: f64,
    positives: u64,
    rows: u64,
}

impl Block {
    /// Whether this block's rate is at least the next one's. Exact in integers, so that equal
    /// counts make equal maps on every host.
    fn is_not_below(&self, next: &Self) -> bool {
        u128::from(self.positives) * u128::from(next.rows) >= u128::from(next.positives) * u128::from(self.rows)
    }

    fn join(&mut self, next: &Self) {
        self.last = next.last;
        self.positives += next.positives;
        self.rows += next.rows;
    }
}

impl Isotonic {
    /// Fits scores and labels by pooling adjacent violators (M. Ayer and others, Annals of
    /// Mathematical Statistics 26, 1955): blocks of falling rates are joined until rates rise.
    ///
    /// # Errors
    /// No rows, a score that is no finite number, or more than [`POINTS_MAX`] points.
    pub fn fit(rows: &[(f64, bool)]) -> Result<Self, Error> {
        if let Some(row) = rows.iter().position(|row| !row.0.is_finite()) {
            return Err(Error::Score { row });
        }
        let mut sorted = rows.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self::fit_sorted(sorted.into_iter())
    }

    /// The same of finite scores in rising order.
    pub(super) fn fit_sorted(rows: impl Iterator<Item = (f64, bool)>) -> Result<Self, Error> {
        let mut blocks: Vec<Block> = Vec::new();
        for (score, positive) in rows {
            let row = Block { first: score, last: score, positives: u64::from(positive), rows: 1 };
            match blocks.last_mut() {
                // Equal scores have one probability, whatever their labels.
                Some(block) if block.last >= score => block.join(&row),
                _ => {
                    settle(&mut blocks);
                    blocks.push(row);
                }
            }
        }
        settle(&mut blocks);
        let (mut scores, mut probabilities) = (Vec::new(), Vec::new());
        for block in &blocks {
            #[allow(clippy::cast_precision_loss)]
            let rate = block.positives as f64 / block.rows as f64;
            scores.push(block.first);
            probabilities.push(rate);
            if block.last > block.first {
                scores.push(block.last);
                probabilities.push(rate);
            }
        }
        Self::try_from(Points { scores, probabilities })
    }

    /// Probability of a score; one that is no number counts as the lowest.
    #[must_use]
    pub fn apply(&self, score: f64) -> f64 {
        let above = self.scores.partition_point(|point| *point <= score);
        let point = |place: usize| Some((*self.scores.get(place)?, *self.probabilities.get(place)?));
        match (above.checked_sub(1).and_then(point), point(above)) {
            (Some((x0, y0)), Some((x1, y1))) => (y0 + (y1 - y0) / (x1 - x0) * (score - x0)).clamp(y0, y1),
            (Some((_, y)), None) | (None, Some((_, y))) => y,
            (None, None) => 0.0,
        }
    }
}

/// Joins the last blocks while their rates do not rise.
fn settle(blocks: &mut Vec<Block>) {
    while let [.., before, last] = blocks.as_mut_slice() {
        if !before.is_not_below(last) {
            return;
        }
        let last = *last;
        before.join(&last);
        blocks.pop();
    }
}

#[cfg(test)]
#[path = "isotonic_tests.rs"]
mod tests;
