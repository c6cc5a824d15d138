//! A file, read whole.

use anyhow::Context;
use arrow::array::{Array, ArrayRef, RecordBatch, new_empty_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::DataType;
use std::path::Path;

/// The rows of a file.
#[derive(Debug)]
pub(super) struct Table {
    /// Its path as it was given.
    pub(super) file: String,
    /// None where the file has no rows; its columns are not known then.
    batches: Vec<RecordBatch>,
}

impl Table {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        Ok(Self::new(&path.display().to_string(), train::read_file(path)?))
    }

    pub(super) fn new(file: &str, batches: Vec<RecordBatch>) -> Self {
        Self { file: file.to_owned(), batches }
    }

    pub(super) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Names of the columns, in their order.
    pub(super) fn names(&self) -> Vec<&str> {
        let fields = self.batches.first().map(|batch| batch.schema_ref().fields().iter());
        fields.into_iter().flatten().map(|field| field.name().as_str()).collect()
    }

    /// Type of a column, as far as it is known.
    pub(super) fn type_of(&self, name: &str) -> Option<&DataType> {
        let mut fields = self.batches.first()?.schema_ref().fields().iter();
        fields.find(|field| field.name() == name).map(|field| field.data_type())
    }

    /// Whether it is known that there is no such column.
    pub(super) fn lacks(&self, name: &str) -> bool {
        !self.batches.is_empty() && self.type_of(name).is_none()
    }

    /// A column in one piece and of this type.
    pub(super) fn column(&self, name: &str, to: &DataType) -> anyhow::Result<ArrayRef> {
        let pieces = self.batches.iter().filter_map(|batch| batch.column_by_name(name));
        let pieces: Result<Vec<ArrayRef>, _> = pieces.map(|piece| cast(piece, to)).collect();
        let place = || format!("column `{name}` of {} as {to}", self.file);
        let pieces = pieces.with_context(place)?;
        if pieces.is_empty() {
            return Ok(new_empty_array(to));
        }
        let pieces: Vec<&dyn Array> = pieces.iter().map(|piece| piece.as_ref()).collect();
        concat(&pieces).with_context(place)
    }
}
