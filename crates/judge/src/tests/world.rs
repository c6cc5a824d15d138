//! A pipeline in miniature: it scores and labels slices under the line-ups the judge decides,
//! writes the journal in any interleaving, loads versions, reports runs, and crashes.

use super::fixtures::{Outcome, PARTITIONS, ROWS_PER_PARTITION, SLICE_MS, Script, counts, hash, reference};
use super::fixtures::{unit, version};
use crate::intake::Record;
use crate::judge::Judge;
use domain::time::Watermark;
use domain::{Effect, Input, LineUp, Outputs, RawBatch, RawRecord, SourcePartition, Stage, Task, TopicRole, Version};
use measure::{Cell, ChildSums, ExactScores, Expected, Row};
use records::control::{Control, Promotion, Run};
use records::example::{Example, Losses};
use records::journal::{
    ArrivedCell, ArrivedPane, Challenger, Command, ExactCell, ExactPane, ExampleCell, ExamplePane, ExpectedCell,
    ExpectedPane, JoinCell, JoinCounters, JoinMarker, Journal, LossCell, LossPane, Phase, RunOutcome, RunReport,
    ScoreCell, ScoreCounters, ScorePane, SegmentCell, SegmentPane,
};
use records::tracking::Marker;
use records::window::Window;
use std::collections::{BTreeMap, VecDeque};

pub(super) struct World {
    script: Script,
    random: u64,
    crashes: bool,
    judge: Judge,
    /// The journal, and the judge's progress on it.
    journal: Vec<Vec<u8>>,
    committed: i64,
    snapshot: Option<(i64, Vec<u8>)>,
    /// Writers whose records keep their own order.
    queues: BTreeMap<String, VecDeque<Record>>,
    loads: VecDeque<Version>,
    next_slice: i64,
    judged: Option<i64>,
    pub(super) promotions: Vec<Promotion>,
    pub(super) control: Vec<Control>,
    /// Values by topic and key, in order.
    pub(super) said: BTreeMap<(TopicRole, String), Vec<String>>,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) most_slices: usize,
}

fn journal_source() -> SourcePartition {
    SourcePartition::new("p.journal", 0)
}

/// Every score is 0.8 or 0.2, and means it.
fn expected() -> Expected {
    let mut sums = Expected::new(2);
    for row in 0..ROWS_PER_PARTITION {
        let (score, predicted) = if row % 2 == 0 { (0.8, 1) } else { (0.2, 0) };
        sums.add(&[score], predicted, &[1.0 - score, score], 1);
    }
    sums
}

/// The same scores as numbers: of four in five the error is 0.2, of the others 0.8.
fn expected_errors() -> ChildSums {
    let mut sums = ChildSums::default();
    for _ in 0..ROWS_PER_PARTITION {
        sums.add(0.8 * 0.2 + 0.2 * 0.8, Some(0.8 * 0.04 + 0.2 * 0.64), 1);
    }
    sums
}

fn pane_of<E: Clone>(sums: E, source: SourcePartition, slice_start_ms: i64, version: &Version) -> ExpectedPane<E> {
    let cell = |segment: &str| ExpectedCell {
        slice_start_ms,
        version: version.clone(),
        segment: segment.to_owned(),
        expected: sums.clone(),
    };
    ExpectedPane { source, from_offset: 0, to_offset: 0, cells: vec![cell("*"), cell("origin=JFK")] }
}

impl World {
    /// Runs a script to its end. The seed cuts batches and interleaves writers.
    pub(super) fn run(script: Script, seed: u64, crashes: bool) -> Self {
        let mut world = Self {
            judge: Judge::new(script.config.clone()),
            script,
            random: hash(seed),
            crashes,
            journal: Vec::new(),
            committed: 0,
            snapshot: None,
            queues: BTreeMap::new(),
            loads: VecDeque::new(),
            next_slice: 0,
            judged: None,
            promotions: Vec::new(),
            control: Vec::new(),
            said: BTreeMap::new(),
            counts: BTreeMap::new(),
            most_slices: 0,
        };
        world.assign(None);
        while world.turn() {}
        world
    }

    fn draw(&mut self, below: usize) -> usize {
        self.random = hash(self.random);
        (self.random % below.max(1) as u64) as usize
    }

    /// One thing happens; false when nothing can any more.
    fn turn(&mut self) -> bool {
        self.produce();
        if self.crashes && self.draw(12) == 0 {
            self.crash();
        }
        if self.crashes && self.draw(5) == 0 {
            self.checkpoint();
        }
        if !self.loads.is_empty() && self.draw(3) == 0 {
            self.load();
        }
        let wanted = 1 + self.draw(4);
        let mut written = 0;
        while written < wanted && self.write_one() {
            written += 1;
        }
        let fed = self.feed();
        if written == 0 && !fed && self.loads.is_empty() {
            return false;
        }
        if written == 0 && !fed {
            self.load();
        }
        true
    }

