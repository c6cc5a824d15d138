//! Topics of a pipeline: names, partitions, retention; created or checked before anything starts.

use crate::config::Config;
use domain::TopicRole;
use kafka::{Connection, Need, NeedValue, TopicSpec, Topics};
use std::collections::BTreeMap;
use std::time::Duration;

/// Derived topics in the order they are created.
pub(crate) const DERIVED: [TopicRole; 7] = [
    TopicRole::Predictions,
    TopicRole::Rejected,
    TopicRole::Tracking,
    TopicRole::Journal,
    TopicRole::Control,
    TopicRole::Windows,
    TopicRole::Alerts,
];

/// Largest record of a derived topic that we make, unless the user's are larger.
const MESSAGE_BYTES: usize = 8 << 20;
/// What a rejected record's headers, or a prediction beside its key, may add.
const MESSAGE_BYTES_MORE: usize = 64 << 10;
/// What a broker takes where nothing else is said (`message.max.bytes`).
const MESSAGE_BYTES_DEFAULT: usize = 1_048_588;
/// Internal records are cut at 512 KiB.
const INTERNAL_BYTES: i64 = 1_000_000;

const SIZE: &str = "max.message.bytes";
/// How far a record's own time may lie from the broker's.
const TIME_BOUNDS: [&str; 2] = ["message.timestamp.before.max.ms", "message.timestamp.after.max.ms"];

/// How much longer than twice the label horizon the logs are kept from which state is rebuilt: time to
/// mend a pipeline that stands still.
const LOG_MORE_MS: i64 = 7 * 86_400_000;

/// How long to wait for a broker's first answer.
pub(crate) const CONNECT: Duration = Duration::from_secs(30);

/// What is known of the topics once they exist.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Names of the derived topics.
    pub(crate) names: BTreeMap<TopicRole, String>,
    /// Partitions of each events topic.
    pub(crate) events: Vec<(String, i32)>,
    /// Partitions of each labels topic.
    pub(crate) labels: Vec<(String, i32)>,
    /// Partitions of `p.tracking`.
    pub(crate) tracking: i32,
    /// Partitions of `p.predictions`: those of the largest events topic when it was made.
    pub(crate) predictions: i32,
    /// Partitions of `p.rejected`, likewise.
    pub(crate) rejected: i32,
    /// Bytes of the largest record that `p.predictions` takes.
    pub(crate) prediction_bytes_max: usize,
    /// Bytes of the largest record that `p.rejected` takes.
    pub(crate) rejected_bytes_max: usize,
    /// Bytes of the largest record of the user's topics.
    source_bytes_max: usize,
    /// The widest bounds of the user's topics on the times of records.
    time_bounds_ms: [i64; 2],
}

impl Layout {
    /// The rejected topic.
    pub(crate) fn rejected(&self) -> records::rejected::Topic {
        records::rejected::Topic { partitions: self.rejected, record_bytes_max: self.rejected_bytes_max }
    }

    /// Bytes of the largest record of a derived topic when we make it.
    fn bytes_made(&self) -> usize {
        self.source_bytes_max.max(MESSAGE_BYTES) + MESSAGE_BYTES_MORE
    }

    /// Event partitions over all topics.
    pub(crate) fn event_partitions(&self) -> usize {
        count(&self.events)
    }

    /// Label partitions over all topics.
    pub(crate) fn label_partitions(&self) -> usize {
        count(&self.labels)
    }

    /// Name of a derived topic.
    pub(crate) fn name(&self, role: TopicRole) -> &str {
        self.names.get(&role).map_or("", String::as_str)
    }
}

fn count(topics: &[(String, i32)]) -> usize {
    topics.iter().map(|(_, n)| usize::try_from(*n).unwrap_or(0)).sum()
}

/// How to reach the brokers, as configured.
pub(crate) fn connection(config: &Config) -> Connection {
    let kafka = &config.kafka;
    Connection {
        brokers: kafka.brokers.clone(),
        properties: kafka.properties.literals(),
        secrets: kafka.properties.secrets().clone(),
        oauth_token_file: kafka.oauth_token_file.clone(),
    }
}

/// Names of the derived topics.
pub(crate) fn names(config: &Config) -> BTreeMap<TopicRole, String> {
    DERIVED.iter().map(|role| (*role, config.derived(&role.to_string()))).collect()
}

