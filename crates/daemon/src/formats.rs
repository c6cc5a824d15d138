//! What the configuration says of records, in the words of `codec`.

use crate::config::Config;
use crate::config::checks::classes;
use crate::config::file::{TimeUnit, Tombstone};
use codec::{EventFormat, LabelFormat, Source, TimeSource};
use domain::EventSchema;

/// The declared columns.
pub(crate) fn schema(config: &Config) -> EventSchema {
    EventSchema { fields: config.events.field.clone() }
}

fn source(text: &str) -> Source {
    match (text, text.strip_prefix("$header.")) {
        ("$key", _) => Source::Key,
        (_, Some(name)) => Source::Header(name.to_owned()),
        (path, None) => Source::Column(path.to_owned()),
    }
}

fn time(text: &str, unit: TimeUnit) -> TimeSource {
    if text == "$timestamp" {
        return TimeSource::KafkaTimestamp;
    }
    let unit = match unit {
        TimeUnit::Rfc3339 => codec::TimeUnit::Rfc3339,
        TimeUnit::S => codec::TimeUnit::Seconds,
        TimeUnit::Ms => codec::TimeUnit::Milliseconds,
        TimeUnit::Us => codec::TimeUnit::Microseconds,
        TimeUnit::Ns => codec::TimeUnit::Nanoseconds,
    };
    TimeSource::Column { path: text.to_owned(), unit }
}

/// How events look.
pub(crate) fn events(config: &Config) -> EventFormat {
    EventFormat {
        schema: schema(config),
        id: source(&config.events.id),
        time: time(&config.events.time, config.events.time_unit),
        tombstone: match config.events.tombstone {
            Tombstone::Reject => codec::Tombstone::Reject,
            Tombstone::Ignore => codec::Tombstone::Ignore,
        },
    }
}

/// How labels look; none in a task without labels.
pub(crate) fn labels(config: &Config) -> Option<LabelFormat> {
    let labels = config.labels.as_ref()?;
    Some(LabelFormat {
        id: source(&labels.id),
        value: labels.value.clone(),
        time: time(&labels.time, labels.time_unit),
        task: config.pipeline.task,
        classes: classes(config).unwrap_or_default(),
    })
}
