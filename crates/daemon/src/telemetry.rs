//! Logs to the terminal; metrics and alerts to an OpenTelemetry receiver where one is named, and
//! metrics to whoever asks for `/metrics`.

pub(crate) mod catalogue;
mod exporters;
mod gauges;
pub(crate) mod teller;

use console::server::SharedView;
use domain::Count;
use exporters::Reach;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::metrics::{Counter, Meter, MeterProvider};
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use records::alert::{Alert, State};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where telemetry goes. Clones share it. Nothing here waits for the receiver, but [`Telemetry::stop`].
#[derive(Clone)]
pub(crate) struct Telemetry(Option<Arc<Exporters>>);

struct Exporters {
    /// `None`: no receiver is named.
    logs: Option<SdkLoggerProvider>,
    metrics: SdkMeterProvider,
    registry: prometheus::Registry,
    meter: Meter,
    counters: Mutex<BTreeMap<&'static str, Counter<u64>>>,
    alerts_reach: Arc<Reach>,
    metrics_reach: Arc<Reach>,
    // The gRPC exporters need a runtime that lives as long as they do.
    runtime: tokio::runtime::Runtime,
}

/// Starts logging to standard error and, if `OTEL_EXPORTER_OTLP_ENDPOINT` is set, exporting.
pub(crate) fn start(filter: &str) -> Telemetry {
    use tracing_subscriber::EnvFilter;
    // The SDK says each failed attempt; ours are said once ([`Reach`]).
    let filter = EnvFilter::try_new(format!("opentelemetry=off,{filter}"))
        .unwrap_or_else(|_| EnvFilter::new("opentelemetry=off,info"));
    // No layer takes these lines to the receiver: the exporters could not log about themselves.
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true).init();
    if exporters::are_disabled() {
        return Telemetry(None);
    }
    match open() {
        Ok(exporters) => Telemetry(Some(Arc::new(exporters))),
        Err(error) => {
            tracing::error!("telemetry is not exported: {error:#}");
            Telemetry(None)
        }
    }
}

fn open() -> anyhow::Result<Exporters> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let inside = runtime.enter();
    let (alerts_reach, metrics_reach) = (Reach::of("alerts"), Reach::of("metrics"));
    let logs = if exporters::has_receiver() {
        Some(exporters::logs(exporters::resource(), Arc::clone(&alerts_reach))?)
    } else {
        None
    };
    let registry = prometheus::Registry::new();
    let metrics = exporters::metrics(exporters::resource(), &registry, Arc::clone(&metrics_reach))?;
    let meter = metrics.meter("vigie");
    drop(inside);
    Ok(Exporters { logs, metrics, registry, meter, counters: Mutex::default(), alerts_reach, metrics_reach, runtime })
}

impl Telemetry {
    /// Reports what the view knows at every collection.
    pub(crate) fn observe(&self, view: &SharedView, pipeline: &str) {
        let Some(exporters) = &self.0 else { return };
        if exporters::has_receiver() {
            tracing::info!("metrics and alerts go to {}", exporters::receiver());
        }
        gauges::register(&exporters.meter, view, pipeline);
    }

    /// Emits what a committed transaction counted.
    pub(crate) fn counts(&self, counts: &[Count], pipeline: &str) {
        let Some(exporters) = &self.0 else { return };
        let mut counters = exporters.counters.lock().unwrap_or_else(PoisonError::into_inner);
        for count in counts {
            let counter =
                counters.entry(count.name).or_insert_with(|| catalogue::counter(&exporters.meter, count.name));
            let mut attributes = vec![KeyValue::new("vigie.pipeline", pipeline.to_owned())];
            if let Some((name, value)) = &count.attribute {
                attributes.push(KeyValue::new(*name, value.clone()));
            }
            counter.add(count.value, &attributes);
        }
    }

    /// Whether somebody is to be told of alerts.
    pub(crate) fn has_receiver(&self) -> bool {
        self.0.as_ref().is_some_and(|exporters| exporters.logs.is_some())
    }

