//! The broker, the pipelines' files and the processes of `vigie`.

use super::check::Place;
use super::load::{self, EVENT_PARTITIONS, LABEL_PARTITIONS};
use super::plan::CALM;
use anyhow::{Context, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The repository's top folder.
///
/// # Errors
/// Never, unless the crate was moved.
pub fn root() -> anyhow::Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository has no top folder")?.to_path_buf())
}

/// A broker of its own, started by `scripts/kafka`, that can be frozen, killed and started again.
#[derive(Debug)]
pub struct Broker {
    data: PathBuf,
    version: Option<String>,
    is_mortal: bool,
    /// Data folder of the first broker of its cluster, unless it is that.
    joins: Option<String>,
    /// Its address, which it keeps.
    pub address: String,
}

/// A killed broker can come back after this long. One that is not to be killed has the script's minute:
/// on a loaded machine it would miss its own heartbeats, and its partitions would have no leader.
const SESSION_MS: &str = "6000";

impl Broker {
    /// Starts one of a release, or of the one tested against, with its data in a folder; `is_mortal`
    /// if it will be killed.
    ///
    /// # Errors
    /// With what the script said.
    pub fn start(data: PathBuf, version: Option<&str>, is_mortal: bool) -> anyhow::Result<Self> {
        let version = version.map(str::to_owned);
        let mut broker = Self { data, version, is_mortal, joins: None, address: String::new() };
        broker.address = broker.run(&[])?;
        Ok(broker)
    }

    /// Starts a second broker of another's cluster, node 2.
    ///
    /// # Errors
    /// With what the script said.
    pub fn join(data: PathBuf, first: &Self) -> anyhow::Result<Self> {
        let (version, cluster) = (first.version.clone(), first.data.to_string_lossy().into_owned());
        let mut broker = Self { data, version, is_mortal: false, joins: Some(cluster.clone()), address: String::new() };
        broker.address = broker.run(&["--join", &cluster])?;
        Ok(broker)
    }

    fn run(&self, more: &[&str]) -> anyhow::Result<String> {
        let session: &[&str] = if self.is_mortal { &["--session", SESSION_MS] } else { &[] };
        self.script(&[&["start", "--fast"], session, more, &["--data"]].concat())
    }

    fn script(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(root()?.join("scripts/kafka"));
        if let Some(version) = &self.version {
            command.env("VIGIE_KAFKA_VERSION", version);
        }
        let output = command
            .args(arguments)
            .arg(&self.data)
            .env("VIGIE_KAFKA_PARENT", std::process::id().to_string())
            .output()?;
        ensure!(output.status.success(), "scripts/kafka: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn pid(&self) -> anyhow::Result<u32> {
        Ok(fs::read_to_string(self.data.join("pid"))?.trim().parse()?)
    }

    /// SIGSTOP or SIGCONT.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        signal(self.pid()?, name)
    }

    /// Copies its logs, for whoever wants to know how a promise came to be broken.
    ///
    /// # Errors
    /// If they cannot be copied.
    pub fn keep_logs(&self, to: &Path) -> anyhow::Result<()> {
        let copied = Command::new("cp").arg("-r").arg(&self.data).arg(to).status()?;
        ensure!(copied.success(), "not all of the broker's logs were copied to {}", to.display());
        Ok(())
    }

    /// Transactions it has taken for complete without writing all of their markers: a defect of Kafka
    /// 4.3.1 and 4.4.0 (KAFKA-20734), which breaks transactions whoever writes them.
    #[must_use]
    pub fn markers_skipped(&self) -> u64 {
        let log = fs::read_to_string(self.data.join("server.log")).unwrap_or_default();
        log.matches("likely deleted already").count() as u64
    }

    /// kill -9 and a start on the same port and data.
    ///
    /// # Errors
    /// If it does not start again.
    pub fn crash(&self, away: Duration) -> anyhow::Result<()> {
        self.kill()?;
        std::thread::sleep(away);
        self.begin_again()
    }

