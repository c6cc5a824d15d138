//! Alerts as log events, each in the trace of its alert.

use super::span;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use records::alert::{Alert, State};

/// Emits one alert as a log event.
pub(super) fn emit(logs: &SdkLoggerProvider, alert: &Alert, pipeline: &str) {
    let Some(name) = event_name(alert) else { return };
    let logger = logs.logger("vigie");
    let mut record = logger.create_log_record();
    record.set_event_name(name);
    let (severity, text) = match alert.state {
        State::Resolved => (Severity::Info, "INFO"),
        _ if alert.tier == "page" => (Severity::Error, "ERROR"),
        _ => (Severity::Warn, "WARN"),
    };
    record.set_severity_number(severity);
    record.set_severity_text(text);
    record.set_body(AnyValue::from(format!(
        "{} in {}: {:.4} against {:.4} in the window from {}",
        name, pipeline, alert.value, alert.threshold, alert.window.start
    )));
    let context = span::of_alert(&alert.id);
    record.set_trace_context(context.trace_id(), context.span_id(), Some(context.trace_flags()));
    for attribute in attributes(alert, pipeline) {
        record.add_attribute(attribute.key, any(attribute.value));
    }
    logger.emit(record);
}

/// What is said of an alert, by its events and by its span.
pub(super) fn attributes(alert: &Alert, pipeline: &str) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("vigie.pipeline", pipeline.to_owned()),
        KeyValue::new("vigie.alert.id", alert.id.clone()),
        KeyValue::new("vigie.alert.tier", alert.tier.clone()),
        KeyValue::new("vigie.segment", alert.segment.clone()),
        KeyValue::new("vigie.version", alert.version.clone()),
        KeyValue::new("vigie.score", alert.value),
        KeyValue::new("vigie.threshold", alert.threshold),
        KeyValue::new("vigie.window.start", alert.window.start.clone()),
        KeyValue::new("vigie.window.end", alert.window.end.clone()),
        KeyValue::new("vigie.features", alert.features.join(",")),
    ];
    if !alert.example_ids.is_empty() {
        attributes.push(KeyValue::new("vigie.example_ids", alert.example_ids.join(",")));
    }
    if !alert.detail.is_empty() {
        attributes.push(KeyValue::new("vigie.detail", alert.detail.clone()));
    }
    if let Some(run) = alert.run.and_then(|run| i64::try_from(run).ok()) {
        attributes.push(KeyValue::new("vigie.run", run));
    }
    attributes
}

/// Logs have a type of value of their own.
fn any(value: Value) -> AnyValue {
    match value {
        Value::I64(value) => AnyValue::from(value),
        Value::F64(value) => AnyValue::from(value),
        Value::String(value) => AnyValue::from(value),
        other => AnyValue::from(other.to_string()),
    }
}

/// Event names are static: one per kind and state. A held alert is no event.
pub(super) fn event_name(alert: &Alert) -> Option<&'static str> {
    match (alert.name.as_str(), alert.state) {
        ("vigie.drift", State::Raised) => Some("vigie.drift.raised"),
        ("vigie.drift", State::Resolved) => Some("vigie.drift.resolved"),
        ("vigie.accuracy_loss", State::Raised) => Some("vigie.accuracy_loss.raised"),
        ("vigie.accuracy_loss", State::Resolved) => Some("vigie.accuracy_loss.resolved"),
        ("vigie.data_quality", State::Raised) => Some("vigie.data_quality.raised"),
        ("vigie.data_quality", State::Resolved) => Some("vigie.data_quality.resolved"),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An alert for tests.
    pub(in crate::telemetry) fn alert(id: &str, name: &str, state: State) -> Alert {
        Alert {
            id: id.to_owned(),
            name: name.to_owned(),
            state,
            tier: "page".to_owned(),
            window: records::window::Span {
                start: "2013-04-01T00:00:00.000Z".to_owned(),
                end: "2013-04-02T00:00:00.000Z".to_owned(),
            },
            value: 1.0,
            threshold: 0.5,
            segment: "*".to_owned(),
            version: "v".to_owned(),
            features: Vec::new(),
            example_ids: Vec::new(),
            run: None,
            detail: String::new(),
        }
    }

    #[test]
    fn an_alert_is_an_event_when_it_is_raised_and_when_it_is_resolved() {
        for name in ["vigie.drift", "vigie.accuracy_loss", "vigie.data_quality"] {
            let told = |state| event_name(&alert("id", name, state));
            assert_eq!(told(State::Raised), Some(format!("{name}.raised").as_str()));
            assert_eq!(told(State::Resolved), Some(format!("{name}.resolved").as_str()));
            assert_eq!(told(State::Held), None, "held is no news");
        }
        assert_eq!(event_name(&alert("id", "vigie.unknown", State::Raised)), None);
    }

    #[test]
    fn attributes_of_an_event_keep_their_types() {
        let raised = Alert { run: Some(3), ..alert("id", "vigie.drift", State::Raised) };
        let said = attributes(&raised, "flights");
        let of = |key: &str| said.iter().find(|a| a.key.as_str() == key).map(|a| any(a.value.clone()));
        assert_eq!(of("vigie.pipeline"), Some(AnyValue::from("flights".to_owned())));
        assert_eq!(of("vigie.score"), Some(AnyValue::Double(1.0)));
        assert_eq!(of("vigie.run"), Some(AnyValue::Int(3)));
        assert_eq!(of("vigie.detail"), None, "nothing is said of what is empty");
    }
}
