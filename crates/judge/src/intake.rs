//! Journal records into slices, the clock and the state of decisions.

use crate::error::Error;
use crate::judge::Turn;
use crate::state::{CellKey, Slice};
use domain::Version;
use measure::{Cell, ChildSums, Expected, Forecast, ScoreCount};
use profile::{Counts, MeanVector};
use records::journal::{Command, ExpectedCell, JoinCell, JoinPane, Journal, ScorePane, SegmentCell};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// A record of the journal as the judge reads it.
pub(crate) type Record = Journal<Counts, Cell, Expected, ChildSums, MeanVector, ScoreCount>;

/// Most slices that are open at a time; rows of more are counted and left out.
pub(crate) const SLICES_MAX: usize = 10_000;
/// Most cells of a slice (segments × versions × promotions × phases); likewise.
pub(crate) const CELLS_MAX: usize = 20_000;

/// Versions that a record brings rows of.
pub(crate) fn versions(record: &Record) -> BTreeSet<Version> {
    match record {
        Journal::ScorePane(pane) => pane.cells.iter().map(|c| c.version.clone()).collect(),
        Journal::JoinPane(pane) => pane.cells.iter().map(|c| c.version.clone()).collect(),
        Journal::Arrived(pane) => pane.cells.iter().map(|c| c.joined.version.clone()).collect(),
        Journal::Expected(pane) => pane.cells.iter().map(|c| c.version.clone()).collect(),
        Journal::ExpectedErrors(pane) => pane.cells.iter().map(|c| c.version.clone()).collect(),
        Journal::Segments(pane) => pane.cells.iter().map(|c| c.version.clone()).collect(),
        Journal::Examples(pane) => pane.cells.iter().map(|c| c.version.clone()).collect(),
        Journal::Kernel(pane) => pane.cells.iter().map(|c| c.version.clone()).collect(),
        // These need nothing of a version that is not known: they are told by their ids.
        _ => BTreeSet::new(),
    }
}

