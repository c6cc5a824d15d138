//! Maximum mean discrepancy of many columns at once, from additive state.
//!
//! The kernel distance of two samples needs all pairs of rows. Random Fourier features (Rahimi,
//! Recht, NIPS 2007) turn the Gaussian kernel exp(−|x − y|² / (2 σ²)) into a product of short
//! vectors, so that the distance is that of two mean vectors: sums in fixed point, which merge and
//! subtract exactly over panes, replicas and windows. The frequencies follow from a seed that
//! belongs to the bundle; nothing is drawn when the state is used.

use domain::Fixed;
use serde::{Deserialize, Serialize};

/// Most frequencies, and most columns: 1,024 × 4,096 numbers are 32 MiB.
const FREQUENCIES_MAX: usize = 1024;
const COLUMNS_MAX: usize = 4096;

/// The frequencies of a kernel over standardised columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frequencies {
    columns: usize,
    /// One row of `columns` numbers per frequency.
    weights: Vec<f64>,
}

impl Frequencies {
    /// `count` frequencies (1 to 1,024) for rows of `columns` numbers (1 to 4,096) and a kernel of
    /// this bandwidth, in standard deviations; the median distance of two rows is a good one, about
    /// √(2 × columns). The same seed gives the same frequencies on every host. A bandwidth that is
    /// not above 0 counts as 1.
    #[must_use]
    pub fn new(seed: u64, columns: usize, count: usize, bandwidth: f64) -> Self {
        let (columns, count) = (columns.clamp(1, COLUMNS_MAX), count.clamp(1, FREQUENCIES_MAX));
        let scale = if bandwidth.is_finite() && bandwidth > 0.0 { 1.0 / bandwidth } else { 1.0 };
        let mut state = seed;
        let mut weights = Vec::with_capacity(columns * count + 1);
        while weights.len() < columns * count {
            // Box and Muller (Annals of Mathematical Statistics 29, 1958).
            let radius = (-2.0 * libm::log(1.0 - uniform(&mut state))).sqrt() * scale;
            let angle = std::f64::consts::TAU * uniform(&mut state);
            weights.push(radius * libm::cos(angle));
            weights.push(radius * libm::sin(angle));
        }
        weights.truncate(columns * count);
        Self { columns, weights }
    }

    fn count(&self) -> usize {
        self.weights.len() / self.columns.max(1)
    }
}

/// The next number in [0, 1) of splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
#[allow(clippy::cast_precision_loss)]
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Sum of the feature vectors of rows: cosine and sine at each frequency.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeanVector {
    rows: u64,
    sums: Vec<Fixed>,
}

impl MeanVector {
    /// Adds one row of standardised numbers. Missing ones count as the mean, 0; a row of another
    /// length is cut or filled up with means.
    pub fn add(&mut self, frequencies: &Frequencies, row: &[f64]) {
        self.sums.resize(2 * frequencies.count(), Fixed::ZERO);
        self.rows = self.rows.saturating_add(1);
        for (pair, weights) in self.sums.chunks_exact_mut(2).zip(frequencies.weights.chunks_exact(frequencies.columns))
        {
            let terms = weights.iter().zip(row).filter(|(_, x)| x.is_finite());
            let angle: f64 = terms.map(|(weight, x)| weight * x).sum();
            if let [cosine, sine] = pair {
                *cosine += Fixed::from_f64(libm::cos(angle));
                *sine += Fixed::from_f64(libm::sin(angle));
            }
        }
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds the other's rows, which must be of the same frequencies.
    pub fn merge(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        if self.sums.len() < other.sums.len() {
            self.sums.resize(other.sums.len(), Fixed::ZERO);
        }
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, more)| *sum += *more);
    }

    /// Takes the other's rows away: the inverse of [`MeanVector::merge`].
    pub fn subtract(&mut self, other: &Self) {
        self.rows = self.rows.saturating_sub(other.rows);
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, less)| *sum -= *less);
    }

    /// Mean product of two vectors, before division by the rows.
    fn product(&self, other: &Self) -> f64 {
        let count = (self.sums.len() / 2).max(1) as f64;
        self.sums.iter().zip(&other.sums).map(|(a, b)| a.to_f64() * b.to_f64()).sum::<f64>() / count
    }
}

/// Unbiased estimate of the squared maximum mean discrepancy (Gretton et al., JMLR 13, 2012, their
/// lemma 6): about 0, and below it half of the time, if both are of one distribution; at most 2. 0
/// with fewer than two rows on a side. Each feature vector has length 1, so the pairs of a row with
/// itself are known and taken out.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn squared_discrepancy(reference: &MeanVector, current: &MeanVector) -> f64 {
    let (m, n) = (reference.rows as f64, current.rows as f64);
    if m < 2.0 || n < 2.0 {
        return 0.0;
    }
    let within = |vector: &MeanVector, rows: f64| (vector.product(vector) - rows) / (rows * (rows - 1.0));
    within(reference, m) + within(current, n) - 2.0 * reference.product(current) / (m * n)
}

