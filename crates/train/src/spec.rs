//! Everything a run needs, as JSON, and what it says while it runs.

use crate::Error;
use domain::{EventSchema, Task, Unlabelled, Version};
use measure::Shape;
use prepare::Recipe;
use records::control::Trigger;
use serde::{Deserialize, Serialize};

/// A run: `vigie train --spec run.json`. Times are epoch milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The pipeline, as the archive files name it.
    pub pipeline: String,
    /// URL of the object store: archive in, bundle out.
    pub store: String,
    /// The declared columns.
    pub schema: EventSchema,
    /// What is predicted.
    pub task: Task,
    /// Class order; binary: negative, positive; anomalies: what is none, and what is one; empty in regression
    /// and clustering.
    pub classes: Vec<String>,
    /// Binary: the class whose probability is predicted.
    pub positive_class: Option<String>,
    /// What to do with the columns.
    #[serde(default)]
    pub recipe: Recipe,
    /// Families of models to try: `logistic_regression`, `linear_regression`, `elastic_net`,
    /// `gradient_boosting`, `isolation_forest`, `k_means`.
    pub families: Vec<String>,
    /// Random trials beyond the defaults and the champion's parameters.
    #[serde(default)]
    pub trials: u32,
    /// Candidates tried at once, and threads of the last fit. The result does not depend on it.
    #[serde(default = "one")]
    pub threads: u32,
    /// Seed of every random choice.
    #[serde(default)]
    pub seed: u64,
    /// No further trial starts after this much wall time.
    #[serde(default)]
    pub time_limit_ms: Option<u64>,
    /// J: rows of slices ending at or before it are used.
    pub cut_off_ms: i64,
    /// Labels before `cut_off_ms` plus this are used.
    pub maturity_ms: i64,
    /// Length of a slice.
    pub slice_ms: i64,
    /// Labels later than their event by more than this are not used.
    pub horizon_ms: i64,
    /// What it means when no label came within the horizon.
    #[serde(default)]
    pub unlabelled: Unlabelled,
    /// Why the run was ordered.
    pub cause: Cause,
    /// The champion to compare with.
    #[serde(default)]
    pub champion: Option<Version>,
    /// n0; for the first training the rows it finds.
    #[serde(default)]
    pub first_rows: Option<u64>,
    /// Estimated time of the change that raised the alarm.
    #[serde(default)]
    pub change_ms: Option<i64>,
    /// Mature rows since that change.
    #[serde(default)]
    pub rows_since_change: Option<u64>,
    /// Category columns whose values must each hold the gate's floor.
    #[serde(default)]
    pub segments: Vec<String>,
    /// Segmentations within which drift is watched.
    #[serde(default)]
    pub drift_segments: Vec<DriftSegment>,
    /// Thresholds of the gate.
    #[serde(default)]
    pub gates: Gates,
    /// How columns are watched together.
    #[serde(default)]
    pub multivariate: Multivariate,
    /// Regression: share of rows whose label the interval around a prediction is to hold.
    #[serde(default = "most")]
    pub interval: f64,
    /// Anomalies: share of the training rows whose score is to be 0.5 or more.
    #[serde(default = "few")]
    pub anomaly_share: f64,
    /// Clustering: the number of clusters; none: the one with the least loss.
    #[serde(default)]
    pub clusters: Option<u32>,
}

/// Default of [`Spec::interval`].
pub const INTERVAL_SHARE: f64 = 0.9;

/// Default of [`Spec::anomaly_share`].
pub const ANOMALY_SHARE: f64 = 0.01;

fn few() -> f64 {
    ANOMALY_SHARE
}

fn most() -> f64 {
    INTERVAL_SHARE
}

/// A segmentation within which drift is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftSegment {
    /// Its name in windows.
    pub name: String,
    /// A declared column of type category or boolean.
    pub column: String,
}

/// Columns that are looked at together, at most: the work grows with their square. More are refused
/// by the configuration.
pub const COLUMNS_TOGETHER_MAX: usize = 256;

