//! What a bundle carries beside its model: profile, importance, golden rows.

use crate::data_set::{DataSet, take_rows};
use crate::segments;
use crate::trainer::Fit;
use crate::{Error, Spec};
use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    new_null_array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use detect::shift::{Wander, Wanders};
use domain::{FieldType, Slices, Task};
use prepare::Feature;
use profile::reconstruction::RECONSTRUCTION_ERROR;
use profile::{ColumnLayout, Counts, Kernel, Layout, MeanVector, Reconstruction, Reference, Segments};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Bins of a numeric column.
const BINS: usize = 128;
/// Name of the output's column.
const OUTPUT: &str = "prediction";
/// Slices that wander is measured on, at most: 64 of the longest runs.
const SLICES_MAX: usize = 4_096;
/// Golden rows taken from the training rows; the synthetic ones come on top.
const GOLDEN_ROWS: usize = 64;

/// The prediction column as `score` profiles it: P(positive), the number, the anomaly's score, the likeliest
/// class or the cluster.
fn predictions(spec: &Spec, scores: &[f64], rows: usize) -> ArrayRef {
    let outputs = spec.shape().outputs();
    let class = |row: &[f64]| measure::predicted_class(spec.task, row);
    match spec.task {
        Task::BinaryClassification | Task::Regression | Task::Anomaly => {
            Arc::new(Float64Array::from_iter_values(scores.iter().copied().cycle().take(rows)))
        }
        Task::MulticlassClassification => {
            let names = scores.chunks_exact(outputs).map(|row| spec.classes.get(class(row)).map(String::as_str));
            let names: Vec<Option<&str>> = names.collect();
            Arc::new(names.iter().copied().cycle().take(rows).collect::<StringArray>())
        }
        Task::Clustering => {
            let clusters: Vec<usize> = scores.chunks_exact(outputs).map(class).collect();
            Arc::new(profile::cluster_names(clusters.iter().copied().cycle().take(rows)))
        }
    }
}

/// What drift is measured against.
pub(crate) struct Profile {
    pub(crate) reference: Reference,
    /// Within the segments that drift is watched in.
    pub(crate) segments: Segments,
    pub(crate) wander: Wanders,
}

