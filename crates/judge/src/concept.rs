//! Concept drift: more wrong predictions than the calibrated scores expect.
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
use measure::estimate::SliceGap;
use measure::{Cell, Expected, Forecast};
use serde::{Deserialize, Serialize};

/// The monitor of one champion's reign, and the rows that wait to be a test slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Concept {
    bets: PageBets,
    /// Without a threshold of its own: what it reached is part of the alert.
    page: Page,
    threshold: f64,
    from_ms: Option<i64>,
    right: i64,
    labelled: i64,
    expected: Option<Expected>,
}

impl Turn<'_> {
    /// A monitor of the champion, if its bundle says what the gap was on its validation fold.
    fn concept(&self, known: &Known) -> Option<Concept> {
        let bets = gap_plan(&known.gap?);
        let budget = self.config.false_alarms;
        let alarms = budget.count * BESIDE_HARM;
        Some(Concept {
            page: Page::new(bets.clone(), f64::INFINITY),
            bets,
            threshold: page_threshold(1, budget.period_ms, self.config.slices.length_ms, alarms),
            from_ms: None,
            right: 0,
            labelled: 0,
            expected: None,
        })
    }

    /// Feeds the champion's mature rows, once per test slice.
    pub(crate) fn watch_concept(&mut self, start_ms: i64, slice: &Slice, champion: &Cell) -> Result<(), Error> {
        let Some(version) = self.state.reign.as_ref().map(|reign| reign.champion.version.clone()) else {
            return Ok(());
        };
        let expected = slice.expected.get(&("*".to_owned(), version.clone()));
        let Some(Forecast::Classes(expected)) = expected else { return Ok(()) };
        let (labelled, right) = (champion.served.rows(), champion.served.right());
        if labelled <= 0 {
            return Ok(());
        }
        if self.state.concept.is_none() {
            let known = self.known.get(&version).cloned();
            self.state.concept = known.and_then(|known| self.concept(&known));
        }
        let Some(monitor) = self.state.concept.as_mut() else { return Ok(()) };
        monitor.right = monitor.right.saturating_add(right);
        monitor.labelled = monitor.labelled.saturating_add(labelled);
        match &mut monitor.expected {
            Some(sum) => sum.merge(expected),
            none => *none = Some(expected.clone()),
        }
        let from_ms = *monitor.from_ms.get_or_insert(start_ms);
        if monitor.labelled < TEST_ROWS_MIN {
            return Ok(());
        }
        monitor.from_ms = None;
        let (right, labelled) = (std::mem::take(&mut monitor.right), std::mem::take(&mut monitor.labelled));
        let gap = monitor.expected.take().and_then(|expected| SliceGap::of(right, labelled, &expected));
        match gap {
            Some(gap) => self.step_concept((from_ms, self.config.slices.end(start_ms)), gap),
            None => Ok(()),
        }
    }

    fn step_concept(&mut self, span_ms: (i64, i64), gap: SliceGap) -> Result<(), Error> {
        let Some(monitor) = self.state.concept.as_mut() else { return Ok(()) };
        let (realised, p0) = (gap.errors as f64 / gap.rows as f64, monitor.bets.p0);
        monitor.page.step(realised, gap.estimated);
        let (capital, threshold) = (monitor.page.value(), monitor.threshold);
        let finding = Finding { name: "vigie.drift", tier: "concept", span_ms };
        if capital >= threshold {
            monitor.page = Page::new(monitor.bets.clone(), f64::INFINITY);
            let detail = format!(
                "{:.4} of {} labelled predictions of the newest test slice were wrong, {:.4} were expected; the mean \
                 difference has exceeded {p0:.4}",
                realised, gap.rows, gap.estimated
            );
            let evidence = Evidence { value: capital, threshold, detail, ..Evidence::default() };
            return self.found(finding, evidence);
        }
        if gap.difference() <= p0 { self.quiet(finding) } else { self.not_quiet(&finding) }
    }
}
