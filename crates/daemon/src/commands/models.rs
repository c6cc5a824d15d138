//! `vigie models`: list, show, promote, roll back.

use crate::cli::{Models, ModelsAction};
use crate::config::Config;
use domain::Version;
use records::journal::{Action, Command};
use std::io::Write;
use store::Store;

/// Does what was asked; commands to the judge go through the journal.
pub(crate) fn run(args: &Models) -> anyhow::Result<()> {
    let runtime = super::runtime()?;
    match &args.action {
        ModelsAction::List { config, json } => {
            let config = super::configuration(&config.config)?;
            runtime.block_on(list(&config, *json))
        }
        ModelsAction::Show { config, version } => {
            let config = super::configuration(&config.config)?;
            runtime.block_on(show(&config, version))
        }
        ModelsAction::Promote { config, version, if_champion } => {
            let config = super::configuration(&config.config)?;
            let action = runtime.block_on(promotion(&config, version))?;
            ask(&config, action, if_champion.as_deref())
        }
        ModelsAction::Rollback { config, if_champion } => {
            let config = super::configuration(&config.config)?;
            ask(&config, Action::RollBack, if_champion.as_deref())
        }
    }
}

async fn list(config: &Config, json: bool) -> anyhow::Result<()> {
    let store = Store::open(&config.registry.url)?;
    let champion = store.alias(&config.pipeline.name, "champion").await?;
    let mut out = std::io::stdout().lock();
    let mut lines = Vec::new();
    for version in store.versions().await? {
        let manifest = store.manifest(&version).await?;
        let is_champion = champion.as_ref() == Some(&version);
        if json {
            lines.push(serde_json::json!({
                "version": version, "champion": is_champion, "family": manifest.family, "rows": manifest.rows,
                "trained_until": records::time::rfc3339(manifest.trained_until_ms), "metrics": manifest.metrics,
            }));
        } else {
            let mark = if is_champion { "champion" } else { "" };
            let until = records::time::rfc3339(manifest.trained_until_ms);
            writeln!(out, "{version}  {until}  {:>9} rows  {:<20} {mark}", manifest.rows, manifest.family)?;
        }
    }
    if json {
        writeln!(out, "{}", serde_json::Value::Array(lines))?;
    }
    Ok(())
}

async fn show(config: &Config, version: &str) -> anyhow::Result<()> {
    let store = Store::open(&config.registry.url)?;
    let version = if version == "champion" {
        let champion = store.alias(&config.pipeline.name, "champion").await?;
        champion.ok_or_else(|| anyhow::anyhow!("pipeline `{}` has no champion", config.pipeline.name))?
    } else {
        well_formed(version)?
    };
    let manifest = store.manifest(&version).await?;
    writeln!(std::io::stdout().lock(), "{}", serde_json::to_string_pretty(&manifest)?)?;
    Ok(())
}

fn well_formed(version: &str) -> anyhow::Result<Version> {
    let version = Version::new(version);
    anyhow::ensure!(version.is_well_formed(), "`{version}` is not a version; expected 12 hex digits");
    Ok(version)
}

/// The command that makes a stored version the champion: it carries what the judge must know.
pub(crate) async fn promotion(config: &Config, version: &str) -> anyhow::Result<Action> {
    let store = Store::open(&config.registry.url)?;
    let version = well_formed(version)?;
    let bundle = store.bundle(&version).await?;
    let manifest = &bundle.manifest;
    Ok(Action::Promote {
        version,
        trained_until_ms: manifest.trained_until_ms,
        reference: manifest.reference,
        rows: manifest.first_rows,
    })
}

/// Puts a command on the journal.
fn ask(config: &Config, action: Action, if_champion: Option<&str>) -> anyhow::Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    let command = Command {
        id: format!("cli-{now}-{}", std::process::id()),
        if_champion: if_champion.map(well_formed).transpose()?,
        action,
    };
    let id = command.id.clone();
    crate::journal::ToJournal::open(config)?.tell(&records::journal::Journal::Command(command))?;
    writeln!(std::io::stdout().lock(), "asked the judge of `{}` (command {id})", config.pipeline.name)?;
    Ok(())
}
