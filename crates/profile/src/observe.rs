//! Rows into counts. On the data path: column by column, no allocation per row.

use crate::counts::Counts;
use crate::error::Error;
use crate::layout::{Bins, Layout};
use crate::lookup::Lookup;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType};

/// A column in one of the forms that can be counted.
pub(crate) enum Column {
    Float(Float64Array),
    Integer(arrow::array::Int64Array),
    Boolean(BooleanArray),
    Timestamp(TimestampMillisecondArray),
    Text(StringArray),
}

/// Epoch milliseconds, counts and identifiers beyond 2^53 lose their last bits: bins do not care.
#[allow(clippy::cast_precision_loss)]
fn widened(value: i64) -> f64 {
    value as f64
}

impl Column {
    /// The value as a number; `None` if missing or text.
    pub(crate) fn number(&self, row: usize) -> Option<f64> {
        match self {
            Self::Float(a) => a.is_valid(row).then(|| a.value(row)).filter(|v| !v.is_nan()),
            Self::Integer(a) => a.is_valid(row).then(|| widened(a.value(row))),
            Self::Boolean(a) => a.is_valid(row).then(|| f64::from(u8::from(a.value(row)))),
            Self::Timestamp(a) => a.is_valid(row).then(|| widened(a.value(row))),
            Self::Text(_) => None,
        }
    }
}

/// Views an array as a [`Column`]; types that decoded batches do not have are cast.
pub(crate) fn column_of(name: &str, array: &ArrayRef) -> Result<Column, Error> {
    let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let refused = || Error::ColumnType {
        name: name.to_owned(),
        found: array.data_type().to_string(),
        expected: "a number, a boolean, text or a timestamp",
    };
    let cast_to = |to: &DataType| cast(array, to).map_err(|_| refused());
    let column = match array.data_type() {
        DataType::Float64 => Column::Float(array.as_primitive::<Float64Type>().clone()),
        DataType::Int64 => Column::Integer(array.as_primitive::<Int64Type>().clone()),
        DataType::Boolean => Column::Boolean(array.as_boolean().clone()),
        DataType::Utf8 => Column::Text(array.as_string::<i32>().clone()),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Column::Timestamp(array.as_primitive::<TimestampMillisecondType>().clone())
        }
        DataType::Timestamp(_, _) => {
            Column::Timestamp(cast_to(&milliseconds)?.as_primitive::<TimestampMillisecondType>().clone())
        }
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _) => {
            Column::Text(cast_to(&DataType::Utf8)?.as_string::<i32>().clone())
        }
        other if other.is_numeric() => {
            Column::Float(cast_to(&DataType::Float64)?.as_primitive::<Float64Type>().clone())
        }
        _ => return Err(refused()),
    };
    Ok(column)
}

/// Bin of a number: the count of edges not above it, its last edge belonging to the bin below.
/// NaN is missing.
fn numeric_bin(edges: &[f64], value: f64) -> usize {
    let above = edges.partition_point(|edge| *edge <= value);
    let at_last = usize::from(edges.last() == Some(&value));
    if value.is_nan() { edges.len() + 1 } else { above - at_last }
}

fn count_numbers(
    edges: &[f64],
    selection: &[u32],
    nulls: Option<&NullBuffer>,
    value: impl Fn(usize) -> f64,
    counts: &mut [u64],
) {
    for &row in selection {
        let row = row as usize;
        let missing = nulls.is_some_and(|n| n.is_null(row));
        let bin = if missing { edges.len() + 1 } else { numeric_bin(edges, value(row)) };
        if let Some(count) = counts.get_mut(bin) {
            *count += 1;
        }
    }
}

fn count_texts(lookup: &Lookup, missing: usize, selection: &[u32], texts: &StringArray, counts: &mut [u64]) {
    for &row in selection {
        let row = row as usize;
        let bin = if texts.is_null(row) { missing } else { lookup.bin(texts.value(row)) };
        if let Some(count) = counts.get_mut(bin) {
            *count += 1;
        }
    }
}

