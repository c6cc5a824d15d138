//! A Prometheus and an Alertmanager of the distribution's packages, and a webhook they tell.

use crate::support::vigie::root;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// What `/metrics` showed.
pub(crate) struct Scrape {
    pub(crate) text: String,
}

impl Scrape {
    pub(crate) fn of(address: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        Self { text }
    }

    /// The first series of a metric that has these labels.
    pub(crate) fn value(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let is_it = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|r| r.starts_with('{') || r.starts_with(' ')) && labels.iter().all(|l| line.contains(l))
        };
        self.text.lines().find(is_it)?.rsplit(' ').next()?.parse().ok()
    }
}

/// Both servers, stopped when this is dropped.
pub(crate) struct Alerting {
    servers: Vec<Child>,
    told: Receiver<Value>,
}

impl Alerting {
    /// Scrapes an address under the repository's rules.
    pub(crate) fn start(folder: &Path, address: &str) -> Self {
        let webhook = TcpListener::bind("127.0.0.1:0").unwrap();
        let (hook, manager, prometheus) = (webhook.local_addr().unwrap(), free(), free());
        let (sender, told) = channel();
        std::thread::spawn(move || {
            for stream in webhook.incoming().flatten() {
                for alert in alerts_of(stream) {
                    if sender.send(alert).is_err() {
                        return;
                    }
                }
            }
        });
        let file = |name: &str, text: String| {
            std::fs::write(folder.join(name), text).unwrap();
            folder.join(name).display().to_string()
        };
        let managed = file(
            "alertmanager.yaml",
            format!(
                "route: {{receiver: hook, group_wait: 0s, group_interval: 1s}}\nreceivers: [{{name: hook, webhook_configs: [{{url: 'http://{hook}/'}}]}}]\n"
            ),
        );
        let rules = root().join("config/prometheus/rules.yaml");
        let scraped = file(
            "prometheus.yaml",
            format!(
                "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nalerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{manager}']}}]}}]}}\nscrape_configs: [{{job_name: vigie, static_configs: [{{targets: ['{address}']}}]}}]\n",
                rules.display()
            ),
        );
        let data = |name: &str| folder.join(name).display().to_string();
        let servers = vec![
            server(
                "prometheus-alertmanager",
                &[
                    format!("--config.file={managed}"),
                    format!("--storage.path={}", data("alertmanager")),
                    format!("--web.listen-address=127.0.0.1:{manager}"),
                    "--cluster.listen-address=".to_owned(),
                ],
            ),
            server(
                "prometheus",
                &[
                    format!("--config.file={scraped}"),
                    format!("--storage.tsdb.path={}", data("prometheus")),
                    format!("--web.listen-address=127.0.0.1:{prometheus}"),
                ],
            ),
        ];
        Self { servers, told }
    }

    /// The first alert the webhook was told that is the one.
    pub(crate) fn first(&self, limit: Duration, is_it: impl Fn(&Value) -> bool) -> Value {
        let (began, mut others) = (Instant::now(), Vec::new());
        while let Some(left) = limit.checked_sub(began.elapsed()) {
            match self.told.recv_timeout(left) {
                Ok(alert) if is_it(&alert) => return alert,
                Ok(alert) => others.push(alert),
                Err(_) => break,
            }
        }
        panic!("the webhook was never told; it was told {others:?}");
    }
}

impl Drop for Alerting {
    fn drop(&mut self) {
        for server in &mut self.servers {
            server.kill().ok();
            server.wait().ok();
        }
    }
}

fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn server(name: &str, arguments: &[String]) -> Child {
    let mut command = Command::new(name);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| {
        panic!("{name}: {error}; install it with: apt-get install -y prometheus prometheus-alertmanager")
    })
}

/// Reads one request of Alertmanager's and answers it.
fn alerts_of(mut stream: TcpStream) -> Vec<Value> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok();
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    let body = loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break body.to_owned();
            }
        }
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => bytes.extend_from_slice(&chunk[..read]),
            _ => return Vec::new(),
        }
    };
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok();
    let told: Value = serde_json::from_str(&body).unwrap_or_default();
    told["alerts"].as_array().cloned().unwrap_or_default()
}
