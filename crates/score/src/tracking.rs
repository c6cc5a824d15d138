//! The event side of the label join: scores of all versions, hashed by event id.

use crate::Error;
use crate::run::{Batch, ScoredRun};
use domain::ids::tracking_partition;
use domain::{Fingerprint, OutputRecord, Outputs, TopicRole};
use profile::SegmentValues;
use records::tracking::{PredictionBatch, SegmentColumn, Tracking};
use records::{RECORD_HEADER, kind};

/// A record is cut before it grows beyond this.
const BYTES_MAX: usize = 512 * 1024;

/// Appends one internal record.
pub(crate) fn push(out: &mut Outputs, topic: TopicRole, partition: i32, kind: &str, value: &[u8]) {
    let record = OutputRecord { topic, partition, timestamp_ms: None, key: None, value: Some(value) };
    out.push(record, &[(RECORD_HEADER, kind.as_bytes())]);
}

/// Writes the kept rows of a run, per tracking partition.
pub(crate) fn predictions(batch: &Batch<'_>, scored: &ScoredRun<'_>, out: &mut Outputs) -> Result<(), Error> {
    let count = batch.config.tracking_partitions.max(1);
    let mut buckets: Vec<Vec<(u32, Fingerprint)>> = vec![Vec::new(); usize::try_from(count).unwrap_or(1)];
    for place in &scored.kept {
        let id = batch.fingerprint(scored.run.rows.start + *place as usize);
        let partition = usize::try_from(tracking_partition(id, count)).unwrap_or(0);
        if let Some(bucket) = buckets.get_mut(partition) {
            bucket.push((*place, id));
        }
    }
    let codes = batch.config.segments.iter().zip(&scored.champion.segments).map(|(segment, values)| {
        let column = scored.rows.column_by_name(&segment.column);
        (segment.name.as_str(), values, values.codes(column, scored.rows.num_rows()))
    });
    let codes: Vec<_> = codes.collect();
    let outputs: usize = scored.members.iter().map(|(_, outputs)| *outputs).sum();
    let rows_max = (BYTES_MAX / (64 + 8 * outputs + 5 * codes.len())).max(1);
    for (partition, bucket) in (0..).zip(&buckets) {
        for rows in bucket.chunks(rows_max) {
            let record = Tracking::Predictions(of_rows(batch, scored, &codes, rows));
            push(out, TopicRole::Tracking, partition, kind::TRACKING, &records::to_postcard(&record)?);
        }
    }
    Ok(())
}

fn of_rows(
    batch: &Batch<'_>,
    scored: &ScoredRun<'_>,
    codes: &[(&str, &SegmentValues, Vec<u32>)],
    rows: &[(u32, Fingerprint)],
) -> PredictionBatch {
    let accepted = |place: &u32| scored.run.rows.start + *place as usize;
    let member = |m: usize| rows.iter().flat_map(|(place, _)| scored.outputs(m, *place)).copied().collect();
    PredictionBatch {
        source: batch.raw.source.clone(),
        line_up: scored.run.line_up.clone(),
        ids: rows.iter().map(|(_, id)| *id).collect(),
        offsets: rows.iter().map(|(place, _)| batch.origin(accepted(place)).1).collect(),
        times_ms: rows.iter().map(|(place, _)| batch.time_ms(accepted(place))).collect(),
        after_final: rows.iter().map(|(p, _)| batch.after_final.get(accepted(p)).copied().unwrap_or(false)).collect(),
        segments: codes.iter().map(|(name, values, codes)| segment(name, values, codes, rows)).collect(),
        scores: (0..scored.members.len()).map(member).collect(),
    }
}

/// The values that occur, in the order in which they first do.
fn segment(name: &str, all: &SegmentValues, codes: &[u32], rows: &[(u32, Fingerprint)]) -> SegmentColumn {
    let mut places: Vec<Option<u32>> = vec![None; all.values().len()];
    let mut column = SegmentColumn { name: name.to_owned(), values: Vec::new(), codes: Vec::with_capacity(rows.len()) };
    for (place, _) in rows {
        let code = codes.get(*place as usize).map_or(0, |code| *code as usize);
        let next = u32::try_from(column.values.len()).unwrap_or(u32::MAX);
        let Some(known) = places.get_mut(code) else { continue };
        if known.is_none() {
            column.values.push(all.values().get(code).cloned().unwrap_or_default());
        }
        column.codes.push(*known.get_or_insert(next));
    }
    column
}
