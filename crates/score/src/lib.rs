//! Stage score: events in; predictions, tracking, panes, rejected records and markers out.
//!
//! It never waits for labels, keeps no statistics across transactions and never scores a
//! partition with another line-up than the one its log position fixes: while a bundle is missing
//! the partition takes no input. It does no I/O, reads no clock and spawns nothing.
//! Read in this order: [`config`], [`stage`] (the state machine), `partition` (watermark and
//! line-up of one partition), `promotions` (which line-up comes when, by decision or by an imposed
//! table), `live` (a verified bundle), `run` (one batch), then what is written: `publish`, `tracking`,
//! `pane`, `segments`, `kernel`, `examples`, `expected`, `marker`.

pub mod config;
pub mod error;
mod examples;
mod expected;
mod kernel;
mod live;
mod marker;
pub mod metrics;
mod pane;
mod partition;
mod promotions;
mod publish;
mod run;
mod sample;
mod segments;
pub mod stage;
mod tracking;

pub use config::{Config, Segment};
pub use error::Error;
pub use stage::Stage;

#[cfg(test)]
mod tests;
