//! When to retrain: triggers propose, the policy decides.

use crate::error::Error;
use crate::judge::Turn;
use records::control::{Run, Trigger};
use serde::{Deserialize, Serialize};

/// What was proposed, and what earlier runs came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Policy {
    /// Start of a change that the quick monitor alarmed about and no run has answered.
    change_ms: Option<i64>,
    follow_up: Option<FollowUp>,
    /// Cut-off of the newest training, of whatever cause: new rows are those after it.
    pub(crate) trained_until_ms: Option<i64>,
    by_alarm: CoolDown,
    on_schedule: CoolDown,
    /// Somebody asked for a run that could not start at once.
    pub(crate) asked: bool,
}

/// A change whose first run had seen little of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct FollowUp {
    change_ms: i64,
    /// Rows since the change that the last run had.
    rows: u64,
}

/// Pause between runs of one kind of cause. Each kind has its own: a useless scheduled run must
/// not silence the alarm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct CoolDown {
    cut_off_ms: Option<i64>,
    /// Runs in a row that led to no better champion.
    useless: u32,
}

/// A run that the policy wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) trigger: Trigger,
    pub(crate) change_ms: Option<i64>,
    pub(crate) rows_since_change: Option<u64>,
}

impl Policy {
    /// The quick monitor alarmed. The oldest change that waits for an answer stands.
    pub(crate) fn propose(&mut self, change_ms: i64) {
        self.change_ms.get_or_insert(change_ms);
    }

    /// A new champion: what was said of the old one is void.
    pub(crate) fn forget_alarm(&mut self) {
        self.change_ms = None;
    }

    pub(crate) fn ordered(&mut self, run: &Run) {
        self.trained_until_ms = Some(run.cut_off_ms);
        match run.trigger {
            Trigger::Harm => {
                self.change_ms = None;
                self.by_alarm.cut_off_ms = Some(run.cut_off_ms);
            }
            Trigger::NewLabels | Trigger::Schedule => self.on_schedule.cut_off_ms = Some(run.cut_off_ms),
            Trigger::Command => self.asked = false,
            Trigger::FollowUp => {}
        }
        if let (Some(change_ms), Some(rows)) = (run.change_ms, run.rows_since_change) {
            self.follow_up = Some(FollowUp { change_ms, rows });
        }
    }

    /// How a run ended; a promotion that is rolled back counts as useless after all.
    pub(crate) fn ended(&mut self, trigger: Trigger, is_useful: bool) {
        let cool_down = match trigger {
            Trigger::Harm => &mut self.by_alarm,
            Trigger::NewLabels | Trigger::Schedule => &mut self.on_schedule,
            // They wait for no cool-down, so they stretch none.
            Trigger::FollowUp | Trigger::Command => return,
        };
        cool_down.useless = if is_useful { 0 } else { cool_down.useless.saturating_add(1) };
    }
}

impl Turn<'_> {
    /// Orders a run if one is due: one at a time, and not while a line-up is still spreading.
    pub(crate) fn retrain_if_due(&mut self) -> Result<(), Error> {
        if self.state.run.is_some() || self.state.reign.is_none() || self.awaits_acknowledgement() {
            return Ok(());
        }
        let proposal = self.asked().or_else(|| self.after_alarm()).or_else(|| self.follow_up());
        match proposal.or_else(|| self.new_labels()) {
            Some(proposal) => self.order(proposal),
            None => Ok(()),
        }
    }

    fn asked(&self) -> Option<Proposal> {
        let is_asked = self.state.policy.asked;
        is_asked.then_some(Proposal { trigger: Trigger::Command, change_ms: None, rows_since_change: None })
    }

    /// An alarm starts a run once there is something new to learn from.
    fn after_alarm(&self) -> Option<Proposal> {
        let (rules, policy) = (&self.config.retrain, &self.state.policy);
        let change_ms = policy.change_ms.filter(|_| rules.on_harm)?;
        let rows = self.state.rows_since(change_ms);
        let is_due = rows >= self.state.share(rules.after_change) && self.is_cool(policy.by_alarm);
        is_due.then_some(Proposal { trigger: Trigger::Harm, change_ms: Some(change_ms), rows_since_change: Some(rows) })
    }

    /// The first model after a change has seen little of it: again when the rows have doubled.
    fn follow_up(&mut self) -> Option<Proposal> {
        let last = self.state.policy.follow_up.filter(|_| self.config.retrain.follow_ups)?;
        let wanted = last.rows.saturating_mul(2).max(1);
        if wanted > self.state.share(self.config.retrain.new_labels) {
            self.state.policy.follow_up = None;
            return None;
        }
        let rows = self.state.rows_since(last.change_ms);
        let change_ms = Some(last.change_ms);
        (rows >= wanted).then_some(Proposal { trigger: Trigger::FollowUp, change_ms, rows_since_change: Some(rows) })
    }

    fn new_labels(&self) -> Option<Proposal> {
        let (rules, policy) = (&self.config.retrain, &self.state.policy);
        let since_ms = policy.trained_until_ms.filter(|_| rules.on_new_labels)?;
        let is_due =
            self.state.rows_since(since_ms) >= self.state.share(rules.new_labels) && self.is_cool(policy.on_schedule);
        is_due.then_some(Proposal { trigger: Trigger::NewLabels, change_ms: None, rows_since_change: None })
    }

    /// Cool-downs count mature rows; they double with every useless run in a row.
    fn is_cool(&self, cool_down: CoolDown) -> bool {
        let Some(cut_off_ms) = cool_down.cut_off_ms else { return true };
        let rules = &self.config.retrain;
        let doubled = rules.cool_down * f64::from(1_u32 << cool_down.useless.min(16));
        self.state.rows_since(cut_off_ms) >= self.state.share(doubled.min(rules.cool_down_max.max(rules.cool_down)))
    }
}
