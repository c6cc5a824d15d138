//! Sizes of a regression's errors in bins: their quantiles, and how many a prediction interval covers.

use crate::interval::{self, Estimate, wilson};
use crate::performance::Performance;
use crate::sparse::Histogram;
use crate::sums::unit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bits of a double below its sign, exponent and the first four bits of its fraction.
const BIN_SHIFT: u32 = 48;

/// Counts of |e| by bin. The bins are the doubles that share their exponent and the first four bits
/// of their fraction, 16 to an octave, so a bin is 3 to 6 % wide and its edges are the same numbers
/// everywhere. A bin holds its upper edge and not its lower one; 0 is in the first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBins(Histogram);

/// Prediction ± half width: the interval that is to hold the labels of a stated share of rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PredictionInterval {
    /// Share of rows whose label it is to hold.
    pub share: f64,
    /// Half of its width, in the label's unit; an upper edge of a bin of [`ErrorBins`].
    pub half_width: f64,
}

fn bin(size: f64) -> u32 {
    let size = if size.is_nan() { f64::INFINITY } else { size.abs() };
    let bits = size.min(f64::MAX).to_bits().saturating_sub(1) >> BIN_SHIFT;
    u32::try_from(bits).unwrap_or(u32::MAX)
}

/// The largest size that is in a bin.
fn upper_edge(bin: u32) -> f64 {
    f64::from_bits((u64::from(bin) + 1) << BIN_SHIFT).min(f64::MAX)
}

impl ErrorBins {
    /// Adds (+1) or takes out (−1) an error. One that is no number is in the last bin.
    pub(crate) fn add(&mut self, error: f64, sign: i64) {
        self.0.add(bin(error), unit(sign));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Errors counted.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.0.total()
    }

    /// Errors that are at most so large; exact where that is an upper edge of a bin, and otherwise
    /// without those of its own bin.
    #[must_use]
    pub fn within(&self, half_width: f64) -> i64 {
        self.0.iter().filter(|(bin, _)| upper_edge(*bin) <= half_width).map(|(_, count)| count).sum()
    }

    /// Upper edge of the bin that holds this quantile of the sizes: at most 6.3 % above it. `None`
    /// without rows, and where corrections have left negative counts.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        if self.0.iter().any(|(_, count)| count < 0) {
            return None;
        }
        let wanted = share * self.rows() as f64;
        let mut seen = 0;
        self.0.iter().find_map(|(bin, count)| {
            seen += count;
            (count > 0 && seen as f64 >= wanted).then(|| upper_edge(bin))
        })
    }
}

impl PredictionInterval {
    /// Split conformal prediction (J. Lei and others, Journal of the American Statistical Association
    /// 113, 2018): the ⌈(n + 1) × share⌉-th smallest of n errors on rows that the model had not seen,
    /// here raised to the upper edge of its bin. That model covers rows that are exchangeable with those
    /// with at least this probability; one that is fitted anew on more rows, about so. `None` with too few errors to have such a one, for a share that is
    /// none, and where so many errors are no numbers.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn conformal(errors: &[f64], share: f64) -> Option<Self> {
        if !(share > 0.0 && share < 1.0) {
            return None;
        }
        let rank = ((errors.len() as f64 + 1.0) * share).ceil() as usize;
        let mut sizes: Vec<f64> = errors.iter().map(|e| if e.is_nan() { f64::INFINITY } else { e.abs() }).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        let size = sizes.get(rank.checked_sub(1)?).filter(|size| size.is_finite())?;
        Some(Self { share, half_width: upper_edge(bin(*size)) })
    }

    /// Whether its numbers can be those of an interval.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.share > 0.0 && self.share < 1.0 && self.half_width > 0.0 && self.half_width.is_finite()
    }
}

/// Labels that prediction intervals held, over versions that each have their own.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Coverage {
    rows: i64,
    within: i64,
    width: f64,
    /// Some rows have no interval, or their errors were not counted: a part is not the whole.
    is_partial: bool,
}

impl Coverage {
    /// Adds labelled rows of a version, with the interval around its predictions if it has one.
    #[allow(clippy::cast_precision_loss)]
    pub fn add(&mut self, labelled: &Performance, interval: Option<&PredictionInterval>) {
        let errors = labelled.errors().filter(|errors| errors.rows() == labelled.rows());
        let (Some(errors), Some(interval)) = (errors, interval) else {
            self.is_partial |= !labelled.is_empty();
            return;
        };
        self.rows = self.rows.saturating_add(errors.rows());
        self.within = self.within.saturating_add(errors.within(interval.half_width));
        self.width += 2.0 * interval.half_width * errors.rows() as f64;
    }

