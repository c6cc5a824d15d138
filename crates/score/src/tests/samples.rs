//! Samples of the rows of clusters.

use super::{A, B, Entry, Event, Seen, config, control, event, load, promotion, raw, run, source, started};
use domain::{Fingerprint, Input, Outputs, Stage as _, Task, TopicRole, fingerprint};
use proptest::prelude::*;
use records::journal::Journal;
use records::sample::ROWS_MAX;
use std::collections::BTreeMap;

/// So many events in two slices, every third of them in the second.
fn log(rows: i64) -> Vec<Event> {
    let of = |n: i64| event(10_000 + n % 3 / 2 * 1_000 + n % 200, &n.to_string(), "null");
    (0..rows).map(of).collect()
}

/// Of what was published, by slice and version, the rows with the smallest fingerprints are in the samples.
fn check(seen: &Seen) {
    let mut published: BTreeMap<(i64, String), Vec<(Fingerprint, f32)>> = BTreeMap::new();
    for line in &seen.predictions {
        let json = &line[line.find('{').unwrap()..=line.rfind('}').unwrap()];
        let prediction: serde_json::Value = serde_json::from_str(json).unwrap();
        let id = prediction["id"].as_str().unwrap();
        let (time_ms, x) = id.trim_start_matches('e').split_once('-').unwrap();
        let slice = time_ms.parse::<i64>().unwrap() / 1_000 * 1_000;
        let rows = published.entry((slice, prediction["version"].as_str().unwrap().to_owned())).or_default();
        rows.push((fingerprint(id.as_bytes()), x.parse().unwrap()));
    }
    for rows in published.values_mut() {
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
        rows.truncate(ROWS_MAX);
    }
    let of = |rows: &Vec<(Fingerprint, f32)>| rows.iter().map(|(_, x)| vec![*x, *x]).collect::<Vec<_>>();
    let expected: BTreeMap<_, _> = published.iter().map(|(place, rows)| (place.clone(), of(rows))).collect();
    let found = seen.samples.iter().map(|(place, sample)| {
        let rows: Vec<Vec<f32>> = sample.rows().map(|row| row.features.clone()).collect();
        (place.clone(), rows)
    });
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A process that takes a partition up again scores rows once more, and if a promotion came in between
    /// they are another champion's, until the one before is brought back.
    #[test]
    fn samples_are_of_what_was_published(
        mut cuts in prop::collection::vec((0..900_usize, 0..2_u8), 4..12),
        promoted in prop::collection::btree_set(0..12_usize, 1..8),
    ) {
        cuts.sort_unstable();
        let (log, config) = (log(900), config(Task::Clustering));
        let mut decided = vec![promotion(1, None, &[A])];
        let mut stage = started(&config, &decided, None);
        let (mut seen, mut metadata, mut from) = (Seen::default(), String::new(), 0);
        for (number, (to, is_undone)) in cuts.into_iter().chain([(900, 1)]).enumerate() {
            let mut out = Outputs::default();
            stage.step(Input::Batch(&raw(&log, from, to.max(from))), &mut out).unwrap();
            if promoted.contains(&number) {
                let version = if decided.len() % 2 == 0 { A } else { B };
                decided.push(promotion(decided.len() as u64 + 1, None, &[version]));
                stage.step(Input::Control(&control(&decided)), &mut out).unwrap();
                load(&mut stage, &config, &mut out);
            }
            if is_undone == 0 {
                let source = source();
                stage.step(Input::Revoked(&source), &mut Outputs::default()).unwrap();
                let metadata = Some(metadata.as_str());
                let assigned = Input::Assigned { source: &source, offset: None, metadata, snapshot: None };
                let mut aside = Outputs::default();
                stage.step(assigned, &mut aside).unwrap();
                load(&mut stage, &config, &mut aside);
                continue;
            }
            seen.commit(&out);
            (metadata, from) = (stage.commit_metadata(&source()), to.max(from));
        }
        check(&seen);
    }
}

#[test]
fn however_the_log_is_cut_and_whoever_crashes_the_samples_are_the_same() {
    let log = log(3_000);
    let decisions = [promotion(1, None, &[A]), promotion(2, Some(11_100), &[B])];
    let config = config(Task::Clustering);
    let whole = run(&config, &decisions, &log, &[], &[]);
    check(&whole);
    assert_eq!(whole.samples.len(), 4, "two slices by two versions");
    let cuts: Vec<usize> = (0..3_000).step_by(70).collect();
    let seen = run(&config, &decisions, &log, &cuts, &[3, 20, 40]);
    assert_eq!(seen.samples, whole.samples);
}

#[test]
fn rows_that_cannot_be_in_a_sample_any_more_are_not_told() {
    let (log, config) = (log(20_000), config(Task::Clustering));
    let mut stage = started(&config, &[promotion(1, None, &[A])], None);
    let (mut told, mut seen) = (Vec::new(), Seen::default());
    for from in (0..log.len()).step_by(100) {
        let mut out = Outputs::default();
        stage.step(Input::Batch(&raw(&log, from, from + 100)), &mut out).unwrap();
        seen.commit(&out);
        let journal = out.records().filter(|r| r.topic == TopicRole::Journal);
        let entries = journal.map(|r| records::from_postcard::<Entry>(r.value.unwrap()).unwrap());
        let rows = |entry| match entry {
            Journal::Sample(pane) => pane.cells.iter().map(|cell| cell.sample.rows().len()).sum(),
            _ => 0,
        };
        told.push(entries.map(rows).sum::<usize>());
    }
    check(&seen);
    assert_eq!(told[0], 99, "all of the first batch but the one without a prediction");
    // 128 of n rows stay, so of the last 1,000 of 20,000 some 2 × 128 / 20 are told.
    let last: usize = told.iter().rev().take(10).sum();
    assert!((1..64).contains(&last), "{last}");
}

/// They would be kept until they are due, in place of slices that are.
#[test]
fn events_of_the_future_are_in_no_sample() {
    let mut log = log(60);
    log.extend((0..20).map(|n| event(1_000_000 + n * 1_000, "5", "null")));
    let seen = run(&config(Task::Clustering), &[promotion(1, None, &[A])], &log, &[], &[]);
    assert_eq!((seen.counters.future, seen.counters.scored), (20, 79));
    assert_eq!(seen.samples.keys().map(|(slice, _)| *slice).collect::<Vec<_>>(), [10_000, 11_000]);
}

#[test]
fn other_tasks_have_none() {
    for task in super::TASKS.into_iter().filter(|task| *task != Task::Clustering) {
        let seen = run(&config(task), &[promotion(1, None, &[A])], &log(100), &[], &[]);
        assert!(seen.samples.is_empty() && !seen.cells.is_empty(), "{task:?}");
    }
}
