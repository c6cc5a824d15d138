//! The state machine.

use crate::partition::Partition;
use crate::{Config, Error, metrics, rows};
use arrow::array::RecordBatch;
use codec::{EventDecoder, LabelDecoder};
use domain::{ErrorClass, Input, OutputRecord, Outputs, RawBatch, SourcePartition, StageError, TopicRole};
use records::control::{Control, RunState};
use records::journal::Journal;
use records::{RECORD_HEADER, kind};
use std::collections::BTreeMap;
use std::fmt;
use store::{ArchiveFile, StreamKind};

/// A topic is made anew this often, at most, with the same offsets cut alike.
const NAMES_MAX: usize = 100;

/// Where files go. The call returns when the file is durable; the daemon bridges it to the
/// asynchronous store.
pub trait Put: Send {
    /// Stores rows under the file's name; the same rows twice change nothing.
    ///
    /// # Errors
    /// Whatever the store says. What may pass by itself (class external) is tried again.
    fn put(&self, file: &ArchiveFile, rows: &RecordBatch) -> Result<(), store::Error>;
}

/// Events and labels to files.
pub struct Archive {
    config: Config,
    events: EventDecoder,
    labels: Option<LabelDecoder>,
    put: Box<dyn Put>,
    partitions: BTreeMap<SourcePartition, Partition>,
    /// Cut-offs of the runs that wait for the archive, by run.
    cut_offs_ms: BTreeMap<u64, i64>,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

/// A journal record as archive writes it. Postcard numbers the variants, so those without a
/// profile or cell have the same bytes for any such types.
type Entry = Journal<(), ()>;

impl Archive {
    /// A stage without partitions.
    ///
    /// # Errors
    /// [`Error::Codec`] if a format is faulty.
    pub fn new(config: Config, put: Box<dyn Put>) -> Result<Self, Error> {
        let events = EventDecoder::new(config.events.clone())?;
        let labels = config.labels.clone().map(LabelDecoder::new).transpose()?;
        Ok(Self { config, events, labels, put, partitions: BTreeMap::new(), cut_offs_ms: BTreeMap::new() })
    }

    fn assigned(&mut self, source: &SourcePartition, metadata: Option<&str>) -> Result<(), Error> {
        let labels = self.config.label_topics.iter().any(|topic| **topic == *source.topic);
        let kind = if labels { StreamKind::Labels } else { StreamKind::Events };
        self.partitions.insert(source.clone(), Partition::restore(kind, metadata)?);
        Ok(())
    }

    fn batch(&mut self, raw: &RawBatch, out: &mut Outputs) -> Result<(), Error> {
        let source = &raw.source;
        let Some(partition) = self.partitions.get_mut(source) else {
            return Err(Error::Contract(format!("{source} was given but is not assigned")));
        };
        if partition.idle {
            partition.idle = false;
            mark(&self.config, source, partition, out)?;
        }
        let (decoded, times_ms, indexes) = match partition.kind {
            StreamKind::Events => {
                let decoded = self.events.decode(raw)?;
                let (times_ms, indexes) = (decoded.times_ms.clone(), decoded.indexes.clone());
                (rows::of_events(raw, decoded), times_ms, indexes)
            }
            StreamKind::Labels => {
                let Some(labels) = &mut self.labels else {
                    return Err(Error::Contract(format!("{source} holds labels, but nothing says how they look")));
                };
                let decoded = labels.decode(raw)?;
                let (times_ms, indexes) = (decoded.times_ms.clone(), decoded.indexes.clone());
                (rows::of_labels(raw, decoded), times_ms, indexes)
            }
        };
        let decoded = decoded.map_err(|e| Error::Rows(source.to_string(), e.to_string()))?;
        let record = |index: &u32| raw.get(*index as usize);
        for (time_ms, index) in times_ms.iter().zip(&indexes) {
            partition.observe(&self.config, *time_ms, record(index).map_or(-1, |r| r.timestamp_ms));
        }
        let first = indexes.first().and_then(record).map_or(0, |r| r.offset);
        out.count(metrics::SKIPPED, (raw.len() - indexes.len()) as u64);
        partition.push(decoded, first, raw.byte_len());
        if let Some(last) = raw.last_offset() {
            partition.read(last.saturating_add(1));
        }
        self.store_if(source, Partition::is_due, out)
    }

