//! Names of a bundle's files, their bounds and hashes.

use crate::Error;
use domain::Version;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Facts about the bundle; its hash is the bundle's version. Written last.
pub const MANIFEST: &str = "manifest.json";
/// The declared columns, as Arrow.
pub const INPUT_SCHEMA: &str = "input.schema";
/// Fitted preprocessing.
pub const PIPELINE: &str = "pipeline.json";
/// The model.
pub const MODEL: &str = "model.bin";
/// The reference profile.
pub const REFERENCE: &str = "reference.arrow";
/// Raw rows and the outputs they must give.
pub const GOLDEN: &str = "golden.arrow";

/// From scores to probabilities, and what they missed; classification only.
pub const CALIBRATION: &str = "calibration.json";
/// A model of the size of a row's error; regression only.
pub const ABSOLUTE_ERROR: &str = "absolute_error.bin";
/// A model of a row's squared error; regression only.
pub const SQUARED_ERROR: &str = "squared_error.bin";
/// Realised minus expected errors of the validation fold; regression only.
pub const ERROR_GAP: &str = "error_gap.json";
/// How the columns of the reference wandered from slice to slice.
pub const WANDER: &str = "wander.json";
/// The axes that rows are rebuilt from, where columns are watched together.
pub const RECONSTRUCTION: &str = "reconstruction.json";
/// The kernel of all columns and where the reference lies in it, where columns are watched together.
pub const KERNEL: &str = "kernel.json";
/// Counts of the reference within segments, where drift is watched in them.
pub const SEGMENTS: &str = "segments.json";

/// Files that a bundle may lack: earlier builds did not write them. A bundle has those that its
/// manifest lists. Readers that do not know them pass over them, so they change no format version.
pub const OPTIONAL: [&str; 8] =
    [ABSOLUTE_ERROR, CALIBRATION, ERROR_GAP, KERNEL, RECONSTRUCTION, SEGMENTS, SQUARED_ERROR, WANDER];

/// The files of a bundle with the most bytes each may have; the manifest is last.
pub const FILES: [(&str, u64); 14] = [
    (ABSOLUTE_ERROR, 64 << 20),
    (SQUARED_ERROR, 64 << 20),
    (ERROR_GAP, 1 << 20),
    (CALIBRATION, 64 << 20),
    (WANDER, 64 << 20),
    (RECONSTRUCTION, 64 << 20),
    (KERNEL, 64 << 20),
    (SEGMENTS, 256 << 20),
    (GOLDEN, 16 << 20),
    (INPUT_SCHEMA, 1 << 20),
    (MODEL, 512 << 20),
    (PIPELINE, 64 << 20),
    (REFERENCE, 64 << 20),
    (MANIFEST, 8 << 20),
];

/// Most bytes a file of that name may have, or `None` if a bundle has no such file.
#[must_use]
pub fn size_limit(file: &str) -> Option<u64> {
    FILES.iter().find(|(name, _)| *name == file).map(|&(_, limit)| limit)
}

/// SHA-256 in 64 lower-case hex digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        write!(hex, "{byte:02x}").unwrap_or_default();
        hex
    })
}

/// The version of the bundle with this manifest.
#[must_use]
pub fn version_of(manifest: &[u8]) -> Version {
    Version::new(&sha256_hex(manifest)[..12])
}

pub(crate) fn check_size(file: &str, found: u64) -> Result<(), Error> {
    let limit = size_limit(file).unwrap_or(0);
    if found > limit {
        return Err(Error::Size { file: file.to_string(), found, limit });
    }
    Ok(())
}
