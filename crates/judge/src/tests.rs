//! A simulated pipeline around the judge, and what the judge must do in it.

mod contract;
mod coverage;
mod decisions;
mod drift;
pub(crate) mod fixtures;
mod simulation;
mod together;
mod windows;
mod world;
