//! Events and labels of two files, merged by time, as the records a producer would send.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use std::collections::{BTreeSet, VecDeque};

use domain::{Fingerprint, fingerprint};

/// Which topic a record goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event.
    Event,
    /// A label.
    Label,
}

/// One record to send.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Event or label.
    pub(crate) kind: Kind,
    /// Event time or label time, epoch milliseconds.
    pub(crate) time_ms: i64,
    /// Event id.
    pub(crate) id: String,
    /// JSON object.
    pub(crate) value: Vec<u8>,
}

/// Rows of one file, turned to JSON a batch at a time.
struct Lines {
    batches: VecDeque<RecordBatch>,
    id: String,
    time: String,
    kind: Kind,
    ready: VecDeque<Record>,
}

/// Merges both files: by time, events before labels at the same instant.
pub(crate) struct Merged {
    events: Lines,
    labels: Lines,
    from_ms: i64,
    until_ms: i64,
    sent: BTreeSet<Fingerprint>,
}

/// A file's column names and rows.
pub(crate) struct Source {
    /// All rows, sorted by time.
    pub(crate) batches: Vec<RecordBatch>,
    /// Column of the event id.
    pub(crate) id: String,
    /// Column of the time.
    pub(crate) time: String,
}

impl Merged {
    /// Events from `from_ms` until `until_ms` (exclusive), and the labels of just these, if there are labels.
    pub(crate) fn new(events: Source, labels: Option<Source>, from_ms: i64, until_ms: i64) -> Self {
        let lines = |source: Source, kind| Lines {
            batches: small(source.batches),
            id: source.id,
            time: source.time,
            kind,
            ready: VecDeque::new(),
        };
        let none = || Source { batches: Vec::new(), id: String::new(), time: String::new() };
        Self {
            events: lines(events, Kind::Event),
            labels: lines(labels.unwrap_or_else(none), Kind::Label),
            from_ms,
            until_ms,
            sent: BTreeSet::new(),
        }
    }

    /// Time of the next record.
    pub(crate) fn peek_ms(&mut self) -> anyhow::Result<Option<i64>> {
        let event = self.next_event_ms()?;
        let label = self.next_label_ms()?;
        Ok(match (event, label) {
            (Some(e), Some(l)) => Some(e.min(l)),
            (e, l) => e.or(l),
        })
    }

    /// Whether events are still to come. After the last one nothing can pass a swap any more.
    pub(crate) fn has_events(&mut self) -> anyhow::Result<bool> {
        Ok(self.next_event_ms()?.is_some())
    }

    /// The next record.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Record>> {
        let event = self.next_event_ms()?;
        let label = self.next_label_ms()?;
        let takes_event = match (event, label) {
            (Some(e), Some(l)) => e <= l,
            (Some(_), None) => true,
            _ => false,
        };
        if takes_event {
            let record = self.events.ready.pop_front();
            if let Some(record) = &record {
                self.sent.insert(fingerprint(record.id.as_bytes()));
            }
            Ok(record)
        } else {
            Ok(self.labels.ready.pop_front())
        }
    }

    fn next_event_ms(&mut self) -> anyhow::Result<Option<i64>> {
        while let Some(time) = self.events.peek()? {
            if time >= self.until_ms {
                return Ok(None);
            }
            if time >= self.from_ms {
                return Ok(Some(time));
            }
            self.events.ready.pop_front();
        }
        Ok(None)
    }

    /// A label is sent once its event has been; labels of events outside the span are passed over.
    /// All labels come after their event, so one whose event was not sent never will be.
    fn next_label_ms(&mut self) -> anyhow::Result<Option<i64>> {
        loop {
            let Some(time) = self.labels.peek()? else { return Ok(None) };
            let is_due = self.events.ready.front().is_none_or(|e| e.time_ms > time || e.time_ms >= self.until_ms);
            let Some(label) = self.labels.ready.front() else { return Ok(None) };
            if self.sent.contains(&fingerprint(label.id.as_bytes())) || !is_due {
                return Ok(Some(time));
            }
            self.labels.ready.pop_front();
        }
    }
}

/// Cuts batches so that few rows are held as JSON at a time.
fn small(batches: Vec<RecordBatch>) -> VecDeque<RecordBatch> {
    const ROWS: usize = 8192;
    let cut = |b: RecordBatch| {
        (0..b.num_rows()).step_by(ROWS).map(move |at| b.slice(at, ROWS.min(b.num_rows() - at))).collect::<Vec<_>>()
    };
    batches.into_iter().flat_map(cut).collect()
}

impl Lines {
    fn peek(&mut self) -> anyhow::Result<Option<i64>> {
        while self.ready.is_empty() {
            let Some(batch) = self.batches.pop_front() else { return Ok(None) };
            self.ready = records(&batch, &self.id, &self.time, self.kind)?;
        }
        Ok(self.ready.front().map(|r| r.time_ms))
    }
}

fn column(batch: &RecordBatch, name: &str, as_type: &DataType) -> anyhow::Result<ArrayRef> {
    let column = batch.column_by_name(name).ok_or_else(|| anyhow::anyhow!("column `{name}` is not in the file"))?;
    Ok(cast(column, as_type)?)
}

fn records(batch: &RecordBatch, id: &str, time: &str, kind: Kind) -> anyhow::Result<VecDeque<Record>> {
    let ids = column(batch, id, &DataType::Utf8)?;
    let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let times = cast(&column(batch, time, &milliseconds)?, &DataType::Int64)?;
    let (ids, times) = (ids.as_string::<i32>(), times.as_primitive::<Int64Type>());
    let mut text = Vec::new();
    let mut writer = arrow::json::LineDelimitedWriter::new(&mut text);
    writer.write(batch)?;
    writer.finish()?;
    let lines = text.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines
        .enumerate()
        .map(|(row, line)| {
            anyhow::ensure!(
                row < ids.len() && !ids.is_null(row) && !times.is_null(row),
                "row {row} has no `{id}` or no `{time}`"
            );
            Ok(Record { kind, time_ms: times.value(row), id: ids.value(row).to_owned(), value: line.to_vec() })
        })
        .collect()
}