    /// Metrics as `/metrics` shows them.
    pub(crate) fn prometheus(&self) -> String {
        let families = self.0.as_ref().map(|exporters| exporters.registry.gather()).unwrap_or_default();
        prometheus::TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| format!("# {error}\n"))
    }

    /// Emits alerts as log events; whether the receiver has acknowledged them all.
    pub(crate) fn alerts(&self, alerts: &[Alert], pipeline: &str) -> bool {
        let Some(exporters) = &self.0 else { return true };
        let Some(logs) = &exporters.logs else { return true };
        let failures = exporters.alerts_reach.failures();
        alerts.iter().for_each(|alert| emit(logs, alert, pipeline));
        // The batch may have left by itself: its failure shows in the count only.
        let is_flushed = logs.force_flush().is_ok() && exporters.alerts_reach.failures() == failures;
        let (name, value) = match is_flushed {
            true => ("vigie.alerts.exported", alerts.iter().filter(|alert| event_name(alert).is_some()).count() as u64),
            false => ("vigie.alerts.export_failures", 1),
        };
        self.counts(&[Count { name, attribute: None, value }], pipeline);
        is_flushed
    }

    /// Hands over what is queued: logs first, then metrics.
    pub(crate) fn stop(&self) {
        let Some(exporters) = &self.0 else { return };
        let _inside = exporters.runtime.enter();
        if let Some(logs) = &exporters.logs {
            exporters.alerts_reach.tell_failure(&logs.shutdown());
        }
        exporters.metrics_reach.tell_failure(&exporters.metrics.shutdown());
    }
}

/// Emits one alert as a log event.
fn emit(logs: &SdkLoggerProvider, alert: &Alert, pipeline: &str) {
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
    let mut attribute = |key: &'static str, value: AnyValue| record.add_attribute(Key::from_static_str(key), value);
    attribute("vigie.pipeline", pipeline.to_owned().into());
    attribute("vigie.alert.id", alert.id.clone().into());
    attribute("vigie.alert.tier", alert.tier.clone().into());
    attribute("vigie.segment", alert.segment.clone().into());
    attribute("vigie.version", alert.version.clone().into());
    attribute("vigie.score", alert.value.into());
    attribute("vigie.threshold", alert.threshold.into());
    attribute("vigie.window.start", alert.window.start.clone().into());
    attribute("vigie.window.end", alert.window.end.clone().into());
    attribute("vigie.features", alert.features.join(",").into());
    if !alert.example_ids.is_empty() {
        attribute("vigie.example_ids", alert.example_ids.join(",").into());
    }
    if !alert.detail.is_empty() {
        attribute("vigie.detail", alert.detail.clone().into());
    }
    if let Some(run) = alert.run.and_then(|run| i64::try_from(run).ok()) {
        attribute("vigie.run", run.into());
    }
    logger.emit(record);
}

/// Event names are static: one per kind and state. A held alert is no event.
fn event_name(alert: &Alert) -> Option<&'static str> {
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
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_an_event_when_it_is_raised_and_when_it_is_resolved() {
        let alert = |name: &str, state| Alert {
            id: "id".to_owned(),
            name: name.to_owned(),
            state,
            tier: "page".to_owned(),
            window: records::window::Span { start: String::new(), end: String::new() },
            value: 1.0,
            threshold: 0.5,
            segment: "*".to_owned(),
            version: "v".to_owned(),
            features: Vec::new(),
            example_ids: Vec::new(),
            run: None,
            detail: String::new(),
        };
        for name in ["vigie.drift", "vigie.accuracy_loss", "vigie.data_quality"] {
            assert_eq!(event_name(&alert(name, State::Raised)), Some(format!("{name}.raised").as_str()));
            assert_eq!(event_name(&alert(name, State::Resolved)), Some(format!("{name}.resolved").as_str()));
            assert_eq!(event_name(&alert(name, State::Held)), None, "held is no news");
        }
        assert_eq!(event_name(&alert("vigie.unknown", State::Raised)), None);
    }
}
