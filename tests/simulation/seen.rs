//! What the outside sees of a run, and what must hold of it.

use super::log::{Log, Record, source};
use super::script::{BASE_MS, SLICE_MS, Script};
use domain::{Task, TopicRole};
use measure::Cell;
use profile::{Counts, MeanVector};
use records::SwapTable;
use records::control::{Control, Promotion, Swap};
use records::journal::{JoinCounters, Journal, ScoreCounters};
use records::window::{Clock, Window};
use std::collections::{BTreeMap, BTreeSet};

/// A record of the journal with all that stages put into it.
pub(super) type Entry = Journal<Counts, Cell, measure::Expected, measure::ChildSums, MeanVector, measure::ScoreCount>;

#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By partition, in log order.
    predictions: BTreeMap<i32, Vec<String>>,
    /// By partition; what score and intake write there has no order.
    rejected: BTreeMap<i32, BTreeSet<String>>,
    /// By key.
    finals: BTreeMap<String, String>,
    /// Promotions, runs, aliases and J, in the judge's order.
    decisions: Vec<String>,
    pub(super) promotions: Vec<Promotion>,
    pub(super) swaps: Vec<Swap>,
    pub(super) alerts: Vec<String>,
    score: BTreeMap<String, ScoreCounters>,
    join: BTreeMap<i32, JoinCounters>,
    labels_accepted: u64,
    /// By slice.
    together: BTreeMap<i64, MeanVector>,
}

fn text(bytes: Option<&Vec<u8>>) -> String {
    bytes.map_or_else(|| "<none>".to_owned(), |b| String::from_utf8_lossy(b).into_owned())
}

fn line(record: &Record) -> String {
    let headers: Vec<String> = record.headers.iter().map(|(n, v)| format!("{n}={}", text(Some(v)))).collect();
    let (key, value) = (text(record.key.as_ref()), text(record.value.as_ref()));
    format!("{} {key} {value} {headers:?}", record.timestamp_ms)
}

