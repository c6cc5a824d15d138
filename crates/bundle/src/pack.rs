//! From parts to bytes.

use crate::bundle::apply;
use crate::file::{
    self, ABSOLUTE_ERROR, CALIBRATION, ERROR_GAP, GOLDEN, INPUT_SCHEMA, KERNEL, MANIFEST, MODEL, PIPELINE,
    RECONSTRUCTION, REFERENCE, SEGMENTS, SQUARED_ERROR, WANDER,
};
use crate::{
    Calibrated, Error, ErrorModels, FORMAT_VERSION, FileEntry, Manifest, golden, open, sha256_hex, version_of,
};
use arrow::array::RecordBatch;
use detect::shift::Wanders;
use domain::Version;
use models::Model;
use prepare::Preprocessor;
use std::collections::BTreeMap;

/// What training hands over.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Facts; `format_version` and `files` are overwritten, `requires` is completed.
    pub manifest_without_files: Manifest,
    /// The fitted preprocessing.
    pub preprocessor: Preprocessor,
    /// The model.
    pub model: Model,
    /// Profile of the reference window.
    pub reference: profile::Reference,
    /// 64 to 256 raw rows, with missing values, unseen categories and extremes among them.
    pub golden: RecordBatch,
    /// What the scores are worth, if known.
    pub calibrated: Option<Calibrated>,
    /// What errors a regression expects of itself, if known.
    pub errors: Option<ErrorModels>,
    /// How the columns of the reference wandered, if known.
    pub wander: Option<Wanders>,
    /// Counts of the reference within segments, where drift is watched in them.
    pub segments: profile::Segments,
    /// What rows are rebuilt from, if columns are watched together: the reference then has a column of
    /// its errors.
    pub reconstruction: Option<profile::Reconstruction>,
    /// Where the reference lies among all columns at once, if they are watched so.
    pub kernel: Option<profile::Kernel>,
}

/// A bundle as bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    /// Its name.
    pub version: Version,
    /// Name and bytes of each file; `manifest.json` is last.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Packs parts into files: the same parts give the same bytes. The golden outputs are computed
/// here, and the result has been opened once before it is returned: what cannot be opened is
/// never stored.
///
/// # Errors
/// [`Error`] naming the file that cannot be made or would be refused.
pub fn pack(parts: Parts) -> Result<Packed, Error> {
    let Parts { manifest_without_files: mut manifest, preprocessor, model, reference, golden, .. } = parts;
    let (calibrated, errors, wander) = (parts.calibrated, parts.errors, parts.wander);
    let unnamed = Version::new("new");
    let (scores, _) = apply(&unnamed, &preprocessor, &model, &golden)?;
    let input = preprocessor.input_schema().arrow();
    let mut files = vec![
        (GOLDEN.to_string(), golden::write(&golden, &scores)?),
        (INPUT_SCHEMA.to_string(), golden::write_stream(INPUT_SCHEMA, &input, None)?),
        (MODEL.to_string(), model.to_bytes()),
        (PIPELINE.to_string(), preprocessor.to_json().map_err(|e| Error::content(PIPELINE, e))?),
        (REFERENCE.to_string(), reference.to_arrow().map_err(|e| Error::content(REFERENCE, e))?),
    ];
    if let Some(calibrated) = &calibrated {
        files.push((CALIBRATION.to_string(), json(CALIBRATION, calibrated)?));
    }
    let mut kinds = vec![kind(&model)];
    if let Some(errors) = &errors {
        files.push((ABSOLUTE_ERROR.to_string(), errors.absolute.to_bytes()));
        files.push((SQUARED_ERROR.to_string(), errors.squared.to_bytes()));
        kinds.extend([kind(&errors.absolute), kind(&errors.squared)]);
        if let Some(gap) = &errors.gap {
            files.push((ERROR_GAP.to_string(), json(ERROR_GAP, gap)?));
        }
    }
    if let Some(wander) = &wander {
        files.push((WANDER.to_string(), json(WANDER, wander)?));
    }
    if !parts.segments.counts.is_empty() {
        files.push((SEGMENTS.to_string(), json(SEGMENTS, &parts.segments)?));
    }
    if let Some(reconstruction) = &parts.reconstruction {
        files.push((RECONSTRUCTION.to_string(), json(RECONSTRUCTION, reconstruction)?));
    }
    if let Some(kernel) = &parts.kernel {
        files.push((KERNEL.to_string(), json(KERNEL, kernel)?));
    }
    manifest.format_version = FORMAT_VERSION;
    manifest.requires.extend(kinds.into_iter().map(str::to_string));
    manifest.requires.sort();
    manifest.requires.dedup();
    manifest.files = files.iter().map(|(path, bytes)| entry(path, bytes)).collect();
    let bytes = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::content(MANIFEST, e))?;
    let version = version_of(&bytes);
    files.push((MANIFEST.to_string(), bytes));
    for (path, bytes) in &files {
        file::check_size(path, bytes.len() as u64)?;
    }
    let map: BTreeMap<String, Vec<u8>> = files.iter().cloned().collect();
    open(&version, &map)?;
    Ok(Packed { version, files })
}

fn json(file: &str, part: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(part).map_err(|e| Error::content(file, e))
}

fn entry(path: &str, bytes: &[u8]) -> FileEntry {
    FileEntry { path: path.to_string(), sha256: sha256_hex(bytes), bytes: bytes.len() as u64 }
}

/// What a reader must know to evaluate the model.
pub(crate) fn kind(model: &Model) -> &'static str {
    match model {
        Model::Centroids(_) => "model.centroids/1",
        Model::Forest(_) => "model.forest/1",
        Model::Linear(_) => "model.linear/1",
    }
}
