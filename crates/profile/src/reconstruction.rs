//! How well a row fits what the columns were like together: the error of rebuilding it from a few
//! principal axes of the reference.
//!
//! Columns may keep their histograms while their relation changes; then rows no longer lie near the
//! axes. The error is a number per row, profiled like any other column, so all that watches columns
//! watches it. As in NannyML 0.13.1 (`DataReconstructionDriftCalculator`): numbers as they are, values
//! of a category as their share of the reference rows, what is missing as the mean or the most
//! frequent value, all standardised. Times are left out: they never stay.

use crate::error::Error;
use crate::observe::{Column, column_of};
use arrow::array::{Array, RecordBatch, StringArray};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the errors' column in a layout.
pub const RECONSTRUCTION_ERROR: &str = "reconstruction_error";
/// A value further from the mean than so many standard deviations is taken to be there, so that the
/// error of a row is a finite number.
const DEVIATIONS_MAX: f64 = 1e6;

/// Most values of a category that have a share of their own: the most frequent ones.
const VALUES_MAX: usize = 1_024;

/// A column as a number per row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoded {
    /// Its name.
    pub name: String,
    /// Of a category: each value's share of the reference rows; others have 0. `None` of a number.
    pub shares: Option<BTreeMap<String, f64>>,
    /// What stands for a missing value, before scaling.
    pub fill: f64,
    /// Mean over the reference rows.
    pub mean: f64,
    /// Standard deviation over the reference rows; 1 where nothing varies.
    pub deviation: f64,
}

/// Principal axes of the reference rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reconstruction {
    /// The columns, in the axes' order.
    pub columns: Vec<Encoded>,
    /// Orthonormal axes; each has a number per column.
    pub axes: Vec<Vec<f64>>,
}

impl Encoded {
    /// Measures a column of the reference rows. `None` of a time, of a column without values and of one
    /// whose numbers are too large to have a mean.
    ///
    /// # Errors
    /// It is missing, or of a type that cannot be counted.
    pub fn of(name: &str, rows: &RecordBatch) -> Result<Option<Self>, Error> {
        let column = find(name, rows)?;
        let all = 0..rows.num_rows();
        let (shares, fill, values): (_, f64, Vec<f64>) = match &column {
            Column::Timestamp(_) => return Ok(None),
            Column::Text(texts) => {
                let Some((shares, fill)) = shares(texts) else { return Ok(None) };
                let share = |text: Option<&str>| text.map_or(fill, |t| shares.get(t).copied().unwrap_or(0.0));
                let values = texts.iter().map(share).collect();
                (Some(shares), fill, values)
            }
            column => {
                let present: Vec<f64> = all.clone().filter_map(|row| column.number(row)).collect();
                let fill = mean(&present);
                (None, fill, all.map(|row| column.number(row).unwrap_or(fill)).collect())
            }
        };
        let mean_of_all = mean(&values);
        let squares: Vec<f64> = values.iter().map(|value| (value - mean_of_all).powi(2)).collect();
        let spread = mean(&squares).sqrt();
        let deviation = if spread > 0.0 { spread } else { 1.0 };
        let found = Self { name: name.to_owned(), shares, fill, mean: mean_of_all, deviation };
        Ok(found.is_sound().then_some(found))
    }

    /// The column of every row, standardised.
    ///
    /// # Errors
    /// It is missing, or of a type that cannot be counted.
    pub fn scaled(&self, rows: &RecordBatch) -> Result<Vec<f64>, Error> {
        let column = find(&self.name, rows)?;
        let scale = |value: f64| ((value - self.mean) / self.deviation).clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX);
        let missing = scale(self.fill);
        Ok(match (&column, &self.shares) {
            (Column::Text(texts), Some(shares)) => {
                let share = |text| scale(shares.get(text).copied().unwrap_or(0.0));
                texts.iter().map(|text| text.map_or(missing, share)).collect()
            }
            (column, _) => (0..rows.num_rows()).map(|row| column.number(row).map_or(missing, scale)).collect(),
        })
    }

    fn is_sound(&self) -> bool {
        let shares = self.shares.iter().flat_map(BTreeMap::values);
        let numbers = [self.fill, self.mean, self.deviation];
        numbers.iter().all(|n| n.is_finite())
            && self.deviation > 0.0
            && shares.into_iter().all(|s| (0.0..=1.0).contains(s))
    }
}

fn find(name: &str, rows: &RecordBatch) -> Result<Column, Error> {
    let array = rows.column_by_name(name).ok_or_else(|| Error::ColumnMissing {
        name: name.to_owned(),
        found: rows.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", "),
    })?;
    column_of(name, array)
}

/// NaN without values.
#[allow(clippy::cast_precision_loss)]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Shares of the most frequent values, and that of the most frequent one, which stands for what is
/// missing and is counted with it; of equals the first by name.
#[allow(clippy::cast_precision_loss)]
fn shares(texts: &StringArray) -> Option<(BTreeMap<String, f64>, f64)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    texts.iter().flatten().for_each(|text| *counts.entry(text).or_default() += 1);
    let mut ranked: Vec<(&str, usize)> = counts.into_iter().collect();
    ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    ranked.truncate(VALUES_MAX);
    ranked.first_mut()?.1 += texts.null_count();
    let share = |count: usize| count as f64 / texts.len() as f64;
    let fill = share(ranked.first()?.1);
    Some((ranked.into_iter().map(|(value, count)| (value.to_owned(), share(count))).collect(), fill))
}

impl Reconstruction {
    /// Distance of every row from what the axes keep of it, in standard deviations: 0 for a row that
    /// lies on them.
    ///
    /// # Errors
    /// A column is missing, or of a type that cannot be counted.
    pub fn errors(&self, rows: &RecordBatch) -> Result<Vec<f64>, Error> {
        let count = rows.num_rows();
        let scaled: Vec<Vec<f64>> = self.columns.iter().map(|column| column.scaled(rows)).collect::<Result<_, _>>()?;
        // Column by column: each row's sums are made in the same order whatever batch it is in.
        let mut along = vec![vec![0.0; count]; self.axes.len()];
        for (axis, along) in self.axes.iter().zip(&mut along) {
            for (weight, values) in axis.iter().zip(&scaled) {
                along.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
            }
        }
        let mut squares = vec![0.0; count];
        for (place, values) in scaled.into_iter().enumerate() {
            let mut rest = values;
            for (axis, along) in self.axes.iter().zip(&along) {
                let weight = axis.get(place).copied().unwrap_or(0.0);
                rest.iter_mut().zip(along).for_each(|(rest, along)| *rest -= weight * along);
            }
            squares.iter_mut().zip(&rest).for_each(|(sum, rest)| *sum += rest * rest);
        }
        Ok(squares.into_iter().map(f64::sqrt).collect())
    }

    /// Whether every number is one, and every axis has one per column.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let fits = |axis: &Vec<f64>| axis.len() == self.columns.len() && axis.iter().all(|n| n.is_finite());
        !self.axes.is_empty() && self.axes.iter().all(fits) && self.columns.iter().all(Encoded::is_sound)
    }
}
