//! Whether a challenger may replace the champion: verdicts with their numbers.

use crate::data_set::DataSet;
use crate::evaluate::{Losses, calibration_error, mean, standard_error};
use crate::{Cause, Spec};
use arrow::array::{Array, AsArray};
use domain::Task;
use std::collections::BTreeMap;
use std::ops::Range;

/// What the gate looks at: everything is about the rows of the newest fold.
pub(crate) struct Evidence<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) data: &'a DataSet,
    pub(crate) test: Range<usize>,
    pub(crate) groups: &'a [Range<usize>],
    pub(crate) scores: &'a [f64],
    pub(crate) losses: &'a Losses,
    /// Scores and losses of the champion unchanged.
    pub(crate) champion: Option<(&'a [f64], &'a Losses)>,
    /// Mean rank loss of the prior-rate (or mean) model; there is none without labels.
    pub(crate) baseline: Option<f64>,
    /// Bytes of the model and microseconds per golden row.
    pub(crate) cost: (u64, f64),
}

/// The gate's decision.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decision {
    pub(crate) passed: bool,
    pub(crate) verdicts: Vec<String>,
    /// Standard error of the mean difference to the champion.
    pub(crate) difference_error: Option<f64>,
}

impl Decision {
    fn add(&mut self, name: &str, passed: bool, numbers: &str) {
        self.passed &= passed;
        let verdict = if passed { "passed" } else { "failed" };
        self.verdicts.push(format!("{name}: {verdict} ({numbers})"));
    }
}

/// Asks every gate.
pub(crate) fn decide(evidence: &Evidence<'_>) -> Decision {
    let mut decision = Decision { passed: true, verdicts: Vec::new(), difference_error: None };
    baselines(evidence, &mut decision);
    if let Some((scores, losses)) = evidence.champion {
        champion(evidence, losses, &mut decision);
        segments(evidence, losses, &mut decision);
        calibration(evidence, scores, &mut decision);
        shift(evidence, scores, &mut decision);
    }
    cost(evidence, &mut decision);
    decision
}

/// The trivial model must be beaten, unless the champion does not reach it either: refusing would
/// then keep something worse.
fn baselines(evidence: &Evidence<'_>, decision: &mut Decision) {
    let Some(baseline) = evidence.baseline else { return };
    let own = mean(&evidence.losses.rank);
    let what = if evidence.spec.task == Task::Regression { "squared error" } else { "log loss" };
    let mut numbers = format!("{what} {own:.5}, of the training labels' rates {baseline:.5}");
    let mut bound = baseline;
    if let Some((_, champion)) = evidence.champion {
        let theirs = mean(&champion.rank);
        numbers = format!("{numbers}, of the champion {theirs:.5}");
        bound = bound.max(theirs);
    }
    decision.add("baselines", own < bound, &numbers);
}

/// After an alarm, and of anomalies always: not significantly worse. Else: a gain above the margin.
fn champion(evidence: &Evidence<'_>, champion: &Losses, decision: &mut Decision) {
    let difference: Vec<f64> = evidence.losses.harm.iter().zip(&champion.harm).map(|(a, b)| a - b).collect();
    let (worse, error) = (mean(&difference), standard_error(&difference, evidence.groups));
    decision.difference_error = Some(error);
    let gates = &evidence.spec.gates;
    let theirs = mean(&champion.harm);
    let numbers = format!(
        "loss {:.5}, champion {theirs:.5}, difference {worse:+.5}, standard error {error:.5}, {} rows",
        mean(&evidence.losses.harm),
        evidence.test.len()
    );
    match evidence.spec.cause {
        Cause::First => {}
        // An alert rate up to the one that was asked for is no worse than a lower one.
        _ if evidence.spec.task == Task::Anomaly => {
            let bound = (gates.worse_errors * error).max(evidence.spec.anomaly_share - theirs);
            decision.add("champion", worse <= bound, &format!("{numbers}, expected at most {bound:+.5}"));
        }
        cause if cause.is_alarm() => {
            let bound = gates.worse_errors * error;
            decision.add("champion", worse <= bound, &format!("{numbers}, expected below {bound:+.5}"));
        }
        Cause::Trigger(_) => {
            let bound = -(gates.gain * theirs).max(gates.gain_errors * error);
            decision.add("champion", worse < bound, &format!("{numbers}, expected below {bound:+.5}"));
        }
    }
}

