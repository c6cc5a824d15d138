//! The schedule: who does what next, and what goes wrong.

use super::log::{Log, source};
use super::runner::{Done, Fate, Part, Runner, Turn};
use super::script::{
    BASE_MS, LATENESS_MS, LEAD_MS, MAX_SKEW_MS, Script, classes, event_format, hash, label_format, shape,
};
use super::seen::Seen;
use domain::time::Watermark;
use domain::{Effect, EventWatermark, OutputRecord, Slices, SourcePartition, Stage, TopicRole, Version};
use records::SwapTable;
use records::control::{Control, Run};
use records::journal::{Journal, RunReport};
use records::tracking::Marker;
use std::collections::VecDeque;
use std::sync::Arc;

type Entry = Journal<(), ()>;

/// How much goes wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chaos {
    /// Processes of each stage but the judge.
    replicas: usize,
    /// One turn in so many ends in an abort or a crash; 0: none.
    faults: usize,
    /// One turn of the world in so many moves partitions; 0: none.
    rebalances: usize,
    rows_max: usize,
    /// Labels further ahead of events wait.
    align_ms: i64,
}

impl Chaos {
    pub(super) const NONE: Self = Self { replicas: 1, faults: 0, rebalances: 0, rows_max: 500, align_ms: i64::MAX };

    /// Mild to wild.
    pub(super) fn of(seed: u64) -> Self {
        let pick = |salt: u64, of: &[usize]| of[(hash(seed ^ salt) % of.len() as u64) as usize];
        Self {
            replicas: pick(0x10, &[1, 2, 3]),
            faults: pick(0x20, &[0, 60, 20, 8]),
            rebalances: pick(0x30, &[0, 80, 20]),
            rows_max: pick(0x40, &[9, 40, 200]),
            align_ms: [i64::MAX, 40_000, 5_000][pick(0x50, &[0, 1, 2])],
        }
    }
}

/// The stages, with the topics they read.
const STAGES: [(&str, &[(TopicRole, i32)]); 4] = [
    ("score", &[(TopicRole::Events, 2)]),
    ("intake", &[(TopicRole::Labels, 2)]),
    ("join", &[(TopicRole::Tracking, 3)]),
    ("judge", &[(TopicRole::Journal, 1)]),
];

pub(super) struct World<'a> {
    script: &'a Script,
    /// Swaps of another run, which decides for this one.
    swaps: Option<Arc<SwapTable>>,
    chaos: Chaos,
    random: u64,
    log: Log,
    /// Processes, by stage as in [`STAGES`].
    runners: Vec<Vec<Runner>>,
    sent: [Vec<usize>; 2],
    /// Reports of runs on their way.
    reports: VecDeque<RunReport>,
    archived: [Vec<i64>; 2],
    ended: bool,
    /// Of all processes: what a crash leaves in it is stale, which must not matter.
    watermark: Arc<EventWatermark>,
}

impl<'a> World<'a> {
    /// Runs a script to its end.
    pub(super) fn run(script: &'a Script, seed: u64, chaos: Chaos) -> Seen {
        Self::run_under(script, seed, chaos, None)
    }

    /// Runs a script to its end, under the swaps of another run of it.
    pub(super) fn run_under(script: &'a Script, seed: u64, chaos: Chaos, swaps: Option<Arc<SwapTable>>) -> Seen {
        Seen::of(&Self::log_of(script, seed, chaos, swaps))
    }

    /// All that was written on the way.
    pub(super) fn log_of(script: &'a Script, seed: u64, chaos: Chaos, swaps: Option<Arc<SwapTable>>) -> Log {
        let mut world = World {
            script,
            swaps,
            chaos,
            random: hash(seed),
            log: Log::with_gaps((seed % 3) as i64),
            runners: Vec::new(),
            sent: [vec![0; 2], vec![0; 2]],
            reports: VecDeque::new(),
            archived: [vec![i64::MIN; 2], vec![i64::MIN; 2]],
            ended: false,
            watermark: Arc::default(),
        };
        for (stage, (name, _)) in STAGES.iter().enumerate() {
            let replicas = if *name == "judge" { 1 } else { chaos.replicas };
            let opened = (0..replicas).map(|_| world.open(stage)).collect();
            world.runners.push(opened);
            world.deal(stage);
        }
        world.journal(&Entry::Command(script.first_champion()));
        let mut quiet = 0;
        for turns in 0.. {
            assert!(turns < 400_000, "seed {seed} never ends");
            quiet = if world.turn() { 0 } else { quiet + 1 };
            if quiet > 30 && !world.sweep() {
                if world.ended {
                    break;
                }
                assert!(world.all_sent(), "seed {seed}: nothing moves, {:?} sent, {}", world.sent, world.standing());
                world.ended = true;
            }
        }
        world.log
    }

