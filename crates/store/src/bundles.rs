//! Bundles and the aliases that point at them.

use crate::{Error, Store, layout};
use bundle::{Bundle, FILES, MANIFEST, Manifest, Packed};
use bytes::Bytes;
use domain::Version;
use std::collections::{BTreeMap, BTreeSet};

/// An alias file holds a version and a line end.
const ALIAS_BYTES_MAX: u64 = 64;

impl Store {
    /// Stores a bundle: files first, the manifest last, so that what is listed is whole. The same
    /// bundle twice changes nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a file of that version has other content; [`Error::Object`].
    pub async fn put_bundle(&self, packed: &Packed) -> Result<(), Error> {
        let (manifest, files): (Vec<_>, Vec<_>) = packed.files.iter().partition(|(name, _)| name == MANIFEST);
        for (name, bytes) in files.into_iter().chain(manifest) {
            let path = layout::bundle_file(&packed.version, name)?;
            self.create(&path, Bytes::copy_from_slice(bytes)).await?;
        }
        Ok(())
    }

    /// Reads and verifies a bundle.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such bundle, [`Error::Bundle`] when it does not verify.
    pub async fn bundle(&self, version: &Version) -> Result<Bundle, Error> {
        let mut files = BTreeMap::new();
        // The manifest tells whether the bundle is whole: first, that a missing one is named so.
        for (name, limit) in FILES.iter().rev() {
            let path = layout::bundle_file(version, name)?;
            match self.read(&path, *limit).await {
                Ok(bytes) => files.insert((*name).to_string(), bytes.to_vec()),
                // Opening names the file in terms of the bundle.
                Err(Error::Missing { .. }) if *name != MANIFEST => None,
                Err(error) => return Err(error),
            };
        }
        Ok(bundle::open(version, &files)?)
    }

    /// Reads a bundle's manifest, whose hash is checked; the other files are not looked at.
    ///
    /// # Errors
    /// As [`Store::bundle`].
    pub async fn manifest(&self, version: &Version) -> Result<Manifest, Error> {
        let limit = bundle::size_limit(MANIFEST).unwrap_or(0);
        let bytes = self.read(&layout::bundle_file(version, MANIFEST)?, limit).await?;
        Ok(bundle::read_manifest(version, &bytes)?)
    }

    /// Versions whose manifest is there, by name.
    ///
    /// # Errors
    /// [`Error::Object`].
    pub async fn versions(&self) -> Result<Vec<Version>, Error> {
        let mut versions = BTreeSet::new();
        for object in self.list(&layout::bundles()).await? {
            let parts: Vec<String> = object.location.parts().map(|part| part.as_ref().to_string()).collect();
            if let [_, version, file] = parts.as_slice() {
                let version = Version::new(version);
                if file == MANIFEST && version.is_well_formed() {
                    versions.insert(version);
                }
            }
        }
        Ok(versions.into_iter().collect())
    }

    /// What an alias points at, if it has been set.
    ///
    /// # Errors
    /// [`Error::Content`] when the file does not hold a version; [`Error::Object`].
    pub async fn alias(&self, pipeline: &str, name: &str) -> Result<Option<Version>, Error> {
        let path = layout::alias(pipeline, name)?;
        let bytes = match self.read(&path, ALIAS_BYTES_MAX).await {
            Ok(bytes) => bytes,
            Err(Error::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let version = std::str::from_utf8(&bytes).map(|text| Version::new(text.trim_end()));
        match version {
            Ok(version) if version.is_well_formed() => Ok(Some(version)),
            _ => Err(Error::content(&path, format!("alias is {bytes:?}, expected a version"))),
        }
    }

    /// Points an alias at a version.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such bundle; [`Error::Object`].
    pub async fn set_alias(&self, pipeline: &str, name: &str, version: &Version) -> Result<(), Error> {
        let path = layout::alias(pipeline, name)?;
        self.manifest(version).await?;
        self.replace(&path, Bytes::from(format!("{version}\n"))).await
    }
}
