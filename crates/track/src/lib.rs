//! The stages that follow labels: intake brings them in, join meets them with predictions.
//!
//! Both are deterministic functions of their input logs: they do no I/O, read no clock and
//! spawn nothing. Intake turns records of the labels topics into batches and markers of
//! `p.tracking`; join reads `p.tracking` alone, keeps every row until its label horizon has
//! passed, and writes cells of labelled rows and its balance to `p.journal`.
//! Read in this order: [`rules`] (when a label speaks of a prediction), [`intake`], [`join`].

pub mod error;
pub mod intake;
pub mod join;
pub mod rules;

pub use domain::Unlabelled;
pub use error::Error;
pub use intake::{Align, Intake, IntakeConfig};
pub use join::{Join, JoinConfig, ROWS_MAX};
pub use rules::Rules;