    /// kill -9.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn kill(&self) -> anyhow::Result<()> {
        let pid = self.pid()?;
        signal(pid, "KILL")?;
        // Dead, though whoever adopted it may not have noticed yet.
        while !matches!(state(pid), None | Some('Z')) {
            std::thread::sleep(Duration::from_millis(20));
        }
        fs::remove_file(self.data.join("pid"))?;
        Ok(())
    }

    /// Takes it down in good order.
    ///
    /// # Errors
    /// With what the script said.
    pub fn end(&self) -> anyhow::Result<()> {
        self.script(&["stop", "--data"]).map(drop)
    }

    /// A start on the same port and data.
    ///
    /// # Errors
    /// If it does not start again.
    pub fn begin_again(&self) -> anyhow::Result<()> {
        let port = self.address.rsplit(':').next().context("an address has a port")?;
        let join: Vec<&str> = self.joins.iter().flat_map(|cluster| ["--join", cluster]).collect();
        self.run(&[&["--port", port], join.as_slice()].concat())?;
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Err(error) = self.script(&["stop", "--data"]) {
            eprintln_line(&format!("the broker was not stopped: {error:#}"));
        }
    }
}

/// A line for whoever watches.
pub fn eprintln_line(text: &str) {
    use std::io::Write;
    // Nobody is left to be told that standard error is closed.
    drop(writeln!(std::io::stderr().lock(), "prove: {text}"));
}

/// State of a process: `T` is frozen, `Z` dead; `None`: there is no such process.
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// Sends a signal.
///
/// # Errors
/// If there is no such process.
pub fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status()?;
    ensure!(status.success(), "process {pid} cannot be sent {name}");
    Ok(())
}

/// What a process is told through its environment.
#[derive(Debug, Clone, Default)]
pub struct Fault {
    /// `VIGIE_FAULT` of a build with faults.
    pub fault: Option<String>,
    /// `VIGIE_BUG` of a build with faults.
    pub bug: Option<String>,
}

/// Topics, configuration files and binaries of one proof.
#[derive(Debug)]
pub struct World {
    /// Folder of everything.
    pub folder: PathBuf,
    /// Bootstrap servers.
    pub brokers: String,
    /// The binary.
    pub binary: PathBuf,
    /// Topic of the events.
    pub events: String,
    /// Topic of the labels.
    pub labels: String,
    /// Further `[kafka.properties]` of the pipelines.
    pub properties: Vec<(String, String)>,
}

impl World {
    /// Creates the topics of the load.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn create_topics(&self) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).create()?;
        let topics = [(&self.events, EVENT_PARTITIONS), (&self.labels, LABEL_PARTITIONS)].map(|(name, partitions)| {
            NewTopic::new(name, partitions as i32, TopicReplication::Fixed(1)).set("retention.ms", "-1")
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for created in runtime.block_on(admin.create_topics(&topics, &AdminOptions::new()))? {
            created.map_err(|(topic, code)| anyhow::anyhow!("topic {topic} was not created: {code}"))?;
        }
        Ok(())
    }

    /// Where a pipeline's outputs are.
    #[must_use]
    pub fn place(&self, pipeline: &str) -> Place {
        Place { brokers: self.brokers.clone(), pipeline: pipeline.to_owned(), events: self.events.clone() }
    }

    /// A pipeline's configuration.
    #[must_use]
    pub fn config(&self, pipeline: &str) -> PathBuf {
        self.folder.join(format!("{pipeline}.toml"))
    }

    /// Writes a pipeline's configuration.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn configure(&self, pipeline: &str) -> anyhow::Result<()> {
        // Nobody disturbs the calm one: on busy cores a short session would only throw it out of its groups.
        let own = self.properties.iter().filter(|_| pipeline != CALM);
        let properties: String = own.map(|(key, value)| format!("\"{key}\" = \"{value}\"\n")).collect();
        let (brokers, events, labels) = (&self.brokers, &self.events, &self.labels);
        let registry = self.folder.join("registry");
        let registry = registry.display();
        let text = format!(
            r#"version = 1

[pipeline]
name = "{pipeline}"
task = "binary_classification"
positive_class = "1"

[kafka]
brokers = "{brokers}"
batch_rows_max = 2000

[kafka.properties]
{properties}
[events]
topic = "{events}"
id = "id"
time = "time"
time_unit = "ms"
field = [
    {{ name = "x", type = "float" }},
    {{ name = "y", type = "float" }},
    {{ name = "group", type = "category" }},
]

[labels]
topic = "{labels}"
id = "id"
value = "label"
time = "label_time"
time_unit = "ms"
horizon = "10m"
maturity = "2m"

[windows]
length = "1m"
lateness = "10s"
max_skew = "1h"
align = "20m"            # soon reached while predictions cannot be written
idle_after = "1h"          # no clock decides anything here

[[segments]]
name = "group"
column = "group"

[train]
families = ["gradient_boosting"]
trials = 0

[retrain]
on = []
baseline = true

[registry]
url = "file://{registry}"

[console]
listen = ""
"#
        );
        fs::write(self.config(pipeline), text).context("the configuration was not written")
    }

