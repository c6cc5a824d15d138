//! What the `vigie` binary does: flags, configuration, wiring of stages, effects, launchers, shutdown.
//!
//! It holds no statistics and makes no decisions; those are in the stages it wires.
//! Read in this order: `cli`, `config`, `pipeline` (all stages on one screen), `effects`,
//! `launch`, `demo`.

mod cli;
mod commands;
mod config;
mod demo;
mod effects;
mod exit;
mod formats;
mod journal;
mod launch;
mod pipeline;
mod replay;
mod send;
mod signals;
mod telemetry;
mod topics;
mod watch;
mod wiring;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

/// glibc keeps an arena per thread and gives little of it back; a process has dozens of threads, most
/// of them the Kafka client's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Parses the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let telemetry = telemetry::start(&cli.log);
    let result = match &cli.command {
        Command::Demo(args) => demo::run(args, &telemetry),
        Command::Run(args) => commands::run::run(args, &telemetry),
        Command::Check(args) => commands::check::run(args),
        Command::Train(args) => commands::train::run(args),
        Command::Models(args) => commands::models::run(args),
        Command::Swaps(args) => commands::swaps::run(args),
        Command::Rejected(args) => commands::rejected::run(args),
        Command::Compare(args) => commands::compare::run(args),
        Command::Produce(args) => commands::produce::run(args),
        Command::Telemetry => commands::telemetry(),
    };
    telemetry.stop();
    exit::report(result)
}
