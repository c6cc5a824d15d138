//! What a family of models must be able to do.

use crate::Error;
use crate::boosting::GradientBoosting;
use crate::isolation::IsolationForest;
use crate::k_means::KMeans;
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
    /// Parameters worth trying first, one set or a few.
    fn defaults(&self) -> Vec<Value>;
    /// Random parameters; none where there is nothing to search.
    fn sample(&self, random: &mut Random) -> Option<Value>;
    /// Takes rows in; what does not depend on parameters is done once here.
    fn open<'a>(&self, rows: Rows<'a>) -> Result<Box<dyn Fitter + 'a>, Error>;
}

/// Rows ready for fits with different parameters.
pub(crate) trait Fitter {
    fn fit(&mut self, parameters: &Value) -> Result<Fit, Error>;
}

/// What the user asks of families that see no label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Asked {
    /// See [`crate::Spec::anomaly_share`].
    pub(crate) anomaly_share: f64,
    /// See [`crate::Spec::clusters`].
    pub(crate) clusters: Option<u32>,
}

/// Names of the families that can do a task, the usual ones first.
#[must_use]
pub fn families(task: Task) -> &'static [&'static str] {
    match task {
        Task::BinaryClassification => &["logistic_regression", "gradient_boosting", "isolation_forest"],
        Task::MulticlassClassification => &["logistic_regression", "gradient_boosting"],
        Task::Regression => &["linear_regression", "gradient_boosting", "elastic_net"],
        Task::Anomaly => &["isolation_forest"],
        Task::Clustering => &["k_means"],
    }
}

/// Families that are tried where the user names none: of a task without labels the only one, else a linear
/// one and trees.
#[must_use]
pub fn default_families(task: Task) -> Vec<String> {
    families(task).iter().take(2).map(|name| (*name).to_owned()).collect()
}

/// The family of a name, if it can do the task.
pub(crate) fn trainer(name: &str, task: Task, asked: Asked) -> Result<Box<dyn Trainer>, Error> {
    let is_able = families(task).contains(&name);
    let found: Option<Box<dyn Trainer>> = match name {
        "gradient_boosting" => Some(Box::new(GradientBoosting)),
        "logistic_regression" => Some(Box::new(LogisticRegression)),
        "linear_regression" => Some(Box::new(LinearRegression)),
        "elastic_net" => Some(Box::new(ElasticNet)),
        "isolation_forest" => {
            let anomaly_share = (task == Task::Anomaly).then_some(asked.anomaly_share);
            Some(Box::new(IsolationForest { anomaly_share }))
        }
        "k_means" => Some(Box::new(KMeans { clusters: asked.clusters })),
        _ => None,
    };
    let expected = || format!("{} for {}", families(task).join(" or "), words(task));
    found.filter(|_| is_able).ok_or_else(|| Error::Spec {
        key: "families",
        found: name.to_owned(),
        expected: expected(),
    })
}

fn words(task: Task) -> &'static str {
    match task {
        Task::BinaryClassification => "two classes",
        Task::MulticlassClassification => "several classes",
        Task::Regression => "regression",
        Task::Anomaly => "anomalies",
        Task::Clustering => "clustering",
    }
}

/// Reads parameters of a family.
pub(crate) fn parameters<T: serde::de::DeserializeOwned>(family: &'static str, value: &Value) -> Result<T, Error> {
    T::deserialize(value).map_err(|e| Error::Trainer { family, detail: format!("parameters {value}: {e}") })
}