#[cfg(test)]
mod tests {
    use super::{Frequencies, MeanVector, squared_discrepancy};
    use crate::harm::tests_support::Lcg;

    fn vector(frequencies: &Frequencies, rows: &[Vec<f64>]) -> MeanVector {
        let mut vector = MeanVector::default();
        rows.iter().for_each(|row| vector.add(frequencies, row));
        vector
    }

    fn draw(random: &mut Lcg, rows: usize, columns: usize, mean: f64) -> Vec<Vec<f64>> {
        (0..rows).map(|_| (0..columns).map(|_| mean + random.normal()).collect()).collect()
    }

    /// The unbiased estimate by its definition, over all pairs of rows.
    fn all_pairs(left: &[Vec<f64>], right: &[Vec<f64>], bandwidth: f64) -> f64 {
        let kernel = |x: &Vec<f64>, y: &Vec<f64>| {
            let squares: f64 = x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum();
            (-squares / (2.0 * bandwidth * bandwidth)).exp()
        };
        let mean = |a: &[Vec<f64>], b: &[Vec<f64>], skip: bool| {
            let sum: f64 = a
                .iter()
                .enumerate()
                .map(|(i, x)| {
                    let others = b.iter().enumerate().filter(|(j, _)| !skip || i != *j);
                    others.map(|(_, y)| kernel(x, y)).sum::<f64>()
                })
                .sum();
            sum / (a.len() * (b.len() - usize::from(skip))) as f64
        };
        mean(left, left, true) + mean(right, right, true) - 2.0 * mean(left, right, false)
    }

    #[test]
    fn it_estimates_the_kernel_distance_over_all_pairs() {
        let mut random = Lcg(7);
        for (columns, mean) in [(1, 0.0), (1, 0.8), (3, 0.0), (3, 0.5)] {
            let bandwidth = (2.0 * columns as f64).sqrt();
            let frequencies = Frequencies::new(11, columns, 1024, bandwidth);
            let (left, right) = (draw(&mut random, 300, columns, 0.0), draw(&mut random, 200, columns, mean));
            let found = squared_discrepancy(&vector(&frequencies, &left), &vector(&frequencies, &right));
            let expected = all_pairs(&left, &right, bandwidth);
            // 1,024 frequencies are right to about 1 / √1024 of the distance itself.
            assert!((found - expected).abs() < 0.1 * expected.abs() + 0.002, "{columns}: {found}, expected {expected}");
        }
    }

    /// Of N(0, 1) and N(δ, 1): 2 σ / √(σ² + 2) × (1 − exp(−δ² / (2 (σ² + 2)))).
    #[test]
    fn normal_distributions_are_apart_as_the_integral_says() {
        let mut random = Lcg(13);
        let (bandwidth, shift) = (std::f64::consts::SQRT_2, 1.0);
        let frequencies = Frequencies::new(5, 1, 1024, bandwidth);
        let (left, right) = (draw(&mut random, 5000, 1, 0.0), draw(&mut random, 5000, 1, shift));
        let expected = 2.0 * bandwidth / 2.0 * (1.0 - (-shift * shift / 8.0_f64).exp());
        let found = squared_discrepancy(&vector(&frequencies, &left), &vector(&frequencies, &right));
        assert!((found - expected).abs() < 0.03, "{found}, expected {expected}");
    }

    #[test]
    fn parts_merge_to_the_whole_and_subtract_exactly() {
        let mut random = Lcg(17);
        let frequencies = Frequencies::new(1, 4, 32, 2.0);
        let rows = draw(&mut random, 90, 4, 0.0);
        let whole = vector(&frequencies, &rows);
        let mut merged = MeanVector::default();
        rows.chunks(7).rev().for_each(|part| merged.merge(&vector(&frequencies, part)));
        assert_eq!(merged, whole);
        merged.subtract(&vector(&frequencies, &rows[..40]));
        assert_eq!(merged, vector(&frequencies, &rows[40..]));
        assert_eq!(serde_json::from_str::<MeanVector>(&serde_json::to_string(&whole).unwrap()).unwrap(), whole);
    }

    #[test]
    fn odd_rows_and_none_do_no_harm() {
        let frequencies = Frequencies::new(1, 0, 0, f64::NAN);
        let none = MeanVector::default();
        let odd = vector(&frequencies, &[vec![], vec![f64::NAN, 3.0], vec![f64::INFINITY]]);
        assert_eq!(odd.rows(), 3);
        assert_eq!(squared_discrepancy(&none, &odd), 0.0);
        assert!(squared_discrepancy(&odd, &odd).abs() < 1.0);
    }
}
