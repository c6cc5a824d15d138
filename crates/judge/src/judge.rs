//! How decisions are made.
//!
//! Records of the journal are taken one by one, in their order. Panes are merged into slices,
//! markers move the clock, and each time the next slice is closed and mature it is judged, once:
//!
//! 1. its windows are written;
//! 2. its mature losses feed the two harm monitors (the slow one pages people, the quick one
//!    proposes a run) and, on probation, the paired test against the replaced champion;
//! 3. its realised errors are set against the estimated ones (concept drift names a cause, it
//!    decides nothing);
//! 4. the policy may order a retraining run, whose cut-off is J, the slice's end;
//! 5. J is told on `p.control`.
//!
//! Before that, when it closes and labels are still to come, its windows are written with what the
//! scores expect of themselves, and its profile is compared with the reference of the version that
//! scored it (drift explains, it decides nothing).
//!
//! J stands still while a promotion is not yet known to every event partition, and, in replays,
//! while a run is open: so what is decided at J + lead cannot have been passed by anyone.
//! A window is written when its slice closes, when it is judged, and exactly once as final; those by
//! label time when their labels are here, and as final (`arrivals`).
//!
//! Under an imposed swap table only 1 and 5 are done (`imposed`).

use crate::config::{Config, Known};
use crate::emit;
use crate::error::Error;
use crate::examples;
use crate::gaps;
use crate::intake::Record;
use crate::state::{Slice, State};
use crate::windows::Moment;
use domain::{Outputs, SourcePartition, Version};
use measure::{Cell, Labels};
use records::control::Control;
use records::journal::Phase;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Empty slices that are passed one by one; a longer gap in stream time is jumped over.
const GAP_SLICES_MAX: i64 = 1_000;

/// The stage. Its state is a function of the journal alone: a record waits until every version it
/// speaks of is [`Known`], and all after it wait with it.
#[derive(Debug)]
pub struct Judge {
    pub(crate) config: Config,
    pub(crate) known: BTreeMap<Version, Arc<Known>>,
    /// Versions without which the journal cannot be read on.
    pub(crate) missing: BTreeSet<Version>,
    pub(crate) journal: Option<Reading>,
}

/// The journal, as far as it was read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) source: SourcePartition,
    pub(crate) state: State,
    /// Records that were read and not yet taken, with their offsets.
    pub(crate) waiting: VecDeque<(i64, Option<Record>)>,
    /// What records below this offset make the judge say was said before.
    pub(crate) said_until: i64,
    /// An open run may have lost its process with the last judge.
    pub(crate) relaunch: bool,
}

impl Judge {
    /// A judge without a journal.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, known: BTreeMap::new(), missing: BTreeSet::new(), journal: None }
    }

    /// J: end of the newest slice that was judged.
    #[must_use]
    pub fn judged_until_ms(&self) -> Option<i64> {
        self.journal.as_ref().and_then(|journal| journal.state.judged_until_ms)
    }
}

/// One journal record being taken.
pub(crate) struct Turn<'a> {
    pub(crate) config: &'a Config,
    pub(crate) known: &'a BTreeMap<Version, Arc<Known>>,
    pub(crate) state: &'a mut State,
    pub(crate) out: &'a mut Outputs,
}