    /// Trains a champion on rows before the load.
    ///
    /// # Errors
    /// With what the program said.
    pub fn train(&self, pipeline: &str, rows: u64) -> anyhow::Result<()> {
        let (events, labels) = load::training_rows(rows);
        let files = [(self.folder.join("train.jsonl"), events), (self.folder.join("train_labels.jsonl"), labels)];
        for (file, text) in &files {
            fs::write(file, text)?;
        }
        let [(events, _), (labels, _)] = &files;
        self.run(
            pipeline,
            &["train", "--events", &events.display().to_string(), "--labels", &labels.display().to_string()],
        )?;
        Ok(())
    }

    /// Runs a command of the binary to its end and gives what it said.
    ///
    /// # Errors
    /// With what it said, if it fails.
    pub fn run(&self, pipeline: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(&self.binary).args(arguments).arg("--config").arg(self.config(pipeline)).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "vigie {arguments:?}: {}\n{said}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Writes down what the control topic of a pipeline says of its swaps, for `vigie run --swaps`.
    ///
    /// # Errors
    /// With what the program said, or if the file cannot be written.
    pub fn swap_table(&self, pipeline: &str) -> anyhow::Result<PathBuf> {
        let file = self.folder.join(format!("{pipeline}.swaps.jsonl"));
        fs::write(&file, self.run(pipeline, &["swaps"])?).context("the swap table was not written")?;
        Ok(file)
    }

    /// Starts a process of a pipeline. All processes of a pipeline share a cache, as on one host.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&self, pipeline: &str, fault: &Fault) -> anyhow::Result<Process> {
        self.start_with(pipeline, fault, None)
    }

    /// Starts a process that swaps where a table says, if there is one.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_with(&self, pipeline: &str, fault: &Fault, swaps: Option<&Path>) -> anyhow::Result<Process> {
        let log = File::options().create(true).append(true).open(self.log(pipeline))?;
        let mut command = Command::new(&self.binary);
        command.arg("run").arg("--config").arg(self.config(pipeline));
        command.arg("--cache").arg(self.folder.join(format!("{pipeline}.cache")));
        if let Some(swaps) = swaps {
            command.arg("--swaps").arg(swaps);
        }
        command.env("VIGIE_LOG", "warn,vigie=info,kafka=info");
        for (name, value) in [("VIGIE_FAULT", &fault.fault), ("VIGIE_BUG", &fault.bug)] {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        Ok(Process(command.stdout(Stdio::null()).stderr(log).spawn()?))
    }

    /// Log of all processes of a pipeline.
    #[must_use]
    pub fn log(&self, pipeline: &str) -> PathBuf {
        self.folder.join(format!("{pipeline}.log"))
    }

    /// Partitions assigned so far, by the log.
    #[must_use]
    pub fn assignments(&self, pipeline: &str) -> u64 {
        let log = fs::read_to_string(self.log(pipeline)).unwrap_or_default();
        log.matches("partition assigned").count() as u64
    }
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().ok().flatten().is_some()
    }

    /// kill -9.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// SIGTERM: it must drain and exit with 0.
    ///
    /// # Errors
    /// If it ends otherwise, or not within the default `drain_timeout` and a step that is under way then.
    pub fn terminate(mut self) -> anyhow::Result<()> {
        signal(self.pid(), "TERM")?;
        for _ in 0..450 {
            if let Some(status) = self.0.try_wait()? {
                ensure!(status.success(), "after SIGTERM the process ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the process did not drain within 45 s")
    }

    /// Resident memory.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() && self.0.kill().is_ok() {
            drop(self.0.wait());
        }
    }
}
