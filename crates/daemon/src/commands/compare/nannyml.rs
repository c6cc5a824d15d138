//! What NannyML 0.13.1 would say of a column, the current file being one chunk: all its methods, with
//! the thresholds it takes from the reference.

use super::columns::{Pair, Values, present};
use super::outcome::{AlarmWhen, NOT_FINITE, NOTHING, Outcome};
use detect::distance;
use detect::parity::nannyml;

/// Parts of the reference that thresholds are taken from: `DefaultChunker` of its `chunk.py`.
const CHUNKS: usize = 10;
/// p value of the contingency test below which it alarms.
const LEVEL: f64 = 0.05;

/// All methods for this kind of column.
pub(super) fn compare(values: &Values) -> Vec<Outcome> {
    match values {
        Values::Numbers { samples, .. } => {
            let sides = Sides::new(Pair { reference: &samples.reference, current: &samples.current });
            vec![
                sides.distance("jensen_shannon", f64::INFINITY, nannyml::jensen_shannon),
                sides.distance("hellinger", f64::INFINITY, nannyml::hellinger),
                // The statistic is a share: its threshold is at most 1.
                sides.distance("kolmogorov_smirnov", 1.0, nannyml::kolmogorov_smirnov),
                sides.distance("wasserstein", f64::INFINITY, nannyml::wasserstein),
            ]
        }
        Values::Booleans(samples) => {
            categories(&Sides::new(Pair { reference: &samples.reference, current: &samples.current }))
        }
        Values::Texts(samples) => {
            categories(&Sides::new(Pair { reference: &samples.reference, current: &samples.current }))
        }
    }
}

fn categories<T: Ord>(sides: &Sides<T>) -> Vec<Outcome> {
    let jensen_shannon = |old: &[T], new: &[T]| over_counts(old, new, distance::jensen_shannon);
    let hellinger = |old: &[T], new: &[T]| over_counts(old, new, distance::hellinger);
    vec![
        sides.distance("jensen_shannon", f64::INFINITY, jensen_shannon),
        sides.distance("hellinger", f64::INFINITY, hellinger),
        sides.distance("l_infinity", f64::INFINITY, nannyml::l_infinity),
        sides.chi_square(),
    ]
}

fn over_counts<T: Ord>(old: &[T], new: &[T], distance: fn(&[u64], &[u64]) -> f64) -> f64 {
    let (old, new) = nannyml::categories(old, new);
    distance(&old, &new)
}

/// What is there of both samples, and of the reference in parts.
struct Sides<T> {
    old: Vec<T>,
    new: Vec<T>,
    /// Of a tenth of the rows each, and of those left over; none with fewer than ten rows. Parts
    /// without a value are left out, as it passes over their NaN.
    chunks: Vec<Vec<T>>,
}

impl<T> Sides<T> {
    /// Parts are cut before missing values are left out.
    fn new<I: IntoIterator<Item = Option<T>>>(rows: Pair<I>) -> Self
    where
        T: Copy,
    {
        let reference: Vec<Option<T>> = rows.reference.into_iter().collect();
        let size = reference.len() / CHUNKS;
        let parts = reference.chunks(size.max(1)).filter(|_| size > 0);
        let chunks = parts.map(|part| present(part.iter().copied())).filter(|part| !part.is_empty());
        Self { chunks: chunks.collect(), old: present(reference.iter().copied()), new: present(rows.current) }
    }

    fn is_void(&self) -> bool {
        self.old.is_empty() || self.new.is_empty()
    }

