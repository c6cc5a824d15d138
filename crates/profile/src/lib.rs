//! Mergeable column statistics: what a window's rows look like, in counts that add up exactly.
//!
//! It never does I/O, never keeps a value of a row, and never sums floating-point numbers over live
//! rows: counts and integers of 64 bits are all there is, so that any cut, order and replica count gives
//! the same bytes. Tests on these live in `detect`.
//! Read in this order: [`layout`] (the bins of every column), [`edges`] (where they come from),
//! [`observe`] (rows into counts, the data path), [`counts`] (merge, subtract, bytes), [`segments`]
//! (rows of which value),
//! [`reference`](mod@reference) (what a bundle carries), [`encoded`] (columns of any kind as numbers),
//! [`reconstruction`] and [`kernel`] (columns together), [`error`].

pub mod clusters;
pub mod counts;
pub mod edges;
pub mod encoded;
pub mod error;
pub mod kernel;
mod kernel_fit;
pub mod layout;
mod lookup;
pub mod observe;
pub mod reconstruction;
pub mod reference;
pub mod segments;

pub use clusters::cluster_names;
pub use counts::Counts;
pub use encoded::Encoded;
pub use error::Error;
pub use kernel::{Kernel, MeanVector, Standardised};
pub use layout::{Bins, ColumnLayout, Layout};
pub use reconstruction::Reconstruction;
pub use reference::Reference;
pub use segments::{SegmentCounts, SegmentValues, Segments, segment_name};

/// Most bins between the edges of a numeric column, whatever the caller asks for.
pub const BINS_MAX: usize = 1024;
/// Most values of a category that have a bin of their own; the rest is *other*.
pub const CATEGORIES_MAX: usize = 64;
