//! Alerts: raised, held, resolved, under one id for their whole life.

use crate::emit;
use crate::error::Error;
use crate::judge::Turn;
use crate::windows::span;
use records::alert::{Alert, State as Life};
use records::time::rfc3339;
use serde::{Deserialize, Serialize};

/// Test slices in a row within the tolerance that resolve a loss of accuracy: a single good day
/// amid bad ones resolves nothing.
const QUIET_SLICES: u32 = 5;

/// What an alert is about, and the stream time that speaks of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finding {
    pub(crate) name: &'static str,
    pub(crate) tier: &'static str,
    /// Start and end.
    pub(crate) span_ms: (i64, i64),
}

/// An alert that was raised and not resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Open {
    id: String,
    name: String,
    tier: String,
    value: f64,
    threshold: f64,
    version: String,
    features: Vec<String>,
    /// Test slices in a row within the tolerance.
    quiet: u32,
}

impl Turn<'_> {
    /// A test found something: raises the alert, or holds it.
    pub(crate) fn found(
        &mut self,
        finding: Finding,
        value: f64,
        threshold: f64,
        features: Vec<String>,
    ) -> Result<(), Error> {
        let key = key(&finding);
        let (life, id) = match self.state.alerts.get(&key) {
            Some(open) => (Life::Held, open.id.clone()),
            None => (Life::Raised, self.new_id(&finding)),
        };
        let version = self.state.reign.as_ref().map(|reign| reign.champion.version.to_string()).unwrap_or_default();
        let (name, tier) = (finding.name.to_owned(), finding.tier.to_owned());
        let open = Open { id, name, tier, value, threshold, version, features, quiet: 0 };
        self.write_alert(&open, life, finding.span_ms)?;
        self.state.alerts.insert(key, open);
        Ok(())
    }

    /// A test that found something before finds nothing any more.
    pub(crate) fn not_found(&mut self, finding: Finding) -> Result<(), Error> {
        match self.state.alerts.remove(&key(&finding)) {
            Some(open) => self.write_alert(&open, Life::Resolved, finding.span_ms),
            None => Ok(()),
        }
    }

    /// A test slice within the tolerance; enough of them in a row resolve the alert.
    pub(crate) fn quiet(&mut self, finding: Finding) -> Result<(), Error> {
        let Some(open) = self.state.alerts.get_mut(&key(&finding)) else { return Ok(()) };
        open.quiet = open.quiet.saturating_add(1);
        if open.quiet < QUIET_SLICES { Ok(()) } else { self.not_found(finding) }
    }

    /// A test slice beyond the tolerance.
    pub(crate) fn not_quiet(&mut self, finding: &Finding) -> Result<(), Error> {
        if let Some(open) = self.state.alerts.get_mut(&key(finding)) {
            open.quiet = 0;
        }
        Ok(())
    }

    /// Alerts speak of one champion's reign: with its end they are resolved.
    pub(crate) fn resolve_all(&mut self) -> Result<(), Error> {
        let end_ms = self.state.judged_until_ms.unwrap_or_default();
        let span_ms = (end_ms.saturating_sub(self.config.slices.length_ms), end_ms);
        for open in std::mem::take(&mut self.state.alerts).into_values() {
            self.write_alert(&open, Life::Resolved, span_ms)?;
        }
        Ok(())
    }

    /// Readable, and the same whenever the journal is read again.
    fn new_id(&self, finding: &Finding) -> String {
        let promotion = self.state.reign.as_ref().map_or(0, |reign| reign.since_promotion);
        let Finding { name, tier, span_ms } = finding;
        format!("{}/{name}/{tier}/*/{promotion}/{}", self.config.pipeline, rfc3339(span_ms.0))
    }

    fn write_alert(&mut self, open: &Open, state: Life, span_ms: (i64, i64)) -> Result<(), Error> {
        let alert = Alert {
            id: open.id.clone(),
            name: open.name.clone(),
            state,
            tier: open.tier.clone(),
            window: span(span_ms.0, span_ms.1),
            value: open.value,
            threshold: open.threshold,
            segment: "*".to_owned(),
            version: open.version.clone(),
            features: open.features.clone(),
            example_ids: Vec::new(),
            run: self.state.run.as_ref().map(|run| run.run),
        };
        emit::alert(self.out, &alert)
    }
}

fn key(finding: &Finding) -> String {
    format!("{}/{}", finding.name, finding.tier)
}