    fn write_one(&mut self) -> bool {
        let busy: Vec<String> =
            self.queues.iter().filter(|(_, q)| !q.is_empty()).map(|(name, _)| name.clone()).collect();
        if busy.is_empty() {
            return false;
        }
        let name = busy[self.draw(busy.len())].clone();
        let record = self.queues.get_mut(&name).unwrap().pop_front().unwrap();
        self.journal.push(records::to_postcard(&record).unwrap());
        true
    }

    fn queue(&mut self, writer: &str, record: Record) {
        self.queues.entry(writer.to_owned()).or_default().push_back(record);
    }

    /// Gives the judge what it has not read, if it takes any.
    fn feed(&mut self) -> bool {
        let position = self.judge.journal.as_ref().unwrap();
        let next = position.waiting.back().map_or(position.state.next_offset.max(0), |(offset, _)| offset + 1);
        if !self.judge.accepts(&journal_source()) {
            return false;
        }
        let end = (self.journal.len() as i64).min(next + 1 + self.draw(6) as i64);
        let has_waiting = !self.judge.journal.as_ref().unwrap().waiting.is_empty();
        if next >= end && !has_waiting {
            return false;
        }
        let batch = self.batch(next, end);
        if batch.is_empty() {
            self.step(Input::Tick { now_ms: 0 })
        } else {
            self.step(Input::Batch(&batch))
        }
        true
    }

    fn batch(&self, from: i64, to: i64) -> RawBatch {
        let mut batch = RawBatch::new(TopicRole::Journal, journal_source());
        for offset in from..to {
            let value = Some(self.journal[offset as usize].as_slice());
            batch.push(RawRecord { offset, timestamp_ms: 0, key: None, value }, []);
        }
        batch
    }

    /// Steps the judge and commits.
    fn step(&mut self, input: Input<'_>) {
        let mut out = Outputs::default();
        self.judge.step(input, &mut out).unwrap();
        let state = &self.judge.journal.as_ref().unwrap().state;
        self.most_slices = self.most_slices.max(state.slices.len());
        self.committed = self.judge.commit_offset(&journal_source(), state.next_offset.max(0)).max(self.committed);
        self.heed(&out);
    }

    fn heed(&mut self, out: &Outputs) {
        for record in out.records() {
            let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            if record.topic == TopicRole::Control {
                self.obey(serde_json::from_str(&value).unwrap());
            }
            self.said.entry((record.topic, key)).or_default().push(value);
        }
        for count in &out.counts {
            *self.counts.entry(count.name).or_default() += count.value;
        }
        for effect in &out.effects {
            match effect {
                Effect::Load(version) => self.loads.push_back(version.clone()),
                Effect::Launch { order, .. } => self.report(&serde_json::from_slice(order).unwrap()),
                Effect::Alias { .. } => {}
            }
        }
    }

    fn obey(&mut self, control: Control) {
        match &control {
            Control::Promotion(promotion) => {
                self.promotions.push(promotion.clone());
                for partition in 0..PARTITIONS {
                    let source = SourcePartition::new("events", partition);
                    let promotion = promotion.line_up.promotion;
                    self.queue(&format!("ack{partition}"), Journal::Acknowledged { source, promotion, fault: None });
                }
            }
            Control::Progress { judged_until_ms } => self.judged = Some(*judged_until_ms),
            _ => {}
        }
        self.control.push(control);
    }

    fn report(&mut self, run: &Run) {
        let outcome = match (self.script.outcome)(run) {
            Outcome::Failed => RunOutcome::Failed { reason: "no memory".to_owned() },
            verdict => RunOutcome::Trained(Challenger {
                version: version(run.run + 1),
                family: "gradient_boosting".to_owned(),
                trained_until_ms: run.cut_off_ms,
                rows: 1_000,
                reference: reference(),
                passed: verdict == Outcome::Passed,
                verdicts: vec!["loss: whatever".to_owned()],
                challenger_loss: 0.16,
                champion_loss: Some(0.3),
                difference_standard_error: Some(0.01),
            }),
        };
        self.queue("trainer", Journal::RunReport(RunReport { run: run.run, attempt: run.attempt, outcome }));
    }

