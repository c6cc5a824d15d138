//! One source partition: what is buffered, and how far it is stored.

use crate::{Config, Error};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use domain::SourcePartition;
use domain::time::Watermark;
use records::tracking::Marker;
use store::{ArchiveFile, StreamKind};

/// State of a partition that is ours.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) kind: StreamKind,
    /// Largest time read.
    max_time_ms: Option<i64>,
    /// Largest time among what is stored; with `idle` all that the commit carries.
    stored_ms: Option<i64>,
    pub(crate) idle: bool,
    buffer: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    /// Offset of the first buffered row.
    first: i64,
    /// One past the last offset read.
    next: i64,
    /// The object store did not answer the last attempt.
    pub(crate) faulted: bool,
}

impl Partition {
    /// Restores what [`Partition::metadata`] wrote.
    pub(crate) fn restore(kind: StreamKind, metadata: Option<&str>) -> Result<Self, Error> {
        let (stored_ms, idle) = match metadata {
            None | Some("") => (None, false),
            Some(text) => records::from_json(text.as_bytes())?,
        };
        Ok(Self {
            kind,
            max_time_ms: stored_ms,
            stored_ms,
            idle,
            buffer: Vec::new(),
            rows: 0,
            bytes: 0,
            first: 0,
            next: 0,
            faulted: false,
        })
    }

    pub(crate) fn metadata(&self) -> String {
        let bytes = records::to_json(&(self.stored_ms, self.idle));
        bytes.ok().and_then(|b| String::from_utf8(b).ok()).unwrap_or_default()
    }

    /// Buffers the accepted rows of a batch.
    pub(crate) fn push(&mut self, rows: RecordBatch, first: i64, bytes: usize) {
        if rows.num_rows() == 0 {
            return;
        }
        if self.rows == 0 {
            self.first = first;
        }
        self.rows += rows.num_rows();
        self.bytes += bytes;
        self.buffer.push(rows);
    }

    /// Everything up to, but not with, this offset was read.
    pub(crate) fn read(&mut self, next: i64) {
        self.next = next;
    }

    /// Takes a record's time, unless it is far ahead of its own Kafka timestamp.
    pub(crate) fn observe(&mut self, config: &Config, time_ms: i64, timestamp_ms: i64) {
        let future = timestamp_ms >= 0 && time_ms > timestamp_ms.saturating_add(config.max_skew_ms);
        if !future {
            self.max_time_ms = self.max_time_ms.max(Some(time_ms));
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Offset below which everything is stored.
    pub(crate) fn commit_offset(&self, next: i64) -> i64 {
        if self.rows > 0 { self.first.min(next) } else { next }
    }

    /// Whether the buffer must be stored now.
    pub(crate) fn is_due(&self, config: &Config, cut_offs_ms: impl IntoIterator<Item = i64>) -> bool {
        if self.rows == 0 {
            return false;
        }
        let wait_ms = if self.kind == StreamKind::Labels { config.maturity_ms } else { 0 };
        let watermark = |max: Option<i64>| max.map(|m| m.saturating_sub(config.lateness_ms));
        let (read, stored) = (watermark(self.max_time_ms), watermark(self.stored_ms));
        // A run waits for everything before its cut-off: it is all read, but not all stored.
        let awaited = |cut_off: i64| {
            let until = cut_off.saturating_add(wait_ms);
            read.is_some_and(|w| w >= until) && stored.is_none_or(|w| w < until)
        };
        self.rows >= config.rows_max || self.bytes >= config.bytes_max || cut_offs_ms.into_iter().any(awaited)
    }

    /// Whether so much is buffered that no more may come before it is stored.
    pub(crate) fn is_full(&self, config: &Config) -> bool {
        self.rows >= config.rows_max.saturating_mul(2) || self.bytes >= config.bytes_max.saturating_mul(2)
    }

    /// The buffered rows as one file.
    pub(crate) fn file(
        &mut self,
        pipeline: &str,
        source: &SourcePartition,
    ) -> Result<(ArchiveFile, &RecordBatch), Error> {
        let fault = |text: String| Error::Rows(source.to_string(), text);
        if self.buffer.len() > 1
            && let Some(first) = self.buffer.first()
        {
            let all = concat_batches(&first.schema(), &self.buffer).map_err(|e| fault(e.to_string()))?;
            self.buffer = vec![all];
        }
        let file = ArchiveFile::range(pipeline, self.kind, source, self.first, self.next);
        self.buffer.first().map(|rows| (file, rows)).ok_or_else(|| fault("nothing is buffered".to_owned()))
    }

    /// The buffer is stored.
    pub(crate) fn stored(&mut self) {
        self.buffer.clear();
        (self.rows, self.bytes, self.faulted) = (0, 0, false);
        self.stored_ms = self.max_time_ms;
    }

    /// How far the partition is stored: the earliest time there is before its first file.
    pub(crate) fn marker(&self, config: &Config, source: &SourcePartition) -> Marker {
        let stored = self.stored_ms.map(|m| m.saturating_sub(config.lateness_ms));
        let watermark = Watermark { time_ms: stored.unwrap_or(codec::EARLIEST_MS), idle: self.idle };
        match self.kind {
            StreamKind::Events => Marker::events(source.clone(), watermark),
            StreamKind::Labels => Marker::labels(source.clone(), watermark),
        }
    }
}