/// Profile of all training rows and how its columns wandered. Scores of every row, out of fold, are
/// taken in the order of time; a profile holds no joint counts, so where only those of the newest fold
/// are at hand they stand for all rows: repeated to the same number, and then nothing is known of how
/// they wander.
pub(crate) fn profile(
    spec: &Spec,
    data: &DataSet,
    (scores, mut importance): (&[f64], Vec<f64>),
    (reconstruction, kernel): (Option<&Reconstruction>, Option<&Kernel>),
) -> Result<Profile, Error> {
    let is_of_all_rows = scores.len() == data.len() * spec.shape().outputs();
    let predicted = predictions(spec, scores, data.len());
    let schema = data.rows.schema();
    let mut fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.push(Field::new(OUTPUT, predicted.data_type().clone(), true));
    let mut columns = data.rows.columns().to_vec();
    columns.push(predicted);
    if let Some(reconstruction) = reconstruction {
        fields.push(Field::new(RECONSTRUCTION_ERROR, DataType::Float64, true));
        columns.push(Arc::new(Float64Array::from(reconstruction.errors(&data.rows)?)));
        // The model does not see it.
        importance.push(0.0);
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    let layout = Layout::from_rows(&rows, BINS)?;
    let mut counts = Counts::default();
    let selection: Vec<u32> = (0..u32::try_from(rows.num_rows()).unwrap_or(u32::MAX)).collect();
    layout.observe(&rows, &selection, &mut counts)?;
    let slices: Vec<Vec<u32>> =
        slices(&data.times_ms, Slices::of(spec.slice_ms)).into_iter().map(Iterator::collect).collect();
    let wanders = |slices: &[Vec<u32>]| -> Result<Vec<Wander>, Error> {
        let is_known = |column: &&ColumnLayout| is_of_all_rows || column.name != OUTPUT;
        let wander = |column: &ColumnLayout| match Some(column).filter(is_known) {
            Some(column) => wander_of(&rows, column, slices),
            None => Ok(Wander::default()),
        };
        layout.columns.iter().map(wander).collect()
    };
    let columns = wanders(&slices)?;
    let columns_of = spec.drift_segments.iter().map(|segment| (segment.name.clone(), segment.column.clone()));
    let mut segments = Segments { columns: columns_of.collect(), ..Segments::default() };
    let mut wander_in = BTreeMap::new();
    for (name, members) in segments::members(spec, &layout, &rows) {
        let mut counts = Counts::default();
        layout.observe(&rows, &members, &mut counts)?;
        wander_in.insert(name.clone(), wanders(&segments::within(&slices, &members))?);
        segments.counts.insert(name, counts);
    }
    let joint = kernel.map(|kernel| wander_together(kernel, &data.rows, &slices)).transpose()?;
    let wander = Wanders { slice_ms: spec.slice_ms, columns, segments: wander_in, joint };
    Ok(Profile { reference: Reference { layout, counts, importance }, segments, wander })
}

/// The newest slices that have rows, as ranges of rows, in the order of time.
fn slices(times_ms: &[i64], slices: Slices) -> Vec<Range<u32>> {
    let mut found: Vec<Range<u32>> = Vec::new();
    let mut start = 0_u32;
    for run in times_ms.chunk_by(|a, b| slices.start(*a) == slices.start(*b)) {
        let end = start.saturating_add(u32::try_from(run.len()).unwrap_or(u32::MAX));
        found.push(start..end);
        start = end;
    }
    found.split_off(found.len().saturating_sub(SLICES_MAX))
}

/// One column at a time: the histograms of all slices and all columns together may be large.
fn wander_of(rows: &RecordBatch, column: &ColumnLayout, slices: &[Vec<u32>]) -> Result<Wander, Error> {
    let layout = Layout::new(vec![column.clone()]);
    let mut histograms = Vec::with_capacity(slices.len());
    for slice in slices {
        let mut counts = Counts::default();
        layout.observe(rows, slice, &mut counts)?;
        histograms.push(counts.column(0, column.bins.count()));
    }
    Ok(Wander::measure(&histograms))
}

/// Of all columns at once.
fn wander_together(kernel: &Kernel, rows: &RecordBatch, slices: &[Vec<u32>]) -> Result<Wander, Error> {
    let sum = |slice: &Vec<u32>| Ok(kernel.sum(&take_rows(rows, slice)?)?);
    let sums: Vec<MeanVector> = slices.iter().map(sum).collect::<Result<_, Error>>()?;
    Ok(detect::joint::wander(kernel, &sums))
}

/// Share of each declared column (and of `prediction`: none) in the model's importance. What a
/// derived column is worth belongs to no raw column and is left out.
pub(crate) fn importance(spec: &Spec, fit: &Fit, features: &[Feature]) -> Vec<f64> {
    let mut shares: Vec<f64> = vec![0.0; spec.schema.fields.len() + 1];
    for (feature, worth) in features.iter().zip(&fit.importance) {
        let place = spec.schema.fields.iter().position(|f| f.name == feature.source);
        if let Some(share) = place.and_then(|p| shares.get_mut(p))
            && worth.is_finite()
        {
            *share += worth.max(0.0);
        }
    }
    let total: f64 = shares.iter().sum();
    if total > 0.0 {
        for share in &mut shares {
            *share /= total;
        }
    }
    shares
}

/// Raw rows that a loader replays: spread over the training rows, then missing values, unseen
/// categories and extremes.
pub(crate) fn golden(spec: &Spec, data: &DataSet) -> Result<RecordBatch, Error> {
    let rows = data.len();
    let count = GOLDEN_ROWS.min(rows);
    let spread: Vec<u32> = (0..count).filter_map(|i| u32::try_from(i * rows / count.max(1)).ok()).collect();
    let taken = take_rows(&data.rows, &spread)?;
    let schema = spec.schema.arrow();
    let columns: Vec<ArrayRef> = spec.schema.fields.iter().map(|field| synthetic(field.field_type)).collect();
    let made = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let mut batches = vec![taken, made];
    // Few training rows are filled up with empty ones, since a bundle wants 64.
    if count < GOLDEN_ROWS {
        let empty = schema.fields().iter().map(|f| new_null_array(f.data_type(), GOLDEN_ROWS - count)).collect();
        batches.push(RecordBatch::try_new(Arc::clone(&schema), empty)?);
    }
    let rows = concat_batches(&schema, &batches)?;
    let columns = rows.columns().iter().map(|column| null_slots_are_zero(column)).collect();
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// What a number's slot holds where it is null depends on how the archive's files were cut; a
/// version, which is a hash of bytes, must not.
fn null_slots_are_zero(column: &ArrayRef) -> ArrayRef {
    if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
        return Arc::new(numbers.iter().collect::<Float64Array>());
    }
    if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        return Arc::new(numbers.iter().collect::<Int64Array>());
    }
    Arc::clone(column)
}

