//! The truth about finished logs, in one pass over the set of records, from the words of the design
//! alone. It shares nothing with the join but the arithmetic of a cell, and counts right and wrong
//! predictions with whole numbers of its own beside it.

use super::replicas::{SHAPE, harm, version};
use super::world::{HORIZON, Item, S, SEGMENTS, SLICE, TRAINED_UNTIL, World, score, segment};
use domain::ids::tracking_partition;
use measure::{Cell, ExactScores, Row};
use records::journal::{JoinCounters, Phase};
use records::tracking::StreamKind;
use std::collections::BTreeMap;
use track::Unlabelled;

pub(crate) type Key = (i64, Phase, String, u64, String);

/// Predictions in force, those that count as negative, and predictions by age bin.
pub(crate) type Covered = (i64, i64, BTreeMap<u8, i64>);

#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) counters: JoinCounters,
    pub(crate) cells: BTreeMap<Key, Sums>,
    /// Scores of labelled rows by slice, phase and version.
    pub(crate) exact: BTreeMap<(i64, Phase, String), ExactScores>,
    /// By the slice of the first label, segment and version.
    pub(crate) arrived: BTreeMap<(i64, String, String), Cell>,
    pub(crate) coverage: BTreeMap<i64, Covered>,
}

#[derive(Debug)]
pub(crate) struct Sums {
    pub(crate) sums: Cell,
    /// By `2 × label + predicted`.
    pub(crate) confusion: [i64; 4],
}

struct Event {
    at: (i32, usize),
    time: i64,
    promotion: u64,
}

#[derive(Clone, Copy)]
struct Label {
    id: u128,
    at: (i32, usize),
    time: i64,
    value: f64,
    marked: i64,
    partition: i32,
    spoken_for: bool,
}

fn end_of(time: i64) -> i64 {
    (time.div_euclid(SLICE) + 1) * SLICE
}

/// The age bins of the records page, by comparison: below 1 s, 2 s, 4 s, …
fn bin(age: i64) -> u8 {
    (0..23).find(|bin| age < S << bin).unwrap_or(23)
}

/// Records that are held, and not forgotten by the watermark of their own log.
struct Bound(Vec<i64>, usize);

impl Bound {
    fn takes(&mut self, until: i64, marked: i64) -> bool {
        self.0.retain(|end| *end > marked);
        let has_room = self.0.len() < self.1;
        if has_room {
            self.0.push(until.max(marked.saturating_add(1)));
        }
        has_room
    }
}

pub(crate) fn truth(world: &World) -> Truth {
    let mut truth = Truth::default();
    let (mut events, mut labels): (BTreeMap<u128, Vec<Event>>, Vec<Label>) = Default::default();
    let mut least = BTreeMap::from([(StreamKind::Events, i64::MAX), (StreamKind::Labels, i64::MAX)]);
    for log in &world.logs {
        let mut marked = i64::MIN;
        let bound = || Bound(Vec::new(), world.setting.rows_max);
        let mut bounds: Vec<Bound> = (0..world.setting.tracking_partitions).map(|_| bound()).collect();
        for (offset, item) in log.items.iter().enumerate() {
            let at = (log.number, offset);
            match *item {
                Item::Marker { time } => marked = time,
                Item::Event { id, time, promotion, after_final } => {
                    truth.counters.predictions += 1;
                    let partition = tracking_partition(id, world.setting.tracking_partitions);
                    if after_final || marked >= end_of(time) + HORIZON {
                        truth.counters.expired += 1;
                    } else if bounds[partition as usize].takes(end_of(time) + 2 * HORIZON, marked) {
                        events.entry(id).or_default().push(Event { at, time, promotion });
                    } else {
                        truth.counters.predictions_overflow += 1;
                    }
                }
                Item::Label { id, time, value } => {
                    truth.counters.labels += 1;
                    let partition = tracking_partition(id, world.setting.tracking_partitions);
                    if bounds[partition as usize].takes(end_of(time) + 2 * HORIZON + SLICE, marked) {
                        labels.push(Label { id, at, time, value, marked, partition, spoken_for: false });
                    } else {
                        truth.counters.labels_overflow += 1;
                    }
                }
            }
        }
        let of_kind = least.get_mut(&log.kind).unwrap();
        *of_kind = marked.min(*of_kind);
    }
    let (events_ms, labels_ms) = (least[&StreamKind::Events], least[&StreamKind::Labels]);
    for (id, mut candidates) in events {
        candidates.sort_by_key(|event| event.at);
        truth.counters.repeated += candidates.len() as u64 - 1;
        settle(&mut truth, world, id, &candidates[0], &mut labels, (events_ms, labels_ms));
    }
    for label in labels.iter().filter(|label| !label.spoken_for) {
        *(if label.time < events_ms - S { &mut truth.counters.orphan } else { &mut truth.counters.waiting }) += 1;
    }
    truth.cells.retain(|_, cell| !cell.sums.is_empty());
    truth.arrived.retain(|_, cell| !cell.is_empty());
    truth.exact.retain(|_, scores| !scores.is_empty());
    truth
}

