//! What labelled rows of one slice, phase and segment add up to.

use crate::bets::{HarmSums, PairSums};
use crate::loss::{Shape, loss};
use crate::performance::Performance;
use domain::{Harm, Task};
use serde::{Deserialize, Serialize};

/// One labelled row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Score of the version whose prediction was published: P(positive class), the probabilities
    /// in class order, or the number.
    pub served: &'a [f64],
    /// Score of the first champion, where it is a shadow.
    pub frozen: Option<&'a [f64]>,
    /// Score of the replaced champion, during probation.
    pub previous: Option<&'a [f64]>,
    /// The label, as in `records::tracking::LabelBatch`.
    pub label: f64,
    /// The last label known before the row.
    pub last_label: Option<f64>,
    /// Bets of the served version's harm monitor.
    pub harm: Option<&'a Harm>,
}

/// Sums over labelled rows: performance of the served version and of two baselines on the same
/// rows, and the sums of the sequential tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    shape: Shape,
    /// The version whose predictions were published.
    pub served: Performance,
    /// The first champion; only rows that it scored.
    pub frozen: Performance,
    /// Repeating the last known label; only rows that had one.
    pub last_label: Performance,
    /// The harm monitor's sums.
    pub harm: HarmSums,
    /// Served version against the replaced one.
    pub pair: PairSums,
}

impl Cell {
    /// No rows.
    #[must_use]
    pub fn empty(shape: Shape) -> Self {
        Self {
            shape,
            served: Performance::empty_binned(shape),
            frozen: Performance::empty(shape),
            last_label: Performance::empty(shape),
            harm: HarmSums::default(),
            pair: PairSums::default(),
        }
    }

    /// What the cell is about.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Adds (sign 1) or takes out (sign −1) a row. Taking out what was added leaves the very same
    /// cell, bytes included.
    ///
    /// In regression a row without harm bets has no scale, hence no bounded loss: it is in no sum
    /// of the sequential tests.
    pub fn add(&mut self, row: &Row<'_>, sign: i64) {
        self.served.add(row.served, row.label, sign);
        if let Some(frozen) = row.frozen {
            self.frozen.add(frozen, row.label, sign);
        }
        if let Some(last) = row.last_label {
            self.last_label.add_label(last, row.label, sign);
        }
        let scale = match row.harm {
            Some(harm) => harm.scale,
            None if self.shape.task == Task::Regression => return,
            None => 1.0,
        };
        let served = loss(self.shape, row.served, row.label, scale);
        self.harm.add(served, row.harm, sign);
        if let Some(previous) = row.previous {
            self.pair.add(served - loss(self.shape, previous, row.label, scale), sign);
        }
    }

    /// The same rows without the sums of the sequential tests.
    #[must_use]
    pub fn without_tests(mut self) -> Self {
        (self.harm, self.pair) = Default::default();
        self
    }

    /// Adds the other's sums; those of another shape are left out.
    pub fn merge(&mut self, other: &Self) {
        if self.shape != other.shape {
            return;
        }
        self.served.merge(&other.served);
        self.frozen.merge(&other.frozen);
        self.last_label.merge(&other.last_label);
        self.harm.merge(&other.harm);
        self.pair.merge(&other.pair);
    }

    /// Whether every sum is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.served.is_empty()
            && self.frozen.is_empty()
            && self.last_label.is_empty()
            && self.harm.is_empty()
            && self.pair.is_empty()
    }
}

#[cfg(test)]
#[path = "cell_tests.rs"]
mod tests;
