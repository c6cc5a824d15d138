//! `vigie train`: the first champion from files, or one retraining run.

use crate::cli::Train;
use crate::exit::{Exit, code};
use crate::wiring;
use records::journal::Challenger;
use std::io::{IsTerminal, Write};
use std::path::Path;
use store::Store;

/// Trains.
pub(crate) fn run(args: &Train) -> anyhow::Result<()> {
    let runtime = super::runtime()?;
    if let Some(spec) = &args.spec {
        return runtime.block_on(one_run(spec, args.json));
    }
    runtime.block_on(first(args))
}

/// One retraining run, as ordered by the daemon: progress as JSON lines, the challenger last.
async fn one_run(spec: &Path, json: bool) -> anyhow::Result<()> {
    let text = std::fs::read(spec)?;
    let spec: train::Spec = serde_json::from_slice(&text)?;
    let challenger = train(&spec, json).await?;
    writeln!(std::io::stdout().lock(), "{}", serde_json::to_string(&challenger)?)?;
    Ok(())
}

/// Keeps the files' rows as the archive's seed and trains the first champion on them.
async fn first(args: &Train) -> anyhow::Result<()> {
    let (Some(config), Some(events)) = (&args.config, &args.events) else {
        anyhow::bail!("--config and --events are needed, and --labels unless the task has none");
    };
    let config = super::configuration(config)?;
    let until_ms = args.until.as_deref().map(super::time).transpose()?;
    let store = Store::open(&config.registry.url)?;
    let files = wiring::seed_spec(&config, until_ms)?;
    let seeded = train::seed(&store, &config.pipeline.name, events, args.labels.as_deref(), &files)
        .await
        .map_err(|e| failure(&e))?;
    tracing::info!(
        "{} events and {} labels kept as seed, {} rows left out",
        seeded.events,
        seeded.labels,
        seeded.skipped
    );
    let after_last = seeded.last_event_ms.map_or(0, |last| last.saturating_add(config.windows.length.as_ms()));
    let spec = wiring::first_spec(&config, until_ms.unwrap_or(after_last));
    let challenger = train(&spec, args.json).await?;
    let mut out = std::io::stdout().lock();
    for verdict in &challenger.verdicts {
        writeln!(out, "{verdict}")?;
    }
    anyhow::ensure!(challenger.passed, "{} was trained, but the gate refused it", challenger.version);
    store.set_alias(&config.pipeline.name, "champion", &challenger.version).await?;
    writeln!(out, "first champion: {} ({}, {} rows)", challenger.version, challenger.family, challenger.rows)?;
    Ok(())
}

async fn train(spec: &train::Spec, json: bool) -> anyhow::Result<Challenger> {
    let is_terminal = std::io::stderr().is_terminal();
    let mut progress = |step: train::Progress| {
        if json {
            let line = serde_json::to_string(&step).unwrap_or_default();
            // Progress that nobody reads is no reason to stop training.
            writeln!(std::io::stdout().lock(), "{line}").unwrap_or_default();
        } else if is_terminal {
            tracing::info!("{step:?}");
        }
    };
    train::run(spec, &mut progress).await.map_err(|error| failure(&error))
}

/// Too little data has an exit code of its own.
fn failure(error: &train::Error) -> anyhow::Error {
    let not_enough = matches!(error, train::Error::NotEnoughData { .. });
    let code = if not_enough { code::NOT_ENOUGH_DATA } else { code::FAILED };
    anyhow::Error::new(Exit { code, message: error.to_string() })
}
