//! The way to the receiver, and a word when it does not answer: once, not once per attempt.

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// An alert leaves after this long, unless `OTEL_BLRP_SCHEDULE_DELAY` says otherwise: it may page
/// somebody, and nobody waits for it here.
const ALERT_DELAY: Duration = Duration::from_millis(200);

/// Value of a variable, unless it is missing or empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether all telemetry is turned off.
pub(super) fn are_disabled() -> bool {
    variable("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"))
}

/// Whether a receiver is named.
pub(super) fn has_receiver() -> bool {
    variable("OTEL_EXPORTER_OTLP_ENDPOINT").is_some()
}

/// The receiver as a person may read it: without what stands before an `@`, which may be a password.
pub(super) fn receiver() -> String {
    let endpoint = variable("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_default();
    let endpoint = endpoint.rsplit_once('@').map_or(endpoint.as_str(), |(_, host)| host);
    format!("{endpoint} ({})", if is_grpc() { "grpc" } else { "http/protobuf" })
}

/// `http/protobuf` is the specification's default.
fn is_grpc() -> bool {
    variable("OTEL_EXPORTER_OTLP_PROTOCOL").is_some_and(|protocol| protocol == "grpc")
}

/// A signal is exported unless its exporter is `none`.
fn is_exported(name: &str) -> bool {
    variable(name).is_none_or(|exporter| exporter != "none")
}

/// Who sends: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win.
pub(super) fn resource() -> Resource {
    let host = variable("HOSTNAME").unwrap_or_else(|| "local".to_owned());
    let resource = Resource::builder_empty()
        .with_service_name("vigie")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", format!("{host}-{}", std::process::id())))
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match variable("OTEL_SERVICE_NAME") {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

/// The provider of log records.
pub(super) fn logs(resource: Resource, reach: Arc<Reach>) -> anyhow::Result<SdkLoggerProvider> {
    let provider = SdkLoggerProvider::builder().with_resource(resource);
    if !is_exported("OTEL_LOGS_EXPORTER") {
        return Ok(provider.build());
    }
    let builder = opentelemetry_otlp::LogExporter::builder();
    let inner = if is_grpc() {
        builder.with_tonic().build()?
    } else {
        builder.with_http().with_protocol(Protocol::HttpBinary).build()?
    };
    let batches = match variable("OTEL_BLRP_SCHEDULE_DELAY") {
        Some(_) => BatchConfigBuilder::default(),
        None => BatchConfigBuilder::default().with_scheduled_delay(ALERT_DELAY),
    };
    let processor = BatchLogProcessor::builder(Told { inner, reach }).with_batch_config(batches.build()).build();
    Ok(provider.with_log_processor(processor).build())
}

/// What takes spans, if they are exported.
pub(super) fn spans(resource: &Resource, reach: Arc<Reach>) -> anyhow::Result<Option<BatchSpanProcessor>> {
    if !has_receiver() || !is_exported("OTEL_TRACES_EXPORTER") {
        return Ok(None);
    }
    let builder = opentelemetry_otlp::SpanExporter::builder();
    let inner = if is_grpc() {
        builder.with_tonic().build()?
    } else {
        builder.with_http().with_protocol(Protocol::HttpBinary).build()?
    };
    let mut processor = BatchSpanProcessor::builder(Told { inner, reach }).build();
    processor.set_resource(resource);
    Ok(Some(processor))
}

/// The provider of metrics, which a registry shows whether or not they are exported.
pub(super) fn metrics(
    resource: Resource,
    registry: &prometheus::Registry,
    reach: Arc<Reach>,
) -> anyhow::Result<SdkMeterProvider> {
    let shown = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build()?;
    let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(shown);
    if !has_receiver() || !is_exported("OTEL_METRICS_EXPORTER") {
        return Ok(provider.build());
    }
    let builder = opentelemetry_otlp::MetricExporter::builder();
    let inner = if is_grpc() {
        builder.with_tonic().build()?
    } else {
        builder.with_http().with_protocol(Protocol::HttpBinary).build()?
    };
    Ok(provider.with_periodic_exporter(Told { inner, reach }).build())
}

/// Whether a signal arrives.
#[derive(Debug)]
pub(super) struct Reach {
    what: &'static str,
    is_failing: AtomicBool,
    failures: AtomicU64,
}

impl Reach {
    /// `what` arrives, until it fails to.
    pub(super) fn of(what: &'static str) -> Arc<Self> {
        Arc::new(Self { what, is_failing: AtomicBool::new(false), failures: AtomicU64::new(0) })
    }

    /// Attempts that failed.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::SeqCst)
    }

    /// Says the first failure, and the first success after it.
    fn tell(&self, result: &OTelSdkResult) {
        match result {
            Err(_) => {
                self.failures.fetch_add(1, Ordering::SeqCst);
                self.tell_failure(result);
            }
            Ok(()) if self.is_failing.swap(false, Ordering::SeqCst) => {
                tracing::info!("{} reach the telemetry receiver again", self.what);
            }
            Ok(()) => {}
        }
    }

    /// Says a failure, unless the last attempt failed too.
    pub(super) fn tell_failure(&self, result: &OTelSdkResult) {
        if let Err(error) = result
            && !self.is_failing.swap(true, Ordering::SeqCst)
        {
            tracing::warn!("{} do not reach the telemetry receiver, which delays nothing else: {error}", self.what);
        }
    }
}

/// An exporter whose failures are told.
#[derive(Debug)]
struct Told<E> {
    inner: E,
    reach: Arc<Reach>,
}

impl<E: LogExporter> LogExporter for Told<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let result = self.inner.export(batch).await;
        self.reach.tell(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: SpanExporter> SpanExporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.inner.export(batch).await;
        self.reach.tell(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Told<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.inner.export(metrics).await;
        self.reach.tell(&result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}
