//! How the stages of a pipeline are wired: every stage of the loop on one screen.
//!
//! Each stage runs on a thread of its own with its own consumer group and producer; they meet only
//! on topics. What a stage wants done in the world comes back as effects ([`crate::effects`]).

use crate::config::Config;
use crate::config::file::StageSettings;
use crate::effects::{Effects, Wants};
use crate::signals::Signals;
use crate::telemetry::Telemetry;
use crate::topics::{self, Layout};
use crate::wiring;
use console::server::{Ready, SharedView};
use domain::{EventWatermark, Stage, TopicRole};
use kafka::{Delivery, Hooks, OutOfLog, Progress, RunnerConfig, Slot, Stop};
use records::SwapTable;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The stages in the order in which data flows through them.
pub(crate) const STAGES: [&str; 5] = ["score", "intake", "join", "judge", "archive"];
/// Between two looks at whether the end was asked for.
const LOOK: Duration = Duration::from_millis(50);

/// Where the processors do not suffice, predictions come first: what counts them and what keeps
/// them for training may lag. A thread of niceness 5 gets a third of the time of one of 0.
fn niceness(stage: &str) -> i32 {
    match stage {
        "archive" => 5,
        "join" => 3,
        _ => 0,
    }
}

/// How a process runs its stages.
pub(crate) struct Options {
    /// Stages of this process.
    pub(crate) stages: Vec<String>,
    /// A partition at the end of its log for so long is idle.
    pub(crate) idle_after: Duration,
    /// Whether idle partitions are marked now.
    pub(crate) idle_enabled: Arc<AtomicBool>,
    /// What to do where a committed offset is not in the log.
    pub(crate) out_of_log: OutOfLog,
    /// Seed of random delays in every stage.
    pub(crate) delays: Option<u64>,
    /// Slots of this host and files of runs.
    pub(crate) cache: PathBuf,
    /// Where offsets and bytes are published.
    pub(crate) progress: Progress,
    /// Where counts go.
    pub(crate) telemetry: Telemetry,
    /// Swaps of another run to be done again; nothing is decided then.
    pub(crate) swaps: Option<Arc<SwapTable>>,
}

/// One stage before it runs.
struct Wired {
    stage: Box<dyn Stage>,
    reads: Vec<(TopicRole, String)>,
    reads_control: bool,
    ticks: bool,
    wants: Wants,
}

/// Builds a stage: what it is made of, what it reads, what it wants loaded.
fn wire(
    name: &str,
    config: &Arc<Config>,
    layout: &Layout,
    effects: &Effects,
    swaps: Option<&Arc<SwapTable>>,
    watermark: &Arc<EventWatermark>,
) -> anyhow::Result<Wired> {
    let topics = |role, list: &[(String, i32)]| list.iter().map(|(t, _)| (role, t.clone())).collect::<Vec<_>>();
    let events = topics(TopicRole::Events, &layout.events);
    let labels = topics(TopicRole::Labels, &layout.labels);
    let derived = |role| vec![(role, layout.name(role).to_owned())];
    let wired = |stage, reads| Wired { stage, reads, reads_control: false, ticks: false, wants: Wants::Nothing };
    Ok(match name {
        "score" => Wired {
            reads_control: true,
            wants: Wants::Bundle,
            ..wired(wiring::score(config, layout, swaps, watermark)?, events)
        },
        "intake" => wired(wiring::intake(config, layout, watermark)?, labels),
        "join" => wired(wiring::join(config, layout), derived(TopicRole::Tracking)),
        "judge" => Wired {
            ticks: true,
            wants: Wants::Known,
            ..wired(wiring::judge(config, layout, swaps), derived(TopicRole::Journal))
        },
        "archive" => {
            Wired { reads_control: true, ..wired(wiring::archive(config, effects)?, [events, labels].concat()) }
        }
        other => anyhow::bail!("`{other}` is not a stage; expected {}", STAGES.join(", ")),
    })
}

