//! How what the table holds under one event id counts.

use super::blocks::Row;
use super::labels::Label;
use crate::rules::{Relation, Rules};
use records::age::age_bin;
use records::journal::{JoinCounters, Phase};

/// What an id adds to the cells.
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

/// Where an id stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Standing {
    /// Counts that may still change.
    pub(crate) counts: JoinCounters,
    /// Its part in the cells.
    pub(crate) joined: Joined,
    /// Age bin of the first label in time.
    pub(crate) age: Option<u8>,
}

/// What is known of a row beside the row itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Labels with an earlier time wait no more.
    pub(crate) orphans_before_ms: i64,
    /// Rows with an earlier time take part in cells.
    pub(crate) ripe_before_ms: i64,
    /// Rows with an earlier time were seen in training: in no cell.
    pub(crate) trained_until_ms: i64,
}

impl Rules {
    /// Whether a label is about no prediction that is still open.
    pub(crate) fn is_unmatched(&self, row: Option<&Row>, label: &Label) -> bool {
        match row {
            Some(row) if !row.closed => {
                self.relation(row.time_ms, label.time_ms, label.watermark_ms) == Relation::Apart
            }
            _ => true,
        }
    }

    /// Where an id with these labels, from the greatest to the least, stands.
    pub(crate) fn standing(&self, row: Option<&Row>, labels: impl Iterator<Item = Label>, moment: Moment) -> Standing {
        let mut counts = JoinCounters::default();
        let open = row.filter(|row| !row.closed);
        let (mut joined, mut first_ms) = (Joined::NONE, None);
        for label in labels {
            let relation =
                open.map_or(Relation::Apart, |row| self.relation(row.time_ms, label.time_ms, label.watermark_ms));
            match (relation, open) {
                (Relation::InTime, Some(row)) => {
                    match joined.last {
                        None => counts.labels_joined += 1,
                        Some(value) if value == label.value => counts.duplicate += 1,
                        Some(_) => counts.corrected += 1,
                    }
                    first_ms = Some(label.time_ms);
                    joined.last = joined.last.or(Some(label.value));
                    if self.phase(row.time_ms, label.time_ms) == Phase::Mature {
                        joined.mature = joined.mature.or(Some(label.value));
                    }
                }
                (Relation::Late, _) => counts.late += 1,
                _ if label.time_ms < moment.orphans_before_ms => counts.orphan += 1,
                _ => counts.waiting += 1,
            }
        }
        let nothing = Joined::NONE;
        let Some(row) = open else { return Standing { counts, joined: nothing, age: None } };
        let Some(first_ms) = first_ms else {
            counts.pending += 1;
            return Standing { counts, joined: nothing, age: None };
        };
        counts.joined += 1;
        let in_training = row.time_ms < moment.trained_until_ms;
        counts.in_training += u64::from(in_training);
        let takes_part = row.time_ms < moment.ripe_before_ms && !in_training;
        let age = Some(age_bin(first_ms.saturating_sub(row.time_ms)));
        Standing { counts, joined: if takes_part { joined } else { nothing }, age }
    }
}
