//! Which versions score a partition, and what the harm test needs to know about each.

use crate::ids::Version;
use serde::{Deserialize, Serialize};

/// Loss of a version on its validation fold: what later losses are compared with.
///
/// The loss is the Brier score (binary: `(p - y)²`; multiclass: half the squared distance between
/// the probabilities and the one-hot label) or, in regression, the squared error over `scale²`,
/// capped at 1. So it lies in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HarmReference {
    /// Rows of the fold.
    pub rows: u64,
    /// Mean loss over the rows.
    pub mean: f64,
    /// Standard error of the mean, from the spread of test-slice means.
    pub standard_error: f64,
    /// Variance of the loss over rows.
    pub variance_rows: f64,
    /// Variance of (loss − rho × prior loss) over test-slice means.
    pub variance_slices: f64,
    /// Mean loss of the prior-rate model on the same rows.
    pub prior_mean: f64,
    /// Mean over test slices, and its standard error, of (slice-mean loss − rho × slice-mean prior loss).
    pub relative_standard_error: f64,
    /// Divisor of regression errors before squaring (1 in classification).
    pub scale: f64,
}

/// Bets of the quick harm monitor, fixed at promotion: a row with loss `x` multiplies
/// capital `j` by `1 + bets[j] × (x − p0)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Harm {
    /// Tolerated mean loss.
    pub p0: f64,
    /// The bets.
    pub bets: Vec<f64>,
    /// Divisor of regression errors before squaring (1 in classification).
    pub scale: f64,
}

/// One version of a line-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The version.
    pub version: Version,
    /// Rows with an earlier event time were seen in training: never in this version's statistics.
    pub trained_until_ms: i64,
    /// Bets of the harm monitor; none before the judge has fixed them.
    pub harm: Option<Harm>,
}

/// The versions that score a partition. The first member is the champion, whose predictions are
/// published; the others are shadows, whose scores go to tracking only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LineUp {
    /// Number of the promotion (or roll-back) that made this line-up; grows.
    pub promotion: u64,
    /// Champion first, then shadows; each version once.
    pub members: Vec<Member>,
    /// The first champion, kept as baseline, if it is among the members.
    pub frozen: Option<Version>,
    /// The replaced champion, scored as shadow during probation, if any.
    pub previous: Option<Version>,
}

impl LineUp {
    /// The version whose predictions are published.
    #[must_use]
    pub fn champion(&self) -> Option<&Member> {
        self.members.first()
    }

    /// Place of a version among the members.
    #[must_use]
    pub fn position(&self, version: &Version) -> Option<usize> {
        self.members.iter().position(|m| &m.version == version)
    }
}
