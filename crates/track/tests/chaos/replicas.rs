//! Two replicas that share the tracking partitions, crash, lose partitions, and read logs again.

use super::oracle::{Covered, Key};
use super::world::{Draw, HORIZON, Item, S, SEGMENTS, SLICE, TRAINED_UNTIL, World, score, segment};
use domain::ids::tracking_partition;
use domain::time::Watermark;
use domain::{Harm, Input, LineUp, Member, Outputs, RawBatch, RawRecord, Slices, SourcePartition, Stage, Task};
use domain::{TopicRole, Version};
use measure::{Cell, ExactScores, Performance, ScoreCount, Shape};
use records::example::Losses;
use records::journal::{JoinCell, JoinCounters, Journal, Phase};
use records::tracking::{LabelBatch, Marker, PredictionBatch, SegmentColumn, StreamKind, Tracking};
use std::collections::{BTreeMap, VecDeque};
use track::{Join, JoinConfig, Rules};

pub(crate) const SHAPE: Shape = Shape { task: Task::BinaryClassification, classes: 2 };

pub(crate) fn version(promotion: u64) -> String {
    format!("{promotion:012}")
}

pub(crate) fn harm(promotion: u64) -> Option<Harm> {
    (promotion == 2).then(|| Harm { p0: 0.2, bets: vec![0.5, 1.0], scale: 1.0 })
}

pub(crate) fn confusion(cell: &Cell) -> [i64; 4] {
    let Performance::Binary(binary) = &cell.served else { panic!("not binary") };
    binary.confusion()
}

/// All that was committed.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) cells: BTreeMap<Key, Cell>,
    /// By the slice of the first label, segment and version.
    pub(crate) arrived: BTreeMap<(i64, String, String), Cell>,
    pub(crate) exact: BTreeMap<(i64, Phase, String), ExactScores>,
    /// Losses of sampled rows by slice and version.
    losses: BTreeMap<(i64, String), Losses>,
    pub(crate) coverage: BTreeMap<i64, Covered>,
    by_partition: BTreeMap<i32, JoinCounters>,
    pub(crate) crashes: usize,
}

impl Said {
    pub(crate) fn counters(&self) -> JoinCounters {
        self.by_partition.values().fold(JoinCounters::default(), |mut sum, counters| {
            sum.add(counters);
            sum
        })
    }

    /// What the sampled rows that are in force lost, the greatest loss first.
    pub(crate) fn losses(&self) -> BTreeMap<(i64, String), Vec<(u128, f64)>> {
        let worst = self.losses.iter().map(|(key, losses)| (key.clone(), losses.worst_first()));
        worst.filter(|(_, worst)| !worst.is_empty()).collect()
    }

    fn take(&mut self, out: &Outputs) {
        for record in out.records() {
            match records::from_postcard::<Journal<(), Cell, (), (), (), ScoreCount>>(record.value.unwrap()).unwrap() {
                Journal::Arrived(pane) => {
                    for c in pane.cells {
                        let version = c.joined.version.as_str().to_owned();
                        let key = (c.arrived_slice_start_ms, c.joined.segment.clone(), version);
                        self.arrived.entry(key).or_insert_with(|| Cell::empty(SHAPE)).merge(&c.joined.cell);
                        self.join(c.joined);
                    }
                }
                Journal::JoinPane(pane) => {
                    pane.cells.into_iter().for_each(|c| self.join(c));
                    for c in pane.coverage {
                        let sum = self.coverage.entry(c.slice_start_ms).or_default();
                        (sum.0, sum.1) = (sum.0 + c.predictions, sum.1 + c.assumed);
                        for (bin, count) in c.ages {
                            *sum.2.entry(bin).or_default() += count;
                        }
                        sum.2.retain(|_, count| *count != 0);
                    }
                }
                Journal::JoinMarker(marker) => {
                    assert!(marker.counters.balances(), "{:?}", marker.counters);
                    self.by_partition.insert(marker.tracking_partition, marker.counters);
                }
                Journal::Exact(pane) => {
                    for c in pane.cells {
                        let key = (c.slice_start_ms, c.phase, c.version.as_str().to_owned());
                        let scores = self.exact.entry(key).or_default();
                        c.scores.iter().for_each(|count| scores.add_count(count));
                    }
                }
                Journal::Losses(pane) => {
                    for c in pane.cells {
                        let key = (c.slice_start_ms, c.version.as_str().to_owned());
                        self.losses.entry(key).or_default().merge(&c.losses);
                    }
                }
                other => panic!("join wrote {other:?}"),
            }
        }
        self.cells.retain(|_, cell| !cell.is_empty());
        self.arrived.retain(|_, cell| !cell.is_empty());
        self.exact.retain(|_, scores| !scores.is_empty());
    }

