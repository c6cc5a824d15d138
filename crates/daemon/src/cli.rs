//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Keeps models right while they score a Kafka stream.
#[derive(Debug, Parser)]
#[command(name = "vigie", version, about, propagate_version = true)]
pub(crate) struct Cli {
    /// Log filter, as in `info,kafka=debug`.
    #[arg(long, global = true, env = "VIGIE_LOG", default_value = "warn,vigie=info")]
    pub(crate) log: String,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The whole loop in one process, on an embedded broker and a year of real flights.
    Demo(Demo),
    /// Run the stages of a pipeline against a broker until stopped.
    Run(Run),
    /// Check a configuration; exit code 64 if it is faulty.
    Check(ConfigOnly),
    /// Train the first champion from files (or, with --spec, do one retraining run).
    Train(Train),
    /// List and move versions.
    Models(Models),
    /// Print the promotions and swaps of a pipeline as JSON lines, for `run --swaps`.
    Swaps(ConfigOnly),
    /// Look at rejected records, and send them back once what was wrong is mended.
    Rejected(Rejected),
    /// Compare two files column by column: by our rules, or as Evidently or NannyML would.
    Compare(Compare),
    /// Replay files of events and labels into a pipeline's topics.
    Produce(Produce),
    /// Print the names of all metrics and events, as a page.
    Telemetry,
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigOnly {
    /// The pipeline's configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// `vigie run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) config: ConfigOnly,
    /// Stages of this process: score, intake, join, judge, archive.
    #[arg(long, value_delimiter = ',', default_value = "score,intake,join,judge,archive")]
    pub(crate) stages: Vec<String>,
    /// Cache folder: slots of this host and spec files of runs.
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Where a committed offset lies beyond the end of its log (the topic was made anew), go on at
    /// the log's start; without this the start is refused.
    #[arg(long)]
    pub(crate) reset: bool,
    /// Swap where this file says, and decide nothing: values of another run's control topic over
    /// the same logs, one JSON object a line, as `vigie swaps` prints them.
    #[arg(long, value_name = "FILE")]
    pub(crate) swaps: Option<PathBuf>,
}

/// `vigie train`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Train {
    /// The pipeline's configuration.
    #[arg(long, value_name = "FILE", required_unless_present = "spec")]
    pub(crate) config: Option<PathBuf>,
    /// Past events: Parquet, CSV or JSON lines.
    #[arg(long, value_name = "FILE", required_unless_present = "spec")]
    pub(crate) events: Option<PathBuf>,
    /// Their labels, unless the task has none: Parquet, CSV or JSON lines.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// Use events before this time only (RFC 3339, or a date).
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Do the run that this specification describes; how the daemon starts retraining.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "events", "labels", "until"])]
    pub(crate) spec: Option<PathBuf>,
    /// Print progress as JSON lines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `vigie models`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Models {
    #[command(subcommand)]
    pub(crate) action: ModelsAction,
}

/// Actions on versions.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ModelsAction {
    /// All stored versions; the champion is marked.
    List {
        #[command(flatten)]
        config: ConfigOnly,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// A version's manifest.
    Show {
        #[command(flatten)]
        config: ConfigOnly,
        /// The version, or `champion`.
        version: String,
    },
    /// Make a stored version the champion.
    Promote {
        #[command(flatten)]
        config: ConfigOnly,
        /// The version.
        version: String,
        /// Only if this is the champion now.
        #[arg(long)]
        if_champion: Option<String>,
    },
    /// Bring back the champion before this one.
    Rollback {
        #[command(flatten)]
        config: ConfigOnly,
        /// Only if this is the champion now.
        #[arg(long)]
        if_champion: Option<String>,
    },
}

/// `vigie rejected`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Rejected {
    #[command(subcommand)]
    pub(crate) action: RejectedAction,
}

/// Actions on rejected records.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum RejectedAction {
    /// One line per rejected record, the newest last, and how many there are of each reason.
    List {
        #[command(flatten)]
        config: ConfigOnly,
        #[command(flatten)]
        filters: Filters,
        /// Show so many of the newest; all that match are counted.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Print JSON lines; the last one holds the counts.
        #[arg(long)]
        json: bool,
    },
    /// Everything there is of one rejected record.
    Show {
        #[command(flatten)]
        config: ConfigOnly,
        /// Where it is in the rejected topic, as `list` says: PARTITION@OFFSET.
        #[arg(value_name = "PARTITION@OFFSET")]
        place: String,
        /// Write the value alone, byte by byte as it came.
        #[arg(long)]
        raw: bool,
    },
    /// Send rejected records back to the topics they came from.
    Replay {
        #[command(flatten)]
        config: ConfigOnly,
        #[command(flatten)]
        filters: Filters,
        /// These records only, by their place in the rejected topic.
        #[arg(value_name = "PARTITION@OFFSET", conflicts_with_all = ["reason", "stage", "topic", "since"])]
        places: Vec<String>,
        /// Send nothing, say what would be sent.
        #[arg(long)]
        dry_run: bool,
        /// Also what was replayed before.
        #[arg(long)]
        again: bool,
    },
}

