//! From bytes to a bundle: sizes, then hashes, then requirements, then parsing, then golden rows.
//! Only what has passed all of them is returned.

use crate::file::{
    self, ABSOLUTE_ERROR, CALIBRATION, ERROR_GAP, GOLDEN, INPUT_SCHEMA, KERNEL, MANIFEST, MODEL, OPTIONAL, PIPELINE,
    RECONSTRUCTION, REFERENCE, SEGMENTS, SQUARED_ERROR, WANDER,
};
use crate::{Bundle, Calibrated, Error, ErrorModels, FILES, Manifest, golden, sha256_hex, version_of};
use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use detect::shift::Wanders;
use domain::{Task, Version};
use models::Model;
use prepare::Preprocessor;
use profile::reconstruction::RECONSTRUCTION_ERROR;
use profile::segments::SEGMENTS_MAX;
use profile::{Counts, Kernel, Reconstruction, Segments};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

type Files = BTreeMap<String, Vec<u8>>;

/// Opens a bundle. Files that no bundle of ours has are ignored, and never parsed.
///
/// # Errors
/// [`Error`] naming the file and what was expected of it.
pub fn open(version: &Version, files: &Files) -> Result<Bundle, Error> {
    for (name, bytes) in files.iter().filter(|(name, _)| file::size_limit(name).is_some()) {
        file::check_size(name, bytes.len() as u64)?;
    }
    let manifest = read_manifest(version, get(version, files, MANIFEST)?)?;
    let is_listed = |name: &str| manifest.files.iter().any(|entry| entry.path == name);
    let is_due = |name: &str| name != MANIFEST && (!OPTIONAL.contains(&name) || is_listed(name));
    for (name, _) in FILES.iter().filter(|(name, _)| is_due(name)) {
        check_hash(&manifest, name, get(version, files, name)?)?;
    }
    manifest.check()?;
    let preprocessor =
        Preprocessor::from_json(get(version, files, PIPELINE)?).map_err(|e| Error::content(PIPELINE, e))?;
    let model = Model::from_bytes(get(version, files, MODEL)?).map_err(|e| Error::content(MODEL, e))?;
    let reference =
        profile::Reference::from_arrow(get(version, files, REFERENCE)?).map_err(|e| Error::content(REFERENCE, e))?;
    check_agreement(&manifest, &preprocessor, &model)?;
    check_schema(&manifest, get(version, files, INPUT_SCHEMA)?)?;
    let (rows, expected) = golden::read(get(version, files, GOLDEN)?, manifest.outputs())?;
    let optional = |name| if is_listed(name) { get(version, files, name).map(Some) } else { Ok(None) };
    let calibrated = optional(CALIBRATION)?.map(|bytes| read_calibration(&manifest, bytes)).transpose()?;
    let calibrated = calibrated.map(Arc::new);
    if is_listed(ABSOLUTE_ERROR) != is_listed(SQUARED_ERROR) {
        return Err(Error::content(MANIFEST, "one model of errors is listed, expected both or none"));
    }
    let errors = if is_listed(ABSOLUTE_ERROR) {
        let read = |name| Model::from_bytes(get(version, files, name)?).map_err(|e| Error::content(name, e));
        let gap = optional(ERROR_GAP)?.map(|bytes| read_json(ERROR_GAP, bytes)).transpose()?;
        let errors = ErrorModels { absolute: read(ABSOLUTE_ERROR)?, squared: read(SQUARED_ERROR)?, gap };
        errors.check(manifest.task, preprocessor.features().len())?;
        Some(Arc::new(errors))
    } else {
        None
    };
    let columns = reference.layout.columns.len();
    let wander = optional(WANDER)?.map(|bytes| read_wander(columns, bytes)).transpose()?;
    let segments = optional(SEGMENTS)?.map(|bytes| read_segments(&reference, bytes)).transpose()?.unwrap_or_default();
    let is_profiled = reference.layout.columns.iter().any(|column| column.name == RECONSTRUCTION_ERROR);
    let reconstruction = optional(RECONSTRUCTION)?.map(|bytes| read_reconstruction(is_profiled, &rows, bytes));
    let reconstruction = reconstruction.transpose()?.map(Arc::new);
    let kernel = optional(KERNEL)?.map(|bytes| read_kernel(&reference, &rows, bytes)).transpose()?.map(Arc::new);
    let reference = Arc::new(reference);
    let version = version.clone();
    let bundle = Bundle {
        version,
        manifest,
        reference,
        calibrated,
        errors,
        wander,
        segments,
        reconstruction,
        kernel,
        preprocessor,
        model,
    };
    golden::compare(&bundle.apply(&rows)?, &expected)?;
    Ok(bundle)
}

/// Reads a manifest whose hash is the version. Unknown keys are ignored; what a reader must know
/// stands in `requires` and is checked by [`open`].
///
/// # Errors
/// [`Error::Mismatch`] for another hash, [`Error::Content`] for bytes that are no manifest.
pub fn read_manifest(version: &Version, bytes: &[u8]) -> Result<Manifest, Error> {
    file::check_size(MANIFEST, bytes.len() as u64)?;
    let found = version_of(bytes);
    if found != *version {
        return Err(mismatch(MANIFEST, "SHA-256 beginning", &found, version));
    }
    serde_json::from_slice(bytes).map_err(|e| Error::content(MANIFEST, e))
}

fn read_json<T: serde::de::DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::content(file, e))
}