    fn load(&mut self) {
        if let Some(version) = self.loads.pop_front() {
            self.step(Input::Loaded { version: &version, part: Ok((self.script.known)()) });
            self.step(Input::Tick { now_ms: 0 });
        }
    }

    fn checkpoint(&mut self) {
        let state = &self.judge.journal.as_ref().unwrap().state;
        if state.next_offset == self.committed && self.judge.journal.as_ref().unwrap().waiting.is_empty() {
            self.snapshot = self.judge.snapshot(&journal_source()).map(|bytes| (self.committed, bytes));
        }
    }

    /// The process dies; another one takes over from checkpoint and log.
    fn crash(&mut self) {
        self.judge = Judge::new(self.script.config.clone());
        self.loads.clear();
        self.assign(Some(self.committed));
    }

    fn assign(&mut self, offset: Option<i64>) {
        let source = journal_source();
        let snapshot = self.snapshot.clone();
        let snapshot = snapshot.as_ref().map(|(_, bytes)| bytes.as_slice());
        self.step(Input::Assigned { source: &source, offset, metadata: None, snapshot });
    }

    /// Rows of a slice may be produced while it starts before J + lead.
    fn produce(&mut self) {
        while self.next_slice < self.script.slices {
            let start_ms = self.next_slice * SLICE_MS;
            let commands: Vec<Command> =
                self.script.commands.extract_if(.., |(at, _)| *at == self.next_slice).map(|(_, c)| c).collect();
            for command in commands {
                self.queue("commands", Journal::Command(command));
            }
            let open_until_ms = self.judged.unwrap_or(0) + self.script.config.lead_ms;
            let Some(line_up) = self.line_up_at(start_ms) else { return };
            if start_ms >= open_until_ms {
                return;
            }
            self.score(self.next_slice, &line_up);
            self.join(self.next_slice, &line_up);
            self.archive(start_ms + SLICE_MS);
            self.next_slice += 1;
            if self.next_slice == self.script.slices {
                self.finish();
            }
        }
    }

    fn line_up_at(&self, start_ms: i64) -> Option<LineUp> {
        let in_force = |p: &&Promotion| p.effective_from_ms.is_none_or(|from| from <= start_ms);
        self.promotions.iter().rev().find(in_force).map(|p| p.line_up.clone())
    }

    fn score(&mut self, slice: i64, line_up: &LineUp) {
        for partition in 0..PARTITIONS {
            let source = SourcePartition::new("events", partition);
            let even = vec![0, 33, 34, 33, 0, 0];
            let is_moved = (self.script.moved_from..self.script.moved_until).contains(&slice);
            let x = match (is_moved, self.script.segmented) {
                (true, true) => vec![0, 26, 29, 45, 0, 0],
                (true, false) => vec![0, 0, 10, 90, 0, 0],
                (false, _) => even.clone(),
            };
            let cell = ScoreCell {
                slice_start_ms: slice * SLICE_MS,
                version: line_up.members[0].version.clone(),
                rows: ROWS_PER_PARTITION,
                after_final: 0,
                profile: counts(ROWS_PER_PARTITION, &[x, even.clone(), even]),
            };
            let pane = ScorePane { source: source.clone(), from_offset: 0, to_offset: 0, cells: vec![cell] };
            let writer = format!("score{partition}");
            self.queue(&writer, Journal::ScorePane(pane));
            if self.script.segmented {
                let x = if is_moved { vec![0, 0, 2, 18, 0, 0] } else { vec![0, 7, 6, 7, 0, 0] };
                let others = vec![0, 7, 6, 7, 0, 0];
                let cell = SegmentCell {
                    slice_start_ms: slice * SLICE_MS,
                    version: line_up.members[0].version.clone(),
                    segment: "origin=JFK".to_owned(),
                    profile: counts(20, &[x, others.clone(), others]),
                };
                let source = source.clone();
                let pane = SegmentPane { source, from_offset: 0, to_offset: 0, cells: vec![cell] };
                self.queue(&writer, Journal::Segments(pane));
            }
            if let Some(from) = self.script.related_from {
                let version = line_up.members[0].version.clone();
                self.queue(&writer, Journal::Kernel(super::together::pane(&source, slice, version, slice >= from)));
            }
            if self.script.calibrated {
                let version = line_up.members[0].version.clone();
                let (source, start_ms) = (source.clone(), slice * SLICE_MS);
                let record = match self.script.config.shape.task {
                    Task::Regression => Journal::ExpectedErrors(pane_of(expected_errors(), source, start_ms, &version)),
                    _ => Journal::Expected(pane_of(expected(), source, start_ms, &version)),
                };
                self.queue(&writer, record);
            }
            self.queue(&writer, Journal::Examples(sample(&source, slice, &line_up.members[0].version, is_moved)));
            let watermark = Watermark { time_ms: (slice + 1) * SLICE_MS, idle: false };
            let marker = Marker::events(source, watermark);
            self.queue(&writer, Journal::ScoreMarker { marker, counters: ScoreCounters::default() });
        }
    }

