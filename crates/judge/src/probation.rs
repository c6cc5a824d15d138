//! Probation: the new champion against the one it replaced, on live labels.

use crate::error::Error;
use crate::harm::TEST_ROWS_MIN;
use crate::judge::Turn;
use detect::paired::{Paired, THRESHOLD};
use measure::{Cell, PairSums};
use records::control::PromotionCause;
use serde::{Deserialize, Serialize};

/// State of a probation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Probation {
    paired: Paired,
    /// Rows that wait to be a test slice.
    waiting: PairSums,
}

impl Probation {
    pub(crate) fn new() -> Self {
        Self { paired: Paired::new(), waiting: PairSums::default() }
    }
}

impl Turn<'_> {
    /// Feeds the paired test, once per test slice: rolls back what is worse, ends what has lasted.
    pub(crate) fn watch_probation(&mut self, champion: &Cell) -> Result<(), Error> {
        let Some(probation) = self.state.probation.as_mut() else { return Ok(()) };
        probation.waiting.merge(&champion.pair);
        if probation.waiting.rows < TEST_ROWS_MIN {
            return Ok(());
        }
        let sums = std::mem::take(&mut probation.waiting);
        let (rows, mean) = (u64::try_from(sums.rows).unwrap_or(0), sums.mean_difference().unwrap_or(0.0));
        probation.paired.step(rows, &sums.worse_logs(), mean);
        let (by_rows, by_slices) = probation.paired.evidence_worse();
        let (tested, is_worse) = (probation.paired.rows(), probation.paired.is_worse(THRESHOLD));
        let numbers =
            format!("evidence of being worse {by_rows:.1} by rows, {by_slices:.1} by test slices, on {tested} rows");
        if is_worse {
            return self.roll_back(numbers, PromotionCause::RollBack);
        }
        if tested >= self.state.share(self.config.retrain.probation) {
            return self.end_probation(numbers);
        }
        Ok(())
    }
}
