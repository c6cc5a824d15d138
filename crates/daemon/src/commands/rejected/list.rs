//! `vigie rejected list`: one line per record, and how many there are of each reason.

use super::log::Log;
use super::select::{Filter, Place};
use super::text::one_line;
use records::rejected::Rejected;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// What stands where a record that something else wrote says nothing.
const UNKNOWN: &str = "?";

/// A record on a line: the keys of `--json`, a public interface.
#[derive(Debug, Serialize)]
struct Line {
    /// In the rejected topic; what `show` and `replay` take.
    place: String,
    /// Kafka timestamp.
    time: String,
    stage: String,
    reason: String,
    /// Topic it came from.
    topic: String,
    partition: Option<i32>,
    offset: Option<i64>,
    /// Of the value as it came; null for a tombstone.
    size_bytes: Option<usize>,
    truncated: bool,
    /// Whether it had been replayed before it was refused.
    replayed: bool,
    detail: String,
}

/// The last line of `--json`.
#[derive(Debug, Serialize)]
struct Total<'a> {
    matched: u64,
    shown: usize,
    reasons: &'a BTreeMap<String, u64>,
}

/// Lists what matches: the newest by Kafka timestamp, then by place.
pub(super) fn run(log: &Log, filter: &Filter, limit: usize, json: bool) -> anyhow::Result<()> {
    let mut newest: BTreeMap<(i64, Place), Line> = BTreeMap::new();
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    log.all(|record| {
        if filter.matches(record) {
            let line = Line::of(record);
            *reasons.entry(line.reason.clone()).or_default() += 1;
            newest.insert((record.timestamp_ms, Place::from(record)), line);
            if newest.len() > limit {
                newest.pop_first();
            }
        }
        Ok(())
    })?;
    let mut out = std::io::stdout().lock();
    let total = Total { matched: reasons.values().sum(), shown: newest.len(), reasons: &reasons };
    for line in newest.values() {
        if json { writeln!(out, "{}", serde_json::to_string(line)?)? } else { line.write(&mut out)? }
    }
    if json {
        writeln!(out, "{}", serde_json::to_string(&total)?)?;
        return Ok(());
    }
    writeln!(out, "{} rejected records match, {} shown", total.matched, total.shown)?;
    for (reason, count) in total.reasons {
        writeln!(out, "{count:>9} {}", one_line(reason))?;
    }
    Ok(())
}

impl Line {
    fn of(record: &Rejected<'_>) -> Self {
        let text = |found: Option<&str>| found.unwrap_or(UNKNOWN).to_owned();
        Self {
            place: Place::from(record).to_string(),
            time: records::time::rfc3339(record.timestamp_ms),
            stage: text(record.stage()),
            reason: text(record.reason()),
            topic: text(record.source_topic()),
            partition: record.source_partition(),
            offset: record.source_offset(),
            size_bytes: record.size_bytes(),
            truncated: record.is_truncated(),
            replayed: record.replayed().is_some(),
            detail: text(record.detail()),
        }
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let number = |found: Option<i64>| found.map_or_else(|| UNKNOWN.to_owned(), |n| n.to_string());
        let source =
            format!("{}/{}@{}", one_line(&self.topic), number(self.partition.map(i64::from)), number(self.offset));
        let size = self.size_bytes.map_or_else(|| "null".to_owned(), |size| format!("{size} B"));
        let (stage, reason, detail) = (one_line(&self.stage), one_line(&self.reason), one_line(&self.detail));
        let replayed = if self.replayed { " (replayed before)" } else { "" };
        let truncated = if self.truncated { " (truncated)" } else { "" };
        writeln!(
            out,
            "{:<8} {} {stage:<6} {reason:<19} {source:<24} {size:>9}{truncated}  {detail}{replayed}",
            self.place, self.time
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Line;
    use domain::{RawBatch, RawRecord, SourcePartition, TopicRole};
    use records::rejected::Rejected;

    #[test]
    fn the_keys_of_a_line_are_a_public_interface() {
        let mut batch = RawBatch::new(TopicRole::Rejected, SourcePartition::new("p.rejected", 2));
        batch.push(RawRecord { offset: 7, timestamp_ms: 0, key: None, value: Some(b"x") }, []);
        let line = Line::of(&Rejected::read(&batch, 0).unwrap());
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            "{\"place\":\"2@7\",\"time\":\"1970-01-01T00:00:00.000Z\",\"stage\":\"?\",\"reason\":\"?\",\"topic\":\"?\",\
             \"partition\":null,\"offset\":null,\"size_bytes\":1,\"truncated\":false,\"replayed\":false,\"detail\":\"?\"}"
        );
    }
}
