//! Everything the judge remembers: what its checkpoint holds.

use crate::alerts::Open;
use crate::arrivals::Arrivals;
use crate::clock::Clock;
use crate::concept::Concept;
use crate::config::Config;
use crate::coverage::Covered;
use crate::error::Error;
use crate::exact::Kept;
use crate::harm::Monitors;
use crate::policy::Policy;
use crate::probation::Probation;
use crate::sampled::Samples;
use crate::shifts::Watch;
use detect::classic::Panel;
use detect::joint::Joint;
use domain::{Fingerprint, Harm, LineUp, Member, SourcePartition, Task, Version};
use measure::{Cell, Forecast, Labels};
use profile::{Counts, MeanVector};
use records::control::Run;
use records::example::{Example, Losses};
use records::journal::Phase;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Layout of the checkpoint. Earlier ones are read too: what they lack stands at the end.
const FORMAT: u32 = 9;
/// Had no losses; of numbers it is not read.
const FORMAT_BEFORE_LOSSES: u32 = 5;
/// Had nothing of all columns together, and no scores.
const FORMAT_BEFORE_TOGETHER: u32 = 6;
/// Had no samples of clustered rows.
const FORMAT_BEFORE_SAMPLES: u32 = 7;
/// Had no classic detectors.
const FORMAT_BEFORE_CLASSIC: u32 = 8;
/// Judged slices whose label counts are remembered.
const HISTORY_MAX: usize = 10_000;
/// Ids of commands that are remembered, newest last.
const COMMANDS_MAX: usize = 10_000;

/// Rows of one slice that one version scored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scored {
    pub(crate) rows: u64,
    pub(crate) profile: Counts,
}

/// Place of a cell in a slice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct CellKey {
    pub(crate) phase: Phase,
    pub(crate) segment: String,
    pub(crate) promotion: u64,
    pub(crate) version: Version,
}

/// What the panes said of one slice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slice {
    pub(crate) scored: BTreeMap<Version, Scored>,
    pub(crate) cells: BTreeMap<CellKey, Cell>,
    pub(crate) coverage: Covered,
    /// Profiles within segments, where drift is watched in them, by segment and version.
    pub(crate) segments: BTreeMap<(String, Version), Counts>,
    /// A sample of its events, by version and fingerprint.
    pub(crate) examples: BTreeMap<Version, BTreeMap<Fingerprint, Example>>,
    /// What scores expect of themselves, by segment and version.
    pub(crate) expected: BTreeMap<(String, Version), Forecast>,
    /// Its window was written when it closed, or is not to be.
    pub(crate) shown_closed: bool,
}

/// Labels of a judged slice, as they were when it was mature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) start_ms: i64,
    pub(crate) labels: Labels,
}

/// A version that is, or was, champion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Champion {
    pub(crate) version: Version,
    pub(crate) trained_until_ms: i64,
    pub(crate) plan: detect::harm::Plan,
}

impl Champion {
    pub(crate) fn member(&self) -> Member {
        let harm: Harm = self.plan.trigger.clone();
        Member { version: self.version.clone(), trained_until_ms: self.trained_until_ms, harm: Some(harm) }
    }
}

/// The line-up decided last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reign {
    pub(crate) line_up: LineUp,
    pub(crate) champion: Champion,
    /// First promotion of this champion's present reign: its rows carry this number or a later one.
    pub(crate) since_promotion: u64,
    /// The champion before this one, if it can be brought back.
    pub(crate) before: Option<Champion>,
    /// The run that made it, for the cool-down if it is rolled back.
    pub(crate) run: Option<Run>,
    /// Event partitions whose owner has read and verified the line-up.
    pub(crate) acknowledged: BTreeSet<SourcePartition>,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    format: u32,
    slice_length_ms: i64,
    /// First offset of the journal that is not in this state.
    pub(crate) next_offset: i64,
    pub(crate) clock: Clock,
    pub(crate) slices: BTreeMap<i64, Slice>,
    /// J: end of the newest judged slice.
    pub(crate) judged_until_ms: Option<i64>,
    /// J has not been told yet, since what was decided at it is not in force yet.
    pub(crate) progress_due: bool,
    /// Slices that end at or before this were written for good and dropped.
    pub(crate) final_until_ms: Option<i64>,
    /// By the slice of label times.
    pub(crate) arrivals: BTreeMap<i64, Arrivals>,
    /// The same for these.
    pub(crate) arrivals_final_until_ms: Option<i64>,
    pub(crate) history: VecDeque<Judged>,
    pub(crate) promotions: u64,
    pub(crate) first: Option<Champion>,
    /// n0: mature rows of the first training.
    pub(crate) first_rows: u64,
    pub(crate) reign: Option<Reign>,
    pub(crate) monitors: Option<Monitors>,
    pub(crate) drift: Option<Watch>,
    pub(crate) concept: Option<Concept>,
    pub(crate) probation: Option<Probation>,
    pub(crate) alerts: BTreeMap<String, Open>,
    pub(crate) policy: Policy,
    pub(crate) runs: u64,
    /// The run that is open.
    pub(crate) run: Option<Run>,
    commands: BTreeSet<String>,
    commands_in_order: VecDeque<String>,
    /// Losses of sampled rows of slices that are not judged yet. From format 6 on.
    pub(crate) losses: BTreeMap<i64, BTreeMap<Version, Losses>>,
    /// Sums over all columns at once, by slice and version, until the window is final. From format 7 on.
    pub(crate) together: BTreeMap<i64, BTreeMap<Version, MeanVector>>,
    /// Runs of them, of the version whose drift is watched. From format 7 on.
    pub(crate) joint: Option<(Version, Joint)>,
    /// Scores of labelled rows by slice, where areas are to be exact. From format 7 on.
    pub(crate) exact: BTreeMap<i64, Kept>,
    /// Samples of clustered rows, by slice and version, until the window is final. From format 8 on.
    pub(crate) samples: Samples,
    /// Classic detectors on the champion's loss. From format 9 on.
    pub(crate) classic: Option<Panel>,
}

