//! Events and labels as Parquet: files the archive stage writes and seeds given by hand.
//!
//! Columns, both kinds: `_topic` (Utf8), `_partition` (Int32), `_offset` (Int64, null in seeds),
//! `_id` (Utf8); events: `_time` (timestamp in milliseconds, UTC) and the declared columns;
//! labels: `_label_time` (the same type) and `_value` (Float64).

use crate::layout::{number, partition, segment};
use crate::{Error, Store, parquet_file};
use arrow::array::RecordBatch;
use bytes::Bytes;
use domain::SourcePartition;
use object_store::path::Path;
use std::path::PathBuf;

/// Most bytes of one archive file.
const FILE_BYTES_MAX: u64 = 4 << 30;
const EXTENSION: &str = ".parquet";

/// Which stream rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamKind {
    /// Events.
    Events,
    /// Labels.
    Labels,
}

impl StreamKind {
    /// Its name in paths.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Labels => "labels",
        }
    }
}

/// Where the rows of a file come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Records of a source partition with offsets from `from` (inclusive) to `to` (exclusive).
    Range {
        /// The source partition.
        source: SourcePartition,
        /// First offset covered.
        from: i64,
        /// One past the last offset covered: the offset to commit.
        to: i64,
        /// How many files of other rows have the same offsets: a topic that was made anew begins
        /// at 0 again.
        others: u32,
    },
    /// Rows of a training file given by hand.
    Seed {
        /// SHA-256 of the file as given, 64 lower-case hex digits.
        sha256: String,
    },
}

/// One Parquet file of the archive. Its name says everything about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArchiveFile {
    /// The pipeline.
    pub pipeline: String,
    /// Events or labels.
    pub kind: StreamKind,
    /// Which records.
    pub origin: Origin,
}

impl ArchiveFile {
    /// The file of a source partition's records from `from` up to, but not with, `to`.
    #[must_use]
    pub fn range(pipeline: &str, kind: StreamKind, source: &SourcePartition, from: i64, to: i64) -> Self {
        Self {
            pipeline: pipeline.to_string(),
            kind,
            origin: Origin::Range { source: source.clone(), from, to, others: 0 },
        }
    }

    /// The next name for the same offsets, for other rows; a seed has none.
    #[must_use]
    pub fn next(mut self) -> Self {
        if let Origin::Range { others, .. } = &mut self.origin {
            *others = others.saturating_add(1);
        }
        self
    }

    /// The file of a seed.
    #[must_use]
    pub fn seed(pipeline: &str, kind: StreamKind, sha256: &str) -> Self {
        Self { pipeline: pipeline.to_string(), kind, origin: Origin::Seed { sha256: sha256.to_string() } }
    }

    /// Where it lies in the store.
    ///
    /// # Errors
    /// [`Error::Name`] when a part cannot be part of a path.
    pub fn path(&self) -> Result<Path, Error> {
        let pipeline = segment("pipeline", &self.pipeline)?;
        match &self.origin {
            Origin::Range { source, from, to, others } => {
                if from > to {
                    let found = format!("{from}-{to}");
                    return Err(Error::Name { what: "offset range", found, expected: "an end not before its start" });
                }
                let topic = segment("topic", &source.topic)?;
                let copy = if *others == 0 { String::new() } else { format!(".{others}") };
                let name = format!("{}-{}{copy}{EXTENSION}", number("offset", *from)?, number("offset", *to)?);
                Ok(folder(pipeline, self.kind, "topics").join(topic).join(partition(source)?).join(name))
            }
            Origin::Seed { sha256 } => {
                if !is_sha256(sha256) {
                    let found = sha256.chars().take(80).collect();
                    return Err(Error::Name { what: "seed", found, expected: "64 lower-case hex digits" });
                }
                Ok(folder(pipeline, self.kind, "seeds").join(format!("{sha256}{EXTENSION}")))
            }
        }
    }

    /// Reads the name back; `None` for a name this crate does not give.
    fn parse(pipeline: &str, kind: StreamKind, path: &Path) -> Option<Self> {
        let parts: Vec<String> = path.parts().map(|part| part.as_ref().to_string()).collect();
        let names: Vec<&str> = parts.iter().map(String::as_str).collect();
        let file = match names.as_slice() {
            [_, _, _, "topics", topic, partition, name] => {
                let (from, to) = name.strip_suffix(EXTENSION)?.split_once('-')?;
                let (to, others) = to.split_once('.').unwrap_or((to, "0"));
                let (from, to, others) = (from.parse().ok()?, to.parse().ok()?, others.parse().ok()?);
                let source = SourcePartition::new(topic, partition.parse().ok()?);
                Self { pipeline: pipeline.to_owned(), kind, origin: Origin::Range { source, from, to, others } }
            }
            [_, _, _, "seeds", name] => Self::seed(pipeline, kind, name.strip_suffix(EXTENSION)?),
            _ => return None,
        };
        // One name per file: what would be written elsewhere is not ours.
        file.path().is_ok_and(|own| own == *path).then_some(file)
    }
}

