//! Facts about a bundle.

use crate::Error;
use crate::file::MANIFEST;
use domain::{EventSchema, HarmReference, Task, Version};
use measure::PredictionInterval;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Format this build writes and reads. Earlier ones join it here when there are any.
pub const FORMAT_VERSION: u32 = 1;

/// What a reader must be able to do; a closed list, here and not in the bundle.
pub(crate) const KNOWN: [&str; 3] = ["model.centroids/1", "model.forest/1", "model.linear/1"];

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name.
    pub path: String,
    /// SHA-256 of its bytes, 64 lower-case hex digits.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// `manifest.json`: keys in this order, so that the same facts are the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Layout of the bundle.
    pub format_version: u32,
    /// The champion when this was trained, if any.
    pub parent: Option<Version>,
    /// What is predicted.
    pub task: Task,
    /// Class order of the outputs; binary: negative, positive; anomalies: what is none, and what is one; empty
    /// in regression and clustering.
    pub classes: Vec<String>,
    /// Binary: the class whose probability is the output.
    pub positive_class: Option<String>,
    /// Family of the model, such as `gradient_boosting`.
    pub family: String,
    /// Parameters the model was trained with.
    pub parameters: serde_json::Value,
    /// The declared columns.
    pub input: EventSchema,
    /// Rows the final fit saw.
    pub rows: u64,
    /// Rows the first champion was trained on.
    pub first_rows: u64,
    /// Event time of the first training row, epoch milliseconds.
    pub trained_from_ms: i64,
    /// End of the training rows' event time, epoch milliseconds, exclusive.
    pub trained_until_ms: i64,
    /// Labels later than this were not seen, epoch milliseconds.
    pub label_cut_off_ms: i64,
    /// Seed of every random choice.
    pub seed: u64,
    /// Loss on the validation fold.
    pub reference: HarmReference,
    /// Metrics on the validation fold.
    pub metrics: BTreeMap<String, f64>,
    /// Share of each class among the training labels, in class order; regression: their mean; a 0 without
    /// labels.
    pub class_rates: Vec<f64>,
    /// Regression: prediction ± half width holds the label of a stated share of rows. None in bundles of
    /// earlier builds, and where the fold has too few rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<PredictionInterval>,
    /// Verdicts of the gate, in words with their numbers.
    pub verdicts: Vec<String>,
    /// Every trial of the search.
    pub search: Vec<serde_json::Value>,
    /// The other files; `pack` fills it.
    pub files: Vec<FileEntry>,
    /// What a reader must be able to do; `pack` adds the model's kind.
    pub requires: Vec<String>,
    /// Who made it: name, source revision, versions.
    pub producer: BTreeMap<String, String>,
}

impl Manifest {
    /// Refuses what this build cannot read, and classes that contradict the task.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.format_version != FORMAT_VERSION {
            let (found, expected) = (self.format_version.to_string(), FORMAT_VERSION.to_string());
            return Err(Error::Unsupported { what: "format_version", found, expected });
        }
        if let Some(unknown) = self.requires.iter().find(|r| !KNOWN.contains(&r.as_str())) {
            let expected = format!("one of {}", KNOWN.join(", "));
            return Err(Error::Unsupported { what: "requires", found: unknown.clone(), expected });
        }
        let classes = self.classes.len();
        let (fits, expected) = match self.task {
            Task::BinaryClassification => (classes == 2, "2"),
            Task::MulticlassClassification => (classes >= 2, "at least 2"),
            Task::Anomaly => (classes == 2, "2"),
            Task::Regression | Task::Clustering => (classes == 0, "none"),
        };
        if !fits {
            return Err(Error::content(MANIFEST, format!("task has {classes} classes, expected {expected}")));
        }
        let positive = if self.task == Task::BinaryClassification { self.classes.get(1) } else { None };
        if self.positive_class.as_ref() != positive {
            let found = &self.positive_class;
            return Err(Error::content(MANIFEST, format!("positive class is {found:?}, expected {positive:?}")));
        }
        if self.interval.is_some_and(|interval| !interval.is_sound() || self.task != Task::Regression) {
            let detail = format!("interval of task {:?} is {:?}", self.task, self.interval);
            return Err(Error::content(
                MANIFEST,
                detail + ", expected a share below 1 and a half width of a regression",
            ));
        }
        Ok(())
    }

    /// Numbers per row that the task asks of the model.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.task.outputs(self.classes.len())
    }
}
