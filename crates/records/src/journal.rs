//! `p.journal`: the judge's only input. One partition, so its order is the order of decisions.

pub use crate::pane::{
    EXACT_SCORES_MAX, ExactCell, ExactPane, ExampleCell, ExamplePane, ExpectedCell, ExpectedPane, KernelCell,
    KernelPane, LossCell, LossPane, SampleCell, SamplePane, SegmentCell, SegmentPane,
};
use crate::tracking::{Marker, StreamKind};
use domain::{HarmReference, SourcePartition, Version};
use serde::{Deserialize, Serialize};

/// A record of `p.journal`. `P` is the profile of a score pane (`profile::Counts`), `C` the cell
/// of a join pane (`measure::Cell`), `E` what scores expect of themselves (`measure::Expected`), `R`
/// what child models expect of the errors of numbers (`measure::ChildSums`), `K` a sum of a kernel's vectors
/// (`profile::MeanVector`), `S` the rows at a score (`measure::ScoreCount`).
///
/// postcard numbers the variants: new ones come last, so that what format 1 wrote is read as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Journal<P, C, E = (), R = (), K = (), S = ()> {
    /// What one transaction of score saw of one event partition.
    ScorePane(ScorePane<P>),
    /// Score's watermark of one event partition passed the end of a slice, or it became idle.
    ScoreMarker {
        /// The event partition and its watermark.
        marker: Marker,
        /// Totals of the partition so far.
        counters: ScoreCounters,
    },
    /// What one transaction of join saw of one tracking partition.
    JoinPane(JoinPane<C>),
    /// Join's watermarks of one tracking partition.
    JoinMarker(JoinMarker),
    /// Archive has stored everything of a source partition up to this watermark.
    ArchiveMarker {
        /// The source partition and how far it is stored.
        marker: Marker,
    },
    /// The owner of an event partition has read a promotion and verified its bundles.
    Acknowledged {
        /// The event partition.
        source: SourcePartition,
        /// Number of the promotion.
        promotion: u64,
        /// Why a bundle could not be verified; `None` if all is well.
        fault: Option<String>,
    },
    /// A retraining run has ended.
    RunReport(RunReport),
    /// Somebody asked for something.
    Command(Command),
    /// Wall time, at most once a second: schedules and deadlines of processes only.
    Tick {
        /// Epoch milliseconds.
        now_ms: i64,
    },
    /// Records were gone before a stage could read them.
    Gap(Gap),
    /// What one transaction of score expects of the predictions it published from one event
    /// partition; from format 2 on.
    Expected(ExpectedPane<E>),
    /// The same in regression; from format 3 on.
    ExpectedErrors(ExpectedPane<R>),
    /// Cells of a step of join that count by the arrival of labels too; from format 4 on.
    Arrived(ArrivedPane<C>),
    /// What one transaction of score saw of one event partition, by segment, where drift is watched
    /// within segments; from format 5 on.
    Segments(SegmentPane<P>),
    /// A sample of the events of one transaction of score; from format 5 on.
    Examples(ExamplePane),
    /// How wrong the predictions for a sample of the labelled rows of a step of join were; from format 6
    /// on.
    Losses(LossPane),
    /// What one transaction of score saw of one event partition, of all columns at once, where they are
    /// watched so; from format 7 on.
    Kernel(KernelPane<K>),
    /// The scores of the labelled rows of a step of join themselves, where areas under curves are to be
    /// exact; from format 7 on.
    Exact(ExactPane<S>),
    /// Rows that stand for those that one transaction of score put into clusters; from format 8 on.
    Sample(SamplePane),
}

/// See [`Journal::Gap`]: retention passed a committed offset, and reading went on at the first
/// record there was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The stage that did not read them.
    pub stage: String,
    /// Where they were.
    pub source: SourcePartition,
    /// The offset that had been committed.
    pub from_offset: i64,
    /// The first one there is.
    pub to_offset: i64,
}

/// See [`Journal::ScorePane`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScorePane<P> {
    /// The event partition.
    pub source: SourcePartition,
    /// First offset seen.
    pub from_offset: i64,
    /// Last offset seen.
    pub to_offset: i64,
    /// One cell per slice and champion.
    pub cells: Vec<ScoreCell<P>>,
}

