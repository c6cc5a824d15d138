//! Drift of features and of the output: it explains, and starts nothing.

use crate::alerts::Finding;
use crate::error::Error;
use crate::judge::Turn;
use crate::state::Slice;
use profile::{Counts, Reference};
use records::window::Drift;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the column that holds the model's output.
const OUTPUT: &str = "prediction";
/// Rows before a comparison means anything; adjacent slices are merged until then.
const ROWS_MIN: u64 = 500;
/// Share of false findings among features, and of false findings of the output.
const RATE: f64 = 0.05;

/// Champion's rows of adjacent slices that wait to be enough.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DriftSum {
    start_ms: Option<i64>,
    profile: Counts,
}

/// Compares every column with the reference; features are corrected for their number, the output
/// stands alone.
pub(crate) fn compare(reference: &Reference, current: &Counts, tolerance: f64) -> BTreeMap<String, Drift> {
    if current.rows() == 0 {
        return BTreeMap::new();
    }
    let columns = &reference.layout.columns;
    let found: Vec<detect::Psi> = columns
        .iter()
        .enumerate()
        .map(|(number, column)| {
            let bins = column.bins.count();
            detect::psi(&reference.counts.column(number, bins), &current.column(number, bins), tolerance)
        })
        .collect();
    let is_feature = |number: usize| columns.get(number).is_some_and(|column| column.name != OUTPUT);
    let p_values: Vec<f64> =
        found.iter().enumerate().filter(|(number, _)| is_feature(*number)).map(|(_, psi)| psi.p_value).collect();
    let mut rejected = detect::benjamini_hochberg(&p_values, RATE).into_iter();
    let mut drift = BTreeMap::new();
    for (number, (column, psi)) in columns.iter().zip(&found).enumerate() {
        let drifted = if is_feature(number) { rejected.next().unwrap_or(false) } else { psi.p_value <= RATE };
        if psi.psi.is_finite() && psi.p_value.is_finite() {
            let (psi, threshold, p_value) = (psi.psi, psi.threshold.min(f64::MAX), psi.p_value);
            drift.insert(column.name.clone(), Drift { psi, threshold, p_value, drifted });
        }
    }
    drift
}

impl Turn<'_> {
    /// Compares the champion's rows with its reference, and raises or resolves alerts.
    pub(crate) fn watch_drift(&mut self, start_ms: i64, slice: &Slice) -> Result<(), Error> {
        let Some(champion) = self.state.reign.as_ref().map(|reign| reign.champion.version.clone()) else {
            return Ok(());
        };
        let (Some(scored), Some(known)) = (slice.scored.get(&champion), self.known.get(&champion)) else {
            return Ok(());
        };
        let sum = &mut self.state.drift;
        sum.profile.merge(&scored.profile);
        let from_ms = *sum.start_ms.get_or_insert(start_ms);
        if sum.profile.rows() < ROWS_MIN {
            return Ok(());
        }
        let sum = std::mem::take(sum);
        let columns = compare(&known.reference, &sum.profile, self.config.drift_tolerance);
        let span_ms = (from_ms, self.config.slices.end(start_ms));
        let (output, features): (Vec<_>, Vec<_>) = worst_first(&known.reference, columns)
            .into_iter()
            .filter(|(_, drift)| drift.drifted)
            .partition(|(name, _)| name == OUTPUT);
        for (tier, found) in [("output", output), ("feature", features)] {
            let worst = found.first().map(|(_, drift)| *drift);
            let finding = Finding { name: "vigie.drift", tier, span_ms };
            match worst {
                Some(worst) => {
                    let names = found.into_iter().map(|(name, _)| name).collect();
                    self.found(finding, worst.psi, worst.threshold, names)?;
                }
                None => self.not_found(finding)?,
            }
        }
        Ok(())
    }
}

/// Ranked by importance × effect; by effect alone where the importance is not known.
fn worst_first(reference: &Reference, columns: BTreeMap<String, Drift>) -> Vec<(String, Drift)> {
    let is_known = reference.importance.iter().any(|share| *share > 0.0);
    let weight = |name: &str| {
        let place = reference.layout.columns.iter().position(|column| column.name == name);
        let share = place.and_then(|place| reference.importance.get(place)).copied().unwrap_or(0.0);
        if is_known { share } else { 1.0 }
    };
    let mut ranked: Vec<(String, Drift)> = columns.into_iter().collect();
    let rank = |(name, drift): &(String, Drift)| (weight(name) * drift.psi, drift.psi);
    ranked.sort_by(|a, b| {
        let (a, b) = (rank(a), rank(b));
        b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
    });
    ranked
}
