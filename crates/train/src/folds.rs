//! Validation folds: forward in time, purged by label delay.

use crate::data_set::DataSet;
use crate::{Cause, Error, Spec};
use std::ops::Range;

/// Rows of a fold below which nothing can be said.
pub(crate) const FOLD_ROWS_MIN: usize = 30;
/// Rows to train on below which nothing is trained.
pub(crate) const TRAINING_ROWS_MIN: usize = 60;
/// Rows from which a first training has a second fold.
const SECOND_FOLD_ROWS: usize = 20_000;

/// Rows to train on, and later rows to judge by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fold {
    pub(crate) training: Vec<u32>,
    pub(crate) test: Range<usize>,
}

/// The folds of a run, newest first. `trained_until_ms` is the champion's: it has seen earlier
/// rows, so that they cannot judge it.
pub(crate) fn plan(spec: &Spec, data: &DataSet, trained_until_ms: Option<i64>) -> Result<Vec<Fold>, Error> {
    let rows = data.len();
    let expected = (FOLD_ROWS_MIN + TRAINING_ROWS_MIN) as u64;
    if (rows as u64) < expected {
        let what = if spec.task.has_labels() { "mature labelled rows" } else { "rows before the cut-off" };
        return Err(Error::NotEnoughData { what, found: rows as u64, expected });
    }
    let size = size(spec, data).clamp(FOLD_ROWS_MIN, rows / 2);
    let mut start = rows - size;
    if let Some(until) = trained_until_ms {
        start = start.max(data.times_ms.partition_point(|&time| time < until));
    }
    let fresh = rows - start;
    if fresh < FOLD_ROWS_MIN {
        let what = if spec.task.has_labels() {
            "mature labelled rows since the champion's training"
        } else {
            "rows since the champion's training"
        };
        return Err(Error::NotEnoughData { what, found: fresh as u64, expected: FOLD_ROWS_MIN as u64 });
    }
    let mut folds = vec![fold(data, start..rows)?];
    if spec.cause == Cause::First && rows >= SECOND_FOLD_ROWS {
        folds.push(fold(data, start - size..start)?);
    }
    Ok(folds)
}

/// Rows of the newest fold by the policy: a tenth of n0; after an alarm the newest half of the
/// rows since the change, at least a fiftieth of n0.
fn size(spec: &Spec, data: &DataSet) -> usize {
    let rows = data.len();
    let first = spec.first_rows.and_then(|n| usize::try_from(n).ok()).unwrap_or(rows);
    if !spec.cause.is_alarm() {
        return first / 10;
    }
    let counted = spec.change_ms.map(|change| rows - data.times_ms.partition_point(|&time| time < change));
    let told = spec.rows_since_change.and_then(|n| usize::try_from(n).ok());
    (counted.or(told).unwrap_or(0) / 2).max(first / 50)
}

/// Trains on what was labelled when the fold began.
fn fold(data: &DataSet, test: Range<usize>) -> Result<Fold, Error> {
    let begin = data.times_ms.get(test.start).copied().unwrap_or(i64::MIN);
    let earlier = data.label_times_ms.iter().take(test.start).enumerate();
    let training: Vec<u32> =
        earlier.filter(|(_, label)| **label <= begin).filter_map(|(row, _)| u32::try_from(row).ok()).collect();
    if training.len() < TRAINING_ROWS_MIN {
        let (found, expected) = (training.len() as u64, TRAINING_ROWS_MIN as u64);
        return Err(Error::NotEnoughData { what: "rows labelled before the validation fold", found, expected });
    }
    Ok(Fold { training, test })
}
