//! Windows by label time: how the model does on the rows whose labels have just come.
//!
//! A row counts once, in the slice of its first label's time and with that label, whatever event it
//! is of. So the newest such window is as fresh as labels are, while that of the events' time waits for
//! the last of them. Where delay depends on the outcome it is biased; tests look at event time.
//!
//! It is written when its labels are here, and once as final: when every row that they may be about is
//! settled, which takes two horizons and a slice.

use crate::config::Config;
use crate::emit;
use crate::error::Error;
use crate::intake::{CELLS_MAX, SLICES_MAX};
use crate::judge::Turn;
use crate::windows::{ALL, span};
use domain::Version;
use measure::Cell;
use records::journal::ArrivedCell;
use records::window::{Clock, Window};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Rows whose first label lies in one slice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Arrivals {
    /// By segment, promotion and version.
    cells: BTreeMap<(String, u64, Version), Cell>,
    /// The window was written before it is final.
    shown: bool,
}

impl Arrivals {
    /// Versions that scored the rows.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &Version> {
        self.cells.keys().map(|(_, _, version)| version)
    }
}

impl Turn<'_> {
    /// Takes a cell into the slice of its labels.
    pub(crate) fn arrive(&mut self, arrived: &ArrivedCell<Cell>) {
        let joined = &arrived.joined;
        // Tests look at event time.
        let cell = joined.cell.clone().without_tests();
        let key = (joined.segment.clone(), joined.promotion, joined.version.clone());
        let is_ours = joined.cell.shape() == self.config.shape;
        let place = if is_ours { self.arrivals(arrived.arrived_slice_start_ms) } else { None };
        let is_taken = match place.map(|place| (place.cells.len() < CELLS_MAX, place.cells.entry(key))) {
            Some((_, Entry::Occupied(mut sum))) => {
                sum.get_mut().merge(&cell);
                true
            }
            Some((true, Entry::Vacant(vacant))) => {
                vacant.insert(cell);
                true
            }
            _ => false,
        };
        if !is_taken {
            self.out.count("vigie.judge.beyond_bounds", joined.cell.served.rows().unsigned_abs().max(1));
        }
    }

    fn arrivals(&mut self, start_ms: i64) -> Option<&mut Arrivals> {
        let state = &mut *self.state;
        let is_slice = self.config.slices.start(start_ms) == start_ms;
        let end_ms = self.config.slices.end(start_ms);
        if !is_slice || state.arrivals_final_until_ms.is_some_and(|until| end_ms <= until) {
            return None;
        }
        let has_room = state.arrivals.len() < SLICES_MAX;
        match state.arrivals.entry(start_ms) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(place) => has_room.then(|| place.insert(Arrivals::default())),
        }
    }

    /// Writes the windows whose labels are here, and those that nothing will change any more.
    pub(crate) fn show_arrivals(&mut self) -> Result<(), Error> {
        let Some(arrived_until_ms) = self.state.clock.arrived_until_ms() else { return Ok(()) };
        let final_until_ms = settled_ms(arrived_until_ms, self.config);
        while let Some(start_ms) = self.state.arrivals.first_key_value().map(|(start, _)| *start)
            && self.config.slices.end(start_ms) <= final_until_ms
        {
            let Some(known) = self.state.arrivals.remove(&start_ms) else { break };
            self.write_arrivals(start_ms, &known, true)?;
        }
        self.state.arrivals_final_until_ms = self.state.arrivals_final_until_ms.max(Some(final_until_ms));
        let is_due = |start: i64, known: &Arrivals| !known.shown && self.config.slices.end(start) <= arrived_until_ms;
        let due: Vec<i64> =
            self.state.arrivals.iter().filter(|(s, known)| is_due(**s, known)).map(|(s, _)| *s).collect();
        for start_ms in due {
            let Some(mut known) = self.state.arrivals.remove(&start_ms) else { continue };
            known.shown = true;
            let written = self.write_arrivals(start_ms, &known, false);
            self.state.arrivals.insert(start_ms, known);
            written?;
        }
        Ok(())
    }

    fn write_arrivals(&mut self, start_ms: i64, arrivals: &Arrivals, is_final: bool) -> Result<(), Error> {
        let slices = self.config.slices;
        let newest = arrivals.cells.keys().max_by_key(|(_, promotion, version)| (*promotion, version.clone()));
        let newest = newest.map(|(_, _, version)| version.clone());
        let mut sums: BTreeMap<(&str, &str), Cell> = BTreeMap::new();
        for ((segment, _, version), cell) in &arrivals.cells {
            for version in [ALL, version.as_str()] {
                sums.entry((segment.as_str(), version)).or_insert_with(|| Cell::empty(self.config.shape)).merge(cell);
            }
        }
        let cells = arrivals.cells.iter().map(|((segment, _, version), cell)| (segment.as_str(), version, cell));
        let mut intervals = self.intervals(cells);
        for ((segment, version), cell) in sums {
            let Ok(rows @ 1..) = u64::try_from(cell.served.rows()) else { continue };
            let rates_of = if version == ALL { newest.clone() } else { Some(Version::new(version)) };
            let (mut metrics, baselines) = self.measured(rates_of.as_ref(), &cell);
            metrics.extend(intervals.remove(&(segment, version)).unwrap_or_default());
            let record = Window {
                window: span(start_ms, slices.end(start_ms)),
                clock: Clock::LabelTime,
                segment: segment.to_owned(),
                version: version.to_owned(),
                r#final: is_final,
                rows,
                labelled: rows,
                after_final: 0,
                metrics,
                baselines,
                drift: BTreeMap::new(),
                joint: None,
                coverage: None,
                assumed: 0,
                maturity: Vec::new(),
                estimated: BTreeMap::new(),
                weighted: BTreeMap::new(),
                realised_minus_estimated: BTreeMap::new(),
            };
            emit::window(self.out, &record, slices.length_ms)?;
        }
        Ok(())
    }
}

/// Until where, by label time, nothing changes any more. A label speaks of events up to a horizon after
/// it, and the slice of the last of them is final another horizon after its end.
fn settled_ms(arrived_until_ms: i64, config: &Config) -> i64 {
    let (horizon, slice) = (config.horizon_ms, config.slices.length_ms);
    arrived_until_ms.saturating_sub(horizon.saturating_mul(2)).saturating_sub(slice)
}
