//! What every model answers.

use crate::{Centroids, Error, Forest, Linear, Link, binary};
use domain::{CLUSTER_OUTPUTS, FeatureMatrix};

/// A fitted model, whichever trainer made it.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    /// Linear or generalised linear.
    Linear(Linear),
    /// Decision trees.
    Forest(Forest),
    /// Middles of clusters.
    Centroids(Centroids),
}

impl Model {
    /// Features the model reads: the columns a feature matrix must have.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        match self {
            Self::Linear(linear) => linear.feature_count(),
            Self::Forest(forest) => forest.feature_count(),
            Self::Centroids(centroids) => centroids.feature_count(),
        }
    }

    /// Numbers per row: 1 for binary classification, regression and anomalies, one per class of several,
    /// three of clustering.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match self {
            Self::Linear(linear) => linear.intercepts.len(),
            Self::Forest(forest) => forest.outputs(),
            Self::Centroids(_) => CLUSTER_OUTPUTS,
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
        self.link().apply(self.outputs(), out.get_mut(first..).unwrap_or_default());
        Ok(())
    }

    /// Raw score to output.
    pub(crate) fn link(&self) -> Link {
        match self {
            Self::Linear(linear) => linear.link,
            Self::Forest(forest) => forest.link(),
            Self::Centroids(_) => Link::Identity,
        }
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
            Self::Centroids(centroids) => centroids.raw(features, scores),
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
