//! `vigie run`: the daemon.

use super::swaps;
use crate::cli::Run;
use crate::pipeline::{self, Options};
use crate::signals::Signals;
use crate::telemetry::Telemetry;
use crate::telemetry::teller::{self, Tell};
use crate::{topics, watch};
use console::server::SharedView;
use kafka::{OutOfLog, Progress, Stop};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait for the decisions made before this start.
const CATCH_UP: Duration = Duration::from_secs(30);

/// Runs until SIGTERM.
pub(crate) fn run(args: &Run, telemetry: &Telemetry) -> anyhow::Result<()> {
    let signals = Signals::install()?;
    let config = Arc::new(super::configuration(&args.config.config)?);
    let swaps = args.swaps.as_deref().map(|file| swaps::read(file, &config)).transpose()?;
    let layout = topics::prepare(&config)?;
    tracing::debug!("topics are ready");
    let cache = args.cache.clone().unwrap_or_else(|| default_cache(&config.pipeline.name));
    let (view, progress, stop) = (SharedView::default(), Progress::default(), Stop::new());
    let options = Options {
        stages: args.stages.clone(),
        idle_after: config.windows.idle_after.to_std(),
        idle_enabled: Arc::new(true.into()),
        out_of_log: if args.reset { OutOfLog::Reset } else { OutOfLog::GoOn },
        delays: None,
        cache,
        progress: progress.clone(),
        telemetry: telemetry.clone(),
        swaps: swaps.map(Arc::new),
    };
    let is_imposed = options.swaps.is_some();
    let watching = watch::start(watch::Watch {
        connection: topics::connection(&config),
        layout: layout.clone(),
        view: Arc::clone(&view),
        telemetry: telemetry.clone(),
        pipeline: config.pipeline.name.clone(),
        stop: stop.clone(),
        progress,
    })?;
    tracing::debug!("decisions are followed");
    let telling = teller::start(Tell::of(&config, &layout, telemetry, &stop))?;
    signals.work_begins();
    let running = pipeline::start(&config, &layout, options)?;
    tracing::debug!("stages are started");
    if !config.console.listen.is_empty() {
        let ready = running.readiness();
        let metrics = telemetry.clone();
        let metrics = Arc::new(move || metrics.prometheus());
        let (listen, name) = (&config.console.listen, &config.pipeline.name);
        let serving = console::server::serve(listen, name, Arc::clone(&view), ready, metrics);
        tracing::info!("console: http://{}", running.runtime().block_on(serving)?);
    }
    let began = Instant::now();
    while !watching.caught_up() && began.elapsed() < CATCH_UP && !running.has_ended() && !signals.asked() {
        std::thread::sleep(Duration::from_millis(20));
    }
    tracing::debug!("decisions made before this start are known");
    // A swap table names every champion there is to be.
    if !is_imposed && !signals.asked() && !pipeline::import_champion(&config, &view, &running)? {
        tracing::warn!(
            "pipeline `{}` has no champion: events wait. Train one with: vigie train --config {} --events FILE{}, then restart or promote it",
            config.pipeline.name,
            args.config.config.display(),
            if config.labels.is_some() { " --labels FILE" } else { "" }
        );
    }
    tracing::debug!("started");
    running.wait(&signals);
    let ended = running.stop_all();
    stop.request();
    watching.join()?;
    teller::join(telling)?;
    ended
}

/// Below the user's cache folder; holds nothing that cannot be rebuilt.
fn default_cache(pipeline: &str) -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    base.join("vigie").join("pipelines").join(pipeline)
}
