//! All columns of a reference at once: the maximum mean discrepancy of a kernel, with a null.
//!
//! A relation between columns may change while each keeps its histogram. The squared distance of the mean
//! vectors ([`profile::kernel`]) of two samples sees that. Of n undrifted rows against m it is distributed
//! as (1/n + 1/m) Σ λ z², z normal and λ the eigenvalues of the covariance of a row's vector (Gretton et
//! al., JMLR 13, 2012, theorem 12). A chi-square variable with the same mean and variance whose unit is the
//! largest λ stands for that: far out its tail falls as the true one's, and it is never less skewed. So the
//! columns together are one more gap beside those of single columns, with its own wander, and
//! [`crate::shift`] tests them all within one budget.

use crate::chi_square::upper_quantile;
use crate::drift::LEVEL;
use crate::shift::{Gap, LENGTHS, Wander, p_value};
use profile::{Kernel, MeanVector, kernel::Spread};
use serde::{Deserialize, Serialize};

/// Rows before a distance is about chi-square: means of fewer are not normal.
const ROWS_MIN: u64 = 100;

/// Null of a distance: what turns it into a gap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Null {
    /// A unit of the chi-square variable, as a squared distance times rows.
    scale: f64,
    degrees: f64,
    /// Mean of a squared distance times rows.
    mean: f64,
}

impl Null {
    fn of(kernel: &Kernel) -> Self {
        let Spread { sum, squares, largest } = kernel.spread;
        Self { scale: largest, degrees: squares / (largest * largest), mean: sum }
    }

    /// The squared discrepancy, free of what chance adds, at which a gap of this size is G.
    pub(crate) fn squared_discrepancy(&self, g: f64, gap: &Gap) -> f64 {
        (g - self.degrees) * self.scale / gap.size
    }
}

/// How far a run lies from the reference, beyond chance or not. `None` where one of both has fewer rows than
/// [`ROWS_MIN`].
fn gap(kernel: &Kernel, reference: &MeanVector, run: &MeanVector) -> Option<Gap> {
    let (m, n) = (reference.rows() as f64, run.rows() as f64);
    if reference.rows().min(run.rows()) < ROWS_MIN {
        return None;
    }
    let null = Null::of(kernel);
    let squared = reference.product(reference) + run.product(run) - 2.0 * reference.product(run);
    let size = n / (n + m) * m;
    let g = (squared * size - null.mean) / null.scale + null.degrees;
    Some(Gap { g: g.max(0.0), degrees: null.degrees, size })
}

/// How the slices of a reference wandered together; see [`Wander::measure`].
#[must_use]
pub fn wander(kernel: &Kernel, slices: &[MeanVector]) -> Wander {
    let sum = |slices: &[MeanVector]| {
        let mut sum = MeanVector::default();
        slices.iter().for_each(|slice| sum.merge(slice));
        sum
    };
    let all = sum(slices);
    Wander::of_gaps(|length| {
        let runs = slices.chunks_exact(length).map(sum);
        let gaps = runs.filter_map(|run| {
            let mut rest = all.clone();
            rest.subtract(&run);
            gap(kernel, &rest, &run)
        });
        gaps.collect()
    })
}

/// One window against the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// Squared maximum mean discrepancy, free of what chance adds: about 0, and below it half of the time,
    /// where nothing differs; at most 2.
    pub squared_discrepancy: f64,
    /// What is exceeded with 5 % if the true one is the tolerance.
    pub threshold: f64,
    /// P(at least this, if the true one is the tolerance).
    pub p_value: f64,
}

/// Compares one window, by sampling and tolerance alone. The tolerance is a non-centrality per row: the squared
/// discrepancy in units of the largest variance of a row's vector, as a population stability index is about
/// that of one column.
#[must_use]
pub fn compare(kernel: &Kernel, window: &MeanVector, tolerance: f64) -> Option<Compared> {
    let (gap, null) = (gap(kernel, &kernel.reference, window)?, Null::of(kernel));
    let critical = upper_quantile(LEVEL, gap.degrees, tolerance.max(0.0) * gap.size);
    Some(Compared {
        squared_discrepancy: null.squared_discrepancy(gap.g, &gap),
        threshold: null.squared_discrepancy(critical, &gap),
        p_value: p_value(gap, 0.0, tolerance),
    })
}

/// How columns together are watched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// How they wander.
    pub wander: Wander,
    /// What is still no shift, see [`compare`].
    pub tolerance: f64,
}

/// Runs of slices that are being filled, of all columns together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Joint {
    watched: Watched,
    runs: [MeanVector; LENGTHS.len()],
}

/// A full run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) gap: Option<Gap>,
    pub(crate) wander: Option<f64>,
    pub(crate) tolerance: f64,
    pub(crate) null: Null,
}

impl Joint {
    /// Runs without slices.
    #[must_use]
    pub fn new(watched: Watched) -> Self {
        Self { watched, runs: std::array::from_fn(|_| MeanVector::default()) }
    }

    pub(crate) fn add(&mut self, slice: &MeanVector) {
        self.runs.iter_mut().for_each(|run| run.merge(slice));
    }

    /// The run of the length with this number, which begins anew.
    pub(crate) fn take(&mut self, kernel: &Kernel, number: usize) -> Option<Run> {
        let full = std::mem::take(self.runs.get_mut(number)?);
        let gap = gap(kernel, &kernel.reference, &full);
        let Watched { wander, tolerance } = self.watched;
        Some(Run { gap, wander: wander.of_length(number), tolerance, null: Null::of(kernel) })
    }
}

#[cfg(test)]
#[path = "joint_tests.rs"]
mod tests;