    /// Stores the buffer of a partition if the rule says so.
    fn store_if(
        &mut self,
        source: &SourcePartition,
        rule: impl Fn(&Partition, &Config, Vec<i64>) -> bool,
        out: &mut Outputs,
    ) -> Result<(), Error> {
        let cut_offs: Vec<i64> = self.cut_offs_ms.values().copied().collect();
        let Some(partition) = self.partitions.get_mut(source) else { return Ok(()) };
        if partition.rows() == 0 || !rule(partition, &self.config, cut_offs) {
            return Ok(());
        }
        let rows = partition.rows() as u64;
        let (mut file, batch) = partition.file(&self.config.pipeline, source)?;
        let mut stored = self.put.put(&file, batch);
        for _ in 0..NAMES_MAX {
            if !matches!(stored, Err(store::Error::Conflict { .. })) {
                break;
            }
            // The topic was made anew, and its offsets came before: readers go by ids.
            out.count(metrics::NAMES_TAKEN, 1);
            file = file.next();
            stored = self.put.put(&file, batch);
        }
        match stored {
            Ok(()) => {
                partition.stored();
                out.count(metrics::FILES, 1);
                out.count(metrics::ROWS, rows);
                mark(&self.config, source, partition, out)
            }
            // The rows stay buffered and their offsets uncommitted; the next input tries again.
            // Other content under every name does not pass by itself.
            Err(error) if error.class() == ErrorClass::External && !matches!(error, store::Error::Conflict { .. }) => {
                partition.faulted = true;
                out.count(metrics::FAULTS, 1);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Stores whatever is due, or could not be stored before.
    fn store_due(&mut self, out: &mut Outputs) -> Result<(), Error> {
        let sources: Vec<SourcePartition> = self.partitions.keys().cloned().collect();
        for source in &sources {
            self.store_if(source, |p, config, cut_offs| p.faulted || p.is_due(config, cut_offs), out)?;
        }
        Ok(())
    }

    /// Learns which runs wait for the archive.
    fn control(&mut self, batch: &RawBatch, out: &mut Outputs) -> Result<(), Error> {
        for value in batch.iter().filter_map(|r| r.value) {
            if let Ok(Control::Run(run)) = records::from_json(value) {
                if run.state == RunState::Snapshot {
                    self.cut_offs_ms.insert(run.run, run.cut_off_ms);
                } else {
                    self.cut_offs_ms.remove(&run.run);
                }
            }
        }
        self.store_due(out)
    }

    fn idle(&mut self, source: &SourcePartition, out: &mut Outputs) -> Result<(), Error> {
        self.store_if(source, |_, _, _| true, out)?;
        let Some(partition) = self.partitions.get_mut(source).filter(|p| !p.idle) else { return Ok(()) };
        partition.idle = true;
        // What could not be stored is not reported as stored: the marker of its file will say idle.
        if partition.rows() > 0 { Ok(()) } else { mark(&self.config, source, partition, out) }
    }
}

fn mark(config: &Config, source: &SourcePartition, partition: &Partition, out: &mut Outputs) -> Result<(), Error> {
    let value = records::to_postcard(&Entry::ArchiveMarker { marker: partition.marker(config, source) })?;
    let record =
        OutputRecord { topic: TopicRole::Journal, partition: 0, timestamp_ms: None, key: None, value: Some(&value) };
    out.push(record, &[(RECORD_HEADER, kind::JOURNAL.as_bytes())]);
    Ok(())
}

impl domain::Stage for Archive {
    fn name(&self) -> &'static str {
        "archive"
    }

    fn step(&mut self, input: Input<'_>, out: &mut Outputs) -> Result<(), StageError> {
        match input {
            Input::Assigned { source, metadata, .. } => self.assigned(source, metadata)?,
            Input::Revoked(source) => {
                self.partitions.remove(source);
            }
            Input::Batch(batch) => self.batch(batch, out)?,
            Input::Idle(source) => self.idle(source, out)?,
            Input::Control(batch) => self.control(batch, out)?,
            Input::Tick { .. } => self.store_due(out)?,
            Input::Loaded { .. } => {}
        }
        Ok(())
    }

    fn commit_metadata(&self, source: &SourcePartition) -> String {
        self.partitions.get(source).map(Partition::metadata).unwrap_or_default()
    }

    fn commit_offset(&self, source: &SourcePartition, next: i64) -> i64 {
        self.partitions.get(source).map_or(next, |p| p.commit_offset(next))
    }

    fn accepts(&self, source: &SourcePartition) -> bool {
        self.partitions.get(source).is_some_and(|p| !p.is_full(&self.config))
    }
}
