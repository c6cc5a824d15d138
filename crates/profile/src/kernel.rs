//! Where rows lie among all columns at once: mean vectors of a kernel, which add up like counts.
//!
//! The kernel distance of two samples needs all pairs of rows. Random Fourier features (Rahimi, Recht,
//! NIPS 2007) turn the Gaussian kernel exp(−|x − y|² / (2 σ²)) into a product of short vectors, cosine
//! and sine at each of some frequencies, so that the distance is that of two mean vectors. Each number of
//! a vector is rounded once to a multiple of 2⁻²⁰ and summed as an integer: any cut, order and replica
//! count gives the same bytes. The frequencies stand in the bundle; nothing is drawn when they are used.

use crate::encoded::Encoded;
use crate::error::Error;
use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};

/// Frequencies of a kernel.
pub const FREQUENCIES: usize = 64;
/// Most frequencies that a bundle may have, and most columns.
const FREQUENCIES_MAX: usize = 1_024;
const COLUMNS_MAX: usize = 4_096;
/// A weight is at most this: with [`COLUMNS_MAX`] columns of at most 10⁶ deviations an angle keeps its
/// fraction of a turn.
const WEIGHT_MAX: f64 = 1e3;
/// What 1 is in a sum.
const ONE: f64 = (1_u32 << 20) as f64;
/// Rows whose angles are made at a time: a block's sums fit in 32 bits.
const BLOCK: usize = 256;
/// Added and taken away again it rounds a number below 2⁵¹ to an integer, halves to even.
const ROUNDING: f64 = 6_755_399_441_055_744.0;

/// A kernel over the columns of a reference, and where the reference lies in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    /// The columns, in the order of the weights.
    pub columns: Vec<Encoded>,
    /// By frequency a weight per column, in turns per standard deviation.
    pub frequencies: Vec<Vec<f64>>,
    /// All rows of the reference.
    pub reference: MeanVector,
    /// Of the covariance of a row's vector: what the distance of undrifted samples is distributed by.
    pub spread: Spread,
}

/// What the eigenvalues λ of a covariance sum up to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Σλ.
    pub sum: f64,
    /// Σλ².
    pub squares: f64,
    /// The largest λ.
    pub largest: f64,
}

impl Spread {
    /// Whether there are numbers λ, at most so many, that give these; but for rounding.
    fn is_of(&self, dimensions: usize) -> bool {
        let Self { sum, squares, largest } = *self;
        #[allow(clippy::cast_precision_loss)]
        let most = dimensions as f64 * largest;
        let is_at_most = |a: f64, b: f64| a <= b * (1.0 + 1e-6);
        [sum, squares, largest].iter().all(|number| number.is_finite() && *number > 0.0)
            && is_at_most(sum, most)
            && is_at_most(squares, largest * sum)
            && is_at_most(largest * largest, squares)
            && is_at_most(sum, 1.0)
    }
}

/// Sum of the vectors of rows: of each frequency cosine and sine, in multiples of 2⁻²⁰.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeanVector {
    rows: u64,
    sums: Vec<i64>,
}

/// Rows of a batch as a kernel takes them: each column standardised.
#[derive(Debug)]
pub struct Standardised(Vec<Vec<f64>>);

impl Standardised {
    /// Every column of all rows.
    ///
    /// # Errors
    /// A column is missing, or of a type that cannot be counted.
    pub fn of(columns: &[Encoded], rows: &RecordBatch) -> Result<Self, Error> {
        columns.iter().map(|column| column.scaled(rows)).collect::<Result<_, _>>().map(Self)
    }

    /// A row's numbers.
    pub(crate) fn row(&self, row: usize) -> Vec<f64> {
        self.0.iter().map(|column| column.get(row).copied().unwrap_or_default()).collect()
    }
}

impl Kernel {
    /// Adds rows, by their places in the batch, to a sum of this kernel.
    pub fn observe(&self, rows: &Standardised, places: &[u32], sum: &mut MeanVector) {
        sum.observe(&self.frequencies, rows, places);
    }

    /// The sum of all rows of a batch.
    ///
    /// # Errors
    /// A column is missing, or of a type that cannot be counted.
    pub fn sum(&self, rows: &RecordBatch) -> Result<MeanVector, Error> {
        let places: Vec<u32> = (0..u32::try_from(rows.num_rows()).unwrap_or(u32::MAX)).collect();
        let mut sum = MeanVector::default();
        self.observe(&Standardised::of(&self.columns, rows)?, &places, &mut sum);
        Ok(sum)
    }

    /// Whether every number is one that can have been measured, and every frequency has one per column.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_weight = |weight: &f64| (-WEIGHT_MAX..=WEIGHT_MAX).contains(weight);
        let fits = |weights: &Vec<f64>| weights.len() == self.columns.len() && weights.iter().all(is_weight);
        let is_limited = |count: usize, most: usize| (1..=most).contains(&count);
        is_limited(self.columns.len(), COLUMNS_MAX)
            && is_limited(self.frequencies.len(), FREQUENCIES_MAX)
            && self.columns.iter().all(Encoded::is_sound)
            && self.frequencies.iter().all(fits)
            && self.reference.is_of(self.frequencies.len())
            && self.spread.is_of(2 * self.frequencies.len())
    }
}

