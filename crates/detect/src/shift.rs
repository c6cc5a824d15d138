//! Shift of columns over time, within a stated budget of false alarms.
//!
//! A test repeated for every column and slice is an alarm clock, and undrifted data wanders: it has
//! days and seasons, and rows of a slice resemble each other. [`Shift`] keeps a budget of A false
//! alarms in a period of N slices by three controls together:
//!
//! 1. **Wander.** The reference is cut into its slices, in the order of time, and each is compared
//!    with the rest. By how much these differ beyond sampling is the column's [`Wander`], measured
//!    for single slices and for runs of 4, 16 and 64, and widened by what so few and so correlated
//!    slices leave unknown. The null is then G = (1 + wander × size) × chi-square(1) +
//!    chi-square(bins − 2), all wander being in one direction, which gives the heaviest tail.
//! 2. **Columns.** Within a look the p values go through Benjamini and Hochberg's procedure.
//! 3. **Time.** Runs of each length are looked at once, when full, and never again; a look at runs
//!    of s slices has level A × s / (N × lengths). So small lasting shifts are found by long runs
//!    with the full power of their merged counts, and large ones at once.
//!
//! **Guarantee**: if each p value is at most uniform, false alarms in N slices number at most A in
//! expectation. That sums the levels of all looks: however looks, hours and lengths depend on one
//! another in time, it holds, and nothing is multiplied up from slice to slice. **Premises**: the
//! reference has seen the wander (a season longer than the reference counts as drift, and is one
//! against it), and columns depend on one another positively at most (otherwise Benjamini and
//! Hochberg lose the factor Σ 1/i of Benjamini and Yekutieli, Annals of Statistics 29, 2001).
//! Columns together ([`crate::joint`]) are one more of them.
//! Why not an e-detector as in [`crate::harm`]: it multiplies evidence of successive slices, which
//! is sound only if the mean *given the past* is tolerated, and a wandering column breaks that.

use crate::chi_square::{survival, upper_quantile};
use crate::correction::benjamini_hochberg;
use crate::distance::{self, total};
use crate::drift::merged;
use crate::joint::{self, Joint};
use profile::{Kernel, MeanVector};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Lengths of the runs that are looked at, in slices.
pub const LENGTHS: [u64; 4] = [1, 4, 16, 64];
/// Runs of a length that the reference must hold before that length is looked at.
pub const RUNS_MIN: usize = 16;
/// A look's level is never above this, however generous the budget.
const LEVEL_MAX: f64 = 0.05;
/// One-sided 95 % quantile of the normal distribution: how far wander is widened.
const Z_UPPER: f64 = 1.645;
/// Simpson intervals of the null's convolution.
const INTERVALS: u32 = 64;

/// By how much undrifted runs of a column differ from its reference beyond sampling, in units of
/// the population stability index, per length of [`LENGTHS`]; `None` where it is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Wander {
    per_length: [Option<f64>; LENGTHS.len()],
}

/// Difference of two histograms beyond chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Gap {
    /// Likelihood ratio statistic G of the merged bins: about chi-square, and with few rows in a bin
    /// far out in the tail much more so than PSI or Pearson's.
    pub(crate) g: f64,
    pub(crate) degrees: f64,
    /// n m / (n + m).
    pub(crate) size: f64,
}

fn gap(reference: &[u64], current: &[u64]) -> Option<Gap> {
    let (old, new) = merged(reference, current);
    let (m, n) = (total(&old), total(&new));
    if old.len() < 2 || m == 0.0 || n == 0.0 {
        return None;
    }
    let part = |count: f64, expected: f64| if count > 0.0 { count * libm::log(count / expected) } else { 0.0 };
    let terms = old.iter().zip(&new).map(|(r, c)| {
        let (r, c) = (*r as f64, *c as f64);
        part(r, (r + c) * (m / (m + n))) + part(c, (r + c) * (n / (m + n)))
    });
    Some(Gap { g: (2.0 * terms.sum::<f64>()).max(0.0), degrees: (old.len() - 1) as f64, size: n / (n + m) * m })
}

