//! `p.rejected`: what could not be read or scored, with its original bytes and the reason.

use crate::{RECORD_HEADER, kind};
use domain::{Header, OutputRecord, Outputs, RawBatch, TopicRole};

/// How the names of all headers begin that Vigie puts on records.
pub const OWN_HEADERS: &str = "vigie.";

/// Header of a record that was sent back to its source topic: `topic/partition/offset` of the
/// rejected record it was made from.
pub const REPLAYED: &str = "vigie.replayed";

const REASON: &str = "vigie.reason";
const DETAIL: &str = "vigie.detail";
const STAGE: &str = "vigie.stage";
const TOPIC: &str = "vigie.topic";
const PARTITION: &str = "vigie.partition";
const OFFSET: &str = "vigie.offset";
const TRUNCATED: &str = "vigie.truncated";
const KEY_TRUNCATED: &str = "vigie.key_truncated";
const HEADERS_DROPPED: &str = "vigie.headers_dropped";

/// What Kafka's record format adds: 61 bytes of a batch's head, and lengths as variable integers.
const FRAME_BYTES: usize = 256;
/// Lengths of a header's name and value.
const HEADER_FRAME_BYTES: usize = 10;

/// The rejected topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Its partitions.
    pub partitions: i32,
    /// Bytes of the largest record it takes (`max.message.bytes`).
    pub record_bytes_max: usize,
}

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

type Headers<'a> = Vec<(&'a str, &'a [u8])>;

fn bytes_of(headers: &[(&str, &[u8])]) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len() + HEADER_FRAME_BYTES).sum()
}

/// Appends the record at `index` of `batch` to the rejected topic: key, value and headers as they
/// came, and the reason and coordinates in headers. The Kafka timestamp is the record's own.
///
/// What is larger than the topic takes is cut: first the value, then the headers it came with, last
/// the key; further headers say so, with the original sizes.
pub fn push(out: &mut Outputs, batch: &RawBatch, index: usize, refusal: Refusal<'_>, topic: Topic) {
    let Some(record) = batch.get(index) else { return };
    let (partition, offset) = (batch.source.partition.to_string(), record.offset.to_string());
    let mut added: Headers<'_> = vec![
        (RECORD_HEADER, kind::REJECTED.as_bytes()),
        (REASON, refusal.reason.as_bytes()),
        (DETAIL, refusal.detail.as_bytes()),
        (STAGE, refusal.stage.as_bytes()),
        (TOPIC, batch.source.topic.as_bytes()),
        (PARTITION, partition.as_bytes()),
        (OFFSET, offset.as_bytes()),
    ];
    let mut headers: Headers<'_> = batch.headers(index).map(|h| (h.name, h.value.unwrap_or_default())).collect();
    let cut_headers = 3 * (KEY_TRUNCATED.len() + 20 + HEADER_FRAME_BYTES);
    let fixed = FRAME_BYTES + bytes_of(&added) + cut_headers;
    let (mut key, mut value) = (record.key, record.value);
    let (key_size, value_size) = (key.map_or(0, <[u8]>::len), value.map_or(0, <[u8]>::len));
    let dropped = headers.len().to_string();
    let (key_was, value_was) = (key_size.to_string(), value_size.to_string());
    let mut room = topic.record_bytes_max.saturating_sub(fixed);
    if key_size + value_size + bytes_of(&headers) > room {
        if key_size > room {
            key = key.and_then(|k| k.get(..room));
            added.push((KEY_TRUNCATED, key_was.as_bytes()));
        }
        room -= key.map_or(0, <[u8]>::len);
        if bytes_of(&headers) > room {
            headers.clear();
            added.push((HEADERS_DROPPED, dropped.as_bytes()));
        }
        room -= bytes_of(&headers);
        if value_size > room {
            value = value.and_then(|v| v.get(..room));
            added.push((TRUNCATED, value_was.as_bytes()));
        }
    }
    headers.append(&mut added);
    out.push(
        OutputRecord {
            topic: TopicRole::Rejected,
            partition: batch.source.partition.rem_euclid(topic.partitions.max(1)),
            timestamp_ms: Some(record.timestamp_ms),
            key,
            value,
        },
        &headers,
    );
}

/// A record of `p.rejected`, taken apart.
#[derive(Debug, Clone)]
pub struct Rejected<'a> {
    /// Its partition of `p.rejected`.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Kafka timestamp, that of the record refused.
    pub timestamp_ms: i64,
    /// Key as it came.
    pub key: Option<&'a [u8]>,
    /// Value as it came, unless [`Rejected::is_truncated`].
    pub value: Option<&'a [u8]>,
    /// Headers it came with.
    pub original: Vec<Header<'a>>,
    /// Headers it was given when it was refused; none if something else wrote the record.
    pub added: Vec<Header<'a>>,
}

impl<'a> Rejected<'a> {
    /// The record at a place below [`RawBatch::len`].
    #[must_use]
    pub fn read(batch: &'a RawBatch, index: usize) -> Option<Self> {
        let record = batch.get(index)?;
        let mut original: Vec<Header<'a>> = batch.headers(index).collect();
        // The last one: a record that is derived itself came with such a header of its own.
        let first_added = original.iter().rposition(|h| h.name == RECORD_HEADER).unwrap_or(original.len());
        let added = original.split_off(first_added);
        Some(Self {
            partition: batch.source.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key,
            value: record.value,
            original,
            added,
        })
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.added.iter().find(|h| h.name == name).and_then(|h| h.value).and_then(|v| std::str::from_utf8(v).ok())
    }

