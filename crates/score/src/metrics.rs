//! Names of everything the stage counts. The daemon emits them after the commit.

/// Events read.
pub const EVENTS: &str = "vigie.score.events";
/// Predictions published.
pub const PREDICTIONS: &str = "vigie.score.predictions";
/// Records rejected, by `reason`.
pub const REJECTED: &str = "vigie.score.rejected";
/// Events too far ahead of their own record's timestamp to move the watermark.
pub const FUTURE: &str = "vigie.score.future";
/// Events older than the end of their window.
pub const AFTER_FINAL: &str = "vigie.score.after_final";
/// Tombstones ignored by configuration.
pub const IGNORED: &str = "vigie.score.ignored";
/// Changes of a partition's line-up.
pub const SWAPS: &str = "vigie.score.swaps";
/// Bundles that could not be used.
pub const BUNDLE_FAULTS: &str = "vigie.score.bundle_faults";
/// Rows a shadow could not score; they are published all the same.
pub const SHADOW_FAULTS: &str = "vigie.score.shadow_faults";
/// Records of `p.control` that could not be read.
pub const CONTROL_UNREADABLE: &str = "vigie.score.control_unreadable";

/// Reason of a rejected record: the model's output is not a finite number.
pub const NOT_FINITE: &str = "score.not_finite";
/// Reason of a rejected record: with its key and id the prediction would not fit `p.predictions`.
pub const TOO_LARGE: &str = "prediction.size";
/// Reason of a rejected record: preprocessing or model failed on this row alone.
pub const FAILED: &str = "score.failed";
