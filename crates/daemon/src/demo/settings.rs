//! What the demo sets beside the configuration file.

use crate::cli::Demo;
use crate::config::Config;
use crate::config::duration::Span;
use crate::config::file::Delivery;
use crate::config::property::Properties;
use std::path::PathBuf;
use std::time::Duration;

/// Once the replay has ended, partitions at the end of their log are idle after this long.
pub(crate) const IDLE_AFTER: Duration = Duration::from_millis(300);
/// Stream time between a decision and its effect: no partition can have passed it.
const LEAD_MS: i64 = 3 * 86_400_000;
/// Pause after a run by alarm, as a share of the first training's rows.
const COOL_DOWN: f64 = 0.2;
/// Threads of a training run: a number, not the machine's.
const TRAINING_THREADS: usize = 2;
/// J, and with it the replay, moves on when a decision has gone round all stages: in a year of days
/// the wait for the next commit is most of the time.
const COMMIT_INTERVAL_MS: i64 = 10;

/// Where the demo works and from when it replays.
pub(crate) struct Settings {
    /// Registry and files of this demo.
    pub(crate) folder: PathBuf,
    /// Start of the replay.
    pub(crate) from_ms: i64,
    /// Removes the folder at the end, unless the user named it.
    _temporary: Option<tempfile::TempDir>,
}

impl Settings {
    /// Checks what was asked and makes the folder.
    pub(crate) fn of(args: &Demo) -> anyhow::Result<Self> {
        super::must_exist(&args.config, "configuration")?;
        super::must_exist(&args.events, "file of events")?;
        let from_ms = super::start_ms(args)?;
        let (folder, temporary) = match &args.dir {
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                (std::fs::canonicalize(folder)?, None)
            }
            None => {
                let temporary = tempfile::Builder::new().prefix("vigie-demo-").tempdir()?;
                (temporary.path().to_path_buf(), Some(temporary))
            }
        };
        Ok(Self { folder, from_ms, _temporary: temporary })
    }

    /// The configuration file, with the demo's own settings over it.
    pub(crate) fn config(&self, args: &Demo, embedded: Option<&str>) -> anyhow::Result<Config> {
        let mut config = crate::commands::configuration(&args.config)?;
        if config.labels.is_some() {
            super::must_exist(&args.labels, "file of labels")?;
        }
        match (embedded, &args.brokers) {
            (Some(address), _) => {
                config.kafka.brokers = address.to_owned();
                // It listens to this machine only, and speaks neither TLS nor SASL.
                config.kafka.properties = Properties::default();
                config.kafka.oauth_token_file = None;
                config.pipeline.delivery = Delivery::AtLeastOnce;
            }
            (None, Some(address)) => {
                config.kafka.brokers.clone_from(address);
                config.pipeline.delivery = Delivery::ExactlyOnce;
            }
            (None, None) => {}
        }
        config.registry.url = format!("file://{}", self.folder.join("registry").display());
        config.console.listen.clone_from(&args.console);
        config.kafka.commit_interval = Span::ms(COMMIT_INTERVAL_MS);
        config.train.time_limit = "unlimited".to_owned();
        config.train.threads = TRAINING_THREADS;
        config.retrain.cool_down = COOL_DOWN;
        if args.no_retrain {
            config.retrain.on.clear();
        } else {
            config.retrain.lead = lead(&config);
            config.retrain.wait_for_runs = true;
        }
        Ok(config)
    }

    /// What will happen, for the person who started it.
    pub(crate) fn describe(&self, args: &Demo, config: &Config) -> String {
        let broker = match &args.brokers {
            Some(address) => format!("Kafka at {address}, exactly once"),
            None => "an embedded broker, at least once (it has no transactions; --brokers ADDR uses a real Kafka, exactly once)".to_owned(),
        };
        format!(
            "pipeline `{}` on {broker}\nreplaying {}{} from {}; a few broken records are put in on purpose",
            config.pipeline.name,
            args.events.display(),
            if config.labels.is_some() { " and its labels" } else { "" },
            args.until
        )
    }
}

/// The replay sends nothing beyond J + lead, and J moves when the labels of the next slice are
/// mature: a lead shorter than that would hold the replay for ever.
fn lead(config: &Config) -> Span {
    let slice_ms = config.windows.length.as_ms();
    let needed_ms = config.maturity_ms() + config.windows.lateness.as_ms() + 2 * slice_ms;
    Span::ms(LEAD_MS.max(needed_ms.div_euclid(slice_ms).saturating_add(1).saturating_mul(slice_ms)))
}
