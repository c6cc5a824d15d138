//! `p.tracking`: both sides of the label join, hashed by event id, and markers.

use domain::time::Watermark;
use domain::{Fingerprint, LineUp, SourcePartition};
use serde::{Deserialize, Serialize};

/// A record of `p.tracking`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Tracking {
    /// Predictions of one source partition under one line-up.
    Predictions(PredictionBatch),
    /// Labels of one source partition.
    Labels(LabelBatch),
    /// A source partition's watermark passed the end of a slice, or it became idle.
    Marker(Marker),
}

/// Predictions of all versions of the line-up. All vectors have one entry per row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictionBatch {
    /// Event partition the rows came from.
    pub source: SourcePartition,
    /// Versions that scored the rows; `scores` follows the order of its members.
    pub line_up: LineUp,
    /// Fingerprints of the event ids.
    pub ids: Vec<Fingerprint>,
    /// Offsets of the events.
    pub offsets: Vec<i64>,
    /// Event times in epoch milliseconds.
    pub times_ms: Vec<i64>,
    /// Rows too old to be merged: published, and closed at once.
    pub after_final: Vec<bool>,
    /// Values of the segment columns.
    pub segments: Vec<SegmentColumn>,
    /// One vector per member of the line-up, row by row: P(positive class) in binary
    /// classification, the probabilities in class order in multiclass, the number in regression, the score of
    /// an anomaly; in clustering the cluster, the distance from its centroid and that from the next one.
    pub scores: Vec<Vec<f64>>,
}

/// One segment column, dictionary-encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentColumn {
    /// Name of the segmentation, as configured.
    pub name: String,
    /// Distinct values, each at most once; values unknown to the champion's reference are `other`.
    pub values: Vec<String>,
    /// Index into `values`, per row.
    pub codes: Vec<u32>,
}

/// Labels. All vectors have one entry per row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelBatch {
    /// Label partition the rows came from.
    pub source: SourcePartition,
    /// Fingerprints of the event ids.
    pub ids: Vec<Fingerprint>,
    /// Offsets of the label records.
    pub offsets: Vec<i64>,
    /// Label times in epoch milliseconds.
    pub times_ms: Vec<i64>,
    /// Binary: 1 for the positive class, else 0. Multiclass: index in class order. Regression: the number.
    pub values: Vec<f64>,
}

/// Which stream a marker speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StreamKind {
    /// Events.
    Events,
    /// Labels.
    Labels,
}

/// Watermark of one source partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Events or labels.
    pub kind: StreamKind,
    /// The source partition.
    pub source: SourcePartition,
    /// Its watermark.
    pub watermark: Watermark,
}