    /// A distance with its threshold from the reference, which is at most `limit`.
    fn distance(&self, rule: &'static str, limit: f64, distance: impl Fn(&[T], &[T]) -> f64) -> Outcome {
        if self.is_void() {
            return Outcome::silent(rule, NOTHING);
        }
        let value = distance(&self.old, &self.new);
        let scores: Vec<f64> = self.chunks.iter().map(|chunk| distance(&self.old, chunk)).collect();
        let threshold = (!scores.is_empty()).then(|| nannyml::thresholds(&scores).1.clamp(0.0, limit));
        Outcome {
            drifted: threshold.filter(|_| value.is_finite()).map(|threshold| value > threshold),
            note: match (value.is_finite(), threshold) {
                (false, _) => Some(NOT_FINITE),
                (true, None) => Some("no threshold: fewer than ten rows in the reference"),
                (true, Some(_)) => None,
            },
            ..Outcome::new(rule, value, threshold, AlarmWhen::Above)
        }
    }

    /// The contingency test, which has no threshold of its own.
    fn chi_square(&self) -> Outcome
    where
        T: Ord,
    {
        if self.is_void() {
            return Outcome::silent("chi_square", NOTHING);
        }
        let test = nannyml::chi_square(&self.old, &self.new);
        Outcome {
            p_value: Some(test.p_value).filter(|p| p.is_finite()),
            drifted: Some(test.p_value < LEVEL),
            ..Outcome::new("chi_square", test.statistic, Some(LEVEL), AlarmWhen::PValueBelow)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::{Pair, Values};
    use super::{NOTHING, Sides, compare};
    use arrow::array::{BooleanArray, Float64Array, StringArray};

    #[test]
    fn chunks_are_cut_as_rows_come_and_the_rest_is_one_more() {
        let cases: [(usize, &[usize]); 5] =
            [(0, &[]), (9, &[]), (10, &[1; 10]), (23, &[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]), (40, &[4; 10])];
        for (rows, expected) in cases {
            let sides = Sides::new(Pair { reference: vec![Some(0_u8); rows], current: Vec::new() });
            assert_eq!(sides.chunks.iter().map(Vec::len).collect::<Vec<_>>(), expected, "{rows} rows");
        }
        // Rows without a value count where it is cut; a chunk of nothing else says nothing.
        let reference: Vec<Option<i32>> = (0..20).map(|i| (i >= 3).then_some(i)).collect();
        let sides = Sides::new(Pair { reference, current: Vec::new() });
        assert_eq!(sides.chunks.first(), Some(&vec![3]));
        assert_eq!((sides.chunks.len(), sides.old.len()), (9, 17));
    }

    #[test]
    fn few_rows_have_no_threshold_and_nothing_is_no_value() {
        let numbers = |reference: Vec<Option<f64>>, current: Vec<Option<f64>>| Values::Numbers {
            samples: Pair { reference: Float64Array::from(reference), current: Float64Array::from(current) },
            are_integers: false,
        };
        let row = || vec![Some(1.0)];
        let no_threshold = Some("no threshold: fewer than ten rows in the reference");
        let flags = Pair { reference: BooleanArray::from(vec![true; 20]), current: BooleanArray::from(vec![true; 20]) };
        let no_texts = StringArray::from(Vec::<Option<&str>>::new());
        let texts = Pair { reference: no_texts.clone(), current: no_texts };
        // Values, the values of its methods, drifted of the first, note of the first.
        let cases = [
            (numbers(row(), row()), Some(0.0), None, no_threshold),
            (numbers(vec![Some(1.0); 30], row()), Some(0.0), Some(false), None),
            (numbers(vec![], row()), None, None, Some(NOTHING)),
            (numbers(vec![None; 30], row()), None, None, Some(NOTHING)),
            (numbers(row(), vec![None]), None, None, Some(NOTHING)),
            (Values::Booleans(flags), Some(0.0), Some(false), None),
            (Values::Texts(texts), None, None, Some(NOTHING)),
        ];
        for (values, value, drifted, note) in cases {
            let outcomes = compare(&values);
            assert_eq!(outcomes.iter().map(|o| o.value).collect::<Vec<_>>(), [value; 4], "{values:?}");
            let first = outcomes.first().unwrap();
            assert_eq!((first.drifted, first.note), (drifted, note), "{values:?}");
        }
    }
}
