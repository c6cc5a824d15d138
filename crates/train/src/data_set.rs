//! Archive and labels joined: the rows a run trains on.

use crate::{Cause, Error, Spec};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{cast, concat, max, take};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit, UInt32Type};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use domain::Slices;
use std::sync::Arc;
use store::{Store, StreamKind};

/// Labelled rows, or without labels all, with a label of 0 at the time of the event, in the order of (event
/// time, id).
#[derive(Debug, Clone)]
pub(crate) struct DataSet {
    /// The declared columns.
    pub(crate) rows: RecordBatch,
    pub(crate) times_ms: Vec<i64>,
    pub(crate) label_times_ms: Vec<i64>,
    pub(crate) labels: Vec<f64>,
}

impl DataSet {
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Rows by number, in the given order.
    pub(crate) fn take(&self, indexes: &[u32]) -> Result<RecordBatch, Error> {
        take_rows(&self.rows, indexes)
    }
}

pub(crate) fn take_rows(rows: &RecordBatch, indexes: &[u32]) -> Result<RecordBatch, Error> {
    let indexes = UInt32Array::from(indexes.to_vec());
    let columns: Result<Vec<ArrayRef>, _> = rows.columns().iter().map(|c| take(c, &indexes, None)).collect();
    Ok(RecordBatch::try_new(rows.schema(), columns?)?)
}

/// Seed and archive of one stream.
pub(crate) async fn stored(store: &Store, pipeline: &str, kind: StreamKind) -> Result<Vec<RecordBatch>, Error> {
    let mut batches = Vec::new();
    for file in store.seeds(pipeline, kind).await? {
        batches.extend(store.rows(&file).await?);
    }
    for file in store.archive(pipeline, kind).await? {
        batches.extend(store.rows(&file).await?);
    }
    Ok(batches)
}

/// Each event id once, at its least coordinates (a seed's come first); the label in force is the
/// one with the greatest (label time, coordinates) among those known at the cut-off and within the
/// horizon. Only narrow columns go through the engine; `_row` finds the others again. Ranking is
/// slow, and only the few ids that come twice need it.
const JOIN: &str = "
WITH repeated AS (
  SELECT _id FROM events GROUP BY _id HAVING count(*) > 1
), ranked AS (
  SELECT e._id, e._time, e._row, row_number() OVER (
    PARTITION BY e._id
    ORDER BY e._topic NULLS FIRST, e._partition NULLS FIRST, e._offset NULLS FIRST, e._time, e._row) AS _rank
  FROM events e JOIN repeated r ON e._id = r._id
), firsts AS (
  SELECT _id, _time, _row FROM events e
  WHERE _time < $CUT_OFF AND NOT EXISTS (SELECT 1 FROM repeated r WHERE r._id = e._id)
  UNION ALL
  SELECT _id, _time, _row FROM ranked WHERE _rank = 1 AND _time < $CUT_OFF
), known AS (
  SELECT e._id, e._time, e._row, l._time AS _label_time, l._value, l._topic, l._partition, l._offset
  FROM firsts e JOIN labels l ON l._id = e._id
  WHERE l._time < $LABELS_UNTIL AND l._time - e._time <= $HORIZON AND l._value IS NOT NULL
), corrected AS (
  SELECT _id FROM known GROUP BY _id HAVING count(*) > 1
), newest AS (
  SELECT k._id, k._time, k._row, k._label_time, k._value, row_number() OVER (
    PARTITION BY k._id
    ORDER BY k._label_time DESC, k._topic DESC NULLS LAST, k._partition DESC NULLS LAST,
      k._offset DESC NULLS LAST, k._value DESC) AS _rank
  FROM known k JOIN corrected c ON k._id = c._id
), in_force AS (
  SELECT _id, _time, _row, _label_time, _value FROM known k
  WHERE NOT EXISTS (SELECT 1 FROM corrected c WHERE c._id = k._id)
  UNION ALL
  SELECT _id, _time, _row, _label_time, _value FROM newest WHERE _rank = 1
)";

const LABELLED: &str = "
SELECT _row, _time, _label_time, _value FROM in_force ORDER BY _time, _id";

/// Where the absence of a label is one, it is known when the horizon is over.
const ASSUMED_TOO: &str = ", assumed AS (
  SELECT _id, _time, _row, _time + $HORIZON AS _label_time, 0.0 AS _value FROM firsts f
  WHERE _time < $ASSUMED_BEFORE AND NOT EXISTS (SELECT 1 FROM known k WHERE k._id = f._id)
)
SELECT _row, _time, _label_time, _value FROM (SELECT * FROM in_force UNION ALL SELECT * FROM assumed)
ORDER BY _time, _id";

/// Reads everything stored and joins it as of the spec's cut-off.
pub(crate) async fn load(store: &Store, spec: &Spec) -> Result<DataSet, Error> {
    let events = stored(store, &spec.pipeline, StreamKind::Events).await?;
    let labels =
        if spec.task.has_labels() { stored(store, &spec.pipeline, StreamKind::Labels).await? } else { Vec::new() };
    join(spec, &events, &labels).await
}

