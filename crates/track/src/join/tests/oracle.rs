//! The truth about a finished log, computed in one pass over its set of records, from the words
//! of the design alone: no state, no order, none of join's code but the cells' arithmetic.

use super::script::{CellKey, Item, SEGMENTS, SHAPE, TRAINED_UNTIL, harm, line_up, scores, segment};
use measure::{Cell, Row};
use records::journal::{JoinCounters, Phase};
use std::collections::BTreeMap;

/// A record with the last marker of its own partition before it.
#[derive(Debug, Clone)]
pub(super) struct Logged {
    pub(super) item: Item,
    pub(super) marked: i64,
}

struct Event {
    at: (i32, i64),
    time: i64,
    promotion: u64,
}

#[derive(Clone, Copy)]
struct Label {
    time: i64,
    id: u128,
    at: (i32, i64),
    value: f64,
    marked: i64,
}

fn slice_end(time: i64) -> i64 {
    (time.div_euclid(10) + 1) * 10
}

/// What the counters and cells must be once all records were taken, with these least watermarks.
pub(super) fn truth(log: &[Logged], events_ms: i64, labels_ms: i64) -> (JoinCounters, BTreeMap<CellKey, Cell>) {
    let mut counters = JoinCounters::default();
    let mut events: BTreeMap<u128, Vec<Event>> = BTreeMap::new();
    let mut labels: Vec<Label> = Vec::new();
    for Logged { item, marked } in log {
        match *item {
            Item::Prediction { source, offset, id, time, after_final, promotion } => {
                counters.predictions += 1;
                if after_final {
                    counters.expired += 1;
                } else {
                    events.entry(id).or_default().push(Event { at: (source, offset), time, promotion });
                }
            }
            Item::Label { source, offset, id, time, value } => {
                counters.labels += 1;
                labels.push(Label { time, id, at: (source, offset), value, marked: *marked });
            }
            Item::Marker { .. } => {}
        }
    }
    let mut cells = BTreeMap::new();
    let mut spoken_for = vec![false; labels.len()];
    for (id, mut candidates) in events {
        candidates.sort_by_key(|event| event.at);
        counters.repeated += u64::try_from(candidates.len() - 1).unwrap();
        let event = candidates.remove(0);
        let end = slice_end(event.time);
        let mut in_time: Vec<Label> = Vec::new();
        for (place, label) in labels.iter().enumerate().filter(|(_, l)| l.id == id) {
            if label.time < event.time - 30 {
                continue;
            }
            if label.time <= event.time + 30 && label.marked < end + 30 {
                in_time.push(*label);
            } else if label.time <= event.time + 60 && label.marked < end + 60 {
                counters.late += 1;
            } else {
                continue;
            }
            spoken_for[place] = true;
        }
        in_time.sort_by_key(|l| (l.time, l.at));
        let Some(last) = in_time.pop() else {
            let closed = events_ms.min(labels_ms) >= end + 30;
            *(if closed { &mut counters.expired } else { &mut counters.pending }) += 1;
            continue;
        };
        counters.joined += 1;
        counters.labels_joined += 1;
        let same = in_time.iter().filter(|l| l.value == last.value).count();
        counters.duplicate += u64::try_from(same).unwrap();
        counters.corrected += u64::try_from(in_time.len() - same).unwrap();
        if event.promotion == 2 && event.time < TRAINED_UNTIL {
            counters.in_training += 1;
        } else if event.time < labels_ms {
            in_time.push(last);
            let mature = in_time.iter().rev().find(|l| l.time < end + 5).map(|l| l.value);
            let known = labels.iter().filter(|l| l.time >= l.marked && l.time <= event.time);
            let last_label = known.max_by_key(|l| (l.time, l.id, l.at)).map(|l| l.value);
            add(&mut cells, id, &event, (mature, last.value), last_label);
        }
    }
    for (label, _) in labels.iter().zip(spoken_for).filter(|(_, spoken_for)| !spoken_for) {
        *(if label.time < events_ms - 1 { &mut counters.orphan } else { &mut counters.waiting }) += 1;
    }
    cells.retain(|_, cell: &mut Cell| !cell.is_empty());
    (counters, cells)
}

fn add(
    cells: &mut BTreeMap<CellKey, Cell>,
    id: u128,
    event: &Event,
    (mature, last): (Option<f64>, f64),
    last_label: Option<f64>,
) {
    let scores = scores(id, event.promotion);
    // Version 1 is the frozen one in both line-ups, and the previous one in the second.
    let first = &scores[scores.len() - 1..];
    let harm = harm().filter(|_| event.promotion == 2);
    let version = line_up(event.promotion).members[0].version.clone();
    let mut terms = Vec::new();
    if let Some(mature) = mature {
        terms.push((Phase::Mature, mature, 1));
    }
    if mature != Some(last) {
        terms.push((Phase::Late, last, 1));
        if let Some(mature) = mature {
            terms.push((Phase::Late, mature, -1));
        }
    }
    let slice = slice_end(event.time) - 10;
    for (phase, label, sign) in terms {
        let all = Row {
            served: &scores[..1],
            frozen: Some(first),
            previous: (event.promotion == 2).then_some(first),
            label,
            last_label,
            harm: harm.as_ref(),
        };
        let part = Row { previous: None, harm: None, ..all };
        let named = format!("origin={}", SEGMENTS[segment(id)]);
        for (segment, row) in [("*".to_owned(), &all), (named, &part)] {
            let key = (slice, phase, segment, event.promotion, version.clone());
            cells.entry(key).or_insert_with(|| Cell::empty(SHAPE)).add(row, sign);
        }
    }
}
