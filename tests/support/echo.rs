//! A stage that numbers the records of each partition, and a probe that shows what was done to it.

use domain::{
    Input, OutputRecord, Outputs, Prepared, Preparer, RawBatch, SourcePartition, Stage, StageError, TopicRole,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the test sees of a stage, and how it makes it misbehave.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Inputs other than batches, as text, and batches as `batch topic/partition`.
    pub(crate) inputs: Vec<String>,
    /// Records of batches stepped.
    pub(crate) rows: usize,
    /// Batches that were prepared while a commit was under way.
    pub(crate) prepared: usize,
    /// Next number of each partition.
    pub(crate) numbers: BTreeMap<SourcePartition, u64>,
    /// Panic once so many records were stepped.
    pub(crate) panic_at: Option<usize>,
    /// Return an error once so many records were stepped.
    pub(crate) fail_at: Option<usize>,
    /// Partitions that take no input.
    pub(crate) closed: Vec<i32>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Probe(Arc<Mutex<Seen>>);

impl Probe {
    pub(crate) fn look(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, input: &str) -> usize {
        self.look().inputs.iter().filter(|i| i.starts_with(input)).count()
    }
}

/// Writes one prediction per record: key as it came, value `partition/offset/number`. The number
/// counts the records of the partition and travels in the metadata of the commit, or, if the stage
/// replays, is rebuilt from the log.
#[derive(Debug)]
pub(crate) struct Echo {
    pub(crate) probe: Probe,
    pub(crate) replays: bool,
    pub(crate) outputs: i32,
}

impl Echo {
    fn assigned(&self, source: &SourcePartition, metadata: Option<&str>, snapshot: Option<&[u8]>) {
        let number = if self.replays {
            snapshot.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
        } else {
            metadata.filter(|text| !text.is_empty()).map_or(0, |text| text.parse().unwrap())
        };
        self.probe.look().numbers.insert(source.clone(), number);
    }
}

/// Says which batch it saw.
struct Offsets;

impl Preparer for Offsets {
    fn prepare(&mut self, batch: &RawBatch) -> Option<Prepared> {
        Some(Box::new(offsets(batch)))
    }
}

fn offsets(batch: &RawBatch) -> (SourcePartition, Vec<i64>) {
    (batch.source.clone(), batch.iter().map(|row| row.offset).collect())
}

impl Stage for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn step(&mut self, input: Input<'_>, out: &mut Outputs) -> Result<(), StageError> {
        match &input {
            Input::Batch(batch) => self.probe.look().inputs.push(format!("batch {}", batch.source)),
            other => self.probe.look().inputs.push(format!("{other:?}")),
        }
        match input {
            Input::Assigned { source, metadata, snapshot, .. } => self.assigned(source, metadata, snapshot),
            Input::Revoked(source) => drop(self.probe.look().numbers.remove(source)),
            Input::Batch(batch) => {
                for (index, row) in batch.iter().enumerate() {
                    assert_eq!(batch.header(index, "number"), row.value, "headers come with the record");
                    let mut seen = self.probe.look();
                    let number = seen.numbers.get_mut(&batch.source).expect("assigned before its records");
                    let value = format!("{}/{}/{number}", batch.source.partition, row.offset);
                    *number += 1;
                    seen.rows += 1;
                    if seen.panic_at.is_some_and(|at| seen.rows >= at) {
                        seen.panic_at = None;
                        drop(seen);
                        panic!("the test crashes this runner");
                    }
                    if seen.fail_at.is_some_and(|at| seen.rows >= at) {
                        seen.fail_at = None;
                        return Err(StageError::internal("the test fails this stage"));
                    }
                    drop(seen);
                    let record = OutputRecord {
                        topic: TopicRole::Predictions,
                        partition: batch.source.partition % self.outputs,
                        timestamp_ms: Some(row.timestamp_ms),
                        key: row.key,
                        value: Some(value.as_bytes()),
                    };
                    out.push(record, &[("vigie.record", b"prediction/1")]);
                }
            }
            Input::Control(batch) => {
                for row in batch.iter() {
                    let record = OutputRecord {
                        topic: TopicRole::Journal,
                        partition: 0,
                        timestamp_ms: None,
                        key: None,
                        value: row.value,
                    };
                    out.push(record, &[]);
                }
            }
            _ => (),
        }
        Ok(())
    }

    fn preparer(&self) -> Option<Box<dyn Preparer>> {
        Some(Box::new(Offsets))
    }

    fn step_prepared(&mut self, batch: &RawBatch, prepared: Prepared, out: &mut Outputs) -> Result<(), StageError> {
        let seen = prepared.downcast::<(SourcePartition, Vec<i64>)>().unwrap();
        assert_eq!(*seen, offsets(batch), "prepared is what is stepped");
        self.probe.look().prepared += 1;
        self.step(Input::Batch(batch), out)
    }

    fn commit_metadata(&self, source: &SourcePartition) -> String {
        self.probe.look().numbers.get(source).map_or_else(String::new, u64::to_string)
    }

    fn accepts(&self, source: &SourcePartition) -> bool {
        !self.probe.look().closed.contains(&source.partition)
    }

    fn replays(&self) -> bool {
        self.replays
    }

    fn snapshot(&self, source: &SourcePartition) -> Option<Vec<u8>> {
        self.probe.look().numbers.get(source).map(|number| number.to_le_bytes().to_vec())
    }
}
