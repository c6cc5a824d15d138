//! An opened bundle.

use crate::{Error, ErrorModels, Manifest, RowErrors};
use arrow::array::RecordBatch;
use detect::shift::Wanders;
use domain::{FeatureMatrix, Version};
use measure::Calibration;
use measure::estimate::GapReference;
use models::Model;
use prepare::Preprocessor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Outputs of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Numbers per row.
    pub outputs: usize,
    /// Row-major: probabilities, or the number in regression.
    pub values: Vec<f64>,
}

/// `calibration.json`: what the scores of a classifier are worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// From scores to class probabilities, fitted on rows the model had not seen.
    pub calibration: Calibration,
    /// Realised minus estimated errors on those rows.
    pub gap: Option<GapReference>,
}

/// A verified bundle: preprocessing and model behind one `apply`, for training and serving alike.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Its name.
    pub version: Version,
    /// Facts about it.
    pub manifest: Manifest,
    /// The profile that drift is measured against.
    pub reference: Arc<profile::Reference>,
    /// What its scores are worth; none in regression and in bundles of earlier builds.
    pub calibrated: Option<Arc<Calibrated>>,
    /// What errors it expects of itself; regression only, and none in bundles of earlier builds.
    pub errors: Option<Arc<ErrorModels>>,
    /// How the columns of the reference wandered; none in bundles of earlier builds.
    pub wander: Option<Wanders>,
    /// Counts of the reference within the segments that drift is watched in; of none unless it was
    /// asked for.
    pub segments: profile::Segments,
    /// How columns are watched together; none unless it was asked for.
    pub reconstruction: Option<Arc<profile::Reconstruction>>,
    /// Where the reference lies among all columns at once; none unless it was asked for.
    pub kernel: Option<Arc<profile::Kernel>>,
    pub(crate) preprocessor: Preprocessor,
    pub(crate) model: Model,
}

impl Bundle {
    /// Scores raw rows: one row of outputs for each, in their order.
    ///
    /// # Errors
    /// [`Error::Prepare`] when a declared column is missing or has another type.
    pub fn apply(&self, rows: &RecordBatch) -> Result<Scores, Error> {
        apply(&self.version, &self.preprocessor, &self.model, rows).map(|(scores, _)| scores)
    }

    /// The same, with |e| and e² to be expected of each row where the bundle has models of them.
    ///
    /// # Errors
    /// As [`Bundle::apply`].
    pub fn apply_expecting(&self, rows: &RecordBatch) -> Result<(Scores, Option<RowErrors>), Error> {
        let (scores, features) = apply(&self.version, &self.preprocessor, &self.model, rows)?;
        let errors = match &self.errors {
            Some(errors) => Some(errors.predict(&self.version, features, &scores.values)?),
            None => None,
        };
        Ok((scores, errors))
    }

    /// The fitted preprocessing.
    #[must_use]
    pub fn preprocessor(&self) -> &Preprocessor {
        &self.preprocessor
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }
}

pub(crate) fn apply(
    version: &Version,
    preprocessor: &Preprocessor,
    model: &Model,
    rows: &RecordBatch,
) -> Result<(Scores, FeatureMatrix), Error> {
    let features = preprocessor
        .apply(rows)
        .map_err(|source| Error::Prepare { version: version.to_string(), source: Box::new(source) })?;
    let mut values = Vec::new();
    model
        .predict(&features, &mut values)
        .map_err(|source| Error::Model { version: version.to_string(), source: Box::new(source) })?;
    Ok((Scores { outputs: model.outputs(), values }, features))
}