/// A running pipeline.
pub(crate) struct Running {
    runners: Vec<(String, JoinHandle<Result<(), kafka::Error>>)>,
    ready: Vec<Arc<AtomicBool>>,
    stop: Stop,
    failed: Arc<std::sync::Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
    effects: Effects,
    _slot: Arc<Slot>,
}

/// Starts the stages.
pub(crate) fn start(config: &Arc<Config>, layout: &Layout, options: Options) -> anyhow::Result<Running> {
    let slot = Arc::new(kafka::instance_slot(&options.cache)?);
    let stop = Stop::new();
    let effects = Effects::new(config, &options.cache, options.telemetry.clone(), stop.clone())?;
    let mut running = Running {
        runners: Vec::new(),
        ready: Vec::new(),
        stop,
        failed: Arc::default(),
        ended: Arc::default(),
        effects: effects.clone(),
        _slot: Arc::clone(&slot),
    };
    let watermark = Arc::default();
    // Without labels there is nothing to take in; who asks for nothing else is told so.
    let is_idle = |name: &str| name == "intake" && config.labels.is_none() && options.stages.len() > 1;
    for (place, name) in options.stages.iter().enumerate().filter(|(_, name)| !is_idle(name)) {
        let settings = settings_of(config, name);
        for number in 0..settings.runners {
            let wired = wire(name, config, layout, &effects, options.swaps.as_ref(), &watermark)?;
            // The first one's name is what it was before there could be several.
            let instance = if number == 0 { slot.name.clone() } else { format!("{}.{number}", slot.name) };
            let mut runner = runner(config, layout, &wired, &instance, &settings);
            runner.idle_after = Some(options.idle_after);
            runner.out_of_log = options.out_of_log;
            runner.delay_ms = options.delays.map(|seed| (seed.wrapping_add((place + 8 * number) as u64), 50));
            let hooks = effects.hooks(&wired.wants, wired.stage.name(), &options);
            running.spawn(name, wired.stage, runner, hooks)?;
        }
    }
    Ok(running)
}

fn settings_of(config: &Config, stage: &str) -> StageSettings {
    let each = config.kafka.stages.each();
    each.into_iter().find(|(name, _)| *name == stage).map_or_else(StageSettings::default, |(_, found)| found.clone())
}

fn runner(config: &Config, layout: &Layout, wired: &Wired, instance: &str, settings: &StageSettings) -> RunnerConfig {
    let name = wired.stage.name();
    let group = config.derived(name);
    let mut runner = RunnerConfig::new(topics::connection(config), &group, &format!("{group}.{instance}"));
    runner.delivery = match config.pipeline.delivery {
        crate::config::file::Delivery::ExactlyOnce => Delivery::ExactlyOnce,
        crate::config::file::Delivery::AtLeastOnce => Delivery::AtLeastOnce,
    };
    runner.group_protocol = match config.kafka.group_protocol {
        crate::config::file::GroupProtocol::Classic => kafka::GroupProtocol::Classic,
        crate::config::file::GroupProtocol::Consumer => kafka::GroupProtocol::Consumer,
    };
    runner.is_static_member = config.kafka.static_membership;
    runner.subscriptions.clone_from(&wired.reads);
    runner.topics = layout.names.clone();
    runner.reads_control = wired.reads_control;
    runner.ticks = wired.ticks;
    runner.batch_rows_max = settings.batch_rows_max.unwrap_or(config.kafka.batch_rows_max);
    runner.batch_bytes_max = settings.batch_mib_max.unwrap_or(config.kafka.batch_mib_max) << 20;
    runner.write_bytes_max = layout.prediction_bytes_max.min(layout.rejected_bytes_max);
    runner.commit_interval = settings.commit_interval.unwrap_or(config.kafka.commit_interval).to_std();
    let memory = settings.memory_mib.unwrap_or(config.kafka.memory_mib) << 20;
    runner.memory_limit_bytes = memory / settings.runners.max(1);
    runner.drain_timeout = config.kafka.drain_timeout.to_std();
    runner
}

