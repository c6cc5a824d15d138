//! Tests for drift and change: pure functions and small state machines.
//!
//! It never does I/O, reads no clock and draws no random number: counts and sums of slices go in,
//! evidence comes out. What to do with an alarm is the judge's business.
//! Read in this order: [`distance`] (how far two histograms are apart), [`drift`] (whether that
//! is more than noise and tolerance), [`chi_square`] (the null behind it), [`correction`] (many
//! columns at once), [`shift`] (columns over time, within a budget), [`harm`] (realised loss
//! against its reference), [`paired`] (two versions on the same rows), [`joint`] (all columns
//! together). For comparison stand beside them, and see single values and rows: [`classic`]
//! (detectors that others know), [`sample`] (exact distances of raw samples) and [`parity`] (what
//! other tools would have said).

mod capital;
pub mod chi_square;
pub mod classic;
pub mod correction;
pub mod distance;
pub mod drift;
pub mod harm;
pub mod joint;
pub mod paired;
pub mod parity;
pub mod sample;
pub mod shift;

pub use correction::benjamini_hochberg;
pub use drift::{Psi, psi};
