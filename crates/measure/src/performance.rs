//! Sums of one version on labelled rows.

use crate::anomaly::Anomaly;
use crate::baseline::Labels;
use crate::binary::Binary;
use crate::clustering::Clustering;
use crate::cost::{CostMatrix, cost};
use crate::error_bins::ErrorBins;
use crate::interval::Estimate;
use crate::loss::{Shape, class_of};
use crate::multiclass::Multiclass;
use crate::regression::Regression;
use domain::Task;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sums of one version on labelled rows. Counts are signed: a cell of late corrections may hold
/// negative ones; windows, which merge all cells, do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Performance {
    /// Two classes.
    Binary(Binary),
    /// Several classes.
    Multiclass(Multiclass),
    /// Numbers.
    Regression(Regression),
    /// Numbers, and the sizes of their errors. Of what earlier builds summed the sizes are not known.
    Binned {
        /// The sums.
        sums: Regression,
        /// Sizes of the errors.
        errors: ErrorBins,
    },
    /// What an anomaly detector says of rows without labels.
    Anomaly(Anomaly),
    /// Where a clustering puts rows without labels.
    Clustering(Clustering),
}

impl Performance {
    /// No rows.
    #[must_use]
    pub fn empty(shape: Shape) -> Self {
        match shape.task {
            Task::BinaryClassification => Self::Binary(Binary::default()),
            Task::MulticlassClassification => Self::Multiclass(Multiclass::new(shape.classes)),
            Task::Regression => Self::Regression(Regression::default()),
            Task::Anomaly => Self::Anomaly(Anomaly::default()),
            Task::Clustering => Self::Clustering(Clustering::default()),
        }
    }

    /// No rows; of numbers the sizes of the errors are counted too.
    #[must_use]
    pub fn empty_binned(shape: Shape) -> Self {
        match shape.task {
            Task::Regression => Self::Binned { sums: Regression::default(), errors: ErrorBins::default() },
            Task::BinaryClassification | Task::MulticlassClassification | Task::Anomaly | Task::Clustering => {
                Self::empty(shape)
            }
        }
    }

    /// Adds (sign 1) or takes out (sign −1) a row: P(positive class), the probabilities in class
    /// order, or the number; and the label as in `records::tracking::LabelBatch`. Without labels: the
    /// anomaly's score, or cluster, own distance and the next one, and any label.
    pub fn add(&mut self, score: &[f64], label: f64, sign: i64) {
        let first = score.first().copied().unwrap_or(f64::NAN);
        match self {
            Self::Binary(sums) => sums.add(first, label, sign),
            Self::Multiclass(sums) => sums.add(score, label, sign),
            Self::Regression(sums) => sums.add(first, label, sign),
            Self::Binned { sums, errors } => {
                sums.add(first, label, sign);
                errors.add(first - label, sign);
            }
            Self::Anomaly(sums) => sums.add(first, sign),
            Self::Clustering(sums) => sums.add(score, sign),
        }
    }

    /// Adds or takes out a row predicted by another row's label: a class without probabilities,
    /// or a number.
    pub fn add_label(&mut self, predicted: f64, label: f64, sign: i64) {
        match self {
            Self::Binary(sums) => sums.add_class(predicted >= 0.5, label >= 0.5, sign),
            Self::Multiclass(sums) => sums.add_class(class_of(predicted), class_of(label), sign),
            Self::Regression(_) | Self::Binned { .. } => self.add(&[predicted], label, sign),
            // There is no label to repeat.
            Self::Anomaly(_) | Self::Clustering(_) => {}
        }
    }

