//! A made-up world: what stands in the logs of two event and two label partitions.

use records::tracking::StreamKind;
use track::Unlabelled;

/// A second, in milliseconds: the unit of the world's times, so that ages fill several bins.
pub(crate) const S: i64 = 1_000;
/// A slice.
pub(crate) const SLICE: i64 = 10 * S;
/// The label horizon.
pub(crate) const HORIZON: i64 = 30 * S;
/// Maturity.
pub(crate) const MATURITY: i64 = 5 * S;
/// Event times before this were seen by the version of promotion 2 in training.
pub(crate) const TRAINED_UNTIL: i64 = 40 * S;
/// Values of the only segment column.
pub(crate) const SEGMENTS: [&str; 3] = ["JFK", "LAX", "other"];
const LATENESS: i64 = 3 * S;
const FAR: i64 = 31_536_000 * S;

/// A small generator of test data: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, bound: i64) -> i64 {
        (self.next() % bound.unsigned_abs()) as i64
    }
    pub(crate) fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }
}

/// What differs between worlds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) tracking_partitions: i32,
    pub(crate) unlabelled: Unlabelled,
    pub(crate) rows_max: usize,
    pub(crate) maturity_ms: i64,
}

/// A record of a source partition.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item {
    Event { id: u128, time: i64, promotion: u64, after_final: bool },
    Label { id: u128, time: i64, value: f64 },
    Marker { time: i64 },
}

/// A source partition's log, in its order; offsets are places in it.
pub(crate) struct Log {
    pub(crate) kind: StreamKind,
    pub(crate) number: i32,
    pub(crate) items: Vec<Item>,
}

pub(crate) struct World {
    pub(crate) setting: Setting,
    pub(crate) logs: Vec<Log>,
}

/// The score of a version on an event; now and then it is broken.
pub(crate) fn score(id: u128, promotion: u64) -> f64 {
    if id.is_multiple_of(41) {
        return f64::NAN;
    }
    let factor = if promotion == 1 { 7 } else { 31 };
    f64::from((id % 1_000) as u32 * factor % 97) / 97.0
}

pub(crate) fn segment(id: u128) -> usize {
    (id % 3) as usize
}

impl World {
    pub(crate) fn new(setting: Setting, draw: &mut Draw) -> Self {
        // Where a record stands, by time, and the record.
        let mut events: [Vec<(i64, Item)>; 2] = Default::default();
        let mut labels: [Vec<(i64, Item)>; 2] = Default::default();
        for n in 0..160 {
            let time = n * S + draw.below(8 * S);
            let id = u128::from(draw.next()) << 64 | u128::from(draw.next());
            let promotion = 1 + u64::from(n >= 35);
            for copy in 0..if draw.chance(10) { 2 } else { 1 } {
                // A repeated event keeps to its slice.
                let time = if copy == 0 { time } else { time.div_euclid(SLICE) * SLICE + draw.below(SLICE) };
                place(&mut events, Item::Event { id, time, promotion, after_final: false }, time, draw);
            }
            for _ in 0..[0, 1, 1, 1, 1, 2, 3, 4][draw.below(8) as usize] {
                label(&mut labels, id, time, draw);
            }
            if draw.chance(8) {
                let nobody = u128::from(draw.next());
                label(&mut labels, nobody, time, draw);
            }
        }
        let mut logs = Vec::new();
        for (kind, sources) in [(StreamKind::Events, events), (StreamKind::Labels, labels)] {
            for (number, mut placed) in (0..).zip(sources) {
                placed.sort_by_key(|(at, _)| *at);
                logs.push(Log { kind, number, items: marked(placed) });
            }
        }
        Self { setting, logs }
    }
}

/// Puts a record into a log, mostly near its time, sometimes far behind.
fn place(logs: &mut [Vec<(i64, Item)>; 2], item: Item, time: i64, draw: &mut Draw) {
    let behind = if draw.chance(4) { draw.below(90 * S) } else { draw.below(4 * S) };
    logs[draw.below(2) as usize].push((time + behind, item));
}

fn label(logs: &mut [Vec<(i64, Item)>; 2], id: u128, event: i64, draw: &mut Draw) {
    let value = if draw.chance(40) { 1.0 } else { 0.0 };
    let delay = if draw.chance(15) { draw.below(200 * S) - 60 * S } else { draw.below(30 * S) };
    let time = event + delay;
    // Some clocks are a year ahead or behind; the record itself comes when it comes.
    let said = time + if draw.chance(3) { [FAR, -FAR][draw.below(2) as usize] } else { 0 };
    place(logs, Item::Label { id, time: said, value }, time, draw);
    if draw.chance(5) {
        place(logs, Item::Label { id, time: said, value }, time, draw); // sent twice
    }
}

/// Adds the markers that score and intake would write, and the rows they would call final.
fn marked(placed: Vec<(i64, Item)>) -> Vec<Item> {
    let (mut log, mut watermark) = (Vec::new(), i64::MIN);
    for (at, mut item) in placed {
        let time = match &mut item {
            Item::Event { time, after_final, .. } => {
                *after_final = *time < watermark.saturating_sub(HORIZON);
                *time
            }
            Item::Label { time, .. } => *time,
            Item::Marker { time } => *time,
        };
        log.push(item);
        // What is far ahead of its own record moves nothing.
        if time <= at + S && time - LATENESS > watermark {
            let passed = (time - LATENESS).div_euclid(SLICE) > watermark.div_euclid(SLICE);
            watermark = time - LATENESS;
            if passed {
                log.push(Item::Marker { time: watermark });
            }
        }
    }
    log
}