impl Turn<'_> {
    /// Takes a record, then does whatever it made possible.
    pub(crate) fn take(&mut self, record: Record) -> Result<(), Error> {
        self.tell_imposed()?;
        self.admit(record)?;
        self.show_closed_slices()?;
        while self.judge_next_slice()? {}
        if self.decides() {
            self.launch_when_archived()?;
        }
        self.close_final_slices()?;
        self.show_arrivals()
    }

    fn judge_next_slice(&mut self) -> Result<bool, Error> {
        if self.must_wait() {
            return Ok(false);
        }
        self.tell_progress()?;
        let Some(start_ms) = self.next_to_judge() else { return Ok(false) };
        let slice = self.state.slices.remove(&start_ms);
        self.state.judged_until_ms = Some(self.config.slices.end(start_ms));
        if let Some(mut slice) = slice {
            let result = self.judge(start_ms, &slice);
            // They are told with what was found just now, or never.
            slice.examples.clear();
            self.state.losses = self.state.losses.split_off(&start_ms.saturating_add(1));
            self.state.slices.insert(start_ms, slice);
            result?;
        }
        if self.decides() {
            self.retrain_if_due()?;
        }
        self.state.progress_due = true;
        if !self.must_wait() {
            self.tell_progress()?;
        }
        Ok(true)
    }

    /// One slice, all partitions merged, all its labels mature.
    fn judge(&mut self, start_ms: i64, slice: &Slice) -> Result<(), Error> {
        self.write_windows(start_ms, slice, Moment::Mature)?;
        if self.decides() {
            let champion = self.champion_cell(slice);
            let version = self.state.reign.as_ref().map(|reign| reign.champion.version.clone());
            let worst = version.map(|version| self.worst(start_ms, slice, &version)).unwrap_or_default();
            self.watch_harm(start_ms, &champion, &worst)?;
            self.watch_concept(start_ms, slice, (&champion, &worst))?;
            self.watch_probation(&champion)?;
        }
        self.quiet(gaps::finding(self.config, self.config.slices.end(start_ms)))?;
        self.state.remember(start_ms, mature_labels(slice));
        Ok(())
    }

    /// J + lead must not be passed before everybody knows what was decided at J.
    fn must_wait(&self) -> bool {
        let waits_for_run = self.config.retrain.wait_for_runs && self.state.run.is_some();
        self.decides() && (waits_for_run || self.awaits_acknowledgement())
    }

    fn tell_progress(&mut self) -> Result<(), Error> {
        if let Some(judged_until_ms) = self.state.judged_until_ms.filter(|_| self.state.progress_due) {
            self.state.progress_due = false;
            emit::control(self.out, &Control::Progress { judged_until_ms })?;
        }
        Ok(())
    }

    /// Start of the slice after J, if it is closed and mature; the first slice ever is the
    /// earliest that holds anything. Empty slices pass.
    fn next_to_judge(&self) -> Option<i64> {
        let (config, slices) = (self.config, &self.state.slices);
        let ready_until_ms = self.state.clock.mature_until_ms(config)?;
        let first = || slices.first_key_value().map(|(start, _)| *start);
        let mut start = self.state.judged_until_ms.or_else(first)?;
        let next = slices.range(start..).next().map_or(i64::MAX, |(start, _)| *start);
        let target = next.min(config.slices.start(ready_until_ms));
        if target.saturating_sub(start) / config.slices.length_ms > GAP_SLICES_MAX {
            start = target.saturating_sub(config.slices.length_ms);
        }
        (config.slices.end(start) <= ready_until_ms).then_some(start)
    }

    /// Mature labelled rows of the champion's present reign.
    fn champion_cell(&self, slice: &Slice) -> Cell {
        let mut sum = Cell::empty(self.config.shape);
        if let Some(reign) = &self.state.reign {
            let of_reign = slice.cells.iter().filter(|(key, _)| {
                key.phase == Phase::Mature
                    && key.segment == "*"
                    && key.promotion >= reign.since_promotion
                    && key.version == reign.champion.version
            });
            of_reign.for_each(|(_, cell)| sum.merge(cell));
        }
        sum
    }

    fn show_closed_slices(&mut self) -> Result<(), Error> {
        let Some(closed_until_ms) = self.state.clock.closed_until_ms() else { return Ok(()) };
        let is_due =
            |start: &i64, slice: &Slice| !slice.shown_closed && self.config.slices.end(*start) <= closed_until_ms;
        let due: Vec<i64> = self.state.slices.iter().filter(|(s, slice)| is_due(s, slice)).map(|(s, _)| *s).collect();
        for start_ms in due {
            let Some(mut slice) = self.state.slices.remove(&start_ms) else { continue };
            slice.shown_closed = true;
            let written = self.write_windows(start_ms, &slice, Moment::Closed);
            let result = written.and_then(|()| match self.decides() {
                true => self.watch_drift(start_ms, &slice),
                false => Ok(()),
            });
            examples::keep_ids(&mut slice);
            self.state.slices.insert(start_ms, slice);
            result?;
        }
        Ok(())
    }

    /// A judged slice that nothing can change any more is written for the last time, and forgotten.
    fn close_final_slices(&mut self) -> Result<(), Error> {
        let (Some(final_until_ms), Some(judged_until_ms)) =
            (self.state.clock.final_until_ms(self.config), self.state.judged_until_ms)
        else {
            return Ok(());
        };
        let until_ms = final_until_ms.min(judged_until_ms);
        while let Some((start_ms, _)) = self.state.slices.first_key_value().map(|(start, slice)| (*start, slice))
            && self.config.slices.end(start_ms) <= until_ms
        {
            let Some(slice) = self.state.slices.remove(&start_ms) else { break };
            self.write_windows(start_ms, &slice, Moment::Final)?;
            self.state.together = self.state.together.split_off(&start_ms.saturating_add(1));
            self.state.samples = self.state.samples.split_off(&start_ms.saturating_add(1));
            self.state.exact = self.state.exact.split_off(&start_ms.saturating_add(1));
        }
        self.state.final_until_ms = self.state.final_until_ms.max(Some(until_ms));
        Ok(())
    }
}

/// Labels of all mature rows, whoever scored them.
fn mature_labels(slice: &Slice) -> Labels {
    let mut labels = Labels::default();
    let all = slice.cells.iter().filter(|(key, _)| key.phase == Phase::Mature && key.segment == "*");
    all.for_each(|(_, cell)| labels.merge(&cell.served.label_counts()));
    labels
}
