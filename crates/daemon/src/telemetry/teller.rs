//! Hands alerts, and the spans of alerts and runs, to the receiver: by one process of the pipeline,
//! alerts until the receiver has them.
//!
//! The processes are a group on the alerts topic, and an offset is committed once the receiver has
//! acknowledged what comes before it. So an alert arrives though the process that raised it is gone,
//! or the receiver was away; after a crash it may arrive twice, with the same id and event name.
//! Another group on the control topic tells the spans of runs. A span is sent before its offset is
//! committed, once: nothing is held for one that does not arrive.

use super::Telemetry;
use super::history::History;
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
    /// What is read: alerts, or decisions, for the runs among them.
    pub(crate) role: TopicRole,
    /// Its topic.
    pub(crate) topic: String,
    /// That topic and others whose past is needed to make spans.
    pub(crate) past: Vec<(TopicRole, String)>,
    /// The pipeline's name.
    pub(crate) pipeline: String,
    /// The receiver.
    pub(crate) telemetry: Telemetry,
    /// Ends it.
    pub(crate) stop: Stop,
}

/// Starts telling, each on a thread of its own, what a receiver is named for. When this returns, what
/// is written to the topics from now on will be told.
pub(crate) fn start(tells: [Tell; 2]) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut telling = Vec::new();
    for tell in tells.into_iter().filter(Tell::has_receiver) {
        let first = tell.join()?;
        let name = format!("tell-{}", tell.role);
        telling.push(std::thread::Builder::new().name(name).spawn(move || tell.run(first))?);
    }
    Ok(telling)
}

/// Waits for the end of the tellers; the stop has been requested.
pub(crate) fn join(telling: Vec<JoinHandle<()>>) -> anyhow::Result<()> {
    telling.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a teller panicked")))
}

impl Tell {
    /// Of a pipeline's alerts, and of its runs.
    pub(crate) fn of(config: &Config, layout: &Layout, telemetry: &Telemetry, stop: &Stop) -> [Self; 2] {
        let topic = |role: TopicRole| layout.name(role).to_owned();
        let tell = |group: &str, role: TopicRole, past: &[TopicRole]| Self {
            connection: topics::connection(config),
            group: config.derived(group),
            role,
            topic: topic(role),
            past: past.iter().map(|role| (*role, topic(*role))).collect(),
            pipeline: config.pipeline.name.clone(),
            telemetry: telemetry.clone(),
            stop: stop.clone(),
        };
        [
            tell("alerts.told", TopicRole::Alerts, &[TopicRole::Alerts]),
            // A run may have been started by an alert.
            tell("runs.told", TopicRole::Control, &[TopicRole::Control, TopicRole::Alerts]),
        ]
    }

    fn has_receiver(&self) -> bool {
        match self.role {
            TopicRole::Alerts => self.telemetry.has_receiver(),
            _ => self.telemetry.has_receiver_of_spans(),
        }
    }

    fn join(&self) -> Result<Subscriber, Error> {
        Subscriber::join(&self.connection, &self.group, self.role, &self.topic)
    }

    fn run(&self, first: Subscriber) {
        let mut history =
            History::new(self.connection.clone(), &self.group, self.role, self.past.clone(), &self.pipeline);
        let mut joined = Some(first);
        while !self.stop.requested() {
            let told = match joined.take() {
                Some(mut subscriber) => self.tell(&mut subscriber, &mut history),
                None => self.join().map(|subscriber| joined = Some(subscriber)),
            };
            if let Err(error) = told {
                tracing::warn!(%error, "{} are not exported now; trying again", self.what());
                self.wait(AGAIN_AFTER);
            }
        }
    }

    fn what(&self) -> &'static str {
        if self.role == TopicRole::Alerts { "alerts" } else { "runs" }
    }

    /// Tells what comes, until the stop, or until the receiver has been away for too long.
    fn tell(&self, subscriber: &mut Subscriber, history: &mut History) -> Result<(), Error> {
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
            let alerts = alerts(batches.iter().filter(|batch| batch.role == TopicRole::Alerts));
            while !self.telemetry.alerts(&alerts, &self.pipeline) {
                let is_held = last.elapsed() >= HOLD_MAX;
                if is_held || self.stop.requested() && self.stop.left_of(LAST_MAX) == Duration::ZERO {
                    return Ok(());
                }
                self.wait(AGAIN_AFTER);
            }
            if self.telemetry.has_receiver_of_spans() {
                let spans = batches.iter().flat_map(|batch| history.spans(batch)).collect();
                self.telemetry.spans(spans, &self.pipeline);
            }
            subscriber.commit(&batches)?;
            // Quiet is counted from here: handing over takes time, and more may have come meanwhile.
            last = Instant::now();
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
fn alerts<'a>(batches: impl Iterator<Item = &'a RawBatch>) -> Vec<Alert> {
    let values = batches.flat_map(RawBatch::iter).filter_map(|record| record.value);
    values.filter_map(|value| records::from_json(value).ok()).collect()
}
