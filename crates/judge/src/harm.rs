//! The two monitors of harm: the slow one pages people, the quick one proposes a run.

use crate::alerts::{ACCURACY_LOSS, Evidence, Finding};
use crate::config::Config;
use crate::error::Error;
use crate::judge::Turn;
use detect::harm::{Page, Plan, TRIGGER_THRESHOLD, Trigger, page_threshold};
use measure::{Cell, HarmSums, Labels};
use records::time::rfc3339;
use serde::{Deserialize, Serialize};

/// Labelled rows of a test slice, at least: adjacent slices are merged until then.
pub(crate) const TEST_ROWS_MIN: i64 = 50;
/// Newest mature rows whose label rates the prior-rate model predicts, as a share of n0.
const PRIOR_SHARE: f64 = 0.05;
/// Monitors that page people: this one.
const PAGE_MONITORS: u64 = 1;

/// Both monitors of the champion, and the rows that wait to be a test slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Monitors {
    trigger: Trigger,
    /// Without a threshold of its own: what it reached is part of the alert.
    page: Page,
    page_threshold: f64,
    waiting_since_ms: Option<i64>,
    waiting: HarmSums,
    labels: Labels,
}

impl Monitors {
    pub(crate) fn new(plan: &Plan, config: &Config) -> Self {
        let budget = config.false_alarms;
        Self {
            trigger: Trigger::new(plan.trigger.bets.len(), TRIGGER_THRESHOLD),
            page: Page::new(plan.page.clone(), f64::INFINITY),
            page_threshold: page_threshold(PAGE_MONITORS, budget.period_ms, config.slices.length_ms, budget.count),
            waiting_since_ms: None,
            waiting: HarmSums::default(),
            labels: Labels::default(),
        }
    }
}

/// What the quick monitor found: told beside the run it proposes, with a budget of its own.
fn quick(span_ms: (i64, i64)) -> Finding {
    Finding { name: ACCURACY_LOSS, tier: "run", span_ms }
}

impl Turn<'_> {
    /// Feeds both monitors, once per test slice.
    pub(crate) fn watch_harm(&mut self, start_ms: i64, champion: &Cell, worst: &[String]) -> Result<(), Error> {
        let (Some(monitors), Some(reign)) = (self.state.monitors.as_mut(), self.state.reign.as_ref()) else {
            return Ok(());
        };
        if champion.harm.rows <= 0 {
            return Ok(());
        }
        monitors.waiting.merge(&champion.harm);
        monitors.labels.merge(&champion.served.label_counts());
        let from_ms = *monitors.waiting_since_ms.get_or_insert(start_ms);
        if monitors.waiting.rows < TEST_ROWS_MIN {
            return Ok(());
        }
        monitors.waiting_since_ms = None;
        let (sums, labels) = (std::mem::take(&mut monitors.waiting), std::mem::take(&mut monitors.labels));
        let plan = reign.champion.plan.clone();

        let rows = u64::try_from(sums.rows).unwrap_or(0);
        let alarm = monitors.trigger.step(from_ms, &sums.log_sums(plan.trigger.bets.len()), rows);
        let span_ms = (from_ms, self.config.slices.end(start_ms));
        if let Some(alarm) = alarm {
            self.out.count("vigie.judge.harm_alarms", 1);
            self.state.policy.propose(alarm.change_ms);
            let detail =
                format!("pages nobody, proposes a run; the change is estimated at {}", rfc3339(alarm.change_ms));
            let (value, threshold, examples) = (alarm.value, TRIGGER_THRESHOLD, worst.to_vec());
            let evidence = Evidence { value, threshold, examples, detail, ..Evidence::default() };
            self.found(quick(span_ms), evidence)?;
        }
        if let Some(loss) = sums.mean_loss() {
            self.watch_classic(span_ms, (loss, rows), worst)?;
        }
        let prior_loss = self.prior_rates(from_ms).and_then(|rates| labels.constant_loss(&rates, plan.trigger.scale));
        match (sums.mean_loss(), prior_loss) {
            (Some(loss), Some(prior_loss)) => self.watch_page((from_ms, start_ms), (loss, prior_loss), worst),
            _ => Ok(()),
        }
    }

    fn watch_page(
        &mut self,
        (from_ms, start_ms): (i64, i64),
        (loss, prior_loss): (f64, f64),
        worst: &[String],
    ) -> Result<(), Error> {
        let (Some(monitors), Some(reign)) = (self.state.monitors.as_mut(), self.state.reign.as_ref()) else {
            return Ok(());
        };
        let bets = reign.champion.plan.page.clone();
        let is_within = loss - bets.rho * prior_loss <= bets.p0;
        monitors.page.step(loss, prior_loss);
        let (capital, threshold) = (monitors.page.value(), monitors.page_threshold);
        let span_ms = (from_ms, self.config.slices.end(start_ms));
        let finding = Finding { name: ACCURACY_LOSS, tier: "page", span_ms };
        if capital >= threshold {
            monitors.page = Page::new(bets, f64::INFINITY);
            self.out.count("vigie.judge.page_alarms", 1);
            self.settle(quick(span_ms), is_within)?;
            let examples = worst.to_vec();
            return self.found(finding, Evidence { value: capital, threshold, examples, ..Evidence::default() });
        }
        self.settle(quick(span_ms), is_within)?;
        self.settle(finding, is_within)
    }

    fn settle(&mut self, finding: Finding, is_within: bool) -> Result<(), Error> {
        if is_within { self.quiet(finding) } else { self.not_quiet(&finding) }
    }

    /// What the prior-rate model predicts for a test slice: rates of the newest n0/20 mature rows
    /// of slices before it; before there are any, those of the champion's training.
    fn prior_rates(&self, before_ms: i64) -> Option<Vec<f64>> {
        let wanted = i64::try_from(self.state.share(PRIOR_SHARE)).unwrap_or(i64::MAX);
        let mut newest = Labels::default();
        for judged in self.state.history.iter().rev().filter(|judged| judged.start_ms < before_ms) {
            if newest.rows >= wanted {
                break;
            }
            newest.merge(&judged.labels);
        }
        newest.rates().or_else(|| {
            let champion = &self.state.reign.as_ref()?.champion.version;
            self.known.get(champion).map(|known| known.class_rates.clone())
        })
    }
}
