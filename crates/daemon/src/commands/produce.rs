//! `vigie produce`: replays files of events and labels into a pipeline's topics.

use crate::cli::{Files, Produce};
use crate::config::Config;
use crate::replay::{Merged, Source};
use crate::send::{Gate, Pace, Sent, Target, send};
use crate::topics;
use indicatif::{ProgressBar, ProgressStyle};
use kafka::{Sender, TopicSpec, Topics};
use std::collections::BTreeMap;
use std::io::Write;

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Sends the files.
pub(crate) fn run(args: &Produce) -> anyhow::Result<()> {
    let config = super::configuration(&args.config.config)?;
    let from_ms = args.from.as_deref().map(super::time).transpose()?.unwrap_or(i64::MIN);
    let mut merged = merged(&config, &args.files, from_ms, args.days)?;
    let target = target(&config)?;
    let connection = topics::connection(&config);
    let existing = Topics::connect(&connection, topics::CONNECT)?;
    for (topic, partitions) in target.topics() {
        if existing.partitions(topic)?.is_none() {
            existing.ensure(&user_topic(topic, args.partitions.max(*partitions)))?;
        }
    }
    let found = |(topic, _): (String, i32)| existing.require(&topic).map(|partitions| (topic, partitions));
    let target = Target { events: found(target.events)?, labels: target.labels.map(found).transpose()? };
    let sender = Sender::new(&connection, 32 << 20)?;
    let mut gate = Open(bar("sending"));
    let sent = send(&mut merged, &sender, &target, (Pace::parse(&args.speed)?, args.broken), &mut gate)?;
    gate.0.finish_and_clear();
    writeln!(
        std::io::stdout().lock(),
        "{} events and {} labels sent, {} of them broken on purpose; {} records acknowledged",
        sent.events,
        sent.labels,
        sent.broken,
        sender.acknowledged()
    )?;
    Ok(())
}

/// No gate: everything may go at once.
struct Open(ProgressBar);

impl Gate for Open {
    fn is_open(&mut self, _time_ms: i64) -> bool {
        true
    }
    fn must_pause(&mut self) -> bool {
        false
    }
    fn sent(&mut self, sent: &Sent, time_ms: i64) {
        show(&self.0, sent, time_ms);
    }
    fn is_stopped(&self) -> bool {
        false
    }
}

/// A progress line on standard error; nothing where that is no terminal.
pub(crate) fn bar(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(what.to_owned());
    bar
}

/// Moves a progress line now and then.
pub(crate) fn show(bar: &ProgressBar, sent: &Sent, time_ms: i64) {
    if (sent.events + sent.labels).is_multiple_of(2_000) {
        let day = records::time::rfc3339(time_ms);
        bar.set_message(format!(
            "{} events, {} labels, {}",
            sent.events,
            sent.labels,
            day.get(..10).unwrap_or_default()
        ));
        bar.tick();
    }
}

/// The user's first topic of each kind, with the partitions it gets if it does not exist.
pub(crate) fn target(config: &Config) -> anyhow::Result<Target> {
    let first = |names: Vec<String>| names.into_iter().next().map(|name| (name, 1));
    let events = first(config.event_topics()).ok_or_else(|| anyhow::anyhow!("events.topic names no topic"))?;
    Ok(Target { events, labels: first(config.label_topics()) })
}

/// A topic for a replay: its records carry old times, so it keeps them whatever their age.
pub(crate) fn user_topic(name: &str, partitions: i32) -> TopicSpec {
    let settings = [("retention.ms", "-1"), ("message.timestamp.before.max.ms", "9223372036854775807")];
    let config: BTreeMap<String, String> = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    TopicSpec { name: name.to_owned(), partitions, replication: 1, config, needs: Vec::new() }
}

/// Reads the files and merges them by time.
pub(crate) fn merged(config: &Config, files: &Files, from_ms: i64, days: Option<i64>) -> anyhow::Result<Merged> {
    let column = |text: &str, key: &str| {
        anyhow::ensure!(!text.starts_with('$'), "{key} is `{text}`; a file needs a column");
        Ok::<String, anyhow::Error>(text.to_owned())
    };
    let source = |path, id: &str, time: &str, key: &str| -> anyhow::Result<Source> {
        Ok(Source { batches: train::read_file(path)?, id: column(id, key)?, time: column(time, key)? })
    };
    let events = source(&files.events, &config.events.id, &config.events.time, "events")?;
    let labels = match (&config.labels, &files.labels) {
        (Some(labels), Some(file)) => Some(source(file, &labels.id, &labels.time, "labels")?),
        (None, None) => None,
        (Some(_), None) => anyhow::bail!("--labels is needed: the pipeline's task has labels"),
        (None, Some(file)) => anyhow::bail!("--labels {}: the pipeline's task has no labels", file.display()),
    };
    let until_ms = days.map_or(i64::MAX, |days| from_ms.saturating_add(days.saturating_mul(DAY_MS)));
    Ok(Merged::new(events, labels, from_ms, until_ms))
}
