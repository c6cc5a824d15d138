//! A compiled expression.

use crate::Error;
use crate::compile::{Compiled, compile};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion_physical_expr::PhysicalExpr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A SQL scalar expression over the columns of one row, compiled to direct Arrow kernels.
///
/// The value of a row depends on that row alone, never on its neighbours in the batch.
#[derive(Debug, Clone)]
pub struct Expression {
    name: String,
    physical: Arc<dyn PhysicalExpr>,
    columns: SchemaRef,
    data_type: DataType,
}

impl Expression {
    /// Compiles a SQL scalar expression over the columns of `schema`; types are coerced, constants
    /// folded. Column names are case-sensitive as written; double quotes take any name.
    /// Allowed are operators, CASE, IN, BETWEEN, LIKE, EXTRACT and the built-in scalar functions
    /// whose result depends on their arguments alone.
    ///
    /// # Errors
    /// Syntax errors, unknown columns and functions (with a suggestion), aggregates, windows,
    /// subqueries, functions of time or chance, types that do not fit, texts beyond the bounds.
    pub fn compile(name: &str, sql: &str, schema: &Schema) -> Result<Self, Error> {
        let Compiled { physical, columns, data_type } = compile(name, sql, schema)?;
        Ok(Self { name: name.to_owned(), physical, columns, data_type })
    }

    /// The name given at compilation: that of the derived column.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Type of the result. Text is always `Utf8`.
    #[must_use]
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// The result for every row of the batch, whose columns are found by name; others are not
    /// read. A row whose value cannot be computed (a text that is no number, an overflow) is null.
    ///
    /// # Errors
    /// A column the expression reads is missing or has another type.
    pub fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef, Error> {
        let read = self.project(rows)?;
        let result = match self.run(&read) {
            Some(result) => result,
            None => self.isolate(&read)?,
        };
        if result.data_type() != &self.data_type || result.len() != rows.num_rows() {
            let (found, rows_found) = (result.data_type(), result.len());
            let (expected, rows_expected) = (&self.data_type, rows.num_rows());
            return Err(self.broken(format!("{rows_found} rows of {found}, expected {rows_expected} of {expected}")));
        }
        Ok(result)
    }

    /// The columns read, as a batch of exactly the schema compiled against.
    fn project(&self, rows: &RecordBatch) -> Result<RecordBatch, Error> {
        let mut columns = Vec::with_capacity(self.columns.fields().len());
        for field in self.columns.fields() {
            let (name, column) = (self.name.clone(), field.name().clone());
            let Some(array) = rows.column_by_name(field.name()) else {
                return Err(Error::MissingColumn { name, column });
            };
            if array.data_type() != field.data_type() {
                let (found, expected) = (array.data_type().to_string(), field.data_type().to_string());
                return Err(Error::ColumnType { name, column, found, expected });
            }
            columns.push(Arc::clone(array));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.columns), columns, &options)
            .map_err(|e| self.broken(e.to_string()))
    }

    /// One pass over the batch; `None` if some row fails. The functions are foreign code that data
    /// reaches: a panic in one counts as a failed row.
    fn run(&self, rows: &RecordBatch) -> Option<ArrayRef> {
        let attempt = || self.physical.evaluate(rows)?.into_array(rows.num_rows());
        catch_unwind(AssertUnwindSafe(attempt)).ok()?.ok()
    }

    /// Finds the failing rows by halving and makes them null; their neighbours keep their values.
    fn isolate(&self, rows: &RecordBatch) -> Result<ArrayRef, Error> {
        let mut pieces = Vec::new();
        let mut waiting = vec![rows.clone()];
        while let Some(part) = waiting.pop() {
            let count = part.num_rows();
            if count == 0 {
                continue;
            }
            match self.run(&part) {
                Some(piece) => pieces.push(piece),
                None if count == 1 => pieces.push(new_null_array(&self.data_type, 1)),
                None => {
                    let half = count / 2;
                    waiting.push(part.slice(half, count - half));
                    waiting.push(part.slice(0, half));
                }
            }
        }
        if pieces.is_empty() {
            return Ok(new_null_array(&self.data_type, 0));
        }
        let pieces: Vec<_> = pieces.iter().map(AsRef::as_ref).collect();
        concat(&pieces).map_err(|e| self.broken(e.to_string()))
    }

    fn broken(&self, detail: String) -> Error {
        Error::Evaluate { name: self.name.clone(), detail }
    }
}

#[cfg(test)]
mod tests;