impl Running {
    fn spawn(&mut self, name: &str, stage: Box<dyn Stage>, runner: RunnerConfig, hooks: Hooks) -> anyhow::Result<()> {
        let (stop, failed, ended) = (self.stop.clone(), Arc::clone(&self.failed), Arc::clone(&self.ended));
        self.ready.push(Arc::clone(&hooks.ready));
        let own_name = name.to_owned();
        let nice = niceness(name);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // The client's own threads, which it starts here, inherit it.
            be_nice(nice);
            let result = kafka::run(stage, runner, hooks, stop);
            if let Err(error) = &result {
                tracing::error!("stage {own_name} has ended: {error}");
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{own_name}: {error}"));
            }
            ended.store(true, Ordering::SeqCst);
            result
        })?;
        self.runners.push((name.to_owned(), thread));
        Ok(())
    }

    /// Whether a stage has ended, by a fault or by the stop.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Why the first stage ended.
    pub(crate) fn first_fault(&self) -> String {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.first().cloned().unwrap_or_else(|| "it was asked to stop".to_owned())
    }

    /// The runtime of effects, console and subprocesses.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Runtime {
        self.effects.runtime()
    }

    /// Ready: every stage has joined its group, and none has ended.
    pub(crate) fn readiness(&self) -> Ready {
        let (ready, ended) = (self.ready.clone(), Arc::clone(&self.ended));
        Arc::new(move || !ended.load(Ordering::SeqCst) && ready.iter().all(|r| r.load(Ordering::SeqCst)))
    }

    /// Waits until the end is asked for, or a stage has ended.
    pub(crate) fn wait(&self, signals: &Signals) {
        while !signals.asked() {
            if self.has_ended() {
                tracing::error!("a stage has ended: stopping the others");
                return;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Stops polling, finishes, commits, leaves the groups. The first fault of a stage is the
    /// pipeline's.
    pub(crate) fn stop_all(self) -> anyhow::Result<()> {
        let began = Instant::now();
        self.stop.request();
        let mut first: Option<anyhow::Error> = None;
        for (name, thread) in self.runners {
            match thread.join() {
                Ok(Ok(())) => tracing::debug!("stage {name} drained after {:.1} s", began.elapsed().as_secs_f64()),
                Ok(Err(error)) => first = first.or(Some(anyhow::Error::new(error).context(format!("stage {name}")))),
                Err(_) => first = first.or(Some(anyhow::anyhow!("stage {name} panicked"))),
            }
        }
        self.effects.stop();
        first.map_or(Ok(()), Err)
    }
}

/// Lowers the priority of the calling thread; on Linux a thread has its own.
fn be_nice(niceness: i32) {
    if niceness == 0 || !cfg!(target_os = "linux") {
        return;
    }
    // SAFETY: passes a number only. It is added to what the process was given.
    #[allow(unsafe_code)]
    let now = unsafe { libc::nice(niceness) };
    if now == -1 {
        tracing::debug!("a stage keeps its priority: {}", std::io::Error::last_os_error());
    }
}

/// With no promotion decided yet, makes the registry's champion the first, by a command that is
/// obeyed once however often it is sent.
pub(crate) fn import_champion(config: &Config, view: &SharedView, running: &Running) -> anyhow::Result<bool> {
    if !view.lock().unwrap_or_else(PoisonError::into_inner).promotions.is_empty() {
        return Ok(true);
    }
    let (runtime, store) = (running.runtime(), running.effects.store());
    let Some(version) = runtime.block_on(store.alias(&config.pipeline.name, "champion"))? else {
        return Ok(false);
    };
    let action = runtime.block_on(crate::commands::models::promotion(config, version.as_str()))?;
    let id = format!("import-{version}");
    let command = records::journal::Command { id, if_champion: None, action };
    running.effects.journal().tell(&records::journal::Journal::Command(command))?;
    Ok(true)
}
