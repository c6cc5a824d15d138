//! The closing table of a replay: counts that must balance, accuracy beside the frozen first
//! champion's, and every swap, alert and run.

use crate::shown::{self, Shown};
use crate::view::View;
use domain::Task;
use measure::Performance;
use records::alert::{Alert, State};
use records::control::Swap;
use records::journal::RunOutcome;
use serde::Serialize;
use std::collections::BTreeMap;

/// Rows and metrics of one scorer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored {
    /// Labelled rows; without labels all whose slice is final.
    pub rows: i64,
    /// Those by which people see how it does, by name, as far as they are known: of two classes for example
    /// `log_loss`, `auc` and `accuracy`.
    #[serde(flatten)]
    pub metrics: BTreeMap<&'static str, f64>,
}

impl Scored {
    fn of(performance: &Performance) -> Self {
        let metrics = performance.metrics();
        let known = shown::all().filter_map(|name| Some((name, metrics.get(name)?.value)));
        Self { rows: performance.rows(), metrics: known.collect() }
    }
}

/// One month.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Month {
    /// `2013-04`.
    pub month: String,
    /// The predictions that were published.
    pub served: Scored,
    /// The frozen first champion on the same rows.
    pub frozen: Scored,
}

/// One raised alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RaisedAlert {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: String,
    /// Start of the window that raised it.
    pub raised: String,
    /// Start of the window that resolved it.
    pub resolved: Option<String>,
    /// The statistic when raised.
    pub value: f64,
    /// What it was compared with.
    pub threshold: f64,
    /// Columns, worst first.
    pub features: Vec<String>,
}

/// One retraining run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunLine {
    /// Its number.
    pub run: u64,
    /// What proposed it.
    pub trigger: String,
    /// Its cut-off.
    pub cut_off: String,
    /// How it ended.
    pub state: String,
    /// The challenger.
    pub version: Option<String>,
    /// Its family.
    pub family: Option<String>,
    /// Rows of its final fit.
    pub rows: Option<u64>,
    /// What the gate said, or why it failed.
    pub verdicts: Vec<String>,
}

/// The table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The task, as its metrics tell, and those it is seen by.
    #[serde(skip)]
    pub(crate) shown: (Task, [Shown; 2]),
    /// Event records sent, the broken ones among them.
    pub events_produced: u64,
    /// Predictions by score.
    pub scored: u64,
    /// Event records refused.
    pub rejected: u64,
    /// Label records refused.
    pub labels_rejected: u64,
    /// Predictions seen by the join.
    pub predictions: u64,
    /// With a label.
    pub joined: u64,
    /// Waiting for a label.
    pub pending: u64,
    /// Never labelled within the horizon.
    pub expired: u64,
    /// Not in force.
    pub repeated: u64,
    /// The published predictions.
    pub served: Option<Scored>,
    /// The frozen first champion on the same rows.
    pub frozen: Option<Scored>,
    /// The same by month.
    pub months: Vec<Month>,
    /// Swap positions, by promotion and partition.
    pub swaps: Vec<Swap>,
    /// Alerts raised.
    pub alerts: Vec<RaisedAlert>,
    /// Retraining runs.
    pub runs: Vec<RunLine>,
    /// Events scored per second of the replay.
    pub events_per_second: f64,
    /// Seconds in which the replay waited at `lead`.
    pub held_seconds: f64,
}

/// What the replay itself knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replay {
    /// Event records sent.
    pub events_produced: u64,
    /// Seconds from the first record sent to the last prediction.
    pub seconds: f64,
    /// Seconds waited at `lead`.
    pub held_seconds: f64,
}

