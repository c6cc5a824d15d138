//! What the table holds under one event id, and how it counts.

use super::sources::{Coordinate, Sources};
use crate::rules::{Relation, Rules};
use records::journal::{JoinCounters, Phase};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Labels kept of one id. A bound on what a constant id column can cost: beyond it the one with
/// the least (label time, coordinate) is forgotten and counted `corrected`.
pub(crate) const LABELS_PER_ID: usize = 256;

/// The prediction in force of an id.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Event time.
    pub(crate) time_ms: i64,
    /// Where the event stands.
    pub(crate) at: Coordinate,
    /// Line-up that scored it: a number of `Groups`.
    pub(crate) group: u32,
    /// Place of its scores in the group.
    pub(crate) slot: u32,
    /// The label watermark has passed its time: it takes part in cells.
    pub(crate) ripe: bool,
    /// Its slice is final: its counts are settled, its scores gone.
    pub(crate) closed: bool,
    /// The version had seen it in training: in no cell.
    pub(crate) in_training: bool,
    /// The last label known at its event time; set when it becomes ripe.
    pub(crate) last_label: Option<f64>,
}

/// One label.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Label {
    /// Label time.
    pub(crate) time_ms: i64,
    /// Where it stands.
    pub(crate) at: Coordinate,
    /// What its partition had marked before it.
    pub(crate) watermark_ms: i64,
    /// The label.
    pub(crate) value: f64,
}

/// Labels of an id, from the least (label time, coordinate) to the greatest. Nearly every id has
/// one, which needs no allocation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) enum Labels {
    /// None.
    #[default]
    None,
    /// One.
    One(Label),
    /// More.
    Many(Vec<Label>),
}

/// All that is known of an id.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The prediction in force.
    pub(crate) row: Option<Row>,
    /// Its labels, and those that are not about it.
    pub(crate) labels: Labels,
}

/// What an entry adds to the cells.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Joined {
    /// The label in force as of maturity.
    pub(crate) mature: Option<f64>,
    /// The label in force.
    pub(crate) last: Option<f64>,
}

impl Joined {
    /// Nothing.
    pub(crate) const NONE: Self = Self { mature: None, last: None };

    /// What the phase `Late` carries: the exact difference that makes mature + late the truth.
    pub(crate) fn late(self) -> Self {
        if self.mature == self.last { Self::NONE } else { self }
    }
}

impl Labels {
    /// From the least to the greatest.
    pub(crate) fn as_slice(&self) -> &[Label] {
        match self {
            Self::None => &[],
            Self::One(label) => std::slice::from_ref(label),
            Self::Many(labels) => labels,
        }
    }

    /// Adds one; gives back how many were forgotten to keep the bound (0 or 1).
    pub(crate) fn insert(&mut self, label: Label, sources: &Sources) -> u64 {
        let mut all = match std::mem::take(self) {
            Self::None => {
                *self = Self::One(label);
                return 0;
            }
            Self::One(first) => vec![first],
            Self::Many(labels) => labels,
        };
        let place = all.partition_point(|known| {
            let order = known.time_ms.cmp(&label.time_ms).then_with(|| sources.order(known.at, label.at));
            order == Ordering::Less
        });
        all.insert(place, label);
        let forgotten = all.len() > LABELS_PER_ID;
        if forgotten {
            all.remove(0);
        }
        *self = Self::Many(all);
        u64::from(forgotten)
    }

    /// Keeps those the condition holds for.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Label) -> bool) {
        *self = match std::mem::take(self) {
            Self::One(label) if keep(&label) => Self::One(label),
            Self::Many(mut labels) => {
                labels.retain(|label| keep(label));
                match labels.as_slice() {
                    [] => Self::None,
                    [one] => Self::One(*one),
                    _ => Self::Many(labels),
                }
            }
            Self::None | Self::One(_) => Self::None,
        };
    }
}

impl Entry {
    /// Whether a label is about no prediction that is still open.
    pub(crate) fn is_unmatched(&self, label: &Label, rules: &Rules) -> bool {
        match &self.row {
            Some(row) if !row.closed => {
                rules.relation(row.time_ms, label.time_ms, label.watermark_ms) == Relation::Apart
            }
            _ => true,
        }
    }

    /// Counts of this id that may still change, and its part in the cells. Labels older than
    /// `orphans_before_ms` wait no more.
    pub(crate) fn standing(&self, rules: &Rules, orphans_before_ms: i64) -> (JoinCounters, Joined) {
        let mut counts = JoinCounters::default();
        let open = self.row.as_ref().filter(|row| !row.closed);
        let mut joined = Joined::NONE;
        for label in self.labels.as_slice().iter().rev() {
            let relation =
                open.map_or(Relation::Apart, |row| rules.relation(row.time_ms, label.time_ms, label.watermark_ms));
            match (relation, open) {
                (Relation::InTime, Some(row)) => {
                    match joined.last {
                        None => counts.labels_joined += 1,
                        Some(value) if value == label.value => counts.duplicate += 1,
                        Some(_) => counts.corrected += 1,
                    }
                    joined.last = joined.last.or(Some(label.value));
                    if rules.phase(row.time_ms, label.time_ms) == Phase::Mature {
                        joined.mature = joined.mature.or(Some(label.value));
                    }
                }
                (Relation::Late, _) => counts.late += 1,
                _ if label.time_ms < orphans_before_ms => counts.orphan += 1,
                _ => counts.waiting += 1,
            }
        }
        let Some(row) = open else { return (counts, Joined::NONE) };
        if joined.last.is_none() {
            counts.pending += 1;
            return (counts, Joined::NONE);
        }
        counts.joined += 1;
        counts.in_training += u64::from(row.in_training);
        (counts, if row.ripe && !row.in_training { joined } else { Joined::NONE })
    }
}
