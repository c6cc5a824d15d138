//! The reference profile that a bundle carries, as Arrow IPC.

use crate::counts::Counts;
use crate::error::Error;
use crate::layout::{Bins, ColumnLayout, Layout};
use crate::{BINS_MAX, CATEGORIES_MAX};
use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Float64Builder, ListBuilder, RecordBatch, StringArray, StringBuilder,
    UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, UInt64Type};
use arrow::ipc::{reader::StreamReader, writer::StreamWriter};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Key of the schema's only metadata entry; the value is `format/rows`.
const METADATA_KEY: &str = "vigie.reference";
const FORMAT: &str = "1";
/// Most columns of a reference.
const COLUMNS_MAX: usize = 4096;

/// What the champion saw in training: bins, counts, and how much each column matters.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Bins of every raw column and of `prediction`.
    pub layout: Layout,
    /// Counts of the reference rows.
    pub counts: Counts,
    /// Share of each column in the model's importance: sums to 1, or all 0 where unknown.
    pub importance: Vec<f64>,
}

fn refused(what: impl ToString) -> Error {
    Error::Reference(what.to_string())
}

fn list(name: &str, item: DataType) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new("item", item, true))), false)
}

fn schema(rows: u64) -> Schema {
    let fields = vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("kind", DataType::Utf8, false),
        list("edges", DataType::Float64),
        list("values", DataType::Utf8),
        list("counts", DataType::UInt64),
        Field::new("importance", DataType::Float64, false),
    ];
    // One entry only: the order of a hash map never reaches the bytes.
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), format!("{FORMAT}/{rows}"))]);
    Schema::new_with_metadata(fields, metadata)
}

impl Reference {
    /// Writes the profile as an Arrow IPC stream of one batch, a row per column. Equal profiles
    /// give equal bytes.
    ///
    /// # Errors
    /// The importance has another length than the layout, or Arrow refuses.
    pub fn to_arrow(&self) -> Result<Vec<u8>, Error> {
        let columns = &self.layout.columns;
        if self.importance.len() != columns.len() {
            return Err(refused(format!("{} importances for {} columns", self.importance.len(), columns.len())));
        }
        let mut edges_of = ListBuilder::new(Float64Builder::new());
        let mut values_of = ListBuilder::new(StringBuilder::new());
        let mut counts_of = ListBuilder::new(UInt64Builder::new());
        for (number, column) in columns.iter().enumerate() {
            match &column.bins {
                Bins::Numeric { edges } => edges_of.values().append_slice(edges),
                Bins::Category { values } => values.iter().for_each(|value| values_of.values().append_value(value)),
            }
            counts_of.values().append_slice(&self.counts.column(number, column.bins.count()));
            edges_of.append(true);
            values_of.append(true);
            counts_of.append(true);
        }
        let kinds = columns.iter().map(|c| match c.bins {
            Bins::Numeric { .. } => "numeric",
            Bins::Category { .. } => "category",
        });
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(columns.iter().map(|c| &c.name))),
            Arc::new(StringArray::from_iter_values(kinds)),
            Arc::new(edges_of.finish()),
            Arc::new(values_of.finish()),
            Arc::new(counts_of.finish()),
            Arc::new(Float64Array::from(self.importance.clone())),
        ];
        let schema = Arc::new(schema(self.counts.rows()));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(refused)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &schema).map_err(refused)?;
        writer.write(&batch).map_err(refused)?;
        writer.into_inner().map_err(refused)
    }

    /// Reads what [`Reference::to_arrow`] wrote, checking every length, order and sum.
    ///
    /// # Errors
    /// The bytes are no such profile; the message says what was found.
    pub fn from_arrow(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = StreamReader::try_new(bytes, None).map_err(refused)?;
        let rows = rows_of(&reader.schema())?;
        let batch = reader.next().ok_or_else(|| refused("no batch"))?.map_err(refused)?;
        if reader.next().is_some() {
            return Err(refused("more than one batch"));
        }
        let columns = batch.num_rows();
        if columns > COLUMNS_MAX {
            return Err(refused(format!("{columns} columns, expected at most {COLUMNS_MAX}")));
        }
        let names = batch.column(0).as_string::<i32>();
        let mut layouts = Vec::with_capacity(columns);
        let mut counts = Vec::with_capacity(columns);
        let mut seen = BTreeSet::new();
        for row in 0..columns {
            let name = names.value(row);
            if !seen.insert(name) {
                return Err(refused(format!("column {name} comes twice")));
            }
            let bins = bins_at(&batch, row, name)?;
            counts.push(counts_at(&batch, row, name, bins.count(), rows)?);
            layouts.push(ColumnLayout { name: name.to_owned(), bins });
        }
        let importance = batch.column(5).as_primitive::<Float64Type>().values().to_vec();
        if importance.iter().any(|share| !(0.0..=1.0).contains(share)) {
            return Err(refused("an importance outside of 0 to 1"));
        }
        Ok(Self { layout: Layout::new(layouts), counts: Counts::from_parts(rows, counts), importance })
    }
}