    fn join(&mut self, c: JoinCell<Cell>) {
        let key = (c.slice_start_ms, c.phase, c.segment, c.promotion, c.version.as_str().to_owned());
        self.cells.entry(key).or_insert_with(|| Cell::empty(SHAPE)).merge(&c.cell);
    }
}

/// A tracking partition: its log, how far it is committed, and its newest checkpoint.
struct Tracked {
    source: SourcePartition,
    log: Vec<Vec<u8>>,
    committed: usize,
    checkpoint: Option<(usize, Vec<u8>)>,
    owner: usize,
}

fn config(world: &World) -> JoinConfig {
    JoinConfig {
        rules: Rules {
            slices: Slices::of(SLICE),
            horizon_ms: HORIZON,
            maturity_ms: world.setting.maturity_ms,
            orphan_after_ms: S,
        },
        shape: SHAPE,
        event_partitions: 2,
        label_partitions: 2,
        unlabelled: world.setting.unlabelled,
        exact_areas: true,
        rows_max: world.setting.rows_max,
    }
}

pub(crate) fn run(world: &World, draw: &mut Draw) -> Said {
    let mut joins = [Join::new(config(world)), Join::new(config(world))];
    let mut said = Said::default();
    let mut partitions: Vec<Tracked> = (0..world.setting.tracking_partitions)
        .map(|number| Tracked {
            source: SourcePartition::new("p.tracking", number),
            log: log_of(world, number, draw),
            committed: 0,
            checkpoint: None,
            owner: 0,
        })
        .collect();
    for tracked in &partitions {
        tracked.assign(&mut joins, draw);
    }
    while partitions.iter().any(|tracked| tracked.committed < tracked.log.len()) {
        let chosen = draw.below(partitions.len() as i64) as usize;
        let tracked = &mut partitions[chosen];
        let out = tracked.step(tracked.committed, tracked.log.len(), &mut joins, draw);
        let is_lost = draw.chance(8); // the transaction is not committed
        if !is_lost {
            said.take(&out.0);
            tracked.committed = out.1;
        }
        if draw.chance(15) && !is_lost {
            let bytes = joins[tracked.owner].snapshot(&tracked.source).unwrap();
            tracked.checkpoint = Some((tracked.committed, bytes));
        }
        if is_lost || draw.chance(4) {
            said.crashes += 1;
            joins[tracked.owner].step(Input::Revoked(&tracked.source), &mut Outputs::default()).unwrap();
            tracked.owner = draw.below(2) as usize;
            tracked.assign(&mut joins, draw);
        }
    }
    said
}

impl Tracked {
    /// A new owner reads checkpoint and log up to what is committed, and says nothing.
    fn assign(&self, joins: &mut [Join; 2], draw: &mut Draw) {
        let (mut at, snapshot) = match &self.checkpoint {
            Some((at, bytes)) => (*at, Some(bytes.as_slice())),
            None => (0, None),
        };
        let input = Input::Assigned { source: &self.source, offset: None, metadata: None, snapshot };
        joins[self.owner].step(input, &mut Outputs::default()).unwrap();
        while at < self.committed {
            at = self.step(at, self.committed, joins, draw).1;
        }
    }

    /// A batch of any length; gives where the next one begins.
    fn step(&self, from: usize, end: usize, joins: &mut [Join; 2], draw: &mut Draw) -> (Outputs, usize) {
        let longest = if draw.chance(20) { 60 } else { 6 };
        let until = end.min(from + 1 + draw.below(longest) as usize);
        let mut batch = RawBatch::new(TopicRole::Tracking, self.source.clone());
        for place in from..until {
            // Transactions leave gaps between offsets.
            let value = Some(self.log[place].as_slice());
            batch.push(RawRecord { offset: 3 * place as i64, timestamp_ms: 0, key: None, value }, []);
        }
        let mut out = Outputs::default();
        joins[self.owner].step(Input::Batch(&batch), &mut out).unwrap();
        (out, until)
    }
}