/// What a derived topic must be like.
pub(crate) fn spec(config: &Config, role: TopicRole, layout: &Layout) -> TopicSpec {
    let asked_ms = match config.topics.retention.as_str() {
        "unlimited" => -1,
        text => crate::config::duration::Span::parse(text).map_or(-1, |s| s.as_ms()),
    };
    // The join and the judge are rebuilt from these: a label may come until its horizon has passed.
    let is_log = matches!(role, TopicRole::Tracking | TopicRole::Journal);
    let least_ms = config.horizon_ms().saturating_mul(2).saturating_add(LOG_MORE_MS);
    let retention_ms = if is_log && asked_ms >= 0 { asked_ms.max(least_ms) } else { asked_ms };
    let partitions = match role {
        TopicRole::Predictions => layout.predictions,
        TopicRole::Rejected => layout.rejected,
        TopicRole::Tracking => layout.tracking,
        _ => 1,
    };
    let compacted = matches!(role, TopicRole::Control | TopicRole::Windows);
    let mut settings = vec![
        ("retention.ms", retention_ms.to_string()),
        (SIZE, layout.bytes_made().to_string()),
        ("cleanup.policy", if compacted { "compact" } else { "delete" }.to_owned()),
    ];
    let mut needs = vec![Need {
        setting: "cleanup.policy",
        value: if compacted { NeedValue::Contains("compact") } else { NeedValue::Lacks("compact") },
    }];
    if matches!(role, TopicRole::Predictions | TopicRole::Rejected) {
        // Their timestamp is the event record's: any time the events topic took must be taken here.
        for (setting, bound_ms) in TIME_BOUNDS.into_iter().zip(layout.time_bounds_ms) {
            settings.push((setting, i64::MAX.to_string()));
            needs.push(Need { setting, value: NeedValue::AtLeast(bound_ms) });
        }
    } else {
        needs.push(Need { setting: SIZE, value: NeedValue::AtLeast(INTERNAL_BYTES) });
    }
    if is_log {
        needs.push(Need { setting: "retention.ms", value: NeedValue::AtLeast(least_ms) });
    }
    TopicSpec {
        name: layout.name(role).to_owned(),
        partitions,
        replication: config.topics.replication,
        config: settings.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        needs,
    }
}

/// A setting that is a number; `None` if the broker does not tell, or does not know it.
fn number(settings: Option<&BTreeMap<String, String>>, name: &str) -> Option<i64> {
    settings?.get(name)?.parse().ok()
}

fn record_bytes(settings: Option<&BTreeMap<String, String>>) -> usize {
    number(settings, SIZE).and_then(|n| usize::try_from(n).ok()).unwrap_or(MESSAGE_BYTES_DEFAULT)
}

/// Learns the user's topics and creates or checks the derived ones on a real broker.
pub(crate) fn prepare(config: &Config) -> anyhow::Result<Layout> {
    let topics = Topics::connect(&connection(config), CONNECT)?;
    let partitions = |names: Vec<String>| -> anyhow::Result<Vec<(String, i32)>> {
        names.into_iter().map(|name| Ok((name.clone(), topics.require(&name)?))).collect()
    };
    let mut layout = layout(config, partitions(config.event_topics())?, partitions(config.label_topics())?);
    layout.time_bounds_ms = [0; 2];
    for (topic, _) in layout.events.iter().chain(&layout.labels) {
        let settings = topics.settings(topic)?;
        layout.source_bytes_max = layout.source_bytes_max.max(record_bytes(settings.as_ref()));
        for (widest, name) in layout.time_bounds_ms.iter_mut().zip(TIME_BOUNDS) {
            *widest = number(settings.as_ref(), name).unwrap_or(0).max(*widest);
        }
    }
    // An event goes to its own partition's number modulo theirs, so they need not grow with its topic.
    layout.predictions = topics.partitions(layout.name(TopicRole::Predictions))?.unwrap_or(layout.predictions);
    layout.rejected = topics.partitions(layout.name(TopicRole::Rejected))?.unwrap_or(layout.rejected);
    for role in DERIVED {
        let spec = spec(config, role, &layout);
        anyhow::ensure!(
            config.topics.create || topics.partitions(&spec.name)?.is_some(),
            "topic `{}` does not exist and topics.create is false; create it with {} partitions",
            spec.name,
            spec.partitions
        );
        topics.ensure(&spec)?;
    }
    layout.prediction_bytes_max = record_bytes(topics.settings(layout.name(TopicRole::Predictions))?.as_ref());
    layout.rejected_bytes_max = record_bytes(topics.settings(layout.name(TopicRole::Rejected))?.as_ref());
    Ok(layout)
}

/// Names and counts, given the user's topics.
pub(crate) fn layout(config: &Config, events: Vec<(String, i32)>, labels: Vec<(String, i32)>) -> Layout {
    let predictions = events.iter().map(|(_, n)| *n).max().unwrap_or(1);
    Layout {
        names: names(config),
        events,
        labels,
        tracking: config.topics.partitions,
        predictions,
        rejected: predictions,
        prediction_bytes_max: MESSAGE_BYTES,
        rejected_bytes_max: MESSAGE_BYTES,
        source_bytes_max: MESSAGE_BYTES_DEFAULT,
        time_bounds_ms: [0; 2],
    }
}
