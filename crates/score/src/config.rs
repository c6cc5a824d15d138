//! What the stage needs to know.

use crate::Error;
use codec::EventFormat;
use domain::{Slices, Task};
use records::{SwapTable, rejected};
use std::sync::Arc;

/// A segmentation of events by the values of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its name in windows.
    pub name: String,
    /// A declared column of type category or boolean.
    pub column: String,
    /// Columns are profiled within each of its segments too, as far as the bundle has a reference.
    pub drift: bool,
}

/// Configuration of the stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How events look.
    pub format: EventFormat,
    /// What the model predicts.
    pub task: Task,
    /// Class labels: binary `[negative, positive]`, multiclass in class order, empty in regression.
    pub classes: Vec<String>,
    /// How stream time is cut.
    pub slices: Slices,
    /// The watermark lies this far behind the largest time read.
    pub lateness_ms: i64,
    /// An event further ahead of its own Kafka timestamp does not move the watermark.
    pub max_skew_ms: i64,
    /// An event further behind the watermark is after the end of its window.
    pub horizon_ms: i64,
    /// Partitions of `p.tracking`.
    pub tracking_partitions: i32,
    /// Partitions of `p.predictions`.
    pub predictions_partitions: i32,
    /// Bytes of the largest record that `p.predictions` takes.
    pub prediction_bytes_max: usize,
    /// The rejected topic.
    pub rejected: rejected::Topic,
    /// Segmentations.
    pub segments: Vec<Segment>,
    /// Swaps of another run over the same logs, to be done again at the same offsets. `None`:
    /// promotions say when they take effect.
    pub swaps: Option<Arc<SwapTable>>,
}

impl Config {
    /// Checks what the stage relies on.
    ///
    /// # Errors
    /// [`Error::Config`] names the first fault.
    pub fn validate(&self) -> Result<(), Error> {
        let fault = |text: String| Err(Error::Config(text));
        for (name, count) in [
            ("tracking", self.tracking_partitions),
            ("predictions", self.predictions_partitions),
            ("rejected", self.rejected.partitions),
        ] {
            if count < 1 {
                return fault(format!("the {name} topic has {count} partitions, expected at least one"));
            }
        }
        for segment in &self.segments {
            if !self.format.schema.fields.iter().any(|f| f.name == segment.column) {
                return fault(format!(
                    "segment `{}` names column `{}`, which is not declared",
                    segment.name, segment.column
                ));
            }
        }
        Ok(())
    }
}
