//! The same cases on a folder and in memory.

use crate::{ArchiveFile, Error, Origin, Store, StreamKind};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bundle::{Packed, version_of};
use bytes::Bytes;
use domain::{SourcePartition, Version};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use std::sync::Arc;

/// Each case runs on both kinds of store; the folder lives as long as the guard.
fn stores() -> (tempfile::TempDir, Vec<Store>) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/registry", folder.path().display());
    (folder, vec![Store::open(&url).unwrap(), Store::open("memory:///").unwrap()])
}

fn rows(first: i64, count: i64) -> RecordBatch {
    let offsets: ArrayRef = Arc::new(Int64Array::from_iter_values(first..first + count));
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((first..first + count).map(|i| format!("id{i}"))));
    RecordBatch::try_from_iter([("_offset", offsets), ("_id", ids)]).unwrap()
}

#[tokio::test]
async fn rows_come_back_and_a_name_never_changes_its_rows() {
    let (_folder, stores) = stores();
    let source = SourcePartition::new("flights.v1", 3);
    for store in stores {
        let files: Vec<ArchiveFile> = [0, 5, 10]
            .iter()
            .map(|&from| ArchiveFile::range("flights", StreamKind::Events, &source, from, from + 5))
            .collect();
        for (file, from) in files.iter().zip([0, 5, 10]) {
            store.put_rows(file, &rows(from, 5)).await.unwrap();
            store.put_rows(file, &rows(from, 5)).await.unwrap();
        }
        let other = store.put_rows(&files[0], &rows(1, 5)).await;
        assert!(matches!(other, Err(Error::Conflict { .. })), "{other:?}");
        let other = store.put_rows(&files[0], &rows(0, 400)).await;
        assert!(matches!(other, Err(Error::Conflict { .. })), "{other:?}");
        assert_eq!(store.archive("flights", StreamKind::Events).await.unwrap(), files);
        assert_eq!(store.archive("flights", StreamKind::Labels).await.unwrap(), []);
        assert_eq!(store.rows(&files[1]).await.unwrap(), [rows(5, 5)]);
        let sha = "ab".repeat(32);
        let seed = store.put_seed("flights", StreamKind::Labels, &sha, &[rows(0, 2), rows(2, 2)]).await.unwrap();
        assert_eq!(store.seeds("flights", StreamKind::Labels).await.unwrap(), std::slice::from_ref(&seed));
        assert_eq!(seed.origin, Origin::Seed { sha256: sha });
        assert_eq!(store.rows(&seed).await.unwrap(), [rows(0, 4)]);
        if let Some(path) = store.path_of(&seed).unwrap() {
            assert!(path.is_file());
            assert_eq!(store.url_of(&seed).unwrap(), format!("file://{}", path.display()));
        }
    }
}

#[tokio::test]
async fn the_same_rows_in_other_bytes_are_the_same_rows() {
    let store = Store::open("memory:///").unwrap();
    let file = ArchiveFile::range("p", StreamKind::Events, &SourcePartition::new("t", 0), 0, 4);
    let halves = crate::parquet_file::write(&file.path().unwrap(), &[rows(0, 2), rows(2, 2)]).unwrap();
    let mut other = parquet::arrow::ArrowWriter::try_new(Vec::new(), rows(0, 1).schema(), None).unwrap();
    other.write(&rows(0, 4)).unwrap();
    let other = other.into_inner().unwrap();
    assert_ne!(halves, other);
    store.create(&file.path().unwrap(), Bytes::from(other)).await.unwrap();
    store.put_rows(&file, &rows(0, 4)).await.unwrap();
}

#[tokio::test]
async fn other_rows_of_the_same_offsets_have_the_next_name() {
    for store in stores().1 {
        let first = ArchiveFile::range("p", StreamKind::Events, &SourcePartition::new("t.a", 0), 0, 4);
        let second = first.clone().next();
        store.put_rows(&first, &rows(0, 4)).await.unwrap();
        assert!(matches!(store.put_rows(&first, &rows(4, 4)).await, Err(Error::Conflict { .. })));
        store.put_rows(&second, &rows(4, 4)).await.unwrap();
        assert_eq!(store.archive("p", StreamKind::Events).await.unwrap(), [first, second.clone()]);
        assert_eq!(store.rows(&second).await.unwrap(), [rows(4, 4)]);
    }
}

