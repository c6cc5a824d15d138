//! Which rejected records a command is about.

use crate::cli::Filters;
use records::rejected::Rejected;
use std::collections::BTreeSet;
use std::fmt;

/// Where a record is in `p.rejected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Partition.
    pub(super) partition: i32,
    /// Offset.
    pub(super) offset: i64,
}

impl Place {
    /// Reads `PARTITION@OFFSET`.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        text.split_once('@')
            .and_then(|(partition, offset)| Self::of(partition, offset))
            .ok_or_else(|| anyhow::anyhow!("`{text}` is not a place; expected PARTITION@OFFSET, as in 0@17"))
    }

    /// Reads the header of a replayed record, `topic/partition/offset`; `None` if it names another
    /// topic than this.
    pub(super) fn of_replayed(header: &[u8], topic: &str) -> Option<Self> {
        let coordinates = std::str::from_utf8(header).ok()?.strip_prefix(topic)?.strip_prefix('/')?;
        let (partition, offset) = coordinates.split_once('/')?;
        Self::of(partition, offset)
    }

    /// What that header says of a record here.
    pub(super) fn replayed(self, topic: &str) -> String {
        format!("{topic}/{}/{}", self.partition, self.offset)
    }

    fn of(partition: &str, offset: &str) -> Option<Self> {
        let (partition, offset) = (partition.parse::<i32>().ok()?, offset.parse::<i64>().ok()?);
        (partition >= 0 && offset >= 0).then_some(Self { partition, offset })
    }
}

impl From<&Rejected<'_>> for Place {
    fn from(record: &Rejected<'_>) -> Self {
        Self { partition: record.partition, offset: record.offset }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}@{}", self.partition, self.offset))
    }
}

/// What a record must be like; what is not said is not asked.
#[derive(Debug, Default)]
pub(super) struct Filter {
    reason: Option<String>,
    stage: Option<String>,
    topic: Option<String>,
    since_ms: Option<i64>,
}

impl Filter {
    /// Reads the filters of a command line.
    pub(super) fn new(filters: &Filters) -> anyhow::Result<Self> {
        Ok(Self {
            reason: filters.reason.clone(),
            stage: filters.stage.clone(),
            topic: filters.topic.clone(),
            since_ms: filters.since.as_deref().map(super::super::time).transpose()?,
        })
    }

    /// Whether a record is meant.
    pub(super) fn matches(&self, record: &Rejected<'_>) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        is(&self.reason, record.reason())
            && is(&self.stage, record.stage())
            && is(&self.topic, record.source_topic())
            && self.since_ms.is_none_or(|since_ms| record.timestamp_ms >= since_ms)
    }
}

/// Records by what they are like, or one by one.
#[derive(Debug)]
pub(super) enum Selection {
    /// All that match.
    Matching(Filter),
    /// Those at these places.
    Places(BTreeSet<Place>),
}

impl Selection {
    /// Places, if there are any; else what matches.
    pub(super) fn new(filters: &Filters, places: &[String]) -> anyhow::Result<Self> {
        if places.is_empty() {
            return Ok(Self::Matching(Filter::new(filters)?));
        }
        Ok(Self::Places(places.iter().map(|text| Place::parse(text)).collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, Place, Selection};
    use crate::cli::Filters;
    use domain::{Header, RawBatch, RawRecord, SourcePartition, TopicRole};
    use records::rejected::Rejected;

    fn filters(reason: Option<&str>, stage: Option<&str>, topic: Option<&str>, since: Option<&str>) -> Filters {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Filters { reason: owned(reason), stage: owned(stage), topic: owned(topic), since: owned(since) }
    }

    #[test]
    fn places_are_read_and_written_alike() {
        for (text, place) in [
            ("0@17", Some((0, 17))),
            ("12@9223372036854775807", Some((12, i64::MAX))),
            ("0@9223372036854775808", None),
            ("-1@3", None),
            ("1@-3", None),
            ("1/3", None),
            ("1@", None),
            ("@", None),
            ("", None),
            ("1@2@3", None),
        ] {
            let read = Place::parse(text);
            assert_eq!(read.as_ref().ok().map(|p| (p.partition, p.offset)), place, "{text}");
            match read {
                Ok(read) => assert_eq!(read.to_string(), text),
                Err(error) => assert!(error.to_string().starts_with(&format!("`{text}` is not a place"))),
            }
        }
    }

    #[test]
    fn a_replayed_record_names_the_rejected_one_it_was_made_from() {
        let place = Place { partition: 3, offset: 40 };
        let header = place.replayed("p.rejected");
        assert_eq!(header, "p.rejected/3/40");
        assert_eq!(Place::of_replayed(header.as_bytes(), "p.rejected"), Some(place));
        for (header, topic) in [
            (header.as_bytes(), "q.rejected"),
            (header.as_bytes(), "p.reject"),
            (b"p.rejected", "p.rejected"),
            (b"p.rejected/3", "p.rejected"),
            (b"p.rejected/3/4/5", "p.rejected"),
            (b"\xff", "p.rejected"),
        ] {
            assert_eq!(Place::of_replayed(header, topic), None, "{header:?} in {topic}");
        }
    }

    #[test]
    fn filters_ask_only_what_was_said() {
        let mut batch = RawBatch::new(TopicRole::Rejected, SourcePartition::new("p.rejected", 0));
        let record = RawRecord { offset: 0, timestamp_ms: 1_359_763_200_000, key: None, value: None };
        let headers =
            [("vigie.record", "rejected/1"), ("vigie.reason", "a.b"), ("vigie.stage", "score"), ("vigie.topic", "t")];
        batch.push(record, headers.iter().map(|(name, v)| Header { name, value: Some(v.as_bytes()) }));
        batch.push(record, []);
        let check = |filters: &Filters| {
            let filter = Filter::new(filters).unwrap();
            [0, 1].map(|index| filter.matches(&Rejected::read(&batch, index).unwrap()))
        };
        for (filters, expected) in [
            (filters(None, None, None, None), [true, true]),
            (filters(Some("a.b"), Some("score"), Some("t"), Some("2013-02-02")), [true, false]),
            (filters(Some("a"), None, None, None), [false, false]),
            (filters(None, Some("intake"), None, None), [false, false]),
            (filters(None, None, Some("u"), None), [false, false]),
            (filters(None, None, None, Some("2013-02-02T00:00:00Z")), [true, true]),
            (filters(None, None, None, Some("2013-02-02T00:00:00.001Z")), [false, false]),
        ] {
            assert_eq!(check(&filters), expected, "{filters:?}");
        }
    }

    #[test]
    fn faulty_arguments_are_named() {
        let said = |result: anyhow::Result<Selection>| result.err().map(|e| e.to_string()).unwrap_or_default();
        let none = filters(None, None, None, None);
        assert!(said(Selection::new(&none, &["0@1".to_owned(), "x".to_owned()])).starts_with("`x` is not a place"));
        assert!(
            said(Selection::new(&filters(None, None, None, Some("soon")), &[])).starts_with("`soon` is not a time")
        );
        let places = Selection::new(&none, &["1@5".to_owned(), "0@7".to_owned(), "1@5".to_owned()]).unwrap();
        assert!(matches!(places, Selection::Places(places) if places.len() == 2));
    }
}
