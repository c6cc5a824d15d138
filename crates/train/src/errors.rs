//! Child models of a regression's errors: what it is to expect of itself before labels come.
//!
//! A child learns |e|, another e², from features and prediction (DLE, as in NannyML 0.13.1); the means
//! of what they say of new rows estimate MAE and MSE while the relation of features and label stays.
//! They learn from predictions for rows that the predicting model had not seen, which are those of
//! models of half of the rows: worse ones than the model that will serve. By how much, the newest fold
//! tells, where both were measured on the same rows.

use crate::boosting::GradientBoosting;
use crate::data_set::DataSet;
use crate::evaluate;
use crate::trainer::{Rows, Trainer};
use crate::trials::Prepared;
use crate::{Error, Spec};
use bundle::ErrorModels;
use domain::{Slices, Task, Version};
use measure::estimate::{ChildSums, Forecast, GapReference, SliceGap};
use models::Model;
use prepare::Feature;
use serde_json::json;
use std::ops::Range;

/// Rows a child is fitted on, at most, evenly spread: noise is what it must not learn.
const ROWS_MAX: usize = 50_000;
/// Fewer rows tell nothing about errors.
const ROWS_MIN: usize = 500;
/// A fold of the two models may differ by so much; beyond it, it tells of the fold.
const SHARPER_MAX: f64 = 4.0;

/// Predictions of all rows by models that had not seen them, and of the newest fold's rows by the
/// chosen parameters fitted without them.
pub(crate) struct Predicted<'a> {
    pub(crate) out_of_fold: &'a [f64],
    pub(crate) fold: Range<usize>,
    pub(crate) chosen: &'a [f64],
    /// The error that counts as 1.
    pub(crate) scale: f64,
}

/// Fits both children on the features of the final fit. `None` for classes and for too few rows.
pub(crate) fn fit(
    spec: &Spec,
    data: &DataSet,
    prepared: &Prepared,
    predicted: &Predicted<'_>,
) -> Result<Option<ErrorModels>, Error> {
    let rows = prepared.rows(spec, spec.threads);
    // The final fit may have looked at the newest rows only.
    let first = data.len().saturating_sub(prepared.len());
    let own = predicted.out_of_fold.get(first..).unwrap_or_default();
    if spec.task != Task::Regression || own.len() != rows.labels.len() || own.len() < ROWS_MIN {
        return Ok(None);
    }
    let step = own.len().div_ceil(ROWS_MAX).max(1);
    let places: Vec<usize> = (0..own.len()).step_by(step).collect();
    let at = |values: &[f64]| -> Vec<f64> { places.iter().filter_map(|&place| values.get(place).copied()).collect() };
    let (predictions, labels) = (at(own), at(rows.labels));
    #[allow(clippy::cast_possible_truncation)]
    let column = predictions.iter().map(|prediction| *prediction as f32).collect();
    let Some(features) = rows.features.take(&places).with(column) else { return Ok(None) };
    let mut described = rows.described.to_vec();
    described.push(Feature { name: "prediction".to_owned(), source: "prediction".to_owned(), categories: None });
    let fold_labels = data.labels.get(predicted.fold.clone()).unwrap_or_default();
    let dull = predicted.out_of_fold.get(predicted.fold.clone()).unwrap_or_default();
    let child = |power: i32| -> Result<Model, Error> {
        let share = sharper(power, predicted.chosen, dull, fold_labels);
        let targets: Vec<f64> =
            predictions.iter().zip(&labels).map(|(p, y)| (p - y).abs().powi(power) * share).collect();
        let rows = Rows { features: &features, described: &described, labels: &targets, ..rows };
        let parameters = json!({"trees": 100, "num_leaves": 15, "learning_rate": 0.1, "min_data_in_leaf": 100});
        Ok(GradientBoosting.open(rows)?.fit(&parameters)?.model)
    };
    let mut errors = ErrorModels { absolute: child(1)?, squared: child(2)?, gap: None };
    errors.gap = gap(spec, data, &errors, first, &rows, predicted)?;
    Ok(Some(errors))
}

/// What the children miss on the newest fold, by test slices. They have learnt from these rows, so its
/// mean is near zero by construction; its spread from slice to slice is what matters.
fn gap(
    spec: &Spec,
    data: &DataSet,
    errors: &ErrorModels,
    first: usize,
    rows: &Rows<'_>,
    predicted: &Predicted<'_>,
) -> Result<Option<GapReference>, Error> {
    let fold = predicted.fold.clone();
    let (Some(labels), Some(times)) = (data.labels.get(fold.clone()), data.times_ms.get(fold.clone())) else {
        return Ok(None);
    };
    if fold.start < first || predicted.chosen.len() != labels.len() {
        return Ok(None);
    }
    let features = rows.features.take(&(fold.start - first..fold.end - first).collect::<Vec<_>>());
    let expected = errors.predict(&Version::new("new"), features, predicted.chosen)?;
    let slices: Vec<SliceGap> = evaluate::test_slices(times, Slices::of(spec.slice_ms))
        .into_iter()
        .filter_map(|group| {
            let pairs = predicted.chosen.get(group.clone())?.iter().zip(labels.get(group.clone())?);
            let realised = pairs.map(|(prediction, label)| (prediction - label).abs()).sum();
            let mut sums = ChildSums::default();
            expected.get(group)?.iter().for_each(|[a, s]| sums.add(*a, Some(*s), 1));
            SliceGap::of(realised, sums.rows(), &Forecast::Errors(sums), predicted.scale)
        })
        .collect();
    Ok(GapReference::of(&slices, predicted.scale))
}

/// Mean |e|^power of the chosen predictions as a share of that of the others, on the same rows.
fn sharper(power: i32, chosen: &[f64], dull: &[f64], labels: &[f64]) -> f64 {
    let sum = |predictions: &[f64]| -> f64 {
        predictions.iter().zip(labels).map(|(prediction, label)| (prediction - label).abs().powi(power)).sum()
    };
    let share = sum(chosen) / sum(dull);
    let is_known = chosen.len() == dull.len() && share.is_finite();
    if is_known { share.clamp(1.0 / SHARPER_MAX, SHARPER_MAX) } else { 1.0 }
}