/// How columns are watched together, beside each of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Multivariate {
    /// Not at all.
    #[default]
    None,
    /// By the error of rebuilding a row from its principal components.
    Pca,
    /// By the maximum mean discrepancy of a kernel.
    Mmd,
    /// By both.
    Both,
}

impl Multivariate {
    pub(crate) fn has_pca(self) -> bool {
        matches!(self, Self::Pca | Self::Both)
    }

    pub(crate) fn has_mmd(self) -> bool {
        matches!(self, Self::Mmd | Self::Both)
    }
}

fn one() -> u32 {
    1
}

/// Why a run was ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// There is no champion.
    First,
    /// A trigger proposed it.
    Trigger(Trigger),
}

impl Cause {
    /// Whether the burden of proof lies with the champion: the gate then asks only that the
    /// challenger is not significantly worse.
    #[must_use]
    pub fn is_alarm(self) -> bool {
        matches!(self, Self::Trigger(Trigger::Harm | Trigger::FollowUp))
    }
}

/// Thresholds of the gate. Defaults: the policy page.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// After an alarm: standard errors by which a challenger may look worse.
    pub worse_errors: f64,
    /// On schedule: share of the champion's loss to be gained.
    pub gain: f64,
    /// On schedule: standard errors to be gained.
    pub gain_errors: f64,
    /// Rows of the fold below which a segment is not judged.
    pub segment_rows: u64,
    /// Share of the champion's loss in a segment that a challenger may lose there.
    pub segment_loss: f64,
    /// By how much the expected calibration error may exceed the champion's.
    pub calibration: f64,
    /// Longest time per row on the golden rows, in microseconds.
    pub latency_us: Option<f64>,
    /// Largest model, in bytes.
    pub model_bytes: Option<u64>,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            worse_errors: 1.645,
            gain: 0.02,
            gain_errors: 1.0,
            segment_rows: 200,
            segment_loss: 0.1,
            calibration: 0.05,
            latency_us: None,
            model_bytes: None,
        }
    }
}

/// One line of progress; JSON lines on standard output of the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// `data_set`, `screen`, `fold`, `trial`, `refit`, `gate`, `reference` or `stored`.
    pub phase: String,
    /// Rows at hand.
    pub rows: u64,
    /// Trials done in this fold.
    pub trial: u32,
    /// Least mean loss so far (log loss, squared error, or what `measure` calls the loss of a row).
    pub best: Option<f64>,
}

impl Progress {
    pub(crate) fn new(phase: &str, rows: usize) -> Self {
        Self { phase: phase.to_owned(), rows: rows as u64, trial: 0, best: None }
    }
}

impl Spec {
    /// Task and classes, as `measure` takes them.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape { task: self.task, classes: self.classes.len() }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let classes = self.classes.len();
        let (fits, expected) = match self.task {
            Task::BinaryClassification => {
                (classes == 2 && self.positive_class.as_ref() == self.classes.get(1), "negative and positive class")
            }
            Task::MulticlassClassification => (classes >= 2, "at least 2 classes"),
            Task::Anomaly => (classes == 2, "what is no anomaly, and what is one"),
            Task::Regression | Task::Clustering => (classes == 0, "none in regression and clustering"),
        };
        if !fits {
            return Err(Error::Spec { key: "classes", found: self.classes.join(", "), expected: expected.to_owned() });
        }
        if self.families.is_empty() {
            return Err(Error::Spec { key: "families", found: String::new(), expected: "at least one".to_owned() });
        }
        if !(self.anomaly_share > 0.0 && self.anomaly_share <= 0.5) {
            let (found, expected) = (self.anomaly_share.to_string(), "above 0, at most 0.5".to_owned());
            return Err(Error::Spec { key: "anomaly_share", found, expected });
        }
        if self.slice_ms < 1 {
            let found = self.slice_ms.to_string();
            return Err(Error::Spec { key: "slice_ms", found, expected: "a positive number".to_owned() });
        }
        Ok(())
    }
}