    /// Stable code of why it was refused.
    #[must_use]
    pub fn reason(&self) -> Option<&'a str> {
        self.text(REASON)
    }

    /// The same for a person.
    #[must_use]
    pub fn detail(&self) -> Option<&'a str> {
        self.text(DETAIL)
    }

    /// Stage that refused it.
    #[must_use]
    pub fn stage(&self) -> Option<&'a str> {
        self.text(STAGE)
    }

    /// Topic it came from.
    #[must_use]
    pub fn source_topic(&self) -> Option<&'a str> {
        self.text(TOPIC)
    }

    /// Partition of that topic.
    #[must_use]
    pub fn source_partition(&self) -> Option<i32> {
        self.text(PARTITION)?.parse().ok()
    }

    /// Offset in that partition.
    #[must_use]
    pub fn source_offset(&self) -> Option<i64> {
        self.text(OFFSET)?.parse().ok()
    }

    /// Whether something of it was cut: value, key or headers.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.added.iter().any(|h| [TRUNCATED, KEY_TRUNCATED, HEADERS_DROPPED].contains(&h.name))
    }

    /// Bytes of the value as it came; `None` for a tombstone.
    #[must_use]
    pub fn size_bytes(&self) -> Option<usize> {
        self.text(TRUNCATED).and_then(|size| size.parse().ok()).or(self.value.map(<[u8]>::len))
    }

    /// The rejected record this one was replayed from before it was refused again.
    #[must_use]
    pub fn replayed(&self) -> Option<&'a [u8]> {
        self.original.iter().find(|h| h.name == REPLAYED).and_then(|h| h.value)
    }
}

#[cfg(test)]
mod tests {
    use super::{FRAME_BYTES, REPLAYED, Refusal, Rejected, Topic, bytes_of, push};
    use domain::{Header, Outputs, RawBatch, RawRecord, SourcePartition, TopicRole};

    const LARGE: usize = 1_048_588;

    /// Refuses one record and reads what was written about it.
    fn check(
        limit: usize,
        key: &[u8],
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
        see: impl FnOnce(&Rejected<'_>),
    ) {
        let mut events = RawBatch::new(TopicRole::Events, SourcePartition::new("flights", 5));
        let record = RawRecord { offset: 17, timestamp_ms: 1_359_763_200_000, key: Some(key), value };
        events.push(record, headers.iter().map(|(name, value)| Header { name, value: Some(value) }));
        let mut out = Outputs::default();
        let refusal = Refusal { reason: "field.type", detail: "why", stage: "score" };
        push(&mut out, &events, 0, refusal, Topic { partitions: 4, record_bytes_max: limit });
        let written = out.records().next().unwrap();
        let all: Vec<_> = out.headers(0).collect();
        let size =
            FRAME_BYTES + bytes_of(&all) + written.key.map_or(0, <[u8]>::len) + written.value.map_or(0, <[u8]>::len);
        assert!(size <= limit, "{size} bytes, {limit} are taken");
        let mut rejected = RawBatch::new(TopicRole::Rejected, SourcePartition::new("p.rejected", written.partition));
        let timestamp_ms = written.timestamp_ms.unwrap();
        let record = RawRecord { offset: 3, timestamp_ms, key: written.key, value: written.value };
        rejected.push(record, out.headers(0).map(|(name, value)| Header { name, value: Some(value) }));
        see(&Rejected::read(&rejected, 0).unwrap());
    }

    #[test]
    fn what_was_refused_is_read_back_as_it_came() {
        let headers: [(&str, &[u8]); 3] =
            [("trace", b"1"), ("vigie.record", b"prediction/1"), ("vigie.reason", b"odd")];
        check(LARGE, b"k", Some(b"\xff\0"), &headers, |r| {
            assert_eq!((r.partition, r.offset, r.timestamp_ms), (1, 3, 1_359_763_200_000));
            assert_eq!((r.key, r.value, r.size_bytes()), (Some(&b"k"[..]), Some(&b"\xff\0"[..]), Some(2)));
            assert_eq!((r.reason(), r.detail(), r.stage()), (Some("field.type"), Some("why"), Some("score")));
            assert_eq!(r.source_topic(), Some("flights"));
            assert_eq!((r.source_partition(), r.source_offset()), (Some(5), Some(17)));
            let names: Vec<&str> = r.original.iter().map(|h| h.name).collect();
            assert_eq!(names, ["trace", "vigie.record", "vigie.reason"]);
            assert!(!r.is_truncated() && r.replayed().is_none());
        });
        check(LARGE, b"k", None, &[(REPLAYED, b"p.rejected/0/1")], |r| {
            assert_eq!((r.value, r.size_bytes()), (None, None));
            assert_eq!(r.replayed(), Some(&b"p.rejected/0/1"[..]));
        });
        check(LARGE, b"k", Some(b"{}"), &[("vigie.truncated", b"9")], |r| assert!(!r.is_truncated()));
    }

    #[test]
    fn what_the_topic_does_not_take_is_cut_value_first() {
        let (large, odd) = (vec![b'x'; 5_000], vec![b'h'; 5_000]);
        check(5_000, b"k", Some(&large), &[("trace", b"1")], |r| {
            assert!(r.is_truncated());
            assert!((3_000..5_000).contains(&r.value.unwrap().len()));
            assert_eq!((r.size_bytes(), r.key, r.original.len()), (Some(5_000), Some(&b"k"[..]), 1));
        });
        check(5_000, b"k", Some(&large), &[("odd", &odd)], |r| {
            assert_eq!((r.is_truncated(), r.original.len(), r.key), (true, 0, Some(&b"k"[..])));
            assert!(r.value.unwrap().len() > 3_000);
        });
        check(5_000, &large, Some(b"{}"), &[], |r| {
            assert_eq!((r.is_truncated(), r.size_bytes()), (true, Some(2)));
            assert!(r.key.unwrap().len() > 3_000 && r.value == Some(b""));
        });
    }
}
