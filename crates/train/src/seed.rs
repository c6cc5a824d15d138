//! A user's files as the archive's first rows.

use crate::Error;
use crate::files::read_file;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit as Unit, TimestampMillisecondType};
use domain::{EventSchema, FieldType, Task};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use store::{Store, StreamKind};

/// Which columns of the files mean what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedSpec {
    /// The declared columns of the events.
    pub schema: EventSchema,
    /// Id column of the events.
    pub event_id: String,
    /// Time column of the events.
    pub event_time: String,
    /// How numbers in it are read.
    #[serde(default)]
    pub event_time_unit: TimeUnit,
    /// Columns of the labels; none in a task without labels.
    pub labels: Option<LabelColumns>,
    /// What is predicted.
    pub task: Task,
    /// Class order; binary: negative, positive.
    pub classes: Vec<String>,
    /// Only events before this time (epoch milliseconds), and labels of such events.
    #[serde(default)]
    pub until_ms: Option<i64>,
}

/// Which columns of a file of labels mean what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelColumns {
    /// Id column.
    pub id: String,
    /// Time column.
    pub time: String,
    /// How numbers in it are read.
    #[serde(default)]
    pub time_unit: TimeUnit,
    /// Value column.
    pub value: String,
}

/// Unit of times given as numbers; text is RFC 3339.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeUnit {
    /// Seconds.
    #[serde(rename = "s")]
    Second,
    /// Milliseconds.
    #[default]
    #[serde(rename = "ms")]
    Millisecond,
    /// Microseconds.
    #[serde(rename = "us")]
    Microsecond,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanosecond,
}

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeded {
    /// Events stored.
    pub events: u64,
    /// Labels stored.
    pub labels: u64,
    /// Greatest event time stored, epoch milliseconds.
    pub last_event_ms: Option<i64>,
    /// Rows left out because id, time or label value is missing or no class.
    pub skipped: u64,
}

/// Reads the files and stores their rows as seeds of the archive, named by the hash of the files
/// and of what was asked of them. The same call twice changes nothing.
///
/// # Errors
/// Files that cannot be read, columns that are missing or cannot be cast to the declared types,
/// a store that cannot be written; a file of labels where the spec names no columns of it, or none where it does.
pub async fn seed(
    store: &Store,
    pipeline: &str,
    events: &Path,
    labels: Option<&Path>,
    spec: &SeedSpec,
) -> Result<Seeded, Error> {
    let (event_rows, skipped_events) = event_rows(whole(events)?, spec)?;
    let labels = match (labels, &spec.labels) {
        (Some(file), Some(columns)) => Some((file, label_rows(whole(file)?, columns, spec)?)),
        (None, None) => None,
        (file, _) => return Err(fault_of_labels(file)),
    };
    if event_rows.num_rows() == 0 {
        return Err(Error::NotEnoughData { what: "events before the given time", found: 0, expected: 1 });
    }
    store.put_seed(pipeline, StreamKind::Events, &name(events, spec)?, std::slice::from_ref(&event_rows)).await?;
    let mut seeded = Seeded {
        events: event_rows.num_rows() as u64,
        labels: 0,
        last_event_ms: arrow::compute::max(event_rows.column(4).as_primitive::<TimestampMillisecondType>()),
        skipped: skipped_events,
    };
    if let Some((file, (label_rows, skipped))) = labels {
        let known: HashSet<&str> = event_rows.column(3).as_string::<i32>().iter().flatten().collect();
        let ids = label_rows.column(3).as_string::<i32>();
        let belongs: BooleanArray = ids.iter().map(|id| Some(id.is_some_and(|id| known.contains(id)))).collect();
        let label_rows = filter_record_batch(&label_rows, &belongs)?;
        store.put_seed(pipeline, StreamKind::Labels, &name(file, spec)?, std::slice::from_ref(&label_rows)).await?;
        seeded.labels = label_rows.num_rows() as u64;
        seeded.skipped += skipped;
    }
    Ok(seeded)
}

/// Labels where there are none, or none where there should be.
fn fault_of_labels(file: Option<&Path>) -> Error {
    let (found, expected) = match file {
        Some(file) => (file.display().to_string(), "none: the task has no labels"),
        None => ("none".to_owned(), "a file of labels"),
    };
    Error::Spec { key: "labels", found, expected: expected.to_owned() }
}

/// Hash of a file's bytes and of the columns and times asked for.
fn name(path: &Path, spec: &SeedSpec) -> Result<String, Error> {
    let fault = |detail: String| Error::File { path: path.display().to_string(), detail };
    let bytes = std::fs::read(path).map_err(|e| fault(e.to_string()))?;
    let asked = serde_json::to_string(spec).map_err(|e| fault(e.to_string()))?;
    Ok(bundle::sha256_hex(format!("{}{asked}", bundle::sha256_hex(&bytes)).as_bytes()))
}

fn whole(path: &Path) -> Result<RecordBatch, Error> {
    let batches = read_file(path)?;
    let Some(first) = batches.first() else {
        return Err(Error::File { path: path.display().to_string(), detail: "no rows".to_owned() });
    };
    Ok(concat_batches(&first.schema(), &batches)?)
}

fn column(rows: &RecordBatch, name: &str) -> Result<ArrayRef, Error> {
    let names = || rows.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>().join(", ");
    let missing =
        || Error::Column { column: name.to_owned(), detail: format!("is not in the file, which has {}", names()) };
    rows.column_by_name(name).cloned().ok_or_else(missing)
}

