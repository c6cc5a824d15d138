//! `p.rejected` as it was when the command began: read record by record, never held as a whole.

use super::select::{Place, Selection};
use crate::config::Config;
use crate::topics;
use domain::{RawBatch, SourcePartition, TopicRole};
use kafka::{Connection, Start, Tail, Topics};
use records::rejected::Rejected;
use std::time::{Duration, Instant};

/// Records taken at a time: few, since each may have megabytes.
const RECORDS_MAX: usize = 100;
/// How long to wait for the first of them.
const POLL: Duration = Duration::from_millis(100);
/// A log that has not come to its end and gives nothing for so long is out of reach.
const SILENCE: Duration = Duration::from_secs(60);

/// The rejected topic of a pipeline.
#[derive(Debug)]
pub(super) struct Log {
    /// Its name.
    pub(super) topic: String,
    connection: Connection,
    group: String,
    /// First offset and end of each partition when the command began.
    bounds: Vec<(i64, i64)>,
}

impl Log {
    /// Learns where the topic ends.
    pub(super) fn open(config: &Config, topics: &Topics) -> anyhow::Result<Self> {
        let topic = config.derived(&TopicRole::Rejected.to_string());
        let partitions = 0..topics.require(&topic)?;
        let bounds = partitions.map(|partition| topics.bounds(&SourcePartition::new(&topic, partition)));
        let bounds = bounds.collect::<Result<_, _>>()?;
        // Joined by nobody: a name for access rules, which begins like all of the pipeline's.
        let group = config.derived("rejected.reader");
        Ok(Self { topic, connection: topics::connection(config), group, bounds })
    }

    /// Hands over what is selected, each partition in offset order. A place without a record is an
    /// error.
    pub(super) fn each(
        &self,
        selection: &Selection,
        mut see: impl FnMut(&Rejected<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match selection {
            Selection::Matching(filter) => self.all(|record| if filter.matches(record) { see(record) } else { Ok(()) }),
            Selection::Places(places) => places.iter().try_for_each(|place| self.one(*place, &mut see)),
        }
    }

    /// Hands over every record.
    pub(super) fn all(&self, mut see: impl FnMut(&Rejected<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let topics = [(TopicRole::Rejected, self.topic.as_str())];
        let mut tail = Tail::new(&self.connection, &self.group, &topics, Start::Beginning)?;
        drain(&mut tail, |batch, index| {
            // What is refused while the command runs must not feed it.
            if let Some(record) = Rejected::read(batch, index)
                && self.bounds(record.partition).is_some_and(|(_, end)| record.offset < end)
            {
                see(&record)?;
            }
            Ok(true)
        })
    }

    /// Hands over the record at a place.
    pub(super) fn one(
        &self,
        place: Place,
        mut see: impl FnMut(&Rejected<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some((low, end)) = self.bounds(place.partition) else {
            anyhow::bail!("no partition {} in {}, which has {}", place.partition, self.topic, self.bounds.len());
        };
        let mut found = false;
        if (low..end).contains(&place.offset) {
            let mut tail = self.tail_at(vec![(SourcePartition::new(&self.topic, place.partition), place.offset)])?;
            drain(&mut tail, |batch, index| {
                // The first record from there on: another offset means that a mark of a transaction is there.
                if let Some(record) = Rejected::read(batch, index).filter(|r| Place::from(r) == place) {
                    found = true;
                    see(&record)?;
                }
                Ok(false)
            })?;
        }
        anyhow::ensure!(
            found,
            "no record at {place} of {}; its offsets there are {low} to {end}, end excluded",
            self.topic
        );
        Ok(())
    }

    /// A reader of partitions of any topic from offsets on.
    pub(super) fn tail_at(&self, starts: Vec<(SourcePartition, i64)>) -> anyhow::Result<Tail> {
        Ok(Tail::at(&self.connection, &self.group, TopicRole::Rejected, starts)?)
    }

    fn bounds(&self, partition: i32) -> Option<(i64, i64)> {
        usize::try_from(partition).ok().and_then(|partition| self.bounds.get(partition)).copied()
    }
}

/// Reads what was there when a reader began, or until `see` has seen enough and says `false`.
pub(in crate::commands) fn drain(
    tail: &mut Tail,
    mut see: impl FnMut(&RawBatch, usize) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut heard = Instant::now();
    while !tail.caught_up()? {
        let batches = tail.poll(RECORDS_MAX, POLL)?;
        for batch in &batches {
            for index in 0..batch.len() {
                if !see(batch, index)? {
                    return Ok(());
                }
            }
        }
        if !batches.is_empty() {
            heard = Instant::now();
        }
        anyhow::ensure!(
            heard.elapsed() < SILENCE,
            "no record for {} s, expected more before the end of the log; are all brokers up?",
            SILENCE.as_secs()
        );
    }
    Ok(())
}
