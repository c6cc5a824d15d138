//! Rules a machine can check: who depends on whom, how long files are, what every crate says of itself.

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn members() -> Vec<Package> {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    metadata.packages
}

/// Names of the normal and build dependencies of a member.
fn dependencies(package: &Package) -> BTreeSet<String> {
    package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development).map(|d| d.name.clone()).collect()
}

/// What each crate may use of the workspace: the table of the architecture page.
fn allowed() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("domain", ""),
        ("records", "domain"),
        ("expressions", "domain"),
        ("codec", "domain"),
        ("kafka", "domain records"),
        ("profile", "domain"),
        ("measure", "domain"),
        ("prepare", "domain expressions profile"),
        ("models", "domain"),
        ("detect", "domain profile measure"),
        ("bundle", "domain prepare models profile measure detect"),
        ("store", "domain bundle"),
        ("score", "domain records codec profile measure bundle"),
        ("track", "domain records codec profile measure"),
        ("judge", "domain records profile measure detect"),
        ("archive", "domain records codec store"),
        ("train", "domain records codec expressions prepare models profile measure detect bundle store"),
        ("console", "domain records profile measure bundle"),
    ])
}

#[test]
fn crates_use_only_what_the_architecture_page_allows() {
    let members = members();
    let names: BTreeSet<String> = members.iter().map(|p| p.name.to_string()).collect();
    for package in &members {
        let Some(allowed) = allowed().get(package.name.as_str()).copied() else { continue };
        let allowed: BTreeSet<String> = allowed.split_whitespace().map(str::to_owned).collect();
        let used: BTreeSet<String> = dependencies(package).intersection(&names).cloned().collect();
        let beyond: Vec<&String> = used.difference(&allowed).collect();
        assert!(
            beyond.is_empty(),
            "crate {} uses {beyond:?}, which the architecture page does not allow",
            package.name
        );
    }
}

#[test]
fn outside_libraries_are_known_to_their_crates_only() {
    type Rule = (fn(&str) -> bool, &'static [&'static str]);
    let rules: [Rule; 5] = [
        (|d| d.starts_with("rdkafka"), &["kafka"]),
        (|d| d.starts_with("linfa") || d.starts_with("lightgbm"), &["train"]),
        (|d| d.starts_with("datafusion"), &["train", "expressions"]),
        (|d| d == "object_store", &["store", "train"]),
        (|d| d.starts_with("opentelemetry") || d == "clap" || d == "config", &["daemon"]),
    ];
    for package in members() {
        for dependency in dependencies(&package) {
            for (matches, knowers) in rules {
                let is_known = knowers.contains(&package.name.as_str()) || package.name == "tests";
                assert!(!matches(&dependency) || is_known, "crate {} may not know {dependency}", package.name);
            }
        }
    }
}

/// Every Rust file of the workspace, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates"), root().join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 50, "the workspace's sources were not found");
    found
}

/// Tests may be longer than the code they test.
fn is_test(path: &Path) -> bool {
    let text = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    text.contains("tests") || text.contains("/benches/") || text.contains("/examples/")
}

#[test]
fn files_are_short_enough_to_read() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        let limit = match (is_test(&path), path.file_name().unwrap() == "lib.rs") {
            (true, _) => 800,
            (false, true) => 100,
            (false, false) => 500,
        };
        assert!(lines <= limit, "{} has {lines} lines; at most {limit}", path.display());
    }
}

#[test]
fn every_crate_says_what_it_is_and_inherits_the_lints() {
    for package in members() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} does not inherit the lints", package.name);
        let folder = package.manifest_path.parent().unwrap();
        let entry = ["src/lib.rs", "src/main.rs"].iter().map(|f| folder.join(f)).find(|f| f.exists()).unwrap();
        let text = std::fs::read_to_string(&entry).unwrap();
        assert!(text.starts_with("//! "), "{entry} does not begin with what the crate is");
        assert_eq!(package.name.as_str(), folder.file_name().unwrap(), "folder and package are named alike");
    }
}

/// Pure crates do no I/O, read no clock, draw no random number and spawn nothing.
#[test]
fn pure_crates_are_pure() {
    let pure = [
        "domain",
        "records",
        "expressions",
        "profile",
        "measure",
        "prepare",
        "models",
        "detect",
        "bundle",
        "score",
        "track",
        "judge",
    ];
    let forbidden = [
        "std::fs",
        "std::net",
        "std::thread",
        "std::process",
        "SystemTime",
        "Instant::now",
        "tokio::",
        "rand::",
        "RandomState",
        "std::env",
    ];
    for (path, text) in sources() {
        let relative = path.strip_prefix(root().join("crates")).map(Path::to_path_buf).unwrap_or_default();
        let owner = relative.iter().next().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if !pure.contains(&owner.as_str()) || is_test(&path) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in forbidden {
            assert!(!code.contains(word), "{} mentions {word}; the crate {owner} is pure", path.display());
        }
    }
}

#[test]
fn nothing_unfinished_is_left_and_no_test_is_ignored() {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("#[ig", "nore]"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    for (path, text) in sources() {
        for word in words {
            assert!(!text.contains(word), "{} contains {word}", path.display());
        }
    }
}

#[test]
fn every_configuration_key_is_explained_in_the_readme() {
    let file = std::fs::read_to_string(root().join("crates/daemon/src/config/file.rs")).unwrap();
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let keys = file.lines().filter_map(|line| line.trim().strip_prefix("pub(crate) ")).filter_map(|line| {
        let (name, kind) = line.split_once(": ")?;
        (!name.contains(' ') && kind.ends_with(',')).then_some(name)
    });
    let missing: Vec<&str> =
        keys.filter(|key| !readme.contains(&format!("`{key}`")) && !readme.contains(&format!("\n{key} ="))).collect();
    assert!(missing.is_empty(), "README.md does not explain these keys: {missing:?}");
}

/// Counters are ours, dotted, and say neither `_total` nor a unit: receivers add those.
#[test]
fn counters_are_named_alike() {
    let mut names = BTreeSet::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| !is_test(path)) {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        if path.ends_with("metrics.rs") {
            // Reasons of rejected records stand beside the names of counters.
            let counters = code.split("///").filter(|item| !item.starts_with(" Reason of a rejected record"));
            names.extend(counters.filter_map(|item| item.split('"').nth(1)).map(str::to_owned));
        }
        for opening in ["out.count(\"", "out.count_by(\"", "Count { name: \""] {
            names.extend(code.split(opening).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    assert!(names.contains("vigie.score.predictions") && names.len() > 15, "the counters were not found: {names:?}");
    let is_odd = |name: &&String| {
        let parts: Vec<&str> = name.split('.').collect();
        let is_word = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        parts.len() != 3 || parts[0] != "vigie" || !parts.iter().all(is_word) || name.ends_with("_total")
    };
    let odd: Vec<&String> = names.iter().filter(is_odd).collect();
    assert!(odd.is_empty(), "these counters are not named `vigie.area.what`: {odd:?}");
    let page = std::fs::read_to_string(root().join("config/telemetry.md")).unwrap();
    let missing: Vec<&String> = names.iter().filter(|name| !page.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty(), "telemetry/catalogue.rs does not list these counters: {missing:?}");
}
