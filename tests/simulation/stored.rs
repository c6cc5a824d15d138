//! What builds before this one wrote, it reads: while one replaces the other they share the topics, the
//! checkpoints of one are restored by the other, and bundles are kept for years.
//!
//! `tests/stored` has a folder for each format from those on that were written when this test was, and in it a
//! file for each task: lines of what it is, and its bytes as hexadecimal digits. They are never written anew.
//! What a build writes in a format that has no file yet is stored by running this test once with
//! `VIGIE_STORE=1`. A variant that is new in a format means a new number of the format.

use super::log::{Log, source};
use super::models::packed;
use super::script::Script;
use super::seen::Entry;
use super::world::{Chaos, World, join_config};
use bundle::Packed;
use domain::{Input, Outputs, SourcePartition, Stage, Task, TopicRole, Version};
use judge::{Judge, Retrain};
use records::kind;
use records::tracking::Tracking;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use track::Join;

/// Bytes by what they are.
type Lines = BTreeMap<String, Vec<u8>>;

/// The largest examples that are worth their space in the repository.
const RECORD_BYTES: usize = 1_500;
const CHECKPOINT_BYTES: usize = 60_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("stored")
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    bytes.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
    text
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn read(path: &Path) -> Lines {
    let text = std::fs::read_to_string(path).unwrap();
    let line = |line: &str| line.split_once(' ').map(|(what, bytes)| (what.to_owned(), from_hex(bytes))).unwrap();
    text.lines().map(line).collect()
}

/// Keeps the example that says most and is not too large, or else the smallest.
fn keep(lines: &mut Lines, what: &str, bytes: &[u8], most: usize) {
    let worth = |bytes: &[u8]| {
        (bytes.len() <= most, if bytes.len() <= most { bytes.len() as i64 } else { -(bytes.len() as i64) })
    };
    if lines.get(what).is_none_or(|known| worth(known) < worth(bytes)) {
        lines.insert(what.to_owned(), bytes.to_vec());
    }
}