/// See [`load`]. How the batches are cut, and their order but for equal coordinates, does not
/// matter.
pub(crate) async fn join(spec: &Spec, events: &[RecordBatch], labels: &[RecordBatch]) -> Result<DataSet, Error> {
    let cut_off_ms = Slices::of(spec.slice_ms).start(spec.cut_off_ms);
    let labels = narrow(labels, "_label_time", Some("_value"))?;
    let assumed_before_ms = assumed_before_ms(spec, &labels);
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    for (name, batch) in [("events", narrow(events, "_time", None)?), ("labels", labels)] {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        context.register_table(name, Arc::new(table))?;
    }
    let rest = if assumed_before_ms.is_some() { ASSUMED_TOO } else { LABELLED };
    let sql = format!("{JOIN}{rest}")
        .replace("$CUT_OFF", &cut_off_ms.to_string())
        .replace("$LABELS_UNTIL", &spec.cut_off_ms.saturating_add(spec.maturity_ms).to_string())
        .replace("$ASSUMED_BEFORE", &assumed_before_ms.unwrap_or_default().to_string())
        .replace("$HORIZON", &spec.horizon_ms.to_string());
    let found = context.sql(&sql).await?.collect().await?;
    let mut order = Vec::new();
    let (mut times_ms, mut label_times_ms, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for batch in &found {
        order.extend_from_slice(batch.column(0).as_primitive::<UInt32Type>().values());
        times_ms.extend_from_slice(batch.column(1).as_primitive::<Int64Type>().values());
        label_times_ms.extend_from_slice(batch.column(2).as_primitive::<Int64Type>().values());
        values.extend_from_slice(batch.column(3).as_primitive::<Float64Type>().values());
    }
    let rows = take_rows(&declared(spec, events)?, &order)?;
    Ok(DataSet { rows, times_ms, label_times_ms, labels: values })
}

/// Rows of before this have all labels they will ever have, and the absence of one counts: without labels all. Labels up
/// to the cut-off and maturity are archived when a run starts; how far the files of a first training
/// go, only their newest label tells.
fn assumed_before_ms(spec: &Spec, labels: &RecordBatch) -> Option<i64> {
    if !spec.task.has_labels() {
        return Some(i64::MAX);
    }
    if !spec.unlabelled.counts(spec.task) {
        return None;
    }
    let mut known_until_ms = spec.cut_off_ms.saturating_add(spec.maturity_ms);
    if spec.cause == Cause::First {
        let times = labels.column_by_name("_time").and_then(|column| column.as_primitive_opt::<Int64Type>());
        known_until_ms = known_until_ms.min(times.and_then(max)?);
    }
    Some(known_until_ms.saturating_sub(spec.horizon_ms))
}

/// A column of all batches, cast to a type; null where a batch lacks it.
fn gather(batches: &[RecordBatch], name: &str, to: &DataType) -> Result<ArrayRef, Error> {
    let mut parts: Vec<ArrayRef> = Vec::with_capacity(batches.len() + 1);
    for batch in batches {
        parts.push(match batch.column_by_name(name) {
            Some(array) if array.data_type() == to => Arc::clone(array),
            Some(array) => cast(array, to).map_err(|e| Error::Column {
                column: name.to_owned(),
                detail: format!("is {} in the archive, expected {to}: {e}", array.data_type()),
            })?,
            None => new_null_array(to, batch.num_rows()),
        });
    }
    parts.push(new_null_array(to, 0));
    let views: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    Ok(concat(&views)?)
}

/// Coordinates, id, time and row number.
fn narrow(batches: &[RecordBatch], time: &str, value: Option<&str>) -> Result<RecordBatch, Error> {
    let instant = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let times = cast(&gather(batches, time, &instant)?, &DataType::Int64)?;
    let rows = u32::try_from(times.len()).map_err(|_| Error::Column {
        column: time.to_owned(),
        detail: format!("has {} rows, expected at most {}", times.len(), u32::MAX),
    })?;
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("_topic", gather(batches, "_topic", &DataType::Utf8)?),
        ("_partition", gather(batches, "_partition", &DataType::Int32)?),
        ("_offset", gather(batches, "_offset", &DataType::Int64)?),
        ("_id", gather(batches, "_id", &DataType::Utf8)?),
        ("_time", times),
        ("_row", Arc::new(UInt32Array::from_iter_values(0..rows))),
    ];
    if let Some(value) = value {
        columns.push(("_value", gather(batches, value, &DataType::Float64)?));
    }
    let fields: Vec<Field> = columns.iter().map(|(name, c)| Field::new(*name, c.data_type().clone(), true)).collect();
    let columns = columns.into_iter().map(|(_, c)| c).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// The declared columns of all batches.
fn declared(spec: &Spec, batches: &[RecordBatch]) -> Result<RecordBatch, Error> {
    let schema = spec.schema.arrow();
    let columns: Result<Vec<ArrayRef>, Error> =
        schema.fields().iter().map(|f| gather(batches, f.name(), f.data_type())).collect();
    Ok(RecordBatch::try_new(schema, columns?)?)
}
