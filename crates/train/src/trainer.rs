//! What a family of models must be able to do.

use crate::Error;
use crate::boosting::GradientBoosting;
use crate::isolation::IsolationForest;
use crate::linear::{ElasticNet, LinearRegression};
use crate::logistic::LogisticRegression;
use crate::random::Random;
use domain::{FeatureMatrix, Task};
use measure::Shape;
use models::Model;
use prepare::{Feature, Needs};
use serde_json::Value;

/// Prepared rows for a fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) features: &'a FeatureMatrix,
    pub(crate) described: &'a [Feature],
    /// As `records::tracking::LabelBatch` encodes them.
    pub(crate) labels: &'a [f64],
    pub(crate) shape: Shape,
    pub(crate) threads: u32,
    pub(crate) seed: u64,
}

/// What a fit makes.
#[derive(Debug)]
pub(crate) struct Fit {
    pub(crate) model: Model,
    /// Per feature, not negative; sums to anything.
    pub(crate) importance: Vec<f64>,
}

/// A family of models.
pub(crate) trait Trainer: Send + Sync {
    /// Its name in configuration, recipes and manifests.
    fn family(&self) -> &'static str;
    /// What features it can take.
    fn needs(&self) -> Needs;
    /// The newest rows it looks at; none: all.
    fn rows_max(&self) -> Option<usize>;
    /// Parameters worth trying first.
    fn defaults(&self) -> Value;
    /// Random parameters; none where there is nothing to search.
    fn sample(&self, random: &mut Random) -> Option<Value>;
    /// Takes rows in; what does not depend on parameters is done once here.
    fn open<'a>(&self, rows: Rows<'a>) -> Result<Box<dyn Fitter + 'a>, Error>;
}

/// Rows ready for fits with different parameters.
pub(crate) trait Fitter {
    fn fit(&mut self, parameters: &Value) -> Result<Fit, Error>;
}

/// The family of a name, if it can do the task.
pub(crate) fn trainer(name: &str, task: Task) -> Result<Box<dyn Trainer>, Error> {
    let (regression, binary) = (task == Task::Regression, task == Task::BinaryClassification);
    let found: Option<Box<dyn Trainer>> = match name {
        "gradient_boosting" => Some(Box::new(GradientBoosting)),
        "logistic_regression" if !regression => Some(Box::new(LogisticRegression)),
        "isolation_forest" if binary => Some(Box::new(IsolationForest)),
        "linear_regression" if regression => Some(Box::new(LinearRegression)),
        "elastic_net" if regression => Some(Box::new(ElasticNet)),
        _ => None,
    };
    let expected = if regression {
        "gradient_boosting, linear_regression or elastic_net for regression"
    } else if binary {
        "gradient_boosting, logistic_regression or isolation_forest for two classes"
    } else {
        "gradient_boosting or logistic_regression for several classes"
    };
    found.ok_or_else(|| Error::Spec { key: "families", found: name.to_owned(), expected: expected.to_owned() })
}

/// Reads parameters of a family.
pub(crate) fn parameters<T: serde::de::DeserializeOwned>(family: &'static str, value: &Value) -> Result<T, Error> {
    T::deserialize(value).map_err(|e| Error::Trainer { family, detail: format!("parameters {value}: {e}") })
}
