//! Logs to the terminal; metrics and alerts to an OpenTelemetry receiver where one is named.

use domain::Count;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::metrics::{Counter, Meter, MeterProvider};
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use records::alert::{Alert, State};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where telemetry goes. Clones share it.
#[derive(Clone)]
pub(crate) struct Telemetry(Option<Arc<Exporters>>);

struct Exporters {
    logs: SdkLoggerProvider,
    metrics: SdkMeterProvider,
    meter: Meter,
    counters: Mutex<BTreeMap<&'static str, Counter<u64>>>,
    // The gRPC exporters need a runtime that lives as long as they do.
    runtime: tokio::runtime::Runtime,
}

/// Starts logging to standard error and, if `OTEL_EXPORTER_OTLP_ENDPOINT` is set, exporting.
pub(crate) fn start(filter: &str) -> Telemetry {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true).init();
    let wanted = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").is_ok_and(|endpoint| !endpoint.is_empty());
    let disabled = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|v| v.eq_ignore_ascii_case("true"));
    if !wanted || disabled {
        return Telemetry(None);
    }
    match exporters() {
        Ok(exporters) => Telemetry(Some(Arc::new(exporters))),
        Err(error) => {
            tracing::error!("telemetry is not exported: {error}");
            Telemetry(None)
        }
    }
}

fn exporters() -> anyhow::Result<Exporters> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let guard = runtime.enter();
    let resource = Resource::builder()
        .with_service_name("vigie")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", format!("{}", std::process::id())))
        .build();
    // `http/protobuf` is the specification's default.
    let grpc = std::env::var("OTEL_EXPORTER_OTLP_PROTOCOL").is_ok_and(|p| p == "grpc");
    let (log_exporter, metric_exporter) = if grpc {
        (
            opentelemetry_otlp::LogExporter::builder().with_tonic().build()?,
            opentelemetry_otlp::MetricExporter::builder().with_tonic().build()?,
        )
    } else {
        (
            opentelemetry_otlp::LogExporter::builder().with_http().build()?,
            opentelemetry_otlp::MetricExporter::builder().with_http().build()?,
        )
    };
    let logs = SdkLoggerProvider::builder().with_resource(resource.clone()).with_batch_exporter(log_exporter).build();
    let metrics = SdkMeterProvider::builder().with_resource(resource).with_periodic_exporter(metric_exporter).build();
    let meter = metrics.meter("vigie");
    drop(guard);
    Ok(Exporters { logs, metrics, meter, counters: Mutex::default(), runtime })
}

impl Telemetry {
    /// Emits what a committed transaction counted.
    pub(crate) fn counts(&self, counts: &[Count], pipeline: &str) {
        let Some(exporters) = &self.0 else { return };
        let mut counters = exporters.counters.lock().unwrap_or_else(PoisonError::into_inner);
        for count in counts {
            let counter =
                counters.entry(count.name).or_insert_with(|| exporters.meter.u64_counter(count.name).build());
            let mut attributes = vec![KeyValue::new("vigie.pipeline", pipeline.to_owned())];
            if let Some((name, value)) = &count.attribute {
                attributes.push(KeyValue::new(*name, value.clone()));
            }
            counter.add(count.value, &attributes);
        }
    }

    /// Emits an alert as a log event, and hands it over at once: it may page somebody.
    pub(crate) fn alert(&self, alert: &Alert, pipeline: &str) {
        let Some(exporters) = &self.0 else { return };
        let Some(name) = event_name(alert) else { return };
        let logger = exporters.logs.logger("vigie");
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
        logger.emit(record);
        if alert.state == State::Raised
            && let Err(error) = exporters.logs.force_flush()
        {
            tracing::warn!("an alert is still queued: the telemetry receiver did not take it ({error})");
        }
    }

    /// Hands over what is queued: logs first, then metrics.
    pub(crate) fn stop(&self) {
        let Some(exporters) = &self.0 else { return };
        let _inside = exporters.runtime.enter();
        if let Err(error) = exporters.logs.shutdown() {
            tracing::warn!("logs were not all exported: {error}");
        }
        if let Err(error) = exporters.metrics.shutdown() {
            tracing::warn!("metrics were not all exported: {error}");
        }
    }
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
