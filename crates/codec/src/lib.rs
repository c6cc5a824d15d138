//! Bytes to Arrow: JSON events and labels become columns; bad records are set apart.
//!
//! It does no I/O and never fails because of data: a record that cannot be read is returned with
//! its place in the batch and a stable reason ([`reason`]), and its neighbours never notice.
//! Each record is scanned once by itself, so isolation needs no second pass and a batch of
//! nothing but poison costs no more than a clean one.
//! Read in this order: [`format`](mod@format) (what a record looks like), [`event`], [`label`]; then the private
//! `scan` (JSON grammar), `paths` (where declared columns are) and `column` (typed buffers).

mod column;
pub mod error;
pub mod event;
pub mod format;
pub mod label;
mod paths;
pub mod reason;
mod record;
mod scan;
mod time;

pub use error::Error;
pub use event::{Decoded, EventDecoder};
pub use format::{EventFormat, LabelFormat, Source, TimeSource, TimeUnit, Tombstone};
pub use label::{DecodedLabels, LabelDecoder};
pub use reason::Refused;
pub use time::{EARLIEST_MS, LATEST_MS};

#[cfg(test)]
mod tests;
