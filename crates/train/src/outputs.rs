//! What the chosen model would say of its own training rows had it not seen them: the output's
//! reference, in the order of time.
//!
//! The newest fold alone is some days after an alarm. A few days wander themselves, and repeated to
//! the number of all rows they would pass for a certainty that is not there.

use crate::Error;
use crate::data_set::DataSet;
use crate::evaluate;
use crate::spec::Spec;
use crate::trainer::Trainer;
use crate::trials::Prepared;
use serde_json::Value;

/// Blocks of neighbouring rows; each is scored by a model of the others.
const BLOCKS: usize = 2;
/// Rows that such a model is fitted on, at most, evenly spread: the fits then cost about a quarter of
/// one on 200,000 rows.
const ROWS_MAX: usize = 25_000;

/// Row-major scores of all rows, each by a model that has not seen it; `None` where one cannot be
/// fitted (a block may hold all rows of a class) or gives no numbers. Rows later than a block are
/// learnt from as well: this is about outputs, no loss is judged by it.
pub(crate) fn out_of_fold(spec: &Spec, data: &DataSet, trainer: &dyn Trainer, parameters: &Value) -> Option<Vec<f64>> {
    let mut scores = Vec::with_capacity(data.len() * evaluate::outputs(spec.shape()));
    for block in 0..BLOCKS {
        scores.extend(of_block(spec, data, trainer, parameters, block).ok()?);
    }
    let expected = data.len() * evaluate::outputs(spec.shape());
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
