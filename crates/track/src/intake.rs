//! The stage intake: labels come in from the user's topics and go to `p.tracking`.
//!
//! It decodes labels, sets refused records apart, routes each label to the tracking partition of
//! its id, and writes a marker to *every* tracking partition whenever a label partition's
//! watermark passes the end of a slice. The marker stands exactly behind the record that passed
//! it, whatever the batch cuts: join decides by it what came too late. It keeps no table; all
//! its state fits into the metadata of a commit.

#[cfg(test)]
mod tests;
mod watermark;

use crate::error::Error;
use codec::{LabelDecoder, LabelFormat};
use domain::ids::tracking_partition;
use domain::time::Watermark;
use domain::{
    EventWatermark, Input, OutputRecord, Outputs, RawBatch, Slices, SourcePartition, Stage, StageError, TopicRole,
    fingerprint,
};
use records::rejected::{self, Refusal};
use records::tracking::{LabelBatch, Marker, Tracking};
use records::{RECORD_HEADER, kind};
use std::collections::BTreeMap;
use std::sync::Arc;
use watermark::LabelPartition;

/// Labels in one record of `p.tracking`; at most some 50 bytes each, well below 1 MB.
const LABELS_PER_RECORD: usize = 8192;

/// How far labels may run ahead of events.
///
/// Labels of predictions that are not out yet wait in join. While predictions cannot be written, or a
/// backlog of events is worked off, this bounds them. It only pauses input; no result depends on it.
#[derive(Debug, Clone)]
pub struct Align {
    /// Of the event partitions scored in the same process; while it is unknown, labels are taken.
    pub events: Arc<EventWatermark>,
    /// By how much a label partition's watermark may be ahead of it.
    pub align_ms: i64,
}

/// What intake must know.
#[derive(Debug, Clone)]
pub struct IntakeConfig {
    /// How labels look.
    pub format: LabelFormat,
    /// How stream time is cut: markers are written when a slice ends.
    pub slices: Slices,
    /// The watermark is the largest label time less this.
    pub lateness_ms: i64,
    /// A label this much ahead of its own Kafka timestamp does not move the watermark.
    pub max_skew_ms: i64,
    /// Partitions of `p.tracking`.
    pub tracking_partitions: i32,
    /// The rejected topic.
    pub rejected: rejected::Topic,
    /// Pauses labels that are too far ahead.
    pub align: Option<Align>,
}

/// See the module's description.
#[derive(Debug)]
pub struct Intake {
    config: IntakeConfig,
    decoder: LabelDecoder,
    partitions: BTreeMap<SourcePartition, LabelPartition>,
}

/// Labels on their way to tracking, one batch per tracking partition.
struct Routed<'a> {
    source: &'a SourcePartition,
    batches: Vec<LabelBatch>,
}

impl Intake {
    /// An intake without partitions.
    ///
    /// # Errors
    /// [`Error::Decoder`] if no label could ever be decoded with this format.
    pub fn new(config: IntakeConfig) -> Result<Self, Error> {
        let decoder = LabelDecoder::new(config.format.clone()).map_err(|e| Error::Decoder(e.to_string()))?;
        Ok(Self { config, decoder, partitions: BTreeMap::new() })
    }

    fn assigned(&mut self, source: &SourcePartition, metadata: Option<&str>) -> Result<(), Error> {
        let partition = match metadata.filter(|text| !text.is_empty()) {
            None => LabelPartition::default(),
            Some(text) => records::from_json(text.as_bytes())
                .map_err(|fault| Error::Record { what: format!("commit metadata {text:?} of {source}"), fault })?,
        };
        self.partitions.insert(source.clone(), partition);
        Ok(())
    }