/// No segment may lose more than its share, beyond what chance explains.
fn segments(evidence: &Evidence<'_>, champion: &Losses, decision: &mut Decision) {
    let gates = &evidence.spec.gates;
    for name in &evidence.spec.segments {
        let Some(column) = evidence.data.rows.column_by_name(name) else { continue };
        let Some(texts) = column.as_string_opt::<i32>() else { continue };
        let mut groups: BTreeMap<&str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for ((row, own), theirs) in evidence.test.clone().zip(&evidence.losses.harm).zip(&champion.harm) {
            if row < texts.len() && texts.is_valid(row) {
                let group = groups.entry(texts.value(row)).or_default();
                group.0.push(own - theirs);
                group.1.push(*theirs);
            }
        }
        let (mut judged, mut worst) = (0, None::<(f64, String)>);
        for (value, (difference, theirs)) in &groups {
            if (difference.len() as u64) < gates.segment_rows {
                continue;
            }
            judged += 1;
            let error = standard_error(difference, &[]);
            let bound = (gates.segment_loss * mean(theirs)).max(2.0 * error);
            let beyond = mean(difference) - bound;
            if worst.as_ref().is_none_or(|(most, _)| beyond > *most) {
                let text = format!("worst is {value}: difference {:+.5}, at most {bound:+.5}", mean(difference));
                worst = Some((beyond, text));
            }
        }
        let passed = worst.as_ref().is_none_or(|(beyond, _)| *beyond <= 0.0);
        let text = worst.map_or_else(|| "none has rows enough".to_owned(), |(_, text)| text);
        decision.add(
            &format!("segment {name}"),
            passed,
            &format!("{judged} of {} values judged, {text}", groups.len()),
        );
    }
}

fn calibration(evidence: &Evidence<'_>, champion: &[f64], decision: &mut Decision) {
    let shape = evidence.spec.shape();
    let labels = evidence.data.labels.get(evidence.test.clone()).unwrap_or_default();
    let own = calibration_error(shape, evidence.scores, labels);
    let theirs = calibration_error(shape, champion, labels);
    if let (Some(own), Some(theirs)) = (own, theirs) {
        let bound = theirs + evidence.spec.gates.calibration;
        decision.add("calibration", own <= bound, &format!("error {own:.5}, champion {theirs:.5}, at most {bound:.5}"));
    }
}

/// Told, never refused: after a change the predictions are meant to move.
fn shift(evidence: &Evidence<'_>, champion: &[f64], decision: &mut Decision) {
    if evidence.spec.task == Task::Clustering {
        // Numbers of clusters, and distances in the units of two preprocessors, do not compare.
        return;
    }
    let moved: Vec<f64> = evidence.scores.iter().zip(champion).map(|(a, b)| (a - b).abs()).collect();
    let numbers = format!(
        "mean prediction {:.5}, champion {:.5}, mean distance {:.5}",
        mean(evidence.scores),
        mean(champion),
        mean(&moved)
    );
    decision.verdicts.push(format!("prediction shift: told ({numbers})"));
}

fn cost(evidence: &Evidence<'_>, decision: &mut Decision) {
    let (bytes, micros) = evidence.cost;
    if let Some(most) = evidence.spec.gates.model_bytes {
        decision.add("model size", bytes <= most, &format!("{bytes} bytes, at most {most}"));
    }
    if let Some(most) = evidence.spec.gates.latency_us {
        let verdict = micros <= most;
        // The time itself stays out of the manifest, which must not depend on the clock.
        decision.add("latency", verdict, &format!("microseconds per row, at most {most}"));
    }
}
