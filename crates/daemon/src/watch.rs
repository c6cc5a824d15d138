//! Follows the derived topics and keeps the view that console and summary show.

use crate::telemetry::Telemetry;
use crate::topics::Layout;
use console::server::SharedView;
use domain::TopicRole;
use kafka::{Connection, Progress, Start, Stop, Tail};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Topics the view is made of.
const WATCHED: [TopicRole; 5] =
    [TopicRole::Control, TopicRole::Windows, TopicRole::Alerts, TopicRole::Journal, TopicRole::Rejected];
/// Records taken at a time.
const RECORDS_MAX: usize = 5_000;

/// Name under which the watcher's progress is published; no group is joined.
const GROUP: &str = "vigie.watch";

/// What the watcher is given.
pub(crate) struct Watch {
    /// How to reach the brokers.
    pub(crate) connection: Connection,
    /// Names of the topics.
    pub(crate) layout: Layout,
    /// The view to keep.
    pub(crate) view: SharedView,
    /// Where the view is shown.
    pub(crate) telemetry: Telemetry,
    /// The pipeline's name.
    pub(crate) pipeline: String,
    /// Ends the watcher.
    pub(crate) stop: Stop,
    /// Where what was read is published.
    pub(crate) progress: Progress,
}

/// A watcher under way.
pub(crate) struct Watching {
    thread: JoinHandle<()>,
    caught_up: Arc<AtomicBool>,
}

impl Watching {
    /// Whether everything written before the start has been read.
    pub(crate) fn caught_up(&self) -> bool {
        self.caught_up.load(Ordering::SeqCst)
    }

    /// Waits for its end; the stop has been requested.
    pub(crate) fn join(self) -> anyhow::Result<()> {
        self.thread.join().map_err(|_| anyhow::anyhow!("the watcher panicked"))
    }
}

/// Starts following from the beginning of the topics, on a thread of its own.
pub(crate) fn start(watch: Watch) -> anyhow::Result<Watching> {
    let roles: BTreeMap<String, TopicRole> =
        WATCHED.iter().map(|role| (watch.layout.name(*role).to_owned(), *role)).collect();
    let names: Vec<(TopicRole, &str)> = roles.iter().map(|(name, role)| (*role, name.as_str())).collect();
    let topics: Vec<&str> = roles.keys().map(String::as_str).collect();
    watch.progress.reads(GROUP, &topics);
    let mut tail = Tail::new(&watch.connection, GROUP, &names, Start::Beginning)?;
    watch.telemetry.observe(&watch.view, &watch.pipeline);
    let caught_up = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&caught_up);
    let follow = move || follow(&watch, &mut tail, &flag);
    let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(follow)?;
    Ok(Watching { thread, caught_up })
}

fn follow(watch: &Watch, tail: &mut Tail, caught_up: &AtomicBool) {
    let mut was_caught_up = false;
    while !watch.stop.requested() {
        let batches = match tail.poll(RECORDS_MAX, Duration::from_millis(50)) {
            Ok(batches) => batches,
            Err(error) => {
                tracing::error!("the console's view no longer moves: {error}");
                return;
            }
        };
        let group: Arc<str> = Arc::from(GROUP);
        for batch in batches {
            let mut view = watch.view.lock().unwrap_or_else(PoisonError::into_inner);
            for (index, record) in batch.iter().enumerate() {
                view.observe(batch.role, record.value, |name| batch.header(index, name));
            }
            drop(view);
            let bytes =
                batch.iter().map(|r| r.key.map_or(0, <[u8]>::len) + r.value.map_or(0, <[u8]>::len)).sum::<usize>();
            let next = batch.last_offset().map_or(0, |offset| offset + 1);
            watch.progress.committed(&group, &batch.source, next, u64::try_from(bytes).unwrap_or(u64::MAX));
        }
        if !was_caught_up && tail.caught_up().unwrap_or(false) {
            was_caught_up = true;
            caught_up.store(true, Ordering::SeqCst);
        }
    }
}
