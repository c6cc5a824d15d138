//! An imposed swap table: another run decided who scores what. This judge tells the same
//! promotions and keeps the same windows; it watches nothing, decides nothing and orders no run.

use crate::config::Config;
use crate::emit;
use crate::error::Error;
use crate::intake::Record;
use crate::judge::Turn;
use crate::state::State;
use records::control::Control;
use records::journal::Journal;

impl Turn<'_> {
    /// Whether line-ups are decided here.
    pub(crate) fn decides(&self) -> bool {
        self.config.imposed.is_none()
    }

    /// Tells the promotions that are not told yet, in order. The first record of the journal makes
    /// it do so, whichever that is: so it comes before any window, and once.
    pub(crate) fn tell_imposed(&mut self) -> Result<(), Error> {
        let config = self.config;
        let promotions = config.imposed.as_deref().unwrap_or_default();
        let told = promotions.partition_point(|p| p.line_up.promotion <= self.state.promotions);
        for promotion in promotions.get(told..).unwrap_or_default() {
            self.state.promotions = promotion.line_up.promotion;
            emit::control(self.out, &Control::Promotion(promotion.clone()))?;
        }
        Ok(())
    }

    /// Passes over what asks for a decision: commands, reports of runs, acknowledgements of line-ups.
    pub(crate) fn is_passed_over(&mut self, record: &Record) -> bool {
        let name = match record {
            _ if self.decides() => return false,
            Journal::Command(_) => "vigie.judge.commands_not_obeyed",
            Journal::RunReport(_) => "vigie.judge.reports_ignored",
            Journal::Acknowledged { .. } => return true,
            _ => return false,
        };
        self.out.count(name, 1);
        true
    }
}

/// A checkpoint of a pipeline that decided by itself must have decided what is imposed now.
pub(crate) fn agrees(state: &State, config: &Config) -> Result<(), Error> {
    let Some(decided) = state.reign.as_ref().map(|reign| &reign.line_up) else { return Ok(()) };
    let imposed = config.imposed.iter().flatten().map(|p| &p.line_up).find(|l| l.promotion == decided.promotion);
    match imposed.filter(|imposed| *imposed != decided) {
        None => Ok(()),
        Some(imposed) => {
            let champion =
                |line_up: &domain::LineUp| line_up.champion().map_or_else(String::new, |m| m.version.to_string());
            Err(Error::Imposed { promotion: decided.promotion, found: champion(decided), expected: champion(imposed) })
        }
    }
}
