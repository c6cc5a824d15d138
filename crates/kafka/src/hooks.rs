//! What connects a runner to the rest of the daemon.

use crate::progress::Progress;
use crossbeam_channel::Receiver;
use domain::{Count, Effect, SourcePartition, Version};
use std::any::Any;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Tells runners to finish their turn, commit and leave. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<OnceLock<Instant>>);

impl Stop {
    /// Not requested yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the stop.
    pub fn request(&self) {
        self.0.get_or_init(Instant::now);
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.0.get().is_some()
    }

    /// What is left of a time that began with the request; all of it before.
    #[must_use]
    pub fn left_of(&self, limit: Duration) -> Duration {
        self.0.get().map_or(limit, |since| limit.saturating_sub(since.elapsed()))
    }
}

/// Parts of a version, loaded and verified off the data path.
#[derive(Clone)]
pub struct LoadedPart {
    /// The version.
    pub version: Version,
    /// What the stage asked for, or why it could not be loaded.
    pub part: Result<Arc<dyn Any + Send + Sync>, String>,
}

impl fmt::Debug for LoadedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoadedPart({}, {})", self.version, if self.part.is_ok() { "ok" } else { "failed" })
    }
}

/// What was done, handed over after the commit that records it.
pub type Committed = Box<dyn FnMut(Vec<Effect>, Vec<Count>) + Send>;
/// Finds the newest checkpoint of a partition not beyond an offset: its offset and bytes.
pub type FindCheckpoint = Box<dyn FnMut(&SourcePartition, i64) -> Option<(i64, Vec<u8>)> + Send>;
/// Stores a checkpoint taken at an offset.
pub type StoreCheckpoint = Box<dyn FnMut(&SourcePartition, i64, Vec<u8>) + Send>;
/// Wall clock in epoch milliseconds, for ticks.
pub type Clock = Box<dyn FnMut() -> i64 + Send>;

/// The daemon's side of a runner. All are called on the runner's thread and must not block for long.
pub struct Hooks {
    /// Takes effects and counts, only after the commit that records the intent.
    pub committed: Committed,
    /// Finds a checkpoint; asked for replaying stages only.
    pub checkpoint: FindCheckpoint,
    /// Stores a checkpoint; called between transactions for replaying stages only.
    pub store_checkpoint: StoreCheckpoint,
    /// Wall clock for ticks.
    pub now_ms: Clock,
    /// Loaded parts on their way to the stage.
    pub inbox: Receiver<LoadedPart>,
    /// While false no partition is marked idle.
    pub idle_enabled: Arc<AtomicBool>,
    /// Where offsets and bytes are published, for whoever must not run ahead.
    pub progress: Progress,
    /// Set once the group is joined and every partition assigned so far is up to date with its
    /// committed state.
    pub ready: Arc<AtomicBool>,
}

impl Hooks {
    /// Hooks that do nothing: no effects, no checkpoints, no clock, idle marking on.
    #[must_use]
    pub fn inert() -> Self {
        Self {
            committed: Box::new(|_, _| ()),
            checkpoint: Box::new(|_, _| None),
            store_checkpoint: Box::new(|_, _, _| ()),
            now_ms: Box::new(|| 0),
            inbox: crossbeam_channel::never(),
            idle_enabled: Arc::new(AtomicBool::new(true)),
            progress: Progress::default(),
            ready: Arc::new(AtomicBool::new(false)),
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("inbox", &self.inbox.len()).finish_non_exhaustive()
    }
}