/// Which rejected records; without any, all.
#[derive(Debug, Clone, Args)]
pub(crate) struct Filters {
    /// Refused for this reason, for example `field.type`.
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: Option<String>,
    /// Refused by this stage: events by `score`, labels by `intake`.
    #[arg(long, value_name = "STAGE", value_parser = ["score", "intake"])]
    pub(crate) stage: Option<String>,
    /// Came from this topic.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,
    /// With a Kafka timestamp, that of the original, not before this time (RFC 3339, or a date).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
}

/// `vigie compare`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Compare {
    /// What columns should look like: Parquet, CSV or JSON lines.
    #[arg(long, value_name = "FILE")]
    pub(crate) reference: PathBuf,
    /// What is compared with it.
    #[arg(long, value_name = "FILE")]
    pub(crate) current: PathBuf,
    /// These columns only; default: those of both files.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// Whose rules.
    #[arg(long, value_enum, default_value_t = Rules::Vigie)]
    pub(crate) rules: Rules,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whose rules `vigie compare` goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rules {
    /// Those of a window of Vigie: PSI against chance and tolerance.
    Vigie,
    /// The rule that Evidently 0.7.23 chooses for a column by default.
    Evidently,
    /// All methods of NannyML 0.13.1.
    Nannyml,
}

/// Files to replay and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct Files {
    /// Events: Parquet, CSV or JSON lines, sorted by time.
    #[arg(long, value_name = "FILE")]
    pub(crate) events: PathBuf,
    /// Labels, unless the task has none: Parquet, CSV or JSON lines, sorted by label time.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
}

/// `vigie produce`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Produce {
    #[command(flatten)]
    pub(crate) config: ConfigOnly,
    #[command(flatten)]
    pub(crate) files: Files,
    /// Start at this time (RFC 3339, or a date).
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Send so many days only.
    #[arg(long, value_name = "N")]
    pub(crate) days: Option<i64>,
    /// `max`, or by how much stream time is compressed: 3600 sends an hour each second.
    #[arg(long, default_value = "max")]
    pub(crate) speed: String,
    /// Partitions of topics that do not exist yet.
    #[arg(long, default_value_t = 4)]
    pub(crate) partitions: i32,
    /// Put a few broken records in between.
    #[arg(long)]
    pub(crate) broken: bool,
}

/// `vigie demo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Demo {
    /// The pipeline's configuration; broker, registry and a few keys are set by the demo.
    #[arg(long, value_name = "FILE", default_value = "config/flights.toml")]
    pub(crate) config: PathBuf,
    /// Events.
    #[arg(long, value_name = "FILE", default_value = "config/data/flights.parquet")]
    pub(crate) events: PathBuf,
    /// Labels, unless the task has none.
    #[arg(long, value_name = "FILE", default_value = "config/data/flight_labels.parquet")]
    pub(crate) labels: PathBuf,
    /// The first champion is trained on what came before; the replay starts here.
    #[arg(long, value_name = "TIME", default_value = "2013-04-01")]
    pub(crate) until: String,
    /// Use a real Kafka, exactly once, instead of the embedded broker.
    #[arg(long, value_name = "ADDR")]
    pub(crate) brokers: Option<String>,
    /// `max`, or by how much stream time is compressed.
    #[arg(long, default_value = "max")]
    pub(crate) speed: String,
    /// Replay so many days only.
    #[arg(long, value_name = "N")]
    pub(crate) days: Option<i64>,
    /// Keep the first champion: no runs, no lead.
    #[arg(long)]
    pub(crate) no_retrain: bool,
    /// Write the closing table as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
    /// Leave the console open at the end.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Address of the console; empty for none.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) console: String,
    /// Folder for registry and cache; default: a new temporary one.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Delay every stage at random by up to 50 ms, from this seed: the outcome must not change.
    #[arg(long, value_name = "SEED", hide = true)]
    pub(crate) delays: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{CommandFactory, Parser};

    #[test]
    fn flags_do_not_contradict_one_another() {
        Cli::command().debug_assert();
        let reads = |arguments: &[&str]| Cli::try_parse_from([&["vigie", "rejected"], arguments].concat()).is_ok();
        assert!(reads(&["replay", "--config", "f", "0@1", "2@3", "--dry-run"]));
        assert!(reads(&["replay", "--config", "f", "--reason", "field.type", "--again"]));
        assert!(!reads(&["replay", "--config", "f", "--reason", "field.type", "0@1"]));
        assert!(!reads(&["list", "--config", "f", "--stage", "join"]));
        assert!(!reads(&["show", "--config", "f"]));
        let compares = |rest: &[&str]| {
            let files = ["vigie", "compare", "--reference", "a.csv", "--current", "b.csv"];
            Cli::try_parse_from([&files[..], rest].concat()).is_ok()
        };
        assert!(compares(&[]) && compares(&["--columns", "x,y", "--rules", "nannyml", "--json"]));
        assert!(!compares(&["--rules", "river"]));
    }
}
