//! Concept drift: more wrong predictions, or larger errors of numbers, than the model expects.
//!
//! A model whose cases become harder says so itself; where the relation of features and label has
//! changed it does not. So this names a cause; harm is watched apart, whatever its cause.

use crate::alerts::{Evidence, Finding};
use crate::config::{BESIDE_HARM, Known};
use crate::error::Error;
use crate::harm::TEST_ROWS_MIN;
use crate::judge::Turn;
use crate::state::Slice;
use detect::harm::{Page, PageBets, gap_plan, page_threshold};
use domain::Task;
use measure::estimate::SliceGap;
use measure::{Cell, Forecast, Performance};
use serde::{Deserialize, Serialize};

/// The monitor of one champion's reign, and the rows that wait to be a test slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Concept {
    bets: PageBets,
    /// Without a threshold of its own: what it reached is part of the alert.
    page: Page,
    threshold: f64,
    from_ms: Option<i64>,
    /// Wrong predictions, or the sum of absolute errors.
    errors: f64,
    labelled: i64,
    expected: Option<Forecast>,
    /// The error that counts as 1.
    scale: f64,
}

impl Turn<'_> {
    /// A monitor of the champion, if its bundle says what the gap was on its validation fold.
    fn concept(&self, known: &Known) -> Option<Concept> {
        let gap = known.gap?;
        let bets = gap_plan(&gap);
        let budget = self.config.false_alarms;
        let alarms = budget.count * BESIDE_HARM;
        Some(Concept {
            page: Page::new(bets.clone(), f64::INFINITY),
            bets,
            threshold: page_threshold(1, budget.period_ms, self.config.slices.length_ms, alarms),
            from_ms: None,
            errors: 0.0,
            labelled: 0,
            expected: None,
            scale: gap.scale,
        })
    }

    /// Feeds the champion's mature rows, once per test slice.
    pub(crate) fn watch_concept(
        &mut self,
        start_ms: i64,
        slice: &Slice,
        (champion, worst): (&Cell, &[String]),
    ) -> Result<(), Error> {
        let Some(version) = self.state.reign.as_ref().map(|reign| reign.champion.version.clone()) else {
            return Ok(());
        };
        let expected = slice.expected.get(&("*".to_owned(), version.clone()));
        let Some((expected, errors)) = expected.zip(errors(&champion.served)) else { return Ok(()) };
        if self.state.concept.is_none() {
            let known = self.known.get(&version).cloned();
            self.state.concept = known.and_then(|known| self.concept(&known));
        }
        let Some(monitor) = self.state.concept.as_mut() else { return Ok(()) };
        monitor.errors += errors;
        monitor.labelled = monitor.labelled.saturating_add(champion.served.rows());
        match &mut monitor.expected {
            // A champion has one task.
            Some(sum) => drop(sum.merge(expected)),
            none => *none = Some(expected.clone()),
        }
        let from_ms = *monitor.from_ms.get_or_insert(start_ms);
        if monitor.labelled < TEST_ROWS_MIN {
            return Ok(());
        }
        monitor.from_ms = None;
        let (errors, labelled) = (std::mem::take(&mut monitor.errors), std::mem::take(&mut monitor.labelled));
        let expected = monitor.expected.take();
        let gap = expected.and_then(|expected| SliceGap::of(errors, labelled, &expected, monitor.scale));
        match gap {
            Some(gap) => self.step_concept((from_ms, self.config.slices.end(start_ms)), gap, worst),
            None => Ok(()),
        }
    }

    fn step_concept(&mut self, span_ms: (i64, i64), gap: SliceGap, worst: &[String]) -> Result<(), Error> {
        let Some(monitor) = self.state.concept.as_mut() else { return Ok(()) };
        let (p0, scale) = (monitor.bets.p0, monitor.scale);
        let is_of_classes = self.config.shape.task != Task::Regression;
        monitor.page.step(gap.realised, gap.estimated);
        let (capital, threshold) = (monitor.page.value(), monitor.threshold);
        let finding = Finding { name: "vigie.drift", tier: "concept", span_ms };
        if capital >= threshold {
            monitor.page = Page::new(monitor.bets.clone(), f64::INFINITY);
            let (rows, realised, estimated) = (gap.rows, gap.realised * scale, gap.estimated * scale);
            let of_slice = if is_of_classes {
                format!("{realised:.4} of {rows} labelled predictions of the newest test slice were wrong")
            } else {
                format!(
                    "the mean absolute error of {rows} labelled predictions of the newest test slice was {realised:.4}"
                )
            };
            let (were, p0) = (if is_of_classes { "were" } else { "was" }, p0 * scale);
            let detail =
                format!("{of_slice}, {estimated:.4} {were} expected; the mean difference has exceeded {p0:.4}");
            let examples = worst.to_vec();
            let evidence = Evidence { value: capital, threshold, examples, detail, ..Evidence::default() };
            return self.found(finding, evidence);
        }
        if gap.difference() <= p0 { self.quiet(finding) } else { self.not_quiet(&finding) }
    }
}

/// Wrong predictions, or the sum of absolute errors; `None` without rows.
#[allow(clippy::cast_precision_loss)]
fn errors(served: &Performance) -> Option<f64> {
    let rows = served.rows();
    let of = match served.regression() {
        Some(sums) => sums.mae()? * rows as f64,
        None => rows.saturating_sub(served.right()) as f64,
    };
    (rows > 0).then_some(of)
}
