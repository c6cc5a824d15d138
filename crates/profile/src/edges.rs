//! Where bins come from: quantiles and frequencies of the reference rows.

use crate::error::Error;
use crate::layout::Bins;
use crate::observe::{Column, column_of};
use arrow::array::{Array, ArrayRef};
use std::collections::BTreeMap;

/// Bins of one column.
pub(crate) fn bins_of(name: &str, array: &ArrayRef, bins_max: usize, categories_max: usize) -> Result<Bins, Error> {
    let column = column_of(name, array)?;
    if let Column::Text(texts) = &column {
        let present = (0..texts.len()).filter(|&row| texts.is_valid(row)).map(|row| texts.value(row));
        return Ok(Bins::Category { values: most_frequent(present, categories_max) });
    }
    let mut values: Vec<f64> = (0..array.len()).filter_map(|row| column.number(row)).collect();
    values.retain(|value| value.is_finite());
    Ok(Bins::Numeric { edges: quantile_edges(&mut values, bins_max) })
}

/// The most frequent values, ties by value.
fn most_frequent<'a>(values: impl Iterator<Item = &'a str>, categories_max: usize) -> Vec<String> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let mut ranked: Vec<(&str, u64)> = counts.into_iter().collect();
    // Stable, and the map was sorted by value.
    ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    ranked.into_iter().take(categories_max).map(|(value, _)| value.to_owned()).collect()
}

/// Edges of at most `bins_max` bins over finite values, which are sorted on the way.
///
/// With at most `bins_max` distinct values each has its own bin, with edges half-way between
/// neighbours; otherwise the edges are distinct quantiles, so that no inner bin is empty.
#[must_use]
pub fn quantile_edges(values: &mut [f64], bins_max: usize) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    let (Some(&least), Some(&greatest)) = (values.first(), values.last()) else {
        return Vec::new();
    };
    let mut distinct = values.chunk_by(|a, b| a == b).filter_map(|run| run.first().copied());
    let few: Vec<f64> = distinct.by_ref().take(bins_max.saturating_add(1)).collect();
    if few.len() <= bins_max {
        let between = few.windows(2).map(|pair| half_way(pair[0], pair[1]));
        return std::iter::once(least).chain(between).chain(std::iter::once(greatest)).collect();
    }
    let last = values.len() - 1;
    let mut edges: Vec<f64> = (0..=bins_max).filter_map(|i| values.get(i * last / bins_max.max(1)).copied()).collect();
    edges.dedup();
    if edges.len() == 1 {
        edges.push(greatest);
    }
    edges
}

/// A number above `low` and not above `high`, half-way if there is room.
fn half_way(low: f64, high: f64) -> f64 {
    let middle = low * 0.5 + high * 0.5;
    if middle > low { middle } else { high }
}

#[cfg(test)]
mod tests {
    use super::{most_frequent, quantile_edges};

    #[test]
    fn few_values_get_a_bin_each_and_many_get_quantiles() {
        let next = 1.0_f64.next_up();
        let cases: [(Vec<f64>, usize, Vec<f64>); 6] = [
            (vec![], 4, vec![]),
            (vec![7.0, 7.0], 4, vec![7.0, 7.0]),
            (vec![3.0, 1.0, 2.0, 1.0], 4, vec![1.0, 1.5, 2.5, 3.0]),
            (vec![1.0, next], 4, vec![1.0, next, next]),
            (vec![-f64::MAX, f64::MAX], 4, vec![-f64::MAX, 0.0, f64::MAX]),
            ((0..=8).map(f64::from).collect(), 4, vec![0.0, 2.0, 4.0, 6.0, 8.0]),
        ];
        for (mut values, bins_max, expected) in cases {
            assert_eq!(quantile_edges(&mut values, bins_max), expected, "{values:?}");
        }
    }

    #[test]
    fn a_heavy_value_takes_one_edge() {
        let mut values: Vec<f64> = std::iter::repeat_n(0.0, 90).chain((1..=10).map(f64::from)).collect();
        let edges = quantile_edges(&mut values, 4);
        assert_eq!(edges, vec![0.0, 10.0]);
    }

    #[test]
    fn categories_rank_by_frequency_then_value() {
        assert_eq!(most_frequent(["b", "c", "a", "c", "b", "d"].into_iter(), 3), ["b", "c", "a"]);
    }
}
