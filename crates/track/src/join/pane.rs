//! Cells of one step: what labelled rows add to them, and what corrections take away.

use super::entry::{Joined, Row};
use super::groups::Scores;
use super::names::{ALL, Names};
use crate::rules::Rules;
use measure::{Cell, Shape};
use records::journal::{JoinCell, Phase};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    slice_start_ms: i64,
    phase: Phase,
    segment: u32,
    promotion: u64,
    version: u32,
}

/// Cells of one step. Few, whatever the number of rows: their keys are slices, not ids.
#[derive(Debug)]
pub(crate) struct Pane {
    shape: Shape,
    cells: BTreeMap<Key, Cell>,
}

impl Pane {
    /// No cells.
    pub(crate) fn new(shape: Shape) -> Self {
        Self { shape, cells: BTreeMap::new() }
    }

    /// Replaces what a row has in the cells: mature and late sums stay exact differences.
    pub(crate) fn replace(&mut self, rules: &Rules, row: &Row, scores: Option<Scores<'_>>, was: Joined, now: Joined) {
        let Some(scores) = scores else { return };
        let mut add = |phase, label: Option<f64>, sign| {
            if let Some(label) = label {
                self.add(rules, row, scores, phase, label, sign);
            }
        };
        if was.mature != now.mature {
            add(Phase::Mature, was.mature, -1);
            add(Phase::Mature, now.mature, 1);
        }
        let (late_was, late_now) = (was.late(), now.late());
        if late_was != late_now {
            add(Phase::Late, late_was.last, -1);
            add(Phase::Late, late_was.mature, 1);
            add(Phase::Late, late_now.last, 1);
            add(Phase::Late, late_now.mature, -1);
        }
    }

    fn add(&mut self, rules: &Rules, row: &Row, scores: Scores<'_>, phase: Phase, label: f64, sign: i64) {
        let Some(served) = scores.served() else { return };
        let (promotion, version) = scores.promotion();
        let slice_start_ms = rules.slices.start(row.time_ms);
        let all = measure::Row {
            served,
            frozen: scores.frozen(row.time_ms),
            previous: scores.previous(row.time_ms),
            label,
            last_label: row.last_label,
            harm: scores.harm(),
        };
        // Harm and paired tests look at all rows together; segments need neither.
        let part = measure::Row { previous: None, harm: None, ..all };
        let mut key = Key { slice_start_ms, phase, segment: ALL, promotion, version };
        let shape = self.shape;
        self.cells.entry(key).or_insert_with(|| Cell::empty(shape)).add(&all, sign);
        for segment in scores.segments() {
            key.segment = *segment;
            self.cells.entry(key).or_insert_with(|| Cell::empty(shape)).add(&part, sign);
        }
    }

    /// The cells that hold anything, sorted by (slice, phase, segment, promotion, version).
    pub(crate) fn into_cells(self, names: &Names) -> Vec<JoinCell<Cell>> {
        let mut cells: Vec<JoinCell<Cell>> = self
            .cells
            .into_iter()
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(key, cell)| JoinCell {
                slice_start_ms: key.slice_start_ms,
                phase: key.phase,
                segment: names.name(key.segment).to_owned(),
                promotion: key.promotion,
                version: domain::Version::new(names.name(key.version)),
                cell,
            })
            .collect();
        // Numbers were given in order of arrival; the record's order must not depend on that.
        cells.sort_by(|a, b| {
            let key = |c: &JoinCell<Cell>| (c.slice_start_ms, c.phase);
            let by_time = key(a).cmp(&key(b)).then_with(|| a.segment.cmp(&b.segment));
            by_time.then_with(|| (a.promotion, &a.version).cmp(&(b.promotion, &b.version)))
        });
        cells
    }
}
