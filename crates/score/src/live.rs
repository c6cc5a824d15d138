//! A bundle that may score: verified against the configuration.

use crate::Config;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use bundle::RowErrors;
use domain::{FieldType, Task};
use profile::reconstruction::RECONSTRUCTION_ERROR;
use profile::{Counts, Kernel, Reconstruction, Reference, SegmentValues, Standardised};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Name of the model's output among the columns of a pane.
const PREDICTION: &str = "prediction";

/// Preprocessing and model: a bundle, or a stand-in of a simulation.
pub(crate) trait Apply: Send + Sync {
    /// Outputs of every row, row by row.
    fn apply(&self, rows: &RecordBatch) -> Result<Vec<f64>, String>;

    /// The same, with |e| and e² to be expected of each row, if that is known.
    fn apply_expecting(&self, rows: &RecordBatch) -> Result<(Vec<f64>, Option<RowErrors>), String> {
        self.apply(rows).map(|values| (values, None))
    }

    /// The rows as the model sees them, column by column; nothing where that is not known.
    fn features(&self, _rows: &RecordBatch) -> Result<Vec<Vec<f32>>, String> {
        Ok(Vec::new())
    }
}

impl Apply for bundle::Bundle {
    fn apply(&self, rows: &RecordBatch) -> Result<Vec<f64>, String> {
        Self::apply(self, rows).map(|scores| scores.values).map_err(|e| e.to_string())
    }

    fn apply_expecting(&self, rows: &RecordBatch) -> Result<(Vec<f64>, Option<RowErrors>), String> {
        Self::apply_expecting(self, rows).map(|(scores, errors)| (scores.values, errors)).map_err(|e| e.to_string())
    }

    fn features(&self, rows: &RecordBatch) -> Result<Vec<Vec<f32>>, String> {
        self.preprocessor().apply(rows).map(|features| features.columns().to_vec()).map_err(|e| e.to_string())
    }
}

/// What the stage uses of a bundle.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) reference: Arc<Reference>,
    /// Values per row.
    pub(crate) outputs: usize,
    /// One per configured segmentation.
    pub(crate) segments: Vec<SegmentValues>,
    /// Segments that are profiled on their own, by name: those of which the bundle has a reference.
    pub(crate) profiled_segments: Arc<BTreeSet<String>>,
    /// From scores to probabilities, where the bundle has it.
    pub(crate) calibration: Option<Arc<bundle::Calibrated>>,
    /// Half of the width of the interval around a number, where the bundle has it.
    pub(crate) half_width: Option<f64>,
    /// How columns are watched together, if they are.
    reconstruction: Option<Arc<Reconstruction>>,
    /// The kernel of all columns at once, if they are watched so.
    pub(crate) kernel: Option<Arc<Kernel>>,
    model: Arc<dyn Apply>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("outputs", &self.outputs).finish_non_exhaustive()
    }
}

/// Outputs of some rows. A row that could not be scored has NaN.
#[derive(Debug, Default)]
pub(crate) struct Scored {
    pub(crate) values: Vec<f64>,
    /// |e| and e² to be expected of every row, or nothing.
    pub(crate) errors: RowErrors,
    /// Row and reason of every failure, in row order.
    pub(crate) failed: Vec<(usize, String)>,
}

impl Live {
    /// Takes a verified bundle, if it fits the configuration.
    pub(crate) fn of_bundle(bundle: &Arc<bundle::Bundle>, config: &Config) -> Result<Self, String> {
        let manifest = &bundle.manifest;
        if manifest.task != config.task {
            return Err(format!("bundle is for {:?}, expected {:?}", manifest.task, config.task));
        }
        if manifest.classes != config.classes {
            return Err(format!("bundle has classes {:?}, expected {:?}", manifest.classes, config.classes));
        }
        let model = Arc::clone(bundle) as Arc<dyn Apply>;
        let live = Self::watching(model, Arc::clone(&bundle.reference), bundle.reconstruction.clone(), config)?;
        let profiled_segments = Arc::new(profiled_segments(&bundle.segments, config));
        let half_width = manifest.interval.map(|interval| interval.half_width);
        let kernel = bundle.kernel.clone();
        let live = Self { calibration: bundle.calibrated.clone(), half_width, profiled_segments, kernel, ..live };
        live.standardised(&RecordBatch::new_empty(config.format.schema.arrow()))?;
        Ok(live)
    }

    /// Without a watch over columns together.
    #[cfg(test)]
    pub(crate) fn new(model: Arc<dyn Apply>, reference: Arc<Reference>, config: &Config) -> Result<Self, String> {
        Self::watching(model, reference, None, config)
    }

    /// Takes a model and its reference, and tries both on no rows at all: what does not fit the
    /// declared columns shows here and not in the first batch.
    pub(crate) fn watching(
        model: Arc<dyn Apply>,
        reference: Arc<Reference>,
        reconstruction: Option<Arc<Reconstruction>>,
        config: &Config,
    ) -> Result<Self, String> {
        let outputs = config.task.outputs(config.classes.len());
        let empty = RecordBatch::new_empty(config.format.schema.arrow());
        model.apply(&empty)?;
        let fields = &config.format.schema.fields;
        let is_boolean = |name: &str| fields.iter().any(|f| f.name == name && f.field_type == FieldType::Boolean);
        let values = |column: &str| SegmentValues::new(&reference.layout, column, is_boolean(column));
        let segments = config.segments.iter().map(|s| values(&s.column)).collect();
        let profiled_segments = Arc::default();
        let live = Self {
            reference,
            outputs,
            segments,
            profiled_segments,
            calibration: None,
            half_width: None,
            reconstruction,
            kernel: None,
            model,
        };
        let profiled = live.profiled(&empty, &[], config)?;
        live.reference.layout.observe(&profiled, &[], &mut Counts::default()).map_err(|e| e.to_string())?;
        Ok(live)
    }