/// One map per number that the model gives, and a gap that can have been measured.
fn read_calibration(manifest: &Manifest, bytes: &[u8]) -> Result<Calibrated, Error> {
    let found: Calibrated = read_json(CALIBRATION, bytes)?;
    let (maps, expected) = (found.calibration.maps().len(), manifest.outputs());
    let has_classes = matches!(manifest.task, Task::BinaryClassification | Task::MulticlassClassification);
    if !has_classes || maps != expected {
        let detail = format!("{maps} maps for task {:?}, expected {expected} of a classification", manifest.task);
        return Err(Error::content(CALIBRATION, detail));
    }
    if found.gap.as_ref().is_some_and(|gap| !gap.is_sound()) {
        return Err(Error::content(CALIBRATION, "gap holds a number out of range, expected shares and a spread"));
    }
    Ok(found)
}

fn read_wander(columns: usize, bytes: &[u8]) -> Result<Wanders, Error> {
    let found: Wanders = read_json(WANDER, bytes)?;
    if !found.fits(columns) {
        let detail = format!("{} columns or a number out of range, expected {columns} columns", found.columns.len());
        return Err(Error::content(WANDER, detail));
    }
    Ok(found)
}

/// Profiles in the bins of the reference: every row is in one bin of each column.
fn read_segments(reference: &profile::Reference, bytes: &[u8]) -> Result<Segments, Error> {
    let found: Segments = read_json(SEGMENTS, bytes)?;
    let columns = reference.layout.columns.len();
    let fits = |counts: &Counts| {
        (0..columns).all(|number| {
            let bins = counts.column(number, reference.layout.bin_count(number));
            bins.into_iter().map(u128::from).sum::<u128>() == u128::from(counts.rows())
        })
    };
    if found.counts.len() > SEGMENTS_MAX {
        let detail = format!("{} segments, expected at most {SEGMENTS_MAX}", found.counts.len());
        return Err(Error::content(SEGMENTS, detail));
    }
    if let Some((name, _)) = found.counts.iter().find(|(_, counts)| !fits(counts)) {
        let detail = format!("counts of segment `{name}` do not sum to its rows in each of {columns} columns");
        return Err(Error::content(SEGMENTS, detail));
    }
    Ok(found)
}

fn read_reconstruction(is_profiled: bool, golden: &RecordBatch, bytes: &[u8]) -> Result<Reconstruction, Error> {
    let found: Reconstruction = read_json(RECONSTRUCTION, bytes)?;
    if !found.is_sound() {
        return Err(Error::content(RECONSTRUCTION, "a number out of range, expected axes with a number per column"));
    }
    if !is_profiled {
        let detail = format!("the reference has no column `{RECONSTRUCTION_ERROR}`, expected one");
        return Err(Error::content(RECONSTRUCTION, detail));
    }
    found.errors(golden).map_err(|e| Error::content(RECONSTRUCTION, e))?;
    Ok(found)
}

fn read_kernel(reference: &profile::Reference, golden: &RecordBatch, bytes: &[u8]) -> Result<Kernel, Error> {
    let found: Kernel = read_json(KERNEL, bytes)?;
    if !found.is_sound() {
        return Err(Error::content(KERNEL, "a number out of range, expected frequencies with a weight per column"));
    }
    let (rows, expected) = (found.reference.rows(), reference.counts.rows());
    if rows != expected {
        return Err(Error::content(KERNEL, format!("{rows} rows, expected the {expected} of the reference")));
    }
    found.sum(golden).map_err(|e| Error::content(KERNEL, e))?;
    Ok(found)
}

fn get<'a>(version: &Version, files: &'a Files, name: &str) -> Result<&'a [u8], Error> {
    files
        .get(name)
        .map(Vec::as_slice)
        .ok_or_else(|| Error::Missing { version: version.to_string(), file: name.to_string() })
}

fn check_hash(manifest: &Manifest, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let mut entries = manifest.files.iter().filter(|entry| entry.path == name);
    let (Some(entry), None) = (entries.next(), entries.next()) else {
        return Err(Error::content(MANIFEST, format!("file `{name}` is not listed once, expected one hash of it")));
    };
    if entry.bytes != bytes.len() as u64 {
        return Err(mismatch(name, "length", &bytes.len(), &entry.bytes));
    }
    let found = sha256_hex(bytes);
    if found != entry.sha256 {
        return Err(mismatch(name, "SHA-256", &found, &entry.sha256));
    }
    Ok(())
}

fn mismatch(file: &str, what: &'static str, found: &dyn ToString, expected: &dyn ToString) -> Error {
    Error::Mismatch { file: file.to_string(), what, found: found.to_string(), expected: expected.to_string() }
}

/// Parts that are whole may still not belong together.
fn check_agreement(manifest: &Manifest, preprocessor: &Preprocessor, model: &Model) -> Result<(), Error> {
    let kind = crate::pack::kind(model);
    if !manifest.requires.iter().any(|r| r == kind) {
        return Err(Error::content(MODEL, format!("model is `{kind}`, expected what the manifest requires")));
    }
    if preprocessor.input_schema() != &manifest.input {
        return Err(Error::content(PIPELINE, "input columns differ, expected those of the manifest"));
    }
    let (found, expected) = (model.feature_count(), preprocessor.features().len());
    if found != expected {
        return Err(Error::content(MODEL, format!("model reads {found} features, expected {expected}")));
    }
    let (found, expected) = (model.outputs(), manifest.outputs());
    if found != expected {
        return Err(Error::content(MODEL, format!("model has {found} outputs, expected {expected}")));
    }
    Ok(())
}

fn check_schema(manifest: &Manifest, bytes: &[u8]) -> Result<(), Error> {
    let reader = StreamReader::try_new(Cursor::new(bytes), None).map_err(|e| Error::content(INPUT_SCHEMA, e))?;
    if reader.schema() != manifest.input.arrow() {
        return Err(Error::content(INPUT_SCHEMA, "columns differ, expected those of the manifest"));
    }
    Ok(())
}
