//! Estimates against NannyML 0.13.1 on the data sets that it ships (Apache-2.0), kept as counts in
//! `testdata/cbpe_*.csv` by `testdata/cbpe.py`.

use super::{Calibration, Expected, Isotonic, ScoreMap, band};
use crate::{Performance, Shape};
use domain::Task;
use std::collections::BTreeMap;

const BINARY: &str = include_str!("../../testdata/cbpe_binary.csv");
const THREE: &str = include_str!("../../testdata/cbpe_three.csv");
const EXPECTED: &str = include_str!("../../testdata/cbpe_expected.csv");

/// NannyML orders rows of equal scores as numpy's unstable sort leaves them, and rounds sums to 5
/// decimals; with several classes, rows of equal scores have unequal probabilities, which moves its
/// AUC by up to 5e-7. Ours gives ties half.
const TOLERANCE: f64 = 1e-6;

fn numbers(line: &str) -> Vec<i64> {
    line.split(',').filter_map(|field| field.parse().ok()).collect()
}

fn score(hundredths: i64) -> f64 {
    hundredths as f64 / 100.0
}

fn lines(set: &str) -> impl Iterator<Item = (bool, Vec<i64>)> {
    BINARY.lines().filter(move |line| line.starts_with(set)).map(|line| (line.contains(",reference,"), numbers(line)))
}

fn expected(kind: &str, set: &str) -> impl Iterator<Item = Vec<&'static str>> {
    let prefix = format!("{kind},{set},");
    EXPECTED.lines().filter(move |line| line.starts_with(&prefix)).map(|line| line.split(',').skip(2).collect())
}

