//! The configuration file, section by section. Every key a person may write is a field here.

use super::duration::{Budget, Span};
use super::property::Properties;
use domain::{Field, Task, Unlabelled};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A whole configuration.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Version of the file's format: 1.
    pub(crate) version: u32,
    pub(crate) pipeline: Pipeline,
    pub(crate) kafka: Kafka,
    #[serde(default)]
    pub(crate) topics: Topics,
    pub(crate) events: Events,
    /// Tasks without labels have none.
    pub(crate) labels: Option<Labels>,
    #[serde(default)]
    pub(crate) windows: Windows,
    #[serde(default)]
    pub(crate) features: prepare::Recipe,
    #[serde(default)]
    pub(crate) segments: Vec<Segment>,
    #[serde(default)]
    pub(crate) train: Train,
    #[serde(default)]
    pub(crate) accuracy: Accuracy,
    #[serde(default)]
    pub(crate) alerts: Alerts,
    #[serde(default)]
    pub(crate) retrain: Retrain,
    pub(crate) registry: Registry,
    #[serde(default)]
    pub(crate) console: Console,
}

/// `[pipeline]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pipeline {
    /// `[a-z0-9-]{1,40}`; part of every topic, group and transactional id.
    pub(crate) name: String,
    pub(crate) task: Task,
    /// Binary: label of the class whose probability is published.
    pub(crate) positive_class: Option<String>,
    /// Binary: label of the other class; guessed for 1, true, yes.
    pub(crate) negative_class: Option<String>,
    /// Multiclass: all labels, in the order of probabilities.
    #[serde(default)]
    pub(crate) classes: Vec<String>,
    #[serde(default)]
    pub(crate) delivery: Delivery,
}

/// Delivery guarantee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delivery {
    /// Outputs and input offsets move in one transaction.
    #[default]
    ExactlyOnce,
    /// Outputs are flushed before offsets.
    AtLeastOnce,
}

/// `[kafka]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kafka {
    /// Bootstrap servers, comma-separated.
    pub(crate) brokers: String,
    /// Time between commits under load.
    #[serde(default = "default_commit_interval")]
    pub(crate) commit_interval: Span,
    /// A process that is told to end finishes and commits within this, or ends with an error.
    #[serde(default = "default_drain_timeout")]
    pub(crate) drain_timeout: Span,
    /// How the partitions of a group are given out.
    #[serde(default)]
    pub(crate) group_protocol: GroupProtocol,
    /// Whether groups know this process by name.
    #[serde(default)]
    pub(crate) static_membership: bool,
    /// Most records of one batch.
    #[serde(default = "default_batch_rows_max")]
    pub(crate) batch_rows_max: usize,
    /// Most bytes of one batch, in mebibytes.
    #[serde(default = "default_batch_mib_max")]
    pub(crate) batch_mib_max: usize,
    /// Memory for the queues of one stage, shared by its runners, in mebibytes.
    #[serde(default = "default_memory_mib")]
    pub(crate) memory_mib: usize,
    /// What is different for one stage.
    #[serde(default)]
    pub(crate) stages: Stages,
    /// The token for OAUTHBEARER, in a file that is read anew before the token expires.
    pub(crate) oauth_token_file: Option<PathBuf>,
    /// Further librdkafka settings (security and the like), passed on as they are.
    #[serde(default)]
    pub(crate) properties: Properties,
}

/// `[kafka.stages.…]`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stages {
    pub(crate) score: StageSettings,
    pub(crate) intake: StageSettings,
    pub(crate) join: StageSettings,
    pub(crate) judge: StageSettings,
    pub(crate) archive: StageSettings,
}

impl Stages {
    /// All, by name.
    pub(crate) fn each(&self) -> [(&'static str, &StageSettings); 5] {
        [
            ("score", &self.score),
            ("intake", &self.intake),
            ("join", &self.join),
            ("judge", &self.judge),
            ("archive", &self.archive),
        ]
    }
}

/// `[kafka.stages.score]` and so on; what is missing is as for the others.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StageSettings {
    /// Threads of this process that share the stage's partitions.
    pub(crate) runners: usize,
    pub(crate) commit_interval: Option<Span>,
    pub(crate) batch_rows_max: Option<usize>,
    pub(crate) batch_mib_max: Option<usize>,
    pub(crate) memory_mib: Option<usize>,
}

impl Default for StageSettings {
    fn default() -> Self {
        Self { runners: 1, commit_interval: None, batch_rows_max: None, batch_mib_max: None, memory_mib: None }
    }
}

/// How the partitions of a group are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GroupProtocol {
    /// By its members.
    #[default]
    Classic,
    /// By the broker.
    Consumer,
}

fn default_commit_interval() -> Span {
    Span::ms(100)
}
/// Below a pod's usual grace of half a minute.
fn default_drain_timeout() -> Span {
    Span::ms(25_000)
}
fn default_batch_rows_max() -> usize {
    20_000
}
fn default_batch_mib_max() -> usize {
    8
}
fn default_memory_mib() -> usize {
    64
}

/// `[topics]`: the derived ones.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Topics {
    /// Begins every derived topic, group and transactional id.
    pub(crate) prefix: String,
    /// Partitions of `p.tracking`, fixed at creation.
    pub(crate) partitions: i32,
    pub(crate) replication: i32,
    /// Of predictions, rejected and alerts: `unlimited` or a span.
    pub(crate) retention: String,
    /// Whether the daemon may create what is missing.
    pub(crate) create: bool,
}

