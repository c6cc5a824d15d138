//! Principal axes of the training rows, for `profile::reconstruction`.

use crate::Error;
use crate::data_set::take_rows;
use crate::spec::COLUMNS_TOGETHER_MAX;
use arrow::array::RecordBatch;
use linfa_linalg::eigh::EighInto;
use ndarray::Array2;
use profile::Encoded;
use profile::Reconstruction;

/// Axes are kept until they hold more than this share of the variance (NannyML's default).
const VARIANCE_KEPT: f64 = 0.65;
/// Rows the axes are fitted on, at most, evenly spread.
const ROWS_MAX: usize = 200_000;

/// Fits the axes. `None` where fewer than two columns vary.
pub(crate) fn fit(rows: &RecordBatch) -> Result<Option<Reconstruction>, Error> {
    let step = rows.num_rows().div_ceil(ROWS_MAX).max(1);
    let places: Vec<u32> = (0..rows.num_rows()).step_by(step).filter_map(|row| u32::try_from(row).ok()).collect();
    let taken = take_rows(rows, &places)?;
    let mut columns = Vec::new();
    for field in taken.schema().fields() {
        columns.extend(Encoded::of(field.name(), &taken)?);
    }
    columns.truncate(COLUMNS_TOGETHER_MAX);
    if columns.len() < 2 {
        return Ok(None);
    }
    let axes = axes(covariance(&taken, &columns)?)?;
    let found = Reconstruction { columns, axes };
    Ok(found.is_sound().then_some(found))
}

/// Of the standardised columns, whose means are 0.
#[allow(clippy::cast_precision_loss)]
fn covariance(rows: &RecordBatch, columns: &[Encoded]) -> Result<Array2<f64>, Error> {
    let scaled: Vec<Vec<f64>> = columns.iter().map(|column| column.scaled(rows)).collect::<Result<_, _>>()?;
    let count = rows.num_rows().max(1) as f64;
    let product = |a: usize, b: usize| -> f64 {
        let pairs = scaled.get(a).into_iter().flatten().zip(scaled.get(b).into_iter().flatten());
        pairs.map(|(x, y)| x * y).sum::<f64>() / count
    };
    let mut matrix = Array2::zeros((columns.len(), columns.len()));
    for a in 0..columns.len() {
        for b in 0..=a {
            let value = product(a, b);
            matrix[(a, b)] = value;
            matrix[(b, a)] = value;
        }
    }
    Ok(matrix)
}

/// Those of the largest variances; none where nothing varies.
fn axes(covariance: Array2<f64>) -> Result<Vec<Vec<f64>>, Error> {
    let columns = covariance.nrows().max(1);
    let fault = |e: linfa_linalg::LinalgError| Error::Trainer { family: "reconstruction", detail: e.to_string() };
    let (variances, vectors) = covariance.eigh_into().map_err(fault)?;
    let mut ranked: Vec<(f64, Vec<f64>)> =
        variances.iter().zip(vectors.columns()).map(|(variance, axis)| (*variance, axis.to_vec())).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let total: f64 = ranked.iter().map(|(variance, _)| variance).sum();
    let mut kept = 0.0;
    let mut axes = Vec::new();
    // As many axes as columns would leave nothing over.
    for (variance, axis) in ranked.into_iter().take(columns - 1) {
        if kept > VARIANCE_KEPT * total || variance <= 0.0 {
            break;
        }
        kept += variance;
        axes.push(axis);
    }
    Ok(axes)
}

#[cfg(test)]
#[path = "reconstruction_tests.rs"]
mod tests;
