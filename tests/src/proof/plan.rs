//! What is done to the processes, and when it is enough.

use super::check::{self, Report};
use super::load::{Acknowledged, EVENT_PARTITIONS, Load, Target};
use super::sink::Sink;
use super::world::{Broker, Fault, Process, World, eprintln_line, signal, state};
use super::{Chance, calm, read};
use anyhow::{bail, ensure};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const DISTURBED: &str = "proof";
pub(super) const CALM: &str = "calm";
const OTHER: &str = "other";
const TRAINING_ROWS: u64 = 6_000;
/// The group forgets a dead member after this long; a second and a half keeps a proof short.
const SESSION_MS: u64 = 1_500;
const SETTLED_AFTER: Duration = Duration::from_secs(4);
/// Records written by a process that works, and not by the end of another.
const WORKS: i64 = 200;
const LIMIT: Duration = Duration::from_secs(600);
/// A killed broker can come back once the controller has given it up, after a minute. With less of a
/// session the broker that goes on would be given up too where the machine is busy.
const SINK_SECONDS_MIN: u64 = 90;
/// So many promotions are each waited for.
const FEW_SWAPS: u64 = 20;

/// What happens while the load is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scenario {
    /// kill -9 at random times, so often.
    Kills(u64),
    /// Two to four processes come and go, by SIGTERM and kill -9, for so many seconds.
    Storm(u64),
    /// A process is frozen for longer than its session, so often.
    Zombies(u64),
    /// The broker is frozen, and killed and started again, so often each.
    Outage(u64),
    /// The broker of the predictions topic is dead for so many seconds, while events keep coming.
    Sink(u64),
    /// Two versions are promoted in turns, so often.
    Swaps(u64),
    /// Each fault in one process, which is then started again without it.
    Faults(Vec<String>),
    /// All processes have a bug and each of the faults in turn.
    Bug(String, Vec<String>),
}

impl Scenario {
    /// Release of Kafka that it needs; `None`: any.
    ///
    /// One that kills the broker needs one that keeps its word then. 4.3.1 and 4.4.0 take a
    /// transaction for complete without writing its markers where a partition has no leader
    /// (KAFKA-20734), as after the start of a broker that holds the only replica.
    #[must_use]
    pub const fn kafka(&self) -> Option<&'static str> {
        match self {
            Self::Outage(_) | Self::Sink(_) => Some("4.2.2"),
            _ => None,
        }
    }
}

/// One proof.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The binary to prove.
    pub binary: PathBuf,
    /// Folder for everything; must not exist yet.
    pub folder: PathBuf,
    /// What happens.
    pub scenario: Scenario,
    /// Processes of the pipeline.
    pub processes: usize,
    /// Seed of load and faults.
    pub seed: u64,
    /// Events a second.
    pub rate: u64,
    /// Whether the statistics are compared with an undisturbed run.
    pub compares: bool,
    /// Release of Kafka; `None`: what the scenario needs, or the one tested against.
    pub kafka: Option<String>,
}

/// Does what the plan says and gives what the checker found.
///
/// # Errors
/// If the proof could not be carried out; a broken promise is no error but in the report.
pub fn prove(plan: &Plan) -> anyhow::Result<Report> {
    std::fs::create_dir_all(&plan.folder)?;
    let version = plan.kafka.as_deref().or_else(|| plan.scenario.kafka());
    let broker = Broker::start(plan.folder.join("kafka"), version, matches!(plan.scenario, Scenario::Outage(_)))?;
    let mut proven = prove_with(plan, &broker);
    if let Ok(report) = &mut proven {
        report.markers_skipped = broker.markers_skipped();
    }
    if !proven.as_ref().is_ok_and(Report::holds) {
        // The broker still writes, so a file may go while it is copied; what was found counts more.
        if let Err(error) = broker.keep_logs(&plan.folder.join("kafka-logs")) {
            eprintln_line(&format!("{error:#}"));
        }
    }
    proven
}

