//! Counts of the bins of every column: merged and subtracted exactly.

use crate::BINS_MAX;
use crate::error::Error;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Counts per column and bin. They do not know their layout: what is merged must have been
/// counted with the same one.
///
/// Dense in memory; serialised as pairs (bins skipped, count) of the bins that are not zero, so
/// that a pane of few rows is a few bytes, and equal counts are equal bytes.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    rows: u64,
    columns: Vec<Vec<u64>>,
}

/// The serialised form of [`Counts`]: trailing columns without counts are left out.
#[derive(Serialize, Deserialize)]
struct Sparse {
    rows: u64,
    columns: Vec<Vec<(u32, u64)>>,
}

/// Largest number of bins a column can have: numeric bins plus under, over and missing.
const BIN_LIMIT: usize = BINS_MAX + 8;

impl Counts {
    /// Number of rows counted; each is in one bin of every column.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0 && self.columns.iter().all(|bins| bins.iter().all(|count| *count == 0))
    }

    /// Counts of one column, as many as its layout has bins.
    #[must_use]
    pub fn column(&self, column: usize, bin_count: usize) -> Vec<u64> {
        let mut bins: Vec<u64> = self.columns.get(column).cloned().unwrap_or_default();
        bins.resize(bin_count.min(BIN_LIMIT), 0);
        bins
    }

    /// Adds the other's counts.
    pub fn merge(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        for (number, theirs) in other.columns.iter().enumerate() {
            let ours = self.bins_mut(number, theirs.len());
            for (count, more) in ours.iter_mut().zip(theirs) {
                *count = count.saturating_add(*more);
            }
        }
    }

    /// Takes the other's counts away: the exact inverse of [`Counts::merge`].
    ///
    /// # Errors
    /// Some count would become negative; nothing is changed then.
    pub fn subtract(&mut self, other: &Self) -> Result<(), Error> {
        self.refuse_negative(other)?;
        self.rows -= other.rows;
        for (ours, theirs) in self.columns.iter_mut().zip(&other.columns) {
            for (count, less) in ours.iter_mut().zip(theirs) {
                *count -= less;
            }
        }
        Ok(())
    }

    fn refuse_negative(&self, other: &Self) -> Result<(), Error> {
        let refused = |column, bin, count, subtracted| Err(Error::Negative { column, bin, count, subtracted });
        if other.rows > self.rows {
            return refused(None, None, self.rows, other.rows);
        }
        for (number, theirs) in other.columns.iter().enumerate() {
            let ours = self.columns.get(number);
            for (bin, less) in theirs.iter().enumerate() {
                let count = ours.and_then(|bins| bins.get(bin)).copied().unwrap_or(0);
                if *less > count {
                    return refused(Some(number), Some(bin), count, *less);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn add_rows(&mut self, rows: u64) {
        self.rows = self.rows.saturating_add(rows);
    }

    /// The bins of a column, at least so many.
    pub(crate) fn bins_mut(&mut self, column: usize, bin_count: usize) -> &mut [u64] {
        if self.columns.len() <= column {
            self.columns.resize_with(column + 1, Vec::new);
        }
        let bins = &mut self.columns[column];
        if bins.len() < bin_count {
            bins.resize(bin_count, 0);
        }
        bins
    }

    /// Counts read from a reference; the caller has checked the lengths.
    pub(crate) fn from_parts(rows: u64, columns: Vec<Vec<u64>>) -> Self {
        Self { rows, columns }
    }

    fn sparse(&self) -> Sparse {
        let mut columns: Vec<Vec<(u32, u64)>> = self
            .columns
            .iter()
            .map(|bins| {
                let mut skipped = 0;
                let mut pairs = Vec::new();
                for count in bins {
                    if *count == 0 {
                        skipped += 1;
                    } else {
                        pairs.push((skipped, *count));
                        skipped = 0;
                    }
                }
                pairs
            })
            .collect();
        while columns.last().is_some_and(Vec::is_empty) {
            columns.pop();
        }
        Sparse { rows: self.rows, columns }
    }
}

impl PartialEq for Counts {
    /// Bins beyond the end of the shorter column are zero.
    fn eq(&self, other: &Self) -> bool {
        fn same(a: &[u64], b: &[u64]) -> bool {
            let shared = a.len().min(b.len());
            a[..shared] == b[..shared] && a[shared..].iter().chain(&b[shared..]).all(|count| *count == 0)
        }
        let columns = self.columns.len().max(other.columns.len());
        self.rows == other.rows
            && (0..columns).all(|i| {
                let ours = self.columns.get(i).map_or(&[][..], Vec::as_slice);
                let theirs = other.columns.get(i).map_or(&[][..], Vec::as_slice);
                same(ours, theirs)
            })
    }
}

impl Eq for Counts {}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.sparse().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sparse = Sparse::deserialize(deserializer)?;
        let mut columns = Vec::with_capacity(sparse.columns.len());
        for pairs in sparse.columns {
            let mut bins = Vec::new();
            for (skipped, count) in pairs {
                let bin = bins.len() + skipped as usize;
                if bin >= BIN_LIMIT {
                    return Err(D::Error::custom(format!("bin {bin} of a profile, expected less than {BIN_LIMIT}")));
                }
                bins.resize(bin, 0);
                bins.push(count);
            }
            columns.push(bins);
        }
        Ok(Self { rows: sparse.rows, columns })
    }
}

#[cfg(test)]
#[path = "counts_tests.rs"]
mod tests;
