//! Stage archive: events and labels to Parquet files in the object store; what training reads.
//!
//! An offset is committed only when everything below it is stored, so nothing is lost; after a
//! crash rows may be stored twice under other names, and readers take each offset once. Records
//! that cannot be decoded are skipped: score and intake reject them where people look. It knows no
//! object store: files leave through [`Put`].
//! Read in this order: [`config`], [`stage`] (the state machine), `partition` (what is buffered and
//! how far it is stored), `rows` (columns of a file).

pub mod config;
pub mod error;
pub mod metrics;
mod partition;
mod rows;
pub mod stage;

pub use config::Config;
pub use error::Error;
pub use stage::{Archive, Put};

#[cfg(test)]
mod tests;
