//! Losses on a fold and what they are worth.

use crate::Spec;
use crate::data_set::DataSet;
use domain::{HarmReference, Slices, Task};
use measure::estimate::{Forecast, GapReference, SliceGap};
use measure::{Calibration, Expected, Performance, Shape};
use std::ops::Range;

/// Rows below which slices are merged into one test slice.
const TEST_SLICE_ROWS: usize = 50;

/// Losses row by row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Losses {
    /// What candidates are ranked by: log loss, squared error, or without labels the loss of the harm tests.
    pub(crate) rank: Vec<f64>,
    /// The loss of the harm tests, in [0, 1]: see [`HarmReference`].
    pub(crate) harm: Vec<f64>,
}

/// Losses of row-major scores.
pub(crate) fn losses(shape: Shape, scores: &[f64], labels: &[f64], scale: f64) -> Losses {
    let outputs = shape.outputs();
    let mut out = Losses::default();
    for (score, &label) in scores.chunks_exact(outputs).zip(labels) {
        out.rank.push(rank_loss(shape, score, label));
        out.harm.push(measure::loss(shape, score, label, scale));
    }
    out
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn rank_loss(shape: Shape, score: &[f64], label: f64) -> f64 {
    let first = score.first().copied().unwrap_or(f64::NAN);
    let likelihood = match shape.task {
        Task::Regression => return (first - label) * (first - label),
        Task::Anomaly | Task::Clustering => return measure::loss(shape, score, label, 1.0),
        Task::BinaryClassification if label >= 0.5 => first,
        Task::BinaryClassification => 1.0 - first,
        Task::MulticlassClassification => score.get(label.max(0.0) as usize).copied().unwrap_or(f64::NAN),
    };
    // Not `clamp`, which would keep NaN.
    #[allow(clippy::manual_clamp)]
    let bounded = likelihood.max(measure::loss::PROBABILITY_MIN).min(1.0);
    -libm::log(bounded)
}

/// What always predicting the training labels' rates (or mean) would score on `rows` rows.
pub(crate) fn constant(rates: &[f64], shape: Shape, rows: usize) -> Vec<f64> {
    let row = if shape.task == Task::BinaryClassification { rates.get(1..2).unwrap_or_default() } else { rates };
    row.iter().copied().cycle().take(row.len() * rows).collect()
}

/// Class rates in class order, or the mean of numbers; a 0 without labels.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn rates(shape: Shape, labels: impl Iterator<Item = f64>) -> Vec<f64> {
    if !shape.task.has_labels() {
        return vec![0.0];
    }
    let mut sums = vec![0.0; if shape.task == Task::Regression { 1 } else { shape.classes.max(2) }];
    let mut rows = 0_usize;
    for label in labels {
        rows += 1;
        let place = if shape.task == Task::Regression { 0 } else { label.max(0.0) as usize };
        if let Some(sum) = sums.get_mut(place) {
            *sum += if shape.task == Task::Regression { label } else { 1.0 };
        }
    }
    sums.iter().map(|sum| sum / rows.max(1) as f64).collect()
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let middle = mean(values);
    values.iter().map(|v| (v - middle) * (v - middle)).sum::<f64>() / (values.len() - 1) as f64
}

/// Test slices of a fold as ranges of its rows: whole slices, merged until each has rows enough.
pub(crate) fn test_slices(times_ms: &[i64], slices: Slices) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut begin = 0;
    for row in 1..=times_ms.len() {
        let ends = match (times_ms.get(row - 1), times_ms.get(row)) {
            (Some(&a), Some(&b)) => slices.start(a) != slices.start(b),
            _ => true,
        };
        if ends && row - begin >= TEST_SLICE_ROWS {
            out.push(begin..row);
            begin = row;
        }
    }
    match out.last_mut() {
        Some(last) => last.end = times_ms.len(),
        None if !times_ms.is_empty() => out.push(0..times_ms.len()),
        None => {}
    }
    out
}

