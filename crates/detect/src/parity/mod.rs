//! What other tools would have said: their binning, zero rules, tests and thresholds on raw
//! samples, so that one who comes from them can compare number by number.
//!
//! `vigie compare` shows it of two files; nothing here is used live. These rules need the samples themselves, not counts that merge, and
//! their thresholds are fixed: they alarm on noise where rows are few and on trifles where rows
//! are many. [`evidently`] follows Evidently 0.7.23, [`nannyml`] follows NannyML 0.13.1; both bin as
//! numpy does ([`histogram`]).

pub mod evidently;
pub mod histogram;
pub mod nannyml;

/// Finite values in ascending order.
pub(crate) fn sorted(sample: &[f64]) -> Vec<f64> {
    let mut values: Vec<f64> = sample.iter().copied().filter(|x| x.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Counts of both samples over the union of their values, in ascending order.
pub(crate) fn union<T: Ord>(reference: &[T], current: &[T]) -> (Vec<u64>, Vec<u64>) {
    let mut counts: std::collections::BTreeMap<&T, (u64, u64)> = std::collections::BTreeMap::new();
    for value in reference {
        counts.entry(value).or_default().0 += 1;
    }
    for value in current {
        counts.entry(value).or_default().1 += 1;
    }
    counts.into_values().unzip()
}

/// Finite numbers as ordered keys, −0 being 0.
pub(crate) fn keys(sample: &[f64]) -> Vec<Key> {
    sample.iter().filter(|x| x.is_finite()).map(|x| Key(x + 0.0)).collect()
}

/// A number in its total order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key(pub(crate) f64);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_numpy;
