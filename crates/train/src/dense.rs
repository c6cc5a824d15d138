//! Prepared features as the arrays linfa takes.

use crate::Error;
use crate::trainer::{Fit, Rows};
use domain::FeatureMatrix;
use models::{Linear, Link, Model};
use ndarray::Array2;

/// Row-major copy in 64 bits.
pub(crate) fn matrix(family: &'static str, features: &FeatureMatrix) -> Result<Array2<f64>, Error> {
    let (rows, columns) = (features.rows(), features.columns().len());
    let mut flat = vec![0.0; rows * columns];
    for (place, column) in features.columns().iter().enumerate() {
        let slots = flat.iter_mut().skip(place).step_by(columns.max(1));
        for (slot, &value) in slots.zip(column) {
            *slot = f64::from(value);
        }
    }
    Array2::from_shape_vec((rows, columns), flat).map_err(|e| Error::Trainer { family, detail: e.to_string() })
}

/// Puts a linear model together, with |weight| × standard deviation as importance.
pub(crate) fn lowered(rows: &Rows<'_>, link: Link, weights: Vec<Vec<f64>>, intercepts: Vec<f64>) -> Result<Fit, Error> {
    let spread: Vec<f64> = rows.features.columns().iter().map(|c| standard_deviation(c)).collect();
    let mut importance = vec![0.0; spread.len()];
    for output in &weights {
        for ((total, weight), spread) in importance.iter_mut().zip(output).zip(&spread) {
            *total += weight.abs() * spread;
        }
    }
    Ok(Fit { model: Model::Linear(Linear::new(link, weights, intercepts)?), importance })
}

#[allow(clippy::cast_precision_loss)]
fn standard_deviation(column: &[f32]) -> f64 {
    let rows = column.len().max(1) as f64;
    let mean = column.iter().map(|&x| f64::from(x)).sum::<f64>() / rows;
    let squares: f64 = column.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
    (squares / rows).sqrt()
}
