//! Columns of a file: coordinates, id, time, then what the stream carries.

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use codec::{Decoded, DecodedLabels};
use domain::{FieldType, RawBatch};
use std::sync::Arc;

/// One column to be.
type Column = (String, bool, ArrayRef);

/// Rows of events: `_topic`, `_partition`, `_offset`, `_id`, `_time` and the declared columns.
pub(crate) fn of_events(raw: &RawBatch, decoded: Decoded) -> Result<RecordBatch, ArrowError> {
    let mut columns = envelope(raw, &decoded.indexes, decoded.ids, "_time", decoded.times_ms);
    let declared = decoded.rows.schema();
    let values = declared.fields().iter().zip(decoded.rows.columns());
    columns.extend(values.map(|(field, column)| (field.name().clone(), true, Arc::clone(column))));
    batch(columns)
}

/// Rows of labels: `_topic`, `_partition`, `_offset`, `_id`, `_label_time` and `_value`.
pub(crate) fn of_labels(raw: &RawBatch, decoded: DecodedLabels) -> Result<RecordBatch, ArrowError> {
    let mut columns = envelope(raw, &decoded.indexes, decoded.ids, "_label_time", decoded.times_ms);
    columns.push(("_value".to_owned(), false, Arc::new(Float64Array::from(decoded.values))));
    batch(columns)
}

fn envelope(raw: &RawBatch, indexes: &[u32], ids: StringArray, time: &str, times_ms: Vec<i64>) -> Vec<Column> {
    let rows = indexes.len();
    let offset = |index: &u32| raw.get(*index as usize).map_or(0, |r| r.offset);
    let topic = StringArray::from_iter_values(std::iter::repeat_n(&raw.source.topic, rows));
    let times = TimestampMillisecondArray::from(times_ms).with_timezone("UTC");
    debug_assert_eq!(FieldType::Timestamp.arrow(), *arrow::array::Array::data_type(&times));
    vec![
        ("_topic".to_owned(), false, Arc::new(topic)),
        ("_partition".to_owned(), false, Arc::new(Int32Array::from(vec![raw.source.partition; rows]))),
        // Null in seeds, so nullable here too: one schema for both.
        ("_offset".to_owned(), true, Arc::new(Int64Array::from_iter_values(indexes.iter().map(offset)))),
        ("_id".to_owned(), false, Arc::new(ids)),
        (time.to_owned(), false, Arc::new(times)),
    ]
}

fn batch(columns: Vec<Column>) -> Result<RecordBatch, ArrowError> {
    let field = |(name, nullable, column): &Column| {
        let data_type: &DataType = column.data_type();
        Field::new(name, data_type.clone(), *nullable)
    };
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, _, column)| column).collect())
}
