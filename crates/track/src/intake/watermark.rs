//! What intake knows of one label partition.

use super::IntakeConfig;
use domain::time::Watermark;
use serde::{Deserialize, Serialize};

/// Watermark and totals of a label partition since its first record: the metadata of its commits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LabelPartition {
    /// Largest label time read, less the lateness; none before the first label.
    pub(super) watermark_ms: Option<i64>,
    /// At the end of its log for long enough.
    pub(super) idle: bool,
    /// Records read.
    pub(super) read: u64,
    /// Labels sent to tracking.
    pub(super) accepted: u64,
    /// Records sent to the rejected topic.
    pub(super) rejected: u64,
    /// Labels too far ahead of their own record's timestamp to move the watermark.
    pub(super) future: u64,
    /// Tombstones ignored.
    pub(super) ignored: u64,
}

impl LabelPartition {
    /// Takes a label's time; tells whether the watermark passed the end of a slice.
    pub(super) fn observe(&mut self, label_ms: i64, timestamp_ms: i64, config: &IntakeConfig) -> bool {
        if label_ms > timestamp_ms.saturating_add(config.max_skew_ms) {
            self.future += 1;
            return false;
        }
        let before = self.watermark_ms;
        let now = label_ms.saturating_sub(config.lateness_ms);
        self.watermark_ms = before.max(Some(now));
        let slice = |time: Option<i64>| time.map(|t| config.slices.start(t));
        slice(before) != slice(self.watermark_ms)
    }

    /// What a marker says of it. A partition without labels is at the beginning of time.
    pub(super) fn marker(&self) -> Watermark {
        Watermark { time_ms: self.watermark_ms.unwrap_or(i64::MIN), idle: self.idle }
    }
}