/// Means over test slices.
pub(crate) fn slice_means(values: &[f64], groups: &[Range<usize>]) -> Vec<f64> {
    groups.iter().filter_map(|group| values.get(group.clone())).map(mean).collect()
}

/// Standard error of a mean from the spread between test slices; never less than that of
/// independent rows, which is all there is with one slice.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn standard_error(values: &[f64], groups: &[Range<usize>]) -> f64 {
    let between = (variance(&slice_means(values, groups)) / groups.len().max(1) as f64).sqrt();
    let rows = (variance(values) / values.len().max(1) as f64).sqrt();
    between.max(rows)
}

/// Losses of the prior-rate model: each test slice is predicted with the rates of the newest
/// n0 / 20 labels known before it. Without labels there is no such model, and its loss is 0: what is watched is
/// then the loss itself.
pub(crate) fn prior_losses(
    spec: &Spec,
    data: &DataSet,
    test: &Range<usize>,
    groups: &[Range<usize>],
    scale: f64,
) -> Vec<f64> {
    let shape = spec.shape();
    if !spec.task.has_labels() {
        return vec![0.0; test.len()];
    }
    let first = spec.first_rows.and_then(|n| usize::try_from(n).ok()).unwrap_or(data.len());
    let window = (first / 20).max(1);
    let mut out = Vec::with_capacity(test.len());
    for group in groups {
        let rows = test.start + group.start..test.start + group.end;
        let begin = data.times_ms.get(rows.start).copied().unwrap_or(i64::MIN);
        let earlier = (0..rows.start).rev().filter(|&row| data.label_times_ms.get(row).is_some_and(|&t| t <= begin));
        let known = earlier.take(window).filter_map(|row| data.labels.get(row).copied());
        let prior = rates(shape, known);
        let scores = constant(&prior, shape, rows.len());
        let labels = data.labels.get(rows).unwrap_or_default();
        out.extend(losses(shape, &scores, labels, scale).harm);
    }
    out
}

/// The reference that later losses are compared with.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn harm_reference(own: &[f64], prior: &[f64], groups: &[Range<usize>], scale: f64) -> HarmReference {
    let (mean_own, prior_mean) = (mean(own), mean(prior));
    let rho = if prior_mean > 0.0 { mean_own / prior_mean } else { 0.0 };
    let pairs = slice_means(own, groups).into_iter().zip(slice_means(prior, groups));
    let relative: Vec<f64> = pairs.map(|(x, p)| x - rho * p).collect();
    let rows: Vec<f64> = own.iter().zip(prior).map(|(x, p)| x - rho * p).collect();
    // One slice has no spread: what independent rows of its size would have.
    let per_slice = own.len().max(1) as f64 / groups.len().max(1) as f64;
    let variance_slices = if relative.len() < 2 { variance(&rows) / per_slice } else { variance(&relative) };
    HarmReference {
        rows: own.len() as u64,
        mean: mean_own,
        standard_error: standard_error(own, groups),
        variance_rows: variance(own),
        variance_slices,
        prior_mean,
        relative_standard_error: (variance_slices / groups.len().max(1) as f64).sqrt(),
        scale,
    }
}

/// The reference of a detector of which this share of rows is to be anomalies: a fold that happened to have
/// fewer, or none, must not make the rate that was asked for an alarm. Spreads are at least those of
/// independent rows at that rate.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn of_anomalies(found: HarmReference, share: f64, groups: usize) -> HarmReference {
    let (rows, groups) = (found.rows.max(1) as f64, groups.max(1) as f64);
    let mean = found.mean.max(share);
    let variance_rows = found.variance_rows.max(mean * (1.0 - mean));
    let variance_slices = found.variance_slices.max(variance_rows * groups / rows);
    HarmReference {
        mean,
        variance_rows,
        variance_slices,
        standard_error: found.standard_error.max((variance_rows / rows).sqrt()),
        relative_standard_error: found.relative_standard_error.max((variance_slices / groups).sqrt()),
        ..found
    }
}