    fn batch(&mut self, batch: &RawBatch, out: &mut Outputs) -> Result<(), Error> {
        let Self { config, decoder, partitions } = self;
        let Some(partition) = partitions.get_mut(&batch.source) else {
            return Err(Error::Unassigned(batch.source.to_string()));
        };
        if partition.idle {
            // Before its labels: from here on the partition holds the least watermark up again.
            partition.idle = false;
            push_markers(out, config.tracking_partitions, &batch.source, partition.marker())?;
        }
        let decoded = decoder.decode(batch).map_err(|e| Error::Decoder(e.to_string()))?;
        let mut reasons: BTreeMap<&'static str, u64> = BTreeMap::new();
        for refused in &decoded.refused {
            let refusal = Refusal { reason: refused.reason, detail: &refused.detail, stage: "intake" };
            rejected::push(out, batch, refused.index as usize, refusal, config.rejected);
            *reasons.entry(refused.reason).or_default() += 1;
        }
        for (reason, value) in reasons {
            out.count_by("vigie.records.rejected", ("vigie.reason", reason), value);
        }
        let before = *partition;
        partition.read += count(batch.len());
        partition.rejected += count(decoded.refused.len());
        partition.ignored += decoded.ignored;
        let mut routed = Routed::new(&batch.source, config.tracking_partitions);
        for (row, index) in decoded.indexes.iter().enumerate() {
            let (Some(record), Some(time), Some(value)) =
                (batch.get(*index as usize), decoded.times_ms.get(row), decoded.values.get(row))
            else {
                continue;
            };
            let id = fingerprint(decoded.ids.value(row).as_bytes());
            routed.push(out, id, record.offset, *time, *value)?;
            partition.accepted += 1;
            if partition.observe(*time, record.timestamp_ms, config) {
                routed.flush(out)?;
                push_markers(out, config.tracking_partitions, &batch.source, partition.marker())?;
            }
        }
        routed.flush(out)?;
        out.count("vigie.labels.accepted", partition.accepted - before.accepted);
        out.count("vigie.labels.future", partition.future - before.future);
        Ok(())
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl<'a> Routed<'a> {
    fn new(source: &'a SourcePartition, partitions: i32) -> Self {
        Self { source, batches: (0..partitions.max(1)).map(|_| empty(source)).collect() }
    }

    fn push(&mut self, out: &mut Outputs, id: u128, offset: i64, time_ms: i64, value: f64) -> Result<(), Error> {
        let partitions = i32::try_from(self.batches.len()).unwrap_or(i32::MAX);
        let partition = tracking_partition(id, partitions);
        let Some(batch) = usize::try_from(partition).ok().and_then(|p| self.batches.get_mut(p)) else {
            return Ok(());
        };
        batch.ids.push(id);
        batch.offsets.push(offset);
        batch.times_ms.push(time_ms);
        batch.values.push(value);
        if batch.ids.len() >= LABELS_PER_RECORD { self.flush(out) } else { Ok(()) }
    }

    /// Writes what is there; afterwards nothing is.
    fn flush(&mut self, out: &mut Outputs) -> Result<(), Error> {
        for (partition, batch) in (0..).zip(&mut self.batches) {
            if batch.ids.is_empty() {
                continue;
            }
            let empty = empty(self.source);
            let labels = Tracking::Labels(std::mem::replace(batch, empty));
            push_tracking(out, partition, &labels)?;
        }
        Ok(())
    }
}

fn empty(source: &SourcePartition) -> LabelBatch {
    LabelBatch {
        source: source.clone(),
        ids: Vec::new(),
        offsets: Vec::new(),
        times_ms: Vec::new(),
        values: Vec::new(),
    }
}

fn push_tracking(out: &mut Outputs, partition: i32, record: &Tracking) -> Result<(), Error> {
    let value = records::to_postcard(record)
        .map_err(|fault| Error::Record { what: "tracking record of intake".to_owned(), fault })?;
    out.push(
        OutputRecord { topic: TopicRole::Tracking, partition, timestamp_ms: None, key: None, value: Some(&value) },
        &[(RECORD_HEADER, kind::TRACKING.as_bytes())],
    );
    Ok(())
}

fn push_markers(
    out: &mut Outputs,
    partitions: i32,
    source: &SourcePartition,
    watermark: Watermark,
) -> Result<(), Error> {
    let marker = Tracking::Marker(Marker::labels(source.clone(), watermark));
    (0..partitions.max(1)).try_for_each(|partition| push_tracking(out, partition, &marker))
}

impl Stage for Intake {
    fn name(&self) -> &'static str {
        "intake"
    }

    fn step(&mut self, input: Input<'_>, out: &mut Outputs) -> Result<(), StageError> {
        match input {
            Input::Assigned { source, metadata, .. } => self.assigned(source, metadata)?,
            Input::Revoked(source) => {
                self.partitions.remove(source);
            }
            Input::Batch(batch) if batch.role == TopicRole::Labels => self.batch(batch, out)?,
            Input::Idle(source) => {
                if let Some(partition) = self.partitions.get_mut(source).filter(|p| !p.idle) {
                    partition.idle = true;
                    push_markers(out, self.config.tracking_partitions, source, partition.marker())?;
                }
            }
            Input::Batch(_) | Input::Control(_) | Input::Loaded { .. } | Input::Tick { .. } => {}
        }
        Ok(())
    }

    fn commit_metadata(&self, source: &SourcePartition) -> String {
        let json = self.partitions.get(source).and_then(|partition| records::to_json(partition).ok());
        json.and_then(|json| String::from_utf8(json).ok()).unwrap_or_default()
    }

    fn accepts(&self, source: &SourcePartition) -> bool {
        let Some(align) = &self.config.align else { return true };
        let Some(events) = align.events.least_ms() else { return true };
        let labels = self.partitions.get(source).and_then(|p| p.watermark_ms);
        labels.is_none_or(|labels| labels <= events.saturating_add(align.align_ms))
    }
}
