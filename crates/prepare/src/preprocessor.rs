//! The fitted preprocessor: apply, save, read.

use crate::Error;
use crate::inputs::Inputs;
use crate::recipe::Derive;
use crate::step::Step;
use arrow::array::RecordBatch;
use domain::{EventSchema, FeatureMatrix};
use serde::{Deserialize, Serialize};

/// Version of the saved form.
const FORMAT: u32 = 1;
/// Most features of a preprocessor: a batch of 1,000 rows then takes 64 MiB.
const FEATURES_MAX: usize = 16_384;
/// Longest saved form, in bytes.
const SAVED_BYTES_MAX: usize = 64 << 20;

/// One column of the feature matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// The column's name, with the category where the column has several features:
    /// `carrier = AA`, `carrier is other`, `carrier is missing`.
    pub name: String,
    /// The raw or derived column it is made of.
    pub source: String,
    /// For ordinal codes of trees: codes are 0 to below this, or NaN.
    pub categories: Option<usize>,
}

/// The saved form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    format: u32,
    input: EventSchema,
    derive: Vec<Derive>,
    columns: Vec<Fitted>,
}

/// A column and what was fitted for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fitted {
    pub(crate) column: String,
    pub(crate) step: Step,
}

impl Saved {
    pub(crate) fn new(input: EventSchema, derive: Vec<Derive>, columns: Vec<Fitted>) -> Self {
        Self { format: FORMAT, input, derive, columns }
    }
}

/// A fitted recipe: makes features of raw rows, the same in training and in serving.
///
/// A row's features depend on that row alone.
#[derive(Debug, Clone)]
pub struct Preprocessor {
    saved: Saved,
    inputs: Inputs,
    features: Vec<Feature>,
}

impl Preprocessor {
    /// Puts the parts together; `saved.columns` are those of `inputs`.
    pub(crate) fn new(saved: Saved, inputs: Inputs) -> Result<Self, Error> {
        let found = saved.columns.iter().map(|c| c.step.width()).sum();
        if found > FEATURES_MAX {
            return Err(Error::TooManyFeatures { found, limit: FEATURES_MAX });
        }
        let mut features = Vec::with_capacity(found);
        for Fitted { column, step } in &saved.columns {
            step.describe(column, &mut features);
        }
        Ok(Self { saved, inputs, features })
    }

    /// The features of every row, in order, one column per entry of [`Preprocessor::features`].
    /// Columns are found by name; others are not read.
    ///
    /// Numbers are computed in 64 bits and rounded once to 32. Boolean columns are 0 or 1,
    /// timestamps epoch milliseconds. A category that was not seen in fitting is "other" or 0 in
    /// every one-hot feature, and NaN as an ordinal code of trees.
    ///
    /// # Errors
    /// A declared column is missing or has another type.
    pub fn apply(&self, rows: &RecordBatch) -> Result<FeatureMatrix, Error> {
        let arrays = self.inputs.read(rows)?;
        let mut out = Vec::with_capacity(self.features.len());
        for (Fitted { column, step }, array) in self.saved.columns.iter().zip(&arrays) {
            step.apply(column, array, &mut out)?;
        }
        FeatureMatrix::new(rows.num_rows(), out).ok_or_else(|| Error::Internal {
            column: self.features.first().map_or_else(String::new, |f| f.source.clone()),
            detail: format!("features of another length than the batch of {} rows", rows.num_rows()),
        })
    }

    /// The features, in the order of the matrix.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The declared columns a batch must have.
    #[must_use]
    pub fn input_schema(&self) -> &EventSchema {
        &self.saved.input
    }

    /// The saved form: `pipeline.json` of a bundle. The same preprocessor gives the same bytes.
    ///
    /// # Errors
    /// None that is known: every number in it is finite.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec_pretty(&self.saved).map_err(|e| Error::Format { detail: e.to_string() })
    }

    /// Reads what [`Preprocessor::to_json`] wrote; expressions are compiled anew.
    ///
    /// # Errors
    /// Bytes that no preprocessor of this format writes, naming what is wrong.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        let format = |detail: String| Error::Format { detail };
        if bytes.len() > SAVED_BYTES_MAX {
            return Err(format(format!("{} bytes, expected at most {SAVED_BYTES_MAX}", bytes.len())));
        }
        let saved: Saved = serde_json::from_slice(bytes).map_err(|e| format(e.to_string()))?;
        if saved.format != FORMAT {
            return Err(format(format!("format {}, expected {FORMAT}", saved.format)));
        }
        let inputs = Inputs::new(&saved.input, &saved.derive)?;
        if saved.columns.len() != inputs.columns().len() {
            let (found, expected) = (saved.columns.len(), inputs.columns().len());
            return Err(format(format!("{found} columns, expected {expected}")));
        }
        for (fitted, (column, kind)) in saved.columns.iter().zip(inputs.columns()) {
            if fitted.column != *column {
                return Err(format(format!("column `{}`, expected `{column}`", fitted.column)));
            }
            if let Some(fault) = fitted.step.fault(*kind) {
                return Err(format(format!("column `{column}`: {fault}")));
            }
        }
        Self::new(saved, inputs)
    }
}

#[cfg(test)]
mod tests;
