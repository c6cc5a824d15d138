//! `vigie rejected replay`: sends records back to where they came from.
//!
//! Everything selected is checked before anything is sent. Whether a record was replayed before is
//! not kept anywhere but in the logs: a copy carries the place of the rejected record in a header.

use super::log::{Log, drain};
use super::select::{Place, Selection};
use crate::config::Config;
use crate::topics;
use anyhow::Context;
use domain::SourcePartition;
use kafka::{Message, Sender, Topics};
use records::rejected::{OWN_HEADERS, REPLAYED, Rejected};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

/// Memory for records on their way.
const QUEUE_BYTES: usize = 32 << 20;
/// So many are acknowledged before more are read.
const FLUSH_EVERY: u64 = 1_000;
/// How long their acknowledgement may take.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(60);
/// Places remembered of what was replayed before.
const REPLAYED_MAX: usize = 2_000_000;

/// What was asked.
#[derive(Debug)]
pub(super) struct Order {
    /// Which records.
    pub(super) selection: Selection,
    /// Send nothing.
    pub(super) dry_run: bool,
    /// Also what was replayed before.
    pub(super) again: bool,
}

/// What became of the records selected.
#[derive(Debug, Default)]
struct Counts {
    sent: u64,
    skipped: u64,
    truncated: u64,
}

/// Checks, sends, and says what became of the records.
pub(super) fn run(config: &Config, topics: &Topics, log: &Log, order: &Order) -> anyhow::Result<()> {
    let mut own = BTreeMap::new();
    for topic in config.event_topics().into_iter().chain(config.label_topics()) {
        let partitions = topics.require(&topic)?;
        own.insert(topic, partitions);
    }
    let sources = check(log, order, &own)?;
    let before = if order.again { BTreeSet::new() } else { replayed_before(log, sources)? };
    let sender = if order.dry_run { None } else { Some(Sender::new(&topics::connection(config), QUEUE_BYTES)?) };
    let counts = deliver(log, order, &before, sender.as_ref()).with_context(|| {
        let acknowledged = sender.as_ref().map_or(0, Sender::acknowledged);
        format!(
            "the replay ended early, {acknowledged} records were acknowledged; without --again the next one skips them"
        )
    })?;
    let sent = if order.dry_run { "would be sent" } else { "sent" };
    let Counts { sent: count, skipped, truncated } = counts;
    writeln!(std::io::stdout().lock(), "{count} {sent}, {skipped} skipped, {truncated} truncated")?;
    Ok(())
}

/// Whether a record may be sent, as far as it says itself.
fn is_due(record: &Rejected<'_>, again: bool) -> bool {
    !record.is_truncated() && (again || record.replayed().is_none())
}

/// Looks at everything that would be sent, so that a fault shows before anything is; gives the
/// source partitions with the least offset of what came from them.
fn check(log: &Log, order: &Order, own: &BTreeMap<String, i32>) -> anyhow::Result<BTreeMap<SourcePartition, i64>> {
    let mut sources: BTreeMap<SourcePartition, i64> = BTreeMap::new();
    log.each(&order.selection, |record| {
        if is_due(record, order.again) {
            let (source, offset) = source(record, own).with_context(|| describe(record, &log.topic))?;
            let least = sources.entry(source).or_insert(offset);
            *least = offset.min(*least);
        }
        Ok(())
    })?;
    Ok(sources)
}

fn describe(record: &Rejected<'_>, topic: &str) -> String {
    format!("record {} of {topic} cannot be replayed, and nothing was sent", Place::from(record))
}

/// Where a record came from, if that is a topic of the pipeline.
fn source(record: &Rejected<'_>, own: &BTreeMap<String, i32>) -> anyhow::Result<(SourcePartition, i64)> {
    let all = (record.source_topic(), record.source_partition(), record.source_offset());
    let (Some(topic), Some(partition), Some(offset)) = all else {
        anyhow::bail!("its headers do not say where it came from; expected vigie.topic, vigie.partition, vigie.offset");
    };
    let Some(partitions) = own.get(topic) else {
        let expected: Vec<&str> = own.keys().map(String::as_str).collect();
        anyhow::bail!(
            "it came from topic `{topic}`, expected a topic of events or labels of this pipeline: {}",
            expected.join(", ")
        );
    };
    anyhow::ensure!(
        (0..*partitions).contains(&partition),
        "it came from partition {partition} of topic `{topic}`, which has {partitions}"
    );
    Ok((SourcePartition::new(topic, partition), offset))
}

/// Places of the rejected records of which the source topics hold a copy. A copy comes after its
/// original in the same partition, so nothing before that is read.
fn replayed_before(log: &Log, sources: BTreeMap<SourcePartition, i64>) -> anyhow::Result<BTreeSet<Place>> {
    let mut places = BTreeSet::new();
    if sources.is_empty() {
        return Ok(places);
    }
    let mut tail = log.tail_at(sources.into_iter().collect())?;
    drain(&mut tail, |batch, index| {
        places.extend(batch.header(index, REPLAYED).and_then(|header| Place::of_replayed(header, &log.topic)));
        anyhow::ensure!(
            places.len() <= REPLAYED_MAX,
            "more than {REPLAYED_MAX} records were replayed before, which is too many to remember; name places, or a later --since"
        );
        Ok(true)
    })?;
    Ok(places)
}

