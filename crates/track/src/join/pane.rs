//! Cells of one step: what labelled rows add to them, and what corrections take away.

use super::blocks::Row;
use super::entry::Joined;
use super::groups::Scores;
use super::history::History;
use super::names::{ALL, Names};
use crate::rules::Rules;
use measure::{Cell, Shape};
use records::age::AGE_BINS;
use records::journal::{Coverage, JoinCell, Phase};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    slice_start_ms: i64,
    phase: Phase,
    segment: u32,
    promotion: u64,
    version: u32,
}

/// What a row's cells need beside the row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// None if the row is closed.
    pub(crate) scores: Option<Scores<'a>>,
    /// For the last label known at the row's time.
    pub(crate) history: &'a History,
}

/// Cells of one step. Few, whatever the number of rows: their keys are slices, not ids.
#[derive(Debug)]
pub(crate) struct Pane {
    shape: Shape,
    cells: BTreeMap<Key, Cell>,
    coverage: BTreeMap<i64, Covered>,
}

/// Changes of one slice's coverage.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Covered {
    predictions: i64,
    assumed: i64,
    ages: [i64; AGE_BINS as usize],
}

impl Pane {
    /// No cells.
    pub(crate) fn new(shape: Shape) -> Self {
        Self { shape, cells: BTreeMap::new(), coverage: BTreeMap::new() }
    }

    /// Replaces what a row has in the cells: mature and late sums stay exact differences.
    pub(crate) fn replace(&mut self, rules: &Rules, row: &Row, known: Known<'_>, was: Joined, now: Joined) {
        let Some(scores) = known.scores.filter(|_| was != now) else { return };
        let last_label = known.history.last_at(row.time_ms);
        let mut add = |phase, label: Option<f64>, sign| {
            if let Some(label) = label {
                self.add(rules, row, (scores, last_label), phase, label, sign);
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

    fn add(
        &mut self,
        rules: &Rules,
        row: &Row,
        (scores, last_label): (Scores<'_>, Option<f64>),
        phase: Phase,
        label: f64,
        sign: i64,
    ) {
        let Some(served) = scores.served() else { return };
        let (promotion, version) = scores.promotion();
        let slice_start_ms = rules.slices.start(row.time_ms);
        let all = measure::Row {
            served,
            frozen: scores.frozen(row.time_ms),
            previous: scores.previous(row.time_ms),
            label,
            last_label,
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

    /// A prediction is in force (1) or no more (−1).
    pub(crate) fn cover(&mut self, rules: &Rules, row: &Row, predictions: i64) {
        self.coverage.entry(rules.slices.start(row.time_ms)).or_default().predictions += predictions;
    }

    /// A prediction counts as negative.
    pub(crate) fn assume(&mut self, rules: &Rules, row: &Row) {
        self.coverage.entry(rules.slices.start(row.time_ms)).or_default().assumed += 1;
    }

    /// The age of a prediction's first label changes.
    pub(crate) fn age(&mut self, rules: &Rules, row: &Row, was: Option<u8>, now: Option<u8>) {
        if was == now {
            return;
        }
        let ages = &mut self.coverage.entry(rules.slices.start(row.time_ms)).or_default().ages;
        for (bin, change) in [(was, -1), (now, 1)] {
            if let Some(count) = bin.and_then(|bin| ages.get_mut(usize::from(bin))) {
                *count += change;
            }
        }
    }

    /// Coverage of the slices in which anything changed, by slice.
    pub(crate) fn coverage(&self) -> Vec<Coverage> {
        let changed = self.coverage.iter().filter(|(_, covered)| **covered != Covered::default());
        let of_slice = |(slice_start_ms, covered): (&i64, &Covered)| Coverage {
            slice_start_ms: *slice_start_ms,
            predictions: covered.predictions,
            assumed: covered.assumed,
            ages: (0..).zip(covered.ages).filter(|(_, count)| *count != 0).collect(),
        };
        changed.map(of_slice).collect()
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
