//! The same set of records in many orders and cuts gives the oracle's numbers.

use super::oracle::{Logged, truth};
use super::script::{Item, batches, config, records, run};
use records::tracking::StreamKind;
use std::collections::VecDeque;

/// A record with its own time, and where in its log it stands.
type Placed = (i64, (i64, Item));

/// A small generator of test data: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, bound: i64) -> i64 {
        i64::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }
    fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }
}

const LATENESS: i64 = 3;
const PARTITIONS: i32 = 2;

/// Puts records into the log of their partition: with the markers intake and score would write,
/// and the rows they would call final.
fn log_of(kind: StreamKind, source: i32, items: Vec<(i64, Item)>) -> Vec<Logged> {
    let (mut log, mut watermark, mut marked) = (Vec::new(), i64::MIN, i64::MIN);
    for (offset, (time, mut item)) in (0..).zip(items) {
        match &mut item {
            Item::Prediction { offset: o, after_final, .. } => {
                (*o, *after_final) = (offset, time < watermark.saturating_sub(30));
            }
            Item::Label { offset: o, .. } => *o = offset,
            Item::Marker { .. } => {}
        }
        log.push(Logged { item, marked });
        let passed = (time - LATENESS).div_euclid(10) > watermark.div_euclid(10);
        watermark = watermark.max(time - LATENESS);
        if passed {
            marked = watermark;
            log.push(Logged { item: Item::Marker { kind, source, time: marked, idle: false }, marked });
        }
    }
    log
}

/// Logs of the event partitions, then of the label partitions.
fn world(draw: &mut Draw) -> Vec<Vec<Logged>> {
    let mut events: Vec<Vec<Placed>> = vec![Vec::new(); 2];
    let mut labels: Vec<Vec<Placed>> = vec![Vec::new(); 2];
    let label = |labels: &mut [Vec<Placed>], draw: &mut Draw, id, time| {
        let source = draw.below(2);
        let value = if draw.chance(40) { 1.0 } else { 0.0 };
        let item = Item::Label { source: i32::try_from(source).unwrap(), offset: 0, id, time, value };
        // Where it stands in the log: mostly near its time, sometimes far behind.
        let behind = if draw.chance(3) { draw.below(90) } else { draw.below(4) };
        labels[usize::try_from(source).unwrap()].push((time + behind, (time, item)));
    };
    for n in 0..150 {
        let time = n + draw.below(8);
        let id = u128::try_from(n).unwrap() + 1000 * u128::from(draw.next());
        let promotion = 1 + u64::from(n >= 35);
        for copy in 0..if draw.chance(10) { 2 } else { 1 } {
            let source = draw.below(2);
            // A repeated event keeps to its slice.
            let time = if copy == 0 { time } else { time.div_euclid(10) * 10 + draw.below(10) };
            let item = Item::Prediction {
                source: i32::try_from(source).unwrap(),
                offset: 0,
                id,
                time,
                after_final: false,
                promotion,
            };
            let behind = if draw.chance(3) { draw.below(60) } else { draw.below(4) };
            events[usize::try_from(source).unwrap()].push((time + behind, (time, item)));
        }
        for _ in 0..[0, 1, 1, 1, 1, 2, 3][usize::try_from(draw.below(7)).unwrap()] {
            let delay = if draw.chance(15) { draw.below(200) - 60 } else { draw.below(30) };
            label(&mut labels, draw, id, time + delay);
        }
        if draw.chance(5) {
            let orphan = u128::from(draw.next());
            label(&mut labels, draw, orphan, time);
        }
    }
    let in_order = |mut placed: Vec<Placed>| {
        placed.sort_by_key(|(place, _)| *place);
        placed.into_iter().map(|(_, record)| record).collect::<Vec<_>>()
    };
    let mut logs = Vec::new();
    for (kind, sources) in [(StreamKind::Events, events), (StreamKind::Labels, labels)] {
        for (source, placed) in (0..PARTITIONS).zip(sources) {
            logs.push(log_of(kind, source, in_order(placed)));
        }
    }
    logs
}

/// One order in which the logs may stand in a tracking partition: each log in its own order, with
/// runs that differ in length, and stretches delivered twice.
fn interleave(logs: &[Vec<Logged>], draw: &mut Draw) -> Vec<Item> {
    let mut rest: Vec<VecDeque<Item>> =
        logs.iter().map(|log| log.iter().map(|logged| logged.item.clone()).collect()).collect();
    let mut order: Vec<Item> = Vec::new();
    while rest.iter().any(|log| !log.is_empty()) {
        let chosen = usize::try_from(draw.below(4)).unwrap();
        let longest = if draw.chance(20) { 80 } else { 8 };
        let length = 1 + draw.below(longest);
        let mut taken = Vec::new();
        for _ in 0..length {
            taken.extend(rest[chosen].pop_front());
        }
        order.extend(taken.iter().cloned());
        if draw.chance(10) {
            order.extend(taken);
        }
    }
    order
}

fn least(logs: &[Vec<Logged>]) -> i64 {
    logs.iter().map(|log| log.last().map_or(i64::MIN, |logged| last_marker(log).max(logged.marked))).min().unwrap()
}

fn last_marker(log: &[Logged]) -> i64 {
    let time = |logged: &Logged| if let Item::Marker { time, .. } = logged.item { time } else { i64::MIN };
    log.iter().map(time).max().unwrap_or(i64::MIN)
}

#[test]
fn any_order_any_cut_and_a_restart_give_the_numbers_of_the_set() {
    let mut seen = records::journal::JoinCounters::default();
    let mut cells_seen = 0;
    for seed in 0..60 {
        let mut draw = Draw(seed);
        let logs = world(&mut draw);
        let all: Vec<Logged> = logs.concat();
        let (counters, cells) = truth(&all, least(&logs[..2]), least(&logs[2..]));
        seen.add(&counters);
        cells_seen += cells.len();
        for order in 0..4 {
            let items = interleave(&logs, &mut draw);
            let records = records(&items, || draw.chance(20));
            let cuts = 1 + draw.below(50);
            let batches = batches(&records, || draw.chance(cuts));
            let (said, end) = run(config(2), &batches, None);
            assert_eq!(said.counters, counters, "seed {seed}, order {order}");
            assert_eq!(said.cells.keys().collect::<Vec<_>>(), cells.keys().collect::<Vec<_>>(), "seed {seed}");
            assert_eq!(said.cells, cells, "seed {seed}, order {order}");
            let restart = usize::try_from(draw.below(i64::try_from(batches.len()).unwrap())).unwrap();
            let (restarted, end_restarted) = run(config(2), &batches, Some(restart));
            assert_eq!(restarted.bytes, said.bytes, "seed {seed}: a restart before batch {restart} shows");
            assert_eq!(end_restarted, end, "seed {seed}: a restart before batch {restart} shows in the state");
        }
    }
    // The worlds must not be dull.
    let counts = [seen.joined, seen.in_training, seen.pending, seen.expired, seen.repeated, seen.waiting];
    let more = [seen.orphan, seen.duplicate, seen.corrected, seen.late];
    assert!(counts.iter().chain(&more).all(|n| *n > 30) && cells_seen > 1000, "{seen:?}, {cells_seen} cells");
}
