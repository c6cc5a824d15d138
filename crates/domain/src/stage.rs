//! What a stage is.
//!
//! A stage is a deterministic state machine over its input log: [`Input`]s go in, [`Outputs`]
//! come out. It knows no broker, reads no clock and draws no random number. The runner in `kafka`
//! drives it against a real log; simulations drive the same contract without one.
//!
//! There is no undo. After an abort, a fencing or a lost assignment the runner sends
//! [`Input::Revoked`] and then [`Input::Assigned`] with what the last commit says, and the
//! partition's state is rebuilt exactly as after a crash.

use crate::batch::RawBatch;
use crate::error::ErrorClass;
use crate::ids::{SourcePartition, Version};
use crate::output::Outputs;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Everything that can happen to a stage.
pub enum Input<'a> {
    /// The partition is ours from now on. `metadata` is what the last commit carried, `offset`
    /// the offset committed (both `None` before the first commit), `snapshot` the newest
    /// checkpoint not beyond it. Stages that rebuild their state from the log
    /// ([`Stage::replays`]) are then given the records from the snapshot (or the log's start) to
    /// the committed offset again, and their outputs are thrown away.
    Assigned {
        /// The partition.
        source: &'a SourcePartition,
        /// Committed offset: the next record to be processed for the first time.
        offset: Option<i64>,
        /// Metadata of that commit.
        metadata: Option<&'a str>,
        /// Bytes of [`Stage::snapshot`] taken at an offset not beyond the committed one.
        snapshot: Option<&'a [u8]>,
    },
    /// The partition is no longer ours: drop its state.
    Revoked(&'a SourcePartition),
    /// Records of one source partition.
    Batch(&'a RawBatch),
    /// A source partition has been at the end of its log for `idle_after`. Sent once; the next
    /// batch of the partition ends the idleness.
    Idle(&'a SourcePartition),
    /// Records of `p.control`, which every stage that asks for it reads from its beginning.
    Control(&'a RawBatch),
    /// A version's parts are loaded and verified: `score::Loaded`, `judge::Loaded`; the stage
    /// knows its own type. `Err` tells why it could not be loaded.
    Loaded {
        /// The version.
        version: &'a Version,
        /// What was loaded.
        part: Result<Arc<dyn Any + Send + Sync>, String>,
    },
    /// Wall time passes: at most once a second, to stages that ask for it, after the log's end
    /// was reached. Never decides anything that is a statistic.
    Tick {
        /// Wall time in epoch milliseconds.
        now_ms: i64,
    },
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assigned { source, offset, .. } => write!(f, "Assigned({source} at {offset:?})"),
            Self::Revoked(source) => write!(f, "Revoked({source})"),
            Self::Batch(batch) => write!(f, "Batch({}, {} records)", batch.source, batch.len()),
            Self::Idle(source) => write!(f, "Idle({source})"),
            Self::Control(batch) => write!(f, "Control({} records)", batch.len()),
            Self::Loaded { version, part } => {
                write!(f, "Loaded({version}, {})", if part.is_ok() { "ok" } else { "failed" })
            }
            Self::Tick { now_ms } => write!(f, "Tick({now_ms})"),
        }
    }
}

/// A stage cannot go on. Bad data is never one: it becomes a rejected or counted record.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct StageError {
    /// Who can act.
    pub class: ErrorClass,
    /// The thing, the value found, what was expected.
    pub message: String,
}

impl StageError {
    /// A fault of Vigie itself.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Internal, message: message.into() }
    }

    /// Something outside the process.
    #[must_use]
    pub fn external(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::External, message: message.into() }
    }

    /// Something the user must mend.
    #[must_use]
    pub fn user(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::User, message: message.into() }
    }
}

/// What a [`Preparer`] made of a batch; the stage knows its own type.
pub type Prepared = Box<dyn Any + Send>;

/// The part of a stage's work that needs none of its state, such as decoding. It is done while a commit
/// is under way, and dropped if the commit fails.
pub trait Preparer: Send {
    /// Works on a batch; `None` leaves it to the stage.
    fn prepare(&mut self, batch: &RawBatch) -> Option<Prepared>;
}

/// A part of the daemon: a deterministic function of its input log.
pub trait Stage: Send {
    /// Short name, as in `--stages` and in consumer groups.
    fn name(&self) -> &'static str;

    /// Takes one input. On `Err` the runner aborts, and the process ends with that error.
    ///
    /// # Errors
    /// Only what makes going on impossible; see [`StageError`].
    fn step(&mut self, input: Input<'_>, out: &mut Outputs) -> Result<(), StageError>;

    /// The stage's preparer, if batches can be worked on before they are stepped.
    fn preparer(&self) -> Option<Box<dyn Preparer>> {
        None
    }

    /// Takes a batch with what its [`Stage::preparer`] made of it: same outputs as
    /// [`Input::Batch`] alone.
    ///
    /// # Errors
    /// As [`Stage::step`].
    fn step_prepared(&mut self, batch: &RawBatch, _prepared: Prepared, out: &mut Outputs) -> Result<(), StageError> {
        self.step(Input::Batch(batch), out)
    }

    /// Metadata for the next commit of a partition: all of its state that is small.
    /// At most 4,000 bytes, the broker's default limit being 4,096.
    fn commit_metadata(&self, source: &SourcePartition) -> String;

    /// The offset that may be committed when everything below `next` was processed. A stage that
    /// has not yet made its outputs durable elsewhere holds it back.
    fn commit_offset(&self, _source: &SourcePartition, next: i64) -> i64 {
        next
    }

    /// Whether a partition can take input now; while not, the runner pauses it.
    fn accepts(&self, _source: &SourcePartition) -> bool {
        true
    }

    /// Where a batch of a partition has to end: before the record of this offset or a later one,
    /// unless it begins there. The rest stays collected. `None`: anywhere.
    fn accepts_until(&self, _source: &SourcePartition) -> Option<i64> {
        None
    }

    /// Whether the state of a partition is rebuilt by reading its log again up to the committed
    /// offset.
    fn replays(&self) -> bool {
        false
    }

    /// The partition's state as bytes, for a checkpoint; `None` where metadata says it all.
    fn snapshot(&self, _source: &SourcePartition) -> Option<Vec<u8>> {
        None
    }
}
