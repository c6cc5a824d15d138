//! Alerts: raised, held, resolved, under one id for their whole life.

use crate::emit;
use crate::error::Error;
use crate::judge::Turn;
use crate::windows::span;
use domain::Version;
use records::alert::{Alert, State as Life};
use records::time::rfc3339;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Test slices in a row within the tolerance that resolve a loss of accuracy: a single good day
/// amid bad ones resolves nothing.
const QUIET_SLICES: u32 = 5;

/// A risen loss: what alone starts runs.
pub(crate) const ACCURACY_LOSS: &str = "vigie.accuracy_loss";

/// What an alert is about, and the stream time that speaks of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finding {
    pub(crate) name: &'static str,
    pub(crate) tier: &'static str,
    /// Start and end.
    pub(crate) span_ms: (i64, i64),
}

/// What a test found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    /// The statistic.
    pub(crate) value: f64,
    /// What it was compared with.
    pub(crate) threshold: f64,
    /// Columns or places it concerns, worst first.
    pub(crate) features: Vec<String>,
    /// Ids of some events concerned.
    pub(crate) examples: Vec<String>,
    /// For a person.
    pub(crate) detail: String,
    /// The version whose slices show it, whoever is champion by now; none: the champion.
    pub(crate) version: Option<Version>,
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
    /// It follows a version's slices, not the champion's reign.
    of_version: bool,
    features: Vec<String>,
    examples: Vec<String>,
    detail: String,
    /// Test slices in a row within the tolerance.
    quiet: u32,
}

impl Turn<'_> {
    /// A test found something: raises the alert, or holds it.
    pub(crate) fn found(&mut self, finding: Finding, evidence: Evidence) -> Result<(), Error> {
        let key = key(&finding);
        let Evidence { value, threshold, features, examples, detail, version } = evidence;
        let (life, id) = match self.state.alerts.get(&key) {
            Some(open) => (Life::Held, open.id.clone()),
            None => (Life::Raised, self.new_id(&finding, version.as_ref())),
        };
        let of_version = version.is_some();
        let champion = || self.state.reign.as_ref().map(|reign| reign.champion.version.clone());
        let version = version.or_else(champion).map(|version| version.to_string()).unwrap_or_default();
        let (name, tier) = (finding.name.to_owned(), finding.tier.to_owned());
        let open = Open { id, name, tier, value, threshold, version, of_version, features, examples, detail, quiet: 0 };
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

    /// Alerts speak of one champion's reign: with its end they are resolved. Those that follow a
    /// version's slices end with these.
    pub(crate) fn resolve_all(&mut self) -> Result<(), Error> {
        let end_ms = self.state.judged_until_ms.unwrap_or_default();
        let span_ms = (end_ms.saturating_sub(self.config.slices.length_ms), end_ms);
        let (kept, ended) = std::mem::take(&mut self.state.alerts).into_iter().partition(|(_, open)| open.of_version);
        self.state.alerts = kept;
        for open in BTreeMap::into_values(ended) {
            self.write_alert(&open, Life::Resolved, span_ms)?;
        }
        Ok(())
    }

    /// Readable, and the same whenever the journal is read again.
    fn new_id(&self, finding: &Finding, version: Option<&Version>) -> String {
        let promotion = || self.state.reign.as_ref().map_or(0, |reign| reign.since_promotion).to_string();
        let of = version.map_or_else(promotion, Version::to_string);
        let Finding { name, tier, span_ms } = finding;
        format!("{}/{name}/{tier}/*/{of}/{}", self.config.pipeline, rfc3339(span_ms.0))
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
            example_ids: open.examples.clone(),
            // Drift starts no run, and what follows a version's slices must not depend on who runs when.
            run: self.state.run.as_ref().filter(|_| open.name == ACCURACY_LOSS).map(|run| run.run),
            detail: open.detail.clone(),
        };
        emit::alert(self.out, &alert)
    }
}

fn key(finding: &Finding) -> String {
    format!("{}/{}", finding.name, finding.tier)
}
