//! Every record Vigie derives: its type, its bytes, its format version. A public interface.
//!
//! Records that users read are JSON ([`prediction`], [`rejected`], [`window`], [`alert`],
//! [`control`]); records that only stages read are postcard ([`tracking`], [`journal`]).
//! Each carries the header [`RECORD_HEADER`] with its kind and format version.
//! [`age`] has the bins in which ages of labels are counted, [`example`] events that stand for others, [`sample`] rows
//! that do,
//! [`pane`] the panes of the journal but the first two.
//! [`swap_table`] holds what the control topic of another run says of its swaps.
//! It does no I/O. Read [`tracking`] and [`journal`] to see how stages talk to one another.

pub mod age;
pub mod alert;
pub mod control;
pub mod error;
pub mod example;
pub mod journal;
pub mod pane;
pub mod prediction;
pub mod rejected;
pub mod sample;
pub mod swap_table;
pub mod time;
pub mod tracking;
pub mod window;

pub use error::Error;
pub use swap_table::SwapTable;

/// Header on every derived record: kind and format version, for example `prediction/1`.
pub const RECORD_HEADER: &str = "vigie.record";

/// Kinds and format versions, as the header carries them.
pub mod kind {
    /// One prediction (JSON).
    pub const PREDICTION: &str = "prediction/1";
    /// A rejected record: the original bytes, the reason in headers.
    pub const REJECTED: &str = "rejected/1";
    /// A record of `p.tracking` (postcard).
    pub const TRACKING: &str = "tracking/1";
    /// A record of `p.journal` (postcard). Formats 2 to 5 added variants, 6 sizes of a regression's errors
    /// in cells and a variant, 7 two more, 8 cells of tasks without labels and a
    /// variant; earlier ones are read.
    pub const JOURNAL: &str = "journal/8";
    /// A record of `p.control` (JSON).
    pub const CONTROL: &str = "control/1";
    /// A window (JSON).
    pub const WINDOW: &str = "window/1";
    /// An alert (JSON).
    pub const ALERT: &str = "alert/1";
}

/// Bytes of an internal record.
///
/// # Errors
/// [`Error::Encode`] if a value cannot be represented; a fault of Vigie itself.
pub fn to_postcard<T: serde::Serialize>(record: &T) -> Result<Vec<u8>, Error> {
    postcard::to_stdvec(record).map_err(|e| Error::Encode(e.to_string()))
}

/// Reads an internal record.
///
/// # Errors
/// [`Error::Decode`] if the bytes are not such a record.
pub fn from_postcard<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    postcard::from_bytes(bytes).map_err(|e| Error::Decode(e.to_string()))
}

/// Bytes of a JSON record.
///
/// # Errors
/// [`Error::Encode`] if a value cannot be represented.
pub fn to_json<T: serde::Serialize>(record: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(record).map_err(|e| Error::Encode(e.to_string()))
}

/// Reads a JSON record.
///
/// # Errors
/// [`Error::Decode`] if the bytes are not such a record.
pub fn from_json<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::Decode(e.to_string()))
}