/// Sends what is due, or only counts it; returns when all of it is acknowledged.
fn deliver(log: &Log, order: &Order, before: &BTreeSet<Place>, sender: Option<&Sender>) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    log.each(&order.selection, |record| {
        if record.is_truncated() {
            counts.truncated += 1;
            return Ok(());
        }
        let place = Place::from(record);
        if !is_due(record, order.again) || before.contains(&place) {
            counts.skipped += 1;
            return Ok(());
        }
        counts.sent += 1;
        let Some(sender) = sender else { return Ok(()) };
        send(sender, record, &place.replayed(&log.topic))?;
        if counts.sent.is_multiple_of(FLUSH_EVERY) {
            sender.flush(ACKNOWLEDGED_WITHIN)?;
        }
        Ok(())
    })?;
    if let Some(sender) = sender {
        sender.flush(ACKNOWLEDGED_WITHIN)?;
        let acknowledged = sender.acknowledged();
        anyhow::ensure!(acknowledged == counts.sent, "{acknowledged} of {} records were acknowledged", counts.sent);
    }
    Ok(counts)
}

fn send(sender: &Sender, record: &Rejected<'_>, replayed: &str) -> anyhow::Result<()> {
    sender.send(&Message {
        topic: record.source_topic().unwrap_or_default(),
        partition: record.source_partition(),
        key: record.key,
        value: record.value,
        timestamp_ms: Some(record.timestamp_ms),
        headers: &outgoing(record, replayed),
    })?;
    Ok(())
}

/// The headers a record came with, without Vigie's own, and the place it was replayed from.
fn outgoing<'a>(record: &Rejected<'a>, replayed: &'a str) -> Vec<(&'a str, &'a [u8])> {
    let original = record.original.iter().filter(|h| !h.name.starts_with(OWN_HEADERS));
    let mut headers: Vec<(&str, &[u8])> = original.map(|h| (h.name, h.value.unwrap_or_default())).collect();
    headers.push((REPLAYED, replayed.as_bytes()));
    headers
}

#[cfg(test)]
mod tests {
    use super::{is_due, outgoing, source};
    use domain::{Header, RawBatch, RawRecord, SourcePartition, TopicRole};
    use records::rejected::Rejected;
    use std::collections::BTreeMap;

    fn check(headers: &[(&str, &str)], see: impl FnOnce(&Rejected<'_>)) {
        let mut batch = RawBatch::new(TopicRole::Rejected, SourcePartition::new("p.rejected", 0));
        let record = RawRecord { offset: 4, timestamp_ms: 0, key: None, value: None };
        batch.push(record, headers.iter().map(|(name, v)| Header { name, value: Some(v.as_bytes()) }));
        see(&Rejected::read(&batch, 0).unwrap());
    }

    #[test]
    fn a_copy_has_the_original_headers_and_the_place_it_came_from() {
        let headers = [
            ("trace", "1"),
            ("vigie.replayed", "p.rejected/0/1"),
            ("trace", "2"),
            ("vigie.record", "rejected/1"),
            ("vigie.reason", "field.type"),
        ];
        check(&headers, |record| {
            let expected: [(&str, &[u8]); 3] =
                [("trace", b"1"), ("trace", b"2"), ("vigie.replayed", b"p.rejected/0/4")];
            assert_eq!(outgoing(record, "p.rejected/0/4"), expected);
            assert!(!is_due(record, false) && is_due(record, true));
        });
        check(&[("vigie.record", "rejected/1"), ("vigie.truncated", "9")], |record| {
            assert!(!is_due(record, false) && !is_due(record, true));
        });
    }

    #[test]
    fn only_the_pipelines_own_topics_get_anything_back() {
        let own = BTreeMap::from([("flights".to_owned(), 4), ("outcomes".to_owned(), 2)]);
        let from = |topic, partition| {
            let record = ("vigie.record", "rejected/1");
            [record, ("vigie.topic", topic), ("vigie.partition", partition), ("vigie.offset", "9")]
        };
        check(&from("flights", "3"), |record| {
            assert_eq!(source(record, &own).unwrap(), (SourcePartition::new("flights", 3), 9));
        });
        for (headers, says) in [
            (
                from("foreign", "0"),
                "topic `foreign`, expected a topic of events or labels of this pipeline: flights, outcomes",
            ),
            (from("outcomes", "2"), "partition 2 of topic `outcomes`, which has 2"),
            (from("outcomes", "-1"), "partition -1 of topic `outcomes`"),
            (from("flights", "x"), "do not say where it came from"),
        ] {
            check(&headers, |record| {
                let said = source(record, &own).unwrap_err().to_string();
                assert!(said.contains(says), "{said}");
            });
        }
    }
}