    fn draw(&mut self, below: usize) -> usize {
        self.random = hash(self.random);
        (self.random % below.max(1) as u64) as usize
    }

    fn once_in(&mut self, times: usize) -> bool {
        times > 0 && self.draw(times) == 0
    }

    fn open(&self, stage: usize) -> Runner {
        let config = &self.script.judge;
        let script = self.script;
        let made: Box<dyn Stage> = match STAGES[stage].0 {
            "score" => {
                let config = score::Config { swaps: self.swaps.clone(), ..score_config(script) };
                Box::new(score::Stage::new(config).unwrap().telling(Arc::clone(&self.watermark)))
            }
            "intake" => {
                let align = track::Align { events: Arc::clone(&self.watermark), align_ms: self.chaos.align_ms };
                Box::new(track::Intake::new(intake_config(script, align)).unwrap())
            }
            "join" => Box::new(track::Join::new(join_config(script))),
            _ => {
                let imposed = self.swaps.as_ref().map(|table| table.promotions().cloned().collect());
                Box::new(judge::Judge::new(judge::Config { imposed, ..config.clone() }))
            }
        };
        Runner::open(made, STAGES[stage].0 == "score", &self.log)
    }

    /// Gives partitions to processes; those that stay where they are notice nothing.
    fn deal(&mut self, stage: usize) {
        let is_there = |role: &TopicRole| *role != TopicRole::Labels || self.script.task.has_labels();
        for (role, partitions) in STAGES[stage].1.iter().filter(|(role, _)| is_there(role)) {
            for partition in 0..*partitions {
                let source = source(*role, partition);
                let count = self.runners[stage].len();
                let to = if self.chaos.rebalances == 0 { partition as usize % count } else { self.draw(count) };
                let runners = &mut self.runners[stage];
                let owner = runners.iter().position(|r| r.owned().iter().any(|(_, s)| *s == source));
                if owner != Some(to) {
                    if let Some(owner) = owner {
                        runners[owner].revoke(&source);
                    }
                    runners[to].assign(*role, &source, &self.log);
                }
            }
        }
    }

    /// One thing happens; tells whether it was anything.
    fn turn(&mut self) -> bool {
        if self.once_in(self.chaos.rebalances) {
            let stage = self.draw(3);
            self.deal(stage);
        }
        match self.draw(8) {
            0 => self.send(),
            1 => self.archive() | self.report(),
            choice => {
                // Score and judge are drawn twice as often.
                let stage = [0, 1, 2, 3, 0, 3][choice - 2];
                let process = self.draw(self.runners[stage].len());
                let turn = self.draw_turn();
                self.drive(stage, process, turn)
            }
        }
    }

    fn draw_turn(&mut self) -> Turn {
        let fate = if self.once_in(self.chaos.faults) {
            [Fate::Aborts, Fate::DiesBefore, Fate::DiesAfter][self.draw(3)]
        } else {
            Fate::Commits
        };
        let rows_max = self.chaos.rows_max;
        Turn {
            fate,
            rows: self.draw(rows_max + 1),
            control: self.draw(4),
            loads: self.draw(3),
            tick: self.once_in(3),
            idle: self.ended && self.once_in(2),
            checkpoint: self.once_in(6),
        }
    }

    fn drive(&mut self, stage: usize, process: usize, turn: Turn) -> bool {
        let Done { progressed, died, effects } = self.runners[stage][process].turn(&mut self.log, turn);
        if died {
            self.replace(stage, process);
            return true;
        }
        effects.into_iter().for_each(|effect| self.act(stage, process, effect));
        progressed
    }

