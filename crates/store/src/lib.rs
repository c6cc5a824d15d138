//! The object store: bundles, aliases, archive files, seeds and checkpoints behind one [`Store`].
//!
//! No name from outside becomes a path unchecked, nothing immutable is overwritten with other
//! content, and nothing is read without a bound. It runs no runtime of its own and decides nothing.
//! Read in this order: [`mod@store`] (opening; reading and writing within bounds), `layout` (where
//! things lie), `bundles` (bundles and aliases), [`archive`] (events and labels as Parquet),
//! `checkpoints`, [`error`].

pub mod archive;
mod bundles;
mod checkpoints;
pub mod error;
mod layout;
mod parquet_file;
pub mod store;

pub use archive::{ArchiveFile, Origin, StreamKind};
pub use error::Error;
pub use store::Store;

#[cfg(test)]
mod tests;