/// Rows of one slice that one champion scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreCell<P> {
    /// Start of the slice.
    pub slice_start_ms: i64,
    /// The champion; the profile's bins are those of its reference.
    pub version: Version,
    /// Rows, without those after the window was final.
    pub rows: u64,
    /// Rows after the window was final; in no other number.
    pub after_final: u64,
    /// Column statistics.
    pub profile: P,
}

/// Totals of one event partition since its first record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreCounters {
    /// Events read.
    pub read: u64,
    /// Predictions published.
    pub scored: u64,
    /// Records sent to the rejected topic.
    pub rejected: u64,
    /// Events too far ahead of their own record's timestamp to move the watermark.
    pub future: u64,
    /// Tombstones ignored by configuration.
    pub ignored: u64,
}

/// See [`Journal::JoinPane`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JoinPane<C> {
    /// Partition of `p.tracking`.
    pub tracking_partition: i32,
    /// First offset seen.
    pub from_offset: i64,
    /// Last offset seen.
    pub to_offset: i64,
    /// The cells.
    pub cells: Vec<JoinCell<C>>,
    /// How far labels have come, by slice: changes since the pane before.
    pub coverage: Vec<Coverage>,
}

/// See [`Journal::Arrived`]. The join pane of the same step has coverage, and what only changed rows
/// that had arrived before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArrivedPane<C> {
    /// Partition of `p.tracking`.
    pub tracking_partition: i32,
    /// First offset seen.
    pub from_offset: i64,
    /// Last offset seen.
    pub to_offset: i64,
    /// The cells.
    pub cells: Vec<ArrivedCell<C>>,
}

/// Rows whose first label in time lies in one slice, with that label. Summed over the slices of
/// their events this is the window of that slice by label time; summed over label times, and with the
/// cells of join panes, the window by event time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArrivedCell<C> {
    /// Start of the slice of the label times.
    pub arrived_slice_start_ms: i64,
    /// The cell, as in a join pane.
    pub joined: JoinCell<C>,
}

/// Changes of how many predictions in force a slice has, and of how many have a label. Summed over
/// panes they are the counts themselves; rows seen in training are among them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Start of the slice of the event times.
    pub slice_start_ms: i64,
    /// Predictions in force.
    pub predictions: i64,
    /// Predictions whose horizon passed without a label and that count as negative by policy.
    pub assumed: i64,
    /// Predictions by the age bin ([`crate::age`]) of their first label in time, sorted by bin,
    /// without zeros.
    pub ages: Vec<(u8, i64)>,
}

/// When a row's label came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// The label's time lies before the end of the row's slice plus `maturity`: what tests see.
    Mature,
    /// What came, or was corrected, after that: counts in windows only; may hold negative numbers.
    Late,
}

/// Labelled rows of one slice, phase, segment and promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JoinCell<C> {
    /// Start of the slice of the event times.
    pub slice_start_ms: i64,
    /// See [`Phase`].
    pub phase: Phase,
    /// `*` for all rows, else `name=value`.
    pub segment: String,
    /// Number of the promotion under which the rows were scored.
    pub promotion: u64,
    /// The version that published the predictions.
    pub version: Version,
    /// The sums.
    pub cell: C,
}

/// See [`Journal::JoinMarker`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JoinMarker {
    /// Partition of `p.tracking`.
    pub tracking_partition: i32,
    /// Least watermark of the event partitions, as seen in this tracking partition.
    pub events_ms: Option<i64>,
    /// Least watermark of the label partitions, as seen in this tracking partition.
    pub labels_ms: Option<i64>,
    /// Where every row of this tracking partition stands.
    pub counters: JoinCounters,
}

