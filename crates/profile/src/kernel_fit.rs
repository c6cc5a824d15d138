//! A kernel from reference rows: its width, its frequencies, and how rows spread in it.

use crate::encoded::Encoded;
use crate::error::Error;
use crate::kernel::{FREQUENCIES, Kernel, MeanVector, Spread, Standardised, circle};
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

/// Pairs of rows whose distances give the width.
const PAIRS: usize = 1_000;
/// Rows that width and covariance are measured on, at most, evenly spread.
const SAMPLE_MAX: usize = 20_000;
/// Steps of the power method.
const POWERS: usize = 200;
/// Rows that are standardised at a time.
const CHUNK: usize = 1 << 16;

impl Kernel {
    /// Fits a kernel to reference rows: as wide as the median distance of two rows (the usual choice since
    /// Gretton et al., JMLR 13, 2012). Columns without a place among numbers are left out, and more than
    /// `columns_max`. The same rows and seed give the same kernel on every host. `None` where there are fewer
    /// than two columns, no two rows differ, or rows hold numbers that nothing can be made of.
    ///
    /// # Errors
    /// A column is of a type that cannot be counted.
    pub fn fit(rows: &RecordBatch, columns_max: usize, seed: u64) -> Result<Option<Self>, Error> {
        let mut columns = Vec::new();
        for field in rows.schema_ref().fields() {
            columns.extend(Encoded::of(field.name(), rows)?);
        }
        columns.truncate(columns_max);
        let count = rows.num_rows();
        let evenly = (0..count).step_by(count.div_ceil(SAMPLE_MAX).max(1));
        let places: UInt32Array = evenly.filter_map(|row| u32::try_from(row).ok()).collect();
        let sample = take_record_batch(rows, &places).map_err(|e| Error::Reference(e.to_string()))?;
        let sample = Standardised::of(&columns, &sample)?;
        let width = distance(&sample, places.len());
        if columns.len() < 2 || width <= 0.0 {
            return Ok(None);
        }
        let frequencies = draw(seed, columns.len(), width);
        let spread = spread(&frequencies, &sample, places.len());
        let mut found = Self { columns, frequencies, reference: MeanVector::default(), spread };
        for start in (0..count).step_by(CHUNK) {
            let more = found.sum(&rows.slice(start, CHUNK.min(count - start)))?;
            found.reference.merge(&more);
        }
        Ok(found.is_sound().then_some(found))
    }
}

/// Median distance of two rows half of the reference apart, so that they are of other times; the mean where
/// most are the same.
#[allow(clippy::cast_precision_loss)]
fn distance(rows: &Standardised, count: usize) -> f64 {
    let half = count / 2;
    let step = half.div_ceil(PAIRS).max(1);
    let square = |(a, b): (f64, f64)| (a - b) * (a - b);
    let distance = |row: usize| {
        let (left, right) = (rows.row(row), rows.row(row + half));
        left.into_iter().zip(right).map(square).sum::<f64>().sqrt()
    };
    let mut distances: Vec<f64> = (0..half).step_by(step).map(distance).collect();
    distances.sort_by(f64::total_cmp);
    let median = distances.get(distances.len() / 2).copied().unwrap_or_default();
    if median > 0.0 { median } else { distances.iter().sum::<f64>() / distances.len().max(1) as f64 }
}

/// Normal weights of the kernel's spectrum, in turns (Box and Muller, Annals of Mathematical Statistics
/// 29, 1958).
fn draw(seed: u64, columns: usize, width: f64) -> Vec<Vec<f64>> {
    let mut state = seed;
    let mut weight = || {
        let radius = (-2.0 * libm::log(1.0 - uniform(&mut state))).sqrt();
        radius * circle(uniform(&mut state)).0 / (width * std::f64::consts::TAU)
    };
    (0..FREQUENCIES).map(|_| (0..columns).map(|_| weight()).collect()).collect()
}

/// The next number in [0, 1) of splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
#[allow(clippy::cast_precision_loss)]
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Of the covariance of a row's vector, which has length 1.
#[allow(clippy::cast_precision_loss)]
fn spread(frequencies: &[Vec<f64>], rows: &Standardised, count: usize) -> Spread {
    let size = 2 * frequencies.len();
    let scale = (frequencies.len() as f64).sqrt();
    let mut means = vec![0.0; size];
    let mut squares = vec![vec![0.0; size]; size];
    for row in 0..count {
        let values = rows.row(row);
        let turns = frequencies.iter().map(|w| w.iter().zip(&values).map(|(w, x)| w * x).sum::<f64>());
        let vector: Vec<f64> = turns.map(circle).flat_map(|(cosine, sine)| [cosine / scale, sine / scale]).collect();
        means.iter_mut().zip(&vector).for_each(|(sum, x)| *sum += x);
        for (sums, x) in squares.iter_mut().zip(&vector) {
            sums.iter_mut().zip(&vector).for_each(|(sum, y)| *sum += x * y);
        }
    }
    let taken = count.max(1) as f64;
    means.iter_mut().for_each(|sum| *sum /= taken);
    for (sums, x) in squares.iter_mut().zip(&means) {
        sums.iter_mut().zip(&means).for_each(|(sum, y)| *sum = *sum / taken - x * y);
    }
    let sum = squares.iter().enumerate().filter_map(|(place, row)| row.get(place)).sum();
    Spread { sum, squares: squares.iter().map(|row| dot(row, row)).sum(), largest: largest_eigenvalue(&squares) }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Of a symmetric matrix without negative ones, by the power method: from below, and close to it long before
/// the vector is, where the next is as large.
fn largest_eigenvalue(matrix: &[Vec<f64>]) -> f64 {
    let Some(mut vector) = matrix.iter().max_by(|a, b| dot(a, a).total_cmp(&dot(b, b))).cloned() else { return 0.0 };
    let mut value = 0.0;
    for _ in 0..POWERS {
        let length = dot(&vector, &vector).sqrt();
        if length <= 0.0 {
            return 0.0;
        }
        vector.iter_mut().for_each(|x| *x /= length);
        let next: Vec<f64> = matrix.iter().map(|row| dot(row, &vector)).collect();
        value = dot(&vector, &next);
        vector = next;
    }
    value
}