fn prove_with(plan: &Plan, broker: &Broker) -> anyhow::Result<Report> {
    let world = World {
        folder: plan.folder.clone(),
        brokers: broker.address.clone(),
        binary: plan.binary.clone(),
        events: "proof-events".to_owned(),
        labels: "proof-labels".to_owned(),
        properties: vec![
            ("session.timeout.ms".to_owned(), SESSION_MS.to_string()),
            ("heartbeat.interval.ms".to_owned(), "300".to_owned()),
        ],
    };
    world.create_topics()?;
    world.configure(DISTURBED)?;
    world.train(DISTURBED, TRAINING_ROWS)?;
    let mut stage = Stage {
        plan,
        world: &world,
        broker,
        chance: Chance::new(plan.seed),
        processes: Vec::new(),
        kills: 0,
        memory_kib: Vec::new(),
        sink: None,
    };
    stage.start(DISTURBED)?;
    let load = Load::start(Target {
        brokers: world.brokers.clone(),
        events: world.events.clone(),
        labels: world.labels.clone(),
        seed: plan.seed,
        rate: plan.rate,
    })?;
    stage.disturb(&load)?;
    let acknowledged = load.end()?;
    stage.settle(DISTURBED, &acknowledged)?;
    for process in std::mem::take(&mut stage.processes) {
        process.terminate()?;
    }
    let mut report = check::check(&world.place(DISTURBED), &acknowledged, plan.seed)?;
    report.kills = stage.kills;
    report.memory_kib = std::mem::take(&mut stage.memory_kib);
    report.assignments = world.assignments(DISTURBED);
    if plan.compares {
        compare(plan, &world, broker, &acknowledged, &mut report)?;
    }
    Ok(report)
}

/// The same logs and the same versions at the same offsets, with nothing in the way.
fn compare(
    plan: &Plan,
    world: &World,
    broker: &Broker,
    acknowledged: &Acknowledged,
    report: &mut Report,
) -> anyhow::Result<()> {
    world.configure(CALM)?;
    let mut stage = Stage {
        plan,
        world,
        broker,
        chance: Chance::new(0),
        processes: Vec::new(),
        kills: 0,
        memory_kib: Vec::new(),
        sink: None,
    };
    let swaps = match plan.scenario {
        Scenario::Swaps(_) => Some(world.swap_table(DISTURBED)?),
        _ => None,
    };
    stage.processes.push(world.start_with(CALM, &Fault::default(), swaps.as_deref())?);
    let journal = [format!("{CALM}.journal"), format!("{CALM}.windows")];
    stage.until("the calm pipeline has its topics", |_| Ok(read::ends(&world.brokers, &journal).is_ok()))?;
    if swaps.is_none() {
        // The pipeline has no champion of its own: it is given the other's.
        world.run(CALM, &["models", "promote", &champion(world)?])?;
    }
    stage.settle(CALM, acknowledged)?;
    for process in stage.processes {
        process.terminate()?;
    }
    calm::compare(report, &world.place(DISTURBED), &world.place(CALM))
}

fn champion(world: &World) -> anyhow::Result<String> {
    let listed: serde_json::Value = serde_json::from_str(&world.run(DISTURBED, &["models", "list", "--json"])?)?;
    let champion = listed.as_array().into_iter().flatten().find(|v| v["champion"] == true);
    let version = champion.and_then(|v| v["version"].as_str());
    version.map(str::to_owned).ok_or_else(|| anyhow::anyhow!("no version is the champion: {listed}"))
}

struct Stage<'a> {
    plan: &'a Plan,
    world: &'a World,
    broker: &'a Broker,
    chance: Chance,
    processes: Vec<Process>,
    kills: u64,
    /// Before an outage of the outputs, and the most during it.
    memory_kib: Vec<u64>,
    /// Where the outputs are, if they have a broker of their own.
    sink: Option<Sink>,
}

