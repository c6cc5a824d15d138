//! Alerts and attempts of runs that have begun and not ended: what a span needs that the record of its
//! end does not say.

use super::span;
use domain::{RawRecord, TopicRole};
use opentelemetry_sdk::trace::SpanData;
use records::alert::{Alert, State};
use records::control::{Control, Run, RunState, Trigger};
use records::time::rfc3339;
use std::collections::BTreeMap;

/// Alerts and attempts remembered, of each; a pipeline has a handful open.
const KEPT_MAX: usize = 10_000;

/// An alert that was raised and not resolved.
struct Life {
    raised_ms: i64,
    run: Option<u64>,
}

/// See the module.
pub(super) struct Open {
    pipeline: String,
    alerts: BTreeMap<String, Life>,
    /// Alerts that proposed a run: the id by the end of the window that raised it.
    causes: BTreeMap<String, String>,
    /// When attempts were ordered, by run and attempt.
    attempts: BTreeMap<(u64, u32), i64>,
}

impl Open {
    /// Nothing has begun.
    pub(super) fn new(pipeline: &str) -> Self {
        let pipeline = pipeline.to_owned();
        Self { pipeline, alerts: BTreeMap::new(), causes: BTreeMap::new(), attempts: BTreeMap::new() }
    }

    /// Takes a record; gives the span that ends with it. What cannot be read was not written by a judge.
    pub(super) fn observe(&mut self, role: TopicRole, record: RawRecord<'_>) -> Option<SpanData> {
        let value = record.value?;
        match role {
            TopicRole::Alerts => self.alert(&records::from_json::<Alert>(value).ok()?, record.timestamp_ms),
            TopicRole::Control => match records::from_json::<Control>(value).ok()? {
                Control::Run(run) => self.run(&run, record.timestamp_ms),
                _ => None,
            },
            _ => None,
        }
    }

    fn alert(&mut self, alert: &Alert, at_ms: i64) -> Option<SpanData> {
        if alert.state == State::Resolved {
            // Not open: a repeated record, or one whose beginning is no longer in the log.
            let life = self.alerts.remove(&alert.id)?;
            let run = alert.run.or(life.run);
            return span::alert_span(alert, run, &self.pipeline, (life.raised_ms, at_ms));
        }
        let life = self.alerts.entry(alert.id.clone()).or_insert(Life { raised_ms: at_ms, run: None });
        life.run = alert.run.or(life.run);
        if alert.state == State::Raised && alert.name == "vigie.accuracy_loss" && alert.tier == "run" {
            self.causes.insert(alert.window.end.clone(), alert.id.clone());
        }
        bound(&mut self.alerts);
        bound(&mut self.causes);
        None
    }

    /// A run's record ends the attempt it reports, and begins the one it orders.
    fn run(&mut self, run: &Run, at_ms: i64) -> Option<SpanData> {
        let reported = run.report.as_ref().and_then(|report| {
            let from_ms = self.attempts.remove(&(report.run, report.attempt))?;
            Some((report, from_ms))
        });
        if matches!(run.state, RunState::Snapshot | RunState::Training) {
            self.attempts.entry((run.run, run.attempt)).or_insert(at_ms);
            bound(&mut self.attempts);
        }
        let (report, from_ms) = reported?;
        Some(span::run_span(run, report, self.cause(run), &self.pipeline, (from_ms, at_ms)))
    }

    /// The newest alert that proposed a run before this one was ordered, if an alarm started it.
    fn cause(&self, run: &Run) -> Option<&str> {
        if run.trigger != Trigger::Harm {
            return None;
        }
        let (_, id) = self.causes.range::<String, _>(..=rfc3339(run.cut_off_ms)).next_back()?;
        Some(id)
    }
}

