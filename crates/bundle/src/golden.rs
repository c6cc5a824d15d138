//! Golden rows: raw columns beside the outputs they gave when the bundle was packed.

use crate::file::GOLDEN;
use crate::{Error, Scores};
use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use std::io::Cursor;
use std::sync::Arc;

/// Most golden rows of a bundle; 64 to 256 is the rule, one is the least.
pub(crate) const ROWS_MAX: usize = 1024;
/// Output columns follow the raw ones under these names: `_output_0`, `_output_1`, ….
const PREFIX: &str = "_output_";

/// Raw rows and outputs as an Arrow stream.
pub(crate) fn write(rows: &RecordBatch, scores: &Scores) -> Result<Vec<u8>, Error> {
    let mut fields: Vec<_> = rows.schema().fields().iter().cloned().collect();
    let mut columns = rows.columns().to_vec();
    for output in 0..scores.outputs {
        let values = scores.values.iter().skip(output).step_by(scores.outputs).copied();
        fields.push(Arc::new(Field::new(format!("{PREFIX}{output}"), DataType::Float64, false)));
        columns.push(Arc::new(Float64Array::from_iter_values(values)) as ArrayRef);
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema, columns).map_err(|e| Error::content(GOLDEN, e))?;
    write_stream(GOLDEN, &batch.schema(), Some(&batch))
}

/// An Arrow stream of a schema and at most one batch.
pub(crate) fn write_stream(file: &str, schema: &Schema, batch: Option<&RecordBatch>) -> Result<Vec<u8>, Error> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema).map_err(|e| Error::content(file, e))?;
    if let Some(batch) = batch {
        writer.write(batch).map_err(|e| Error::content(file, e))?;
    }
    writer.into_inner().map_err(|e| Error::content(file, e))
}

/// Raw rows and the outputs expected of them.
pub(crate) fn read(bytes: &[u8], outputs: usize) -> Result<(RecordBatch, Scores), Error> {
    let mut reader = StreamReader::try_new(Cursor::new(bytes), None).map_err(|e| Error::content(GOLDEN, e))?;
    let batch = match (reader.next(), reader.next()) {
        (Some(Ok(batch)), None) => batch,
        (Some(Err(error)), _) | (_, Some(Err(error))) => return Err(Error::content(GOLDEN, error)),
        (first, _) => {
            let found = if first.is_some() { "several batches" } else { "no batch" };
            return Err(Error::content(GOLDEN, format!("{found}, expected one")));
        }
    };
    if batch.num_rows() == 0 || batch.num_rows() > ROWS_MAX {
        return Err(Error::content(GOLDEN, format!("{} rows, expected 1 to {ROWS_MAX}", batch.num_rows())));
    }
    let mut values = vec![0.0; batch.num_rows() * outputs];
    let raw = batch.num_columns().saturating_sub(outputs);
    for output in 0..outputs {
        let name = format!("{PREFIX}{output}");
        let named = batch.schema().fields().get(raw + output).is_some_and(|field| *field.name() == name);
        let column = batch.columns().get(raw + output).filter(|_| named);
        let column = column.and_then(|c| c.as_any().downcast_ref::<Float64Array>());
        let Some(column) = column else {
            return Err(Error::content(GOLDEN, format!("column `{name}` is missing, expected floats")));
        };
        for (slot, &value) in values.iter_mut().skip(output).step_by(outputs).zip(column.values()) {
            *slot = value;
        }
    }
    let raw: Vec<usize> = (0..raw).collect();
    let rows = batch.project(&raw).map_err(|e| Error::content(GOLDEN, e))?;
    Ok((rows, Scores { outputs, values }))
}

/// Demands the same bits; NaN is what it is, bit for bit.
pub(crate) fn compare(found: &Scores, expected: &Scores) -> Result<(), Error> {
    if found.values.len() != expected.values.len() {
        let (found, expected) = (found.values.len(), expected.values.len());
        return Err(Error::content(GOLDEN, format!("{found} outputs, expected {expected}")));
    }
    let places = found.values.iter().zip(&expected.values);
    match places.enumerate().find(|(_, (f, e))| f.to_bits() != e.to_bits()) {
        None => Ok(()),
        Some((place, (&f, &e))) => {
            let outputs = expected.outputs.max(1);
            Err(Error::Golden { row: place / outputs, output: place % outputs, found: f, expected: e })
        }
    }
}