    /// The process is gone; a new one takes over what it had, or others do.
    fn replace(&mut self, stage: usize, process: usize) {
        let owned = self.runners[stage][process].owned();
        self.runners[stage][process] = self.open(stage);
        for (role, source) in owned {
            let to = if self.chaos.rebalances == 0 { process } else { self.draw(self.runners[stage].len()) };
            self.runners[stage][to].assign(role, &source, &self.log);
        }
    }

    fn act(&mut self, stage: usize, process: usize, effect: Effect) {
        match effect {
            Effect::Load(version) => {
                let part = self.part(stage, &version);
                self.runners[stage][process].inbox.push_back((version, part));
            }
            Effect::Launch { run, attempt, order } => {
                let order: Run = records::from_json(&order).unwrap();
                assert_eq!((order.run, order.attempt), (run, attempt));
                self.reports.push_back(RunReport { run, attempt, outcome: self.script.outcome(&order) });
            }
            Effect::Alias { .. } => {}
        }
    }

    fn part(&mut self, stage: usize, version: &Version) -> Part {
        let bundle = Arc::clone(&self.script.models.bundles[version]);
        let is_score = STAGES[stage].0 == "score";
        if is_score && self.swaps.is_none() {
            return Ok(bundle);
        }
        // The judge asks again, and score what a table imposes.
        if self.chaos.faults > 0 && self.once_in(4) {
            return Err("the store is away".to_owned());
        }
        if is_score {
            return Ok(bundle);
        }
        let (reference, class_rates) = (bundle.reference.as_ref().clone(), bundle.manifest.class_rates.clone());
        let gap = bundle.calibrated.as_ref().and_then(|calibrated| calibrated.gap);
        Ok(Arc::new(judge::Known {
            reference,
            class_rates,
            segments: bundle.segments.counts.clone(),
            wander: bundle.wander.clone(),
            kernel: bundle.kernel.clone(),
            gap,
            interval: bundle.manifest.interval,
        }))
    }

    /// Everybody has a turn without faults; false if nobody could do anything.
    fn sweep(&mut self) -> bool {
        let turn = Turn {
            fate: Fate::Commits,
            rows: 1_000,
            control: 1_000,
            loads: 1_000,
            tick: true,
            idle: self.ended,
            checkpoint: false,
        };
        let mut any = self.send() | self.archive() | self.report();
        for stage in 0..STAGES.len() {
            for process in 0..self.runners[stage].len() {
                any |= self.drive(stage, process, turn);
            }
        }
        any
    }

    /// Sends what may be sent: records before J + lead, whatever the judge's own lead is.
    fn send(&mut self) -> bool {
        let open_until_ms = self.judged_until_ms().unwrap_or(BASE_MS).max(BASE_MS) + LEAD_MS;
        // After the last event J cannot come further, so labels need not wait for it.
        let events_over = self.sent[0].iter().zip(&self.script.events).all(|(n, log)| *n == log.len());
        let (kind, partition) = (self.draw(2), self.draw(2));
        let most = 1 + self.draw(self.chaos.rows_max * 2);
        let mut any = false;
        // A turn is for one log; the others only if that has nothing.
        for place in 0..4 {
            let (kind, partition) = ((kind + place / 2) % 2, (partition + place) % 2);
            let (role, logs) = match kind {
                0 => (TopicRole::Events, &self.script.events),
                _ => (TopicRole::Labels, &self.script.labels),
            };
            let next = &mut self.sent[kind][partition];
            for record in logs[partition][*next..].iter().take(most) {
                if record.timestamp_ms >= open_until_ms && !events_over {
                    break;
                }
                self.log.put(&source(role, partition as i32), record.clone());
                *next += 1;
                any = true;
            }
            if any {
                break;
            }
        }
        any
    }

    fn all_sent(&self) -> bool {
        let all =
            |sent: &[usize], logs: &[Vec<super::log::Record>]| sent.iter().zip(logs).all(|(n, log)| *n == log.len());
        all(&self.sent[0], &self.script.events) && all(&self.sent[1], &self.script.labels)
    }

