//! The checker: a bitmap per partition, and one line that says it all.

use super::load::{Acknowledged, Event, bad_labels, closing, event};
use super::read::{self, Record};
use std::collections::BTreeMap;
use std::fmt;

/// What the checker found. `problems` has the first few, in words.
#[derive(Debug, Default)]
pub struct Report {
    /// Events the broker acknowledged.
    pub inputs: u64,
    /// Of them with an output.
    pub outputs: u64,
    /// Of them without.
    pub lost: u64,
    /// Outputs of an event beyond its first.
    pub duplicated: u64,
    /// Outputs before an earlier event's in the same partition.
    pub out_of_order: u64,
    /// Outputs that are not those of the event they name: another id, time, reason or payload, a
    /// prediction where a rejection belongs, no such event.
    pub wrong: u64,
    /// Rejected events, as they should be.
    pub rejected: u64,
    /// Predictions by another version than the swap table gives for their offset.
    pub foreign: u64,
    /// Swaps on the control topic.
    pub swaps: u64,
    /// Versions among the predictions.
    pub versions: u64,
    /// Labels that should have been rejected less those that were.
    pub labels_missed: i64,
    /// Processes killed.
    pub kills: u64,
    /// Assignments of partitions to processes.
    pub assignments: u64,
    /// Seed of the load and the faults.
    pub seed: u64,
    /// Finals and records that differ from an undisturbed run; `None`: not compared.
    pub differing: Option<u64>,
    /// Final windows, segments and versions apart, that were compared.
    pub finals: u64,
    /// Resident memory of all processes before an outage of the outputs, and the most in each tenth of
    /// it: flat is what stops growing when queues are full.
    pub memory_kib: Vec<u64>,
    /// See [`super::world::Broker::markers_skipped`].
    pub markers_skipped: u64,
    /// The first problems in words.
    pub problems: Vec<String>,
}

const PROBLEMS_MAX: usize = 8;

impl Report {
    /// Whether the word was kept.
    #[must_use]
    pub fn holds(&self) -> bool {
        let faults = [self.lost, self.duplicated, self.out_of_order, self.wrong, self.foreign];
        self.inputs > 0
            && faults.iter().all(|count| *count == 0)
            && self.labels_missed == 0
            && self.differing.unwrap_or(0) == 0
    }

    pub(crate) fn problem(&mut self, text: impl FnOnce() -> String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(text());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "acknowledged {} outputs {} lost {} duplicated {} out_of_order {} wrong {} rejected {} kills {} assignments {} swaps {} versions {} foreign {} seed {}",
            self.inputs,
            self.outputs,
            self.lost,
            self.duplicated,
            self.out_of_order,
            self.wrong,
            self.rejected,
            self.kills,
            self.assignments,
            self.swaps,
            self.versions,
            self.foreign,
            self.seed
        )?;
        if let Some((before, tenths)) = self.memory_kib.split_first() {
            let tenths: Vec<String> = tenths.iter().map(|kib| (kib >> 10).to_string()).collect();
            write!(f, " memory {} MiB, at most {} MiB in tenths of the outage", before >> 10, tenths.join(", "))?;
        }
        if self.markers_skipped > 0 {
            write!(f, " the broker broke {} transactions (KAFKA-20734)", self.markers_skipped)?;
        }
        match self.differing {
            None => Ok(()),
            Some(0) => write!(f, " statistics equal ({} finals)", self.finals),
            Some(count) => write!(f, " statistics differ in {count} records ({} finals)", self.finals),
        }
    }
}

/// One event partition while it is checked.
struct Partition {
    /// Offset and sequence of what was acknowledged, by offset.
    known: Vec<(i64, u64)>,
    seen: Vec<u64>,
    /// Where the first output of each sequence is.
    first_at: Vec<i64>,
    last_prediction: i64,
    last_rejection: i64,
    sequences: u64,
}

