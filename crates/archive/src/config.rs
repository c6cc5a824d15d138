//! What the stage needs to know.

use codec::{EventFormat, LabelFormat};
use domain::Slices;

/// Rows of a file by default.
pub const ROWS_MAX: usize = 50_000;
/// Bytes of raw records behind a file by default.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Configuration of the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The pipeline's name.
    pub pipeline: String,
    /// The topics that hold labels; every other source topic holds events.
    pub label_topics: Vec<String>,
    /// How events look.
    pub events: EventFormat,
    /// How labels look; none in a task without labels.
    pub labels: Option<LabelFormat>,
    /// How stream time is cut.
    pub slices: Slices,
    /// A watermark lies this far behind the largest time read.
    pub lateness_ms: i64,
    /// A record further ahead of its own Kafka timestamp does not move the watermark.
    pub max_skew_ms: i64,
    /// Labels of a slice are complete this long after its end.
    pub maturity_ms: i64,
    /// A file is stored when a partition has buffered this many rows.
    pub rows_max: usize,
    /// Or rows of raw records of this many bytes.
    pub bytes_max: usize,
}