    /// Adds the other's sums. Sums of another task or number of classes never mix: those are
    /// left out.
    pub fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Binary(ours), Self::Binary(theirs)) => ours.merge(theirs),
            (Self::Multiclass(ours), Self::Multiclass(theirs)) => ours.merge(theirs),
            (Self::Anomaly(ours), Self::Anomaly(theirs)) => ours.merge(theirs),
            (Self::Clustering(ours), Self::Clustering(theirs)) => ours.merge(theirs),
            (Self::Binned { sums, errors }, Self::Binned { sums: more, errors: theirs }) => {
                sums.merge(more);
                errors.merge(theirs);
            }
            (Self::Regression(ours) | Self::Binned { sums: ours, .. }, Self::Regression(theirs)) => ours.merge(theirs),
            (Self::Regression(ours), Self::Binned { sums: theirs, errors }) => {
                let mut sums = std::mem::take(ours);
                sums.merge(theirs);
                *self = Self::Binned { sums, errors: errors.clone() };
            }
            _ => {}
        }
    }

    /// Whether every sum is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Binary(sums) => sums.is_empty(),
            Self::Multiclass(sums) => sums.is_empty(),
            Self::Regression(sums) => sums.is_empty(),
            Self::Binned { sums, errors } => sums.is_empty() && errors.is_empty(),
            Self::Anomaly(sums) => sums.is_empty(),
            Self::Clustering(sums) => sums.is_empty(),
        }
    }

    /// Rows; negative where a late cell takes out more than it adds.
    #[must_use]
    pub fn rows(&self) -> i64 {
        match self {
            Self::Binary(sums) => sums.rows(),
            Self::Multiclass(sums) => sums.rows(),
            Self::Regression(sums) | Self::Binned { sums, .. } => sums.rows(),
            Self::Anomaly(sums) => sums.rows(),
            Self::Clustering(sums) => sums.rows(),
        }
    }

    /// Labels of the rows: counts by class, or Σy and Σy². Rows that have none count as numbers of 0.
    #[must_use]
    pub fn label_counts(&self) -> Labels {
        match self {
            Self::Binary(sums) => sums.labels(),
            Self::Multiclass(sums) => sums.labels(),
            Self::Regression(sums) | Self::Binned { sums, .. } => sums.labels(),
            Self::Anomaly(_) | Self::Clustering(_) => Labels { rows: self.rows(), ..Labels::default() },
        }
    }

    /// Label, predicted class and rows of every pair that occurs; of classes only.
    #[must_use]
    pub fn confusion(&self) -> Vec<(usize, usize, i64)> {
        match self {
            Self::Binary(sums) => sums.cells().filter(|cell| cell.2 != 0).collect(),
            Self::Multiclass(sums) => sums.confusion().collect(),
            Self::Regression(_) | Self::Binned { .. } | Self::Anomaly(_) | Self::Clustering(_) => Vec::new(),
        }
    }

    /// Right predictions; none but of classes.
    #[must_use]
    pub fn right(&self) -> i64 {
        self.confusion().into_iter().filter(|(label, predicted, _)| label == predicted).map(|(_, _, rows)| rows).sum()
    }

    /// Mean cost of a row; `None` without rows, and of anything but classes.
    #[must_use]
    pub fn cost(&self, matrix: &CostMatrix) -> Option<Estimate> {
        cost(self.confusion(), matrix)
    }

    /// See [`Regression::pinball`]; `None` of anything but numbers.
    #[must_use]
    pub fn pinball(&self, quantile: f64) -> Option<f64> {
        match self {
            Self::Regression(sums) | Self::Binned { sums, .. } => sums.pinball(quantile),
            _ => None,
        }
    }

    /// The sums of a regression.
    #[must_use]
    pub fn regression(&self) -> Option<&Regression> {
        match self {
            Self::Regression(sums) | Self::Binned { sums, .. } => Some(sums),
            _ => None,
        }
    }

    /// Sizes of a regression's errors, where they were counted.
    #[must_use]
    pub fn errors(&self) -> Option<&ErrorBins> {
        match self {
            Self::Binned { errors, .. } => Some(errors),
            _ => None,
        }
    }

    /// By name, as far as the rows allow; what is undefined on them is left out.
    ///
    /// | task | from predicted classes | from probabilities as well |
    /// |---|---|---|
    /// | binary | `accuracy`, `balanced_accuracy`, `precision`, `recall`, `f1`, `kappa`, `predicted_positive_share` | `log_loss`, `brier`, `ece`, `auc`, `average_precision` |
    /// | several classes | `accuracy`, `balanced_accuracy`, `kappa`; `precision_`, `recall_`, `f1_` each with `macro`, `micro`, `weighted` | `log_loss`, `brier`, `ece`, `auc_macro` |
    ///
    /// Regression: `mae`, `rmse`, `bias`, `r2`, `mape`, `mape_skipped` (a count); where sizes of errors
    /// are counted `absolute_error_p50` and `_p90`, too large by 6.3 % at most.
    ///
    /// Anomalies: `alert_rate` (share of scores from 0.5 on), `score_mean`; `score_p50`, `_p90` and `_p99`,
    /// too large by 1/256 at most. Clustering: `inertia` (mean squared distance from the centroid, in units
    /// of the prepared features; scikit-learn's is the sum), `silhouette_simplified`, and `ambiguity`, which is 1
    /// less that.
    ///
    /// Definitions are scikit-learn's but for `brier` of several classes, which is half of its, and
    /// `ece`. Intervals, of 95 %: Wilson for rates and `f1`; normal for means (`log_loss`, `brier`,
    /// `mae`, `bias`, `mape`); MOVER for means of rates; Hanley-McNeil for AUCs and a logit one for
    /// `average_precision`, both widened by what binning may cost; delta method for `kappa`,
    /// `f1_macro`, `f1_weighted`, `precision_weighted`. None for `rmse`, `r2`, `ece`.
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<String, Estimate> {
        match self {
            Self::Binary(sums) => sums.metrics(),
            Self::Multiclass(sums) => sums.metrics(),
            Self::Regression(sums) => sums.metrics(),
            Self::Binned { sums, errors } => {
                let mut metrics = sums.metrics();
                let quantiles = [("absolute_error_p50", 0.5), ("absolute_error_p90", 0.9)];
                // Sizes of a part of the errors are not those of all.
                let is_whole = errors.rows() == sums.rows();
                let known = quantiles.into_iter().filter_map(|(name, q)| Some((name, errors.quantile(q)?)));
                let known = known.filter(|_| is_whole);
                metrics.extend(known.map(|(name, size)| (name.to_owned(), Estimate::bare(size))));
                metrics
            }
            Self::Anomaly(sums) => sums.metrics(),
            Self::Clustering(sums) => sums.metrics(),
        }
    }

    /// Mean Brier score; in regression the mean squared error, neither scaled nor capped (the
    /// capped loss of the harm tests is in [`crate::HarmSums`]). Without labels the mean of the loss as
    /// [`mod@crate::loss`] has it. `None` without rows.
    #[must_use]
    pub fn mean_loss(&self) -> Option<f64> {
        match self {
            Self::Binary(sums) => sums.mean_loss(),
            Self::Multiclass(sums) => sums.mean_loss(),
            Self::Regression(sums) | Self::Binned { sums, .. } => sums.mean_loss(),
            Self::Anomaly(sums) => sums.mean_loss(),
            Self::Clustering(sums) => sums.mean_loss(),
        }
    }
}