impl Partition {
    fn of(offsets: &[i64]) -> Self {
        let pairs = offsets.iter().enumerate().filter(|(_, offset)| **offset >= 0);
        let mut known: Vec<(i64, u64)> = pairs.map(|(sequence, offset)| (*offset, sequence as u64)).collect();
        known.sort_unstable();
        let seen = vec![0; offsets.len().div_ceil(64)];
        let first_at = vec![-1; offsets.len()];
        Self { known, seen, first_at, last_prediction: -1, last_rejection: -1, sequences: offsets.len() as u64 }
    }

    fn sequence(&self, offset: i64) -> Option<u64> {
        let place = self.known.binary_search_by_key(&offset, |(at, _)| *at).ok()?;
        self.known.get(place).map(|(_, sequence)| *sequence)
    }

    /// Marks an output; says whether it is the first.
    fn mark(&mut self, sequence: u64) -> bool {
        let bit = 1_u64 << (sequence % 64);
        let Some(word) = self.seen.get_mut((sequence / 64) as usize) else { return false };
        let is_first = *word & bit == 0;
        *word |= bit;
        is_first
    }
}

/// Where the outputs are.
#[derive(Debug, Clone)]
pub struct Place {
    /// Bootstrap servers.
    pub brokers: String,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Topic of the events.
    pub events: String,
}

/// The champion of each event partition from an offset on.
type Swaps = BTreeMap<i32, BTreeMap<i64, String>>;

struct Checker {
    report: Report,
    partitions: Vec<Partition>,
    swaps: Swaps,
    versions: BTreeMap<String, u64>,
    events: String,
}

/// Compares what a reader gets with what was acknowledged.
///
/// # Errors
/// If the outputs cannot be read.
pub fn check(place: &Place, acknowledged: &Acknowledged, seed: u64) -> anyhow::Result<Report> {
    let mut checker = Checker {
        report: Report { seed, ..Report::default() },
        partitions: acknowledged.iter().map(|offsets| Partition::of(offsets)).collect(),
        swaps: Swaps::new(),
        versions: BTreeMap::new(),
        events: place.events.clone(),
    };
    let topic = |role: &str| format!("{}.{role}", place.pipeline);
    read::each(&place.brokers, &topic("control"), |record| checker.control(&record))?;
    read::each(&place.brokers, &topic("predictions"), |record| checker.prediction(&record))?;
    let mut labels_rejected = 0;
    read::each(&place.brokers, &topic("rejected"), |record| {
        if record.header("vigie.topic").as_deref() == Some(place.events.as_str()) {
            checker.rejection(&record);
        } else {
            labels_rejected += 1;
        }
    })?;
    let written = acknowledged.iter().map(Vec::len).max().unwrap_or(0) as u64;
    checker.report.labels_missed = bad_labels(written.saturating_sub(1)) as i64 - labels_rejected;
    Ok(checker.finish())
}

impl Checker {
    fn control(&mut self, record: &Record) {
        let Some(value) = json(record) else { return };
        if value["type"] != "swap" || value["topic"] != self.events.as_str() {
            return;
        }
        let (partition, from, version) =
            (value["partition"].as_i64(), value["from_offset"].as_i64(), value["version"].as_str());
        if let (Some(partition), Some(from), Some(version)) = (partition, from, version) {
            self.report.swaps += 1;
            self.swaps.entry(partition as i32).or_default().insert(from, version.to_owned());
        }
    }

    fn prediction(&mut self, record: &Record) {
        let Some(value) = json(record) else {
            self.report.wrong += 1;
            return self.report.problem(|| "a prediction is not JSON".to_owned());
        };
        let (partition, offset) = (value["partition"].as_i64().unwrap_or(-1), value["offset"].as_i64().unwrap_or(-1));
        let Some((sequence, sent)) = self.output(partition, offset, record.offset, true) else { return };
        let time = rfc3339(sent.time_ms);
        let is_right = value["id"] == sent.id.as_str()
            && value["time"] == time.as_str()
            && value["topic"] == self.events.as_str()
            && record.key.as_deref() == Some(sent.id.as_bytes())
            && record.stamp_ms == sent.stamp_ms
            && sent.kind.rejection().is_none();
        if !is_right {
            self.report.wrong += 1;
            self.report
                .problem(|| format!("event {partition}/{sequence} ({:?}) has the prediction {value}", sent.kind));
        }
        let version = value["version"].as_str().unwrap_or_default();
        let table = self.swaps.get(&(partition as i32));
        let expected = table.and_then(|t| t.range(..=offset).next_back()).map(|(_, version)| version.as_str());
        if expected != Some(version) {
            self.report.foreign += 1;
            self.report.problem(|| format!("{partition}@{offset} is by {version}; the swap table says {expected:?}"));
        }
        *self.versions.entry(version.to_owned()).or_default() += 1;
    }

