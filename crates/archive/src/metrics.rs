//! Names of everything the stage counts. The daemon emits them after the commit.

/// Files stored.
pub const FILES: &str = "vigie.archive.files";
/// Rows stored.
pub const ROWS: &str = "vigie.archive.rows";
/// Records skipped because they cannot be decoded.
pub const SKIPPED: &str = "vigie.archive.skipped";
/// Names that were taken by other rows: a topic that was made anew.
pub const NAMES_TAKEN: &str = "vigie.archive.names_taken";
/// Attempts the object store did not answer.
pub const FAULTS: &str = "vigie.archive.faults";
