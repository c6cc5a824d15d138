//! The model representation that alone scores: linear models, forests and centroids, read, written, evaluated.
//!
//! It does no I/O, reads no clock, spawns nothing, uses no platform mathematics and panics on no
//! input: every index is checked when a model is made, not when it is evaluated.
//! Read in this order: [`model`] (what a model answers), [`link`] (raw score to output),
//! [`linear`], [`tree`] (one decision tree and its reference evaluation), [`forest`], `kernel`
//! (the evaluation that runs live), [`centroids`], [`lightgbm`] (reading LightGBM's text files), `binary` (our own
//! bytes), [`error`].

mod binary;
pub mod centroids;
pub mod error;
pub mod forest;
mod kernel;
pub mod lightgbm;
pub mod linear;
pub mod link;
mod masks;
pub mod model;
pub mod tree;

pub use centroids::Centroids;
pub use error::Error;
pub use forest::Forest;
pub use linear::Linear;
pub use link::Link;
pub use model::Model;
pub use tree::{Missing, Node, Split, Tree};

/// Largest number of features of a model.
pub const FEATURES_MAX: usize = 1 << 20;
/// Largest number of outputs (classes) of a model.
pub const OUTPUTS_MAX: usize = 1 << 12;
/// Largest number of trees of a forest.
pub const TREES_MAX: usize = 1 << 20;
/// Largest number of nodes and leaves of all trees of a forest together.
pub const NODES_MAX: usize = 1 << 26;
/// Largest number of 32-bit words of one category set.
pub const CATEGORY_WORDS_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests;