    fn join(&mut self, slice: i64, line_up: &LineUp) {
        for partition in 0..PARTITIONS {
            let rows = ROWS_PER_PARTITION / 2;
            let halves = [(0..rows), (rows..ROWS_PER_PARTITION)];
            for half in halves {
                let cell = self.cell(slice, partition, half.clone(), line_up);
                self.queue_cell(slice, (slice, partition), Phase::Mature, line_up, cell);
                self.queue_exact((slice, partition), Phase::Mature, half, line_up);
            }
            self.queue_losses(slice, partition, &line_up.members[0].version);
            // One label that comes after maturity, and before the window is final.
            let late = slice - 2;
            if late >= 0
                && let Some(then) = self.line_up_at(late * SLICE_MS)
            {
                let rows = ROWS_PER_PARTITION..ROWS_PER_PARTITION + 1;
                let cell = self.cell(late, partition, rows.clone(), &then);
                self.queue_cell(slice, (late, partition), Phase::Late, &then, cell);
                self.queue_exact((late, partition), Phase::Late, rows, &then);
            }
            self.mark(partition, (slice + 1) * SLICE_MS);
        }
    }

    /// Losses of the sampled events: a tenth of their number, but of number 3, which is corrected.
    fn queue_losses(&mut self, slice: i64, partition: i32, version: &Version) {
        let is_moved = (self.script.moved_from..self.script.moved_until).contains(&slice);
        let sample = sample(&SourcePartition::new("events", partition), slice, version, is_moved);
        let number = |number: usize| sample.cells[0].examples[number].0;
        let terms = (0..10).map(|n| (number(n), n as f64 / 10.0, 1)).collect();
        for terms in [terms, vec![(number(3), 0.3, -1), (number(3), 0.95, 1)]] {
            let mut losses = Losses::default();
            terms.into_iter().for_each(|(row, loss, sign)| losses.add(row, loss, sign));
            let cell = LossCell { slice_start_ms: slice * SLICE_MS, version: version.clone(), losses };
            let pane = LossPane { tracking_partition: partition, from_offset: 0, to_offset: 0, cells: vec![cell] };
            self.queue(&format!("join{partition}"), Journal::Losses(pane));
        }
    }

    /// After the last slice: everything becomes final.
    fn finish(&mut self) {
        let end_ms = self.script.slices * SLICE_MS;
        for partition in 0..PARTITIONS {
            self.mark(partition, end_ms + self.script.config.horizon_ms);
        }
    }

    fn mark(&mut self, partition: i32, until_ms: i64) {
        let (events_ms, labels_ms) = (Some(until_ms), Some(until_ms));
        let counters = JoinCounters::default();
        let marker = JoinMarker { tracking_partition: partition, events_ms, labels_ms, counters };
        self.queue(&format!("join{partition}"), Journal::JoinMarker(marker));
    }

    fn queue_cell(&mut self, arrived: i64, (slice, partition): (i64, i32), phase: Phase, line_up: &LineUp, cell: Cell) {
        let joined = |segment: &str| JoinCell {
            slice_start_ms: slice * SLICE_MS,
            phase,
            segment: segment.to_owned(),
            promotion: line_up.promotion,
            version: line_up.members[0].version.clone(),
            cell: cell.clone(),
        };
        let arrived_slice_start_ms = arrived * SLICE_MS;
        let arrived = |segment: &str| ArrivedCell { arrived_slice_start_ms, joined: joined(segment) };
        let cells = vec![arrived("*"), arrived("origin=JFK")];
        let pane = ArrivedPane { tracking_partition: partition, from_offset: 0, to_offset: 0, cells };
        self.queue(&format!("join{partition}"), Journal::Arrived(pane));
    }

    /// Scores of the same rows as those of a cell.
    fn queue_exact(&mut self, place: (i64, i32), phase: Phase, rows: std::ops::Range<u64>, line_up: &LineUp) {
        if place.0 < self.script.exact_from {
            return;
        }
        let (shape, version) = (self.script.config.shape, line_up.members[0].version.clone());
        let mut scores = ExactScores::default();
        for row in rows {
            let (label, score) = self.row(place, row);
            scores.add(shape, &score(&version), label, 1);
        }
        let cell = ExactCell { slice_start_ms: place.0 * SLICE_MS, phase, version, scores: scores.counts().collect() };
        let pane = ExactPane { tracking_partition: place.1, from_offset: 0, to_offset: 0, cells: vec![cell] };
        self.queue(&format!("join{}", place.1), Journal::Exact(pane));
    }

