//! The same logs read by a pipeline that nothing disturbs, under the swap table of the disturbed one
//! where that had more than its first champion: every final window, prediction and rejected record
//! must be the same bytes.

use super::check::{Place, Report, rfc3339};
use super::load::{self, Acknowledged};
use super::read::{self, Record};
use std::collections::BTreeMap;

/// Records of one origin in their order.
type Grouped = BTreeMap<String, Vec<Record>>;

/// Compares the disturbed pipeline's outputs with the calm one's; offsets and, of windows, times of
/// writing are no part of the promise.
///
/// # Errors
/// If a topic cannot be read.
pub fn compare(report: &mut Report, disturbed: &Place, calm: &Place) -> anyhow::Result<()> {
    let (mut differing, mut finals) = (0, 0);
    for (role, group) in [
        ("predictions", (|r: &Record| r.partition.to_string()) as fn(&Record) -> String),
        ("rejected", origin),
        ("windows", |r: &Record| String::from_utf8_lossy(r.key.as_deref().unwrap_or_default()).into_owned()),
    ] {
        let (left, right) = (grouped(disturbed, role, group)?, grouped(calm, role, group)?);
        let names: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        anyhow::ensure!(!names.is_empty(), "there is nothing on {role} to compare");
        if role == "windows" {
            finals = names.len() as u64;
        }
        for name in names {
            let none = Vec::new();
            let (l, r) = (left.get(name).unwrap_or(&none), right.get(name).unwrap_or(&none));
            let unequal = l.iter().zip(r).filter(|(l, r)| l != r).count() + l.len().abs_diff(r.len());
            if unequal > 0 {
                differing += unequal as u64;
                let first = l.iter().zip(r).find(|(l, r)| l != r).map(|(l, r)| (text(l), text(r)));
                report.problem(|| {
                    format!("{role} {name}: {} against {} records, the first that differ: {first:?}", l.len(), r.len())
                });
            }
        }
    }
    report.differing = Some(differing);
    report.finals = finals;
    Ok(())
}

/// Whether the window of the last event before the closing ones is final: all before it are then.
///
/// # Errors
/// If the topic cannot be read.
pub fn last_window_is_final(place: &Place, acknowledged: &Acknowledged) -> anyhow::Result<bool> {
    let events = acknowledged.iter().map(Vec::len).max().unwrap_or(0) as u64;
    let start_ms = load::window_start_ms(events.saturating_sub(2));
    let key = format!("event_time/{}/", rfc3339(start_ms));
    let mut found = false;
    read::each(&place.brokers, &format!("{}.windows", place.pipeline), |record| {
        let is_its = record.key.as_deref().is_some_and(|k| k.starts_with(key.as_bytes()));
        found |= is_its && is_final(&record);
    })?;
    Ok(found)
}

/// Stage and coordinates' partition of a rejected record.
fn origin(record: &Record) -> String {
    ["vigie.stage", "vigie.topic", "vigie.partition"]
        .iter()
        .map(|name| record.header(name).unwrap_or_default())
        .collect::<Vec<_>>()
        .join("/")
}

fn grouped(place: &Place, role: &str, group: fn(&Record) -> String) -> anyhow::Result<Grouped> {
    let mut found = Grouped::new();
    read::each(&place.brokers, &format!("{}.{role}", place.pipeline), |mut record| {
        if role == "windows" {
            if !is_final(&record) {
                return;
            }
            record.stamp_ms = 0;
        }
        record.offset = 0;
        found.entry(group(&record)).or_default().push(record);
    })?;
    Ok(found)
}

fn is_final(record: &Record) -> bool {
    let value = record.value.as_ref().and_then(|v| serde_json::from_slice::<serde_json::Value>(v).ok());
    value.is_some_and(|value| value["final"] == true)
}

fn text(record: &Record) -> String {
    String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).chars().take(600).collect()
}