impl Wander {
    /// Measures it on the slices of the reference, in the order of time: counts of one column, bin
    /// by bin. Lengths of which the reference holds less than [`RUNS_MIN`] runs stay unknown.
    #[must_use]
    pub fn measure(slices: &[Vec<u64>]) -> Self {
        let all = sum(slices.iter());
        Self::of_gaps(|length| {
            let runs = slices.chunks_exact(length).map(|run| sum(run.iter()));
            runs.filter_map(|run| gap(&less(&all, &run), &run)).collect()
        })
    }

    /// From the gaps of runs of each length, in the order of time.
    pub(crate) fn of_gaps(gaps: impl Fn(usize) -> Vec<Gap>) -> Self {
        let per_length = LENGTHS.map(|length| {
            let gaps = gaps(usize::try_from(length).unwrap_or(usize::MAX));
            (gaps.len() >= RUNS_MIN).then(|| widened(&gaps))
        });
        Self { per_length }
    }

    /// Wander of runs of the length with this number in [`LENGTHS`].
    #[must_use]
    pub fn of_length(&self, number: usize) -> Option<f64> {
        self.per_length.get(number).copied().flatten()
    }
}

/// Upper bound of the wander: the larger of its estimates from mean and variance of G, over the
/// lower 5 % quantile of such an estimate from so many independent runs, plus what sampling hides.
fn widened(gaps: &[Gap]) -> f64 {
    let count = gaps.len() as f64;
    let mean = |of: &dyn Fn(&Gap) -> f64| gaps.iter().map(of).sum::<f64>() / count;
    let excess = |gap: &Gap| (gap.g - gap.degrees) / gap.size;
    let centre = mean(&excess);
    let variance = mean(&|gap: &Gap| (excess(gap) - centre) * (excess(gap) - centre));
    let sampling = mean(&|gap: &Gap| 2.0 * gap.degrees / (gap.size * gap.size));
    let size = mean(&|gap: &Gap| gap.size);
    let wander = centre.max(0.0);
    // A scaled chi-square variable of one degree of freedom has variance 2 × its mean squared.
    let beyond = (variance - sampling - 4.0 * wander / size).max(0.0);
    let wander = wander.max((beyond / 2.0).sqrt());
    let following = gaps.iter().zip(gaps.iter().skip(1));
    let covariance = following.map(|(a, b)| (excess(a) - centre) * (excess(b) - centre)).sum::<f64>() / count;
    let correlation = if variance > 0.0 { (covariance / variance).clamp(0.0, 0.95) } else { 0.0 };
    let independent = (count * (1.0 - correlation) / (1.0 + correlation)).max(2.0);
    let hidden = Z_UPPER * (sampling / count).sqrt();
    wander * independent / upper_quantile(0.95, independent, 0.0) + hidden
}

fn sum<'a>(slices: impl Iterator<Item = &'a Vec<u64>>) -> Vec<u64> {
    let mut all = Vec::new();
    slices.for_each(|slice| add(&mut all, slice));
    all
}

fn add(all: &mut Vec<u64>, more: &[u64]) {
    if all.len() < more.len() {
        all.resize(more.len(), 0);
    }
    for (count, more) in all.iter_mut().zip(more) {
        *count = count.saturating_add(*more);
    }
}

fn less(all: &[u64], part: &[u64]) -> Vec<u64> {
    let part = part.iter().copied().chain(std::iter::repeat(0));
    all.iter().zip(part).map(|(count, less)| count.saturating_sub(less)).collect()
}

