//! The way to the judge from outside the stages: commands, and reports of runs.

use crate::config::Config;
use crate::topics;
use domain::TopicRole;
use kafka::{Message, Sender};
use records::journal::Journal;
use records::{RECORD_HEADER, kind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const QUEUE_BYTES: usize = 8 << 20;
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);

/// Puts records on the journal, one at a time.
///
/// A new client needs half a second before its first record is written, so a process opens one and
/// keeps it.
pub(crate) struct ToJournal {
    sender: Mutex<Sender>,
    topic: String,
}

impl ToJournal {
    /// Opens a producer; whether the broker can be reached shows when something is told.
    pub(crate) fn open(config: &Config) -> anyhow::Result<Self> {
        let sender = Mutex::new(Sender::new(&topics::connection(config), QUEUE_BYTES)?);
        Ok(Self { sender, topic: config.derived(&TopicRole::Journal.to_string()) })
    }

    /// Returns when the record is in the log.
    pub(crate) fn tell(&self, record: &Journal<(), ()>) -> anyhow::Result<()> {
        let value = records::to_postcard(record)?;
        let headers: [(&str, &[u8]); 1] = [(RECORD_HEADER, kind::JOURNAL.as_bytes())];
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.send(&Message {
            topic: &self.topic,
            partition: Some(0),
            value: Some(&value),
            headers: &headers,
            ..Message::default()
        })?;
        sender.flush(ACKNOWLEDGED_WITHIN)?;
        Ok(())
    }
}