fn folder(pipeline: &str, kind: StreamKind, part: &str) -> Path {
    Path::from_iter(["archive", pipeline, kind.as_str(), part])
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Store {
    /// Stores rows under the file's name. The same rows twice change nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the name is taken by other rows; [`Error::Object`].
    pub async fn put_rows(&self, file: &ArchiveFile, rows: &RecordBatch) -> Result<(), Error> {
        self.put_batches(file, std::slice::from_ref(rows)).await
    }

    /// Stores the rows of a training file, named by the SHA-256 of that file.
    ///
    /// # Errors
    /// As [`Store::put_rows`]; [`Error::Content`] when there is no batch.
    pub async fn put_seed(
        &self,
        pipeline: &str,
        kind: StreamKind,
        sha256: &str,
        rows: &[RecordBatch],
    ) -> Result<ArchiveFile, Error> {
        let file = ArchiveFile::seed(pipeline, kind, sha256);
        self.put_batches(&file, rows).await?;
        Ok(file)
    }

    async fn put_batches(&self, file: &ArchiveFile, rows: &[RecordBatch]) -> Result<(), Error> {
        let path = file.path()?;
        let bytes = Bytes::from(parquet_file::write(&path, rows)?);
        match self.create(&path, bytes).await {
            Ok(_) => Ok(()),
            // Another build may write the same rows as other bytes: the rows decide.
            Err(Error::Conflict { path: taken }) => {
                let found = self.rows(file).await?;
                if parquet_file::same_rows(&path, &found, rows)? {
                    Ok(())
                } else {
                    Err(Error::Conflict { path: taken })
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Files the archive stage wrote, by topic, partition and offset. Ranges may overlap: readers
    /// take each offset once.
    ///
    /// # Errors
    /// [`Error::Content`] for a Parquet file with a name that is not ours; [`Error::Object`].
    pub async fn archive(&self, pipeline: &str, kind: StreamKind) -> Result<Vec<ArchiveFile>, Error> {
        self.files(pipeline, kind, "topics").await
    }

    /// Seeds, by hash.
    ///
    /// # Errors
    /// As [`Store::archive`].
    pub async fn seeds(&self, pipeline: &str, kind: StreamKind) -> Result<Vec<ArchiveFile>, Error> {
        self.files(pipeline, kind, "seeds").await
    }

    async fn files(&self, pipeline: &str, kind: StreamKind, part: &str) -> Result<Vec<ArchiveFile>, Error> {
        let prefix = folder(segment("pipeline", pipeline)?, kind, part);
        let objects = self.list(&prefix).await?;
        let parquet = objects.iter().filter(|o| o.location.as_ref().ends_with(EXTENSION));
        let files: Result<Vec<_>, _> = parquet
            .map(|object| {
                let file = ArchiveFile::parse(pipeline, kind, &object.location);
                file.ok_or_else(|| {
                    Error::content(&object.location, "name is not one of the archive's, expected FROM-TO or SHA256")
                })
            })
            .collect();
        let mut files = files?;
        files.sort();
        Ok(files)
    }

    /// Reads a file's rows.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Size`], [`Error::Content`] or [`Error::Object`].
    pub async fn rows(&self, file: &ArchiveFile) -> Result<Vec<RecordBatch>, Error> {
        let path = file.path()?;
        parquet_file::read(&path, self.read(&path, FILE_BYTES_MAX).await?)
    }

    /// Where a file lies on this machine, if the store is a folder.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn path_of(&self, file: &ArchiveFile) -> Result<Option<PathBuf>, Error> {
        Ok(self.local(&file.path()?))
    }

    /// A file's address for a query engine with which [`Store::objects`] is registered or, for
    /// `file://`, that reads the same disk.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn url_of(&self, file: &ArchiveFile) -> Result<String, Error> {
        let path = file.path()?;
        Ok(self.local(&path).map_or_else(|| format!("memory:///{path}"), |local| format!("file://{}", local.display())))
    }
}