/// P((1 + wander × size) × chi-square(1) + chi-square(degrees − 1) > G), the tolerated shift being a
/// non-centrality of the latter; by Simpson's rule over the normal variable whose square is the
/// former.
pub(crate) fn p_value(gap: Gap, wander: f64, tolerance: f64) -> f64 {
    let Gap { g, degrees, size } = gap;
    let scale = 1.0 + wander.max(0.0) * size;
    let lambda = tolerance.max(0.0) * size;
    if scale <= 1.0 + 1e-9 {
        return survival(g, degrees, lambda);
    }
    if degrees < 1.5 {
        return survival(g / scale, 1.0, lambda / scale);
    }
    let end = (g / scale).sqrt();
    let step = end / f64::from(INTERVALS);
    let value = |i: u32| {
        let z = step * f64::from(i);
        libm::exp(-z * z / 2.0) * survival(g - scale * z * z, degrees - 1.0, lambda)
    };
    let weighted = (0..=INTERVALS).map(|i| match i {
        0 | INTERVALS => value(i),
        i if i % 2 == 1 => 4.0 * value(i),
        i => 2.0 * value(i),
    });
    let inside = weighted.sum::<f64>() * step / 3.0 * (2.0 / std::f64::consts::PI).sqrt();
    (inside + libm::erfc(end / std::f64::consts::SQRT_2)).clamp(0.0, 1.0)
}

/// A column that has shifted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shifted {
    /// Its number; that of all columns together is one past the last.
    pub column: usize,
    /// Slices of the run that shows it; its last is the one just fed.
    pub slices: u64,
    /// Population stability index of the run; of columns together the squared maximum mean discrepancy.
    pub distance: f64,
    /// Distance at which a run like this just counts as shifted; of an index the found one times the
    /// critical G over the found G.
    pub threshold: f64,
    /// P(a gap like this, if the column only wanders as the reference does and shifts by the
    /// tolerance).
    pub p_value: f64,
}

/// Runs of one length that are being filled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Run {
    slices: u64,
    columns: Vec<Vec<u64>>,
}

/// Watches all columns of a version. Its memory is four histograms per column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    wander: Vec<Wander>,
    tolerance: f64,
    /// Alarms that one slice may cost, per length.
    alarms_per_slice: f64,
    runs: [Run; LENGTHS.len()],
}

impl Shift {
    /// Watches columns with this wander: at most `alarms` false ones in `period_slices`, for shifts
    /// beyond `tolerance` (a population stability index; 0 asks for any). Lengths whose wander is
    /// not known of any column are not looked at, and leave their share of the budget to the rest;
    /// without any known there is no alarm.
    #[must_use]
    pub fn new(wander: Vec<Wander>, alarms: f64, period_slices: f64, tolerance: f64) -> Self {
        Self::with_joint(wander, None, (alarms, period_slices), tolerance)
    }

    /// The same, where all columns together are one more.
    #[must_use]
    pub fn with_joint(
        wander: Vec<Wander>,
        joint: Option<&Wander>,
        (alarms, period_slices): (f64, f64),
        tolerance: f64,
    ) -> Self {
        let is_known = |number: &usize| wander.iter().chain(joint).any(|column| column.of_length(*number).is_some());
        let lengths = (0..LENGTHS.len()).filter(is_known).count().max(1) as f64;
        let alarms_per_slice = alarms.max(0.0) / (period_slices.max(1.0) * lengths);
        Self { wander, tolerance, alarms_per_slice, runs: std::array::from_fn(|_| Run::default()) }
    }

    /// Feeds one closed slice, in slice order, once: counts per column, beside those of the
    /// reference. What is returned has shifted; a column may stand there for more than one length.
    pub fn step(&mut self, reference: &[Vec<u64>], slice: &[Vec<u64>]) -> Vec<Shifted> {
        self.step_with(reference, slice, None)
    }

    /// The same with all columns together as one more, of whose wander [`Shift::with_joint`] was told: the
    /// slice's sum, and the runs it belongs to, which must have begun with these.
    pub fn step_with(
        &mut self,
        reference: &[Vec<u64>],
        slice: &[Vec<u64>],
        together: Option<(&Kernel, &MeanVector, &mut Joint)>,
    ) -> Vec<Shifted> {
        let mut found = Vec::new();
        let mut together = together.map(|(kernel, slice, joint)| {
            joint.add(slice);
            (kernel, joint)
        });
        for (number, length) in LENGTHS.into_iter().enumerate() {
            let Some(run) = self.runs.get_mut(number) else { continue };
            run.columns.resize_with(slice.len().max(run.columns.len()), Vec::new);
            run.columns.iter_mut().zip(slice).for_each(|(all, more)| add(all, more));
            run.slices += 1;
            if run.slices >= length {
                let full = std::mem::take(run);
                let level = (self.alarms_per_slice * length as f64).min(LEVEL_MAX);
                let joint = together.as_mut().and_then(|(kernel, joint)| joint.take(kernel, number));
                found.extend(self.look(reference, &full.columns, joint, (number, level)));
            }
        }
        found
    }

