//! The bins of every column.

use crate::error::Error;
use crate::lookup::Lookup;
use crate::{BINS_MAX, CATEGORIES_MAX, edges};
use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};

/// How the columns of a batch are binned. Fixed when a bundle is made; every pane of a version
/// counts in the bins of its reference.
///
/// Made with [`Layout::new`] or [`Layout::from_rows`], which also build the lookup tables of the
/// categories; `columns` is to be read, not changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Columns", into = "Columns")]
pub struct Layout {
    /// The columns, in the order of the counts.
    pub columns: Vec<ColumnLayout>,
    /// One per column; derived from `columns`.
    pub(crate) lookups: Vec<Lookup>,
}

/// The serialised form of a [`Layout`].
#[derive(Serialize, Deserialize)]
struct Columns {
    columns: Vec<ColumnLayout>,
}

impl From<Columns> for Layout {
    fn from(wire: Columns) -> Self {
        Self::new(wire.columns)
    }
}

impl From<Layout> for Columns {
    fn from(layout: Layout) -> Self {
        Self { columns: layout.columns }
    }
}

/// The bins of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnLayout {
    /// Column name.
    pub name: String,
    /// Its bins.
    pub bins: Bins,
}

/// Bins of a column; the last one is always *missing* (null or NaN).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Bins {
    /// With edges e_0 ≤ … ≤ e_{k-1}: bin 0 is *under* (x < e_0), bin i holds e_{i-1} ≤ x < e_i (the
    /// last of them also its upper edge), bin k is *over* (x > e_{k-1}), bin k+1 *missing*.
    /// Booleans are 0 and 1, timestamps epoch milliseconds.
    Numeric {
        /// The edges, ascending; empty if the reference had no finite value.
        edges: Vec<f64>,
    },
    /// Bin i holds value i, then *other*, then *missing*.
    Category {
        /// The values by falling frequency in the reference, ties by value.
        values: Vec<String>,
    },
}

impl Bins {
    /// Number of bins, with under, over, other and missing.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Numeric { edges } => edges.len() + 2,
            Self::Category { values } => values.len() + 2,
        }
    }
}

impl Layout {
    /// A layout of the given columns.
    #[must_use]
    pub fn new(columns: Vec<ColumnLayout>) -> Self {
        let lookups = columns
            .iter()
            .map(|column| match &column.bins {
                Bins::Category { values } => Lookup::new(values),
                Bins::Numeric { .. } => Lookup::default(),
            })
            .collect();
        Self { columns, lookups }
    }

    /// Takes bins from reference rows: of every column of the batch, which may be numeric,
    /// boolean, text or a timestamp. A numeric column with at most `bins_max` distinct values has
    /// a bin for each, another one at most `bins_max` quantile bins (1 to [`BINS_MAX`]).
    ///
    /// # Errors
    /// A column has another type.
    pub fn from_rows(rows: &RecordBatch, bins_max: usize) -> Result<Self, Error> {
        let bins_max = bins_max.clamp(1, BINS_MAX);
        let mut columns = Vec::with_capacity(rows.num_columns());
        for (field, array) in rows.schema_ref().fields().iter().zip(rows.columns()) {
            let bins = edges::bins_of(field.name(), array, bins_max, CATEGORIES_MAX)?;
            columns.push(ColumnLayout { name: field.name().clone(), bins });
        }
        Ok(Self::new(columns))
    }

    /// Number of bins of a column; 0 if there is no such column.
    #[must_use]
    pub fn bin_count(&self, column: usize) -> usize {
        self.columns.get(column).map_or(0, |c| c.bins.count())
    }

    /// Number of a column; `None` if it is not profiled.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// Values of a category column that have a bin of their own: the vocabulary of a segment.
    #[must_use]
    pub fn values(&self, name: &str) -> Option<&[String]> {
        match &self.columns.get(self.position(name)?)?.bins {
            Bins::Category { values } => Some(values),
            Bins::Numeric { .. } => None,
        }
    }
}
