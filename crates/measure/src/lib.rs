//! Mergeable performance cells: what labelled rows say of a version, in sums that add up exactly.
//!
//! It never does I/O and never keeps a row: counts and fixed-point sums are all there is, so that
//! any cut, order and replica count gives the same bytes, and a corrected label is taken out
//! again exactly. Ratios, roots and logarithms are computed from the sums, once, by the judge.
//! Read in this order: [`cell`] (what a label adds), [`loss`](mod@loss) (the loss of a row),
//! [`performance`] (one version's sums), its kinds [`binary`], [`multiclass`], [`regression`] and,
//! without labels, [`anomaly`] and [`clustering`] (with [`mod@silhouette`] of a sample),
//! [`curve`] (areas), [`ExactScores`] (areas without bins), [`ErrorBins`] (sizes of errors), [`cost`](mod@cost), [`bets`] (sums of the sequential tests), [`baseline`],
//! [`interval`], [`sequence`] (an interval for every look), [`estimate`] (performance before labels),
//! [`weighted`] (where labels never come for some rows).

pub mod anomaly;
pub mod baseline;
pub mod bets;
pub mod binary;
mod calibration_error;
pub mod cell;
pub mod clustering;
mod confusion;
pub mod cost;
pub mod curve;
mod error;
mod error_bins;
pub mod estimate;
mod exact;
pub mod interval;
pub mod loss;
pub mod multiclass;
pub mod performance;
pub mod regression;
pub mod sequence;
pub mod silhouette;
mod sparse;
mod sums;
pub mod weighted;

pub use anomaly::Anomaly;
pub use baseline::{Labels, majority};
pub use bets::{HarmSums, PAIR_BETS, PairSums};
pub use binary::Binary;
pub use cell::{Cell, Row};
pub use clustering::Clustering;
pub use confusion::kappa_against;
pub use cost::{CostMatrix, cost};
pub use curve::{Auc, AveragePrecision};
pub use error::Error;
pub use error_bins::{Coverage, ErrorBins, PredictionInterval};
pub use estimate::{Calibration, ChildSums, Expected, Forecast, ScoreMap};
pub use exact::{ExactScores, ScoreCount};
pub use interval::Estimate;
pub use loss::{Shape, loss, predicted_class};
pub use multiclass::Multiclass;
pub use performance::Performance;
pub use regression::Regression;
pub use sequence::ConfidenceSequence;
pub use silhouette::silhouette;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod size_tests;
