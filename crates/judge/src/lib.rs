//! Stage `judge`: the journal goes in; windows, alerts and decisions come out.
//!
//! It never reads a clock, touches a broker or sees a row: panes, markers, commands and run
//! reports are all it knows, in the order of the journal, and what it says is a function of them.
//! Read in this order: [`judge`] (how decisions are made), `intake` (journal records into
//! slices), `clock` (closed, mature, final), `windows`, `coverage`, `estimated`, `exact` (areas), `drift`, `shifts` (drift
//! over time), `together` (all columns at once), `sampled` (rows that clusters are judged by), `examples` (events that alerts name), `harm`, `concept`, `classic` (detectors that others know), `probation`, `alerts`, `policy` (when to retrain), `runs`, `promotion`,
//! `imposed` (when another run has decided),
//! `state`, [`config`].

mod alerts;
mod arrivals;
mod classic;
mod clock;
mod concept;
pub mod config;
mod coverage;
mod drift;
mod emit;
mod error;
mod estimated;
mod exact;
mod examples;
mod gaps;
mod harm;
mod imposed;
mod intake;
pub mod judge;
mod policy;
mod probation;
mod promotion;
mod runs;
mod sampled;
mod shifts;
mod stage;
mod state;
mod together;
mod windows;

pub use config::{Budget, Config, Known, Retrain};
pub use error::Error;
pub use judge::Judge;
pub use together::JOINT_DISTRIBUTION;

#[cfg(test)]
mod tests;
