//! The past of alerts and runs, read from the topics: whoever tells may have taken over from another
//! process since they began.

use super::open::Open;
use domain::{RawBatch, TopicRole};
use kafka::{Connection, Error, Start, Tail};
use opentelemetry_sdk::trace::SpanData;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const RECORDS_MAX: usize = 500;
const LOOK: Duration = Duration::from_millis(100);
/// Reading the past takes no longer: commits wait behind it.
const READ_MAX: Duration = Duration::from_secs(5);

/// Reads the topics from their beginning, as far as it is asked for.
pub(super) struct History {
    connection: Connection,
    /// A name, for access rules.
    group: String,
    /// The topic whose records end spans.
    role: TopicRole,
    /// That topic and those that are needed beside it.
    topics: Vec<(TopicRole, String)>,
    pipeline: String,
    tail: Option<Tail>,
    open: Open,
    has_caught_up: bool,
    /// Newest record read of the topic whose records end spans.
    read: Option<i64>,
    /// Spans not asked for yet, by the offset of the record that ends them.
    ended: BTreeMap<i64, SpanData>,
}

impl History {
    /// Nothing is read before it is asked for.
    pub(super) fn new(
        connection: Connection,
        group: &str,
        role: TopicRole,
        topics: Vec<(TopicRole, String)>,
        pipeline: &str,
    ) -> Self {
        Self {
            connection,
            group: group.to_owned(),
            role,
            topics,
            pipeline: pipeline.to_owned(),
            tail: None,
            open: Open::new(pipeline),
            has_caught_up: false,
            read: None,
            ended: BTreeMap::new(),
        }
    }

    /// The spans that end with records of a batch, each once. What cannot be read costs spans, and is said.
    pub(super) fn spans(&mut self, batch: &RawBatch) -> Vec<SpanData> {
        let (Some(first), Some(last)) = (batch.first_offset(), batch.last_offset()) else { return Vec::new() };
        match self.read_to(first, last) {
            Ok(true) => {}
            Ok(false) => tracing::warn!("spans that end in {} before offset {last} may be lost", batch.source),
            Err(error) => {
                tracing::warn!(%error, "spans that end in {} before offset {last} are lost", batch.source);
                self.begin_anew();
            }
        }
        let mut ended = self.ended.split_off(&first);
        self.ended = ended.split_off(&last.saturating_add(1));
        ended.into_values().collect()
    }

    /// Reads up to an offset; whether it came so far. Spans that end before `first` are not kept.
    fn read_to(&mut self, first: i64, last: i64) -> Result<bool, Error> {
        let began = Instant::now();
        while self.read < Some(last) || !self.has_caught_up {
            if began.elapsed() >= READ_MAX {
                return Ok(false);
            }
            self.read_some(first)?;
        }
        Ok(true)
    }

    fn read_some(&mut self, first: i64) -> Result<(), Error> {
        if self.tail.is_none() {
            let topics: Vec<(TopicRole, &str)> =
                self.topics.iter().map(|(role, name)| (*role, name.as_str())).collect();
            self.tail = Some(Tail::new(&self.connection, &self.group, &topics, Start::Beginning)?);
        }
        let Some(tail) = self.tail.as_mut() else { return Ok(()) };
        for batch in tail.poll(RECORDS_MAX, LOOK)? {
            for record in batch.iter() {
                let span = self.open.observe(batch.role, record);
                if batch.role == self.role {
                    self.read = self.read.max(Some(record.offset));
                    self.ended.extend(span.filter(|_| record.offset >= first).map(|span| (record.offset, span)));
                }
            }
        }
        self.has_caught_up = self.has_caught_up || tail.caught_up()?;
        Ok(())
    }

    fn begin_anew(&mut self) {
        self.tail = None;
        self.open = Open::new(&self.pipeline);
        self.has_caught_up = false;
        self.read = None;
        self.ended.clear();
    }
}
