//! From recipe and rows to preprocessor.

use crate::inputs::Inputs;
use crate::plan::resolve;
use crate::preprocessor::{Fitted, Saved};
use crate::step::Step;
use crate::{Error, Needs, Preprocessor, Recipe};
use arrow::array::RecordBatch;
use domain::EventSchema;

/// Fits a recipe for a family of models on raw rows. Every declared and derived column becomes at
/// least one feature, in that order; what the recipe leaves open is the default of `needs`. The
/// result does not depend on the order of the rows.
///
/// # Errors
/// A faulty recipe: unknown columns, settings that do not fit, expressions that do not compile;
/// rows that lack a declared column or have it with another type; too many features.
pub fn fit(
    recipe: &Recipe,
    family: &str,
    needs: Needs,
    schema: &EventSchema,
    rows: &RecordBatch,
) -> Result<Preprocessor, Error> {
    let inputs = Inputs::new(schema, &recipe.derive)?;
    let settings = resolve(recipe, family, inputs.columns())?;
    let arrays = inputs.read(rows)?;
    let mut columns = Vec::with_capacity(arrays.len());
    for (((column, kind), settings), array) in inputs.columns().iter().zip(&settings).zip(&arrays) {
        let step = Step::fit(column, *kind, settings, needs, array)?;
        columns.push(Fitted { column: column.clone(), step });
    }
    Preprocessor::new(Saved::new(schema.clone(), recipe.derive.clone(), columns), inputs)
}