/// Name of the variant of a record.
fn variant(record: &impl std::fmt::Debug) -> String {
    let text = format!("{record:?}");
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

/// Every checkpoint begins with the number of its format.
fn format_of(checkpoint: &[u8]) -> u32 {
    records::from_postcard(checkpoint).unwrap()
}

/// Restores a checkpoint and takes one.
fn taken_again(mut stage: impl Stage, source: &SourcePartition, bytes: &[u8]) -> Vec<u8> {
    let assigned = Input::Assigned { source, offset: Some(0), metadata: None, snapshot: Some(bytes) };
    stage.step(assigned, &mut Outputs::default()).unwrap();
    stage.snapshot(source).unwrap()
}

/// Examples of all that this build writes for a task, by format.
fn written(log: &Log, task: Task) -> BTreeMap<String, Lines> {
    let mut found: BTreeMap<String, Lines> = BTreeMap::new();
    let folder_of = |kind: &str| kind.replace('/', "-");
    for record in log.records(&source(TopicRole::Journal, 0)) {
        let bytes = record.value.as_ref().unwrap();
        let entry: Entry = records::from_postcard(bytes).unwrap();
        keep(found.entry(folder_of(kind::JOURNAL)).or_default(), &variant(&entry), bytes, RECORD_BYTES);
    }
    for partition in 0..3 {
        for record in log.records(&source(TopicRole::Tracking, partition)) {
            let bytes = record.value.as_ref().unwrap();
            let entry: Tracking = records::from_postcard(bytes).unwrap();
            keep(found.entry(folder_of(kind::TRACKING)).or_default(), &variant(&entry), bytes, RECORD_BYTES);
        }
    }
    for (stage, source) in [("judge", source(TopicRole::Journal, 0)), ("join", source(TopicRole::Tracking, 0))] {
        for bytes in log.checkpoints(stage, &source) {
            let lines = found.entry(format!("{stage}-{}", format_of(bytes))).or_default();
            keep(lines, "checkpoint", bytes, CHECKPOINT_BYTES);
        }
    }
    let models = [("plain", false), ("trees", true)]
        .into_iter()
        .filter(|(_, trees)| !trees || task == Task::BinaryClassification);
    for (name, with_trees) in models {
        let Packed { version, files } = packed(task, (0.25, 0.75), with_trees);
        let lines = found.entry(format!("bundle-{}", bundle::FORMAT_VERSION)).or_default();
        lines.extend(files.into_iter().map(|(file, bytes)| (format!("{name}/{version}/{file}"), bytes)));
    }
    found
}

/// Reads what is stored; of a format that this build writes, the bytes must be its own.
fn check(format: &str, lines: &Lines, script: &Script, is_ours: bool) {
    let same = |what: &str, ours: Vec<u8>, stored: &[u8]| {
        assert!(!is_ours || ours == stored, "{format}: {what} is read and then written in other bytes");
    };
    match format.split_once('-').unwrap().0 {
        "journal" => lines.iter().for_each(|(what, bytes)| {
            let entry: Entry = records::from_postcard(bytes).unwrap();
            assert_eq!(variant(&entry), *what, "{format}");
            same(what, records::to_postcard(&entry).unwrap(), bytes);
        }),
        "tracking" => lines.iter().for_each(|(what, bytes)| {
            let entry: Tracking = records::from_postcard(bytes).unwrap();
            assert_eq!(variant(&entry), *what, "{format}");
            same(what, records::to_postcard(&entry).unwrap(), bytes);
        }),
        "judge" => lines.iter().for_each(|(what, bytes)| {
            same(what, taken_again(Judge::new(script.judge.clone()), &source(TopicRole::Journal, 0), bytes), bytes);
        }),
        // It names the configuration it was made under, which is that of the simulation.
        "join" => lines.iter().for_each(|(what, bytes)| {
            same(what, taken_again(Join::new(join_config(script)), &source(TopicRole::Tracking, 0), bytes), bytes);
        }),
        "bundle" => {
            let mut bundles: BTreeMap<Version, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
            for (what, bytes) in lines {
                let parts: Vec<&str> = what.splitn(3, '/').collect();
                bundles.entry(Version::new(parts[1])).or_default().insert(parts[2].to_owned(), bytes.clone());
            }
            // Its golden rows are scored on the way, and must come out as they were.
            bundles.iter().for_each(|(version, files)| drop(bundle::open(version, files).unwrap()));
        }
        other => panic!("tests/stored has {other}, which no test reads"),
    }
}

#[test]
fn what_builds_before_wrote_is_read() {
    let mut asked = BTreeSet::new();
    for task in
        [Task::BinaryClassification, Task::MulticlassClassification, Task::Regression, Task::Anomaly, Task::Clustering]
    {
        let script = Script::new(task, 8, Retrain { on_new_labels: false, wait_for_runs: true, ..Retrain::default() });
        let log = World::log_of(&script, 0, Chaos::NONE, None);
        let file = format!("{task:?}.txt");
        let ours = written(&log, task);
        for (format, lines) in &ours {
            let path = folder().join(format).join(&file);
            if !path.exists() && std::env::var_os("VIGIE_STORE").is_some() {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                let text: String = lines.iter().map(|(what, bytes)| format!("{what} {}\n", hex(bytes))).collect();
                std::fs::write(&path, text).unwrap();
            }
            assert!(
                path.exists(),
                "{} is missing: nothing of this format is stored yet, see the module",
                path.display()
            );
            // Bundles are named by their bytes, the versions of libraries among them.
            let stored = read(&path);
            let is_known = |what: &&String| format.starts_with("bundle") || stored.contains_key(*what);
            let unknown: Vec<&String> = lines.keys().filter(|what| !is_known(what)).collect();
            assert!(unknown.is_empty(), "{format} of {task:?} has {unknown:?}, expected a new number of the format");
        }
        for entry in std::fs::read_dir(folder()).unwrap() {
            let format = entry.unwrap().file_name().into_string().unwrap();
            let path = folder().join(&format).join(&file);
            if path.exists() {
                check(&format, &read(&path), &script, ours.contains_key(&format));
                asked.insert(format);
            }
        }
    }
    assert!(asked.len() >= 5, "{asked:?}");
}
