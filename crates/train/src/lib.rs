//! Retraining: data set, candidates, search, folds, gate, bundle. The only crate that knows linfa,
//! LightGBM and DataFusion's engine.
//!
//! It never scores live, never moves an alias and decides no promotion: it stores a bundle and
//! reports what it found. Randomness comes from the spec's seed; wall time only ends a search early.
//! Read in this order: [`spec`] (what a run is given), [`run`](mod@run) (a run from end to end),
//! `data_set` (archive and labels joined), `folds`, `search` (candidates, and which
//! to choose), `trials` (candidates on folds), `trainer` and
//! the families `boosting` (over `lightgbm`), `logistic`, `linear`, `isolation`, `k_means`; `evaluate` (losses and their
//! errors), `gate`, `outputs` (what the model says of rows it has not seen), `reference`
//! (profile, wander, importance, golden rows), `segments` (rows of each), `reconstruction` (columns together), [`seed`](mod@seed) and
//! [`files`] (a user's files into the archive).

mod boosting;
mod data_set;
mod dense;
pub mod error;
mod errors;
mod evaluate;
pub mod files;
mod folds;
mod gate;
mod isolation;
mod k_means;
mod lightgbm;
mod linear;
mod logistic;
mod outputs;
mod random;
mod reconstruction;
mod reference;
pub mod run;
mod search;
pub mod seed;
mod segments;
pub mod spec;
mod trainer;
mod trials;

pub use error::Error;
pub use files::read_file;
pub use k_means::CLUSTERS_MAX;
pub use run::run;
pub use seed::{LabelColumns, SeedSpec, Seeded, TimeUnit, seed};
pub use spec::{
    ANOMALY_SHARE, COLUMNS_TOGETHER_MAX, Cause, DriftSegment, Gates, INTERVAL_SHARE, Multivariate, Progress, Spec,
};
pub use trainer::{default_families, families};

#[cfg(test)]
mod tests;