/// One order in which the sources' logs may stand in a tracking partition: each in its own order,
/// in runs that differ in length, with stretches delivered twice.
fn log_of(world: &World, partition: i32, draw: &mut Draw) -> Vec<Vec<u8>> {
    let here = |id: u128| tracking_partition(id, world.setting.tracking_partitions) == partition;
    let is_here = |item: &Item| match item {
        Item::Event { id, .. } | Item::Label { id, .. } => here(*id),
        Item::Marker { .. } => true,
    };
    let of_log = |items: &[Item]| -> VecDeque<(usize, Item)> {
        items.iter().copied().enumerate().filter(|(_, item)| is_here(item)).collect()
    };
    let mut rest: Vec<VecDeque<(usize, Item)>> = world.logs.iter().map(|log| of_log(&log.items)).collect();
    let mut records = Vec::new();
    while rest.iter().any(|log| !log.is_empty()) {
        let chosen = draw.below(4) as usize;
        let log = &world.logs[chosen];
        let source = SourcePartition::new(if chosen < 2 { "flights" } else { "outcomes" }, log.number);
        let longest = if draw.chance(20) { 80 } else { 8 };
        let length = (1 + draw.below(longest) as usize).min(rest[chosen].len());
        let run: Vec<_> = rest[chosen].drain(..length).collect();
        for _ in 0..if draw.chance(10) { 2 } else { 1 } {
            records.extend(records_of(log.kind, &source, &run));
        }
    }
    records.iter().map(|record| records::to_postcard(record).unwrap()).collect()
}

fn records_of(kind: StreamKind, source: &SourcePartition, run: &[(usize, Item)]) -> Vec<Tracking> {
    let promotion = |item: &Item| if let Item::Event { promotion, .. } = item { *promotion } else { 0 };
    let is_marker = |item: &Item| matches!(item, Item::Marker { .. });
    let together = |a: &(usize, Item), b: &(usize, Item)| {
        !is_marker(&a.1) && !is_marker(&b.1) && promotion(&a.1) == promotion(&b.1)
    };
    let mut records = Vec::new();
    for part in run.chunk_by(together) {
        records.push(match part[0].1 {
            Item::Marker { time } => Tracking::Marker(Marker {
                kind,
                source: source.clone(),
                watermark: Watermark { time_ms: time, idle: false },
            }),
            Item::Event { promotion, .. } => Tracking::Predictions(predictions(source, promotion, part)),
            Item::Label { .. } => Tracking::Labels(labels(source, part)),
        });
    }
    records
}

fn predictions(source: &SourcePartition, promotion: u64, part: &[(usize, Item)]) -> PredictionBatch {
    let first = Version::new(&version(1));
    let member = |promotion, trained_until_ms| Member {
        version: Version::new(&version(promotion)),
        trained_until_ms,
        harm: harm(promotion),
    };
    let mut members = vec![member(1, 0)];
    let mut line_up = LineUp { promotion, members: vec![], frozen: Some(first.clone()), previous: None };
    if promotion == 2 {
        members.insert(0, member(2, TRAINED_UNTIL));
        line_up.previous = Some(first);
    }
    let mut batch = PredictionBatch {
        source: source.clone(),
        scores: vec![vec![]; members.len()],
        line_up: LineUp { members, ..line_up },
        ids: vec![],
        offsets: vec![],
        times_ms: vec![],
        after_final: vec![],
        segments: vec![SegmentColumn {
            name: "origin".to_owned(),
            values: SEGMENTS.map(str::to_owned).to_vec(),
            codes: vec![],
        }],
    };
    for (offset, item) in part {
        let Item::Event { id, time, after_final, .. } = *item else { unreachable!() };
        batch.ids.push(id);
        batch.offsets.push(*offset as i64);
        batch.times_ms.push(time);
        batch.after_final.push(after_final);
        batch.segments[0].codes.push(segment(id) as u32);
        batch.scores[0].push(score(id, promotion));
        if promotion == 2 {
            batch.scores[1].push(score(id, 1));
        }
    }
    batch
}

fn labels(source: &SourcePartition, part: &[(usize, Item)]) -> LabelBatch {
    let mut batch =
        LabelBatch { source: source.clone(), ids: vec![], offsets: vec![], times_ms: vec![], values: vec![] };
    for (offset, item) in part {
        let Item::Label { id, time, value } = *item else { unreachable!() };
        batch.ids.push(id);
        batch.offsets.push(*offset as i64);
        batch.times_ms.push(time);
        batch.values.push(value);
    }
    batch
}
