//! Sums of an anomaly detector: what it says of rows that nobody labels.

use crate::binary::SCORE_BINS;
use crate::calibration_error::bin_of;
use crate::interval::{self, Estimate};
use crate::sparse::Histogram;
use crate::sums::{Moments, unit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sums of an anomaly detector. A score of at least 0.5 is an anomaly.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Rows whose score is at least 0.5.
    anomalies: i64,
    score: Moments,
    /// Rows by bin of the score.
    scores: Histogram,
}

impl Anomaly {
    /// Adds (+1) or takes out (−1) a row. A score that is no number counts as the strangest.
    pub(crate) fn add(&mut self, score: f64, sign: i64) {
        let score = if score.is_nan() { 1.0 } else { score.clamp(0.0, 1.0) };
        self.anomalies = self.anomalies.saturating_add(if score >= 0.5 { unit(sign) } else { 0 });
        self.score.add(score, sign);
        self.scores.add(bin_of(score, SCORE_BINS), unit(sign));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.anomalies = self.anomalies.saturating_add(other.anomalies);
        self.score.merge(&other.score);
        self.scores.merge(&other.scores);
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.scores.total()
    }

    /// The least edge of a bin below which this share of the rows lies: too large by 1/256 at most. `None`
    /// without rows.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = share * self.rows().max(0) as f64;
        let mut below = 0_i64;
        let bins = self.scores.iter().filter(|(_, rows)| *rows > 0);
        let mut found = None;
        for (bin, rows) in bins {
            below = below.saturating_add(rows);
            found = Some(f64::from(bin + 1) / f64::from(SCORE_BINS));
            if below as f64 >= wanted {
                break;
            }
        }
        found
    }

    pub(crate) fn mean_loss(&self) -> Option<f64> {
        interval::wilson(self.anomalies, self.rows()).map(|rate| rate.value)
    }

    fn mean(&self) -> Option<Estimate> {
        interval::mean(self.rows(), self.score.sum.to_f64(), self.score.squares.to_f64())
    }

    pub(crate) fn metrics(&self) -> BTreeMap<String, Estimate> {
        let quantile = |share| self.quantile(share).map(Estimate::bare);
        interval::named(vec![
            ("alert_rate", interval::wilson(self.anomalies, self.rows())),
            ("score_mean", self.mean()),
            ("score_p50", quantile(0.5)),
            ("score_p90", quantile(0.9)),
            ("score_p99", quantile(0.99)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::Anomaly;

    #[test]
    fn rates_means_and_quantiles_are_those_of_the_rows() {
        let scores: Vec<f64> = (0..1_000).map(|i| f64::from(i) / 1_000.0).collect();
        let mut sums = Anomaly::default();
        scores.iter().for_each(|score| sums.add(*score, 1));
        sums.add(f64::NAN, 1);
        sums.add(f64::NAN, -1);
        let found = sums.metrics();
        // Wilson's formula for 500 in 1,000 in another language.
        let rate = found["alert_rate"];
        assert!(
            (rate.low.unwrap() - 0.469_069_600_4).abs() < 1e-9 && (rate.high.unwrap() - 0.530_930_399_6).abs() < 1e-9
        );
        for (name, expected, tolerance) in [
            ("alert_rate", 0.5, 1e-12),
            ("score_mean", 0.4995, 1e-9),
            ("score_p50", 0.5, 1.0 / 256.0),
            ("score_p90", 0.9, 1.0 / 256.0),
            ("score_p99", 0.99, 1.0 / 256.0),
        ] {
            assert!((found[name].value - expected).abs() <= tolerance, "{name}: {:?}", found[name]);
        }
        assert!(Anomaly::default().metrics().is_empty());
    }

    #[test]
    fn any_cut_and_order_gives_the_same_sums_and_what_is_taken_out_leaves_no_trace() {
        let scores: Vec<f64> = (0..200).map(|i| f64::from(i * 37 % 101) / 100.0).collect();
        let of = |scores: &mut dyn Iterator<Item = &f64>| {
            let mut sums = Anomaly::default();
            scores.for_each(|score| sums.add(*score, 1));
            sums
        };
        let whole = of(&mut scores.iter());
        let mut parts = of(&mut scores[120..].iter().rev());
        parts.merge(&of(&mut scores[..120].iter()));
        assert_eq!(parts, whole);
        scores.iter().for_each(|score| parts.add(*score, -1));
        assert!(parts.is_empty());
        parts.add(f64::INFINITY, 1);
        assert_eq!((parts.rows(), parts.quantile(1.0)), (1, Some(1.0)), "the strangest score, not a crash");
    }
}
