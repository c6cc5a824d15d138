//! What holds the replay: stream time may not run past J + lead, nor sending past slow readers.

use crate::commands::produce;
use crate::pipeline::Running;
use crate::send::{self, Sent};
use console::server::SharedView;
use indicatif::ProgressBar;
use kafka::Progress;
use kafka::embedded::BEHIND_BYTES_MAX;
use std::sync::PoisonError;

/// Readers' progress is looked at once in so many records.
const LOOK_EVERY: u32 = 64;

/// See the module.
pub(crate) struct Gate<'a> {
    view: &'a SharedView,
    progress: &'a Progress,
    running: &'a Running,
    bar: ProgressBar,
    /// Start of the replay and lead; `None`: stream time is not held.
    hold: Option<(i64, i64)>,
    open_until_ms: i64,
    calls: u32,
    is_paused: bool,
}

impl<'a> Gate<'a> {
    /// Holds at `hold` = (start of the replay, lead), both in milliseconds.
    pub(crate) fn new(
        view: &'a SharedView,
        progress: &'a Progress,
        running: &'a Running,
        bar: ProgressBar,
        hold: Option<(i64, i64)>,
    ) -> Self {
        let open_until_ms = hold.map_or(i64::MAX, |(from, lead)| from.saturating_add(lead));
        Self { view, progress, running, bar, hold, open_until_ms, calls: 0, is_paused: false }
    }
}

impl send::Gate for Gate<'_> {
    fn is_open(&mut self, time_ms: i64) -> bool {
        if time_ms < self.open_until_ms {
            return true;
        }
        if let Some((from, lead)) = self.hold {
            let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
            let judged = view.judged_until_ms.map_or(from, |j| j.max(from));
            self.open_until_ms = judged.saturating_add(lead);
        }
        time_ms < self.open_until_ms
    }

    fn must_pause(&mut self) -> bool {
        self.calls = self.calls.wrapping_add(1);
        if self.is_paused || self.calls.is_multiple_of(LOOK_EVERY) {
            self.is_paused = self.progress.behind_bytes() > BEHIND_BYTES_MAX;
        }
        self.is_paused
    }

    fn sent(&mut self, sent: &Sent, time_ms: i64) {
        produce::show(&self.bar, sent, time_ms);
    }

    fn is_stopped(&self) -> bool {
        self.running.has_ended()
    }
}