    /// Columns of a full run that are beyond chance at this level.
    fn look(
        &self,
        reference: &[Vec<u64>],
        run: &[Vec<u64>],
        joint: Option<joint::Run>,
        (number, level): (usize, f64),
    ) -> Vec<Shifted> {
        let mut columns: Vec<Option<(Gap, f64, f64)>> = self
            .wander
            .iter()
            .zip(reference)
            .zip(run)
            .map(|((wander, old), new)| Some((gap(old, new)?, wander.of_length(number)?, self.tolerance)))
            .collect();
        // Known to exist even where it says nothing: the correction is for the same number each time.
        columns.extend(joint.map(|run| Some((run.gap?, run.wander?, run.tolerance))));
        let p_value = |known: &Option<_>| known.map_or(1.0, |(gap, wander, tolerance)| p_value(gap, wander, tolerance));
        let p_values: Vec<f64> = columns.iter().map(p_value).collect();
        let rejected = benjamini_hochberg(&p_values, level);
        let shifted = rejected.iter().filter(|is_shifted| **is_shifted).count();
        // What the last rejected p value is compared with.
        let critical = level * shifted as f64 / p_values.len().max(1) as f64;
        let slices = LENGTHS.get(number).copied().unwrap_or(1);
        let found = columns.into_iter().zip(p_values).zip(rejected).enumerate();
        found
            .filter(|(_, (_, is_shifted))| *is_shifted)
            .filter_map(|(column, ((known, p_value), _))| {
                let (gap, wander, tolerance) = known?;
                let critical = critical_g(gap, wander, tolerance, critical);
                let (distance, threshold) = match joint.filter(|_| column == self.wander.len()) {
                    Some(run) => {
                        (run.null.squared_discrepancy(gap.g, &gap), run.null.squared_discrepancy(critical, &gap))
                    }
                    None => {
                        let psi = distance::psi(reference.get(column)?, run.get(column)?);
                        (psi, psi * (critical / gap.g).clamp(0.0, 1.0))
                    }
                };
                Some(Shifted { column, slices, distance, threshold, p_value })
            })
            .collect()
    }
}

/// Steps of the search in [`critical_g`]: the threshold is told to people, nothing is decided by it.
const STEPS: u32 = 16;

/// The G whose p value is `level`, below the found one whose p value is less: by halving.
fn critical_g(gap: Gap, wander: f64, tolerance: f64, level: f64) -> f64 {
    let (mut below, mut above) = (0.0, gap.g);
    for _ in 0..STEPS {
        let middle = (below + above) / 2.0;
        if p_value(Gap { g: middle, ..gap }, wander, tolerance) > level {
            below = middle;
        } else {
            above = middle;
        }
    }
    above
}

/// Wander of every column of a reference, as a bundle carries it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanders {
    /// Length of the slices that it was measured on, in milliseconds: of slices of another length
    /// it says nothing.
    pub slice_ms: i64,
    /// One per column, in the order of the reference.
    pub columns: Vec<Wander>,
    /// The same within each segment that is watched on its own, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub segments: BTreeMap<String, Vec<Wander>>,
    /// Of all columns together, where the bundle has a kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joint: Option<Wander>,
}

impl Wanders {
    /// Whether it can belong to a reference of so many columns, and every number in it is one that
    /// [`Wander::measure`] can give.
    #[must_use]
    pub fn fits(&self, columns: usize) -> bool {
        let is_sound = |wander: &Wander| wander.per_length.iter().flatten().all(|w| w.is_finite() && *w >= 0.0);
        let mut all = self.segments.values().chain([&self.columns]);
        self.slice_ms > 0
            && all.all(|of| of.len() == columns && of.iter().all(is_sound))
            && self.joint.iter().all(is_sound)
    }
}

#[cfg(test)]
#[path = "shift_tests.rs"]
mod tests;
