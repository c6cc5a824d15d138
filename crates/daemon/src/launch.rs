//! Retraining runs as subprocesses: this binary, `vigie train --spec FILE`, in its own process group.

use crate::config::Config;
use crate::config::duration::Span;
use crate::journal::ToJournal;
use crate::telemetry::span;
use kafka::Stop;
use records::control::Run;
use records::journal::{Challenger, Journal, RunOutcome, RunReport};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lower than anything that scores.
const NICENESS: &str = "5";

/// LightGBM's threads wait for one another thousands of times a second. Waiting without end, they
/// take the cores from scoring (training became four times slower); waiting not at all, they sleep
/// and wake so often that two are no faster than one. Some microseconds give 1.7 times (200,000
/// flights on 2 cores, otherwise idle).
pub(crate) const TRAINING_ENVIRONMENT: [(&str, &str); 1] = [("GOMP_SPINCOUNT", "3000")];

/// Launches runs. Clones share what is under way.
#[derive(Clone)]
pub(crate) struct Launcher {
    config: Arc<Config>,
    folder: PathBuf,
    journal: Arc<ToJournal>,
    stop: Stop,
    launched: Arc<Mutex<BTreeSet<(u64, u32)>>>,
    threads: Arc<Mutex<Vec<std::thread::JoinHandle<()>>>>,
}

impl Launcher {
    /// Specifications of runs are written below `cache`.
    pub(crate) fn new(config: &Arc<Config>, cache: &Path, journal: Arc<ToJournal>, stop: Stop) -> Self {
        let folder = cache.join("runs");
        Self { config: Arc::clone(config), folder, journal, stop, launched: Arc::default(), threads: Arc::default() }
    }

    /// Launches a run, once per run and attempt, and reports its end on the journal.
    pub(crate) fn launch(&self, run: u64, attempt: u32, order: Vec<u8>) {
        let is_new = self.launched.lock().unwrap_or_else(PoisonError::into_inner).insert((run, attempt));
        if !is_new {
            return;
        }
        let launcher = self.clone();
        let spawned = std::thread::Builder::new().name(format!("run-{run}")).spawn(move || {
            let outcome = launcher.outcome(run, attempt, &order);
            if launcher.stop.requested() {
                // Ended by our own stop: the run stays open and is launched again after a restart.
                return;
            }
            let report = Journal::RunReport(RunReport { run, attempt, outcome });
            if let Err(error) = launcher.journal.tell(&report) {
                tracing::error!("the report of run {run} did not reach the journal: {error:#}");
            }
        });
        match spawned {
            Ok(thread) => self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread),
            Err(error) => tracing::error!("run {run} cannot be launched: {error}"),
        }
    }

    /// Waits for what is under way; the stop has been requested.
    pub(crate) fn wait(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a launcher thread panicked");
            }
        }
    }

    fn outcome(&self, run: u64, attempt: u32, order: &[u8]) -> RunOutcome {
        let began = Instant::now();
        match self.train(run, attempt, order) {
            Ok(challenger) => {
                let seconds = began.elapsed().as_secs_f64();
                let verdict = if challenger.passed { "passed the gate" } else { "was refused" };
                tracing::info!("run {run}: {} {verdict} after {seconds:.1} s", challenger.version);
                RunOutcome::Trained(challenger)
            }
            Err(error) => {
                tracing::warn!("run {run} failed: {error:#}");
                RunOutcome::Failed { reason: format!("{error:#}") }
            }
        }
    }

    fn train(&self, run: u64, attempt: u32, order: &[u8]) -> anyhow::Result<Challenger> {
        let order: Run = records::from_json(order)?;
        let spec = crate::wiring::run_spec(&self.config, &order);
        std::fs::create_dir_all(&self.folder)?;
        let file = self.folder.join(format!("{run}-{attempt}.json"));
        std::fs::write(&file, serde_json::to_vec_pretty(&spec)?)?;
        let program = std::env::current_exe()?;
        let mut child = Command::new("nice")
            .args(["-n", NICENESS])
            .arg(program)
            .args(["train", "--json", "--spec"])
            .arg(&file)
            .envs(TRAINING_ENVIRONMENT)
            // What the user's own tools do in there belongs to the run's span.
            .env("TRACEPARENT", span::traceparent(&self.config.pipeline.name, run, attempt))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let errors = child.stderr.take().map(|pipe| std::thread::spawn(move || last_lines(pipe, 20)));
        let lines = child.stdout.take().map(|pipe| std::thread::spawn(move || last_lines(pipe, 1)));
        let status = self.wait_for(&mut child)?;
        let said = |thread: Option<std::thread::JoinHandle<Vec<String>>>| {
            thread.and_then(|t| t.join().ok()).unwrap_or_default()
        };
        let (lines, errors) = (said(lines), said(errors));
        anyhow::ensure!(status.success(), "training ended with {status}: {}", errors.join("; "));
        let last = lines.last().ok_or_else(|| anyhow::anyhow!("training said nothing"))?;
        Ok(serde_json::from_str(last)?)
    }

    /// Waits; ends the process at the time limit or at our own stop: politely, then at once.
    fn wait_for(&self, child: &mut Child) -> anyhow::Result<std::process::ExitStatus> {
        let limit = Span::parse(&self.config.train.time_limit).ok().map(Span::to_std);
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            let is_over = limit.is_some_and(|limit| began.elapsed() > limit);
            if is_over || self.stop.requested() {
                end(child)?;
                anyhow::ensure!(!is_over, "the time limit of {} is over", self.config.train.time_limit);
                anyhow::bail!("ended by the stop of the daemon");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// SIGTERM to the group, a second of grace, then SIGKILL.
fn end(child: &mut Child) -> anyhow::Result<()> {
    let group = format!("-{}", child.id());
    for signal in ["-TERM", "-KILL"] {
        let status = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status()?;
        tracing::debug!("kill {signal} {group}: {status}");
        for _ in 0..20 {
            if child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// The last lines of a pipe, read to its end.
fn last_lines(pipe: impl std::io::Read, most: usize) -> Vec<String> {
    let mut lines = std::collections::VecDeque::new();
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        if line.trim().is_empty() {
            continue;
        }
        if lines.len() == most {
            lines.pop_front();
        }
        lines.push_back(line);
    }
    lines.into()
}
