//! Panes beside those of score and join: more that one transaction saw of one partition.
//!
//! All are sums by slice and version, which the judge adds up; so each can be cut in two at any cell.

use crate::example::{Example, Losses};
use crate::journal::Phase;
use crate::sample::Sample;
use domain::{Fingerprint, SourcePartition, Version};
use serde::{Deserialize, Serialize};

/// See [`crate::journal::Journal::Losses`]: beside the panes of the same step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossPane {
    /// Partition of `p.tracking`.
    pub tracking_partition: i32,
    /// First offset seen.
    pub from_offset: i64,
    /// Last offset seen.
    pub to_offset: i64,
    /// One cell per slice and version.
    pub cells: Vec<LossCell>,
}

/// Mature labelled rows of one slice and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossCell {
    /// Start of the slice of the event times.
    pub slice_start_ms: i64,
    /// The version that published the predictions.
    pub version: Version,
    /// Changes of their losses, as the harm tests define them.
    pub losses: Losses,
}

/// See [`crate::journal::Journal::Examples`]: beside the score pane of the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExamplePane {
    /// The event partition.
    pub source: SourcePartition,
    /// First offset seen.
    pub from_offset: i64,
    /// Last offset seen.
    pub to_offset: i64,
    /// One cell per slice and champion.
    pub cells: Vec<ExampleCell>,
}

/// Events of one slice that one champion scored: those with the smallest fingerprints, which is a fair
/// sample and the same one however panes are cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExampleCell {
    /// Start of the slice.
    pub slice_start_ms: i64,
    /// The champion; bins are those of its reference.
    pub version: Version,
    /// By fingerprint of their ids, ascending; at most [`crate::example::EXAMPLES_MAX`].
    pub examples: Vec<(Fingerprint, Example)>,
}

/// See [`crate::journal::Journal::Segments`]: beside the score pane of the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentPane<P> {
    /// The event partition.
    pub source: SourcePartition,
    /// First offset seen.
    pub from_offset: i64,
    /// Last offset seen.
    pub to_offset: i64,
    /// One cell per slice, champion and segment.
    pub cells: Vec<SegmentCell<P>>,
}

/// Rows of one slice and segment that one champion scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentCell<P> {
    /// Start of the slice.
    pub slice_start_ms: i64,
    /// The champion; the profile's bins are those of its reference.
    pub version: Version,
    /// `name=value`.
    pub segment: String,
    /// Column statistics, without rows after the window was final.
    pub profile: P,
}

/// See [`crate::journal::Journal::Expected`]: beside the score pane of the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectedPane<E> {
    /// The event partition.
    pub source: SourcePartition,
    /// First offset seen.
    pub from_offset: i64,
    /// Last offset seen.
    pub to_offset: i64,
    /// The cells.
    pub cells: Vec<ExpectedCell<E>>,
}

/// Expected performance of one champion on rows of one slice and segment whose labels are not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectedCell<E> {
    /// Start of the slice.
    pub slice_start_ms: i64,
    /// The champion, whose bundle holds the calibration.
    pub version: Version,
    /// `*` for all rows, else `name=value`.
    pub segment: String,
    /// The sums, without rows after the window was final.
    pub expected: E,
}

/// See [`crate::journal::Journal::Exact`]: beside the panes of the same step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactPane<S> {
    /// Partition of `p.tracking`.
    pub tracking_partition: i32,
    /// First offset seen.
    pub from_offset: i64,
    /// Last offset seen.
    pub to_offset: i64,
    /// One cell or more per slice, phase and version.
    pub cells: Vec<ExactCell<S>>,
}

/// Scores of labelled rows of one slice, phase and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactCell<S> {
    /// Start of the slice of the event times.
    pub slice_start_ms: i64,
    /// See [`Phase`].
    pub phase: Phase,
    /// The version that published the predictions.
    pub version: Version,
    /// Changes of the counts, by score; at most [`EXACT_SCORES_MAX`].
    pub scores: Vec<S>,
}

/// Scores of a cell; those of more go into several.
pub const EXACT_SCORES_MAX: usize = 16_384;

/// See [`crate::journal::Journal::Kernel`]: beside the score pane of the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelPane<K> {
    /// The event partition.
    pub source: SourcePartition,
    /// First offset seen.
    pub from_offset: i64,
    /// Last offset seen.
    pub to_offset: i64,
    /// One cell per slice and champion.
    pub cells: Vec<KernelCell<K>>,
}

/// Rows of one slice that one champion scored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelCell<K> {
    /// Start of the slice.
    pub slice_start_ms: i64,
    /// The champion; the sum is of its bundle's kernel.
    pub version: Version,
    /// Sum of the rows' vectors, without rows after the window was final.
    pub sum: K,
}

/// See [`crate::journal::Journal::Sample`]: beside the score pane of the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplePane {
    /// The event partition.
    pub source: SourcePartition,
    /// First offset seen.
    pub from_offset: i64,
    /// Last offset seen.
    pub to_offset: i64,
    /// One cell per slice and champion.
    pub cells: Vec<SampleCell>,
}

/// Rows of one slice that one champion scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleCell {
    /// Start of the slice.
    pub slice_start_ms: i64,
    /// The champion, whose preprocessor and clusters these are.
    pub version: Version,
    /// The rows, without those after the window was final.
    pub sample: Sample,
}
