//! What every model answers.

use crate::{Error, Forest, Linear, binary};
use domain::FeatureMatrix;

/// A fitted model, whichever trainer made it.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    /// Linear or generalised linear.
    Linear(Linear),
    /// Decision trees.
    Forest(Forest),
}

impl Model {
    /// Features the model reads: the columns a feature matrix must have.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        match self {
            Self::Linear(linear) => linear.feature_count(),
            Self::Forest(forest) => forest.feature_count(),
        }
    }

    /// Numbers per row: 1 for binary classification and regression, one per class otherwise.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match self {
            Self::Linear(linear) => linear.intercepts.len(),
            Self::Forest(forest) => forest.outputs(),
        }
    }

    /// Appends rows × outputs numbers, row-major, after the link: probabilities or a number.
    ///
    /// # Errors
    /// [`Error::Features`] when the matrix has another number of columns; [`Error::Invalid`] when
    /// a linear model put together by hand is inconsistent. `out` is then as it was.
    pub fn predict(&self, features: &FeatureMatrix, out: &mut Vec<f64>) -> Result<(), Error> {
        let first = out.len();
        self.raw(features, out)?;
        let link = match self {
            Self::Linear(linear) => linear.link,
            Self::Forest(forest) => forest.link(),
        };
        link.apply(self.outputs(), out.get_mut(first..).unwrap_or_default());
        Ok(())
    }

    /// Appends rows × outputs raw scores, row-major, before the link.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn raw(&self, features: &FeatureMatrix, out: &mut Vec<f64>) -> Result<(), Error> {
        let (found, expected) = (features.columns().len(), self.feature_count());
        if found != expected {
            return Err(Error::Features { found, expected });
        }
        if let Self::Linear(linear) = self {
            linear.check()?;
        }
        let first = out.len();
        out.resize(first + features.rows() * self.outputs(), 0.0);
        let scores = out.get_mut(first..).unwrap_or_default();
        match self {
            Self::Linear(linear) => linear.raw(features, scores),
            Self::Forest(forest) => forest.raw(features, scores),
        }
        Ok(())
    }

    /// The model as bytes: little-endian, fixed layout, the same for equal models.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        binary::write(self)
    }

    /// Reads what [`Model::to_bytes`] wrote. Every length is checked against the bytes at hand
    /// before anything is allocated, every index and every number before the model exists.
    ///
    /// # Errors
    /// [`Error::Bytes`] or [`Error::Invalid`] naming the field.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        binary::read(bytes)
    }
}
