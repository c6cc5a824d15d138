//! The subcommands that are not the demo, one file each.

pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod models;
pub(crate) mod produce;
pub(crate) mod rejected;
pub(crate) mod run;
pub(crate) mod swaps;
pub(crate) mod train;

use crate::config::{Config, load};
use crate::exit;
use std::path::Path;

/// Loads a configuration for a command; all its faults end the process with code 64.
pub(crate) fn configuration(path: &Path) -> anyhow::Result<Config> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    load(path, &environment).map_err(|faults| exit::faulty(&faults))
}

/// Reads a time given on the command line.
pub(crate) fn time(text: &str) -> anyhow::Result<i64> {
    records::time::parse_rfc3339(text).ok_or_else(|| {
        anyhow::anyhow!("`{text}` is not a time; expected RFC 3339, as in 2013-04-01T00:00:00Z, or a date")
    })
}

/// `vigie telemetry`.
pub(crate) fn telemetry() -> anyhow::Result<()> {
    use std::io::Write;
    Ok(std::io::stdout().lock().write_all(crate::telemetry::catalogue::markdown().as_bytes())?)
}

/// A runtime for the asynchronous parts: object store, console, subprocesses.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