impl Default for Topics {
    fn default() -> Self {
        Self { prefix: String::new(), partitions: 4, replication: 1, retention: "unlimited".to_owned(), create: true }
    }
}

/// One topic or several.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name.clone()],
            Self::More(names) => names.clone(),
        }
    }
}

/// `[events]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Events {
    pub(crate) topic: OneOrMore,
    #[serde(default)]
    pub(crate) format: Format,
    /// A column path, `$key`, or `$header.NAME`.
    pub(crate) id: String,
    /// A column path or `$timestamp`.
    pub(crate) time: String,
    #[serde(default)]
    pub(crate) time_unit: TimeUnit,
    #[serde(default)]
    pub(crate) tombstone: Tombstone,
    pub(crate) field: Vec<Field>,
}

/// Format of a topic's values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    #[default]
    Json,
}

/// Unit of a time column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TimeUnit {
    /// Text.
    #[default]
    Rfc3339,
    S,
    Ms,
    Us,
    Ns,
}

/// What a null value means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tombstone {
    #[default]
    Reject,
    Ignore,
}

/// `[labels]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Labels {
    pub(crate) topic: OneOrMore,
    #[serde(default)]
    pub(crate) format: Format,
    pub(crate) id: String,
    pub(crate) value: String,
    #[serde(default = "kafka_timestamp")]
    pub(crate) time: String,
    #[serde(default)]
    pub(crate) time_unit: TimeUnit,
    /// Longest wait for a label.
    pub(crate) horizon: Span,
    /// Age at which a slice's labels are tested.
    pub(crate) maturity: Span,
    /// What it means when none comes.
    #[serde(default)]
    pub(crate) unlabelled: Unlabelled,
}

fn kafka_timestamp() -> String {
    "$timestamp".to_owned()
}

/// `[windows]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Windows {
    pub(crate) length: Span,
    pub(crate) lateness: Span,
    pub(crate) max_skew: Span,
    /// Labels may run ahead of events by this much.
    pub(crate) align: Span,
    pub(crate) idle_after: Span,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            length: Span::ms(86_400_000),
            lateness: Span::ms(3_600_000),
            max_skew: Span::ms(3_600_000),
            align: Span::ms(86_400_000),
            idle_after: Span::ms(30_000),
        }
    }
}

/// `[[segments]]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Segment {
    pub(crate) name: String,
    /// A declared column of type category.
    pub(crate) column: String,
    /// Drift is watched within each of its segments too.
    #[serde(default)]
    pub(crate) drift: bool,
}

/// `[train]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Train {
    /// By default those of the task.
    pub(crate) families: Option<Vec<String>>,
    /// Random trials beside the defaults and the champion's own parameters.
    pub(crate) trials: usize,
    pub(crate) threads: usize,
    pub(crate) seed: u64,
    /// Wall-clock limit of a run; `unlimited` or a span.
    pub(crate) time_limit: String,
    /// Anomalies: share of the training rows whose score is to be 0.5 or more.
    pub(crate) anomaly_share: Option<f64>,
    /// Clustering: how many; by default what the rows say.
    pub(crate) clusters: Option<u32>,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            families: None,
            trials: 2,
            threads: 1,
            seed: 1,
            time_limit: "10m".to_owned(),
            anomaly_share: None,
            clusters: None,
        }
    }
}

/// `[accuracy]`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Accuracy {
    /// By label, then by prediction, in class order.
    pub(crate) cost: Option<Vec<Vec<f64>>>,
    /// What the predictions of a regression are meant as.
    pub(crate) quantile: Option<f64>,
    /// Share of labels that the interval around a regression's prediction is to hold.
    pub(crate) interval: Option<f64>,
    /// Areas under curves from the scores themselves.
    pub(crate) exact_areas: bool,
}

/// `[alerts]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Alerts {
    pub(crate) false_alarms: Budget,
    /// PSI that is still no drift.
    pub(crate) drift_tolerance: f64,
    /// The same of all columns together.
    pub(crate) joint_tolerance: f64,
    /// How columns are watched together.
    pub(crate) multivariate: train::Multivariate,
    /// Detectors that others know, beside our own.
    pub(crate) classic: detect::classic::PanelOptions,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            false_alarms: Budget { count: 1.0, period: Span::ms(30 * 86_400_000) },
            drift_tolerance: 0.1,
            joint_tolerance: 0.01,
            multivariate: train::Multivariate::None,
            classic: detect::classic::PanelOptions::default(),
        }
    }
}

/// What may start a retraining run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RetrainOn {
    Harm,
    NewLabels,
}

/// `[retrain]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retrain {
    pub(crate) on: Vec<RetrainOn>,
    /// Stream time between a decision and its effect.
    pub(crate) lead: Span,
    /// Pause after a run by alarm, as a share of the first training's rows.
    pub(crate) cool_down: f64,
    /// Keep the first champion scoring as baseline.
    pub(crate) baseline: bool,
    /// Stop judging while a run is open. For replays only: live, nothing waits.
    pub(crate) wait_for_runs: bool,
}

impl Default for Retrain {
    fn default() -> Self {
        Self {
            on: vec![RetrainOn::Harm, RetrainOn::NewLabels],
            lead: Span::ms(0),
            cool_down: 0.1,
            baseline: true,
            wait_for_runs: false,
        }
    }
}

/// `[registry]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registry {
    /// Where bundles, archive and checkpoints live: `file:///DIR`.
    pub(crate) url: String,
}

/// `[console]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Console {
    /// Address to listen on; empty for none.
    pub(crate) listen: String,
}

impl Default for Console {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8080".to_owned() }
    }
}
