//! A committed offset that is not in the log: never a silent jump.

use crate::error::Error;
use crate::rebalance::Committed;
use crate::runner::Runner;
use crate::settings::OutOfLog;
use domain::{OutputRecord, SourcePartition, TopicRole};
use records::journal::{Gap, Journal};
use records::{RECORD_HEADER, kind};

/// Where a partition goes on.
pub(crate) struct GoOn {
    pub(crate) source: SourcePartition,
    /// What the last commit says, if it was one in this log.
    pub(crate) commit: Option<(i64, String)>,
    /// The first offset of the log, where it is known and something was committed.
    pub(crate) low: Option<i64>,
}

impl Runner {
    /// Where a partition goes on, and the first offset of its log: as committed if that is in the
    /// log; else by [`OutOfLog`], with what is lost said on the journal.
    pub(crate) fn within_log(&mut self, start: Committed) -> Result<GoOn, Error> {
        let Committed { source, commit, log } = start;
        let (Some((offset, _)), Some((low, high))) = (&commit, log) else {
            return Ok(GoOn { source, commit, low: None });
        };
        let (offset, policy) = (*offset, self.config.out_of_log);
        if offset > high && policy == OutOfLog::Reset {
            tracing::warn!(stage = self.name(), %source, offset, high, "the topic was made anew: reading from its start");
            return Ok(GoOn { source, commit: None, low: None });
        }
        if offset > high || offset < low && policy == OutOfLog::Fail {
            return Err(Error::OutOfRange { source_partition: source, position: offset, low, high });
        }
        if offset < low {
            self.say_gap(&source, offset, low)?;
        }
        Ok(GoOn { source, commit, low: Some(low) })
    }

    /// Tells the judge, who tells people; committed with the first offset behind the gap.
    pub(crate) fn say_gap(&mut self, source: &SourcePartition, from: i64, to: i64) -> Result<(), Error> {
        let stage = self.name();
        tracing::error!(stage, %source, from, to, "records are lost: retention passed them before they were read");
        self.out.count_by("vigie.records.lost", ("vigie.stage", stage), u64::try_from(to - from).unwrap_or(0));
        self.stepped = true;
        if !self.config.topics.contains_key(&TopicRole::Journal) {
            return Ok(());
        }
        let gap = Gap { stage: stage.to_owned(), source: source.clone(), from_offset: from, to_offset: to };
        let value = records::to_postcard(&Journal::<(), ()>::Gap(gap))
            .map_err(|error| Error::Broken { doing: "writing down a gap".to_owned(), reason: error.to_string() })?;
        let record = OutputRecord {
            topic: TopicRole::Journal,
            partition: 0,
            timestamp_ms: None,
            key: None,
            value: Some(&value),
        };
        self.out.push(record, &[(RECORD_HEADER, kind::JOURNAL.as_bytes())]);
        Ok(())
    }
}
