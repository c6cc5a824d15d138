//! What events and labels have in common: a message's text, its id and its time.

use crate::column::{Texts, found, text};
use crate::format::{Source, TimeSource, TimeUnit};
use crate::paths::Paths;
use crate::reason::{ID_MISSING, JSON_ENCODING, JSON_SYNTAX, JSON_TYPE, Refusal, TIME_MISSING, TIME_TYPE, VALUE_NULL};
use crate::scan::Slot;
use crate::{Error, time};
use domain::{RawBatch, RawRecord};

#[derive(Debug)]
enum Id {
    Slot(usize, String),
    Key,
    Header(String),
}

#[derive(Debug)]
enum Time {
    Slot(usize, String, TimeUnit),
    Kafka,
}

/// Reads id and time of a record.
#[derive(Debug)]
pub(crate) struct Envelope {
    id: Id,
    time: Time,
}

/// The record's text, scanned into the slots of `paths`.
pub(crate) fn scan<'a>(paths: &mut Paths, record: &RawRecord<'a>) -> Result<&'a str, Refusal> {
    let value = record.value.ok_or_else(|| (VALUE_NULL, "the value is null, expected an object".to_owned()))?;
    let message =
        std::str::from_utf8(value).map_err(|e| (JSON_ENCODING, format!("byte {} is not UTF-8", e.valid_up_to())))?;
    match paths.scan(message) {
        Ok(true) => Ok(message),
        Ok(false) => Err((JSON_TYPE, "the value is not an object".to_owned())),
        Err(fault) => Err((JSON_SYNTAX, format!("expected {} at byte {}", fault.expected, fault.at))),
    }
}

impl Envelope {
    pub(crate) fn new(id: &Source, time: &TimeSource, paths: &mut Paths) -> Result<Self, Error> {
        let id = match id {
            Source::Column(path) => Id::Slot(paths.add(path)?, path.clone()),
            Source::Key => Id::Key,
            Source::Header(name) => Id::Header(name.clone()),
        };
        let time = match time {
            TimeSource::Column { path, unit } => Time::Slot(paths.add(path)?, path.clone(), *unit),
            TimeSource::KafkaTimestamp => Time::Kafka,
        };
        Ok(Self { id, time })
    }

    /// Appends the id; after an error the caller truncates.
    pub(crate) fn push_id(
        &self,
        (batch, index): (&RawBatch, usize),
        (paths, message): (&Paths, &str),
        ids: &mut Texts,
    ) -> Result<(), Refusal> {
        let bytes = match &self.id {
            Id::Slot(slot, path) => {
                let value = paths.slot(*slot);
                let usable = text(value, message).filter(|(t, _)| !t.is_empty());
                let Some((id, escaped)) = usable.filter(|_| !matches!(value, Slot::Boolean(_))) else {
                    let found = found(value, message);
                    return Err((ID_MISSING, format!("id column `{path}` holds {found}, expected text or a number")));
                };
                ids.push(id.as_bytes(), escaped);
                return Ok(());
            }
            Id::Key => batch.get(index).and_then(|r| r.key),
            Id::Header(name) => batch.header(index, name),
        };
        let id = bytes.and_then(|b| std::str::from_utf8(b).ok()).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| (ID_MISSING, "the id's key or header is absent, empty or not UTF-8".to_owned()))?;
        ids.push(id.as_bytes(), false);
        Ok(())
    }

    /// The record's time, epoch milliseconds.
    pub(crate) fn time(&self, record: &RawRecord<'_>, paths: &Paths, message: &str) -> Result<i64, Refusal> {
        let Time::Slot(slot, path, unit) = &self.time else {
            let known = time::in_range(record.timestamp_ms).filter(|ms| *ms >= 0);
            return known.ok_or_else(|| (TIME_MISSING, "the record has no kafka timestamp".to_owned()));
        };
        let value = paths.slot(*slot);
        if matches!(value, Slot::Missing | Slot::Null) {
            return Err((TIME_MISSING, format!("time column `{path}` is missing or null")));
        }
        time::read(value, message, *unit).ok_or_else(|| {
            let expected = match unit {
                TimeUnit::Rfc3339 => "RFC 3339 text",
                TimeUnit::Seconds => "epoch seconds",
                TimeUnit::Milliseconds => "epoch milliseconds",
                TimeUnit::Microseconds => "epoch microseconds",
                TimeUnit::Nanoseconds => "epoch nanoseconds",
            };
            let found = found(value, message);
            (TIME_TYPE, format!("time column `{path}` holds {found}, expected {expected} in the years 0 to 9999"))
        })
    }
}

/// Guard against offsets beyond 32 bits.
pub(crate) fn check_size(batch: &RawBatch) -> Result<(), Error> {
    let bytes = batch.byte_len();
    if i32::try_from(bytes).is_ok() { Ok(()) } else { Err(Error::BatchTooLarge(bytes)) }
}
