//! Everything that touches Kafka: the stage runner with its delivery guarantee, topics, plain
//! readers and writers, and an embedded broker for the demo.
//!
//! It never looks into a record and never decides anything a stage could decide.
//! Read in this order: [`runner`] (how delivery is kept), [`settings`] and [`hooks`] (what a runner
//! is given), `consumer`, `rebalance`, `restore`, `control` (what goes in), `producer`, `delivery`,
//! `transaction`, `abandon` (what comes out), `client`, `token` and [`secret`] (what all clients share, and how
//! they say who they are), then [`topics`], [`sender`], [`tail`], [`subscriber`], [`progress`], [`instance`],
//! [`embedded`].

mod abandon;
mod client;
mod consumer;
mod control;
mod delivery;
pub mod embedded;
pub mod error;
mod faults;
mod gap;
pub mod hooks;
pub mod instance;
mod producer;
pub mod progress;
mod rebalance;
mod restore;
pub mod runner;
pub mod secret;
pub mod sender;
pub mod settings;
pub mod subscriber;
pub mod tail;
mod token;
pub mod topics;
mod transaction;

pub use embedded::EmbeddedBroker;
pub use error::Error;
pub use hooks::{Hooks, LoadedPart, Stop};
pub use instance::{Slot, instance_slot};
pub use progress::Progress;
pub use runner::run;
pub use secret::Secret;
pub use sender::{Message, Sender};
pub use settings::{Connection, Delivery, GroupProtocol, OutOfLog, RunnerConfig};
pub use subscriber::Subscriber;
pub use tail::{Start, Tail};
pub use topics::{Need, NeedValue, TopicSpec, Topics};

#[cfg(test)]
mod lost_tests;
