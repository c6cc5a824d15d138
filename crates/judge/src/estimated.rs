//! What scores expect of themselves, beside what labels say.

use crate::state::Slice;
use domain::Version;
use measure::{Cell, Forecast, Performance, kappa_against};
use records::window::{Difference, Estimate};
use std::collections::BTreeMap;

/// Expected performance by (segment, version), `*` among both. Over all versions only where every
/// version that scored the slice has one: a part of the rows is no estimate of the whole.
pub(crate) fn by_window(slice: &Slice) -> BTreeMap<(String, String), Forecast> {
    let mut sums: BTreeMap<(String, String), Forecast> = BTreeMap::new();
    let has_all = |version: &Version| slice.expected.contains_key(&("*".to_owned(), version.clone()));
    let is_whole = slice.scored.keys().all(has_all);
    for ((segment, version), expected) in &slice.expected {
        for version in ["*", version.as_str()].into_iter().skip(usize::from(!is_whole)) {
            match sums.get_mut(&(segment.clone(), version.to_owned())) {
                // Versions of one pipeline have one task.
                Some(sum) => drop(sum.merge(expected)),
                None => drop(sums.insert((segment.clone(), version.to_owned()), expected.clone())),
            }
        }
    }
    sums
}

/// The estimates as a window tells them.
pub(crate) fn estimates(expected: &Forecast) -> BTreeMap<String, Estimate> {
    let finite = expected.estimates().into_iter().filter(|(_, estimate)| estimate.value.is_finite());
    finite.map(|(name, e)| (name, Estimate { value: e.value, low: e.low, high: e.high })).collect()
}

/// Realised minus estimated, by metric.
pub(crate) fn differences(served: &Performance, expected: &Forecast) -> BTreeMap<String, Difference> {
    let found = expected.gap(served).filter(|(_, gap)| gap.value.is_finite() && gap.standard_error.is_finite());
    found
        .map(|(name, gap)| (name.to_owned(), Difference { value: gap.value, standard_error: gap.standard_error }))
        .into_iter()
        .collect()
}

/// Kappas against the baselines, each on the same rows as the accuracy: `kappa_temporal` is left out
/// where some row had no label before it, and none of them is known without labels.
pub(crate) fn kappas(cell: &Cell, majority: &BTreeMap<String, f64>) -> BTreeMap<String, Estimate> {
    let accuracy = |performance: &Performance| {
        let rows = performance.rows();
        let is_classification = performance.regression().is_none();
        (rows > 0 && is_classification).then(|| performance.right() as f64 / rows as f64)
    };
    let Some(served) = accuracy(&cell.served) else { return BTreeMap::new() };
    let same_rows = cell.last_label.rows() == cell.served.rows();
    let repeated = accuracy(&cell.last_label).filter(|_| same_rows);
    let kappa = |baseline: Option<f64>| kappa_against(served, baseline?);
    let all = [("kappa_temporal", kappa(repeated)), ("kappa_m", kappa(majority.get("accuracy").copied()))];
    let known = all.into_iter().filter_map(|(name, value)| Some((name, value.filter(|v| v.is_finite())?)));
    known.map(|(name, value)| (name.to_owned(), Estimate { value, low: None, high: None })).collect()
}
