//! Declared and derived columns of a batch.

use crate::Error;
use crate::column::Kind;
use crate::recipe::Derive;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use domain::EventSchema;
use expressions::Expression;
use std::sync::Arc;

/// Finds the declared columns of a batch and computes the derived ones.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    declared: SchemaRef,
    /// Each derived column with the schema of the batch it is appended to.
    derived: Vec<(Expression, SchemaRef)>,
    columns: Vec<(String, Kind)>,
}

impl Inputs {
    /// Compiles the derived columns; each sees the declared ones and those before it.
    pub(crate) fn new(schema: &EventSchema, derive: &[Derive]) -> Result<Self, Error> {
        let declared = schema.arrow();
        let mut columns = Vec::with_capacity(declared.fields().len() + derive.len());
        for field in declared.fields() {
            push(&mut columns, field)?;
        }
        let mut derived = Vec::with_capacity(derive.len());
        let mut seen = Arc::clone(&declared);
        for Derive { name, sql } in derive {
            let expression = Expression::compile(name, sql, &seen)?;
            let field = Arc::new(Field::new(name, expression.data_type().clone(), true));
            push(&mut columns, &field)?;
            let fields: Vec<_> = seen.fields().iter().map(Arc::clone).chain([field]).collect();
            seen = Arc::new(Schema::new(fields));
            derived.push((expression, Arc::clone(&seen)));
        }
        if columns.is_empty() {
            return Err(Error::NoColumns);
        }
        Ok(Self { declared, derived, columns })
    }

    /// Names and kinds: declared columns first, then derived ones.
    pub(crate) fn columns(&self) -> &[(String, Kind)] {
        &self.columns
    }

    /// The columns of a batch, in that order.
    pub(crate) fn read(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, Error> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        for field in self.declared.fields() {
            let column = field.name().clone();
            let Some(array) = rows.column_by_name(field.name()) else {
                return Err(Error::MissingColumn { column });
            };
            if array.data_type() != field.data_type() {
                let (found, expected) = (array.data_type().to_string(), field.data_type().to_string());
                return Err(Error::ColumnType { column, found, expected });
            }
            arrays.push(Arc::clone(array));
        }
        if self.derived.is_empty() {
            return Ok(arrays);
        }
        let mut seen = batch(&self.declared, arrays, rows.num_rows())?;
        for (expression, schema) in &self.derived {
            let value = expression.evaluate(&seen)?;
            let arrays = seen.columns().iter().map(Arc::clone).chain([value]).collect();
            seen = batch(schema, arrays, rows.num_rows())?;
        }
        Ok(seen.columns().to_vec())
    }
}

fn push(columns: &mut Vec<(String, Kind)>, field: &Field) -> Result<(), Error> {
    let column = field.name().clone();
    let Some(kind) = Kind::of(field.data_type()) else {
        return Err(Error::DerivedType { column, found: field.data_type().to_string() });
    };
    if columns.iter().any(|(name, _)| *name == column) {
        return Err(Error::RepeatedColumn { column });
    }
    columns.push((column, kind));
    Ok(())
}

fn batch(schema: &SchemaRef, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, Error> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options).map_err(|e| Error::Internal {
        column: schema.fields().last().map_or_else(String::new, |f| f.name().clone()),
        detail: e.to_string(),
    })
}
