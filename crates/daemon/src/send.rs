//! Sends a replay: in order, no faster than asked, never past the gate.

use crate::replay::{Kind, Merged, Record};
use domain::fingerprint;
use domain::ids::tracking_partition;
use kafka::{Message, Sender};
use std::time::{Duration, Instant};

/// One broken event is put in after every so many good ones.
const BROKEN_EVENT_EVERY: u64 = 5_000;
/// One broken label is put in after every so many good ones.
const BROKEN_LABEL_EVERY: u64 = 50_000;
/// How long to wait before looking at the gate again.
const GATE_POLL: Duration = Duration::from_millis(2);

/// Where records go.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Topic and partitions of events.
    pub(crate) events: (String, i32),
    /// Topic and partitions of labels, unless the task has none.
    pub(crate) labels: Option<(String, i32)>,
}

impl Target {
    /// Topics and partitions.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &(String, i32)> {
        std::iter::once(&self.events).chain(&self.labels)
    }
}

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// As fast as the pipeline takes it.
    Max,
    /// Stream time compressed by this factor.
    Compressed(f64),
}

impl Pace {
    /// Reads `max` or a number.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let factor: f64 =
            text.parse().map_err(|_| anyhow::anyhow!("`{text}` is no speed; expected `max` or a number"))?;
        anyhow::ensure!(factor.is_finite() && factor > 0.0, "speed {factor} is not above zero");
        Ok(Self::Compressed(factor))
    }
}

/// What was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sent {
    /// Event records, the broken ones among them.
    pub(crate) events: u64,
    /// Label records, the broken ones among them.
    pub(crate) labels: u64,
    /// Broken records of either kind.
    pub(crate) broken: u64,
    /// Seconds waited because stream time may not run past the gate.
    pub(crate) held_seconds: f64,
}

/// May the record of this time be sent now?
pub(crate) trait Gate {
    /// Whether stream time may run so far.
    fn is_open(&mut self, time_ms: i64) -> bool;
    /// Whether readers are so far behind that sending must pause.
    fn must_pause(&mut self) -> bool;
    /// Told after each record.
    fn sent(&mut self, sent: &Sent, time_ms: i64);
    /// Whether somebody wants it to end.
    fn is_stopped(&self) -> bool;
}

/// Sends all of it.
pub(crate) fn send(
    merged: &mut Merged,
    sender: &Sender,
    target: &Target,
    options: (Pace, bool),
    gate: &mut dyn Gate,
) -> anyhow::Result<Sent> {
    let (pace, with_broken) = options;
    let mut sent = Sent::default();
    let mut start: Option<(Instant, i64)> = None;
    while let Some(time_ms) = merged.peek_ms()? {
        let (began, first_ms) = *start.get_or_insert_with(|| (Instant::now(), time_ms));
        if let Pace::Compressed(factor) = pace {
            #[allow(clippy::cast_precision_loss)] // a span of stream time
            let due = Duration::from_secs_f64(((time_ms - first_ms).max(0) as f64) / 1000.0 / factor);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        // Labels that come after the last event may always go: no swap can be missed any more.
        let gated_ms = if merged.has_events()? { time_ms } else { i64::MIN };
        sent.held_seconds += wait(gate, gated_ms, sender)?;
        if gate.is_stopped() {
            break;
        }
        let Some(record) = merged.next()? else { break };
        one(sender, target, &record, None)?;
        count(&mut sent, record.kind);
        if with_broken {
            broken(sender, target, &record, &mut sent)?;
        }
        gate.sent(&sent, time_ms);
    }
    sender.flush(Duration::from_secs(60))?;
    Ok(sent)
}

/// Waits until the record may be sent; gives the seconds waited at the gate of stream time.
fn wait(gate: &mut dyn Gate, time_ms: i64, sender: &Sender) -> anyhow::Result<f64> {
    let mut held = 0.0;
    loop {
        let is_closed = !gate.is_open(time_ms);
        if gate.is_stopped() || !(is_closed || gate.must_pause()) {
            return Ok(held);
        }
        let began = Instant::now();
        if is_closed && sender.in_flight() > 0 {
            sender.flush(Duration::from_secs(60))?;
        }
        std::thread::sleep(GATE_POLL);
        if is_closed {
            held += began.elapsed().as_secs_f64();
        }
    }
}

fn count(sent: &mut Sent, kind: Kind) {
    match kind {
        Kind::Event => sent.events += 1,
        Kind::Label => sent.labels += 1,
    }
}

/// Sends a record, or other bytes in its place: same topic, partition and timestamp.
fn one(sender: &Sender, target: &Target, record: &Record, instead: Option<Option<&[u8]>>) -> anyhow::Result<()> {
    let (topic, partitions) = match record.kind {
        Kind::Event => &target.events,
        Kind::Label => target.labels.as_ref().ok_or_else(|| anyhow::anyhow!("a label, but no topic of labels"))?,
    };
    sender.send(&Message {
        topic,
        partition: Some(tracking_partition(fingerprint(record.id.as_bytes()), *partitions)),
        key: Some(record.id.as_bytes()),
        value: instead.unwrap_or(Some(&record.value)),
        timestamp_ms: Some(record.time_ms),
        headers: &[],
    })?;
    Ok(())
}

/// Every so often, a record that cannot be read, or whose time is a year ahead.
fn broken(sender: &Sender, target: &Target, record: &Record, sent: &mut Sent) -> anyhow::Result<()> {
    let (so_far, every) = match record.kind {
        Kind::Event => (sent.events - sent.broken.min(sent.events), BROKEN_EVENT_EVERY),
        Kind::Label => (sent.labels, BROKEN_LABEL_EVERY),
    };
    if so_far == 0 || !so_far.is_multiple_of(every) {
        return Ok(());
    }
    let half = record.value.get(..record.value.len() / 2).unwrap_or_default();
    let ahead = String::from_utf8_lossy(&record.value)
        .replacen(&record.id, &format!("{}-ahead", record.id), 1)
        .replacen("_time\":\"2013-", "_time\":\"2014-", 1);
    let value: Option<&[u8]> = match (record.kind, so_far / every % 6) {
        (Kind::Event, 1) => Some(b"null"),
        (Kind::Event, 2) => Some(b"{\"event_id\":\"\xff\xfe\"}"),
        (Kind::Event, 3) => None,
        (Kind::Event, 4) => Some(b"{\"event_id\":[1],\"event_time\":true}"),
        (Kind::Event, 5) => Some(ahead.as_bytes()),
        _ => Some(half),
    };
    one(sender, target, record, Some(value))?;
    count(sent, record.kind);
    sent.broken += 1;
    Ok(())
}
