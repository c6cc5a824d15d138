//! Opening a store; reading and writing single objects within bounds.

use crate::Error;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use std::path::PathBuf;
use std::sync::Arc;

const EXPECTED_URL: &str = "`file:///` and an absolute path of plain characters, or `memory:///`";

/// A registry. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    root: Option<Arc<std::path::Path>>,
}

impl Store {
    /// Opens `file:///folder` (made if it is not there) or `memory:///` (empty, for tests).
    ///
    /// # Errors
    /// [`Error::Url`] for other addresses and for folders that cannot be made.
    pub fn open(url: &str) -> Result<Self, Error> {
        if url == "memory:///" {
            return Ok(Self { objects: Arc::new(InMemory::new()), root: None });
        }
        let folder =
            url.strip_prefix("file://").filter(|path| is_plain(path)).ok_or_else(|| fault(url, EXPECTED_URL))?;
        std::fs::create_dir_all(folder).map_err(|e| fault(url, format!("a folder that can be made: {e}")))?;
        // The real path, so that addresses handed to others do not depend on links.
        let root = std::fs::canonicalize(folder).map_err(|e| fault(url, format!("a folder that can be read: {e}")))?;
        let objects =
            LocalFileSystem::new_with_prefix(&root).map_err(|e| fault(url, format!("a usable folder: {e}")))?;
        Ok(Self { objects: Arc::new(objects), root: Some(Arc::from(root)) })
    }

    /// The object store itself, to be registered with a query engine.
    #[must_use]
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects)
    }

    /// Where an object lies on this machine, if the store is a folder.
    pub(crate) fn local(&self, path: &Path) -> Option<PathBuf> {
        self.root.as_ref().map(|root| path.parts().fold(root.to_path_buf(), |folder, part| folder.join(part.as_ref())))
    }

    /// Writes an object that never changes. `Ok(false)` means that it was there with these bytes.
    pub(crate) async fn create(&self, path: &Path, bytes: Bytes) -> Result<bool, Error> {
        match self.objects.put_opts(path, PutPayload::from(bytes.clone()), PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(ObjectError::AlreadyExists { .. }) => {
                let found = self.read(path, bytes.len() as u64).await;
                match found {
                    Ok(found) if found == bytes => Ok(false),
                    Ok(_) | Err(Error::Size { .. }) => Err(Error::Conflict { path: path.to_string() }),
                    Err(error) => Err(error),
                }
            }
            Err(source) => Err(Error::Object { path: path.to_string(), source }),
        }
    }

    /// Writes an object that may change.
    pub(crate) async fn replace(&self, path: &Path, bytes: Bytes) -> Result<(), Error> {
        let put = self.objects.put(path, PutPayload::from(bytes)).await;
        put.map(drop).map_err(|source| Error::Object { path: path.to_string(), source })
    }

    /// Reads a whole object of at most `limit` bytes; the length is checked before the bytes come.
    pub(crate) async fn read(&self, path: &Path, limit: u64) -> Result<Bytes, Error> {
        let result = self.objects.get(path).await.map_err(|source| at(path, source))?;
        let found = result.meta.size;
        if found > limit {
            return Err(Error::Size { path: path.to_string(), found, limit });
        }
        result.bytes().await.map_err(|source| at(path, source))
    }

    /// Everything below a prefix, by name.
    pub(crate) async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, Error> {
        let mut found: Vec<ObjectMeta> =
            self.objects.list(Some(prefix)).try_collect().await.map_err(|source| at(prefix, source))?;
        found.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
    }

    /// Removes an object; one that is gone is fine.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), Error> {
        match self.objects.delete(path).await {
            Ok(()) | Err(ObjectError::NotFound { .. }) => Ok(()),
            Err(source) => Err(at(path, source)),
        }
    }
}

/// An absolute path without `..`, queries or escapes: nothing that is read one way here and
/// another way elsewhere.
fn is_plain(path: &str) -> bool {
    let parts = path.strip_prefix('/').map(|rest| rest.split('/'));
    let known = !path.contains(['%', '?', '#', '\\']) && !path.contains(char::is_control);
    known && parts.is_some_and(|mut parts| parts.all(|part| part != "." && part != ".."))
}

fn fault(url: &str, expected: impl ToString) -> Error {
    Error::Url { found: url.to_string(), expected: expected.to_string() }
}

fn at(path: &Path, source: ObjectError) -> Error {
    match source {
        ObjectError::NotFound { .. } => Error::Missing { path: path.to_string() },
        source => Error::Object { path: path.to_string(), source },
    }
}
