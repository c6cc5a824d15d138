//! Topics of a pipeline: names, partitions, retention; created or checked before anything starts.

use crate::config::Config;
use domain::TopicRole;
use kafka::{Connection, TopicSpec, Topics};
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

/// Largest record of a derived topic: a user's largest record and 64 KiB of headers.
const MESSAGE_BYTES_MAX: i64 = (8 << 20) + (64 << 10);

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
    /// Partitions of `p.predictions` and `p.rejected`: those of the largest events topic.
    pub(crate) predictions: i32,
}

impl Layout {
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
    let retention_ms = match config.topics.retention.as_str() {
        "unlimited" => -1,
        text => crate::config::duration::Span::parse(text).map_or(-1, |s| s.as_ms()),
    };
    // Internal logs outlive twice the label horizon: the join is rebuilt from them.
    let partitions = match role {
        TopicRole::Predictions | TopicRole::Rejected => layout.predictions,
        TopicRole::Tracking => layout.tracking,
        _ => 1,
    };
    let compacted = matches!(role, TopicRole::Control | TopicRole::Windows);
    let mut settings = vec![
        ("retention.ms", retention_ms.to_string()),
        ("max.message.bytes", MESSAGE_BYTES_MAX.to_string()),
        ("cleanup.policy", if compacted { "compact" } else { "delete" }.to_owned()),
    ];
    if matches!(role, TopicRole::Predictions | TopicRole::Rejected) {
        // Their timestamp is the event record's: any time the events topic took must be taken here.
        settings.push(("message.timestamp.before.max.ms", i64::MAX.to_string()));
        settings.push(("message.timestamp.after.max.ms", i64::MAX.to_string()));
    }
    TopicSpec {
        name: layout.name(role).to_owned(),
        partitions,
        replication: config.topics.replication,
        config: settings.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
    }
}

/// Learns the user's topics and creates or checks the derived ones on a real broker.
pub(crate) fn prepare(config: &Config) -> anyhow::Result<Layout> {
    let topics = Topics::connect(&connection(config), CONNECT)?;
    let partitions = |names: Vec<String>| -> anyhow::Result<Vec<(String, i32)>> {
        names.into_iter().map(|name| Ok((name.clone(), topics.require(&name)?))).collect()
    };
    let layout = layout(config, partitions(config.event_topics())?, partitions(config.label_topics())?);
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
    Ok(layout)
}

/// Names and counts, given the user's topics.
pub(crate) fn layout(config: &Config, events: Vec<(String, i32)>, labels: Vec<(String, i32)>) -> Layout {
    let predictions = events.iter().map(|(_, n)| *n).max().unwrap_or(1);
    Layout { names: names(config), events, labels, tracking: config.topics.partitions, predictions }
}
