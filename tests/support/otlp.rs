//! A receiver of telemetry that shares no code with the daemon's side of it.

use mock_collector::{MockServer, Protocol, ServerHandle};
use serde_json::Value;
use std::collections::BTreeMap;

/// Takes what is exported until it is dropped.
pub(crate) struct Receiver {
    runtime: tokio::runtime::Runtime,
    server: ServerHandle,
}

/// A log record as it arrived.
pub(crate) struct Log {
    /// Name of the event; empty if it is a plain line.
    pub(crate) event: String,
    /// 9 is INFO, 13 WARN, 17 ERROR.
    pub(crate) severity: i64,
    /// The trace and the span it belongs to, in hexadecimal.
    pub(crate) ids: (String, String),
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) resource: BTreeMap<String, String>,
}

/// A span as it arrived. Ids are in hexadecimal.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    /// Its own ids: of the trace, and of the span.
    pub(crate) ids: (String, String),
    /// Start and end, in nanoseconds since 1970.
    pub(crate) times: (u64, u64),
    pub(crate) attributes: BTreeMap<String, String>,
    /// Ids of the spans it links to.
    pub(crate) links: Vec<(String, String)>,
}

/// One point of a metric as it arrived.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) unit: String,
    pub(crate) value: f64,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Receiver {
    pub(crate) fn start(protocol: Protocol) -> Self {
        Self::start_at(protocol, 0)
    }

    /// At a port; 0 is any that is free.
    pub(crate) fn start_at(protocol: Protocol, port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(MockServer::builder().protocol(protocol).port(port).start()).unwrap();
        Self { runtime, server }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.server.addr())
    }

    /// Every log record, in order of arrival.
    pub(crate) fn logs(&self) -> Vec<Log> {
        let log = |received: &mock_collector::TestLogRecord| {
            let record = serde_json::to_value(received.log_record()).unwrap();
            Log {
                event: text(&record["eventName"]),
                severity: record["severityNumber"].as_i64().unwrap_or_default(),
                ids: ids(&record),
                attributes: attributes(&record["attributes"]),
                resource: attributes(&serde_json::to_value(received.resource_attrs()).unwrap()),
            }
        };
        self.runtime.block_on(self.server.with_collector(|all| all.logs().iter().map(log).collect()))
    }

    /// Every span, in order of arrival.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let span = |received: &mock_collector::TestSpan| {
            let span = serde_json::to_value(received.span()).unwrap();
            let time = |name: &str| text(&span[name]).parse::<u64>().unwrap();
            Span {
                name: text(&span["name"]),
                ids: ids(&span),
                times: (time("startTimeUnixNano"), time("endTimeUnixNano")),
                attributes: attributes(&span["attributes"]),
                links: span["links"].as_array().into_iter().flatten().map(ids).collect(),
            }
        };
        self.runtime.block_on(self.server.with_collector(|all| all.spans().iter().map(span).collect()))
    }

    /// Every export of a metric, in order of arrival: its points.
    pub(crate) fn metric(&self, name: &str) -> Vec<Vec<Point>> {
        let exports = self.runtime.block_on(self.server.with_collector(|all| {
            let metrics = all.metrics().iter().map(|m| m.metric()).filter(|m| m.name == name);
            metrics.map(|m| serde_json::to_value(m).unwrap()).collect::<Vec<Value>>()
        }));
        exports.iter().map(points).collect()
    }

    /// The names of all metrics that arrived.
    pub(crate) fn metric_names(&self) -> std::collections::BTreeSet<String> {
        self.runtime
            .block_on(self.server.with_collector(|all| all.metrics().iter().map(|m| m.metric().name.clone()).collect()))
    }
}

/// Points of a metric in OTLP's JSON form.
fn points(metric: &Value) -> Vec<Point> {
    let data =
        metric.get("gauge").or_else(|| metric.get("sum")).unwrap_or_else(|| panic!("neither gauge nor sum: {metric}"));
    let point = |point: &Value| Point {
        unit: text(&metric["unit"]),
        // 64-bit integers are strings there.
        value: point["asDouble"].as_f64().unwrap_or_else(|| text(&point["asInt"]).parse().unwrap()),
        attributes: attributes(&point["attributes"]),
    };
    data["dataPoints"].as_array().unwrap().iter().map(point).collect()
}

/// Ids of a log record, a span or a link in OTLP's JSON form.
fn ids(of: &Value) -> (String, String) {
    (text(&of["traceId"]), text(&of["spanId"]))
}

/// Attributes in OTLP's JSON form: a list of keys and typed values.
fn attributes(list: &Value) -> BTreeMap<String, String> {
    let value = |pair: &Value| pair["value"].as_object().and_then(|v| v.values().next()).map(text).unwrap_or_default();
    list.as_array().into_iter().flatten().map(|pair| (text(&pair["key"]), value(pair))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}
