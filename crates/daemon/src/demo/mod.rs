//! `vigie demo`: the whole loop in one process, on real data, checked by its closing table.

mod finish;
mod gate;
mod settings;

use crate::cli::{Demo, Files};
use crate::commands::{self, produce};
use crate::config::Config;
use crate::pipeline::{self, Options, Running};
use crate::send::{Pace, Sent, Target, send};
use crate::signals::Signals;
use crate::telemetry::Telemetry;
use crate::telemetry::teller::{self, Tell};
use crate::topics::{self, Layout};
use crate::watch;
use console::server::SharedView;
use domain::SourcePartition;
use kafka::{EmbeddedBroker, Progress, Sender, Stop, Topics};
use settings::Settings;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Partitions of the demo's events and labels topics.
const PARTITIONS: i32 = 4;

/// Runs the demo.
pub(crate) fn run(args: &Demo, telemetry: &Telemetry) -> anyhow::Result<()> {
    let settings = Settings::of(args)?;
    let broker = match &args.brokers {
        Some(_) => None,
        None => Some(EmbeddedBroker::start()?),
    };
    let config = Arc::new(settings.config(args, broker.as_ref().map(EmbeddedBroker::address))?);
    say(&settings.describe(args, &config));
    train_first(args, &settings, &config)?;
    let target = produce::target(&config)?;
    let of_demo = |(topic, _)| (topic, PARTITIONS);
    let target = Target { events: of_demo(target.events), labels: target.labels.map(of_demo) };
    let layout = create_topics(&config, broker.as_ref(), &target)?;
    let stage = Stage { args, settings: &settings, config: &config, layout: &layout, target: &target, telemetry };
    stage.play()
}

/// Everything the replay needs once broker, topics and first champion are there.
struct Stage<'a> {
    args: &'a Demo,
    settings: &'a Settings,
    config: &'a Arc<Config>,
    layout: &'a Layout,
    target: &'a Target,
    telemetry: &'a Telemetry,
}

impl Stage<'_> {
    fn play(&self) -> anyhow::Result<()> {
        let progress = Progress::default();
        let view = SharedView::default();
        let idle_enabled = Arc::new(AtomicBool::new(false));
        let options = Options {
            stages: pipeline::STAGES.iter().map(|s| (*s).to_owned()).collect(),
            idle_after: settings::IDLE_AFTER,
            idle_enabled: Arc::clone(&idle_enabled),
            // The embedded broker drops what it has no room for; the replay holds before that.
            out_of_log: kafka::OutOfLog::Fail,
            delays: self.args.delays,
            cache: self.settings.folder.clone(),
            progress: progress.clone(),
            telemetry: self.telemetry.clone(),
            swaps: None,
        };
        let stop = Stop::new();
        let telling = teller::start(Tell::of(self.config, self.layout, self.telemetry, &stop))?;
        let running = pipeline::start(self.config, self.layout, options)?;
        let watching = watch::start(watch::Watch {
            connection: topics::connection(self.config),
            layout: self.layout.clone(),
            view: Arc::clone(&view),
            telemetry: self.telemetry.clone(),
            pipeline: self.config.pipeline.name.clone(),
            stop: stop.clone(),
            progress: progress.clone(),
        })?;
        self.open_console(&running, &view)?;
        pipeline::import_champion(self.config, &view, &running)?;
        let began = Instant::now();
        let sent = self.replay(&running, &view, &progress)?;
        idle_enabled.store(true, Ordering::SeqCst);
        let ended = finish::wait(&running, &view, &progress, &sent)?;
        let seconds = ended.duration_since(began).as_secs_f64();
        let summary = finish::summary(&view, &sent, seconds);
        finish::report(&summary, self.args)?;
        if self.args.keep {
            say("the console stays open; stop with Ctrl-C");
            let signals = Signals::install()?;
            signals.work_begins();
            running.wait(&signals);
        }
        running.stop_all()?;
        stop.request();
        watching.join()?;
        teller::join(telling)?;
        finish::verdict(&summary)
    }

    fn open_console(&self, running: &Running, view: &SharedView) -> anyhow::Result<()> {
        if self.args.console.is_empty() {
            return Ok(());
        }
        let ready = running.readiness();
        let metrics = self.telemetry.clone();
        let metrics = Arc::new(move || metrics.prometheus());
        let (listen, name) = (&self.args.console, &self.config.pipeline.name);
        let serving = console::server::serve(listen, name, Arc::clone(view), ready, metrics);
        match running.runtime().block_on(serving) {
            Ok(address) => say(&format!("console: http://{address}")),
            // The demo is worth running without its console: the port may be taken.
            Err(error) => say(&format!("no console: {error}")),
        }
        Ok(())
    }

    fn replay(&self, running: &Running, view: &SharedView, progress: &Progress) -> anyhow::Result<Sent> {
        let labels = self.config.labels.is_some().then(|| self.args.labels.clone());
        let files = Files { events: self.args.events.clone(), labels };
        let mut merged = produce::merged(self.config, &files, self.settings.from_ms, self.args.days)?;
        let sender = Sender::new(&topics::connection(self.config), 32 << 20)?.publishing(progress.clone());
        let lead_ms = self.config.retrain.lead.as_ms();
        let holds = !self.args.no_retrain;
        let bar = produce::bar("replaying");
        let mut gate =
            gate::Gate::new(view, progress, running, bar.clone(), holds.then_some((self.settings.from_ms, lead_ms)));
        let sent = send(&mut merged, &sender, self.target, (Pace::parse(&self.args.speed)?, true), &mut gate)?;
        bar.finish_and_clear();
        say(&format!(
            "sent {} events and {} labels; {} of them were broken on purpose",
            sent.events, sent.labels, sent.broken
        ));
        Ok(sent)
    }
}

