//! What a window of Vigie would say: the population stability index against chance and tolerance.

use super::columns::Column;
use super::outcome::{AlarmWhen, NOTHING, Outcome};
use crate::config::file::Alerts;
use arrow::array::{Array, ArrayRef, RecordBatch};
use profile::{Counts, Layout};

/// Bins of a number at most, as in training.
const BINS_MAX: usize = 128;
/// Share of false findings among the columns, as among the features of a window.
const RATE: f64 = 0.05;

/// Compares all columns: p values are corrected for their number.
pub(super) fn compare(columns: &[Column]) -> anyhow::Result<Vec<Vec<Outcome>>> {
    let found = columns.iter().map(shift).collect::<anyhow::Result<Vec<Option<detect::Psi>>>>()?;
    let p_values: Vec<f64> = found.iter().flatten().map(|psi| psi.p_value).collect();
    let mut rejected = detect::benjamini_hochberg(&p_values, RATE).into_iter();
    let outcome = |psi: Option<detect::Psi>| match psi {
        Some(psi) => told(psi, rejected.next().unwrap_or(false)),
        None => Outcome::silent("psi", NOTHING),
    };
    Ok(found.into_iter().map(outcome).map(|outcome| vec![outcome]).collect())
}

fn told(psi: detect::Psi, drifted: bool) -> Outcome {
    // Without two bins there is no test, and the threshold stands for infinity.
    let is_tested = psi.bins > 1;
    Outcome {
        p_value: is_tested.then_some(psi.p_value),
        drifted: is_tested.then_some(drifted),
        note: (!is_tested).then_some("no test: too few rows for two bins"),
        ..Outcome::new("psi", psi.psi, is_tested.then_some(psi.threshold), AlarmWhen::PValueCorrected)
    }
}

/// The shift of one column, missing values being a bin of their own; `None` if a file has no rows, or
/// neither a value.
fn shift(column: &Column) -> anyhow::Result<Option<detect::Psi>> {
    let arrays = column.values.arrays();
    let is_void = |array: &ArrayRef| array.null_count() == array.len();
    if arrays.reference.is_empty() || arrays.current.is_empty() {
        return Ok(None);
    }
    if is_void(&arrays.reference) && is_void(&arrays.current) {
        return Ok(None);
    }
    let rows = |array: ArrayRef| RecordBatch::try_from_iter([(column.name.as_str(), array)]);
    let (reference, current) = (rows(arrays.reference)?, rows(arrays.current)?);
    let layout = Layout::from_rows(&reference, BINS_MAX)?;
    let (old, new) = (counts(&layout, &reference)?, counts(&layout, &current)?);
    Ok(Some(detect::psi(&old, &new, Alerts::default().drift_tolerance)))
}

fn counts(layout: &Layout, rows: &RecordBatch) -> anyhow::Result<Vec<u64>> {
    let selection: Vec<u32> = (0..u32::try_from(rows.num_rows())?).collect();
    let mut counts = Counts::default();
    layout.observe(rows, &selection, &mut counts)?;
    Ok(counts.column(0, layout.bin_count(0)))
}

#[cfg(test)]
mod tests {
    use super::super::columns::{Column, Pair, Values};
    use super::{NOTHING, compare};
    use arrow::array::Float64Array;

    fn numbers(name: &str, reference: Vec<Option<f64>>, current: Vec<Option<f64>>) -> Column {
        let samples = Pair { reference: Float64Array::from(reference), current: Float64Array::from(current) };
        Column { name: name.to_owned(), values: Values::Numbers { samples, are_integers: false } }
    }

    #[test]
    fn chance_is_no_drift_and_vanished_values_are() {
        let cycle = |rows: i32, over: i32| (0..rows).map(|i| Some(f64::from(i % over))).collect::<Vec<_>>();
        let none = vec![None; 500];
        let untested = Some("no test: too few rows for two bins");
        // Name, reference, current, drifted, note.
        let cases = [
            ("same", cycle(5000, 90), cycle(500, 90), Some(false), None),
            ("other", cycle(5000, 90), cycle(500, 45), Some(true), None),
            ("gone", cycle(5000, 90), none.clone(), Some(true), None),
            ("few rows", cycle(5000, 90), cycle(20, 90), None, untested),
            ("one value", cycle(5000, 1), cycle(500, 1), None, untested),
            ("one row", cycle(1, 1), cycle(1, 1), None, untested),
            ("no rows", cycle(5000, 90), Vec::new(), None, Some(NOTHING)),
            ("nothing", Vec::new(), cycle(500, 90), None, Some(NOTHING)),
            ("no values", none.clone(), none, None, Some(NOTHING)),
        ];
        let columns: Vec<Column> =
            cases.iter().map(|(name, old, new, ..)| numbers(name, old.clone(), new.clone())).collect();
        for (outcomes, (name, _, _, drifted, note)) in compare(&columns).unwrap().iter().zip(&cases) {
            let [outcome] = outcomes.as_slice() else { panic!("{name}: {outcomes:?}") };
            assert_eq!((outcome.drifted, outcome.note), (*drifted, *note), "{name}: {outcome:?}");
            assert_eq!(outcome.value.is_some(), *note != Some(NOTHING), "{name}: {outcome:?}");
            assert_eq!(outcome.threshold.is_some(), drifted.is_some(), "{name}: {outcome:?}");
        }
    }
}