impl Stage<'_> {
    /// Starts the first processes, and waits until the pipeline's topics are where they should be.
    fn start(&mut self, pipeline: &str) -> anyhow::Result<()> {
        if let Scenario::Sink(_) = self.plan.scenario {
            self.sink = Some(Sink::prepare(self.world, self.broker, &format!("{pipeline}.predictions"))?);
        }
        self.start_all(&Fault::default())?;
        if let Some(sink) = self.sink.take() {
            let topics = [format!("{pipeline}.journal"), format!("{pipeline}.windows")];
            self.until("the pipeline has its topics", |stage| Ok(read::ends(&stage.world.brokers, &topics).is_ok()))?;
            sink.open()?;
            self.sink = Some(sink);
        }
        Ok(())
    }

    fn start_all(&mut self, fault: &Fault) -> anyhow::Result<()> {
        while self.processes.len() < self.plan.processes {
            self.processes.push(self.world.start(DISTURBED, fault)?);
        }
        Ok(())
    }

    fn pause(&mut self, from_ms: u64, to_ms: u64) {
        std::thread::sleep(Duration::from_millis(from_ms + self.chance.below(to_ms - from_ms)));
    }

    fn any(&mut self) -> usize {
        self.chance.below(self.processes.len() as u64) as usize
    }

    fn disturb(&mut self, load: &Load) -> anyhow::Result<()> {
        // The first outputs are there before anything happens.
        self.until("the first predictions", |stage| Ok(stage.outputs(DISTURBED).unwrap_or(0) > 0))?;
        match self.plan.scenario.clone() {
            Scenario::Kills(times) => self.kill(times),
            Scenario::Storm(seconds) => self.storm(seconds),
            Scenario::Zombies(times) => self.freeze(times),
            Scenario::Outage(times) => self.outage(times),
            Scenario::Sink(seconds) => self.close_sink(seconds),
            Scenario::Swaps(times) => self.swap(times),
            Scenario::Faults(faults) => self.faults(&faults, None),
            Scenario::Bug(bug, faults) => self.faults(&faults, Some(bug)),
        }?;
        self.alive()?;
        eprintln_line(&format!("{} events written", load.written()));
        Ok(())
    }

    fn kill(&mut self, times: u64) -> anyhow::Result<()> {
        for time in 0..times {
            self.pause(50, 3_000);
            let victim = self.any();
            self.processes.swap_remove(victim).kill()?;
            self.kills += 1;
            self.pause(0, 300);
            self.start_all(&Fault::default())?;
            if (time + 1) % 50 == 0 {
                eprintln_line(&format!("{} of {times} kills", time + 1));
            }
        }
        Ok(())
    }

    fn storm(&mut self, seconds: u64) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            self.pause(300, 2_000);
            let count = self.processes.len();
            if count < 2 || count < 4 && self.chance.below(2) == 0 {
                self.processes.push(self.world.start(DISTURBED, &Fault::default())?);
                continue;
            }
            let victim = self.any();
            let victim = self.processes.swap_remove(victim);
            if self.chance.below(2) == 0 {
                victim.terminate()?;
            } else {
                victim.kill()?;
                self.kills += 1;
            }
        }
        Ok(())
    }

    fn freeze(&mut self, times: u64) -> anyhow::Result<()> {
        for _ in 0..times {
            self.pause(1_000, 4_000);
            let victim = self.any();
            let Some(pid) = self.processes.get(victim).map(Process::pid) else { continue };
            signal(pid, "STOP")?;
            self.pause(SESSION_MS, 4 * SESSION_MS);
            signal(pid, "CONT")?;
        }
        Ok(())
    }

    fn outage(&mut self, times: u64) -> anyhow::Result<()> {
        for _ in 0..times {
            self.pause(1_000, 4_000);
            self.broker.signal("STOP")?;
            self.pause(1_000, 12_000);
            self.broker.signal("CONT")?;
            self.pause(1_000, 4_000);
            let away = Duration::from_millis(self.chance.below(5_000));
            self.broker.crash(away)?;
        }
        Ok(())
    }

    fn close_sink(&mut self, seconds: u64) -> anyhow::Result<()> {
        ensure!(seconds >= SINK_SECONDS_MIN, "the broker of the outputs must be away {SINK_SECONDS_MIN} s at least");
        self.pause(5_000, 6_000);
        let before = self.resident_kib();
        let Some(sink) = self.sink.take() else { bail!("the outputs have no broker of their own") };
        sink.close()?;
        let (began, mut peaks) = (Instant::now(), [0; 10]);
        for (tenth, peak) in (1..).zip(&mut peaks) {
            while began.elapsed() < Duration::from_secs(seconds) * tenth / 10 {
                std::thread::sleep(Duration::from_secs(1));
                *peak = self.resident_kib().max(*peak);
            }
        }
        sink.open_again()?;
        self.sink = Some(sink);
        self.memory_kib = [before].into_iter().chain(peaks).collect();
        Ok(())
    }

    /// Resident memory of all processes.
    fn resident_kib(&self) -> u64 {
        self.processes.iter().map(Process::resident_kib).sum()
    }

    /// Promotes by commands on the journal, as `vigie models promote` does; each is awaited on the
    /// control topic, so that each becomes a swap.
    fn swap(&mut self, times: u64) -> anyhow::Result<()> {
        let first = champion(self.world)?;
        self.world.configure(OTHER)?;
        // More rows make another model.
        self.world.train(OTHER, TRAINING_ROWS + 500)?;
        let listed: serde_json::Value = serde_json::from_str(&self.world.run(OTHER, &["models", "list", "--json"])?)?;
        let second =
            listed.as_array().into_iter().flatten().filter_map(|v| v["version"].as_str()).find(|v| *v != first);
        let Some(second) = second.map(str::to_owned) else { bail!("the second training made the same version") };
        for time in 0..times {
            let version = if time % 2 == 0 { &second } else { &first };
            let before = self.swaps()?;
            self.world.run(DISTURBED, &["models", "promote", version])?;
            // A partition may skip a promotion that the next one overtakes; of a few, none is skipped.
            if times <= FEW_SWAPS {
                let wanted = before + EVENT_PARTITIONS;
                self.until("every partition swaps", |stage| Ok(stage.swaps()? >= wanted))?;
            }
        }
        Ok(())
    }

    /// Swaps on the control topic.
    fn swaps(&self) -> anyhow::Result<usize> {
        let table = std::fs::read_to_string(self.world.swap_table(DISTURBED)?)?;
        Ok(table.lines().filter(|line| line.contains("\"from_offset\"")).count())
    }

    /// One process at a time has a fault; when the fault is over, one without takes its place.
    fn faults(&mut self, faults: &[String], bug: Option<String>) -> anyhow::Result<()> {
        for fault in faults {
            let (bug, fault) = (bug.clone(), Some(fault.clone()));
            let is_abort = fault.as_deref().is_some_and(|f| f.starts_with("abort"));
            let mut faulty = self.world.start(DISTURBED, &Fault { fault: fault.clone(), bug: bug.clone() })?;
            // The faulty one shall have the partitions.
            while let Some(process) = self.processes.pop() {
                process.kill()?;
                self.kills += 1;
            }
            let began = Instant::now();
            if is_abort {
                std::thread::sleep(Duration::from_secs(6));
                self.processes.push(faulty);
                continue;
            }
            while !faulty.has_ended() && state(faulty.pid()) != Some('T') {
                ensure!(began.elapsed() < LIMIT, "the fault {fault:?} never happened");
                std::thread::sleep(Duration::from_millis(50));
            }
            let next = self.world.start(DISTURBED, &Fault { fault: None, bug })?;
            if state(faulty.pid()) == Some('T') {
                let topics = [format!("{DISTURBED}.predictions")];
                let written = |stage: &Self| read::written(&stage.world.brokers, &topics);
                let before = written(self)?;
                // More than the markers of transactions that ended.
                self.until("the next process works", |stage| Ok(written(stage)? > before + WORKS))?;
                signal(faulty.pid(), "CONT")?;
                std::thread::sleep(Duration::from_secs(2));
                self.processes.push(faulty);
            } else {
                self.kills += 1;
            }
            self.processes.push(next);
        }
        Ok(())
    }

    fn alive(&mut self) -> anyhow::Result<()> {
        let log = self.world.log(DISTURBED);
        for process in &mut self.processes {
            ensure!(!process.has_ended(), "a process ended by itself; see {}", log.display());
        }
        self.start_all(&Fault::default())
    }

    fn outputs(&self, pipeline: &str) -> anyhow::Result<i64> {
        let topics = ["predictions", "rejected"].map(|role| format!("{pipeline}.{role}"));
        read::ends(&self.world.brokers, &topics)
    }

    fn until(&mut self, what: &str, condition: impl Fn(&Self) -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            // A broker that was just away may not answer yet.
            let why = match condition(self) {
                Ok(true) => return Ok(()),
                Ok(false) => String::new(),
                Err(error) => format!(" ({error:#})"),
            };
            ensure!(began.elapsed() < LIMIT, "never happened: {what}{why}; see {}", self.world.folder.display());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until every event has an output, the last window is final and nothing moves any more, or,
    /// if something is lost, until nothing at all has moved for long.
    fn settle(&mut self, pipeline: &str, acknowledged: &Acknowledged) -> anyhow::Result<()> {
        let wanted: usize = acknowledged.iter().flatten().filter(|offset| **offset >= 0).count();
        let topics = ["predictions", "rejected", "windows"].map(|role| format!("{pipeline}.{role}"));
        let journal = format!("{pipeline}.journal");
        let (mut last, mut since, began) = (None, Instant::now(), Instant::now());
        loop {
            // A broker that was just away may not answer yet: that is no sign of quiet.
            let ends = read::ends(&self.world.brokers, &topics).ok();
            // On busy cores the judge may be on its way for minutes without a window to show for it.
            let judged = read::committed(&self.world.brokers, &format!("{pipeline}.judge"), &journal).ok();
            let now = ends.zip(judged);
            if now.is_none() || now != last {
                (last, since) = (now, Instant::now());
            }
            // Markers of transactions count too, so this may be early: quiet decides.
            let is_whole = self.outputs(pipeline)? >= i64::try_from(wanted)?
                && since.elapsed() >= SETTLED_AFTER
                && calm::last_window_is_final(&self.world.place(pipeline), acknowledged)?;
            let quiet = if is_whole { SETTLED_AFTER } else { 15 * SETTLED_AFTER };
            if since.elapsed() >= quiet {
                return Ok(());
            }
            ensure!(began.elapsed() < LIMIT, "{pipeline} does not settle; see {}", self.world.folder.display());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Each step of a commit in each stage that commits, crashed at once.
#[must_use]
pub fn crashes() -> Vec<String> {
    let steps: BTreeMap<&str, u32> = BTreeMap::from([
        ("collected", 40),
        ("stepped", 40),
        ("begun", 5),
        ("produced", 6),
        ("flushed", 7),
        ("offsets_sent", 8),
        ("committed", 9),
        ("handed_over", 10),
    ]);
    let stages = ["score", "join", "judge", "intake", "archive"];
    let mut faults = Vec::new();
    for (place, (step, count)) in steps.iter().enumerate() {
        // Every step in score, and every other stage at some steps.
        faults.push(format!("crash:score:{step}:{count}"));
        if let Some(stage) = stages.get(1 + place % (stages.len() - 1)) {
            faults.push(format!("crash:{stage}:{step}:{count}"));
        }
    }
    faults
}