impl Turn<'_> {
    pub(crate) fn admit(&mut self, record: Record) -> Result<(), Error> {
        if self.is_passed_over(&record) {
            return Ok(());
        }
        match record {
            Journal::ScorePane(pane) => self.admit_scored(pane),
            Journal::JoinPane(pane) => self.admit_joined(pane),
            Journal::Arrived(pane) => pane.cells.into_iter().for_each(|cell| {
                self.arrive(&cell);
                self.admit_cell(cell.joined);
            }),
            Journal::Expected(pane) => pane.cells.into_iter().for_each(|c| self.admit_expected(c, Forecast::Classes)),
            Journal::ExpectedErrors(pane) => {
                pane.cells.into_iter().for_each(|c| self.admit_expected(c, Forecast::Errors))
            }
            Journal::Segments(pane) => pane.cells.into_iter().for_each(|cell| self.admit_segment(cell)),
            Journal::Examples(pane) => pane.cells.into_iter().for_each(|cell| self.admit_examples(cell)),
            Journal::Kernel(pane) => pane.cells.into_iter().for_each(|cell| self.admit_together(cell)),
            Journal::Sample(pane) => pane.cells.into_iter().for_each(|cell| self.admit_sample(cell)),
            Journal::Exact(pane) => pane.cells.into_iter().for_each(|cell| self.admit_exact(cell)),
            Journal::Losses(pane) => pane.cells.into_iter().for_each(|cell| self.admit_losses(cell)),
            Journal::ScoreMarker { marker, .. } => self.state.clock.score_marker(&marker, self.config),
            Journal::JoinMarker(marker) => self.state.clock.join_marker(&marker, self.config),
            Journal::ArchiveMarker { marker } => self.state.clock.archive_marker(&marker),
            Journal::Acknowledged { source, promotion, fault } => self.acknowledged(source, promotion, fault)?,
            Journal::RunReport(report) => self.report(report)?,
            Journal::Command(command) => self.command(command)?,
            Journal::Gap(gap) => self.gap(&gap)?,
            // Schedules and deadlines will read these; statistics never do.
            Journal::Tick { .. } => {}
        }
        Ok(())
    }

    fn admit_scored(&mut self, pane: ScorePane<Counts>) {
        for cell in pane.cells {
            // Not even in the window: whether they come before or after its last record is chance.
            self.out.count("vigie.judge.after_final", cell.after_final);
            if cell.rows == 0 {
                continue;
            }
            let Some(slice) = self.slice(cell.slice_start_ms) else {
                self.out.count("vigie.judge.beyond_bounds", cell.rows);
                continue;
            };
            let scored = slice.scored.entry(cell.version).or_default();
            scored.rows = scored.rows.saturating_add(cell.rows);
            scored.profile.merge(&cell.profile);
        }
    }

    fn admit_joined(&mut self, pane: JoinPane<Cell>) {
        pane.cells.into_iter().for_each(|cell| self.admit_cell(cell));
        for change in &pane.coverage {
            // Rows beyond the bounds were counted with score's panes.
            if let Some(slice) = self.slice(change.slice_start_ms) {
                slice.coverage.merge(change);
            }
        }
    }

    fn admit_cell(&mut self, joined: JoinCell<Cell>) {
        let shape = self.config.shape;
        let rows = joined.cell.served.rows().unsigned_abs();
        let slice = if joined.cell.shape() == shape { self.slice(joined.slice_start_ms) } else { None };
        let Some(slice) = slice else {
            self.out.count("vigie.judge.beyond_bounds", rows.max(1));
            return;
        };
        let JoinCell { phase, segment, promotion, version, cell, .. } = joined;
        let key = CellKey { phase, segment, promotion, version };
        let has_room = slice.cells.len() < CELLS_MAX;
        match slice.cells.entry(key) {
            Entry::Occupied(mut sum) => sum.get_mut().merge(&cell),
            Entry::Vacant(place) if has_room => {
                place.insert(cell);
            }
            Entry::Vacant(_) => self.out.count("vigie.judge.beyond_bounds", rows.max(1)),
        }
    }

    fn admit_expected<E>(&mut self, cell: ExpectedCell<E>, kind: fn(E) -> Forecast) {
        let expected = kind(cell.expected);
        let rows = expected.rows().unsigned_abs();
        let slice = self.slice(cell.slice_start_ms);
        let place = (cell.segment, cell.version);
        let is_taken = match slice.map(|slice| (slice.expected.len() < CELLS_MAX, slice.expected.entry(place))) {
            Some((_, Entry::Occupied(mut sum))) => sum.get_mut().merge(&expected),
            Some((true, Entry::Vacant(vacant))) => {
                vacant.insert(expected);
                true
            }
            _ => false,
        };
        if !is_taken {
            self.out.count("vigie.judge.beyond_bounds", rows.max(1));
        }
    }

    fn admit_segment(&mut self, cell: SegmentCell<Counts>) {
        let rows = cell.profile.rows();
        let place = (cell.segment, cell.version);
        let slice = self.slice(cell.slice_start_ms);
        match slice.map(|slice| (slice.segments.len() < CELLS_MAX, slice.segments.entry(place))) {
            Some((_, Entry::Occupied(mut sum))) => sum.get_mut().merge(&cell.profile),
            Some((true, Entry::Vacant(vacant))) => drop(vacant.insert(cell.profile)),
            _ => self.out.count("vigie.judge.beyond_bounds", rows.max(1)),
        }
    }

    /// Whether a slice starts at a time whose window was not written for good.
    fn is_open(&self, start_ms: i64) -> bool {
        let end_ms = self.config.slices.end(start_ms);
        let is_slice = self.config.slices.start(start_ms) == start_ms;
        is_slice && self.state.final_until_ms.is_none_or(|until| end_ms > until)
    }

    /// Whether something of a slice is taken into what is kept beside the slices until windows are final:
    /// not for a window that was written for good, and not of too many.
    pub(crate) fn takes<T>(&self, kept: &BTreeMap<i64, T>, start_ms: i64) -> bool {
        self.is_open(start_ms) && (kept.len() < SLICES_MAX || kept.contains_key(&start_ms))
    }

    /// The slice that starts at a time, unless its window was written for good or there are too
    /// many. One that comes after its turn was judged without it: its rows show in windows only.
    pub(crate) fn slice(&mut self, start_ms: i64) -> Option<&mut Slice> {
        if !self.is_open(start_ms) {
            return None;
        }
        let end_ms = self.config.slices.end(start_ms);
        let state = &mut *self.state;
        let is_late = state.judged_until_ms.is_some_and(|judged| end_ms <= judged);
        let has_room = state.slices.len() < SLICES_MAX;
        match state.slices.entry(start_ms) {
            Entry::Occupied(slice) => Some(slice.into_mut()),
            Entry::Vacant(place) => has_room.then(|| place.insert(Slice { shown_closed: is_late, ..Slice::default() })),
        }
    }

    fn command(&mut self, command: Command) -> Result<(), Error> {
        if !self.state.is_new_command(&command.id) {
            return Ok(());
        }
        let champion = self.state.reign.as_ref().map(|reign| &reign.champion.version);
        if command.if_champion.as_ref().is_some_and(|expected| champion != Some(expected)) {
            self.out.count("vigie.judge.commands_not_obeyed", 1);
            return Ok(());
        }
        self.obey(command.action)
    }
}