    /// `interval_coverage`, the share of the labels that were held with Wilson's interval, and
    /// `interval_width`, the mean width in the label's unit. Empty unless all rows have both.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn metrics(&self) -> BTreeMap<String, Estimate> {
        let mean_width = Some(self.width / self.rows as f64).filter(|width| width.is_finite()).map(Estimate::bare);
        let known = [("interval_coverage", wilson(self.within, self.rows)), ("interval_width", mean_width)];
        interval::named(known.into_iter().filter(|_| self.rows > 0 && !self.is_partial).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Coverage, ErrorBins, PredictionInterval, bin, upper_edge};
    use crate::{Performance, Shape};
    use domain::Task;

    fn bins(errors: impl IntoIterator<Item = f64>) -> ErrorBins {
        let mut bins = ErrorBins::default();
        errors.into_iter().for_each(|error| bins.add(error, 1));
        bins
    }

    #[test]
    fn every_size_is_in_a_bin_that_is_at_most_a_sixteenth_wide() {
        for size in [f64::MIN_POSITIVE, 1e-300, 0.1, 1.0, 1.0 + f64::EPSILON, 1.5, 2.0, 47.0, 1e9, f64::MAX] {
            let upper = upper_edge(bin(size));
            assert!(size <= upper && upper <= size * (17.0 / 16.0), "{size} in a bin up to {upper}");
            assert_eq!(bin(size), bin(-size), "{size}");
        }
        assert_eq!(bin(1.0), bin(1.0_f64.next_down()), "a bin holds its upper edge");
        assert_ne!(bin(1.0), bin(1.0_f64.next_up()));
        assert_eq!(bin(0.0), 0);
        assert_eq!(bin(f64::NAN), bin(f64::INFINITY));
    }

    #[test]
    fn what_an_interval_covers_is_counted_exactly_and_subtracts() {
        // Integers up to 32 are upper edges of bins.
        let mut found = bins((1..=30).map(f64::from));
        for half_width in 1..=30 {
            assert_eq!(found.within(f64::from(half_width)), i64::from(half_width));
        }
        let before = found.clone();
        found.add(1e6, 1);
        assert_eq!((found.rows(), found.within(1e5)), (31, 30));
        found.add(1e6, -1);
        assert_eq!(found, before);
        assert_eq!(found.quantile(0.5), Some(15.0));
        assert_eq!(found.quantile(1.0), Some(30.0));
        assert_eq!(ErrorBins::default().quantile(0.5), None);
        found.add(3.0, -1);
        found.add(3.0, -1);
        assert_eq!(found.quantile(0.5), None, "an incomplete window has no quantiles");
    }

    /// Of 9 errors the 9th smallest is the one for a share of 0.9: ⌈10 × 0.9⌉ = 9; 8 have none.
    #[test]
    fn a_conformal_interval_has_the_rank_of_the_finite_sample() {
        let errors = [3.0, -1.0, 2.0, -9.0, 4.0, 8.0, -5.0, 7.0, 6.0];
        let half_width = |errors: &[f64], share| PredictionInterval::conformal(errors, share).map(|i| i.half_width);
        assert_eq!(half_width(&errors, 0.9), Some(9.0));
        assert_eq!(half_width(&errors, 0.8), Some(8.0));
        assert_eq!(half_width(&errors, 0.5), Some(5.0));
        for (errors, share) in [(&errors[..8], 0.9), (&errors, 1.0), (&errors, f64::NAN), (&[], 0.5)] {
            assert_eq!(half_width(errors, share), None, "{} errors, share {share}", errors.len());
        }
        assert_eq!(half_width(&[f64::NAN, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(half_width(&[f64::NAN, f64::NAN, 2.0], 0.5), None);
    }

    #[test]
    fn versions_with_their_own_intervals_share_a_coverage() {
        let interval = |half_width| PredictionInterval { share: 0.9, half_width };
        let mut coverage = Coverage::default();
        let number = Shape { task: Task::Regression, classes: 0 };
        let labelled = |mut performance: Performance, errors: &[f64]| {
            errors.iter().for_each(|error| performance.add(&[*error], 0.0, 1));
            performance
        };
        let binned = |errors| labelled(Performance::empty_binned(number), errors);
        assert!(coverage.metrics().is_empty());
        coverage.add(&binned(&[1.0, 2.0, 3.0]), Some(&interval(2.0)));
        coverage.add(&binned(&[10.0]), Some(&interval(16.0)));
        coverage.add(&binned(&[]), None);
        let found = coverage.metrics();
        assert_eq!(found["interval_coverage"].value, 0.75);
        assert_eq!(found["interval_width"].value, (3.0 * 4.0 + 32.0) / 4.0);
        // Rows without an interval, and rows whose errors were not counted.
        let old = labelled(Performance::empty(number), &[1.0]);
        for (part, interval) in [(binned(&[1.0]), None), (old, Some(interval(2.0)))] {
            let mut partial = coverage;
            partial.add(&part, interval.as_ref());
            assert!(partial.metrics().is_empty());
        }
    }
}
