//! Line-ups: promoted, rolled back, acknowledged by those who score.

use crate::emit;
use crate::error::Error;
use crate::harm::Monitors;
use crate::judge::Turn;
use crate::probation::Probation;
use crate::state::{Champion, Reign};
use domain::{Effect, HarmReference, LineUp, Member, SourcePartition, Version};
use records::control::{Control, Promotion, PromotionCause, Run};
use records::journal::Action;
use std::collections::BTreeSet;

/// A new champion, and why.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    pub(crate) cause: PromotionCause,
    pub(crate) champion: Champion,
    pub(crate) run: Option<Run>,
    pub(crate) reasons: Vec<String>,
}

impl Turn<'_> {
    /// Obeys a command.
    pub(crate) fn obey(&mut self, action: Action) -> Result<(), Error> {
        match action {
            Action::Promote { version, trained_until_ms, reference, rows } => {
                self.promote_stored(version, trained_until_ms, &reference, rows)
            }
            Action::RollBack => self.roll_back("asked for by a command".to_owned(), PromotionCause::RollBack),
            Action::Retrain => {
                self.state.policy.asked = true;
                if self.state.judged_until_ms.is_some() { self.retrain_if_due() } else { Ok(()) }
            }
        }
    }

    fn promote_stored(
        &mut self,
        version: Version,
        trained_until_ms: i64,
        reference: &HarmReference,
        rows: u64,
    ) -> Result<(), Error> {
        let before = self.state.reign.as_ref();
        if before.is_some_and(|reign| reign.champion.version == version) {
            self.out.count("vigie.judge.commands_not_obeyed", 1);
            return Ok(());
        }
        let plan = detect::harm::plan(reference, before.map(|reign| &reign.champion.plan));
        let cause = if before.is_some() { PromotionCause::Command } else { PromotionCause::First };
        let champion = Champion { version, trained_until_ms, plan };
        if cause == PromotionCause::First {
            self.state.first = Some(champion.clone());
            self.state.first_rows = rows;
            self.state.policy.trained_until_ms = Some(trained_until_ms);
        }
        self.promote(Decision { cause, champion, run: None, reasons: Vec::new() })
    }

    /// A new champion. The replaced one stays as shadow: probation begins.
    pub(crate) fn promote(&mut self, decision: Decision) -> Result<(), Error> {
        let replaced = self.state.reign.take().map(|reign| reign.champion);
        let can_return = decision.cause != PromotionCause::RollBack;
        let before = replaced.filter(|_| can_return);
        let line_up = self.line_up(&decision.champion, before.as_ref());
        self.resolve_all()?;
        self.state.monitors = Some(Monitors::new(&decision.champion.plan, self.config));
        self.state.concept = None;
        self.state.classic = None;
        self.state.probation = before.is_some().then(Probation::new);
        self.state.policy.forget_alarm();
        let version = decision.champion.version.clone();
        let run = decision.run.as_ref().map(|run| run.run);
        let reign = Reign {
            since_promotion: line_up.promotion,
            line_up,
            champion: decision.champion,
            before,
            run: decision.run,
            acknowledged: BTreeSet::new(),
        };
        self.proclaim(reign, decision.cause, run, decision.reasons)?;
        emit::control(self.out, &Control::Alias { alias: "champion".to_owned(), version: version.clone() })?;
        self.out.effects.push(Effect::Load(version.clone()));
        self.out.effects.push(Effect::Alias { alias: "champion".to_owned(), version });
        Ok(())
    }

    /// Probation ended well: the replaced champion need not be scored any more.
    pub(crate) fn end_probation(&mut self, reason: String) -> Result<(), Error> {
        self.state.probation = None;
        let Some(reign) = self.state.reign.take() else { return Ok(()) };
        let line_up = self.line_up(&reign.champion, None);
        let reign = Reign { line_up, acknowledged: BTreeSet::new(), ..reign };
        self.proclaim(reign, PromotionCause::ProbationEnded, None, vec![reason])
    }

    /// Brings back the champion before this one, if there is one.
    pub(crate) fn roll_back(&mut self, reason: String, cause: PromotionCause) -> Result<(), Error> {
        let Some((champion, run)) =
            self.state.reign.as_ref().and_then(|reign| Some((reign.before.clone()?, reign.run.clone())))
        else {
            self.out.count("vigie.judge.commands_not_obeyed", 1);
            return Ok(());
        };
        if let Some(run) = &run {
            self.state.policy.ended(run.trigger, false);
        }
        self.promote(Decision { cause, champion, run: None, reasons: vec![reason] })
    }

    /// Champion, replaced champion, frozen first champion: each version once.
    fn line_up(&self, champion: &Champion, previous: Option<&Champion>) -> LineUp {
        let frozen = self.state.first.as_ref().filter(|_| self.config.retrain.baseline);
        let mut members: Vec<Member> = vec![champion.member()];
        for shadow in previous.into_iter().chain(frozen) {
            if members.iter().all(|member| member.version != shadow.version) {
                members.push(shadow.member());
            }
        }
        LineUp {
            promotion: self.state.promotions.saturating_add(1),
            members,
            frozen: frozen.map(|champion| champion.version.clone()),
            previous: previous.map(|champion| champion.version.clone()),
        }
    }

    fn proclaim(
        &mut self,
        reign: Reign,
        cause: PromotionCause,
        run: Option<u64>,
        reasons: Vec<String>,
    ) -> Result<(), Error> {
        self.state.promotions = reign.line_up.promotion;
        let judged_until_ms = self.state.judged_until_ms;
        let in_force = judged_until_ms.map(|judged| judged.saturating_add(self.config.lead_ms));
        let promotion = Promotion {
            cause,
            effective_from_ms: in_force.filter(|_| cause != PromotionCause::First),
            line_up: reign.line_up.clone(),
            run,
            decided_at_ms: judged_until_ms,
            reasons,
        };
        self.state.reign = Some(reign);
        emit::control(self.out, &Control::Promotion(promotion))
    }

    /// Whether some event partition may still not know the line-up decided last.
    pub(crate) fn awaits_acknowledgement(&self) -> bool {
        let reign = self.state.reign.as_ref();
        reign.is_some_and(|reign| reign.acknowledged.len() < self.config.event_partitions)
    }

    /// The owner of an event partition knows the line-up, or cannot verify a bundle of it: then
    /// the promotion is withdrawn, and the champion before it comes back.
    pub(crate) fn acknowledged(
        &mut self,
        source: SourcePartition,
        promotion: u64,
        fault: Option<String>,
    ) -> Result<(), Error> {
        let Some(reign) = self.state.reign.as_mut().filter(|reign| reign.line_up.promotion == promotion) else {
            return Ok(());
        };
        match fault {
            None => {
                reign.acknowledged.insert(source);
                Ok(())
            }
            Some(fault) if reign.line_up.previous.is_some() => {
                let reason = format!("{source} could not verify a bundle of promotion {promotion}: {fault}");
                self.roll_back(reason, PromotionCause::RollBack)
            }
            Some(_) => {
                self.out.count("vigie.judge.promotion_faults", 1);
                Ok(())
            }
        }
    }
}
