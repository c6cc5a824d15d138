//! Centroids: which is nearest to a row, how far it is, and how far the next one.

use crate::{Error, FEATURES_MAX, OUTPUTS_MAX};
use domain::{CLUSTER_OUTPUTS, FeatureMatrix};

/// Rows whose distances are held at a time: few enough for the nearest cache.
const BLOCK: usize = 64;

/// The middles of clusters. A row has three numbers: the nearest one's place in their order, the
/// distance from it and that from the next nearest, both Euclidean.
#[derive(Debug, Clone, PartialEq)]
pub struct Centroids {
    features: usize,
    /// One after the other.
    numbers: Vec<f64>,
}

impl Centroids {
    /// A checked model: at least two centroids, as many numbers in each, all finite, sizes within bounds.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the part.
    pub fn new(features: usize, numbers: Vec<f64>) -> Result<Self, Error> {
        if features == 0 || features > FEATURES_MAX {
            return Err(Error::invalid(format!("{features} features, expected 1 to {FEATURES_MAX}")));
        }
        let (count, rest) = (numbers.len() / features, numbers.len() % features);
        if rest != 0 || !(2..=OUTPUTS_MAX).contains(&count) {
            return Err(Error::invalid(format!(
                "{} numbers of centroids with {features} features, expected 2 to {OUTPUTS_MAX} centroids",
                numbers.len()
            )));
        }
        if let Some(number) = numbers.iter().find(|number| !number.is_finite()) {
            return Err(Error::invalid(format!("a centroid has {number}, expected finite numbers")));
        }
        Ok(Self { features, numbers })
    }

    /// Clusters.
    #[must_use]
    pub fn count(&self) -> usize {
        self.numbers.len() / self.features.max(1)
    }

    /// All centroids, one after the other.
    #[must_use]
    pub fn numbers(&self) -> &[f64] {
        &self.numbers
    }

    pub(crate) fn feature_count(&self) -> usize {
        self.features
    }

    /// Outputs into `out` (row-major, rows × 3). Squared differences are added up in feature order,
    /// in 64 bits, whatever the batch; of two centroids as near the first counts. A row of broken
    /// numbers is nowhere near any: cluster 0, infinitely far.
    pub(crate) fn raw(&self, features: &FeatureMatrix, out: &mut [f64]) {
        let mut squares = vec![0.0; self.count() * BLOCK];
        for (block, out) in out.chunks_mut(BLOCK * CLUSTER_OUTPUTS).enumerate() {
            let (first, rows) = (block * BLOCK, out.len() / CLUSTER_OUTPUTS);
            squares.fill(0.0);
            for (of_centroid, centroid) in squares.chunks_exact_mut(BLOCK).zip(self.numbers.chunks_exact(self.features))
            {
                for (column, middle) in features.columns().iter().zip(centroid) {
                    let values = column.get(first..first + rows).unwrap_or_default();
                    for (square, value) in of_centroid.iter_mut().zip(values) {
                        let difference = f64::from(*value) - middle;
                        *square += difference * difference;
                    }
                }
            }
            for (row, out) in out.chunks_exact_mut(CLUSTER_OUTPUTS).enumerate() {
                out.copy_from_slice(&nearest(squares.iter().skip(row).step_by(BLOCK).copied()));
            }
        }
    }
}

/// Place of the least square, its root and that of the next one.
#[allow(clippy::cast_precision_loss)]
fn nearest(squares: impl Iterator<Item = f64>) -> [f64; CLUSTER_OUTPUTS] {
    let (mut place, mut least, mut next) = (0, f64::INFINITY, f64::INFINITY);
    for (number, square) in squares.enumerate() {
        if square < least {
            (place, next, least) = (number, least, square);
        } else if square < next {
            next = square;
        }
    }
    [place as f64, least.sqrt(), next.sqrt()]
}

#[cfg(test)]
mod tests {
    use super::Centroids;
    use crate::Model;
    use domain::FeatureMatrix;

    fn predict(model: &Centroids, columns: Vec<Vec<f32>>) -> Vec<f64> {
        let mut out = Vec::new();
        let rows = columns[0].len();
        Model::Centroids(model.clone()).predict(&FeatureMatrix::new(rows, columns).unwrap(), &mut out).unwrap();
        out
    }

    #[test]
    fn the_nearest_centroid_and_the_next_one_are_found() {
        let model = Centroids::new(2, vec![0.0, 0.0, 3.0, 4.0, 10.0, 0.0]).unwrap();
        let found = predict(&model, vec![vec![0.0, 3.0, 9.0, 5.0, f32::NAN], vec![0.0, 4.0, 0.0, 0.0, 1.0]]);
        let expected = [
            [0.0, 0.0, 5.0],
            [1.0, 0.0, 5.0],
            [2.0, 1.0, 52.0_f64.sqrt()],
            // As near to all three as 5, 20^.5 and 5: the second is nearest, the first of the others next.
            [1.0, 20.0_f64.sqrt(), 5.0],
            [0.0, f64::INFINITY, f64::INFINITY],
        ];
        assert_eq!(found, expected.concat());
    }

    #[test]
    fn batches_do_not_show() {
        let numbers = (0..21).map(|i| f64::from(i * 29 % 17) / 3.0).collect();
        let model = Centroids::new(3, numbers).unwrap();
        let column = |step: usize| (0..150).map(|row| (row * step % 23) as f32 / 4.0).collect::<Vec<f32>>();
        let columns = vec![column(5), column(7), column(11)];
        let whole = predict(&model, columns.clone());
        for row in [0, 63, 64, 149] {
            let one = columns.iter().map(|column| vec![column[row]]).collect();
            assert_eq!(predict(&model, one), whole[3 * row..3 * row + 3], "row {row}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (features, numbers, expected) in [
            (0, vec![1.0, 2.0], "0 features"),
            (2, vec![1.0, 2.0], "2 numbers of centroids"),
            (2, vec![1.0, 2.0, 3.0], "3 numbers of centroids"),
            (1, vec![1.0, f64::NAN], "expected finite numbers"),
            (1, vec![0.0; 5_000], "expected 2 to 4096 centroids"),
        ] {
            let error = Centroids::new(features, numbers).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn bytes_come_back_and_broken_ones_are_refused() {
        let model = Model::Centroids(Centroids::new(2, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap());
        let bytes = model.to_bytes();
        assert_eq!(Model::from_bytes(&bytes).unwrap(), model);
        // Magic 8, format 4, kind 4, then the link; factor 8, features 4, outputs 4, centroids 4.
        let broken = |at: usize, value: u32| {
            let mut bytes = bytes.clone();
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            Model::from_bytes(&bytes).unwrap_err().to_string()
        };
        for (at, value, expected) in [
            (12, 4, "kind is 4"),
            (16, 2, "centroids have link Softmax"),
            (28, 1 << 19, "centroids"),
            (32, 1, "1 outputs, expected Identity and 3"),
            (36, 1 << 30, "centroids"),
            (36, 2, "16 bytes follow the model"),
        ] {
            let error = broken(at, value);
            assert!(error.contains(expected), "{at} {value}: {error}");
        }
        for length in 0..bytes.len() {
            assert!(Model::from_bytes(&bytes[..length]).is_err(), "{length} bytes");
        }
    }
}
