//! `p.control`: decisions, as readable JSON. Compacted by key.

use crate::journal::RunReport;
use domain::{LineUp, Version};
use serde::{Deserialize, Serialize};

/// A record of `p.control`. Its key is [`Control::key`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Control {
    /// A line-up to take effect.
    Promotion(Promotion),
    /// A partition took a line-up up at an offset.
    Swap(Swap),
    /// A retraining run and where it stands.
    Run(Run),
    /// How far the judge has come: the design's J.
    Progress {
        /// End of the newest slice that was judged, epoch milliseconds.
        judged_until_ms: i64,
    },
    /// Where an alias points.
    Alias {
        /// Its name.
        alias: String,
        /// The version.
        version: Version,
    },
}

impl Control {
    /// The record's key.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Promotion(p) => format!("promotion/{}", p.line_up.promotion),
            Self::Swap(s) => format!("swap/{}/{}/{}", s.topic, s.partition, s.from_offset),
            Self::Run(r) => format!("run/{}", r.run),
            Self::Progress { .. } => "progress".to_owned(),
            Self::Alias { alias, .. } => format!("alias/{alias}"),
        }
    }
}

/// Why a line-up changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromotionCause {
    /// The first champion.
    First,
    /// A run's challenger passed the gate.
    Run,
    /// The paired test found the champion worse than the one it replaced.
    RollBack,
    /// Somebody asked for it.
    Command,
    /// Probation ended well: the replaced champion leaves the line-up.
    ProbationEnded,
}

/// A decided line-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promotion {
    /// Why.
    pub cause: PromotionCause,
    /// A partition takes it up at its first event not before this stream time (epoch
    /// milliseconds), or with its next transaction if it has passed that. `None`: at once.
    pub effective_from_ms: Option<i64>,
    /// The line-up; `line_up.promotion` is the promotion's number, counted from 1.
    pub line_up: LineUp,
    /// The run whose challenger it is.
    pub run: Option<u64>,
    /// Stream time up to which the judge had judged.
    pub decided_at_ms: Option<i64>,
    /// The numbers behind the decision, for a person.
    pub reasons: Vec<String>,
}

/// Written in the transaction of the first prediction under a line-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Swap {
    /// Event topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// First offset under the new line-up.
    pub from_offset: i64,
    /// Number of the promotion.
    pub promotion: u64,
    /// The new champion.
    pub version: Version,
    /// The champion before, if there was one.
    pub previous: Option<Version>,
    /// Event time of that first event.
    pub time_ms: i64,
}

/// What proposed a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The quick harm monitor alarmed.
    Harm,
    /// Rows since a change have doubled.
    FollowUp,
    /// Enough new mature rows.
    NewLabels,
    /// A schedule.
    Schedule,
    /// A command.
    Command,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Ordered; waits until the archive has passed the cut-off.
    Snapshot,
    /// Its process has been ordered.
    Training,
    /// The gate refused the challenger.
    Refused,
    /// The challenger was promoted.
    Promoted,
    /// It ended without a challenger.
    Failed,
}

/// A retraining run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its number, counted from 1.
    pub run: u64,
    /// Number of the attempt.
    pub attempt: u32,
    /// What proposed it.
    pub trigger: Trigger,
    /// Where it stands.
    pub state: RunState,
    /// Cut-off J: rows of slices ending at or before it, labels before it plus `maturity`.
    pub cut_off_ms: i64,
    /// Estimated stream time of the change, if a monitor named one.
    pub change_ms: Option<i64>,
    /// Mature rows since that change.
    pub rows_since_change: Option<u64>,
    /// n0: the mature rows of the first training.
    pub first_rows: u64,
    /// The champion when it was ordered.
    pub champion: Version,
    /// How it ended.
    pub report: Option<RunReport>,
}
