//! What Evidently 0.7.23 would say of a column by default: which rule it would choose, and its score.

use super::columns::{Values, present};
use super::outcome::{AlarmWhen, NOT_FINITE, NOTHING, Outcome};
use detect::parity::evidently::{self, Rule, Verdict};
use std::collections::BTreeSet;

/// Distinct current values up to which it takes integers for categories: `INTEGER_CARDINALITY_LIMIT`
/// of its `core/datasets.py`.
const INTEGER_CATEGORIES_MAX: usize = 10;

/// Its default rule. It goes by what it takes the *current* column for.
pub(super) fn compare(values: &Values) -> Outcome {
    match values {
        Values::Numbers { samples, are_integers } => {
            let (old, new) = (present(&samples.reference), present(&samples.current));
            let (old_keys, new_keys) = (keys(&old), keys(&new));
            if *are_integers && distinct(&new_keys) <= INTEGER_CATEGORIES_MAX {
                return verdict(&old_keys, &new_keys, evidently::category);
            }
            verdict(&old, &new, evidently::numeric)
        }
        Values::Booleans(samples) => {
            verdict(&present(&samples.reference), &present(&samples.current), evidently::category)
        }
        Values::Texts(samples) => {
            let (old, new) = (present(&samples.reference), present(&samples.current));
            // Ids and sentences are no categories for it: there it trains a classifier.
            if distinct(&new) * 2 > new.len() {
                return Outcome::silent(
                    "text_content",
                    "Evidently trains a classifier on texts, which is not done here",
                );
            }
            verdict(&old, &new, evidently::category)
        }
    }
}

/// Numbers as categories: equal numbers are equal bits, −0 being 0. Their order does not matter.
fn keys(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|x| (x + 0.0).to_bits()).collect()
}

fn distinct<T: Ord>(values: &[T]) -> usize {
    values.iter().collect::<BTreeSet<&T>>().len()
}

fn verdict<T>(old: &[T], new: &[T], rule: impl Fn(&[T], &[T]) -> Verdict) -> Outcome {
    if old.is_empty() || new.is_empty() {
        return Outcome::silent("none", NOTHING);
    }
    let found = rule(old, new);
    let (name, threshold, alarm_when) = match found.rule {
        Rule::KolmogorovSmirnov => ("kolmogorov_smirnov", 0.05, AlarmWhen::AtOrBelow),
        Rule::ChiSquare => ("chi_square", 0.05, AlarmWhen::Below),
        Rule::Proportions => ("proportions", 0.05, AlarmWhen::Below),
        Rule::Wasserstein => ("wasserstein", 0.1, AlarmWhen::AtOrAbove),
        Rule::JensenShannon => ("jensen_shannon", 0.1, AlarmWhen::AtOrAbove),
    };
    let is_known = found.score.is_finite();
    Outcome {
        drifted: is_known.then_some(found.drifted),
        note: (!is_known).then_some(NOT_FINITE),
        ..Outcome::new(name, found.score, Some(threshold), alarm_when)
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::{Pair, Values};
    use super::{NOTHING, compare};
    use arrow::array::{Float64Array, StringArray};

    fn numbers(reference: Vec<f64>, current: Vec<f64>, are_integers: bool) -> Values {
        let samples = Pair { reference: Float64Array::from(reference), current: Float64Array::from(current) };
        Values::Numbers { samples, are_integers }
    }

    fn texts(reference: Vec<String>, current: Vec<String>) -> Values {
        Values::Texts(Pair { reference: StringArray::from(reference), current: StringArray::from(current) })
    }

    #[test]
    fn the_rule_goes_by_type_distinct_values_and_rows() {
        let cycle = |rows: u32, over: u32| (0..rows).map(|i| f64::from(i % over)).collect::<Vec<f64>>();
        let names = |rows: u32, over: u32| (0..rows).map(|i| format!("v{}", i % over)).collect::<Vec<String>>();
        let cases = [
            (numbers(cycle(1000, 7), cycle(90, 7), false), "kolmogorov_smirnov"),
            (numbers(cycle(1000, 7), cycle(90, 7), true), "chi_square"),
            (numbers(cycle(1000, 11), cycle(90, 11), true), "kolmogorov_smirnov"),
            // The current integers decide.
            (numbers(cycle(1000, 11), cycle(90, 10), true), "chi_square"),
            (numbers(cycle(1001, 11), cycle(90, 11), true), "wasserstein"),
            (numbers(cycle(1001, 7), cycle(90, 7), true), "jensen_shannon"),
            (numbers(cycle(9, 1), cycle(1, 1), false), "proportions"),
            (texts(names(1000, 3), names(6, 3)), "chi_square"),
            (texts(names(1000, 3), names(5, 3)), "text_content"),
            (texts(names(1001, 3), names(90, 3)), "jensen_shannon"),
        ];
        for (values, rule) in cases {
            let outcome = compare(&values);
            assert_eq!((outcome.rule, outcome.drifted == Some(true)), (rule, false), "{values:?}");
            assert_eq!(outcome.value.is_some(), rule != "text_content", "{outcome:?}");
        }
        for values in [numbers(vec![], vec![1.0], false), numbers(vec![1.0], vec![], true), texts(vec![], vec![])] {
            let outcome = compare(&values);
            assert_eq!((outcome.value, outcome.note, outcome.drifted), (None, Some(NOTHING), None));
        }
    }
}
