//! State of one event partition: all of it travels in the metadata of the offset commit.

use crate::sample::Remembered;
use crate::{Config, Error};
use domain::LineUp;
use domain::time::Watermark;
use records::journal::ScoreCounters;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a new owner must know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// For readers outside; derived from `max_time_ms`.
    pub(crate) watermark_ms: Option<i64>,
    /// Largest event time read, without events of the future.
    pub(crate) max_time_ms: Option<i64>,
    /// The last marker said the partition is idle.
    pub(crate) idle: bool,
    /// What scores the partition; none before its first prediction.
    pub(crate) line_up: Option<LineUp>,
    /// Totals since the first record.
    pub(crate) counters: ScoreCounters,
}

/// A partition that is ours.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    pub(crate) state: State,
    /// Promotions acknowledged since the assignment.
    pub(crate) acknowledged: BTreeSet<u64>,
    /// A line-up is known and every bundle that may be needed is loaded.
    pub(crate) ready: bool,
    /// Rows of its newest slices that samples have already.
    pub(crate) sampled: Remembered,
    /// Under a swap table: the first offset whose bundles need not be here yet.
    pub(crate) until: Option<i64>,
}

/// What became of one event's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    pub(crate) after_final: bool,
    pub(crate) future: bool,
}

impl State {
    /// Restores what [`State::metadata`] wrote; nothing before the first commit.
    pub(crate) fn restore(metadata: Option<&str>) -> Result<Self, Error> {
        match metadata {
            None | Some("") => Ok(Self::default()),
            Some(text) => Ok(records::from_json(text.as_bytes())?),
        }
    }

    pub(crate) fn metadata(&self) -> String {
        records::to_json(self).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Of the partition; none before its first event.
    pub(crate) fn watermark(&self) -> Option<Watermark> {
        self.watermark_ms.map(|time_ms| Watermark { time_ms, idle: self.idle })
    }

    /// Number of the promotion in force; 0 before the first.
    pub(crate) fn promotion(&self) -> u64 {
        self.line_up.as_ref().map_or(0, |l| l.promotion)
    }

    /// Takes an event's time. Its verdicts depend on the events before it alone, not on how the
    /// log was cut into batches.
    pub(crate) fn observe(&mut self, config: &Config, time_ms: i64, timestamp_ms: i64) -> Timing {
        let final_until = self.watermark_ms.map(|w| w.saturating_sub(config.horizon_ms));
        let after_final = final_until.is_some_and(|until| time_ms < until);
        // A record without Kafka timestamp (-1) has nothing to be compared with.
        let future = timestamp_ms >= 0 && time_ms > timestamp_ms.saturating_add(config.max_skew_ms);
        if !future && self.max_time_ms.is_none_or(|max| time_ms > max) {
            self.max_time_ms = Some(time_ms);
            self.watermark_ms = Some(time_ms.saturating_sub(config.lateness_ms));
        }
        Timing { after_final, future }
    }
}
