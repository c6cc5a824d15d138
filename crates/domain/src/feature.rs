//! The feature matrix: what `prepare` makes and `models` evaluates.

/// Features of a batch, column by column. NaN stands for a missing value.
///
/// Values are `f32`, the precision the trainers see, so that training and serving compare the
/// same numbers with the same thresholds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeatureMatrix {
    rows: usize,
    columns: Vec<Vec<f32>>,
}

impl FeatureMatrix {
    /// A matrix of the given columns, or `None` if one of them has not `rows` values.
    #[must_use]
    pub fn new(rows: usize, columns: Vec<Vec<f32>>) -> Option<Self> {
        columns.iter().all(|c| c.len() == rows).then_some(Self { rows, columns })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns, in the order of the preprocessor's feature names.
    #[must_use]
    pub fn columns(&self) -> &[Vec<f32>] {
        &self.columns
    }

    /// The same rows with one more column, the last; `None` if it has not one value per row.
    #[must_use]
    pub fn with(mut self, column: Vec<f32>) -> Option<Self> {
        (column.len() == self.rows).then(|| {
            self.columns.push(column);
            self
        })
    }

    /// The same columns restricted to the given rows, in that order. Rows out of range are
    /// skipped.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        let rows: Vec<usize> = rows.iter().copied().filter(|&r| r < self.rows).collect();
        let columns = self.columns.iter().map(|c| rows.iter().filter_map(|&r| c.get(r).copied()).collect()).collect();
        Self { rows: rows.len(), columns }
    }
}
