//! Decision trees whose values add up.

use crate::kernel::Kernel;
use crate::{Error, FEATURES_MAX, Link, NODES_MAX, OUTPUTS_MAX, TREES_MAX, Tree};
use domain::FeatureMatrix;

/// Trees, summed per output in tree order: tree `i` belongs to output `i % outputs`.
///
/// Values within ±1e-35 are 0 to every split: LightGBM does so when it reads rows, in training
/// and in prediction, although its splits alone would tell them apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    link: Link,
    features: usize,
    outputs: usize,
    average: bool,
    trees: Vec<Tree>,
    kernel: Box<Kernel>,
}

impl Forest {
    /// A checked forest. With `average`, sums are divided by the trees of an output.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the part: no trees, a number of trees that is not a multiple of
    /// the outputs, a feature that is not there, a bound exceeded.
    pub fn new(link: Link, features: usize, outputs: usize, average: bool, trees: Vec<Tree>) -> Result<Self, Error> {
        if features == 0 || features > FEATURES_MAX {
            return Err(Error::invalid(format!("{features} features, expected 1 to {FEATURES_MAX}")));
        }
        if outputs == 0 || outputs > OUTPUTS_MAX {
            return Err(Error::invalid(format!("{outputs} outputs, expected 1 to {OUTPUTS_MAX}")));
        }
        if trees.is_empty() || trees.len() > TREES_MAX || !trees.len().is_multiple_of(outputs) {
            let found = trees.len();
            return Err(Error::invalid(format!(
                "{found} trees, expected a multiple of {outputs}, at most {TREES_MAX}"
            )));
        }
        let size: usize = trees.iter().map(|t| t.nodes().len() + t.leaves().len()).sum();
        if size > NODES_MAX {
            return Err(Error::invalid(format!("{size} nodes, expected at most {NODES_MAX}")));
        }
        link.check(outputs)?;
        for (index, tree) in trees.iter().enumerate() {
            if let Some(node) = tree.nodes().iter().find(|n| n.feature as usize >= features) {
                let found = node.feature;
                return Err(Error::invalid(format!(
                    "tree {index} reads feature {found}, expected one below {features}"
                )));
            }
        }
        let kernel = Box::new(Kernel::new(&trees));
        Ok(Self { link, features, outputs, average, trees, kernel })
    }

    /// Raw score to output.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link
    }

    /// Features a matrix must have.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.features
    }

    /// Numbers per row.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Whether sums are divided by the trees of an output (random forests).
    #[must_use]
    pub fn average(&self) -> bool {
        self.average
    }

    /// The trees.
    #[must_use]
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// Raw scores into `out` (row-major, zeroed, rows × outputs).
    pub(crate) fn raw(&self, features: &FeatureMatrix, out: &mut [f64]) {
        self.kernel.add(features, self.outputs, out);
        self.finish(out);
    }

    fn finish(&self, out: &mut [f64]) {
        if self.average {
            // As LightGBM: a division, not a product with the reciprocal.
            let iterations = (self.trees.len() / self.outputs) as f64;
            out.iter_mut().for_each(|score| *score /= iterations);
        }
    }

    /// Row by row, tree by tree: what [`Forest::raw`] must equal, bit for bit.
    #[cfg(test)]
    pub(crate) fn raw_by_row(&self, features: &FeatureMatrix) -> Vec<f64> {
        let mut out = vec![0.0; features.rows() * self.outputs];
        for row in 0..features.rows() {
            let values: Vec<f32> =
                features.columns().iter().map(|c| if c[row].abs() <= 1e-35 { 0.0 } else { c[row] }).collect();
            for (index, tree) in self.trees.iter().enumerate() {
                out[row * self.outputs + index % self.outputs] += tree.value(&values);
            }
        }
        self.finish(&mut out);
        out
    }
}
