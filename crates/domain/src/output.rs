//! What a stage gives back: records for topics, effects for the daemon, counts for telemetry.

use crate::ids::Version;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// What a topic is to the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names are those of the design's table of topics
pub enum TopicRole {
    Events,
    Labels,
    Predictions,
    Rejected,
    Tracking,
    Journal,
    Control,
    Windows,
    Alerts,
}

impl fmt::Display for TopicRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Events => "events",
            Self::Labels => "labels",
            Self::Predictions => "predictions",
            Self::Rejected => "rejected",
            Self::Tracking => "tracking",
            Self::Journal => "journal",
            Self::Control => "control",
            Self::Windows => "windows",
            Self::Alerts => "alerts",
        })
    }
}

/// A record to be written, borrowed from [`Outputs`].
#[derive(Debug, Clone, Copy)]
pub struct OutputRecord<'a> {
    /// Topic it goes to.
    pub topic: TopicRole,
    /// Partition it goes to.
    pub partition: i32,
    /// Kafka timestamp; `None` means append time.
    pub timestamp_ms: Option<i64>,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

#[derive(Debug, Clone)]
struct Row {
    topic: TopicRole,
    partition: i32,
    timestamp_ms: Option<i64>,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Range<usize>,
}

/// Something the daemon does after the commit that records the intent.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Load and verify a bundle, and hand it back as [`crate::Input::Loaded`].
    Load(Version),
    /// Launch a retraining run; doing so twice for the same run and attempt is harmless.
    Launch {
        /// Number of the run.
        run: u64,
        /// Number of the attempt.
        attempt: u32,
        /// The order, as JSON (`records::control::Run`).
        order: Vec<u8>,
    },
    /// Write the alias projection for readers outside (`champion` → version).
    Alias {
        /// Name of the alias.
        alias: String,
        /// Version it points to.
        version: Version,
    },
}

/// A counted happening, emitted by the daemon after the commit so that an abort is not counted twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Dotted OpenTelemetry name.
    pub name: &'static str,
    /// One attribute with few values, such as a reason code.
    pub attribute: Option<(&'static str, String)>,
    /// By how much.
    pub value: u64,
}

/// Outputs of one step, in the order they were pushed. Record bytes live in one arena.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    bytes: Vec<u8>,
    rows: Vec<Row>,
    headers: Vec<(Range<usize>, Range<usize>)>,
    /// Done after the commit.
    pub effects: Vec<Effect>,
    /// Emitted after the commit.
    pub counts: Vec<Count>,
}

impl Outputs {
    /// Appends a record.
    pub fn push(&mut self, record: OutputRecord<'_>, headers: &[(&str, &[u8])]) {
        self.push_with(record, headers, |bytes| {
            if let Some(value) = record.value {
                bytes.extend_from_slice(value);
            }
        });
        if record.value.is_none()
            && let Some(row) = self.rows.last_mut()
        {
            row.value = None;
        }
    }

    /// Appends a record whose value the closure writes straight into the arena (it must only
    /// append); `record.value` is ignored.
    pub fn push_with(
        &mut self,
        record: OutputRecord<'_>,
        headers: &[(&str, &[u8])],
        write_value: impl FnOnce(&mut Vec<u8>),
    ) {
        let key = record.key.map(|k| self.append(k));
        let first = self.headers.len();
        for (name, value) in headers {
            let name = self.append(name.as_bytes());
            let value = self.append(value);
            self.headers.push((name, value));
        }
        let start = self.bytes.len();
        write_value(&mut self.bytes);
        self.rows.push(Row {
            topic: record.topic,
            partition: record.partition,
            timestamp_ms: record.timestamp_ms,
            key,
            value: Some(start..self.bytes.len()),
            headers: first..self.headers.len(),
        });
    }

    fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// Adds to a count without attribute.
    pub fn count(&mut self, name: &'static str, value: u64) {
        if value > 0 {
            self.counts.push(Count { name, attribute: None, value });
        }
    }

    /// Adds to a count with one attribute.
    pub fn count_by(&mut self, name: &'static str, attribute: (&'static str, &str), value: u64) {
        if value > 0 {
            self.counts.push(Count { name, attribute: Some((attribute.0, attribute.1.to_owned())), value });
        }
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of all records.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The records in the order they were pushed.
    pub fn records(&self) -> impl ExactSizeIterator<Item = OutputRecord<'_>> {
        self.rows.iter().map(|row| OutputRecord {
            topic: row.topic,
            partition: row.partition,
            timestamp_ms: row.timestamp_ms,
            key: row.key.clone().and_then(|r| self.bytes.get(r)),
            value: row.value.clone().and_then(|r| self.bytes.get(r)),
        })
    }

    /// Headers of the record at a place.
    pub fn headers(&self, index: usize) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        let range = self.rows.get(index).map_or(0..0, |row| row.headers.clone());
        self.headers.get(range).unwrap_or_default().iter().map(|(name, value)| {
            let name = self.bytes.get(name.clone()).and_then(|b| std::str::from_utf8(b).ok());
            (name.unwrap_or(""), self.bytes.get(value.clone()).unwrap_or_default())
        })
    }

    /// Forgets the records, which were written; effects and counts wait for their commit.
    pub fn clear_records(&mut self) {
        self.bytes.clear();
        self.rows.clear();
        self.headers.clear();
    }

    /// Forgets everything, keeping the allocations.
    pub fn clear(&mut self) {
        self.clear_records();
        self.effects.clear();
        self.counts.clear();
    }
}
