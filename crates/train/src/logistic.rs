//! Logistic regression by linfa: binary and multinomial, L2 penalty, L-BFGS.

use crate::Error;
use crate::dense::{lowered, matrix};
use crate::random::Random;
use crate::trainer::{Fit, Fitter, Rows, Trainer, parameters};
use domain::Task;
use linfa::DatasetBase;
use linfa::traits::Fit as _;
use linfa_logistic::{LogisticRegression as Binary, MultiLogisticRegression as Multinomial};
use models::Link;
use ndarray::{Array1, Array2};
use prepare::Needs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const FAMILY: &str = "logistic_regression";
/// A fit reads the whole one-hot matrix in every step; more rows than these buy nothing a linear
/// model could use, and cost seconds.
pub(crate) const ROWS_MAX: usize = 30_000;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Parameters {
    /// Penalty on half the squared weights, against the sum of the log losses.
    alpha: f64,
    max_iterations: u64,
    /// The newest rows the fit sees.
    rows_max: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { alpha: 1.0, max_iterations: 40, rows_max: ROWS_MAX }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct LogisticRegression;

impl Trainer for LogisticRegression {
    fn family(&self) -> &'static str {
        FAMILY
    }

    fn needs(&self) -> Needs {
        Needs::Dense
    }

    fn rows_max(&self) -> Option<usize> {
        Some(ROWS_MAX)
    }

    fn defaults(&self) -> Vec<Value> {
        vec![serde_json::to_value(Parameters::default()).unwrap_or_default()]
    }

    fn sample(&self, _random: &mut Random) -> Option<Value> {
        None
    }

    fn open<'a>(&self, rows: Rows<'a>) -> Result<Box<dyn Fitter + 'a>, Error> {
        Ok(Box::new(Opened { matrix: matrix(FAMILY, rows.features)?, rows }))
    }
}

struct Opened<'a> {
    rows: Rows<'a>,
    matrix: Array2<f64>,
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Trainer { family: FAMILY, detail: error.to_string() }
}

impl Opened<'_> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn classes(&self) -> Array1<usize> {
        self.rows.labels.iter().map(|&l| l.max(0.0) as usize).collect()
    }

    /// The gradient is a sum over rows, so its tolerance grows with them.
    #[allow(clippy::cast_precision_loss)]
    fn tolerance(&self) -> f64 {
        1e-4 * (self.rows.labels.len().max(1) as f64)
    }

    fn binary(&self, given: &Parameters) -> Result<Fit, Error> {
        let data = DatasetBase::new(self.matrix.view(), self.classes());
        let fitted = Binary::default()
            .alpha(given.alpha)
            .max_iterations(given.max_iterations)
            .gradient_tolerance(self.tolerance())
            .fit(&data)
            .map_err(failed)?;
        // linfa 0.8 calls the more frequent class positive (rust-ml/linfa#393): turn the model
        // round where that is not ours.
        let sign = if fitted.labels().pos.class == 1 { 1.0 } else { -1.0 };
        let weights = fitted.params().iter().map(|w| w * sign).collect();
        lowered(&self.rows, Link::Sigmoid { factor: 1.0 }, vec![weights], vec![fitted.intercept() * sign])
    }

    /// A class without rows gets no weight and the intercept of a very rare one.
    fn multinomial(&self, given: &Parameters) -> Result<Fit, Error> {
        let data = DatasetBase::new(self.matrix.view(), self.classes());
        let fitted = Multinomial::default()
            .alpha(given.alpha)
            .max_iterations(given.max_iterations)
            .gradient_tolerance(self.tolerance())
            .fit(&data)
            .map_err(failed)?;
        let mut weights = vec![vec![0.0; self.matrix.ncols()]; self.rows.shape.classes];
        let mut intercepts = vec![-30.0; self.rows.shape.classes];
        let columns = fitted.params().columns();
        for ((&class, column), &intercept) in fitted.classes().iter().zip(columns).zip(fitted.intercept()) {
            if let (Some(w), Some(i)) = (weights.get_mut(class), intercepts.get_mut(class)) {
                *w = column.to_vec();
                *i = intercept;
            }
        }
        lowered(&self.rows, Link::Softmax, weights, intercepts)
    }
}

impl Fitter for Opened<'_> {
    fn fit(&mut self, given: &Value) -> Result<Fit, Error> {
        let given: Parameters = parameters(FAMILY, given)?;
        match self.rows.shape.task {
            Task::BinaryClassification => self.binary(&given),
            Task::MulticlassClassification => self.multinomial(&given),
            other => Err(failed(format!("{other:?}, expected classification"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LogisticRegression;
    use crate::random::Random;
    use crate::trainer::{Rows, Trainer};
    use domain::{FeatureMatrix, Task};
    use measure::Shape;

    /// Rows whose class is the larger number; `share` of them are of the last class.
    fn data(share: f64, classes: usize) -> (FeatureMatrix, Vec<f64>) {
        let mut random = Random::new(11);
        let (mut x, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..2000 {
            let last = random.unit() < share;
            let class = if last { classes - 1 } else { (random.unit() * (classes - 1) as f64) as usize };
            x.push((class as f64 + random.unit() * 1.5) as f32);
            labels.push(class as f64);
        }
        (FeatureMatrix::new(2000, vec![x]).unwrap(), labels)
    }

    fn predict(share: f64, classes: usize, task: Task, at: f32) -> Vec<f64> {
        let (features, labels) = data(share, classes);
        let shape = Shape { task, classes };
        let rows = Rows { features: &features, described: &[], labels: &labels, shape, threads: 1, seed: 0 };
        let fit = LogisticRegression.open(rows).unwrap().fit(&LogisticRegression.defaults()[0]).unwrap();
        let mut out = Vec::new();
        fit.model.predict(&FeatureMatrix::new(1, vec![vec![at]]).unwrap(), &mut out).unwrap();
        out
    }

    #[test]
    fn the_probability_is_that_of_the_positive_class_whichever_is_more_frequent() {
        for share in [0.2, 0.4, 0.5, 0.6, 0.9] {
            let high = predict(share, 2, Task::BinaryClassification, 2.4);
            let low = predict(share, 2, Task::BinaryClassification, 0.1);
            assert!(high[0] > 0.8 && low[0] < 0.3, "share {share}: {high:?} {low:?}");
        }
    }

    #[test]
    fn several_classes_keep_their_order() {
        let out = predict(0.3, 3, Task::MulticlassClassification, 3.4);
        assert!(out.len() == 3 && out[2] > 0.8 && (out.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{out:?}");
        let out = predict(0.3, 3, Task::MulticlassClassification, 0.1);
        assert!(out[0] > 0.6, "{out:?}");
    }
}
