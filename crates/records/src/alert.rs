//! `p.alerts`: findings raised, held and resolved.

use crate::window::Span;
use serde::{Deserialize, Serialize};

/// Life of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Newly found.
    Raised,
    /// Found again while raised.
    Held,
    /// No longer found.
    Resolved,
}

/// An alert's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The same through the alert's whole life.
    pub id: String,
    /// `vigie.drift`, `vigie.accuracy_loss` or `vigie.data_quality`.
    pub name: String,
    /// See [`State`].
    pub state: State,
    /// `page` (people), `run` (proposes one); of drift `concept` (labels and estimates part), `classic`
    /// (a detector that others know says so), `output`, `feature` (explanation); `gap` (records lost).
    pub tier: String,
    /// Window whose closing made the state.
    pub window: Span,
    /// The statistic.
    pub value: f64,
    /// What it was compared with.
    pub threshold: f64,
    /// `*` or `name=value`.
    pub segment: String,
    /// The champion.
    pub version: String,
    /// Columns it concerns, worst first; of tier `classic` the detectors.
    pub features: Vec<String>,
    /// Ids of some events concerned.
    pub example_ids: Vec<String>,
    /// Run it started, if any.
    pub run: Option<u64>,
    /// The numbers and what they rest on, for a person; may be empty.
    #[serde(default)]
    pub detail: String,
}
