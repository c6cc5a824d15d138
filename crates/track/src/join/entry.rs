//! How what the table holds under one event id counts.

use super::blocks::Row;
use super::labels::Label;
use crate::rules::{Relation, Rules};
use domain::Slices;
use records::age::age_bin;
use records::journal::{JoinCounters, Phase};

/// What an id adds to the cells.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Joined {
    /// The label in force as of maturity.
    pub(crate) mature: Option<f64>,
    /// The label in force.
    pub(crate) last: Option<f64>,
    /// Time and value of the first label in time.
    pub(crate) first: Option<(i64, f64)>,
}

/// One term of the sums that a row is part of: mature + late is the label in force, and what has a
/// slice of arrival adds up to first labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Term {
    pub(crate) phase: Phase,
    /// Start of the slice of the first label.
    pub(crate) arrived_ms: Option<i64>,
    pub(crate) label: f64,
    pub(crate) sign: i64,
}

impl Joined {
    /// Nothing.
    pub(crate) const NONE: Self = Self { mature: None, last: None, first: None };

    /// What a row adds: almost always one term, which is its event's and its label's.
    pub(crate) fn terms(self, slices: Slices) -> [Option<Term>; 5] {
        let term = |phase, label: Option<f64>, sign| label.map(|label| Term { phase, arrived_ms: None, label, sign });
        // The exact difference that makes mature + late the truth.
        let late = if self.mature == self.last { Self::NONE } else { self };
        let mut terms = [
            term(Phase::Mature, self.mature, 1),
            term(Phase::Late, late.last, 1),
            term(Phase::Late, late.mature, -1),
            None,
            None,
        ];
        let Some((time_ms, value)) = self.first else { return terms };
        let arrived_ms = Some(slices.start(time_ms));
        match terms.iter_mut().flatten().find(|term| term.sign > 0 && term.label == value) {
            Some(term) => term.arrived_ms = arrived_ms,
            // The first label was corrected: it counts by its arrival, and nowhere else.
            None => {
                let arrived = Term { phase: Phase::Late, arrived_ms, label: value, sign: 1 };
                terms[3] = Some(arrived);
                terms[4] = Some(Term { arrived_ms: None, sign: -1, ..arrived });
            }
        }
        terms
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
        let mut joined = Joined::NONE;
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
                    joined.first = Some((label.time_ms, label.value));
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
        let Some((first_ms, _)) = joined.first else {
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
