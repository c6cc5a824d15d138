//! Runs: ordered, launched when the archive has passed their cut-off, reported.

use crate::emit;
use crate::error::Error;
use crate::judge::Turn;
use crate::policy::Proposal;
use crate::promotion::Decision;
use crate::state::Champion;
use domain::Effect;
use records::control::{Control, PromotionCause, Run, RunState};
use records::journal::{Challenger, RunOutcome, RunReport};

/// A failed run is tried once more.
const ATTEMPTS_MAX: u32 = 2;

impl Turn<'_> {
    /// Orders a run whose cut-off is J.
    pub(crate) fn order(&mut self, proposal: Proposal) -> Result<(), Error> {
        let (Some(reign), Some(cut_off_ms)) = (&self.state.reign, self.state.judged_until_ms) else { return Ok(()) };
        let run = Run {
            run: self.state.runs.saturating_add(1),
            attempt: 1,
            trigger: proposal.trigger,
            state: RunState::Snapshot,
            cut_off_ms,
            change_ms: proposal.change_ms,
            rows_since_change: proposal.rows_since_change,
            first_rows: self.state.first_rows,
            champion: reign.champion.version.clone(),
            report: None,
        };
        self.state.runs = run.run;
        self.state.policy.ordered(&run);
        self.set_run(run)
    }

    /// The process starts when everything it is to read is in the archive.
    pub(crate) fn launch_when_archived(&mut self) -> Result<(), Error> {
        let Some(run) = self.state.run.as_ref().filter(|run| run.state == RunState::Snapshot) else { return Ok(()) };
        if !self.state.clock.has_archived(run.cut_off_ms, self.config) {
            return Ok(());
        }
        let run = Run { state: RunState::Training, ..run.clone() };
        self.launch(&run)?;
        self.set_run(run)
    }

    /// A report of another run or attempt is nobody's.
    pub(crate) fn report(&mut self, report: RunReport) -> Result<(), Error> {
        let is_meant =
            |run: &&Run| (run.run, run.attempt) == (report.run, report.attempt) && run.state == RunState::Training;
        let Some(run) = self.state.run.as_ref().filter(is_meant).cloned() else {
            self.out.count("vigie.judge.reports_ignored", 1);
            return Ok(());
        };
        if matches!(report.outcome, RunOutcome::Failed { .. }) && run.attempt < ATTEMPTS_MAX {
            let again = Run { attempt: run.attempt.saturating_add(1), report: Some(report), ..run };
            self.launch(&again)?;
            return self.set_run(again);
        }
        let is_current = self.state.reign.as_ref().is_some_and(|reign| reign.champion.version == run.champion);
        let challenger = match &report.outcome {
            // The gate compared it with a champion that is gone: that says nothing any more.
            RunOutcome::Trained(challenger) if challenger.passed && is_current => Some(challenger.clone()),
            _ => None,
        };
        let state = match (&report.outcome, &challenger) {
            (RunOutcome::Failed { .. }, _) => RunState::Failed,
            (_, Some(_)) => RunState::Promoted,
            (_, None) => RunState::Refused,
        };
        self.state.policy.ended(run.trigger, challenger.is_some());
        let run = Run { state, report: Some(report), ..run };
        if let Some(challenger) = challenger {
            self.promote_challenger(&run, challenger)?;
        }
        self.set_run(run)
    }

    fn promote_challenger(&mut self, run: &Run, challenger: Challenger) -> Result<(), Error> {
        let before = self.state.reign.as_ref().map(|reign| &reign.champion.plan);
        let champion = Champion {
            version: challenger.version,
            trained_until_ms: challenger.trained_until_ms,
            plan: detect::harm::plan(&challenger.reference, before),
        };
        let reasons = challenger.verdicts;
        self.promote(Decision { cause: PromotionCause::Run, champion, run: Some(run.clone()), reasons })
    }

    /// Writes where the run stands; a run that has ended is remembered no more.
    fn set_run(&mut self, run: Run) -> Result<(), Error> {
        let is_open = matches!(run.state, RunState::Snapshot | RunState::Training);
        self.state.run = is_open.then(|| run.clone());
        emit::control(self.out, &Control::Run(run))
    }

    fn launch(&mut self, run: &Run) -> Result<(), Error> {
        let order = records::to_json(run)?;
        self.out.effects.push(Effect::Launch { run: run.run, attempt: run.attempt, order });
        Ok(())
    }

    /// Effects that a crash between commit and effect would have lost. All are harmless twice.
    pub(crate) fn repeat_effects(&mut self) -> Result<(), Error> {
        if !self.decides() {
            return Ok(());
        }
        if let Some(run) = self.state.run.clone().filter(|run| run.state == RunState::Training) {
            self.launch(&run)?;
        }
        if let Some(reign) = &self.state.reign {
            let version = reign.champion.version.clone();
            self.out.effects.push(Effect::Alias { alias: "champion".to_owned(), version });
        }
        Ok(())
    }
}
