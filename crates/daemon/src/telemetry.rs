//! Logs to the terminal; metrics, alerts and spans to an OpenTelemetry receiver where one is named,
//! and metrics to whoever asks for `/metrics`.

pub(crate) mod catalogue;
mod event;
mod exporters;
mod gauges;
mod history;
mod open;
pub(crate) mod span;
pub(crate) mod teller;

use console::server::SharedView;
use domain::Count;
use exporters::Reach;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter, MeterProvider};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanProcessor};
use records::alert::Alert;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where telemetry goes. Clones share it. Nothing here waits for the receiver, but [`Telemetry::stop`].
#[derive(Clone)]
pub(crate) struct Telemetry(Option<Arc<Exporters>>);

struct Exporters {
    /// `None`: no receiver is named.
    logs: Option<SdkLoggerProvider>,
    /// Without a provider: our spans are made of records, with ids of their own.
    spans: Option<BatchSpanProcessor>,
    metrics: SdkMeterProvider,
    registry: prometheus::Registry,
    meter: Meter,
    counters: Mutex<BTreeMap<&'static str, Counter<u64>>>,
    alerts_reach: Arc<Reach>,
    spans_reach: Arc<Reach>,
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
    let (alerts_reach, spans_reach, metrics_reach) = (Reach::of("alerts"), Reach::of("spans"), Reach::of("metrics"));
    let logs = if exporters::has_receiver() {
        Some(exporters::logs(exporters::resource(), Arc::clone(&alerts_reach))?)
    } else {
        None
    };
    let spans = exporters::spans(&exporters::resource(), Arc::clone(&spans_reach))?;
    let registry = prometheus::Registry::new();
    let metrics = exporters::metrics(exporters::resource(), &registry, Arc::clone(&metrics_reach))?;
    let meter = metrics.meter("vigie");
    drop(inside);
    let counters = Mutex::default();
    Ok(Exporters { logs, spans, metrics, registry, meter, counters, alerts_reach, spans_reach, metrics_reach, runtime })
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

    /// Whether somebody is to be given spans.
    pub(crate) fn has_receiver_of_spans(&self) -> bool {
        self.0.as_ref().is_some_and(|exporters| exporters.spans.is_some())
    }

    /// Metrics as `/metrics` shows them.
    pub(crate) fn prometheus(&self) -> String {
        let families = self.0.as_ref().map(|exporters| exporters.registry.gather()).unwrap_or_default();
        prometheus::TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| format!("# {error}\n"))
    }

    /// Emits alerts as log events; whether the receiver has acknowledged them all.
    pub(crate) fn alerts(&self, alerts: &[Alert], pipeline: &str) -> bool {
        let Some(exporters) = &self.0 else { return true };
        let Some(logs) = exporters.logs.as_ref().filter(|_| !alerts.is_empty()) else { return true };
        let failures = exporters.alerts_reach.failures();
        alerts.iter().for_each(|alert| event::emit(logs, alert, pipeline));
        // The batch may have left by itself: its failure shows in the count only.
        let is_flushed = logs.force_flush().is_ok() && exporters.alerts_reach.failures() == failures;
        let (name, value) = match is_flushed {
            true => (
                "vigie.alerts.exported",
                alerts.iter().filter(|alert| event::event_name(alert).is_some()).count() as u64,
            ),
            false => ("vigie.alerts.export_failures", 1),
        };
        self.counts(&[Count { name, attribute: None, value }], pipeline);
        is_flushed
    }

    /// Exports spans, waiting some seconds at most. What does not arrive is counted and not repeated:
    /// no alert waits for what only explains it, and a receiver may take logs alone.
    pub(crate) fn spans(&self, spans: Vec<SpanData>, pipeline: &str) {
        let Some(exporters) = &self.0 else { return };
        let Some(processor) = exporters.spans.as_ref().filter(|_| !spans.is_empty()) else { return };
        let (value, failures) = (spans.len() as u64, exporters.spans_reach.failures());
        spans.into_iter().for_each(|span| processor.on_end(span));
        let has_arrived = processor.force_flush().is_ok() && exporters.spans_reach.failures() == failures;
        let name = if has_arrived { "vigie.spans.exported" } else { "vigie.spans.lost" };
        self.counts(&[Count { name, attribute: None, value }], pipeline);
    }

    /// Hands over what is queued: logs first, then metrics, then spans.
    pub(crate) fn stop(&self) {
        let Some(exporters) = &self.0 else { return };
        let _inside = exporters.runtime.enter();
        if let Some(logs) = &exporters.logs {
            exporters.alerts_reach.tell_failure(&logs.shutdown());
        }
        exporters.metrics_reach.tell_failure(&exporters.metrics.shutdown());
        if let Some(spans) = &exporters.spans {
            exporters.spans_reach.tell_failure(&spans.shutdown());
        }
    }
}