impl State {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            format: FORMAT,
            slice_length_ms: config.slices.length_ms,
            next_offset: i64::MIN,
            clock: Clock::default(),
            slices: BTreeMap::new(),
            judged_until_ms: None,
            progress_due: false,
            final_until_ms: None,
            arrivals: BTreeMap::new(),
            arrivals_final_until_ms: None,
            history: VecDeque::new(),
            promotions: 0,
            first: None,
            first_rows: 0,
            reign: None,
            monitors: None,
            drift: None,
            concept: None,
            probation: None,
            alerts: BTreeMap::new(),
            policy: Policy::default(),
            runs: 0,
            run: None,
            commands: BTreeSet::new(),
            commands_in_order: VecDeque::new(),
            losses: BTreeMap::new(),
            together: BTreeMap::new(),
            joint: None,
            exact: BTreeMap::new(),
            samples: Samples::new(),
            classic: None,
        }
    }

    /// Reads a checkpoint.
    pub(crate) fn restore(bytes: &[u8], config: &Config) -> Result<Self, Error> {
        let ours = (FORMAT, config.slices.length_ms);
        let describe = |(format, length): (u32, i64)| format!("format {format} and slices of {length} ms");
        let head: (u32, i64) = records::from_postcard(bytes)?;
        // A judge of before could not read numbers that a newer join had summed, and passed over them: what
        // it knows of a regression may lack rows, and is read from the journal again.
        let may_lack_rows = config.shape.task == Task::Regression;
        // Of maps and of what may be missing.
        let lacking: &[u8] = match head.0 {
            FORMAT_BEFORE_LOSSES if !may_lack_rows => &[0, 0, 0, 0, 0, 0],
            FORMAT_BEFORE_TOGETHER => &[0, 0, 0, 0, 0],
            FORMAT_BEFORE_SAMPLES => &[0, 0],
            FORMAT_BEFORE_CLASSIC => &[0],
            _ => &[],
        };
        if !lacking.is_empty() && head.1 == config.slices.length_ms {
            let bytes = [bytes, lacking].concat();
            return Ok(Self { format: FORMAT, ..records::from_postcard(&bytes)? });
        }
        if head != ours {
            return Err(Error::Checkpoint { found: describe(head), expected: describe(ours) });
        }
        Ok(records::from_postcard(bytes)?)
    }

    /// Versions that have rows in a slice, of events or of labels: no test or window can do without
    /// knowing them.
    pub(crate) fn versions_in_slices(&self) -> BTreeSet<Version> {
        let slices = self.slices.values();
        let of = |s: &'_ Slice| -> Vec<Version> {
            let cells = s.cells.keys().map(|key| &key.version).chain(s.expected.keys().map(|(_, version)| version));
            s.scored.keys().chain(cells).cloned().collect()
        };
        slices.flat_map(of).chain(self.arrivals.values().flat_map(Arrivals::versions).cloned()).collect()
    }

    /// Versions worth keeping in memory.
    pub(crate) fn versions(&self) -> BTreeSet<Version> {
        let mut versions = self.versions_in_slices();
        versions.extend(self.reign.iter().flat_map(|r| r.line_up.members.iter().map(|m| m.version.clone())));
        versions
    }

    /// Whether a command with this id comes for the first time.
    pub(crate) fn is_new_command(&mut self, id: &str) -> bool {
        if !self.commands.insert(id.to_owned()) {
            return false;
        }
        self.commands_in_order.push_back(id.to_owned());
        if self.commands_in_order.len() > COMMANDS_MAX
            && let Some(oldest) = self.commands_in_order.pop_front()
        {
            self.commands.remove(&oldest);
        }
        true
    }

    /// Remembers the labels of a judged slice.
    pub(crate) fn remember(&mut self, start_ms: i64, labels: Labels) {
        self.history.push_back(Judged { start_ms, labels });
        if self.history.len() > HISTORY_MAX {
            self.history.pop_front();
        }
    }

    /// Mature rows of judged slices that start at or after a time.
    pub(crate) fn rows_since(&self, time_ms: i64) -> u64 {
        let newest_first = self.history.iter().rev().take_while(|judged| judged.start_ms >= time_ms);
        newest_first.map(|judged| u64::try_from(judged.labels.rows).unwrap_or(0)).sum()
    }

    /// So many rows as a share of n0, at least one.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(crate) fn share(&self, share: f64) -> u64 {
        // `as` saturates and maps NaN to 0.
        ((self.first_rows as f64 * share).ceil() as u64).max(1)
    }
}