/// Rows of the reference, from a schema that must be ours.
fn rows_of(found: &Schema) -> Result<u64, Error> {
    let tag = found.metadata().get(METADATA_KEY).ok_or_else(|| refused(format!("no {METADATA_KEY} in its schema")))?;
    let rows = match tag.split_once('/') {
        Some((FORMAT, rows)) => rows.parse().map_err(|_| refused(format!("rows {rows}, expected a number")))?,
        _ => return Err(refused(format!("format {tag}, expected {FORMAT}"))),
    };
    if found.fields() != schema(rows).fields() {
        return Err(refused(format!(
            "unknown columns {:?}",
            found.fields().iter().map(|f| f.name()).collect::<Vec<_>>()
        )));
    }
    Ok(rows)
}

fn bins_at(batch: &RecordBatch, row: usize, name: &str) -> Result<Bins, Error> {
    let edge_list = batch.column(2).as_list::<i32>().value(row);
    let value_list = batch.column(3).as_list::<i32>().value(row);
    match batch.column(1).as_string::<i32>().value(row) {
        "numeric" if value_list.is_empty() => {
            let edges = edge_list.as_primitive::<Float64Type>().values().to_vec();
            let ordered = edges.iter().all(|e| e.is_finite()) && edges.is_sorted() && edges.len() != 1;
            if !ordered || edges.len() > BINS_MAX + 1 || edge_list.null_count() > 0 {
                return Err(refused(format!(
                    "edges of column {name} are not finite, ascending and at most {BINS_MAX}"
                )));
            }
            Ok(Bins::Numeric { edges })
        }
        "category" if edge_list.is_empty() => {
            let texts = value_list.as_string::<i32>();
            let distinct: BTreeSet<&str> = texts.iter().flatten().collect();
            if distinct.len() != texts.len() || texts.len() > CATEGORIES_MAX {
                return Err(refused(format!("values of column {name} are not distinct and at most {CATEGORIES_MAX}")));
            }
            Ok(Bins::Category { values: texts.iter().flatten().map(str::to_owned).collect() })
        }
        kind => Err(refused(format!("column {name} of kind {kind} has bins of another kind"))),
    }
}

fn counts_at(batch: &RecordBatch, row: usize, name: &str, bin_count: usize, rows: u64) -> Result<Vec<u64>, Error> {
    let list = batch.column(4).as_list::<i32>().value(row);
    let counts = list.as_primitive::<UInt64Type>();
    if counts.len() != bin_count || counts.null_count() > 0 {
        return Err(refused(format!("column {name} has {} counts, expected {bin_count}", counts.len())));
    }
    let total: u128 = counts.values().iter().map(|count| u128::from(*count)).sum();
    if total != u128::from(rows) {
        return Err(refused(format!("counts of column {name} sum to {total}, expected {rows}")));
    }
    Ok(counts.values().to_vec())
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