/// The least keys go first.
fn bound<K: Ord, V>(map: &mut BTreeMap<K, V>) {
    while map.len() > KEPT_MAX {
        map.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::event::tests::alert;
    use domain::Version;
    use records::journal::{RunOutcome, RunReport};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    const CUT_OFF: &str = "2013-04-03T00:00:00.000Z";

    fn at(ms: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(ms)
    }

    fn observe(open: &mut Open, record: &Control, timestamp_ms: i64) -> Option<SpanData> {
        let value = records::to_json(record).unwrap();
        let record = RawRecord { offset: 0, timestamp_ms, key: None, value: Some(&value) };
        open.observe(TopicRole::Control, record)
    }

    fn run(trigger: Trigger, state: RunState, attempt: u32, report: Option<RunReport>) -> Control {
        Control::Run(Run {
            run: 4,
            attempt,
            trigger,
            state,
            cut_off_ms: records::time::parse_rfc3339(CUT_OFF).unwrap(),
            change_ms: None,
            rows_since_change: None,
            first_rows: 100,
            champion: Version::new("aaaaaaaaaaaa"),
            report,
        })
    }

    fn failed(attempt: u32) -> Option<RunReport> {
        Some(RunReport { run: 4, attempt, outcome: RunOutcome::Failed { reason: "no memory".to_owned() } })
    }

    fn attribute(span: &SpanData, key: &str) -> String {
        span.attributes.iter().find(|a| a.key.as_str() == key).map(|a| a.value.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_span_of_an_alert_starts_when_it_was_raised() {
        let mut open = Open::new("p");
        let mut told = |id: &str, state, run, at_ms| {
            let record = Alert { run, ..alert(id, "vigie.drift", state) };
            let value = records::to_json(&record).unwrap();
            let record = RawRecord { offset: 0, timestamp_ms: at_ms, key: None, value: Some(&value) };
            open.observe(TopicRole::Alerts, record)
        };
        assert_eq!(told("a", State::Raised, None, 1_000), None);
        assert_eq!(told("b", State::Raised, None, 1_500), None);
        assert_eq!(told("a", State::Held, Some(4), 2_000), None);
        let span = told("a", State::Resolved, None, 9_000).unwrap();
        assert_eq!((span.start_time, span.end_time), (at(1_000), at(9_000)));
        assert_eq!(span.span_context, span::of_alert("a"));
        assert_eq!(span.links[0].span_context, span::of_run("p", 4, 1), "said while it was held");
        assert_eq!(told("a", State::Resolved, None, 9_000), None, "a repeated record");
        let span = told("b", State::Resolved, None, 9_500).unwrap();
        assert_eq!((span.start_time, span.links.len()), (at(1_500), 0));
    }

    #[test]
    fn each_attempt_of_a_run_is_a_span_and_links_to_the_alert_that_started_it() {
        let mut open = Open::new("p");
        let proposes = |id: &str, end: &str| {
            let mut raised = Alert { tier: "run".to_owned(), ..alert(id, "vigie.accuracy_loss", State::Raised) };
            raised.window.end = end.to_owned();
            raised
        };
        for (id, end) in
            [("before", "2013-04-01T00:00:00.000Z"), ("cause", CUT_OFF), ("later", "2013-04-04T00:00:00.000Z")]
        {
            assert_eq!(open.alert(&proposes(id, end), 10), None);
        }
        assert_eq!(observe(&mut open, &run(Trigger::Harm, RunState::Snapshot, 1, None), 100), None);
        assert_eq!(observe(&mut open, &run(Trigger::Harm, RunState::Training, 1, None), 150), None);
        let again = run(Trigger::Harm, RunState::Training, 2, failed(1));
        let first = observe(&mut open, &again, 300).unwrap();
        assert_eq!((first.start_time, first.end_time), (at(100), at(300)), "from the order on");
        assert_eq!(first.links[0].span_context, span::of_alert("cause"));
        assert_eq!(observe(&mut open, &again, 300), None, "a repeated record");
        let second = observe(&mut open, &run(Trigger::Harm, RunState::Failed, 2, failed(2)), 700).unwrap();
        assert_eq!((second.start_time, second.end_time), (at(300), at(700)));
        assert_eq!([&first, &second].map(|s| s.span_context.clone()), [1, 2].map(|a| span::of_run("p", 4, a)));
        let said = ["vigie.pipeline", "vigie.run", "vigie.attempt", "vigie.trigger", "vigie.outcome", "vigie.detail"]
            .map(|key| attribute(&second, key));
        assert_eq!(said, ["p", "4", "2", "harm", "failed", "no memory"]);
    }

    #[test]
    fn a_run_that_no_alert_started_links_to_none() {
        let mut open = Open::new("p");
        let raised = Alert { tier: "run".to_owned(), ..alert("a", "vigie.accuracy_loss", State::Raised) };
        open.alert(&raised, 10);
        for (trigger, links) in [(Trigger::NewLabels, 0), (Trigger::Command, 0), (Trigger::Harm, 1)] {
            observe(&mut open, &run(trigger, RunState::Snapshot, 1, None), 100);
            let span = observe(&mut open, &run(trigger, RunState::Refused, 1, failed(1)), 200).unwrap();
            assert_eq!((span.links.len(), attribute(&span, "vigie.outcome")), (links, "refused".to_owned()));
        }
    }
}