/// Says something to the person; standard output is for the closing table alone. Nobody listening
/// any more is no fault.
pub(crate) fn say(text: &str) {
    writeln!(std::io::stderr().lock(), "{text}").unwrap_or_default();
}

/// Trains the first champion in a process of its own.
fn train_first(args: &Demo, settings: &Settings, config: &Config) -> anyhow::Result<()> {
    let file = settings.folder.join("pipeline.toml");
    std::fs::write(&file, toml::to_string(config)?)?;
    say(&format!("training the first champion on what came before {} ...", args.until));
    let began = Instant::now();
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.envs(crate::launch::TRAINING_ENVIRONMENT).arg("train").arg("--config").arg(&file);
    command.arg("--events").arg(&args.events).arg("--until").arg(&args.until);
    if config.labels.is_some() {
        command.arg("--labels").arg(&args.labels);
    }
    let status = command.status()?;
    anyhow::ensure!(status.success(), "training the first champion ended with {status}");
    say(&format!("first champion trained in {:.1} s", began.elapsed().as_secs_f64()));
    Ok(())
}

/// Creates the topics, on the embedded broker by its own call.
fn create_topics(config: &Config, broker: Option<&EmbeddedBroker>, target: &Target) -> anyhow::Result<Layout> {
    if let Some(broker) = broker {
        let labels = target.labels.iter().cloned().collect();
        let layout = topics::layout(config, vec![target.events.clone()], labels);
        for (topic, partitions) in target.topics() {
            broker.create_topic(topic, *partitions)?;
        }
        for role in topics::DERIVED {
            let spec = topics::spec(config, role, &layout);
            broker.create_topic(&spec.name, spec.partitions)?;
        }
        return Ok(layout);
    }
    let existing = Topics::connect(&topics::connection(config), topics::CONNECT)?;
    for (topic, partitions) in target.topics() {
        existing.ensure(&produce::user_topic(topic, *partitions))?;
        let mut records = 0;
        for partition in 0..*partitions {
            let (low, high) = existing.bounds(&SourcePartition::new(topic, partition))?;
            records += high - low;
        }
        anyhow::ensure!(
            records == 0,
            "topic `{topic}` already has records; the demo needs empty topics (delete them, or set topics.prefix and other topic names in a configuration of your own)"
        );
    }
    topics::prepare(config)
}

/// Whether a path is there, for messages.
pub(crate) fn must_exist(path: &Path, what: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        path.is_file(),
        "{what} `{}` is not there; run the demo from the repository's top folder, or name it",
        path.display()
    );
    Ok(())
}

/// Times given on the command line are those of the other commands.
pub(crate) fn start_ms(args: &Demo) -> anyhow::Result<i64> {
    commands::time(&args.until)
}
