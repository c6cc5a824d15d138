//! Where things lie below the registry's address. Only names that pass [`segment`] get here.
//!
//! `bundles/VERSION/FILE`, `aliases/PIPELINE/NAME`,
//! `archive/PIPELINE/KIND/topics/TOPIC/PARTITION/FROM-TO.parquet`, or `FROM-TO.N.parquet` of other rows,
//! `archive/PIPELINE/KIND/seeds/SHA256.parquet`,
//! `checkpoints/PIPELINE/STAGE/TOPIC/PARTITION/OFFSET.checkpoint`.
//! Numbers have 20 digits, so that names sort as numbers do.

use crate::Error;
use domain::{SourcePartition, Version};
use object_store::path::Path;

/// Characters and length of a Kafka topic name; pipelines, stages and aliases are narrower.
const EXPECTED: &str = "1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_`, `-`, and neither `.` nor `..`";

/// A name as one path segment: what passes needs no escaping and cannot leave its folder.
pub(crate) fn segment<'a>(what: &'static str, name: &'a str) -> Result<&'a str, Error> {
    let known = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if known && (1..=249).contains(&name.len()) && name != "." && name != ".." {
        return Ok(name);
    }
    // Cut, since a name from outside may be of any length.
    Err(Error::Name { what, found: name.chars().take(80).collect(), expected: EXPECTED })
}

pub(crate) fn number(what: &'static str, value: i64) -> Result<String, Error> {
    if value < 0 {
        return Err(Error::Name { what, found: value.to_string(), expected: "a number that is not negative" });
    }
    Ok(format!("{value:020}"))
}

pub(crate) fn bundles() -> Path {
    Path::from_iter(["bundles"])
}

pub(crate) fn bundle_file(version: &Version, file: &str) -> Result<Path, Error> {
    if !version.is_well_formed() {
        let found = version.as_str().chars().take(80).collect();
        return Err(Error::Name { what: "version", found, expected: "12 lower-case hex digits" });
    }
    Ok(Path::from_iter(["bundles", version.as_str(), segment("bundle file", file)?]))
}

pub(crate) fn alias(pipeline: &str, name: &str) -> Result<Path, Error> {
    Ok(Path::from_iter(["aliases", segment("pipeline", pipeline)?, segment("alias", name)?]))
}

/// Folder of a source partition's checkpoints.
pub(crate) fn checkpoints(pipeline: &str, stage: &str, source: &SourcePartition) -> Result<Path, Error> {
    let (pipeline, stage) = (segment("pipeline", pipeline)?, segment("stage", stage)?);
    let partition = partition(source)?;
    Ok(Path::from_iter(["checkpoints", pipeline, stage, segment("topic", &source.topic)?, &partition]))
}

pub(crate) fn partition(source: &SourcePartition) -> Result<String, Error> {
    if source.partition < 0 {
        let found = source.partition.to_string();
        return Err(Error::Name { what: "partition", found, expected: "a number that is not negative" });
    }
    Ok(source.partition.to_string())
}