impl Summary {
    /// The table of a view after a replay.
    #[must_use]
    pub fn of(view: &View, replay: Replay) -> Self {
        let (score, join) = (view.score_totals(), view.join_totals());
        let mut total: Option<measure::Cell> = None;
        for cell in view.months.values() {
            match &mut total {
                Some(sum) => sum.merge(cell),
                None => total = Some(cell.clone()),
            }
        }
        #[allow(clippy::cast_precision_loss)] // counts far below 2^53
        let events_per_second = if replay.seconds > 0.0 { score.scored as f64 / replay.seconds } else { 0.0 };
        let known = total.as_ref().map(|cell| cell.served.metrics()).unwrap_or_default();
        Self {
            shown: shown::of_task(|name| known.contains_key(name)),
            events_produced: replay.events_produced,
            scored: score.scored,
            rejected: score.rejected,
            labels_rejected: view.rejected_by("intake"),
            predictions: join.predictions,
            joined: join.joined,
            pending: join.pending,
            expired: join.expired,
            repeated: join.repeated,
            served: total.as_ref().map(|c| Scored::of(&c.served)),
            frozen: total.as_ref().map(|c| Scored::of(&c.frozen)),
            months: months(view),
            swaps: swaps(view),
            alerts: raised(&view.alerts),
            runs: runs(view),
            events_per_second,
            held_seconds: replay.held_seconds,
        }
    }

    /// What does not balance, in words; empty if all does.
    #[must_use]
    pub fn imbalances(&self) -> Vec<String> {
        let equations = [
            ("events produced", self.events_produced, "scored + rejected", self.scored + self.rejected),
            ("scored", self.scored, "predictions seen by the join", self.predictions),
            (
                "predictions",
                self.predictions,
                "joined + pending + expired + repeated",
                self.joined + self.pending + self.expired + self.repeated,
            ),
        ];
        equations
            .iter()
            .filter(|(_, left, _, right)| left != right)
            .map(|(name, left, names, right)| format!("{name} = {left}, but {names} = {right}"))
            .collect()
    }
}

fn swaps(view: &View) -> Vec<Swap> {
    let mut swaps: Vec<Swap> = view.swaps.values().cloned().collect();
    swaps.sort_by(|a, b| (a.promotion, &a.topic, a.partition).cmp(&(b.promotion, &b.topic, b.partition)));
    swaps
}

fn months(view: &View) -> Vec<Month> {
    view.months
        .iter()
        .map(|(month, cell)| Month {
            month: month.clone(),
            served: Scored::of(&cell.served),
            frozen: Scored::of(&cell.frozen),
        })
        .collect()
}

fn raised(states: &[Alert]) -> Vec<RaisedAlert> {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    let mut alerts: Vec<RaisedAlert> = Vec::new();
    for alert in states {
        match (alert.state, found.get(alert.id.as_str()).and_then(|i| alerts.get_mut(*i))) {
            (State::Raised, None) => {
                found.insert(&alert.id, alerts.len());
                alerts.push(RaisedAlert {
                    id: alert.id.clone(),
                    name: alert.name.clone(),
                    tier: alert.tier.clone(),
                    raised: alert.window.start.clone(),
                    resolved: None,
                    value: alert.value,
                    threshold: alert.threshold,
                    features: alert.features.clone(),
                });
            }
            (State::Resolved, Some(line)) => line.resolved = Some(alert.window.start.clone()),
            _ => {}
        }
    }
    alerts
}

fn runs(view: &View) -> Vec<RunLine> {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    view.runs
        .values()
        .map(|run| {
            let outcome = run.report.as_ref().map(|r| &r.outcome);
            let challenger = match outcome {
                Some(RunOutcome::Trained(challenger)) => Some(challenger),
                _ => None,
            };
            let verdicts = match outcome {
                Some(RunOutcome::Trained(challenger)) => challenger.verdicts.clone(),
                Some(RunOutcome::Failed { reason }) => vec![reason.clone()],
                None => Vec::new(),
            };
            RunLine {
                run: run.run,
                trigger: serde_json::to_value(run.trigger).map(word).unwrap_or_default(),
                cut_off: records::time::rfc3339(run.cut_off_ms),
                state: serde_json::to_value(run.state).map(word).unwrap_or_default(),
                version: challenger.map(|c| c.version.to_string()),
                family: challenger.map(|c| c.family.clone()),
                rows: challenger.map(|c| c.rows),
                verdicts,
            }
        })
        .collect()
}
