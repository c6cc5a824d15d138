//! Areas under the ROC and the precision-recall curve from binned scores, with what binning may
//! have cost.

use crate::interval::{self, Estimate, Z_95};
use crate::sparse::Histogram;

/// `[negatives, positives]` of so many bins, from rows by `2 × bin + is positive`. Only an
/// incomplete window can hold negative counts: they count as none.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn bins(rows: &Histogram, count: u32) -> Vec<[f64; 2]> {
    let mut bins = vec![[0.0; 2]; count as usize];
    for (key, rows) in rows.iter() {
        if let Some([negatives, positives]) = bins.get_mut((key / 2) as usize) {
            let place = if key % 2 == 0 { negatives } else { positives };
            *place = rows.max(0) as f64;
        }
    }
    bins
}

/// Area under the ROC curve from binned scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Auc {
    /// The area, ties inside a bin counting half.
    pub value: f64,
    /// The exact area differs by no more than this: half the share of pairs that tie in a bin.
    pub worst_error: f64,
    /// Standard error by Hanley and McNeil.
    pub standard_error: f64,
}

impl Auc {
    /// The area with an interval that covers the error of binning too.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        Estimate::within(self.value, Z_95 * self.standard_error + self.worst_error, 0.0, 1.0)
    }
}

/// AUC = Σ_b pos_b (Σ_{c<b} neg_c + neg_b / 2) / (P N), worst error ½ Σ_b pos_b neg_b / (P N), of
/// `[negatives, positives]` per bin by rising score; mass may be fractional. `None` without both.
pub(crate) fn auc(bins: impl Iterator<Item = [f64; 2]>) -> Option<Auc> {
    let (mut below, mut positives, mut area, mut ties) = (0.0, 0.0, 0.0, 0.0);
    for [negative, positive] in bins {
        area += positive * (below + negative / 2.0);
        ties += positive * negative / 2.0;
        below += negative;
        positives += positive;
    }
    let pairs = positives * below;
    if pairs <= 0.0 {
        return None;
    }
    let value = area / pairs;
    let standard_error = interval::hanley_mcneil(value, positives, below)?;
    Some(Auc { value, worst_error: ties / pairs, standard_error })
}

/// Average precision from binned scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AveragePrecision {
    /// Σ (recall_b − recall_{b+1}) × precision_b over bins from the highest, as scikit-learn has
    /// it for distinct scores: a bin counts as one score.
    pub value: f64,
    /// The exact value differs by no more than this.
    pub worst_error: f64,
    /// Positive rows.
    pub positives: f64,
}

impl AveragePrecision {
    /// With the logit interval of K. Boyd, K. Eng, C. D. Page, "Area under the precision-recall
    /// curve", ECML PKDD 2013, widened by the error of binning: logit(a) ± z / √(P a (1 − a)).
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        let a = self.value;
        let spread = (self.positives * a * (1.0 - a)).sqrt();
        if spread <= 0.0 {
            return Estimate::bare(a);
        }
        let logit = libm::log(a / (1.0 - a));
        let end = |at: f64| 1.0 / (1.0 + libm::exp(-at));
        Estimate {
            value: a,
            low: Some((end(logit - Z_95 / spread) - self.worst_error).max(0.0)),
            high: Some((end(logit + Z_95 / spread) + self.worst_error).min(1.0)),
        }
    }
}

/// Average precision of `[negatives, positives]` per bin by *falling* score. `None` without
/// positives.
///
/// Inside a bin of p positives and n negatives with t and f above it, the exact contribution lies
/// between that of all negatives first, Σ_{i≤p} (t + i) / (t + i + f + n), and that of all
/// positives first and tied, p (t + p) / (t + p + f). The former is bounded from below by
/// p − (f + n) ln((t + p + f + n + ½) / (t + f + n + ½)), since 1/k is convex.
pub(crate) fn average_precision(bins: impl Iterator<Item = [f64; 2]>) -> Option<AveragePrecision> {
    let (mut above, mut above_negative) = (0.0_f64, 0.0_f64);
    let (mut sum, mut least, mut most) = (0.0, 0.0, 0.0);
    for [negative, positive] in bins {
        if positive > 0.0 {
            let (hits, wrong) = (above + positive, above_negative + negative);
            sum += positive * hits / (hits + wrong);
            most += positive * hits / (hits + above_negative);
            let logarithm = libm::log((hits + wrong + 0.5) / (above + wrong + 0.5));
            least += (positive - wrong * logarithm).max(0.0);
        }
        above += positive;
        above_negative += negative;
    }
    (above > 0.0).then(|| {
        // A bin of one row, or of one class, costs nothing, whatever the logarithm rounds to.
        let worst_error = (most - sum).max(sum - least).max(0.0) / above;
        AveragePrecision { value: sum / above, worst_error, positives: above }
    })
}

#[cfg(test)]
#[path = "curve_tests.rs"]
mod tests;