/// One id: its prediction in force, and the labels that speak of it.
fn settle(
    truth: &mut Truth,
    world: &World,
    id: u128,
    event: &Event,
    labels: &mut [Label],
    (events_ms, labels_ms): (i64, i64),
) {
    let end = end_of(event.time);
    let mut in_time: Vec<Label> = Vec::new();
    for label in labels.iter_mut().filter(|l| l.id == id && l.time >= event.time - HORIZON) {
        if label.time <= event.time + HORIZON && label.marked < end + HORIZON {
            in_time.push(*label);
        } else if label.time <= event.time + 2 * HORIZON && label.marked < end + 2 * HORIZON {
            truth.counters.late += 1;
        } else {
            continue;
        }
        label.spoken_for = true;
    }
    in_time.sort_by_key(|l| (l.time, l.at));
    let covered = truth.coverage.entry(end - SLICE).or_default();
    covered.0 += 1;
    let in_training = event.promotion == 2 && event.time < TRAINED_UNTIL;
    let (mut mature, last);
    if let Some(in_force) = in_time.last() {
        *covered.2.entry(bin(in_time[0].time - event.time)).or_default() += 1;
        let same = in_time.iter().filter(|l| l.value == in_force.value).count() - 1;
        truth.counters.joined += 1;
        truth.counters.labels_joined += 1;
        truth.counters.duplicate += same as u64;
        truth.counters.corrected += (in_time.len() - 1 - same) as u64;
        truth.counters.in_training += u64::from(in_training);
        mature = in_time.iter().rev().find(|l| l.time < end + world.setting.maturity_ms).map(|l| l.value);
        last = in_force.value;
    } else if events_ms.min(labels_ms) >= end + HORIZON {
        truth.counters.expired += 1;
        if world.setting.unlabelled == Unlabelled::Unknown || in_training {
            return;
        }
        truth.counters.assumed += 1;
        covered.1 += 1;
        (mature, last) = ((world.setting.maturity_ms >= HORIZON).then_some(0.0), 0.0);
    } else {
        truth.counters.pending += 1;
        return;
    }
    if in_training || event.time >= labels_ms {
        return;
    }
    let partition = tracking_partition(id, world.setting.tracking_partitions);
    let known = labels.iter().filter(|l| l.partition == partition && l.time >= l.marked && l.time <= event.time);
    let last_label = known.max_by_key(|l| (l.time, l.id, l.at)).map(|l| l.value);
    let mut terms: Vec<(Phase, f64, i64)> = mature.iter().map(|value| (Phase::Mature, *value, 1)).collect();
    if mature != Some(last) {
        terms.push((Phase::Late, last, 1));
        terms.extend(mature.take().map(|value| (Phase::Late, value, -1)));
    }
    for (phase, label, sign) in terms {
        add(truth, id, event, (phase, label, sign), last_label);
    }
    if let Some(first) = in_time.first() {
        arrive(truth, id, event, first, last_label);
    }
}

/// What is scored by version 1 or 2, with the segment it belongs to.
fn arrive(truth: &mut Truth, id: u128, event: &Event, first: &Label, last_label: Option<f64>) {
    each_segment(id, event, (first.value, last_label), |segment, row| {
        let key = (end_of(first.time) - SLICE, segment, version(event.promotion));
        truth.arrived.entry(key).or_insert_with(|| Cell::empty(SHAPE)).add(row, 1);
    });
}

/// A labelled row as part of all rows, and as part of its segment's.
fn each_segment(
    id: u128,
    event: &Event,
    (label, last_label): (f64, Option<f64>),
    mut with: impl FnMut(String, &Row<'_>),
) {
    let (served, first) = ([score(id, event.promotion)], [score(id, 1)]);
    let harm = harm(event.promotion);
    let all = Row {
        served: &served,
        frozen: Some(&first), // version 1 is in both line-ups
        previous: (event.promotion == 2).then_some(&first),
        label,
        last_label,
        harm: harm.as_ref(),
    };
    let part = Row { previous: None, harm: None, ..all };
    with("*".to_owned(), &all);
    with(format!("origin={}", SEGMENTS[segment(id)]), &part);
}

fn add(truth: &mut Truth, id: u128, event: &Event, (phase, label, sign): (Phase, f64, i64), last_label: Option<f64>) {
    let served = score(id, event.promotion);
    // A broken score is wrong, whatever the label.
    let predicted = if served.is_nan() { label < 0.5 } else { served >= 0.5 };
    let place = 2 * usize::from(label >= 0.5) + usize::from(predicted);
    let scores = (end_of(event.time) - SLICE, phase, version(event.promotion));
    truth.exact.entry(scores).or_default().add(SHAPE, &[served], label, sign);
    each_segment(id, event, (label, last_label), |segment, row| {
        let key = (end_of(event.time) - SLICE, phase, segment, event.promotion, version(event.promotion));
        let empty = || Sums { sums: Cell::empty(SHAPE), confusion: [0; 4] };
        let cell = truth.cells.entry(key).or_insert_with(empty);
        cell.sums.add(row, sign);
        cell.confusion[place] += sign;
    });
}