/// Chunk by period and number.
type Chunks = BTreeMap<(&'static str, usize), Expected>;

/// Reference scores and labels, class by class; of two classes those of the positive one.
fn references(set: &str) -> Vec<Vec<(f64, bool)>> {
    if set != "three" {
        let rows = lines(set).filter(|(is_reference, _)| *is_reference);
        return vec![rows.flat_map(|(_, n)| (0..n[4]).map(move |_| (score(n[1]), n[3] == 1))).collect()];
    }
    let of_class = |class: i64| {
        let counts = THREE.lines().filter(|line| line.starts_with('R')).map(numbers).filter(move |n| n[0] == class);
        counts.flat_map(|n| (0..n[3]).map(move |_| (score(n[1]), n[2] == 1))).collect()
    };
    (0..3).map(of_class).collect()
}

/// Maps fitted where NannyML fits them.
fn calibration(set: &str) -> Calibration {
    let decisions = expected("calibrated", set).map(|fields| fields[1] == "1");
    let map = |(rows, fits): (Vec<(f64, bool)>, bool)| match fits {
        true => ScoreMap::Isotonic(Isotonic::fit(&rows).unwrap()),
        false => ScoreMap::Identity,
    };
    Calibration::of(references(set).into_iter().zip(decisions).map(map).collect()).unwrap()
}

fn binary_chunks(set: &str) -> Chunks {
    let (calibration, mut chunks, mut probabilities) = (calibration(set), Chunks::new(), Vec::new());
    for (is_reference, n) in lines(set) {
        let period = if is_reference { "reference" } else { "analysis" };
        let sums = chunks.entry((period, n[0] as usize)).or_insert_with(|| Expected::new(2));
        calibration.apply(&[score(n[1])], &mut probabilities);
        for _ in 0..n[4] {
            sums.add(&[score(n[1])], n[2] as usize, &probabilities, 1);
        }
    }
    chunks
}

fn three_chunks() -> Chunks {
    let (calibration, mut chunks, mut probabilities) = (calibration("three"), Chunks::new(), Vec::new());
    for line in THREE.lines().filter(|line| line.starts_with("A,")) {
        let (head, entries) = line.rsplit_once(',').unwrap();
        let n = numbers(head);
        let sums = chunks.entry(("analysis", n[0] as usize)).or_insert_with(|| Expected::new(3));
        for entry in entries.split(' ') {
            let (second, rows) = entry.split_once(':').unwrap_or((entry, "1"));
            let second: i64 = second.parse().unwrap();
            let scores = [score(n[2]), score(second), score(100 - n[2] - second)];
            calibration.apply(&scores, &mut probabilities);
            for _ in 0..rows.parse().unwrap() {
                sums.add(&scores, n[1] as usize, &probabilities, 1);
            }
        }
    }
    chunks
}

fn ours(sums: &Expected, metric: &str) -> f64 {
    let place =
        ["true_negative", "false_positive", "false_negative", "true_positive"].iter().position(|n| *n == metric);
    if let Some(place) = place {
        return sums.confusion(1)[place];
    }
    let name = if metric == "roc_auc" { "auc" } else { metric };
    let estimates = sums.estimates();
    estimates.get(name).unwrap_or_else(|| &estimates[&format!("{name}_macro")]).value
}

#[test]
fn estimates_are_those_of_nannyml() {
    let sets =
        [("sample", binary_chunks("sample")), ("car_loan", binary_chunks("car_loan")), ("three", three_chunks())];
    println!("| set | period | chunk | metric | ours | NannyML | difference |");
    let mut compared = 0;
    for (set, chunks) in &sets {
        for fields in expected("value", set) {
            let period = if fields[0] == "reference" { "reference" } else { "analysis" };
            let sums = &chunks[&(period, fields[1].parse().unwrap())];
            let (found, theirs): (f64, f64) = (ours(sums, fields[2]), fields[3].parse().unwrap());
            println!(
                "| {set} | {period} | {} | {} | {found:.9} | {theirs:.9} | {:.1e} |",
                fields[1],
                fields[2],
                found - theirs
            );
            assert!((found - theirs).abs() < TOLERANCE, "{set} {fields:?}: {found}");
            compared += 1;
        }
    }
    assert_eq!(compared, 28 * 9 + 4 * 5, "chunks × metrics");
}

#[test]
fn maps_are_used_where_nannyml_uses_them() {
    for set in ["sample", "car_loan", "three"] {
        for (class, (rows, fields)) in references(set).iter().zip(expected("calibrated", set)).enumerate() {
            let fits = matches!(ScoreMap::fit(rows).unwrap(), ScoreMap::Isotonic(_));
            // NannyML's own decision on this class is luck: with its seed, 42, the error rises from
            // .00266 to .00270; with seeds 1 to 5 it falls, to between .0021 and .0038.
            let is_luck = (set, class) == ("three", 1);
            assert_eq!(fits, is_luck || fields[1] == "1", "{set} {class}");
        }
    }
}

#[test]
fn bands_are_those_of_nannyml() {
    let shape = |classes| Shape {
        task: if classes == 2 { Task::BinaryClassification } else { Task::MulticlassClassification },
        classes,
    };
    for set in ["sample", "car_loan", "three"] {
        let mut chunks: BTreeMap<i64, Performance> = BTreeMap::new();
        let counts: Vec<(i64, i64, i64, i64)> = match set {
            "three" => THREE
                .lines()
                .filter(|line| line.starts_with('C'))
                .map(numbers)
                .map(|n| (n[0], n[1], n[2], n[3]))
                .collect(),
            _ => lines(set).filter(|(is_reference, _)| *is_reference).map(|(_, n)| (n[0], n[3], n[2], n[4])).collect(),
        };
        for (chunk, label, prediction, rows) in counts {
            let sums =
                chunks.entry(chunk).or_insert_with(|| Performance::empty(shape(if set == "three" { 3 } else { 2 })));
            for _ in 0..rows {
                sums.add_label(prediction as f64, label as f64, 1);
            }
        }
        for fields in expected("band", set) {
            let name = if set == "three" && fields[0] == "f1" { "f1_macro" } else { fields[0] };
            let realised: Vec<f64> = chunks.values().map(|sums| sums.metrics()[name].value).collect();
            let found = band(&realised).unwrap();
            let ends: Vec<f64> = fields[1..].iter().map(|field| field.parse().unwrap()).collect();
            assert!(
                (found.low - ends[0]).abs() < TOLERANCE && (found.high - ends[1]).abs() < TOLERANCE,
                "{set} {fields:?} {found:?}"
            );
            assert!(found.contains(realised[0]) && !found.contains(ends[1] + 0.01));
        }
    }
}