    fn rejection(&mut self, record: &Record) {
        let number = |name: &str| record.header(name).and_then(|text| text.parse::<i64>().ok()).unwrap_or(-1);
        let (partition, offset) = (number("vigie.partition"), number("vigie.offset"));
        let Some((sequence, sent)) = self.output(partition, offset, record.offset, false) else { return };
        let reason = record.header("vigie.reason");
        let is_right = reason.as_deref() == sent.kind.rejection()
            && record.value == sent.value
            && record.key.as_deref() == Some(sent.id.as_bytes())
            && record.stamp_ms == sent.stamp_ms;
        if !is_right {
            self.report.wrong += 1;
            self.report
                .problem(|| format!("event {partition}/{sequence} ({:?}) was rejected for {reason:?}", sent.kind));
        }
        self.report.rejected += 1;
    }

    /// Marks an output of an event and looks at its order.
    fn output(&mut self, partition: i64, offset: i64, output_at: i64, is_prediction: bool) -> Option<(u64, Event)> {
        let number = usize::try_from(partition).ok();
        let found = number.and_then(|n| Some((n, self.partitions.get_mut(n)?)));
        let Some((number, own, sequence)) = found.and_then(|(n, own)| own.sequence(offset).map(|s| (n, own, s))) else {
            self.report.wrong += 1;
            self.report.problem(|| format!("an output names {partition}@{offset}, where nothing was acknowledged"));
            return None;
        };
        let last = if is_prediction { &mut own.last_prediction } else { &mut own.last_rejection };
        let is_late = offset <= *last;
        *last = offset.max(*last);
        let is_first = own.mark(sequence);
        let first_at = own.first_at.get_mut(sequence as usize).map_or(-1, |at| {
            if is_first {
                *at = output_at;
            }
            *at
        });
        if !is_first {
            self.report.duplicated += 1;
            self.report.problem(|| {
                format!("event {partition}/{sequence} at {offset} has two outputs, at {first_at} and {output_at}")
            });
        } else if is_late {
            self.report.out_of_order += 1;
            self.report.problem(|| format!("event {partition}/{sequence} at {offset} comes after a later one"));
        }
        let sent = if sequence + 1 == own.sequences { closing } else { event }(self.report.seed, number, sequence);
        Some((sequence, sent))
    }

    fn finish(mut self) -> Report {
        for (number, partition) in self.partitions.iter().enumerate() {
            for (offset, sequence) in &partition.known {
                let bit = partition.seen.get((sequence / 64) as usize).map_or(0, |word| word >> (sequence % 64) & 1);
                self.report.inputs += 1;
                self.report.outputs += bit;
                if bit == 0 {
                    self.report.lost += 1;
                    self.report.problem(|| format!("event {number}/{sequence} at {offset} has no output"));
                }
            }
        }
        self.report.versions = self.versions.len() as u64;
        if self.report.labels_missed != 0 {
            let missed = self.report.labels_missed;
            self.report.problem(|| format!("{missed} unreadable labels are not on the rejected topic once"));
        }
        self.report
    }
}

fn json(record: &Record) -> Option<serde_json::Value> {
    serde_json::from_slice(record.value.as_ref()?).ok()
}

/// Of the days since 1970 by Howard Hinnant's `civil_from_days`.
pub(crate) fn rfc3339(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (h, m, s, milli) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1_000 % 60, of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{milli:03}Z")
}