/// Six values of a type: missing, extremes, and what training cannot have seen.
fn synthetic(kind: FieldType) -> ArrayRef {
    match kind {
        FieldType::Category => Arc::new(StringArray::from(vec![
            None,
            Some(""),
            Some("a category no training row has"),
            Some("\u{0}\u{1F6E9}"),
            Some("NaN"),
            Some("other"),
        ])),
        FieldType::Float => Arc::new(Float64Array::from(vec![
            None,
            Some(0.0),
            Some(-0.0),
            Some(f64::MAX),
            Some(f64::MIN),
            Some(f64::NAN),
        ])),
        FieldType::Integer => {
            Arc::new(Int64Array::from(vec![None, Some(0), Some(-1), Some(i64::MAX), Some(i64::MIN), Some(1)]))
        }
        FieldType::Boolean => {
            Arc::new(BooleanArray::from(vec![None, Some(false), Some(true), Some(true), Some(false), None]))
        }
        FieldType::Timestamp => {
            let times = vec![None, Some(0), Some(-1), Some(4_102_444_800_000), Some(-2_208_988_800_000), Some(1)];
            Arc::new(TimestampMillisecondArray::from(times).with_timezone("UTC"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{slices, wander_of};
    use arrow::array::{ArrayRef, Float64Array, RecordBatch};
    use domain::Slices;
    use profile::Layout;
    use std::sync::Arc;

    #[test]
    fn wander_is_measured_on_slices_that_have_rows_in_the_order_of_time() {
        // Slices of 10 ms with 100 rows each; every second one is empty.
        let mut times: Vec<i64> = (0..3_200).map(|row| row / 100 * 20 + row % 10).collect();
        times.sort_unstable();
        let found = slices(&times, Slices::of(10));
        assert_eq!(found.len(), 32);
        assert_eq!((found[0].clone(), found[31].clone()), (0..100, 3_100..3_200));
        let values = Float64Array::from_iter_values((0..3_200).map(|row| f64::from(row * 37 % 100)));
        let rows = RecordBatch::try_from_iter([("x", Arc::new(values) as ArrayRef)]).unwrap();
        let layout = Layout::from_rows(&rows, 128).unwrap();
        let found: Vec<Vec<u32>> = found.into_iter().map(Iterator::collect).collect();
        let wander = wander_of(&rows, &layout.columns[0], &found).unwrap();
        // 32 slices hold 32 runs of one and 8 of four. Every slice has the same values.
        assert!(wander.of_length(0).is_some_and(|w| (0.0..0.05).contains(&w)), "{wander:?}");
        assert_eq!(wander.of_length(1), None);
    }
}
