//! Clusters that are there are found, whatever the order and the threads; what cannot be is refused.

use super::{KMeans, TRIED};
use crate::Error;
use crate::random::Random;
use crate::trainer::{Fit, Rows, Trainer};
use domain::{FeatureMatrix, Task};
use measure::{Performance, Shape};
use models::Model;
use serde_json::{Value, json};

const SHAPE: Shape = Shape { task: Task::Clustering, classes: 0 };

/// Rows about (0, 0), (10, 0), (0, 10) and (10, 10), within half a unit; half of them in the first, then a
/// quarter and two eighths. A third column says nothing.
fn data(rows: usize) -> FeatureMatrix {
    let mut random = Random::new(11);
    let mut columns = vec![Vec::new(); 3];
    for row in 0..rows {
        let cluster = [0, 0, 0, 0, 1, 1, 2, 3][row % 8];
        let middle = [f64::from(cluster % 2) * 10.0, f64::from(cluster / 2) * 10.0, 1.0];
        for (column, middle) in columns.iter_mut().zip(middle) {
            column.push((middle + random.unit() - 0.5) as f32);
        }
    }
    FeatureMatrix::new(rows, columns).unwrap()
}

fn fit(features: &FeatureMatrix, clusters: Option<u32>, parameters: &Value, threads: u32) -> Result<Fit, Error> {
    let labels = vec![0.0; features.rows()];
    let rows = Rows { features, described: &[], labels: &labels, shape: SHAPE, threads, seed: 5 };
    KMeans { clusters }.open(rows).unwrap().fit(parameters)
}

/// Inertia and simplified silhouette of the rows.
fn metrics(features: &FeatureMatrix, fit: &Fit) -> (f64, f64) {
    let (mut scores, mut sums) = (Vec::new(), Performance::empty(SHAPE));
    fit.model.predict(features, &mut scores).unwrap();
    scores.chunks_exact(3).for_each(|score| sums.add(score, 0.0, 1));
    let found = sums.metrics();
    (found["inertia"].value, found["silhouette_simplified"].value)
}

#[test]
fn the_clusters_are_found_and_numbered_by_size() {
    let features = data(800);
    let fit = fit(&features, None, &json!({ "clusters": 4, "starts": 3 }), 1).unwrap();
    let mut scores = Vec::new();
    fit.model.predict(&features, &mut scores).unwrap();
    let clusters: Vec<f64> = scores.chunks_exact(3).map(|score| score[0]).collect();
    let size = |cluster: f64| clusters.iter().filter(|found| **found == cluster).count();
    assert_eq!([size(0.0), size(1.0), size(2.0), size(3.0)], [400, 200, 100, 100]);
    // Uniform in a cube of side 1: 3 / 12. linfa counts the last centroid as one more row.
    let (inertia, silhouette) = metrics(&features, &fit);
    assert!((inertia - 0.25).abs() < 0.01 && silhouette > 0.94, "{inertia} {silhouette}");
    // 10² p (1 − p) with a third, and a quarter, of the rows at ten; nothing between clusters in the last.
    let [first, second, third] = fit.importance[..] else { panic!("{:?}", fit.importance) };
    assert!((first - 100.0 * 0.375 * 0.625).abs() < 1.0 && (second - 100.0 * 0.25 * 0.75).abs() < 1.0);
    assert!((0.0..0.01).contains(&third), "{third}");
}

#[test]
fn the_least_loss_says_how_many_there_are() {
    let features = data(800);
    let loss = |clusters: u32| {
        let fit = fit(&features, None, &json!({ "clusters": clusters, "starts": 3 }), 1).unwrap();
        1.0 - metrics(&features, &fit).1
    };
    let least = TRIED.into_iter().min_by(|a, b| loss(*a).total_cmp(&loss(*b)));
    assert_eq!(least, Some(4));
}

#[test]
fn threads_and_repeats_do_not_show() {
    let features = data(2_000);
    let bytes =
        |threads| fit(&features, None, &json!({ "clusters": 6, "starts": 2 }), threads).unwrap().model.to_bytes();
    let once = bytes(1);
    assert_eq!(once, bytes(1));
    assert_eq!(once, bytes(4));
    assert!(matches!(Model::from_bytes(&once), Ok(Model::Centroids(model)) if model.count() == 6));
}

#[test]
fn what_cannot_be_is_refused() {
    let few = FeatureMatrix::new(60, vec![(0..60).map(|row| (row % 3) as f32).collect()]).unwrap();
    for (clusters, parameters, expected) in [
        (None, json!({ "clusters": 4, "starts": 3 }), "fewer than 4 distinct rows"),
        (None, json!({ "clusters": 1, "starts": 3 }), "expected 2 to 256"),
        (None, json!({ "clusters": 3, "starts": 0 }), "1 to 100"),
        (None, json!({ "clusters": 3 }), "starts"),
        (Some(3), json!({ "clusters": 2, "starts": 3 }), "2 clusters, but Some(3) are asked for"),
    ] {
        let error = fit(&few, clusters, &parameters, 1).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let three = fit(&few, Some(3), &KMeans { clusters: Some(3) }.defaults()[0], 1).unwrap();
    assert!(metrics(&few, &three).0 < 1e-3);
}
