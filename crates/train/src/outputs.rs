//! What the chosen model would say of its own training rows had it not seen them: the output's
//! reference, in the order of time.
//!
//! The newest fold alone is some days after an alarm. A few days wander themselves, and repeated to
//! the number of all rows they would pass for a certainty that is not there. Models of half of the
//! rows in turn are less sure of themselves than the one that will serve: they say how outputs
//! wander, the newest fold how sharp they are ([`sharpened`]).

use crate::Error;
use crate::data_set::DataSet;
use crate::spec::Spec;
use crate::trainer::Trainer;
use crate::trials::Prepared;
use serde_json::Value;
use std::ops::Range;

/// Blocks of neighbouring rows; each is scored by a model of the others.
const BLOCKS: usize = 2;
/// Rows that such a model is fitted on, at most, evenly spread: the fits then cost about a quarter of
/// one on 200,000 rows.
const ROWS_MAX: usize = 25_000;
/// A quantile of fewer rows is no better than the difference it is to mend.
const FOLD_ROWS_MIN: usize = 500;

/// Row-major scores of all rows, each by a model that has not seen it; `None` where one cannot be
/// fitted (a block may hold all rows of a class) or gives no numbers. Rows later than a block are
/// learnt from as well: this is about outputs, no loss is judged by it.
pub(crate) fn out_of_fold(spec: &Spec, data: &DataSet, trainer: &dyn Trainer, parameters: &Value) -> Option<Vec<f64>> {
    let mut scores = Vec::with_capacity(data.len() * spec.shape().outputs());
    for block in 0..BLOCKS {
        scores.extend(of_block(spec, data, trainer, parameters, block).ok()?);
    }
    let expected = data.len() * spec.shape().outputs();
    (scores.len() == expected && scores.iter().all(|score| score.is_finite())).then_some(scores)
}

fn of_block(
    spec: &Spec,
    data: &DataSet,
    trainer: &dyn Trainer,
    parameters: &Value,
    block: usize,
) -> Result<Vec<f64>, Error> {
    let rows = data.len();
    let (start, end) = (rows * block / BLOCKS, rows * (block + 1) / BLOCKS);
    let number = |row: usize| u32::try_from(row).ok();
    let others: Vec<u32> = (0..start).chain(end..rows).filter_map(number).collect();
    let step = others.len().div_ceil(ROWS_MAX).max(1);
    let training: Vec<u32> = others.into_iter().step_by(step).collect();
    let prepared = Prepared::new(spec, data, &training, trainer)?;
    let fit = trainer.open(prepared.rows(spec, spec.threads))?.fit(parameters)?;
    let test: Vec<u32> = (start..end).filter_map(number).collect();
    let mut scores = Vec::new();
    fit.model.predict(&prepared.preprocessor.apply(&data.take(&test)?)?, &mut scores)?;
    Ok(scores)
}

/// Scores of all rows as a sharper model would give them, known by its scores on the rows of a fold:
/// each is replaced by what stands at its place among those, so that on the fold both have one
/// distribution. Only where a row has one score, and the fold enough rows to tell.
///
/// Both models saw the same rows there, so the days of the fold being odd changes nothing.
pub(crate) fn sharpened(scores: Vec<f64>, fold: &Range<usize>, sharp: &[f64]) -> Vec<f64> {
    let dull = scores.get(fold.clone()).unwrap_or_default();
    if sharp.len() != fold.len() || dull.len() != sharp.len() || sharp.len() < FOLD_ROWS_MIN {
        return scores;
    }
    let ordered = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (dull, sharp) = (ordered(dull), ordered(sharp));
    scores.iter().map(|score| at_place_of(*score, &dull, &sharp)).collect()
}

/// The number at a score's place, the middle one among equals, between two ordered lists of one length.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn at_place_of(score: f64, dull: &[f64], sharp: &[f64]) -> f64 {
    let below = dull.partition_point(|other| *other < score);
    let not_above = dull.partition_point(|other| *other <= score);
    let place = ((below + not_above) as f64 / 2.0 - 0.5).clamp(0.0, sharp.len() as f64 - 1.0);
    let (left, share) = (place.floor() as usize, place.fract());
    let at = |index: usize| sharp.get(index).or(sharp.last()).copied().unwrap_or(score);
    at(left) + share * (at(left + 1) - at(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scores: &[f64], fold: Range<usize>, sharp: &[f64], expected: impl Fn(f64) -> f64, tolerance: f64) {
        for (before, after) in scores.iter().zip(sharpened(scores.to_vec(), &fold, sharp)) {
            assert!((after - expected(*before)).abs() <= tolerance, "{before} became {after}");
        }
    }

    #[test]
    fn outputs_are_as_sharp_as_on_the_fold_and_wander_as_before() {
        let even = |rows: u32| (0..rows).map(move |i| (f64::from(i) + 0.5) / f64::from(rows));
        let pull = |p: f64| 0.5 + 0.4 * (p - 0.5);
        let push = |p: f64| 0.5 + (p - 0.5) / 0.4;
        // The fold is the second half; the first half is higher by a tenth.
        let higher = even(2_000).map(|p| pull(0.1 + 0.8 * p));
        let scores: Vec<f64> = higher.chain(even(2_000).map(pull)).collect();
        let sharp: Vec<f64> = even(2_000).collect();
        check(&scores, 2_000..4_000, &sharp, push, 1e-3);
        // The same model changes nothing, equal scores stay equal.
        let same: Vec<f64> = (0..2_000).map(|i| f64::from(i % 5)).collect();
        check(&same, 0..2_000, &same, |p| p, 0.0);
        // A fold of a few rows, or of several scores a row, cannot tell.
        check(&scores, 3_990..4_000, &sharp[..10], |p| p, 0.0);
        check(&scores, 2_000..4_000, &sharp[..1_999], |p| p, 0.0);
    }
}