/// Sums of all rows.
pub(crate) fn performance(shape: Shape, scores: &[f64], labels: &[f64]) -> Performance {
    let mut sums = Performance::empty(shape);
    for (score, &label) in scores.chunks_exact(shape.outputs()).zip(labels) {
        sums.add(score, label, 1);
    }
    sums
}

/// What the scores of rows that the model had not seen are worth, in the order of time; `None` for
/// numbers, and where no map can be fitted. The gap is that of the very rows the map was fitted on, so
/// its mean is near zero by construction; its spread from slice to slice is what matters.
pub(crate) fn calibrated(
    shape: Shape,
    scores: &[f64],
    labels: &[f64],
    groups: &[Range<usize>],
) -> Option<bundle::Calibrated> {
    let calibration = Calibration::fit(shape, scores, labels).ok()?;
    let width = shape.outputs();
    let mut probabilities = Vec::new();
    let slices: Vec<SliceGap> = groups
        .iter()
        .filter_map(|group| {
            let (mut expected, mut wrong, mut rows) = (Expected::new(shape.classes), 0.0, 0_i64);
            let scores = scores.get(group.start * width..group.end * width)?;
            for (score, label) in scores.chunks_exact(width).zip(labels.get(group.clone())?) {
                let predicted = measure::predicted_class(shape.task, score);
                calibration.apply(score, &mut probabilities);
                expected.add(score, predicted, &probabilities, 1);
                wrong += f64::from(u8::from(predicted != class(*label)));
                rows += 1;
            }
            SliceGap::of(wrong, rows, &Forecast::Classes(expected), 1.0)
        })
        .collect();
    Some(bundle::Calibrated { calibration, gap: GapReference::of(&slices, 1.0) })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn class(label: f64) -> usize {
    // `as` saturates and maps NaN to 0.
    label.max(0.0) as usize
}

/// Expected calibration error of the positive class (of the most probable one with several):
/// 15 equal bins of the probability, mean |rate − mean probability| by rows. None but for classes.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn calibration_error(shape: Shape, scores: &[f64], labels: &[f64]) -> Option<f64> {
    const BINS: usize = 15;
    let mut bins = [(0.0, 0.0, 0.0); BINS];
    for (score, &label) in scores.chunks_exact(shape.outputs()).zip(labels) {
        let (probability, hit) = match shape.task {
            Task::Regression | Task::Anomaly | Task::Clustering => return None,
            Task::BinaryClassification => (score.first().copied()?, label),
            Task::MulticlassClassification => {
                let top = score.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
                (*top.1, f64::from(u8::from(top.0 == label.max(0.0) as usize)))
            }
        };
        let bin = bins.get_mut(((probability * BINS as f64) as usize).min(BINS - 1))?;
        *bin = (bin.0 + 1.0, bin.1 + probability, bin.2 + hit);
    }
    let rows: f64 = bins.iter().map(|b| b.0).sum();
    (rows > 0.0).then(|| bins.iter().map(|b| (b.1 - b.2).abs()).sum::<f64>() / rows)
}

#[cfg(test)]
mod tests {
    use super::{harm_reference, of_anomalies};

    #[test]
    fn a_fold_without_anomalies_expects_those_that_were_asked_for() {
        let groups: Vec<std::ops::Range<usize>> = (0..10).map(|g| g * 100..(g + 1) * 100).collect();
        let reference = |alerts: usize| {
            let losses: Vec<f64> = (0..1_000).map(|row| f64::from(u8::from(row % 50 < alerts))).collect();
            of_anomalies(harm_reference(&losses, &[0.0; 1_000], &groups, 1.0), 0.01, groups.len())
        };
        let none = reference(0);
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
        // 0.01 × 0.99 by rows, a hundredth of it by slices of a hundred.
        close(none.mean, 0.01);
        close(none.variance_rows, 0.0099);
        close(none.variance_slices, 0.000_099);
        close(none.standard_error, 0.0099_f64.sqrt() / 1_000.0_f64.sqrt());
        close(none.relative_standard_error, none.standard_error);
        // More than were asked for are what they are.
        close(reference(5).mean, 0.1);
    }
}