impl Layout {
    /// Counts the selected rows. Columns are found by name; `selection` holds row numbers of the
    /// batch. On an error nothing was counted.
    ///
    /// # Errors
    /// A profiled column is missing or of a type its bins cannot count, or a selected row is not
    /// in the batch.
    pub fn observe(&self, rows: &RecordBatch, selection: &[u32], into: &mut Counts) -> Result<(), Error> {
        if let Some(&row) = selection.iter().find(|&&row| row as usize >= rows.num_rows()) {
            return Err(Error::Selection { row, rows: rows.num_rows() });
        }
        let columns = self.columns.iter().map(|c| self.column_in(rows, c)).collect::<Result<Vec<_>, _>>()?;
        into.add_rows(selection.len() as u64);
        for (number, (column, layout)) in columns.iter().zip(&self.columns).enumerate() {
            let counts = into.bins_mut(number, layout.bins.count());
            match (&layout.bins, column) {
                (Bins::Numeric { edges }, Column::Float(a)) => {
                    let values = a.values();
                    count_numbers(edges, selection, a.nulls(), |row| values[row], counts);
                }
                (Bins::Numeric { edges }, Column::Integer(a)) => {
                    let values = a.values();
                    count_numbers(edges, selection, a.nulls(), |row| widened(values[row]), counts);
                }
                (Bins::Numeric { edges }, Column::Timestamp(a)) => {
                    let values = a.values();
                    count_numbers(edges, selection, a.nulls(), |row| widened(values[row]), counts);
                }
                (Bins::Numeric { edges }, Column::Boolean(a)) => {
                    count_numbers(edges, selection, a.nulls(), |row| f64::from(u8::from(a.value(row))), counts);
                }
                (Bins::Category { values }, Column::Text(texts)) => {
                    if let Some(lookup) = self.lookups.get(number) {
                        count_texts(lookup, values.len() + 1, selection, texts, counts);
                    }
                }
                // `column_in` has refused these.
                (Bins::Numeric { .. }, Column::Text(_)) | (Bins::Category { .. }, _) => {}
            }
        }
        Ok(())
    }

    /// Bin of each selected row in every column, as [`Layout::observe`] counts it.
    ///
    /// # Errors
    /// As [`Layout::observe`].
    pub fn bins_of(&self, rows: &RecordBatch, selection: &[u32]) -> Result<Vec<Vec<u16>>, Error> {
        if let Some(&row) = selection.iter().find(|&&row| row as usize >= rows.num_rows()) {
            return Err(Error::Selection { row, rows: rows.num_rows() });
        }
        let columns = self.columns.iter().map(|c| self.column_in(rows, c)).collect::<Result<Vec<_>, _>>()?;
        let bin = |number: usize, row: usize| {
            let (layout, column) = (&self.columns.get(number)?.bins, columns.get(number)?);
            Some(match (layout, column) {
                (Bins::Numeric { edges }, column) => {
                    column.number(row).map_or(edges.len() + 1, |value| numeric_bin(edges, value))
                }
                (Bins::Category { values }, Column::Text(texts)) if texts.is_null(row) => values.len() + 1,
                (Bins::Category { .. }, Column::Text(texts)) => self.lookups.get(number)?.bin(texts.value(row)),
                // `column_in` has refused these.
                (Bins::Category { .. }, _) => return None,
            })
        };
        let of_row = |row: &u32| {
            let bins = (0..columns.len()).map(|number| bin(number, *row as usize).unwrap_or_default());
            // A column has far fewer bins.
            bins.map(|bin| u16::try_from(bin).unwrap_or(u16::MAX)).collect()
        };
        Ok(selection.iter().map(of_row).collect())
    }

    fn column_in(&self, rows: &RecordBatch, layout: &crate::ColumnLayout) -> Result<Column, Error> {
        let Some(array) = rows.column_by_name(&layout.name) else {
            let found: Vec<&str> = rows.schema_ref().fields().iter().map(|f| f.name().as_str()).collect();
            return Err(Error::ColumnMissing { name: layout.name.clone(), found: found.join(", ") });
        };
        let column = column_of(&layout.name, array)?;
        let expected = match (&layout.bins, &column) {
            (Bins::Numeric { .. }, Column::Text(_)) => "a number, a boolean or a timestamp",
            (Bins::Category { .. }, Column::Text(_)) | (Bins::Numeric { .. }, _) => return Ok(column),
            (Bins::Category { .. }, _) => "text",
        };
        Err(Error::ColumnType { name: layout.name.clone(), found: array.data_type().to_string(), expected })
    }
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
