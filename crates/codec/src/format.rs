//! What a record looks like, as the configuration says.

use domain::{EventSchema, Task};

/// Where an event id comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A column: a key of the JSON object, or keys joined by dots. Text, or a number as written.
    Column(String),
    /// The record's key, as UTF-8.
    Key,
    /// The value of a record header, as UTF-8.
    Header(String),
}

/// Where a record's time comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeSource {
    /// A column.
    Column {
        /// A key of the JSON object, or keys joined by dots.
        path: String,
        /// How the time is written.
        unit: TimeUnit,
    },
    /// The Kafka timestamp of the record.
    KafkaTimestamp,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// RFC 3339 text.
    Rfc3339,
    /// Seconds since the epoch; a fraction is allowed.
    Seconds,
    /// Milliseconds since the epoch.
    Milliseconds,
    /// Microseconds since the epoch.
    Microseconds,
    /// Nanoseconds since the epoch.
    Nanoseconds,
}

/// What to do with a record without value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tombstone {
    /// Refuse it (`value.null`).
    #[default]
    Reject,
    /// Count it and go on.
    Ignore,
}

/// How events look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFormat {
    /// Declared columns; a name with dots is a path into nested objects.
    pub schema: EventSchema,
    /// Event id.
    pub id: Source,
    /// Event time.
    pub time: TimeSource,
    /// Records without value.
    pub tombstone: Tombstone,
}

/// How labels look. A record without value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelFormat {
    /// Id of the event the label belongs to.
    pub id: Source,
    /// Column path of the label.
    pub value: String,
    /// Label time.
    pub time: TimeSource,
    /// What kind of label it is.
    pub task: Task,
    /// Class labels: binary `[negative, positive]`, multiclass in class order, empty in regression.
    pub classes: Vec<String>,
}
