//! Hands alerts to the receiver: by one process of the pipeline, until the receiver has them.
//!
//! The processes are a group on the alerts topic, and an offset is committed once the receiver has
//! acknowledged what comes before it. So an alert arrives though the process that raised it is gone,
//! or the receiver was away; after a crash it may arrive twice, with the same id and event name.

use super::Telemetry;
use crate::config::Config;
use crate::topics::{self, Layout};
use domain::{RawBatch, TopicRole};
use kafka::{Connection, Error, Stop, Subscriber};
use records::alert::Alert;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const RECORDS_MAX: usize = 500;
const LOOK: Duration = Duration::from_millis(100);
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A receiver that is away for longer costs the membership: the records are read again then.
const HOLD_MAX: Duration = Duration::from_secs(120);
/// Alerts written by the last commits before a stop are still handed over, within this.
const LAST_MAX: Duration = Duration::from_secs(5);
/// Nothing came for so long: that was the last.
const QUIET: Duration = Duration::from_millis(700);

/// What the teller is given.
pub(crate) struct Tell {
    /// How to reach the brokers.
    pub(crate) connection: Connection,
    /// The group of all processes of the pipeline.
    pub(crate) group: String,
    /// The alerts topic.
    pub(crate) topic: String,
    /// The pipeline's name.
    pub(crate) pipeline: String,
    /// The receiver.
    pub(crate) telemetry: Telemetry,
    /// Ends it.
    pub(crate) stop: Stop,
}

/// Starts telling on a thread of its own; `None` if no receiver is named. When this returns, what is
/// written to the topic from now on will be told.
pub(crate) fn start(tell: Tell) -> anyhow::Result<Option<JoinHandle<()>>> {
    if !tell.telemetry.has_receiver() {
        return Ok(None);
    }
    let first = tell.join()?;
    Ok(Some(std::thread::Builder::new().name("tell".to_owned()).spawn(move || tell.run(first))?))
}

/// Waits for the end of a teller; the stop has been requested.
pub(crate) fn join(telling: Option<JoinHandle<()>>) -> anyhow::Result<()> {
    telling.map_or(Ok(()), |thread| thread.join().map_err(|_| anyhow::anyhow!("the teller panicked")))
}

impl Tell {
    /// Of a pipeline's alerts.
    pub(crate) fn of(config: &Config, layout: &Layout, telemetry: &Telemetry, stop: &Stop) -> Self {
        Self {
            connection: topics::connection(config),
            group: config.derived("alerts.told"),
            topic: layout.name(TopicRole::Alerts).to_owned(),
            pipeline: config.pipeline.name.clone(),
            telemetry: telemetry.clone(),
            stop: stop.clone(),
        }
    }

    fn join(&self) -> Result<Subscriber, Error> {
        Subscriber::join(&self.connection, &self.group, TopicRole::Alerts, &self.topic)
    }

    fn run(&self, first: Subscriber) {
        let mut joined = Some(first);
        while !self.stop.requested() {
            let told = match joined.take() {
                Some(mut subscriber) => self.tell(&mut subscriber),
                None => self.join().map(|subscriber| joined = Some(subscriber)),
            };
            if let Err(error) = told {
                tracing::warn!(%error, "alerts are not exported now; trying again");
                self.wait(AGAIN_AFTER);
            }
        }
    }

    /// Tells what comes, until the stop, or until the receiver has been away for too long.
    fn tell(&self, subscriber: &mut Subscriber) -> Result<(), Error> {
        let mut last = Instant::now();
        loop {
            let is_over =
                self.stop.requested() && (last.elapsed() >= QUIET || self.stop.left_of(LAST_MAX) == Duration::ZERO);
            if is_over {
                return Ok(());
            }
            let batches = subscriber.poll(RECORDS_MAX, LOOK)?;
            if batches.is_empty() {
                continue;
            }
            last = Instant::now();
            let alerts = alerts(&batches);
            while !self.telemetry.alerts(&alerts, &self.pipeline) {
                let is_held = last.elapsed() >= HOLD_MAX;
                if is_held || self.stop.requested() && self.stop.left_of(LAST_MAX) == Duration::ZERO {
                    return Ok(());
                }
                self.wait(AGAIN_AFTER);
            }
            subscriber.commit(&batches)?;
        }
    }

    fn wait(&self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time && (!self.stop.requested() || self.stop.left_of(LAST_MAX) > Duration::ZERO) {
            std::thread::sleep(LOOK);
        }
    }
}

/// What cannot be read was not written by a judge.
fn alerts(batches: &[RawBatch]) -> Vec<Alert> {
    let values = batches.iter().flat_map(RawBatch::iter).filter_map(|record| record.value);
    values.filter_map(|value| records::from_json(value).ok()).collect()
}
