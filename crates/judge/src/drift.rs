//! Distances of a window's columns from the reference, and the test of windows one by one.

use crate::alerts::{Evidence, Finding};
use crate::config::Known;
use crate::error::Error;
use crate::examples;
use crate::judge::Turn;
use crate::shifts::TIERS;
use crate::state::{Scored, Slice};
use detect::distance;
use domain::Version;
use profile::{Bins, Counts, Layout, Reference};
use records::window::Drift;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the column that holds the model's output.
pub(crate) const OUTPUT: &str = "prediction";
/// Rows before a comparison means anything; adjacent slices are merged until then.
const ROWS_MIN: u64 = 500;
/// Share of false findings among features, and of false findings of the output.
const RATE: f64 = 0.05;

/// Rows of adjacent slices that wait to be enough, where windows are compared one by one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Windowed {
    start_ms: Option<i64>,
    profile: Counts,
}

/// Tier of a column's alerts.
pub(crate) fn tier(column: &str) -> &'static str {
    let [output, feature] = TIERS;
    if column == OUTPUT { output } else { feature }
}

/// Compares every column with the reference; features are corrected for their number, the output
/// stands alone.
pub(crate) fn compare(layout: &Layout, old: &Counts, current: &Counts, tolerance: f64) -> BTreeMap<String, Drift> {
    if current.rows() == 0 {
        return BTreeMap::new();
    }
    let columns = &layout.columns;
    let counts = |number: usize, column: &profile::ColumnLayout| {
        let bins = column.bins.count();
        (old.column(number, bins), current.column(number, bins))
    };
    let counts: Vec<_> = columns.iter().enumerate().map(|(number, column)| counts(number, column)).collect();
    let found: Vec<detect::Psi> = counts.iter().map(|(old, new)| detect::psi(old, new, tolerance)).collect();
    let is_feature = |number: usize| columns.get(number).is_some_and(|column| column.name != OUTPUT);
    let p_values: Vec<f64> =
        found.iter().enumerate().filter(|(number, _)| is_feature(*number)).map(|(_, psi)| psi.p_value).collect();
    let mut rejected = detect::benjamini_hochberg(&p_values, RATE).into_iter();
    let mut drift = BTreeMap::new();
    for (number, ((column, psi), (old, new))) in columns.iter().zip(&found).zip(&counts).enumerate() {
        let drifted = if is_feature(number) { rejected.next().unwrap_or(false) } else { psi.p_value <= RATE };
        if psi.psi.is_finite() && psi.p_value.is_finite() {
            drift.insert(column.name.clone(), distances(&column.bins, old, new, psi, drifted));
        }
    }
    drift
}

/// All distances of a column, from the same counts.
fn distances(bins: &Bins, old: &[u64], new: &[u64], psi: &detect::Psi, drifted: bool) -> Drift {
    // The last bin is *missing*: it has no place among numbers, and is told apart.
    let present = |counts: &[u64]| counts.split_last().map(|(_, present)| present.to_vec()).unwrap_or_default();
    let (old_present, new_present) = (present(old), present(new));
    let numbers = match bins {
        Bins::Numeric { edges } => Some(positions(edges)),
        Bins::Category { .. } => None,
    };
    let finite = |value: f64| value.is_finite().then_some(value);
    let chi_square = distance::chi_square(old, new);
    Drift {
        psi: psi.psi,
        threshold: psi.threshold.min(f64::MAX),
        p_value: psi.p_value,
        drifted,
        js: distance::jensen_shannon(old, new),
        hellinger: distance::hellinger(old, new),
        ks: numbers.as_ref().map(|_| distance::kolmogorov_smirnov(&old_present, &new_present)),
        wasserstein: numbers.and_then(|places| finite(distance::wasserstein(&old_present, &new_present, &places))),
        total_variation: distance::total_variation(old, new),
        l_infinity: distance::l_infinity(old, new),
        chi_square: finite(chi_square.statistic).unwrap_or_default(),
        chi_square_p: finite(chi_square.p_value).unwrap_or(1.0),
        missing: distance::missing_share(new),
        unseen: distance::unseen_share(&old_present, &new_present) * (1.0 - distance::missing_share(new)),
    }
}

/// Where the rows of under, the inner bins and over are taken to be.
fn positions(edges: &[f64]) -> Vec<f64> {
    let inner = edges.windows(2).filter_map(|pair| Some(pair.first()? * 0.5 + pair.get(1)? * 0.5));
    edges.first().copied().into_iter().chain(inner).chain(edges.last().copied()).collect()
}

impl Turn<'_> {
    /// Compares windows one by one, for want of anything better: said in the alert.
    pub(crate) fn watch_windows(
        &mut self,
        sum: &mut Windowed,
        version: &Version,
        (start_ms, end_ms): (i64, i64),
        (slice, scored): (&Slice, &Scored),
        known: &Known,
    ) -> Result<(), Error> {
        let reference = &known.reference;
        sum.profile.merge(&scored.profile);
        let from_ms = *sum.start_ms.get_or_insert(start_ms);
        if sum.profile.rows() < ROWS_MIN {
            return Ok(());
        }
        let sum = std::mem::take(sum);
        let columns = compare(&reference.layout, &reference.counts, &sum.profile, self.config.drift_tolerance);
        let drifted = columns.into_iter().filter(|(_, drift)| drift.drifted).collect();
        let ranked = worst_first(reference, drifted, |drift: &Drift| drift.psi);
        for name in TIERS {
            let finding = Finding { name: "vigie.drift", tier: name, span_ms: (from_ms, end_ms) };
            let found: Vec<_> = ranked.iter().filter(|(column, _)| tier(column) == name).collect();
            match found.first() {
                Some((column, worst)) => self.found(
                    finding,
                    Evidence {
                        value: worst.psi,
                        threshold: worst.threshold,
                        features: found.iter().map(|(column, _)| column.clone()).collect(),
                        examples: reference
                            .layout
                            .position(column)
                            .map_or_else(Vec::new, |number| examples::of_shift(known, slice, version, (number, None))),
                        detail: format!(
                            "PSI {:.4}, p {:.1e}; the bundle does not say how its columns wander from slice to slice \
                             of this length, so windows were compared one by one, which keeps no budget{}",
                            worst.psi,
                            worst.p_value,
                            ranking(reference)
                        ),
                        version: Some(version.clone()),
                    },
                )?,
                None => self.not_found(finding)?,
            }
        }
        Ok(())
    }
}

fn knows_importance(reference: &Reference) -> bool {
    reference.importance.iter().any(|share| *share > 0.0)
}

/// How columns are ranked, for a person.
pub(crate) fn ranking(reference: &Reference) -> &'static str {
    if knows_importance(reference) {
        "; ranked by importance × PSI"
    } else {
        "; ranked by PSI, since the bundle holds no importance of its columns"
    }
}

/// Ranked by importance × effect; by effect alone where the importance is not known.
pub(crate) fn worst_first<T>(
    reference: &Reference,
    mut found: Vec<(String, T)>,
    effect: impl Fn(&T) -> f64,
) -> Vec<(String, T)> {
    let is_known = knows_importance(reference);
    let weight = |name: &str| {
        let place = reference.layout.position(name);
        let share = place.and_then(|place| reference.importance.get(place)).copied().unwrap_or(0.0);
        if is_known { share } else { 1.0 }
    };
    let rank = |(name, value): &(String, T)| (weight(name) * effect(value), effect(value));
    found.sort_by(|a, b| {
        let (a, b) = (rank(a), rank(b));
        b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
    });
    found
}
