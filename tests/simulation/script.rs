//! What happens in the world: events and labels with every kind of trouble among them, and what
//! becomes of the runs the judge orders.

use super::log::Record;
use super::models::{Models, harm_reference};
use codec::{EventFormat, LabelFormat, Source, TimeSource, TimeUnit, Tombstone};
use domain::{EventSchema, Field, FieldType, Slices, Task};
use judge::Retrain;
use measure::Shape;
use records::control::{Run, Trigger};
use records::journal::{Action, Challenger, Command, RunOutcome};
use std::collections::BTreeMap;

pub(super) const SLICE_MS: i64 = 60_000;
/// Start of the first slice.
pub(super) const BASE_MS: i64 = 28_333_333 * SLICE_MS;
pub(super) const HORIZON_MS: i64 = 3 * SLICE_MS;
/// How far senders are ahead of the judge at most.
pub(super) const LEAD_MS: i64 = 3 * SLICE_MS;
pub(super) const LATENESS_MS: i64 = 5_000;
pub(super) const MAX_SKEW_MS: i64 = 2_000;
const YEAR_MS: i64 = 365 * 86_400_000;
/// First slice in which column `b` decides instead of `a`.
const CHANGE: i64 = 5;
const PER_SLICE: i64 = 60;

pub(super) fn classes(task: Task) -> Vec<String> {
    let labels: &[&str] = match task {
        Task::BinaryClassification => &["no", "yes"],
        Task::MulticlassClassification => &["low", "middle", "high"],
        Task::Anomaly => &["normal", "anomaly"],
        Task::Regression | Task::Clustering => &[],
    };
    labels.iter().map(|c| (*c).to_owned()).collect()
}

pub(super) fn shape(task: Task) -> Shape {
    Shape { task, classes: classes(task).len() }
}

pub(super) fn schema() -> EventSchema {
    let field = |name: &str, field_type| Field { name: name.to_owned(), field_type, required: false };
    let fields = vec![field("a", FieldType::Float), field("b", FieldType::Float), field("origin", FieldType::Category)];
    EventSchema { fields }
}

pub(super) fn event_format() -> EventFormat {
    EventFormat {
        schema: schema(),
        id: Source::Column("id".to_owned()),
        time: TimeSource::Column { path: "t".to_owned(), unit: TimeUnit::Milliseconds },
        tombstone: Tombstone::Reject,
    }
}

pub(super) fn label_format(task: Task) -> LabelFormat {
    LabelFormat {
        id: Source::Column("id".to_owned()),
        value: "y".to_owned(),
        time: TimeSource::Column { path: "t".to_owned(), unit: TimeUnit::Milliseconds },
        task,
        classes: classes(task),
    }
}

