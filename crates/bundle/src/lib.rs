//! The bundle: preprocessor, model, reference profile and golden rows as one verified artifact.
//!
//! It does no I/O (bytes come in, bytes go out), executes nothing a bundle holds, and parses no
//! byte whose hash it has not checked.
//! Read in this order: [`manifest`] (facts about a bundle), [`mod@file`] (names, bounds, hashes),
//! [`mod@pack`] (parts to bytes), [`mod@open`] (bytes to a bundle, or an error), [`mod@bundle`] (apply), [`errors`],
//! `golden` (rows replayed before anything is visible), [`error`].

pub mod bundle;
pub mod error;
pub mod errors;
pub mod file;
mod golden;
pub mod manifest;
pub mod open;
pub mod pack;

pub use bundle::{Bundle, Calibrated, Scores};
pub use error::Error;
pub use errors::{ErrorModels, RowErrors};
pub use file::{FILES, MANIFEST, OPTIONAL, sha256_hex, size_limit, version_of};
pub use manifest::{FORMAT_VERSION, FileEntry, Manifest};
pub use open::{open, read_manifest};
pub use pack::{Packed, Parts, pack};

#[cfg(test)]
mod tests;
