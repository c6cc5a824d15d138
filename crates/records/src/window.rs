//! `p.windows`: accuracy and drift of a window, beside its baselines.

use domain::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A window's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Its span.
    pub window: Span,
    /// `event_time` or `label_time`.
    pub clock: Clock,
    /// `*` or `name=value`.
    pub segment: String,
    /// The version that published the predictions; `*` sums over versions.
    pub version: String,
    /// Nothing will change it any more.
    pub r#final: bool,
    /// Events scored (of segments other than `*` only those are known that have a label, an estimate or a
    /// profile of their own).
    pub rows: u64,
    /// Rows with a label.
    pub labelled: u64,
    /// Rows that came after the window was final; in no other number.
    pub after_final: u64,
    /// By name: `accuracy`, `log_loss`, `auc`, `brier`, …; `kappa_temporal` and `kappa_m`, which
    /// compare the accuracy with that of repeating the last label and of the majority on the same
    /// rows; `mae`, `rmse`, `bias`, `r2`.
    pub metrics: BTreeMap<String, Estimate>,
    /// The same metrics of `majority`, `last_label` and `frozen`, on the same rows.
    pub baselines: BTreeMap<String, BTreeMap<String, f64>>,
    /// Drift of features and of the output, by column.
    pub drift: BTreeMap<String, Drift>,
    /// Share of the predictions in force that have a label; only in the record of all rows and
    /// all versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
    /// Of `labelled`: rows whose label never came and that count as negative by policy; likewise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub assumed: u64,
    /// The maturity curve: pairs of an age in seconds and the share of predictions whose first
    /// label was younger, where it grows, as far as every row has reached that age; likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maturity: Vec<(u64, f64)>,
    /// Metrics as the calibrated scores expect them, known before any label; the interval says where
    /// the realised ones will lie if the probabilities are right. Empty without a calibration.
    #[serde(default)]
    pub estimated: BTreeMap<String, Estimate>,
    /// Metrics of all scored rows, for which labelled ones with scores like theirs stand, where rows
    /// without a label are said to be censored.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weighted: BTreeMap<String, Estimate>,
    /// How far all columns together are from the champion's reference, where they are watched so; only
    /// in records of all rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joint: Option<Joint>,
    /// Realised minus estimated metrics, once labels are mature.
    #[serde(default)]
    pub realised_minus_estimated: BTreeMap<String, Difference>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde gives a reference
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A realised metric minus its estimate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The difference.
    pub value: f64,
    /// Its standard error while the probabilities are right.
    pub standard_error: f64,
}

/// Clock of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// By the time of the event.
    EventTime,
    /// By the arrival of the label.
    LabelTime,
}

/// Span of a window, end exclusive, RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Start.
    pub start: String,
    /// End.
    pub end: String,
}

/// A metric with its 95 % interval where one is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// Drift of all columns together against the champion's reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Joint {
    /// Squared maximum mean discrepancy, free of what chance adds: about 0, and below it half of the time,
    /// where nothing differs; at most 2.
    pub squared_mmd: f64,
    /// Value above which it counts as drift, given the sample sizes and the tolerance.
    pub threshold: f64,
    /// p value of "the shift is at most the tolerance".
    pub p_value: f64,
    /// Whether it counts as drift: of this window alone.
    pub drifted: bool,
}

/// Drift of one column against the champion's reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Population stability index over the merged bins.
    pub psi: f64,
    /// Value above which it counts as drift, given the sample sizes and the tolerance.
    pub threshold: f64,
    /// p value of "the shift is at most the tolerance", before correction over columns.
    pub p_value: f64,
    /// Whether it counts as drift after correction over columns: of this window alone. Alerts
    /// follow a test over time, which keeps a budget.
    pub drifted: bool,
    /// Jensen-Shannon distance to base 2.
    #[serde(default)]
    pub js: f64,
    /// Hellinger distance.
    #[serde(default)]
    pub hellinger: f64,
    /// Kolmogorov-Smirnov distance at the edges of the bins; numbers only.
    #[serde(default)]
    pub ks: Option<f64>,
    /// Wasserstein-1 distance in the column's unit, rows at the middle of their bins, those outside
    /// the reference's range at its ends; numbers only.
    #[serde(default)]
    pub wasserstein: Option<f64>,
    /// Total variation: half the sum of the differences of the bins' shares.
    #[serde(default)]
    pub total_variation: f64,
    /// Largest difference of a bin's share.
    #[serde(default)]
    pub l_infinity: f64,
    /// Statistic of the two-sample chi-square test.
    #[serde(default)]
    pub chi_square: f64,
    /// Its p value: of no shift at all, which any large window refutes.
    #[serde(default)]
    pub chi_square_p: f64,
    /// Share of rows without a value.
    #[serde(default)]
    pub missing: f64,
    /// Share of rows with a value where the reference has none.
    #[serde(default)]
    pub unseen: f64,
}

/// Key of a window's record: clock/start/length/segment/version.
#[must_use]
pub fn key(window: &Window, length_ms: i64) -> String {
    let clock = match window.clock {
        Clock::EventTime => "event_time",
        Clock::LabelTime => "label_time",
    };
    format!("{clock}/{}/{length_ms}/{}/{}", window.window.start, window.segment, window.version)
}

impl Window {
    /// Whether it is about all rows and all versions.
    #[must_use]
    pub fn is_total(&self) -> bool {
        self.segment == "*" && self.version == "*"
    }

    /// Whether a version is meant, rather than the sum over versions.
    #[must_use]
    pub fn of_version(&self, version: &Version) -> bool {
        self.version == version.as_str()
    }
}