impl Seen {
    pub(super) fn of(log: &Log) -> Self {
        let mut seen = Self::default();
        for partition in 0..2 {
            let predictions = log.records(&source(TopicRole::Predictions, partition));
            seen.predictions.insert(partition, predictions.iter().map(line).collect());
            let rejected = log.records(&source(TopicRole::Rejected, partition));
            let set: BTreeSet<String> = rejected.iter().map(line).collect();
            assert_eq!(set.len(), rejected.len(), "rejected twice");
            seen.rejected.insert(partition, set);
            // Nobody takes in what there is not.
            let Some((_, metadata)) = log.committed("intake", &source(TopicRole::Labels, partition)) else { continue };
            let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
            seen.labels_accepted += metadata["accepted"].as_u64().unwrap();
        }
        for record in log.records(&source(TopicRole::Windows, 0)) {
            let (key, value) = (text(record.key.as_ref()), text(record.value.as_ref()));
            assert!(!seen.finals.contains_key(&key), "{key} was written after its final record: {value}");
            let window: Window = serde_json::from_str(&value).unwrap();
            if window.r#final {
                seen.finals.insert(key, value);
            }
        }
        // Drift of outputs and features is told when a slice closes, all else at J: how these follow
        // one another is the journal's order. What is said of one alert keeps its own.
        let source_of_alerts = source(TopicRole::Alerts, 0);
        let mut alerts: Vec<&Record> = log.records(&source_of_alerts).iter().collect();
        alerts.sort_by(|a, b| a.key.cmp(&b.key));
        seen.alerts = alerts.into_iter().map(line).collect();
        log.records(&source(TopicRole::Control, 0)).iter().for_each(|record| seen.control(record));
        seen.swaps.sort_by_key(|s| (s.topic.clone(), s.partition, s.from_offset));
        log.records(&source(TopicRole::Journal, 0)).iter().for_each(|record| seen.journal(record));
        seen
    }

    fn control(&mut self, record: &Record) {
        let control: Control = records::from_json(record.value.as_ref().unwrap()).unwrap();
        assert_eq!(text(record.key.as_ref()), control.key());
        match control {
            Control::Swap(swap) => self.swaps.push(swap),
            other => {
                if let Control::Promotion(promotion) = &other {
                    self.promotions.push(promotion.clone());
                }
                self.decisions.push(line(record));
            }
        }
    }

    fn journal(&mut self, record: &Record) {
        match records::from_postcard::<Entry>(record.value.as_ref().unwrap()).unwrap() {
            Journal::ScoreMarker { marker, counters } => {
                self.score.insert(marker.source.to_string(), counters);
            }
            Journal::JoinMarker(marker) => {
                self.join.insert(marker.tracking_partition, marker.counters);
            }
            Journal::Kernel(pane) => {
                for cell in pane.cells {
                    self.together.entry(cell.slice_start_ms).or_default().merge(&cell.sum);
                }
            }
            _ => {}
        }
    }

    /// What must hold of any run.
    pub(super) fn check(&self, script: &Script) {
        self.check_versions();
        let mut score = ScoreCounters::default();
        for counters in self.score.values() {
            assert_eq!(counters.read, counters.scored + counters.rejected + counters.ignored);
            score.read += counters.read;
            score.scored += counters.scored;
            score.rejected += counters.rejected;
            score.future += counters.future;
        }
        let sent: usize = script.events.iter().map(Vec::len).sum();
        let published: usize = self.predictions.values().map(Vec::len).sum();
        assert_eq!(score.read, sent as u64);
        assert_eq!((score.scored, score.rejected), (published as u64, script.unreadable_events));
        assert_eq!(score.future, script.future);
        let rejected: usize = self.rejected.values().map(BTreeSet::len).sum();
        assert_eq!(rejected as u64, script.unreadable_events + script.unreadable_labels);
        let labels: usize = script.labels.iter().map(Vec::len).sum();
        assert_eq!(self.labels_accepted, labels as u64 - script.unreadable_labels);
        let mut join = JoinCounters::default();
        for counters in self.join.values() {
            assert!(counters.balances(), "{counters:?}");
            join.add(counters);
        }
        assert_eq!((join.predictions, join.labels), (score.scored, self.labels_accepted));
        let has_labels = script.task.has_labels();
        for (what, count, is_of_labels) in [
            ("joined", join.joined, false),
            ("in training", join.in_training, false),
            ("repeated", join.repeated, false),
            ("orphan", join.orphan, true),
            ("duplicate", join.duplicate, true),
            ("corrected", join.corrected, true),
            ("late", join.late, true),
            ("expired", join.expired, false),
        ] {
            assert_eq!(count > 0, has_labels || !is_of_labels, "{count} {what} rows");
        }
        self.check_windows(script);
    }

    /// One version per offset: that of the last swap at or before it.
    fn check_versions(&self) {
        let mut offsets = BTreeSet::new();
        for record in self.predictions.values().flatten() {
            let value = &record[record.find('{').unwrap()..=record.rfind("} [").unwrap()];
            let value: serde_json::Value = serde_json::from_str(value).unwrap();
            let (partition, offset) = (value["partition"].as_i64().unwrap(), value["offset"].as_i64().unwrap());
            assert!(offsets.insert((partition, offset)), "{partition}/{offset} was predicted twice");
            let before = |s: &&Swap| i64::from(s.partition) == partition && s.from_offset <= offset;
            let swap = self.swaps.iter().rfind(before).unwrap();
            assert_eq!(value["version"], swap.version.as_str(), "{value}");
        }
    }

    /// Final windows hold every event of their slice once; those by label time have labelled rows alone.
    fn check_windows(&self, script: &Script) {
        let (mut totals, mut by_label, mut areas, mut silhouettes, mut inertias) = (0, 0, 0, 0, 0);
        for value in self.finals.values() {
            let window: Window = serde_json::from_str(value).unwrap();
            if !window.is_total() {
                continue;
            }
            if window.clock == Clock::LabelTime {
                assert!(window.rows > 0 && window.rows == window.labelled, "{value}");
                by_label += 1;
                continue;
            }
            let start = records::time::parse_rfc3339(&window.window.start).unwrap();
            assert_eq!(window.rows, script.good[&start], "{}", window.window.start);
            // The first rows were seen in training.
            if script.task.has_labels() {
                assert!(window.labelled < window.rows && (window.labelled > 0 || start <= BASE_MS), "{value}");
            } else {
                let metric = if script.task == Task::Anomaly { "alert_rate" } else { "ambiguity" };
                assert!(window.labelled == 0 && window.coverage.is_none() && window.maturity.is_empty(), "{value}");
                assert_eq!(window.metrics.contains_key(metric), start > BASE_MS || window.rows > 1, "{value}");
                silhouettes += usize::from(window.metrics.contains_key("silhouette"));
                inertias += usize::from(window.metrics.contains_key("inertia"));
                assert!(!window.metrics.contains_key("rmse") && !window.metrics.contains_key("brier"), "{value}");
                assert!(!window.baselines.contains_key("majority"), "{value}");
            }
            totals += 1;
            for (name, exact) in window.metrics.iter().filter(|(name, _)| name.ends_with("_exact")) {
                let binned = window.metrics[name.trim_end_matches("_exact")];
                assert!(binned.low <= Some(exact.value) && Some(exact.value) <= binned.high, "{name}: {value}");
                areas += 1;
            }
        }
        // Windows have too few rows for a distance; their sums are of every row that counts.
        for (start_ms, rows) in &script.good {
            assert_eq!(self.together[start_ms].rows(), *rows, "{start_ms}");
        }
        let has_areas = script.task.has_labels() && script.task != Task::Regression;
        assert_eq!(areas > totals / 2, has_areas, "{areas} exact areas in {totals} windows");
        // But for the slice with one row, and those in which a swap lies, which have no inertia either.
        let has_clusters = script.task == Task::Clustering;
        assert_eq!(silhouettes > totals as usize / 2, has_clusters, "{silhouettes} silhouettes of {totals} windows");
        let has_some = inertias > totals as usize / 2 && inertias < totals as usize;
        assert_eq!(has_some, has_clusters, "{inertias} inertias of {totals} windows");
        let least = script.slices - 6;
        // Two horizons of three slices, a slice, and the lateness.
        assert!(
            by_label >= script.slices - 8 || !script.task.has_labels(),
            "{by_label} final windows by label time of {} slices",
            script.slices
        );
        assert!(totals >= least, "{totals} final windows of {} slices of {SLICE_MS} ms", script.slices);
    }

    /// What imposes this run's swaps on another.
    pub(super) fn swap_table(&self) -> SwapTable {
        let promotions = self.promotions.iter().cloned().map(Control::Promotion);
        let lines = promotions.chain(self.swaps.iter().cloned().map(Control::Swap));
        let lines: Vec<Vec<u8>> = lines.map(|record| records::to_json(&record).unwrap()).collect();
        SwapTable::parse(&lines.join(&b'\n')).unwrap()
    }

    /// The same bytes.
    pub(super) fn compare(&self, other: &Self, seed: u64) {
        self.compare_outputs(other, seed);
        assert_eq!(self.decisions, other.decisions, "seed {seed}: decisions");
        assert_eq!(self.alerts, other.alerts, "seed {seed}: alerts");
    }

    /// The same bytes of everything but alerts, runs and progress, which a run under another's swaps
    /// has none or others of.
    pub(super) fn compare_outputs(&self, other: &Self, seed: u64) {
        let same = |what: &str, ours: &[&String], theirs: &[&String]| {
            let unlike = ours.iter().zip(theirs).find(|(a, b)| a != b);
            assert!(unlike.is_none(), "seed {seed}: {what} differ:\n{:?}", unlike);
            assert_eq!(ours.len(), theirs.len(), "seed {seed}: number of {what}");
        };
        fn all<'a>(lines: impl IntoIterator<Item = &'a String>) -> Vec<&'a String> {
            lines.into_iter().collect()
        }
        assert_eq!(self.promotions, other.promotions, "seed {seed}");
        for partition in 0..2 {
            same("predictions", &all(&self.predictions[&partition]), &all(&other.predictions[&partition]));
            same("rejected records", &all(&self.rejected[&partition]), &all(&other.rejected[&partition]));
        }
        assert_eq!(self.swaps, other.swaps, "seed {seed}");
        same("keys of final windows", &all(self.finals.keys()), &all(other.finals.keys()));
        same("final windows", &all(self.finals.values()), &all(other.finals.values()));
        assert_eq!(self.join, other.join, "seed {seed}");
        assert_eq!(self.score, other.score, "seed {seed}");
    }
}
