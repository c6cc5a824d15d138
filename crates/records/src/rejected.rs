//! `p.rejected`: what could not be read or scored, with its original bytes and the reason.

use crate::{RECORD_HEADER, kind};
use domain::{OutputRecord, Outputs, RawBatch, TopicRole};

/// Bytes of a value beyond which a rejected record is cut, so that its headers still fit a topic
/// that takes records 64 KiB larger than the source.
pub const TRUNCATE_ABOVE_BYTES: usize = 8 * 1024 * 1024;

/// Why a record was refused.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// Stable code, such as `json.syntax` or `field.missing`.
    pub reason: &'a str,
    /// For a person: the thing, the value found, what was expected.
    pub detail: &'a str,
    /// Stage that refused it.
    pub stage: &'a str,
}

/// Appends the record at `index` of `batch` to the rejected topic, which has `partitions`
/// partitions: key, value and headers as they came, and the reason and coordinates in headers.
/// The Kafka timestamp is the record's own.
pub fn push(out: &mut Outputs, batch: &RawBatch, index: usize, refusal: Refusal<'_>, partitions: i32) {
    let Some(record) = batch.get(index) else { return };
    let (partition, offset) = (batch.source.partition.to_string(), record.offset.to_string());
    let size = record.value.map_or(0, <[u8]>::len).to_string();
    let truncated = record.value.is_some_and(|v| v.len() > TRUNCATE_ABOVE_BYTES);
    let value = record.value.map(|v| v.get(..TRUNCATE_ABOVE_BYTES).unwrap_or(v));
    let mut headers: Vec<(&str, &[u8])> = batch.headers(index).map(|h| (h.name, h.value.unwrap_or_default())).collect();
    headers.extend_from_slice(&[
        (RECORD_HEADER, kind::REJECTED.as_bytes()),
        ("vigie.reason", refusal.reason.as_bytes()),
        ("vigie.detail", refusal.detail.as_bytes()),
        ("vigie.stage", refusal.stage.as_bytes()),
        ("vigie.topic", batch.source.topic.as_bytes()),
        ("vigie.partition", partition.as_bytes()),
        ("vigie.offset", offset.as_bytes()),
    ]);
    if truncated {
        headers.push(("vigie.truncated", size.as_bytes()));
    }
    out.push(
        OutputRecord {
            topic: TopicRole::Rejected,
            partition: batch.source.partition.rem_euclid(partitions.max(1)),
            timestamp_ms: Some(record.timestamp_ms),
            key: record.key,
            value,
        },
        &headers,
    );
}