    /// The rows as panes profile them: with what was predicted for each and, if columns are watched
    /// together, how far it is from what the axes keep of it.
    pub(crate) fn profiled(&self, rows: &RecordBatch, values: &[f64], config: &Config) -> Result<RecordBatch, String> {
        let schema = rows.schema();
        let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
        let mut columns = rows.columns().to_vec();
        let mut push = |name: &str, column: ArrayRef| {
            fields.push(Arc::new(Field::new(name, column.data_type().clone(), true)));
            columns.push(column);
        };
        push(PREDICTION, predictions(values, self.outputs, config));
        if let Some(reconstruction) = &self.reconstruction {
            let errors = reconstruction.errors(rows).map_err(|e| e.to_string())?;
            push(RECONSTRUCTION_ERROR, Arc::new(Float64Array::from(errors)));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|e| e.to_string())
    }

    /// The rows as the kernel takes them, if there is one.
    pub(crate) fn standardised(&self, rows: &RecordBatch) -> Result<Option<(&Kernel, Standardised)>, String> {
        let Some(kernel) = &self.kernel else { return Ok(None) };
        let rows = Standardised::of(&kernel.columns, rows).map_err(|e| e.to_string())?;
        Ok(Some((kernel.as_ref(), rows)))
    }

    /// Rows as the model sees them, column by column; nothing where that is not known.
    pub(crate) fn features(&self, rows: &RecordBatch) -> Result<Vec<Vec<f32>>, String> {
        self.model.features(rows)
    }

    /// Scores rows of the champion, and what errors it expects, as far as it knows.
    pub(crate) fn score_expecting(&self, rows: &RecordBatch) -> Scored {
        self.score_by(rows, true)
    }

    /// Scores rows. Where the batch as a whole fails it is halved until the rows at fault are
    /// alone: at most twice as many rows per halving, so poison cannot make it quadratic.
    pub(crate) fn score(&self, rows: &RecordBatch) -> Scored {
        self.score_by(rows, false)
    }

    fn score_by(&self, rows: &RecordBatch, expects: bool) -> Scored {
        let values = Vec::with_capacity(rows.num_rows() * self.outputs);
        let mut scored = Scored { values, errors: Vec::new(), failed: Vec::new() };
        self.score_into(rows, 0, expects, &mut scored);
        // All rows or none: a batch whose halves differ has a row that was never scored.
        if scored.errors.len() != rows.num_rows() {
            scored.errors.clear();
        }
        scored
    }

    fn score_into(&self, rows: &RecordBatch, first: usize, expects: bool, scored: &mut Scored) {
        let count = rows.num_rows();
        let applied =
            if expects { self.model.apply_expecting(rows) } else { self.model.apply(rows).map(|v| (v, None)) };
        let fault = match applied {
            Ok((values, errors)) if values.len() == count * self.outputs => {
                scored.values.extend_from_slice(&values);
                scored.errors.extend(errors.unwrap_or_default());
                return;
            }
            Ok((values, _)) => format!("{} outputs for {count} rows of {}", values.len(), self.outputs),
            Err(fault) => fault,
        };
        if count > 1 {
            let half = count / 2;
            self.score_into(&rows.slice(0, half), first, expects, scored);
            self.score_into(&rows.slice(half, count - half), first + half, expects, scored);
        } else if count == 1 {
            scored.values.resize(scored.values.len() + self.outputs, f64::NAN);
            if expects {
                // Never summed: the row is refused.
                scored.errors.push([f64::NAN; 2]);
            }
            scored.failed.push((first, fault));
        }
    }
}

/// Segments of the bundle whose segmentation is still of the same column.
fn profiled_segments(segments: &profile::Segments, config: &Config) -> BTreeSet<String> {
    let is_ours = |name: &&String| {
        config
            .segments
            .iter()
            .filter(|segment| segments.columns.get(&segment.name) == Some(&segment.column))
            .any(|segment| name.strip_prefix(segment.name.as_str()).is_some_and(|rest| rest.starts_with('=')))
    };
    segments.counts.keys().filter(is_ours).cloned().collect()
}

/// The model's output as a column: P(positive), the number, the score, the class or the cluster.
fn predictions(values: &[f64], outputs: usize, config: &Config) -> ArrayRef {
    let rows = values.chunks_exact(outputs.max(1));
    match config.task {
        Task::BinaryClassification | Task::Regression | Task::Anomaly => Arc::new(Float64Array::from(values.to_vec())),
        Task::MulticlassClassification => {
            Arc::new(StringArray::from_iter_values(rows.map(|row| class_of(row, &config.classes))))
        }
        Task::Clustering => {
            Arc::new(profile::cluster_names(rows.map(|row| measure::predicted_class(config.task, row))))
        }
    }
}

/// Label of the most probable class; the first of equals.
pub(crate) fn class_of<'a>(probabilities: &[f64], classes: &'a [String]) -> &'a str {
    let mut best: Option<(f64, &str)> = None;
    for (probability, class) in probabilities.iter().zip(classes) {
        if best.is_none_or(|(p, _)| *probability > p) {
            best = Some((*probability, class));
        }
    }
    best.map_or("", |(_, class)| class)
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