#[tokio::test]
async fn no_name_leaves_its_folder() {
    let (folder, stores) = stores();
    std::fs::write(folder.path().join("secret"), "x").unwrap();
    let version = Version::new("0123456789ab");
    for store in stores {
        for name in ["", ".", "..", "../secret", "a/b", "/etc/passwd", "a\\b", "a%2e%2e", "a\0b", "é", &"a".repeat(250)]
        {
            let source = SourcePartition::new(name, 0);
            let file = ArchiveFile::range("p", StreamKind::Events, &source, 0, 1);
            let seed = ArchiveFile::seed("p", StreamKind::Events, name);
            let refused = [
                store.put_rows(&file, &rows(0, 1)).await,
                store.put_rows(&seed, &rows(0, 1)).await,
                store.archive(name, StreamKind::Events).await.map(drop),
                store.alias(name, "champion").await.map(drop),
                store.alias("p", name).await.map(drop),
                store.set_alias("p", name, &version).await,
                store.put_checkpoint("p", name, &SourcePartition::new("t", 0), 1, b"x").await,
                store.checkpoint("p", "join", &source, 1).await.map(drop),
                store.bundle(&Version::new(name)).await.map(drop),
                store.manifest(&Version::new(name)).await.map(drop),
            ];
            for (call, result) in refused.iter().enumerate() {
                assert!(matches!(result, Err(Error::Name { .. })), "{name:?}, call {call}: {result:?}");
            }
        }
        let negative = ArchiveFile::range("p", StreamKind::Events, &SourcePartition::new("t", -1), 0, 1);
        assert!(store.rows(&negative).await.is_err());
    }
}

#[test]
fn other_addresses_are_refused() {
    for url in
        ["", "/tmp/x", "s3://bucket", "file://tmp/x", "file:///a/../b", "file:///a%2fb", "memory://", "file:///a?b"]
    {
        assert!(matches!(Store::open(url), Err(Error::Url { .. })), "{url}");
    }
}

#[tokio::test]
async fn the_newest_three_checkpoints_are_kept_and_a_torn_one_is_passed_over() {
    let (_folder, stores) = stores();
    let source = SourcePartition::new("p.tracking", 1);
    for store in stores {
        assert_eq!(store.checkpoint("p", "join", &source, i64::MAX).await.unwrap(), None);
        for offset in [5, 100, 20, 1000] {
            store.put_checkpoint("p", "join", &source, offset, format!("state {offset}").as_bytes()).await.unwrap();
        }
        let read = async |not_beyond| store.checkpoint("p", "join", &source, not_beyond).await.unwrap();
        assert_eq!(read(i64::MAX).await, Some((1000, b"state 1000".to_vec())));
        assert_eq!(read(999).await, Some((100, b"state 100".to_vec())));
        assert_eq!(read(20).await, Some((20, b"state 20".to_vec())));
        assert_eq!(read(19).await, None);
        let other = SourcePartition::new("p.tracking", 11);
        assert_eq!(store.checkpoint("p", "join", &other, i64::MAX).await.unwrap(), None);
        let path = Path::from("checkpoints/p/join/p.tracking/1/00000000000000001000.checkpoint");
        for torn in [&b"state 1000"[..], b"", &[0; 200]] {
            store.objects().put(&path, Bytes::copy_from_slice(torn).into()).await.unwrap();
            assert_eq!(read(i64::MAX).await, Some((100, b"state 100".to_vec())));
        }
        store.put_checkpoint("p", "join", &source, 1000, b"again").await.unwrap();
        assert_eq!(read(i64::MAX).await, Some((1000, b"again".to_vec())));
    }
}

/// A manifest and a file as bytes; whole bundles are tested in `bundle`.
fn packed(model: &[u8]) -> Packed {
    let manifest = b"{}".to_vec();
    let files = vec![("model.bin".to_string(), model.to_vec()), ("manifest.json".to_string(), manifest.clone())];
    Packed { version: version_of(&manifest), files }
}

#[tokio::test]
async fn a_bundle_is_listed_once_its_manifest_is_there() {
    let (_folder, stores) = stores();
    for store in stores {
        let whole = packed(b"one");
        assert!(
            matches!(store.bundle(&whole.version).await, Err(Error::Missing { path }) if path.ends_with("manifest.json"))
        );
        let half = Packed { files: whole.files[..1].to_vec(), ..whole.clone() };
        store.put_bundle(&half).await.unwrap();
        assert_eq!(store.versions().await.unwrap(), []);
        store.put_bundle(&whole).await.unwrap();
        store.put_bundle(&whole).await.unwrap();
        assert_eq!(store.versions().await.unwrap(), std::slice::from_ref(&whole.version));
        let other = store.put_bundle(&packed(b"two")).await;
        assert!(matches!(other, Err(Error::Conflict { .. })), "{other:?}");
        // `{}` has the right hash but is no manifest: never a bundle, never an alias.
        assert!(matches!(store.bundle(&whole.version).await, Err(Error::Bundle(_))));
        assert!(store.set_alias("p", "champion", &whole.version).await.is_err());
        assert_eq!(store.alias("p", "champion").await.unwrap(), None);
        store.replace(&Path::from("aliases/p/champion"), Bytes::from_static(b"0123456789ab\n")).await.unwrap();
        assert_eq!(store.alias("p", "champion").await.unwrap(), Some(Version::new("0123456789ab")));
        store.replace(&Path::from("aliases/p/champion"), Bytes::from_static(b"../../x")).await.unwrap();
        assert!(matches!(store.alias("p", "champion").await, Err(Error::Content { .. })));
    }
}