    /// J, as the replay's gate reads it.
    fn judged_until_ms(&self) -> Option<i64> {
        let control = self.log.records(&source(TopicRole::Control, 0)).iter().rev();
        control.filter_map(|r| r.value.as_ref()).find_map(|value| match records::from_json(value).unwrap() {
            Control::Progress { judged_until_ms } => Some(judged_until_ms),
            _ => None,
        })
    }

    /// The archive has stored whatever was sent, and says so.
    fn archive(&mut self) -> bool {
        let mut any = false;
        for kind in 0..2 {
            let logs = [&self.script.events, &self.script.labels][kind];
            for (partition, log) in logs.iter().enumerate() {
                let sent = self.sent[kind][partition];
                let Some(last) = log[..sent].last() else { continue };
                let watermark = Watermark { time_ms: last.timestamp_ms - LATENESS_MS - 900, idle: false };
                if self.archived[kind][partition] < watermark.time_ms {
                    self.archived[kind][partition] = watermark.time_ms;
                    let marker = match kind {
                        0 => Marker::events(SourcePartition::new("events", partition as i32), watermark),
                        _ => Marker::labels(SourcePartition::new("labels", partition as i32), watermark),
                    };
                    self.journal(&Entry::ArchiveMarker { marker });
                    any = true;
                }
            }
        }
        any
    }

    fn report(&mut self) -> bool {
        let Some(report) = self.reports.pop_front() else { return false };
        self.journal(&Entry::RunReport(report));
        true
    }

    fn journal(&mut self, entry: &Entry) {
        let value = records::to_postcard(entry).unwrap();
        let topic = TopicRole::Journal;
        let record = OutputRecord { topic, partition: 0, timestamp_ms: None, key: None, value: Some(&value) };
        self.log.append(record, Vec::new());
    }

    /// Where everybody stands, for whoever has to find out why nothing moves.
    fn standing(&self) -> String {
        let judge = self.log.committed("judge", &source(TopicRole::Journal, 0));
        let control = self.log.records(&source(TopicRole::Control, 0)).iter().rev().take(4);
        let control: Vec<_> =
            control.map(|r| String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).into_owned()).collect();
        let processes: Vec<String> = self.runners.iter().flatten().map(|r| r.standing(&self.log)).collect();
        format!("judge at {judge:?}, newest decisions {control:?}\n{}", processes.join("\n"))
    }
}

const REJECTED: records::rejected::Topic = records::rejected::Topic { partitions: 2, record_bytes_max: 1 << 20 };

pub(super) fn join_config(script: &Script) -> track::JoinConfig {
    let config = &script.judge;
    track::JoinConfig {
        rules: track::Rules {
            slices: config.slices,
            horizon_ms: config.horizon_ms,
            maturity_ms: config.maturity_ms,
            orphan_after_ms: LATENESS_MS,
        },
        shape: shape(script.task),
        event_partitions: 2,
        label_partitions: config.label_partitions,
        unlabelled: track::Unlabelled::Unknown,
        exact_areas: true,
        rows_max: track::ROWS_MAX,
    }
}

fn score_config(script: &Script) -> score::Config {
    score::Config {
        format: event_format(),
        task: script.task,
        classes: classes(script.task),
        slices: script.judge.slices,
        lateness_ms: LATENESS_MS,
        max_skew_ms: MAX_SKEW_MS,
        horizon_ms: script.judge.horizon_ms,
        tracking_partitions: 3,
        predictions_partitions: 2,
        prediction_bytes_max: 1 << 20,
        rejected: REJECTED,
        swaps: None,
        segments: vec![score::Segment { name: "from".to_owned(), column: "origin".to_owned(), drift: true }],
    }
}

fn intake_config(script: &Script, align: track::Align) -> track::IntakeConfig {
    track::IntakeConfig {
        format: label_format(script.task),
        slices: Slices::of(script.judge.slices.length_ms),
        lateness_ms: LATENESS_MS,
        max_skew_ms: MAX_SKEW_MS,
        tracking_partitions: 3,
        rejected: REJECTED,
        align: Some(align),
    }
}
