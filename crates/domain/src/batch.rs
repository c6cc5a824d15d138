//! Records of one source partition, as they came, in one allocation.

use crate::ids::SourcePartition;
use crate::output::TopicRole;
use std::ops::Range;

/// A header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value; a header may have none.
    pub value: Option<&'a [u8]>,
}

/// One record of a [`RawBatch`], borrowed.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'a> {
    /// Kafka offset. Offsets grow, but not by one: transactions and compaction leave gaps.
    pub offset: i64,
    /// Kafka timestamp in epoch milliseconds.
    pub timestamp_ms: i64,
    /// Key, if any.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

#[derive(Debug, Clone)]
struct Row {
    offset: i64,
    timestamp_ms: i64,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Range<usize>,
}

/// Records of one source partition in offset order. Bytes are copied once into one arena.
#[derive(Debug, Clone)]
pub struct RawBatch {
    /// What the topic is to the stage.
    pub role: TopicRole,
    /// Where the records come from.
    pub source: SourcePartition,
    bytes: Vec<u8>,
    rows: Vec<Row>,
    headers: Vec<(Range<usize>, Option<Range<usize>>)>,
}

impl RawBatch {
    /// An empty batch of a source partition.
    #[must_use]
    pub fn new(role: TopicRole, source: SourcePartition) -> Self {
        Self { role, source, bytes: Vec::new(), rows: Vec::new(), headers: Vec::new() }
    }

    /// Appends a record; the caller keeps offset order.
    pub fn push<'a>(&mut self, record: RawRecord<'_>, headers: impl IntoIterator<Item = Header<'a>>) {
        let key = record.key.map(|k| self.append(k));
        let value = record.value.map(|v| self.append(v));
        let first = self.headers.len();
        for header in headers {
            let name = self.append(header.name.as_bytes());
            let value = header.value.map(|v| self.append(v));
            self.headers.push((name, value));
        }
        let headers = first..self.headers.len();
        self.rows.push(Row { offset: record.offset, timestamp_ms: record.timestamp_ms, key, value, headers });
    }

    fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// Takes the records from an offset on out of the batch, if some stay and some go.
    #[must_use]
    pub fn split_off(&mut self, offset: i64) -> Option<Self> {
        let first = self.rows.partition_point(|row| row.offset < offset);
        if first == 0 || first == self.rows.len() {
            return None;
        }
        let mut rest = Self::new(self.role, self.source.clone());
        for index in first..self.rows.len() {
            if let Some(record) = self.get(index) {
                rest.push(record, self.headers(index));
            }
        }
        self.rows.truncate(first);
        Some(rest)
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes held.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The record at a place below [`RawBatch::len`].
    #[must_use]
    pub fn get(&self, index: usize) -> Option<RawRecord<'_>> {
        self.rows.get(index).map(|row| self.borrow(row))
    }

    /// All records in offset order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RawRecord<'_>> {
        self.rows.iter().map(|row| self.borrow(row))
    }

    fn borrow(&self, row: &Row) -> RawRecord<'_> {
        RawRecord {
            offset: row.offset,
            timestamp_ms: row.timestamp_ms,
            key: row.key.clone().and_then(|r| self.bytes.get(r)),
            value: row.value.clone().and_then(|r| self.bytes.get(r)),
        }
    }

    /// Headers of the record at a place.
    pub fn headers(&self, index: usize) -> impl Iterator<Item = Header<'_>> {
        let range = self.rows.get(index).map_or(0..0, |row| row.headers.clone());
        self.headers.get(range).unwrap_or_default().iter().map(|(name, value)| Header {
            name: self.bytes.get(name.clone()).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or(""),
            value: value.clone().and_then(|r| self.bytes.get(r)),
        })
    }

    /// Value of the first header of that name.
    #[must_use]
    pub fn header(&self, index: usize, name: &str) -> Option<&[u8]> {
        self.headers(index).find(|h| h.name == name).and_then(|h| h.value)
    }

    /// Offset of the first record.
    #[must_use]
    pub fn first_offset(&self) -> Option<i64> {
        self.rows.first().map(|r| r.offset)
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Option<i64> {
        self.rows.last().map(|r| r.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(offsets: &[i64]) -> RawBatch {
        let mut batch = RawBatch::new(TopicRole::Events, SourcePartition::new("events", 0));
        for offset in offsets {
            let (key, value) = (format!("k{offset}"), format!("v{offset}"));
            let record = RawRecord {
                offset: *offset,
                timestamp_ms: offset * 10,
                key: Some(key.as_bytes()),
                value: (offset % 2 == 0).then_some(value.as_bytes()),
            };
            batch.push(record, [Header { name: "h", value: Some(value.as_bytes()) }]);
        }
        batch
    }

    fn seen(batch: &RawBatch) -> Vec<String> {
        batch.iter().enumerate().map(|(i, record)| format!("{record:?} {:?}", batch.header(i, "h"))).collect()
    }

    #[test]
    fn a_batch_is_split_at_any_offset_and_nothing_is_lost() {
        let check = |at: i64, kept: &[i64], rest: &[i64]| {
            let mut split = batch(&[3, 4, 8]);
            let taken = split.split_off(at);
            assert_eq!(seen(&split), seen(&batch(kept)), "at {at}");
            assert_eq!(taken.as_ref().map(seen), (!rest.is_empty()).then(|| seen(&batch(rest))), "at {at}");
        };
        check(3, &[3, 4, 8], &[]);
        check(4, &[3], &[4, 8]);
        check(5, &[3, 4], &[8]);
        check(8, &[3, 4], &[8]);
        check(9, &[3, 4, 8], &[]);
    }
}