fn cast_to(name: &str, array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Error> {
    let detail = |e: arrow::error::ArrowError| format!("is {}, expected {to}: {e}", array.data_type());
    cast(array, to).map_err(|e| Error::Column { column: name.to_owned(), detail: detail(e) })
}

fn instant() -> DataType {
    FieldType::Timestamp.arrow()
}

/// A time column in milliseconds.
fn times(rows: &RecordBatch, name: &str, unit: TimeUnit) -> Result<ArrayRef, Error> {
    let array = column(rows, name)?;
    match array.data_type() {
        kind if kind.is_numeric() => {
            let numbers = cast_to(name, &array, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            let milliseconds: Int64Array = numbers.unary(|n| match unit {
                TimeUnit::Second => n.saturating_mul(1000),
                TimeUnit::Millisecond => n,
                TimeUnit::Microsecond => n.div_euclid(1000),
                TimeUnit::Nanosecond => n.div_euclid(1_000_000),
            });
            cast_to(name, &(Arc::new(milliseconds) as ArrayRef), &instant())
        }
        // Times without a zone are UTC.
        DataType::Timestamp(_, None) => {
            let bare = cast_to(name, &array, &DataType::Timestamp(Unit::Millisecond, None))?;
            let utc = bare.as_primitive::<TimestampMillisecondType>().clone().with_timezone("UTC");
            Ok(Arc::new(utc))
        }
        _ => cast_to(name, &array, &instant()),
    }
}

/// The first columns of every archive file; the coordinates are null in a seed.
fn coordinates(rows: usize) -> (Vec<Field>, Vec<ArrayRef>) {
    let fields = vec![
        Field::new("_topic", DataType::Utf8, true),
        Field::new("_partition", DataType::Int32, true),
        Field::new("_offset", DataType::Int64, true),
    ];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::new_null(rows)),
        Arc::new(Int32Array::new_null(rows)),
        Arc::new(Int64Array::new_null(rows)),
    ];
    (fields, columns)
}

fn keep(rows: &RecordBatch, keep: &BooleanArray) -> Result<(RecordBatch, u64), Error> {
    let kept = filter_record_batch(rows, keep)?;
    Ok((kept, (keep.len() - keep.true_count()) as u64))
}

fn event_rows(file: RecordBatch, spec: &SeedSpec) -> Result<(RecordBatch, u64), Error> {
    let (mut fields, mut columns) = coordinates(file.num_rows());
    fields.push(Field::new("_id", DataType::Utf8, true));
    columns.push(cast_to(&spec.event_id, &column(&file, &spec.event_id)?, &DataType::Utf8)?);
    fields.push(Field::new("_time", instant(), true));
    columns.push(times(&file, &spec.event_time, spec.event_time_unit)?);
    for declared in &spec.schema.fields {
        let to = declared.field_type.arrow();
        fields.push(Field::new(&declared.name, to.clone(), true));
        let array = column(&file, &declared.name)?;
        columns.push(match declared.field_type {
            FieldType::Timestamp => times(&file, &declared.name, TimeUnit::Millisecond)?,
            _ => cast_to(&declared.name, &array, &to)?,
        });
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    let until = spec.until_ms.unwrap_or(i64::MAX);
    let time = rows.column(4).as_primitive::<TimestampMillisecondType>();
    let id = rows.column(3);
    let complete: BooleanArray = (0..rows.num_rows()).map(|row| Some(id.is_valid(row) && time.is_valid(row))).collect();
    let (rows, skipped) = keep(&rows, &complete)?;
    let time = rows.column(4).as_primitive::<TimestampMillisecondType>();
    let early: BooleanArray = time.iter().map(|t| Some(t.is_some_and(|t| t < until))).collect();
    Ok((filter_record_batch(&rows, &early)?, skipped))
}

fn label_rows(file: RecordBatch, of: &LabelColumns, spec: &SeedSpec) -> Result<(RecordBatch, u64), Error> {
    let (mut fields, mut columns) = coordinates(file.num_rows());
    fields.push(Field::new("_id", DataType::Utf8, true));
    columns.push(cast_to(&of.id, &column(&file, &of.id)?, &DataType::Utf8)?);
    fields.push(Field::new("_label_time", instant(), true));
    columns.push(times(&file, &of.time, of.time_unit)?);
    fields.push(Field::new("_value", DataType::Float64, true));
    columns.push(Arc::new(values(&of.value, &column(&file, &of.value)?, spec)?));
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    let complete: BooleanArray =
        (0..rows.num_rows()).map(|row| Some((3..6).all(|c| rows.column(c).is_valid(row)))).collect();
    keep(&rows, &complete)
}

/// Label values as numbers: the place in the class order, or the number itself; null for text
/// that is no class and for what is not finite.
#[allow(clippy::cast_precision_loss)]
fn values(name: &str, array: &ArrayRef, spec: &SeedSpec) -> Result<Float64Array, Error> {
    if spec.task == Task::Regression {
        let numbers = cast_to(name, array, &DataType::Float64)?;
        let numbers = numbers.as_primitive::<Float64Type>();
        return Ok(numbers.iter().map(|n| n.filter(|n| n.is_finite())).collect());
    }
    // Floats that are integers read as such: a CSV with a missing label has `1.0` for `1`.
    let integers = match array.data_type() {
        DataType::Float64 | DataType::Float32 => cast_to(name, array, &DataType::Int64)?,
        _ => Arc::clone(array),
    };
    let texts = cast_to(name, &integers, &DataType::Utf8)?;
    let place = |text: &str| spec.classes.iter().position(|class| class == text).map(|place| place as f64);
    Ok(texts.as_string::<i32>().iter().map(|text| text.and_then(place)).collect())
}
