//! `scripts/prove`: the delivery proof at any length.

use anyhow::{Context, ensure};
use clap::Parser;
use std::io::Write;
use std::path::PathBuf;
use tests::proof::{Plan, Scenario, plan, prove};

/// Proves on a real broker that every event is scored or rejected exactly once, whatever happens.
#[derive(Debug, Parser)]
struct Arguments {
    /// kill -9 so often, at random times
    #[arg(long, value_name = "N")]
    kills: Option<u64>,
    /// Processes come and go for so many seconds
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60")]
    storm: Option<u64>,
    /// Freeze a process beyond its session so often
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "10")]
    zombie: Option<u64>,
    /// Freeze, and kill and restart, the broker so often
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "4")]
    outage: Option<u64>,
    /// Kill the broker of the predictions topic, which has no other, for so many seconds (90 at least) while
    /// events keep coming
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "600")]
    sink: Option<u64>,
    /// Promote two versions in turns so often; the undisturbed run is given the swaps
    #[arg(long, value_name = "N")]
    swaps: Option<u64>,
    /// Crash at every step of a commit (needs `vigie-faulty`)
    #[arg(long)]
    steps: bool,
    /// Seed of load and faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Processes of the pipeline
    #[arg(long, default_value_t = 2)]
    processes: usize,
    /// Events a second
    #[arg(long, default_value_t = 4_000)]
    rate: u64,
    /// Release of Kafka; default: what the scenario needs, or the one tested against
    #[arg(long, value_name = "VERSION")]
    kafka: Option<String>,
    /// Keep broker data, logs and registry
    #[arg(long)]
    keep: bool,
    /// Folder for them; default: a new temporary one
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// The binary to prove
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
}

impl Arguments {
    fn scenarios(&self) -> Vec<Scenario> {
        let asked = [
            self.kills.map(Scenario::Kills),
            self.storm.map(Scenario::Storm),
            self.zombie.map(Scenario::Zombies),
            self.outage.map(Scenario::Outage),
            self.sink.map(Scenario::Sink),
            self.swaps.map(Scenario::Swaps),
            self.steps.then(|| Scenario::Faults(plan::crashes())),
        ];
        asked.into_iter().flatten().collect()
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let scenarios = arguments.scenarios();
    ensure!(
        !scenarios.is_empty(),
        "say what shall happen: --kills N, --storm, --zombie, --outage, --sink, --swaps N or --steps"
    );
    let temporary = tempfile::Builder::new().prefix("vigie-prove-").tempdir().context("no temporary folder")?;
    let folder = arguments.folder.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    let mut kept = true;
    for (number, scenario) in scenarios.into_iter().enumerate() {
        let name = format!("{scenario:?}").chars().take(40).collect::<String>();
        let plan = Plan {
            binary: arguments.binary.clone(),
            folder: folder.join(number.to_string()),
            scenario,
            processes: arguments.processes,
            seed: arguments.seed,
            rate: arguments.rate,
            compares: true,
            kafka: arguments.kafka.clone(),
        };
        let report = prove(&plan)?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{name}: {report}")?;
        for problem in &report.problems {
            writeln!(out, "  {problem}")?;
        }
        kept &= report.holds();
    }
    if arguments.keep {
        let kept = temporary.keep();
        writeln!(std::io::stderr().lock(), "prove: kept {}", arguments.folder.unwrap_or(kept).display())?;
    }
    ensure!(kept, "the promise was broken");
    Ok(())
}
