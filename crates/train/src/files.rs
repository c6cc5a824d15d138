//! A user's file as Arrow batches.

use crate::Error;
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;
use std::sync::Arc;

/// Rows per batch.
const BATCH_ROWS: usize = 16_384;
/// Rows from which the types of a text file are inferred; null elsewhere is no type.
const INFER_ROWS: usize = 100_000;

fn fault(path: &Path, detail: impl std::fmt::Display) -> Error {
    Error::File { path: path.display().to_string(), detail: detail.to_string() }
}

/// Reads a file whole: Parquet (`.parquet`), CSV with a header (`.csv`) or JSON lines (`.json`,
/// `.jsonl`, `.ndjson`). Types of CSV and JSON columns are inferred.
///
/// # Errors
/// [`Error::File`] naming the file.
pub fn read_file(path: &Path) -> Result<Vec<RecordBatch>, Error> {
    let file = File::open(path).map_err(|e| fault(path, e))?;
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let batches: Result<Vec<RecordBatch>, ArrowError> = match extension.as_str() {
        "parquet" => {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| fault(path, e))?;
            builder.with_batch_size(BATCH_ROWS).build().map_err(|e| fault(path, e))?.collect()
        }
        "csv" => {
            let format = arrow::csv::reader::Format::default().with_header(true);
            let (schema, _) = format.infer_schema(&file, Some(INFER_ROWS)).map_err(|e| fault(path, e))?;
            (&file).rewind().map_err(|e| fault(path, e))?;
            let builder =
                arrow::csv::ReaderBuilder::new(Arc::new(schema)).with_header(true).with_batch_size(BATCH_ROWS);
            builder.build(file).map_err(|e| fault(path, e))?.collect()
        }
        "json" | "jsonl" | "ndjson" => {
            let mut reader = BufReader::new(file);
            let (schema, _) = arrow::json::reader::infer_json_schema_from_seekable(&mut reader, Some(INFER_ROWS))
                .map_err(|e| fault(path, e))?;
            let builder = arrow::json::ReaderBuilder::new(Arc::new(schema)).with_batch_size(BATCH_ROWS);
            builder.build(reader).map_err(|e| fault(path, e))?.collect()
        }
        other => {
            return Err(fault(path, format!("extension is `{other}`, expected parquet, csv, json, jsonl or ndjson")));
        }
    };
    batches.map_err(|e| fault(path, e))
}
