//! A column of any kind as a standardised number per row, for what looks at columns together.
//!
//! As in NannyML 0.13.1 (`DataReconstructionDriftCalculator`): numbers as they are, values of a category
//! as their share of the reference rows, what is missing as the mean or the most frequent value, all
//! standardised. Times are left out: they never stay.

use crate::error::Error;
use crate::observe::{Column, column_of};
use arrow::array::{Array, RecordBatch, StringArray};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

    /// Whether every number is one, and can have been measured.
    pub(crate) fn is_sound(&self) -> bool {
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