/// Splitmix64, whose constants are those of Steele, Lea and Flood (2014).
pub(super) fn hash(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Even in [-1, 1).
fn unit(seed: u64) -> f64 {
    (hash(seed) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// A script: logs that never change, whatever the schedule.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) task: Task,
    pub(super) models: Models,
    pub(super) judge: judge::Config,
    /// Records by partition; their timestamps are when they are sent, in order.
    pub(super) events: Vec<Vec<Record>>,
    pub(super) labels: Vec<Vec<Record>>,
    /// Events that are read and in no other trouble, by slice.
    pub(super) good: BTreeMap<i64, u64>,
    pub(super) unreadable_events: u64,
    pub(super) unreadable_labels: u64,
    pub(super) future: u64,
    pub(super) after_final: u64,
    pub(super) slices: i64,
}

impl Script {
    pub(super) fn new(task: Task, slices: i64, retrain: Retrain) -> Self {
        let mut script = Self {
            task,
            models: Models::of(task),
            judge: super::judge_config(task, retrain),
            events: vec![Vec::new(), Vec::new()],
            labels: vec![Vec::new(), Vec::new()],
            good: BTreeMap::new(),
            unreadable_events: 0,
            unreadable_labels: 0,
            future: 0,
            after_final: 0,
            slices,
        };
        let mut labels: Vec<(i64, String, String)> = Vec::new();
        for slice in 0..slices {
            for place in 0..PER_SLICE {
                script.event(slice, place, &mut labels);
            }
        }
        labels.sort();
        labels.iter().for_each(|(time_ms, id, y)| script.label(*time_ms, id, y));
        script
    }

    fn event(&mut self, slice: i64, place: i64, labels: &mut Vec<(i64, String, String)>) {
        let number = (slice * PER_SLICE + place) as u64;
        let sent_ms = BASE_MS + slice * SLICE_MS + place * 1_000;
        let time_ms = sent_ms - (hash(number ^ 0xA0) % 900) as i64;
        let partition = (place % 2) as usize;
        let (mut a, b) = (unit(number ^ 0xA_0000), unit(number ^ 0xB_0000));
        // Without labels it is the rows that change, in column `a`: to one end, or to the middle.
        match self.task {
            Task::Anomaly if slice >= CHANGE => a = 0.9 + 0.1 * a,
            Task::Clustering if slice >= CHANGE => a *= 0.05,
            _ => {}
        }
        let origin = ["\"EWR\"", "\"JFK\"", "\"LGA\"", "\"XXX\"", "null"][(hash(number ^ 0xC) % 5) as usize];
        let write =
            |id: &str, time_ms: i64| format!(r#"{{"id":"{id}","t":{time_ms},"a":{a},"b":{b},"origin":{origin}}}"#);
        let id = format!("e{number}");
        self.send(partition, sent_ms, Some(write(&id, time_ms)));
        self.count(time_ms);
        // Trouble: once a slice, and in partition 0 in every slice an event a year ahead.
        match place {
            7 | 40 => {
                self.send(partition, sent_ms, Some(write(&format!("f{number}"), sent_ms + YEAR_MS)));
                self.future += 1;
            }
            8 => {
                self.send(0, sent_ms, Some(write(&format!("g{number}"), sent_ms + YEAR_MS)));
                self.future += 1;
            }
            13 => {
                self.send(partition, sent_ms, Some(write(&id, time_ms)[..20].to_owned()));
                self.unreadable_events += 1;
            }
            17 if slice % 3 == 0 => {
                self.send(partition, sent_ms, None);
                self.unreadable_events += 1;
            }
            20 if slice >= 8 => {
                self.send(partition, sent_ms, Some(write(&format!("o{number}"), time_ms - 6 * SLICE_MS)));
                self.after_final += 1;
            }
            // The same id again, in the other partition.
            23 => {
                self.send(1 - partition, sent_ms, Some(write(&id, time_ms + 1)));
                self.count(time_ms + 1);
            }
            _ => {}
        }
        if self.task.has_labels() {
            self.labels_of(number, slice, time_ms, (a, b), labels);
        }
    }

    fn labels_of(
        &self,
        number: u64,
        slice: i64,
        time_ms: i64,
        (a, b): (f64, f64),
        labels: &mut Vec<(i64, String, String)>,
    ) {
        let u = if slice < CHANGE { a } else { b };
        let noisy = u + 0.1 * unit(number ^ 0xD_0000);
        let (right, other) = (self.text(noisy), self.text(-noisy));
        let id = format!("e{number}");
        let kind = hash(number ^ 0xE) % 100;
        let delay_ms = 2_000 + (hash(number ^ 0xF) % 45_000) as i64;
        match kind {
            0..3 => return,
            3..7 => labels.push((time_ms + delay_ms + SLICE_MS + 30_000, id.clone(), right.clone())),
            7..9 => labels.push((time_ms + HORIZON_MS + 5_000, id.clone(), right.clone())),
            _ => labels.push((time_ms + delay_ms, id.clone(), right.clone())),
        }
        match kind {
            9..12 => labels.push((time_ms + delay_ms + 15_000, id, right)),
            12..15 => labels.push((time_ms + delay_ms + 15_000, id, other)),
            15..17 => labels.push((time_ms + delay_ms + 2 * SLICE_MS - 2_000, id, other)),
            17 => labels.push((time_ms + delay_ms, format!("nobody{number}"), right)),
            18 => labels.push((time_ms + delay_ms, id, "?".to_owned())),
            _ => {}
        }
    }

    /// The label as JSON.
    fn text(&self, u: f64) -> String {
        match self.task {
            Task::BinaryClassification => if u > 0.0 { "\"yes\"" } else { "\"no\"" }.to_owned(),
            Task::MulticlassClassification if u > 1.0 / 3.0 => "\"low\"".to_owned(),
            Task::MulticlassClassification if u < -1.0 / 3.0 => "\"high\"".to_owned(),
            Task::MulticlassClassification => "\"middle\"".to_owned(),
            Task::Regression | Task::Anomaly | Task::Clustering => (10.0 * u).to_string(),
        }
    }

    fn label(&mut self, time_ms: i64, id: &str, y: &str) {
        // A truncated record where the label is unknown.
        let value =
            if y == "?" { format!(r#"{{"id":"{id}","#) } else { format!(r#"{{"id":"{id}","t":{time_ms},"y":{y}}}"#) };
        self.unreadable_labels += u64::from(y == "?");
        let partition = (hash(id.len() as u64 ^ hash(time_ms as u64)) % 2) as usize;
        let log = &mut self.labels[partition];
        let offset = log.last().map_or(0, |r| r.offset + 1);
        log.push(Record { offset, timestamp_ms: time_ms, key: None, value: Some(value.into_bytes()), headers: vec![] });
    }

    fn send(&mut self, partition: usize, sent_ms: i64, value: Option<String>) {
        let log = &mut self.events[partition];
        // Offsets have gaps.
        let offset = log.last().map_or(100, |r| r.offset + 1 + r.offset % 3);
        let key = Some(format!("k{offset}").into_bytes());
        log.push(Record { offset, timestamp_ms: sent_ms, key, value: value.map(String::into_bytes), headers: vec![] });
    }

    fn count(&mut self, time_ms: i64) {
        *self.good.entry(Slices::of(SLICE_MS).start(time_ms)).or_default() += 1;
    }

    /// How the first champion comes in.
    pub(super) fn first_champion(&self) -> Command {
        let action = Action::Promote {
            version: self.models.versions[0].clone(),
            trained_until_ms: BASE_MS + SLICE_MS / 2,
            reference: harm_reference(self.task),
            rows: 1_000,
        };
        Command { id: "first".to_owned(), if_champion: None, action }
    }

    /// What comes of a run: the first champion is followed by the right one, that one by the wrong
    /// one when new labels ask for it; later runs fail, those of the wrong one are refused.
    pub(super) fn outcome(&self, run: &Run) -> RunOutcome {
        let place = self.models.versions.iter().position(|v| *v == run.champion).unwrap();
        let is_early = run.cut_off_ms < BASE_MS + 24 * SLICE_MS;
        let passed = match (place, run.trigger) {
            (0, Trigger::Harm) => true,
            (1, Trigger::NewLabels) if is_early => true,
            (1, Trigger::NewLabels) => return RunOutcome::Failed { reason: "no memory".to_owned() },
            _ => false,
        };
        RunOutcome::Trained(Challenger {
            version: self.models.versions[(place + 1).min(2)].clone(),
            family: "logistic_regression".to_owned(),
            trained_until_ms: run.cut_off_ms,
            rows: 500,
            reference: harm_reference(self.task),
            passed,
            verdicts: vec!["loss: as scripted".to_owned()],
            challenger_loss: 0.08,
            champion_loss: Some(0.4),
            difference_standard_error: Some(0.01),
        })
    }
}
