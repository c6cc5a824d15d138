//! The control topic: read to its end before the group is joined, followed ever after.
//!
//! No offset of it is committed: a restarted process reads it again, and steps are idempotent.

use crate::error::Error;
use crate::settings::RunnerConfig;
use crate::tail::{Start, Tail};
use domain::{RawBatch, TopicRole};
use std::time::Duration;

const ROWS_MAX: usize = 5_000;

/// Follows the control topic.
pub(crate) struct ControlTail(Tail);

impl ControlTail {
    pub(crate) fn open(config: &RunnerConfig) -> Result<Self, Error> {
        let topic = config.topic(TopicRole::Control)?;
        Tail::new(&config.connection, &config.group, &[(TopicRole::Control, topic)], Start::Beginning).map(Self)
    }

    /// The next records of the part that was there when reading began; `None` after the last.
    pub(crate) fn next_of_the_past(&mut self) -> Result<Option<Vec<RawBatch>>, Error> {
        if self.0.caught_up()? {
            return Ok(None);
        }
        self.0.poll(ROWS_MAX, Duration::from_millis(100)).map(Some)
    }

    /// What has come since, without waiting.
    pub(crate) fn news(&mut self) -> Result<Vec<RawBatch>, Error> {
        self.0.poll(ROWS_MAX, Duration::ZERO)
    }
}
