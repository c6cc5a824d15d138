//! Linear and generalised linear models.

use crate::{Error, FEATURES_MAX, Link, OUTPUTS_MAX};
use domain::FeatureMatrix;

/// One weight per feature and output, one intercept per output, and a link.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// Raw score to output.
    pub link: Link,
    /// Per output: one weight per feature.
    pub weights: Vec<Vec<f64>>,
    /// Per output.
    pub intercepts: Vec<f64>,
}

impl Linear {
    /// A checked model: equal lengths, finite numbers, sizes within bounds.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the part.
    pub fn new(link: Link, weights: Vec<Vec<f64>>, intercepts: Vec<f64>) -> Result<Self, Error> {
        let linear = Self { link, weights, intercepts };
        linear.check()?;
        Ok(linear)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let outputs = self.intercepts.len();
        if outputs == 0 || outputs > OUTPUTS_MAX || self.weights.len() != outputs {
            return Err(Error::invalid(format!(
                "{} weight rows and {outputs} intercepts, expected equal counts from 1 to {OUTPUTS_MAX}",
                self.weights.len()
            )));
        }
        let features = self.feature_count();
        if features > FEATURES_MAX {
            return Err(Error::invalid(format!("{features} features, expected at most {FEATURES_MAX}")));
        }
        for (output, weights) in self.weights.iter().enumerate() {
            if weights.len() != features {
                let found = weights.len();
                return Err(Error::invalid(format!("output {output} has {found} weights, expected {features}")));
            }
            if let Some(weight) = weights.iter().find(|w| !w.is_finite()) {
                return Err(Error::invalid(format!("output {output} has weight {weight}, expected finite numbers")));
            }
        }
        if let Some(intercept) = self.intercepts.iter().find(|i| !i.is_finite()) {
            return Err(Error::invalid(format!("intercept is {intercept}, expected a finite number")));
        }
        self.link.check(outputs)
    }

    pub(crate) fn feature_count(&self) -> usize {
        self.weights.first().map_or(0, Vec::len)
    }

    /// Raw scores into `out` (row-major, zeroed, rows × outputs): the intercept plus one product
    /// per feature in feature order, in f64, whatever the batch.
    pub(crate) fn raw(&self, features: &FeatureMatrix, out: &mut [f64]) {
        let outputs = self.intercepts.len();
        for (output, (weights, &intercept)) in self.weights.iter().zip(&self.intercepts).enumerate() {
            let scores = || (output..).step_by(outputs);
            for place in scores().take(features.rows()) {
                if let Some(score) = out.get_mut(place) {
                    *score = intercept;
                }
            }
            for (column, &weight) in features.columns().iter().zip(weights) {
                let slots = out.iter_mut().skip(output).step_by(outputs);
                for (score, &value) in slots.zip(column) {
                    *score += weight * f64::from(value);
                }
            }
        }
    }
}
