//! Topics in memory: records, committed offsets with their metadata, checkpoints.

use domain::{Header, OutputRecord, Outputs, RawBatch, RawRecord, SourcePartition, TopicRole};
use std::collections::BTreeMap;

/// A record with its offset.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) offset: i64,
    pub(super) timestamp_ms: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

/// A consumer group's place: stage and partition.
type Place = (&'static str, SourcePartition);

#[derive(Debug, Default)]
pub(super) struct Log {
    partitions: BTreeMap<SourcePartition, Vec<Record>>,
    ends: BTreeMap<SourcePartition, i64>,
    commits: BTreeMap<Place, (i64, String)>,
    checkpoints: BTreeMap<Place, Vec<(i64, Vec<u8>)>>,
    /// Offsets a transaction's end takes, as in Kafka.
    gap: i64,
}

/// The partition of a role's topic.
pub(super) fn source(role: TopicRole, partition: i32) -> SourcePartition {
    SourcePartition::new(&role.to_string(), partition)
}

impl Log {
    pub(super) fn with_gaps(gap: i64) -> Self {
        Self { gap, ..Self::default() }
    }

    pub(super) fn records(&self, source: &SourcePartition) -> &[Record] {
        self.partitions.get(source).map_or(&[], Vec::as_slice)
    }

    /// Offset after the last record.
    pub(super) fn end(&self, source: &SourcePartition) -> i64 {
        self.records(source).last().map_or(0, |r| r.offset + 1)
    }

    /// Adds a record with an offset of its own.
    pub(super) fn put(&mut self, source: &SourcePartition, record: Record) {
        let records = self.partitions.entry(source.clone()).or_default();
        assert!(records.last().is_none_or(|last| last.offset < record.offset));
        self.ends.insert(source.clone(), record.offset + 1);
        records.push(record);
    }

    pub(super) fn append(&mut self, record: OutputRecord<'_>, headers: Vec<(String, Vec<u8>)>) {
        let source = source(record.topic, record.partition);
        let offset = self.ends.get(&source).copied().unwrap_or(0);
        let bytes = |b: Option<&[u8]>| b.map(<[u8]>::to_vec);
        let timestamp_ms = record.timestamp_ms.unwrap_or(0);
        let (key, value) = (bytes(record.key), bytes(record.value));
        self.put(&source, Record { offset, timestamp_ms, key, value, headers });
    }

    /// The records of a transaction, then its end.
    pub(super) fn write(&mut self, outputs: &[&Outputs]) -> usize {
        let mut written = 0;
        for out in outputs {
            for (index, record) in out.records().enumerate() {
                let headers = out.headers(index).map(|(n, v)| (n.to_owned(), v.to_vec())).collect();
                self.append(record, headers);
                written += 1;
            }
        }
        if self.gap > 0 {
            for out in outputs {
                for record in out.records() {
                    let source = source(record.topic, record.partition);
                    let end = self.end(&source);
                    self.ends.insert(source, end + self.gap);
                }
            }
        }
        written
    }

    /// At most so many records from an offset on.
    pub(super) fn read(&self, role: TopicRole, source: &SourcePartition, from: i64, most: usize) -> RawBatch {
        let mut batch = RawBatch::new(role, source.clone());
        let records = self.records(source);
        let first = records.partition_point(|r| r.offset < from);
        records[first..].iter().take(most).for_each(|record| push(&mut batch, record));
        batch
    }

    pub(super) fn committed(&self, stage: &'static str, source: &SourcePartition) -> Option<(i64, String)> {
        self.commits.get(&(stage, source.clone())).cloned()
    }

    pub(super) fn commit(&mut self, stage: &'static str, source: &SourcePartition, offset: i64, metadata: String) {
        assert!(metadata.len() <= 4_000);
        let before = self.commits.insert((stage, source.clone()), (offset, metadata));
        assert!(before.is_none_or(|(known, _)| known <= offset), "{stage} goes back on {source}");
    }

    pub(super) fn keep(&mut self, stage: &'static str, source: &SourcePartition, offset: i64, bytes: Vec<u8>) {
        self.checkpoints.entry((stage, source.clone())).or_default().push((offset, bytes));
    }

    /// All checkpoints of a partition, oldest first.
    pub(super) fn checkpoints(&self, stage: &'static str, source: &SourcePartition) -> impl Iterator<Item = &[u8]> {
        self.checkpoints.get(&(stage, source.clone())).into_iter().flatten().map(|(_, bytes)| bytes.as_slice())
    }

    /// The newest checkpoint not beyond an offset.
    pub(super) fn checkpoint(
        &self,
        stage: &'static str,
        source: &SourcePartition,
        until: i64,
    ) -> Option<(i64, Vec<u8>)> {
        let kept = self.checkpoints.get(&(stage, source.clone()))?;
        kept.iter().rev().find(|(at, _)| *at <= until).cloned()
    }
}

/// Copies a record into a batch.
pub(super) fn push(batch: &mut RawBatch, record: &Record) {
    let headers = record.headers.iter().map(|(name, value)| Header { name, value: Some(value) });
    let raw = RawRecord {
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
    };
    batch.push(raw, headers);
}