/// Balance of one tracking partition.
/// `predictions = joined + pending + expired + repeated + predictions_overflow`;
/// `labels = labels_joined + waiting + orphan + duplicate + corrected + late + labels_overflow`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinCounters {
    /// Published predictions seen, one per event coordinate.
    pub predictions: u64,
    /// Predictions in force that have a label; in a task without labels those whose slice is final.
    pub joined: u64,
    /// Of `joined`: rows the version had seen in training; in no cell.
    pub in_training: u64,
    /// Predictions in force that still wait for a label.
    pub pending: u64,
    /// Predictions whose label horizon passed without a label.
    pub expired: u64,
    /// Of `expired`: rows that count as negative by policy.
    pub assumed: u64,
    /// Predictions not in force: another with the same id has a lesser coordinate.
    pub repeated: u64,
    /// Predictions beyond the bound on rows held of one event partition: in no other number.
    pub predictions_overflow: u64,
    /// Labels seen, one per label coordinate.
    pub labels: u64,
    /// Labels in force, joined to a prediction.
    pub labels_joined: u64,
    /// Labels whose prediction may still come.
    pub waiting: u64,
    /// Labels without prediction although the event watermark has passed their time.
    pub orphan: u64,
    /// Labels that say the same as the one in force.
    pub duplicate: u64,
    /// Labels replaced by, or losing to, another value.
    pub corrected: u64,
    /// Labels beyond the horizon.
    pub late: u64,
    /// Labels beyond the bound on rows held of one label partition: not used at all.
    pub labels_overflow: u64,
}

impl JoinCounters {
    /// Adds another partition's balance.
    pub fn add(&mut self, other: &Self) {
        self.predictions += other.predictions;
        self.joined += other.joined;
        self.in_training += other.in_training;
        self.pending += other.pending;
        self.expired += other.expired;
        self.assumed += other.assumed;
        self.repeated += other.repeated;
        self.predictions_overflow += other.predictions_overflow;
        self.labels += other.labels;
        self.labels_joined += other.labels_joined;
        self.waiting += other.waiting;
        self.orphan += other.orphan;
        self.duplicate += other.duplicate;
        self.corrected += other.corrected;
        self.late += other.late;
        self.labels_overflow += other.labels_overflow;
    }

    /// Whether both equations of the type's description hold.
    #[must_use]
    pub fn balances(&self) -> bool {
        let predictions = self.joined + self.pending + self.expired + self.repeated + self.predictions_overflow;
        let labels = self.labels_joined + self.waiting + self.orphan + self.duplicate + self.corrected + self.late;
        self.predictions == predictions && self.labels == labels + self.labels_overflow
    }
}

impl Marker {
    /// A marker of an event partition.
    #[must_use]
    pub fn events(source: SourcePartition, watermark: domain::time::Watermark) -> Self {
        Self { kind: StreamKind::Events, source, watermark }
    }

    /// A marker of a label partition.
    #[must_use]
    pub fn labels(source: SourcePartition, watermark: domain::time::Watermark) -> Self {
        Self { kind: StreamKind::Labels, source, watermark }
    }
}

/// How a retraining run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Number of the run.
    pub run: u64,
    /// Number of the attempt.
    pub attempt: u32,
    /// The outcome.
    pub outcome: RunOutcome,
}

/// Outcome of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RunOutcome {
    /// A challenger was trained and stored.
    Trained(Challenger),
    /// The process failed or found too little data.
    Failed {
        /// What happened, for a person.
        reason: String,
    },
}

/// What a run made, and what the gate says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Challenger {
    /// Its bundle.
    pub version: Version,
    /// Family of the chosen candidate.
    pub family: String,
    /// Event times before this were seen in training.
    pub trained_until_ms: i64,
    /// Rows of the final fit.
    pub rows: u64,
    /// Its loss on the validation fold.
    pub reference: HarmReference,
    /// Whether it passed the gate.
    pub passed: bool,
    /// Why, gate by gate: `name: verdict (numbers)`.
    pub verdicts: Vec<String>,
    /// Mean loss of challenger and champion on the fold, and the standard error of the difference.
    pub challenger_loss: f64,
    /// See `challenger_loss`.
    pub champion_loss: Option<f64>,
    /// See `challenger_loss`.
    pub difference_standard_error: Option<f64>,
}

/// A request to the judge. A command whose id was seen before is ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Chosen by whoever asks.
    pub id: String,
    /// Obeyed only while this is the champion.
    pub if_champion: Option<Version>,
    /// What is asked.
    pub action: Action,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Make a stored version the champion. Also how the first champion comes in.
    Promote {
        /// The version.
        version: Version,
        /// Its manifest's `trained_until`.
        trained_until_ms: i64,
        /// Its manifest's reference loss.
        reference: HarmReference,
        /// Mature rows of its training: n0 if it is the first champion.
        rows: u64,
    },
    /// Bring back the champion before this one.
    RollBack,
    /// Start a retraining run.
    Retrain,
}
