//! Checkpoints of a stage's state, one folder per source partition.

use crate::{Error, Store, layout};
use bytes::Bytes;
use domain::SourcePartition;
use object_store::path::Path;

/// Checkpoints kept of a source partition.
const KEPT: usize = 3;
/// Most bytes of a checkpoint.
const BYTES_MAX: u64 = 4 << 30;
/// A checkpoint ends with the SHA-256 of what precedes it, in hex.
const TRAILER: usize = 64;
const EXTENSION: &str = ".checkpoint";

impl Store {
    /// Stores the state that covers a source partition up to, but not with, `offset`, and removes
    /// all but the newest three. A torn file of that name is replaced.
    ///
    /// # Errors
    /// [`Error::Name`] or [`Error::Object`].
    pub async fn put_checkpoint(
        &self,
        pipeline: &str,
        stage: &str,
        source: &SourcePartition,
        offset: i64,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let folder = layout::checkpoints(pipeline, stage, source)?;
        let path = folder.clone().join(format!("{}{EXTENSION}", layout::number("offset", offset)?));
        let mut file = Vec::with_capacity(bytes.len() + TRAILER);
        file.extend_from_slice(bytes);
        file.extend_from_slice(bundle::sha256_hex(bytes).as_bytes());
        self.replace(&path, Bytes::from(file)).await?;
        let kept = self.offsets(&folder).await?;
        for (_, old) in kept.iter().rev().skip(KEPT).filter(|(_, old)| *old != path) {
            self.remove(old).await?;
        }
        Ok(())
    }

    /// The newest whole checkpoint whose offset is not beyond `not_beyond`, with its offset. A
    /// torn one is passed over for the next older: the log holds what it would have saved.
    ///
    /// # Errors
    /// [`Error::Name`] or [`Error::Object`].
    pub async fn checkpoint(
        &self,
        pipeline: &str,
        stage: &str,
        source: &SourcePartition,
        not_beyond: i64,
    ) -> Result<Option<(i64, Vec<u8>)>, Error> {
        let folder = layout::checkpoints(pipeline, stage, source)?;
        let found = self.offsets(&folder).await?;
        for (offset, path) in found.into_iter().rev().filter(|(offset, _)| *offset <= not_beyond) {
            match self.read(&path, BYTES_MAX).await {
                Ok(file) => {
                    if let Some(bytes) = whole(&file) {
                        return Ok(Some((offset, bytes.to_vec())));
                    }
                }
                // Removed by another replica between the listing and here, or no checkpoint of ours.
                Err(Error::Missing { .. } | Error::Size { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Offsets and paths of a folder's checkpoints, ascending.
    async fn offsets(&self, folder: &Path) -> Result<Vec<(i64, Path)>, Error> {
        let objects = self.list(folder).await?;
        let named = objects.into_iter().filter_map(|object| {
            let offset = object.location.filename()?.strip_suffix(EXTENSION)?.parse().ok()?;
            Some((offset, object.location))
        });
        let mut found: Vec<(i64, Path)> = named.collect();
        found.sort();
        Ok(found)
    }
}

/// The bytes before the trailer, if it is theirs.
fn whole(file: &[u8]) -> Option<&[u8]> {
    let (bytes, trailer) = file.split_at_checked(file.len().checked_sub(TRAILER)?)?;
    (bundle::sha256_hex(bytes).as_bytes() == trailer).then_some(bytes)
}
