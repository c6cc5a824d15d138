//! Rows to Parquet and back.

use crate::Error;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use bytes::Bytes;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

/// Parquet with zstd. The writer's name is fixed, so that builds differ as little as can be.
pub(crate) fn write(path: &Path, rows: &[RecordBatch]) -> Result<Vec<u8>, Error> {
    let Some(first) = rows.first() else {
        return Err(Error::content(path, "no rows, expected at least one batch"));
    };
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by("vigie".to_string())
        .set_dictionary_enabled(false);
    // Texts repeat; numbers and ids seldom do, and looking each up in a dictionary shows in profiles.
    for field in first.schema().fields().iter().filter(|f| f.data_type() == &DataType::Utf8 && f.name() != "_id") {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), true);
    }
    let properties = properties.build();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), first.schema(), Some(properties)).map_err(|e| Error::content(path, e))?;
    for batch in rows {
        writer.write(batch).map_err(|e| Error::content(path, e))?;
    }
    writer.into_inner().map_err(|e| Error::content(path, e))
}

pub(crate) fn read(path: &Path, bytes: Bytes) -> Result<Vec<RecordBatch>, Error> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.with_batch_size(8192).build())
        .map_err(|e| Error::content(path, e))?;
    reader.collect::<Result<_, _>>().map_err(|e| Error::content(path, e))
}

/// Whether two sequences of batches hold the same rows, however cut.
pub(crate) fn same_rows(path: &Path, found: &[RecordBatch], expected: &[RecordBatch]) -> Result<bool, Error> {
    let Some(first) = expected.first() else { return Ok(found.is_empty()) };
    let schema = first.schema();
    if found.iter().any(|batch| batch.schema().fields() != schema.fields()) {
        return Ok(false);
    }
    // Batches read from Parquet may carry schema metadata that the given ones lack.
    let whole = |batches: &[RecordBatch]| {
        let schema = batches.first().map_or_else(|| schema.clone(), RecordBatch::schema);
        concat_batches(&schema, batches).map_err(|e| Error::content(path, e))
    };
    Ok(whole(found)?.columns() == whole(expected)?.columns())
}
