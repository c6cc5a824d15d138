//! What the judge must know: the pipeline's rules, and the reference of each version.

use detect::classic::PanelOptions;
use domain::{Slices, Unlabelled};
use measure::{CostMatrix, Shape};
use records::control::Promotion;
use serde::{Deserialize, Serialize};

/// The pipeline's rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Name of the pipeline: the first part of an alert's id.
    pub pipeline: String,
    /// How stream time is cut; windows are single slices.
    pub slices: Slices,
    /// Age at which a slice's labels are tested.
    pub maturity_ms: i64,
    /// Longest wait for a label: a window is final this long after its end.
    pub horizon_ms: i64,
    /// How far an event may be behind the newest of its partition.
    pub lateness_ms: i64,
    /// Stream time between a decision and its effect.
    pub lead_ms: i64,
    /// Partitions of all events topics.
    pub event_partitions: usize,
    /// Partitions of all labels topics.
    pub label_partitions: usize,
    /// Partitions of `p.tracking`.
    pub tracking_partitions: usize,
    /// Task and number of classes.
    pub shape: Shape,
    /// What a prediction means whose label never came: where it counts, a slice is judged once it is
    /// final.
    pub unlabelled: Unlabelled,
    /// What pairs of label and prediction cost, if the user has said so: a metric `cost`.
    pub cost: Option<CostMatrix>,
    /// The quantile that a regression's predictions are meant as, if the user has said so: a metric
    /// `pinball`.
    pub quantile: Option<f64>,
    /// False alarms to people that are allowed; as many again of the tiers that page nobody.
    pub false_alarms: Budget,
    /// Population stability index that is still no drift.
    pub drift_tolerance: f64,
    /// The same of all columns together, see `detect::joint::compare`.
    pub joint_tolerance: f64,
    /// Classic detectors that look at the mean losses of test slices beside our own.
    pub classic: PanelOptions,
    /// When to retrain, and how to promote.
    pub retrain: Retrain,
    /// Promotions of another run whose swap table is imposed, by number: told as they are, while
    /// nothing is decided here. `None`: this judge decides.
    pub imposed: Option<Vec<Promotion>>,
}

/// Share of the budget that each tier beside harm has. Harm, which pages, keeps the whole budget;
/// concept drift, shift of the output and shift of the features together may raise as many false
/// alerts again. None of the three is likelier to be right than the others, so they share equally;
/// all features are one tier, so that a further column costs the others nothing but its place in the
/// correction.
pub(crate) const BESIDE_HARM: f64 = 1.0 / 3.0;

impl Config {
    /// Slices that wait for events or labels at a time, where partitions keep up with each other.
    pub(crate) fn waiting_slices(&self) -> i64 {
        let longest_ms = self.horizon_ms.max(0).saturating_add(self.lateness_ms.max(0));
        (longest_ms / self.slices.length_ms.max(1)).saturating_add(2)
    }

    /// Slices in the budget's period.
    pub(crate) fn budget_slices(&self) -> f64 {
        self.false_alarms.period_ms.max(1) as f64 / self.slices.length_ms.max(1) as f64
    }
}

/// A budget of false alarms: so many in a span of stream time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Alarms.
    pub count: f64,
    /// The span.
    pub period_ms: i64,
}

/// When to retrain, and how to promote. Shares are shares of n0, the mature rows of the first
/// training. Defaults are those of the policy that was tried on recorded data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retrain {
    /// The quick harm monitor starts runs.
    pub on_harm: bool,
    /// New mature rows start runs.
    pub on_new_labels: bool,
    /// Mature rows between two runs by alarm; doubles after a useless run, to at most
    /// `cool_down_max`.
    pub cool_down: f64,
    /// See `cool_down`.
    pub cool_down_max: f64,
    /// New mature rows that start a run.
    pub new_labels: f64,
    /// Mature rows since the change before a run by alarm starts.
    pub after_change: f64,
    /// Labelled rows of a probation.
    pub probation: f64,
    /// Run again when the rows since a change have doubled, until they are `new_labels`.
    pub follow_ups: bool,
    /// Judge no further while a run is open: for replays only; live, nothing waits.
    pub wait_for_runs: bool,
    /// Keep the first champion in the line-up as frozen baseline.
    pub baseline: bool,
}

impl Default for Retrain {
    fn default() -> Self {
        Self {
            on_harm: true,
            on_new_labels: true,
            cool_down: 0.1,
            cool_down_max: 0.5,
            new_labels: 1.0 / 3.0,
            after_change: 0.025,
            probation: 0.15,
            follow_ups: true,
            wait_for_runs: false,
            baseline: true,
        }
    }
}

/// What the judge must know of a version before it takes a pane of it: handed over as
/// [`domain::Input::Loaded`] in an `Arc`.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The profile of its training rows, `prediction` among the columns.
    pub reference: profile::Reference,
    /// Rates of the classes in training, in class order; in regression the mean label alone.
    pub class_rates: Vec<f64>,
    /// The same profile within the segments that drift is watched in, by name.
    pub segments: profile::SegmentCounts,
    /// How the columns of the reference wandered from slice to slice; none in bundles of before it
    /// was measured, whose windows are compared one by one.
    pub wander: Option<detect::shift::Wanders>,
    /// Where the reference lies among all columns at once; none unless they are watched so.
    pub kernel: Option<std::sync::Arc<profile::Kernel>>,
    /// Realised minus estimated errors on the validation fold; none without a calibration or models of
    /// errors, and then there is no test for concept drift.
    pub gap: Option<measure::estimate::GapReference>,
    /// The interval around its predictions, in regression; none in bundles of earlier builds.
    pub interval: Option<measure::PredictionInterval>,
}