impl MeanVector {
    pub(crate) fn observe(&mut self, frequencies: &[Vec<f64>], rows: &Standardised, places: &[u32]) {
        self.sums.resize(2 * frequencies.len(), 0);
        self.rows = self.rows.saturating_add(places.len() as u64);
        let mut block = vec![[0.0; BLOCK]; rows.0.len()];
        for places in places.chunks(BLOCK) {
            let count = places.len();
            for (gathered, column) in block.iter_mut().zip(&rows.0) {
                for (value, place) in gathered.iter_mut().zip(places) {
                    *value = column.get(*place as usize).copied().unwrap_or_default();
                }
            }
            for (weights, pair) in frequencies.iter().zip(self.sums.chunks_exact_mut(2)) {
                // Column by column: each row's angle is summed in the same order whatever block it is in.
                let mut turns = [0.0; BLOCK];
                for (weight, gathered) in weights.iter().zip(&block) {
                    turns.iter_mut().zip(gathered).take(count).for_each(|(turn, value)| *turn += weight * value);
                }
                let (mut cosines, mut sines) = (0_i32, 0_i32);
                for turn in turns.iter().take(count) {
                    let (cosine, sine) = circle(*turn);
                    cosines += units(cosine);
                    sines += units(sine);
                }
                if let [cosine, sine] = pair {
                    // 2⁴³ rows fit.
                    *cosine = cosine.wrapping_add(i64::from(cosines));
                    *sine = sine.wrapping_add(i64::from(sines));
                }
            }
        }
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether it has a sum for each of so many frequencies, none larger than that many rows can make it.
    /// One of no rows has none.
    #[must_use]
    pub fn is_of(&self, frequencies: usize) -> bool {
        // A number of at most 1 is at most 2²⁰ steps, and one more where the series is off.
        let most = u128::from(self.rows) * ((1 << 20) + 1);
        self.sums.len() == 2 * frequencies && self.sums.iter().all(|sum| u128::from(sum.unsigned_abs()) <= most)
    }

    /// Adds the other's rows, which must be of the same kernel.
    pub fn merge(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        if self.sums.len() < other.sums.len() {
            self.sums.resize(other.sums.len(), 0);
        }
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, more)| *sum = sum.wrapping_add(*more));
    }

    /// Takes the other's rows away: the inverse of [`MeanVector::merge`].
    pub fn subtract(&mut self, other: &Self) {
        self.rows = self.rows.saturating_sub(other.rows);
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, less)| *sum = sum.wrapping_sub(*less));
    }

    /// Product of the mean vectors of two samples: the mean of the kernel over all pairs of a row of one
    /// and a row of the other. 0 where one has no rows.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn product(&self, other: &Self) -> f64 {
        let pairs = self.rows as f64 * other.rows as f64;
        let frequencies = (self.sums.len() / 2) as f64;
        if pairs == 0.0 || frequencies == 0.0 {
            return 0.0;
        }
        let products = self.sums.iter().zip(&other.sums).map(|(a, b)| (*a as f64 / ONE) * (*b as f64 / ONE));
        products.sum::<f64>() / frequencies / pairs
    }
}

/// Of a number in −1 to 1.
#[allow(clippy::cast_possible_truncation)]
fn units(value: f64) -> i32 {
    // `as` saturates and maps NaN to 0.
    (value * ONE + ROUNDING - ROUNDING) as i32
}

/// Cosine and sine of an angle in turns, to 10⁻⁹: by the series of half the angle and the formulas for
/// the double one. Sums and products only, so that it is the same on every host and a block of rows is
/// made at once.
pub(crate) fn circle(turns: f64) -> (f64, f64) {
    let fraction = turns - ((turns + ROUNDING) - ROUNDING);
    let half = fraction * std::f64::consts::PI;
    let square = half * half;
    let series = |coefficients: [f64; 8]| coefficients.into_iter().rev().fold(0.0, |sum, c| sum * square + c);
    // 1 / (2n + 1)! and 1 / (2n)!, signs alternating.
    let sine = half
        * series([
            1.0,
            -1.0 / 6.0,
            1.0 / 120.0,
            -1.0 / 5_040.0,
            1.0 / 362_880.0,
            -1.0 / 39_916_800.0,
            1.0 / 6_227_020_800.0,
            -1.0 / 1_307_674_368_000.0,
        ]);
    let cosine = series([
        1.0,
        -1.0 / 2.0,
        1.0 / 24.0,
        -1.0 / 720.0,
        1.0 / 40_320.0,
        -1.0 / 3_628_800.0,
        1.0 / 479_001_600.0,
        -1.0 / 87_178_291_200.0,
    ]);
    (1.0 - 2.0 * sine * sine, 2.0 * sine * cosine)
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
