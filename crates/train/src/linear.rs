//! Linear models of a number by linfa: least squares, and the elastic net.

use crate::Error;
use crate::dense::{lowered, matrix};
use crate::logistic::ROWS_MAX;
use crate::random::Random;
use crate::trainer::{Fit, Fitter, Rows, Trainer, parameters};
use linfa::DatasetBase;
use linfa::traits::Fit as _;
use models::Link;
use ndarray::{Array1, Array2, ArrayView2};
use prepare::Needs;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const LINEAR: &str = "linear_regression";
const ELASTIC: &str = "elastic_net";
/// Penalty that makes collinear columns (one-hot features sum to one) solvable.
const RIDGE: f64 = 1e-4;

/// Least squares.
#[derive(Debug)]
pub(crate) struct LinearRegression;

/// Least squares with penalties on |w| and w².
#[derive(Debug)]
pub(crate) struct ElasticNet;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Parameters {
    penalty: f64,
    l1_ratio: f64,
    rows_max: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { penalty: 0.01, l1_ratio: 0.5, rows_max: ROWS_MAX }
    }
}

impl Trainer for LinearRegression {
    fn family(&self) -> &'static str {
        LINEAR
    }

    fn needs(&self) -> Needs {
        Needs::Dense
    }

    fn rows_max(&self) -> Option<usize> {
        Some(ROWS_MAX)
    }

    fn defaults(&self) -> Vec<Value> {
        vec![json!({ "rows_max": ROWS_MAX })]
    }

    fn sample(&self, _random: &mut Random) -> Option<Value> {
        None
    }

    fn open<'a>(&self, rows: Rows<'a>) -> Result<Box<dyn Fitter + 'a>, Error> {
        Ok(Box::new(Opened::new(LINEAR, rows)?))
    }
}

impl Trainer for ElasticNet {
    fn family(&self) -> &'static str {
        ELASTIC
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

    fn sample(&self, random: &mut Random) -> Option<Value> {
        let drawn = Parameters {
            penalty: random.log_uniform(1e-4, 1.0),
            l1_ratio: (random.unit() * 10.0).floor() / 10.0,
            rows_max: ROWS_MAX,
        };
        serde_json::to_value(drawn).ok()
    }

    fn open<'a>(&self, rows: Rows<'a>) -> Result<Box<dyn Fitter + 'a>, Error> {
        Ok(Box::new(Opened::new(ELASTIC, rows)?))
    }
}

/// Labels are fitted in units of their standard deviation about their mean, so that penalties
/// mean the same whatever the unit.
struct Opened<'a> {
    family: &'static str,
    rows: Rows<'a>,
    matrix: Array2<f64>,
    labels: Array1<f64>,
    mean: f64,
    scale: f64,
}

impl<'a> Opened<'a> {
    #[allow(clippy::cast_precision_loss)]
    fn new(family: &'static str, rows: Rows<'a>) -> Result<Self, Error> {
        let count = rows.labels.len().max(1) as f64;
        let mean = rows.labels.iter().sum::<f64>() / count;
        let variance = rows.labels.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / count;
        let scale = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        let labels = rows.labels.iter().map(|y| (y - mean) / scale).collect();
        Ok(Self { family, matrix: matrix(family, rows.features)?, rows, labels, mean, scale })
    }

    fn failed(&self, error: impl std::fmt::Display) -> Error {
        Error::Trainer { family: self.family, detail: error.to_string() }
    }

    fn data(&self) -> DatasetBase<ArrayView2<'_, f64>, Array1<f64>> {
        DatasetBase::new(self.matrix.view(), self.labels.clone())
    }

    fn net(&self, penalty: f64, l1_ratio: f64) -> Result<Fit, Error> {
        let fitted = linfa_elasticnet::ElasticNet::params()
            .penalty(penalty)
            .l1_ratio(l1_ratio)
            .fit(&self.data())
            .map_err(|e| self.failed(e))?;
        self.lower(fitted.hyperplane(), fitted.intercept())
    }

    fn lower(&self, weights: &Array1<f64>, intercept: f64) -> Result<Fit, Error> {
        let weights = weights.iter().map(|w| w * self.scale).collect();
        lowered(&self.rows, Link::Identity, vec![weights], vec![intercept * self.scale + self.mean])
    }

    fn least_squares(&self) -> Result<Fit, Error> {
        match linfa_linear::LinearRegression::new().fit(&self.data()) {
            Ok(fitted) if fitted.params().iter().all(|w| w.is_finite() && w.abs() < 1e6) => {
                self.lower(fitted.params(), fitted.intercept())
            }
            _ => self.net(RIDGE, 0.0),
        }
    }
}

impl Fitter for Opened<'_> {
    fn fit(&mut self, given: &Value) -> Result<Fit, Error> {
        if self.family == LINEAR {
            return self.least_squares();
        }
        let given: Parameters = parameters(ELASTIC, given)?;
        self.net(given.penalty, given.l1_ratio)
    }
}

#[cfg(test)]
mod tests {
    use crate::random::Random;
    use crate::trainer::{Asked, Rows, trainer};
    use domain::{FeatureMatrix, Task};
    use measure::Shape;

    #[test]
    fn a_plane_is_found_even_when_columns_repeat() {
        let mut random = Random::new(3);
        let x: Vec<f32> = (0..500).map(|_| (random.unit() * 2.0 - 1.0) as f32).collect();
        let z: Vec<f32> = (0..500).map(|_| (random.unit() * 2.0 - 1.0) as f32).collect();
        let labels: Vec<f64> =
            x.iter().zip(&z).map(|(x, z)| 100.0 + 30.0 * f64::from(*x) - 5.0 * f64::from(*z)).collect();
        let features = FeatureMatrix::new(500, vec![x.clone(), z, x]).unwrap();
        let shape = Shape { task: Task::Regression, classes: 0 };
        for (family, tolerance) in [("linear_regression", 0.2), ("elastic_net", 1.5)] {
            let rows = Rows { features: &features, described: &[], labels: &labels, shape, threads: 1, seed: 0 };
            let family = trainer(family, Task::Regression, Asked { anomaly_share: 0.01, clusters: None }).unwrap();
            let fit = family.open(rows).unwrap().fit(&family.defaults()[0]).unwrap();
            let mut out = Vec::new();
            let probe = FeatureMatrix::new(2, vec![vec![1.0, 0.0], vec![0.0, 1.0], vec![1.0, 0.0]]).unwrap();
            fit.model.predict(&probe, &mut out).unwrap();
            assert!((out[0] - 130.0).abs() < tolerance && (out[1] - 95.0).abs() < tolerance, "{out:?}");
        }
    }
}
