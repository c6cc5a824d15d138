//! How well a row fits what the columns were like together: the error of rebuilding it from a few
//! principal axes of the reference.
//!
//! Columns may keep their histograms while their relation changes; then rows no longer lie near the
//! axes. The error is a number per row, profiled like any other column, so all that watches columns
//! watches it. As in NannyML 0.13.1 (`DataReconstructionDriftCalculator`).

use crate::encoded::Encoded;
use crate::error::Error;
use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};

/// Name of the errors' column in a layout.
pub const RECONSTRUCTION_ERROR: &str = "reconstruction_error";

/// Principal axes of the reference rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reconstruction {
    /// The columns, in the axes' order.
    pub columns: Vec<Encoded>,
    /// Orthonormal axes; each has a number per column.
    pub axes: Vec<Vec<f64>>,
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
