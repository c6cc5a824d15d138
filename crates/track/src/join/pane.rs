//! Cells of one step: what labelled rows add to them, and what corrections take away.

use super::blocks::Row;
use super::entry::{Joined, Term};
use super::groups::Scores;
use super::history::History;
use super::names::{ALL, Names};
use crate::rules::Rules;
use domain::{Fingerprint, Task};
use measure::{Cell, ExactScores, ScoreCount, Shape};
use records::age::AGE_BINS;
use records::example::Losses;
use records::journal::{ArrivedCell, Coverage, EXACT_SCORES_MAX, ExactCell, JoinCell, LossCell, Phase};
use std::cmp::Ordering;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    slice_start_ms: i64,
    phase: Phase,
    segment: u32,
    promotion: u64,
    version: u32,
    arrived_ms: Option<i64>,
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
    /// By slice and version.
    losses: BTreeMap<(i64, u32), Losses>,
    /// The place sampled last, and the greatest fingerprint of its full sample: it only falls.
    sampled: Option<((i64, u32), Fingerprint)>,
    /// By slice, phase and version; none unless areas are to be exact.
    exact: Option<BTreeMap<(i64, Phase, u32), ExactScores>>,
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
    pub(crate) fn new(shape: Shape, exact_areas: bool) -> Self {
        let exact = exact_areas.then(BTreeMap::new);
        Self { shape, cells: BTreeMap::new(), coverage: BTreeMap::new(), losses: BTreeMap::new(), sampled: None, exact }
    }

    /// Replaces what a row has in the cells: mature and late sums stay exact differences.
    pub(crate) fn replace(&mut self, rules: &Rules, row: &Row, known: Known<'_>, was: Joined, now: Joined) {
        let Some(scores) = known.scores.filter(|_| was != now) else { return };
        let last_label = known.history.last_at(row.time_ms);
        let (was, now) = (was.terms(rules.slices), now.terms(rules.slices));
        for (was, now) in was.into_iter().zip(now).filter(|(was, now)| was != now) {
            let taken = was.map(|term| Term { sign: -term.sign, ..term });
            for term in [taken, now].into_iter().flatten() {
                self.add(rules, row, (scores, last_label), term);
            }
        }
    }

    fn add(
        &mut self,
        rules: &Rules,
        row: &Row,
        (scores, last_label): (Scores<'_>, Option<f64>),
        Term { phase, arrived_ms, label, sign }: Term,
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
        if phase == Phase::Mature {
            self.sample(row, slice_start_ms, version, &all, sign);
        }
        if let Some(exact) = &mut self.exact {
            let scores = exact.entry((slice_start_ms, phase, version)).or_default();
            scores.add(self.shape, served, label, sign);
        }
        // Harm and paired tests look at all rows together; segments need neither.
        let part = measure::Row { previous: None, harm: None, ..all };
        let mut key = Key { slice_start_ms, phase, segment: ALL, promotion, version, arrived_ms };
        let shape = self.shape;
        self.cells.entry(key).or_insert_with(|| Cell::empty(shape)).add(&all, sign);
        for segment in scores.segments() {
            key.segment = *segment;
            self.cells.entry(key).or_insert_with(|| Cell::empty(shape)).add(&part, sign);
        }
    }

    /// The loss of a row that tests look at, for whoever asks for examples.
    fn sample(&mut self, row: &Row, slice_start_ms: i64, version: u32, labelled: &measure::Row<'_>, sign: i64) {
        let scale = match labelled.harm {
            Some(harm) => harm.scale,
            // Without a scale there is no loss.
            None if self.shape.task == Task::Regression => return,
            None => 1.0,
        };
        let place = (slice_start_ms, version);
        if self.sampled.is_some_and(|(of, last)| of == place && row.id > last) {
            return;
        }
        let losses = self.losses.entry(place).or_default();
        self.sampled = losses.last_of_full().map(|last| (place, last));
        if losses.takes(row.id) {
            losses.add(row.id, measure::loss(self.shape, labelled.served, labelled.label, scale), sign);
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

    /// Losses of sampled rows, sorted by slice and version.
    pub(crate) fn take_losses(&mut self, names: &Names) -> Vec<LossCell> {
        let of_place = |((slice_start_ms, version), losses)| {
            let version = domain::Version::new(names.name(version));
            LossCell { slice_start_ms, version, losses }
        };
        let mut cells: Vec<LossCell> = std::mem::take(&mut self.losses).into_iter().map(of_place).collect();
        cells.sort_by(|a, b| (a.slice_start_ms, &a.version).cmp(&(b.slice_start_ms, &b.version)));
        cells
    }

    /// Scores of labelled rows, sorted by slice, phase and version, in cells of a bounded size.
    pub(crate) fn take_exact(&mut self, names: &Names) -> Vec<ExactCell<ScoreCount>> {
        let mut cells = Vec::new();
        for ((slice_start_ms, phase, version), scores) in self.exact.take().unwrap_or_default() {
            let version = domain::Version::new(names.name(version));
            let counts: Vec<ScoreCount> = scores.counts().collect();
            let cell = |part: &[ScoreCount]| ExactCell {
                slice_start_ms,
                phase,
                version: version.clone(),
                scores: part.to_vec(),
            };
            cells.extend(counts.chunks(EXACT_SCORES_MAX).map(cell));
        }
        // Versions have numbers in order of arrival; those of one are in the order of scores.
        cells.sort_by(|a, b| (a.slice_start_ms, a.phase, &a.version).cmp(&(b.slice_start_ms, b.phase, &b.version)));
        cells
    }

    /// The cells that hold anything, sorted by (slice, phase, segment, promotion, version) and then the
    /// slice of arrival: those of rows that only changed, and those of rows that arrived.
    pub(crate) fn into_cells(self, names: &Names) -> (Vec<JoinCell<Cell>>, Vec<ArrivedCell<Cell>>) {
        let (mut changed, mut arrived) = (Vec::new(), Vec::new());
        for (key, cell) in self.cells.into_iter().filter(|(_, cell)| !cell.is_empty()) {
            let joined = JoinCell {
                slice_start_ms: key.slice_start_ms,
                phase: key.phase,
                segment: names.name(key.segment).to_owned(),
                promotion: key.promotion,
                version: domain::Version::new(names.name(key.version)),
                cell,
            };
            match key.arrived_ms {
                None => changed.push(joined),
                Some(arrived_slice_start_ms) => arrived.push(ArrivedCell { arrived_slice_start_ms, joined }),
            }
        }
        // Numbers were given in order of arrival; the record's order must not depend on that.
        changed.sort_by(by_place);
        arrived.sort_by(|a, b| {
            by_place(&a.joined, &b.joined).then_with(|| a.arrived_slice_start_ms.cmp(&b.arrived_slice_start_ms))
        });
        (changed, arrived)
    }
}

fn by_place(a: &JoinCell<Cell>, b: &JoinCell<Cell>) -> Ordering {
    let by_time = (a.slice_start_ms, a.phase).cmp(&(b.slice_start_ms, b.phase));
    let by_segment = by_time.then_with(|| a.segment.cmp(&b.segment));
    by_segment.then_with(|| (a.promotion, &a.version).cmp(&(b.promotion, &b.version)))
}
