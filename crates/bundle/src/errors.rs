//! What errors a regression is to expect of itself.

use crate::Error;
use crate::file::{ABSOLUTE_ERROR, ERROR_GAP, SQUARED_ERROR};
use domain::{FeatureMatrix, Task, Version};
use measure::estimate::GapReference;
use models::Model;

/// |e| and e² to be expected of each row.
pub type RowErrors = Vec<[f64; 2]>;

/// `absolute_error.bin` and `squared_error.bin`: child models that predict |e| and e² of a row from
/// its features and, as the last column, the prediction itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorModels {
    /// Of |e|.
    pub absolute: Model,
    /// Of e².
    pub squared: Model,
    /// Realised minus expected |e| of the validation fold; none in bundles of earlier builds.
    pub gap: Option<GapReference>,
}

impl ErrorModels {
    /// |e| and e² to be expected of each row. The models may say less than 0.
    ///
    /// # Errors
    /// [`Error::Model`] for features of another number or predictions of other rows.
    pub fn predict(&self, version: &Version, features: FeatureMatrix, predictions: &[f64]) -> Result<RowErrors, Error> {
        let (mut absolute, mut squared) = (Vec::new(), Vec::new());
        let (found, expected) = (predictions.len(), features.rows());
        // The precision of every feature.
        #[allow(clippy::cast_possible_truncation)]
        let column = predictions.iter().map(|prediction| *prediction as f32).collect();
        let Some(inputs) = features.with(column) else {
            return Err(Error::content(ABSOLUTE_ERROR, format!("{found} predictions, expected {expected}")));
        };
        for (model, out) in [(&self.absolute, &mut absolute), (&self.squared, &mut squared)] {
            let fault = |source| Error::Model { version: version.to_string(), source: Box::new(source) };
            model.predict(&inputs, out).map_err(fault)?;
        }
        Ok(absolute.into_iter().zip(squared).map(<[f64; 2]>::from).collect())
    }

    /// Refuses what no regression of so many features has.
    pub(crate) fn check(&self, task: Task, features: usize) -> Result<(), Error> {
        for (file, model) in [(ABSOLUTE_ERROR, &self.absolute), (SQUARED_ERROR, &self.squared)] {
            let found = (model.feature_count(), model.outputs());
            if task != Task::Regression || found != (features + 1, 1) {
                let (inputs, outputs) = found;
                let detail = format!(
                    "{outputs} outputs of {inputs} inputs for task {task:?}, expected 1 of {} in regression",
                    features + 1
                );
                return Err(Error::content(file, detail));
            }
        }
        if self.gap.is_some_and(|gap| !gap.is_sound()) {
            return Err(Error::content(ERROR_GAP, "a number out of range, expected shares, a spread and a scale"));
        }
        Ok(())
    }
}
