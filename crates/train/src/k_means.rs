//! Clusters by linfa's k-means, from k-means++ starts (Arthur, Vassilvitskii, SODA 2007).

use crate::Error;
use crate::dense::matrix;
use crate::random::Random;
use crate::trainer::{Fit, Fitter, Rows, Trainer, parameters};
use domain::{CLUSTER_OUTPUTS, FeatureMatrix};
use linfa::DatasetBase;
use linfa::traits::Fit as _;
use linfa_clustering::{KMeans as Lloyd, KMeansInit};
use models::{Centroids, Model};
use ndarray::Array2;
use prepare::Needs;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeSet;

const FAMILY: &str = "k_means";
/// Numbers of clusters that are tried where the user names none.
const TRIED: [u32; 9] = [2, 3, 4, 5, 6, 8, 10, 12, 16];
/// Most clusters: predictions name them, and every row is compared with each.
pub const CLUSTERS_MAX: u32 = 256;
/// Rows that are fitted on, at most, drawn from all of them: means of thousands of rows move little with
/// more, and nine numbers of clusters are tried.
const ROWS_MAX: usize = 10_000;
/// Steps of a start; it ends before where centroids no longer move.
const STEPS: u64 = 100;
/// Sum of the centroids' movements, in units of the prepared features, that counts as none.
const TOLERANCE: f64 = 1e-4;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    clusters: u32,
    /// Starts, of which the best is kept.
    starts: usize,
}

impl Parameters {
    fn of(clusters: u32) -> Self {
        Self { clusters, starts: 2 }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct KMeans {
    /// The number of clusters, where the user names it.
    pub(crate) clusters: Option<u32>,
}

impl Trainer for KMeans {
    fn family(&self) -> &'static str {
        FAMILY
    }

    fn needs(&self) -> Needs {
        Needs::Dense
    }

    fn rows_max(&self) -> Option<usize> {
        None
    }

    fn defaults(&self) -> Vec<Value> {
        let tried = self.clusters.map_or(TRIED.to_vec(), |clusters| vec![clusters]);
        tried.into_iter().filter_map(|clusters| serde_json::to_value(Parameters::of(clusters)).ok()).collect()
    }

    fn sample(&self, _random: &mut Random) -> Option<Value> {
        None
    }

    fn open<'a>(&self, rows: Rows<'a>) -> Result<Box<dyn Fitter + 'a>, Error> {
        let drawn = rows.features.take(&Random::new(rows.seed).draw(ROWS_MAX, rows.features.rows()));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(rows.threads.max(1) as usize).build().map_err(failed)?;
        let matrix = matrix(FAMILY, &drawn)?;
        Ok(Box::new(Opened { clusters: self.clusters, rows, drawn, matrix, pool }))
    }
}

struct Opened<'a> {
    clusters: Option<u32>,
    rows: Rows<'a>,
    /// The rows that are fitted on, in an order of the seed's: linfa's own draws always begin alike.
    drawn: FeatureMatrix,
    matrix: Array2<f64>,
    /// linfa would take every core there is.
    pool: rayon::ThreadPool,
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Trainer { family: FAMILY, detail: error.to_string() }
}

/// Whether so many rows differ: of more clusters than that some would be of no row.
fn has_distinct(features: &FeatureMatrix, wanted: usize) -> bool {
    let mut seen: BTreeSet<Vec<u32>> = BTreeSet::new();
    let bits = |value: f32| (value + 0.0).to_bits();
    (0..features.rows()).any(|row| {
        let values = features.columns().iter().filter_map(|column| column.get(row)).map(|value| bits(*value));
        seen.insert(values.collect());
        seen.len() >= wanted
    })
}

impl Fitter for Opened<'_> {
    fn fit(&mut self, given: &Value) -> Result<Fit, Error> {
        let given: Parameters = parameters(FAMILY, given)?;
        if self.clusters.is_some_and(|asked| asked != given.clusters) {
            return Err(failed(format!("{} clusters, but {:?} are asked for", given.clusters, self.clusters)));
        }
        if !(2..=CLUSTERS_MAX).contains(&given.clusters) || !(1..=100).contains(&given.starts) {
            let found = format!("{} clusters from {} starts", given.clusters, given.starts);
            return Err(failed(format!("{found}, expected 2 to {CLUSTERS_MAX} and 1 to 100")));
        }
        let clusters = given.clusters as usize;
        if !has_distinct(&self.drawn, clusters) {
            return Err(failed(format!("fewer than {clusters} distinct rows, expected one per cluster at least")));
        }
        let data = DatasetBase::from(self.matrix.view());
        let asked = Lloyd::params(clusters).n_runs(given.starts).max_n_iterations(STEPS).tolerance(TOLERANCE);
        let asked = asked.init_method(KMeansInit::KMeansPlusPlus);
        let found = self.pool.install(|| asked.fit(&data)).map_err(failed)?;
        let centroids: Vec<Vec<f64>> = found.centroids().outer_iter().map(|row| row.to_vec()).collect();
        let features = self.drawn.columns().len();
        let model = Centroids::new(features, by_size(features, centroids, self.rows.features)?.concat())?;
        let importance = importance(&model, self.rows.features)?;
        Ok(Fit { model: Model::Centroids(model), importance })
    }
}

/// Rows of each cluster.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn sizes(model: &Centroids, features: &FeatureMatrix) -> Result<Vec<usize>, Error> {
    let mut scores = Vec::new();
    Model::Centroids(model.clone()).predict(features, &mut scores)?;
    let mut sizes = vec![0; model.count()];
    for score in scores.chunks_exact(CLUSTER_OUTPUTS) {
        let cluster = score.first().map_or(0, |cluster| *cluster as usize);
        if let Some(size) = sizes.get_mut(cluster) {
            *size += 1;
        }
    }
    Ok(sizes)
}

/// The largest cluster first, so that a number means the same whatever the start: cluster 0 is what most
/// rows are like.
fn by_size(features: usize, centroids: Vec<Vec<f64>>, rows: &FeatureMatrix) -> Result<Vec<Vec<f64>>, Error> {
    let sizes = sizes(&Centroids::new(features, centroids.concat())?, rows)?;
    let mut sized: Vec<(usize, Vec<f64>)> = sizes.into_iter().zip(centroids).collect();
    sized.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| in_order(&a.1, &b.1)));
    Ok(sized.into_iter().map(|(_, centroid)| centroid).collect())
}

fn in_order(a: &[f64], b: &[f64]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// What a column adds to the squared distances between the clusters.
#[allow(clippy::cast_precision_loss)]
fn importance(model: &Centroids, rows: &FeatureMatrix) -> Result<Vec<f64>, Error> {
    let sizes = sizes(model, rows)?;
    let features = rows.columns().len();
    let total = sizes.iter().sum::<usize>().max(1) as f64;
    let mut importance = vec![0.0; features];
    for (feature, worth) in importance.iter_mut().enumerate() {
        let middles = model.numbers().iter().skip(feature).step_by(features.max(1));
        let sized = || sizes.iter().map(|size| *size as f64).zip(middles.clone());
        let mean = sized().map(|(size, middle)| size * middle).sum::<f64>() / total;
        *worth = sized().map(|(size, middle)| size * (middle - mean) * (middle - mean)).sum::<f64>() / total;
    }
    Ok(importance)
}

#[cfg(test)]
#[path = "k_means_tests.rs"]
mod tests;
