//! Events: the declared columns of a raw batch, with ids and times.

use crate::Error;
use crate::column::{Column, Texts};
use crate::format::{EventFormat, Tombstone};
use crate::paths::Paths;
use crate::reason::{Refusal, Refused};
use crate::record::{Envelope, check_size, scan};
use arrow::array::{RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::SchemaRef;
use domain::{RawBatch, RawRecord};

/// Decodes JSON events; built once, fed batch by batch.
#[derive(Debug)]
pub struct EventDecoder {
    schema: SchemaRef,
    tombstone: Tombstone,
    envelope: Envelope,
    paths: Paths,
    columns: Vec<Column>,
    ids: Texts,
}

/// A decoded batch. `ids`, `times_ms`, `rows` and `indexes` have one entry per accepted record,
/// in offset order.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// Event ids.
    pub ids: StringArray,
    /// Event times, epoch milliseconds.
    pub times_ms: Vec<i64>,
    /// The declared columns.
    pub rows: RecordBatch,
    /// Index of each accepted record in the raw batch.
    pub indexes: Vec<u32>,
    /// The records set apart, in offset order.
    pub refused: Vec<Refused>,
    /// Tombstones ignored by configuration.
    pub ignored: u64,
}

impl EventDecoder {
    /// A decoder of a format.
    ///
    /// # Errors
    /// [`Error::Path`] if a column path has an empty part.
    pub fn new(format: EventFormat) -> Result<Self, Error> {
        let mut paths = Paths::new();
        let envelope = Envelope::new(&format.id, &format.time, &mut paths)?;
        let columns = format.schema.fields.iter().map(|field| Ok(Column::new(field, paths.add(&field.name)?)));
        let columns = columns.collect::<Result<_, Error>>()?;
        let schema = format.schema.arrow();
        Ok(Self { schema, tombstone: format.tombstone, envelope, paths, columns, ids: Texts::default() })
    }

    /// Decodes a batch. Bad records are in `refused`.
    ///
    /// # Errors
    /// [`Error::BatchTooLarge`] beyond 2 GiB; [`Error::Arrow`] is a fault of Vigie itself.
    pub fn decode(&mut self, batch: &RawBatch) -> Result<Decoded, Error> {
        check_size(batch)?;
        let mut times_ms = Vec::with_capacity(batch.len());
        let mut indexes = Vec::with_capacity(batch.len());
        let (mut refused, mut ignored) = (Vec::new(), 0);
        for (place, record) in batch.iter().enumerate() {
            if record.value.is_none() && self.tombstone == Tombstone::Ignore {
                ignored += 1;
                continue;
            }
            let index = u32::try_from(place).unwrap_or(u32::MAX);
            match self.row(batch, place, &record) {
                Ok(time_ms) => {
                    times_ms.push(time_ms);
                    indexes.push(index);
                }
                Err((reason, detail)) => {
                    self.ids.truncate(indexes.len());
                    self.columns.iter_mut().for_each(|c| c.truncate(indexes.len()));
                    refused.push(Refused { index, reason, detail });
                }
            }
        }
        let rows = self.finish(indexes.len())?;
        let ids = self.ids.finish(None)?;
        Ok(Decoded { ids, times_ms, rows, indexes, refused, ignored })
    }

    /// Appends one record to the buffers and returns its time.
    fn row(&mut self, batch: &RawBatch, index: usize, record: &RawRecord<'_>) -> Result<i64, Refusal> {
        let message = scan(&mut self.paths, record)?;
        self.envelope.push_id((batch, index), (&self.paths, message), &mut self.ids)?;
        let time_ms = self.envelope.time(record, &self.paths, message)?;
        for column in &mut self.columns {
            column.push(self.paths.slot(column.slot), message)?;
        }
        Ok(time_ms)
    }

    fn finish(&mut self, rows: usize) -> Result<RecordBatch, Error> {
        let columns = self.columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), columns, &options)
            .map_err(|e| Error::Arrow(e.to_string()))
    }
}