    /// Label of a row, and what a version scores it with.
    fn row(&self, (slice, partition): (i64, i32), row: u64) -> (f64, impl Fn(&Version) -> [f64; 1] + use<>) {
        let seed = hash(slice as u64 * 1_000_000 + partition as u64 * 1_000 + row);
        let label = f64::from(u8::from(hash(seed).is_multiple_of(2)));
        let accuracy = self.script.accuracy;
        let score = move |version: &Version| {
            let number = u64::from_str_radix(version.as_str(), 16).unwrap();
            let right = unit(seed ^ hash(number)) < accuracy(number, slice);
            if right == (label > 0.5) { [0.8] } else { [0.2] }
        };
        (label, score)
    }

    fn cell(&self, slice: i64, partition: i32, rows: std::ops::Range<u64>, line_up: &LineUp) -> Cell {
        let mut cell = Cell::empty(self.script.config.shape);
        for row in rows {
            let (label, score) = self.row((slice, partition), row);
            let served = score(&line_up.members[0].version);
            let frozen = line_up.frozen.as_ref().map(&score);
            let previous = line_up.previous.as_ref().map(&score);
            let row = Row {
                served: &served,
                frozen: frozen.as_ref().map(<[f64; 1]>::as_slice),
                previous: previous.as_ref().map(<[f64; 1]>::as_slice),
                label,
                last_label: None,
                harm: line_up.members[0].harm.as_ref(),
            };
            cell.add(&row, 1);
        }
        cell
    }

    fn archive(&mut self, until_ms: i64) {
        let watermark = Watermark { time_ms: until_ms, idle: false };
        for partition in 0..PARTITIONS {
            let marker = Marker::events(SourcePartition::new("events", partition), watermark);
            self.queue(&format!("archive{partition}"), Journal::ArchiveMarker { marker });
        }
        let marker = Marker::labels(SourcePartition::new("labels", 0), watermark);
        self.queue("archive-labels", Journal::ArchiveMarker { marker });
    }

    // What tests look at.

    pub(super) fn progress(&self) -> Vec<i64> {
        let told = self.control.iter();
        told.filter_map(|c| if let Control::Progress { judged_until_ms } = c { Some(*judged_until_ms) } else { None })
            .collect()
    }

    pub(super) fn runs(&self) -> Vec<Run> {
        self.control.iter().filter_map(|c| if let Control::Run(run) = c { Some(run.clone()) } else { None }).collect()
    }

    pub(super) fn alerts(&self) -> Vec<records::alert::Alert> {
        let of_topic = self.said.iter().filter(|((topic, _), _)| *topic == TopicRole::Alerts);
        of_topic.flat_map(|(_, values)| values.iter().map(|v| serde_json::from_str(v).unwrap())).collect()
    }

    /// By event time.
    pub(super) fn windows(&self) -> BTreeMap<String, Vec<Window>> {
        self.windows_by("event_time/")
    }

    pub(super) fn windows_by(&self, clock: &str) -> BTreeMap<String, Vec<Window>> {
        let of_topic =
            self.said.iter().filter(|((topic, key), _)| *topic == TopicRole::Windows && key.starts_with(clock));
        of_topic
            .map(|((_, key), values)| (key.clone(), values.iter().map(|v| serde_json::from_str(v).unwrap()).collect()))
            .collect()
    }
}

/// Ten events of a pane, two of them of origin JFK; where `x` has moved nine are in its bin 3. Their ids
/// say all of it.
fn sample(source: &SourcePartition, slice: i64, version: &Version, is_moved: bool) -> ExamplePane {
    let example = |number: u16| {
        let (bin, origin) =
            (if is_moved && number != 5 { 3 } else { 1 + number % 3 }, if number < 2 { "JFK" } else { "EWR" });
        let id = format!("slice {slice}, {} {number}, {origin}, x in {bin}", source.partition);
        let segments = vec![format!("origin={origin}")];
        (domain::fingerprint(id.as_bytes()), Example { id, bins: vec![bin, 1, 1], segments })
    };
    let cell = ExampleCell {
        slice_start_ms: slice * SLICE_MS,
        version: version.clone(),
        examples: (0..10).map(example).collect(),
    };
    ExamplePane { source: source.clone(), from_offset: 0, to_offset: 0, cells: vec![cell] }
}
