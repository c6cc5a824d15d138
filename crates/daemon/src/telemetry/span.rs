//! Alerts and runs as spans: ids and content follow from records alone, so every process makes the same.
//!
//! A span is exported once, when it ends, with its start. Receivers take no span that is open, and
//! show the same one twice if it comes twice; what an engineer on call needs at once is in the log
//! event, which carries the ids of the span that will follow. An alert that is never resolved has no span.
//!
//! A run has a trace of its own with a span per attempt: alerts name the run, so they link to the
//! first attempt, which every run has. Times are those at which the records were written: stream time
//! may lie years back in a replay, and other traces beside it do not.

use super::event;
use domain::fingerprint;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use records::alert::Alert;
use records::control::{Run, RunState, Trigger};
use records::journal::{RunOutcome, RunReport};
use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When a span starts and ends: epoch milliseconds.
pub(super) type Times = (i64, i64);

/// Context of an alert's span: the same in all states.
pub(super) fn of_alert(id: &str) -> SpanContext {
    context(id, id)
}

/// Context of the span of a run's attempt, in the trace of the run.
pub(super) fn of_run(pipeline: &str, run: u64, attempt: u32) -> SpanContext {
    let trace = format!("{pipeline}/run/{run}");
    context(&trace, &format!("{trace}/{attempt}"))
}

/// That context as W3C Trace Context writes it, for the process of the run.
pub(crate) fn traceparent(pipeline: &str, run: u64, attempt: u32) -> String {
    let context = of_run(pipeline, run, attempt);
    format!("00-{}-{}-01", context.trace_id(), context.span_id())
}

/// Ids by hashing texts; receivers refuse those that are zero.
fn context(trace: &str, span: &str) -> SpanContext {
    let trace_id = TraceId::from(fingerprint(trace.as_bytes()).max(1));
    // Hashed apart from the trace, so that it is no part of the trace's id.
    let upper = fingerprint(format!("{span}#span").as_bytes()) >> 64;
    let span_id = SpanId::from(u64::try_from(upper).unwrap_or(1).max(1));
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::default())
}

/// The span of an alert that has been resolved; `run` is the one it started. `None`: not an alert of ours.
pub(super) fn alert_span(resolved: &Alert, run: Option<u64>, pipeline: &str, times: Times) -> Option<SpanData> {
    event::event_name(resolved)?;
    let told = Alert { run, ..resolved.clone() };
    let linked = run.map(|run| of_run(pipeline, run, 1));
    let attributes = event::attributes(&told, pipeline);
    Some(span(told.name.into(), of_alert(&told.id), times, attributes, linked))
}

/// The span of an attempt that has ended; `cause` is the id of the alert that started the run.
pub(super) fn run_span(run: &Run, report: &RunReport, cause: Option<&str>, pipeline: &str, times: Times) -> SpanData {
    let mut attributes = vec![
        KeyValue::new("vigie.pipeline", pipeline.to_owned()),
        KeyValue::new("vigie.run", i64::try_from(report.run).unwrap_or(i64::MAX)),
        KeyValue::new("vigie.attempt", i64::from(report.attempt)),
        KeyValue::new("vigie.trigger", trigger(run.trigger)),
        KeyValue::new("vigie.outcome", outcome(run.state)),
    ];
    let (detail, status) = match &report.outcome {
        RunOutcome::Trained(challenger) => {
            attributes.push(KeyValue::new("vigie.version", challenger.version.to_string()));
            (challenger.verdicts.join("; "), Status::Unset)
        }
        RunOutcome::Failed { reason } => (reason.clone(), Status::error(reason.clone())),
    };
    attributes.push(KeyValue::new("vigie.detail", detail));
    let context = of_run(pipeline, report.run, report.attempt);
    let span = span("vigie.run".into(), context, times, attributes, cause.map(of_alert));
    SpanData { status, ..span }
}

fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Harm => "harm",
        Trigger::FollowUp => "follow_up",
        Trigger::NewLabels => "new_labels",
        Trigger::Schedule => "schedule",
        Trigger::Command => "command",
    }
}

fn outcome(state: RunState) -> &'static str {
    match state {
        RunState::Promoted => "promoted",
        RunState::Refused => "refused",
        // A run that is open has failed before, and is tried once more.
        RunState::Failed | RunState::Snapshot | RunState::Training => "failed",
    }
}

fn span(
    name: Cow<'static, str>,
    span_context: SpanContext,
    (from_ms, to_ms): Times,
    attributes: Vec<KeyValue>,
    linked: Option<SpanContext>,
) -> SpanData {
    let mut links = SpanLinks::default();
    links.links.extend(linked.map(Link::with_context));
    SpanData {
        span_context,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name,
        start_time: time(from_ms),
        // Two hosts wrote the records if the judge moved, and clocks differ.
        end_time: time(to_ms.max(from_ms)),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("vigie").build(),
    }
}

fn time(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::event::tests::alert;
    use records::alert::State;
    use std::collections::BTreeSet;

    #[test]
    fn ids_follow_from_the_alert_and_from_the_run() {
        let contexts =
            [of_alert("a"), of_alert("b"), of_alert(""), of_run("p", 1, 1), of_run("p", 2, 1), of_run("q", 1, 1)];
        assert!(contexts.iter().all(|c| c.is_valid() && c.is_sampled()), "{contexts:?}");
        let traces: BTreeSet<[u8; 16]> = contexts.iter().map(|c| c.trace_id().to_bytes()).collect();
        let spans: BTreeSet<[u8; 8]> = contexts.iter().map(|c| c.span_id().to_bytes()).collect();
        assert_eq!((traces.len(), spans.len()), (contexts.len(), contexts.len()));
        assert_eq!(of_alert("a"), of_alert("a"));
        // An empty text's XXH3, as the algorithm's own test vectors have it.
        assert_eq!(of_alert("").trace_id().to_string(), "99aa06d3014798d86001c324468d497f");
        let (first, second) = (of_run("p", 1, 1), of_run("p", 1, 2));
        assert_eq!(first.trace_id(), second.trace_id(), "attempts of a run are in one trace");
        assert_ne!(first.span_id(), second.span_id());
    }

    #[test]
    fn a_run_is_told_its_span_as_w3c_writes_it() {
        let (text, context) = (traceparent("p", 7, 2), of_run("p", 7, 2));
        let parts: Vec<&str> = text.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{text}");
        assert!(text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{text}");
        assert_eq!(TraceId::from_hex(parts[1]), Ok(context.trace_id()));
        assert_eq!(SpanId::from_hex(parts[2]), Ok(context.span_id()));
        assert_eq!((parts[0], parts[3]), ("00", "01"));
    }

    #[test]
    fn an_alert_is_a_span_from_raised_to_resolved_with_what_its_event_says() {
        let resolved = alert("id", "vigie.drift", State::Resolved);
        let span = alert_span(&resolved, Some(4), "p", (1_000, 3_500)).unwrap();
        assert_eq!((span.name.as_ref(), span.span_context.clone()), ("vigie.drift", of_alert("id")));
        assert_eq!((span.start_time, span.end_time), (time(1_000), time(3_500)));
        assert_eq!(span.links.iter().map(|l| l.span_context.clone()).collect::<Vec<_>>(), [of_run("p", 4, 1)]);
        assert_eq!(span.attributes, event::attributes(&Alert { run: Some(4), ..resolved.clone() }, "p"));
        let alone = alert_span(&resolved, None, "p", (2_000, 1_000)).unwrap();
        assert!(alone.links.is_empty(), "it started no run");
        assert_eq!(alone.end_time, alone.start_time, "clocks of two hosts");
        assert_eq!(alert_span(&alert("id", "other", State::Resolved), None, "p", (0, 0)), None);
    }
}
