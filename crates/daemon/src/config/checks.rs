//! What types cannot say: bounds, and keys that must agree with one another.

use super::duration::Span;
use super::fault::nearest;
use super::file::{Config, Labels, OneOrMore};
use super::load::PROPERTIES;
use domain::{FieldType, Task, Unlabelled};
use measure::CostMatrix;

/// Faults as (dotted key, message).
type Faults = Vec<(String, String)>;

/// Checks a well-typed configuration; empty if nothing is wrong.
pub(crate) fn check(config: &Config) -> Faults {
    let mut faults = Faults::new();
    if config.version != 1 {
        faults.push(("version".into(), format!("{} is not a version this program reads; expected 1", config.version)));
    }
    name_fits_everywhere(config, &mut faults);
    classes_fit_the_task(config, &mut faults);
    labels_fit_the_task(config, &mut faults);
    columns_exist(config, &mut faults);
    accuracy_fits_the_task(config, &mut faults);
    spans_agree(config, &mut faults);
    numbers_are_in_range(config, &mut faults);
    stages_are_in_range(config, &mut faults);
    faults.extend(config.kafka.properties.literal_secrets());
    token_fits_the_mechanism(config, &mut faults);
    registry_is_supported(config, &mut faults);
    faults
}

fn name_fits_everywhere(config: &Config, faults: &mut Faults) {
    let name = &config.pipeline.name;
    let fits = (1..=40).contains(&name.len()) && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !fits {
        faults.push(("pipeline.name".into(), format!("`{name}` does not fit; expected 1 to 40 of a-z, 0-9 and -")));
    }
    let labels = config.labels.iter().map(|labels| ("labels.topic", &labels.topic));
    for (key, topic) in [("events.topic", &config.events.topic)].into_iter().chain(labels) {
        if topic.names().is_empty() || topic.names().iter().any(String::is_empty) {
            faults.push((key.into(), "names no topic; expected a name or a list of names".into()));
        }
    }
}

fn classes_fit_the_task(config: &Config, faults: &mut Faults) {
    let pipeline = &config.pipeline;
    for (key, class) in [("positive_class", &pipeline.positive_class), ("negative_class", &pipeline.negative_class)] {
        if class.is_some() && pipeline.task != Task::BinaryClassification {
            faults.push((format!("pipeline.{key}"), "is for binary_classification only".into()));
        }
    }
    if !pipeline.classes.is_empty() && !pipeline.task.has_labels() {
        faults.push(("pipeline.classes".into(), "is for multiclass_classification only".into()));
    }
    match pipeline.task {
        Task::BinaryClassification if pipeline.positive_class.is_none() => faults.push((
            "pipeline.positive_class".into(),
            "is missing; binary classification needs the label of the class whose probability is published".into(),
        )),
        Task::BinaryClassification if classes(config).is_none() => faults.push((
            "pipeline.negative_class".into(),
            "is missing and cannot be guessed from `positive_class`; expected the label of the other class".into(),
        )),
        Task::MulticlassClassification if pipeline.classes.len() < 3 => faults.push((
            "pipeline.classes".into(),
            format!("has {} classes; multiclass classification needs at least 3", pipeline.classes.len()),
        )),
        _ => {}
    }
}

/// Labels, and what only makes sense with them or without.
fn labels_fit_the_task(config: &Config, faults: &mut Faults) {
    let (task, train) = (config.pipeline.task, &config.train);
    match (&config.labels, task.has_labels()) {
        (None, true) => faults.push((
            "labels".into(),
            "is missing; expected a table that says where labels come from, or the task anomaly or clustering".into(),
        )),
        (Some(_), false) => faults.push((
            "labels".into(),
            "are not used: expected none in a task without labels, or binary_classification with the family isolation_forest"
                .into(),
        )),
        _ => {}
    }
    if config.accuracy.exact_areas && !matches!(task, Task::BinaryClassification | Task::MulticlassClassification) {
        faults.push(("accuracy.exact_areas".into(), "only classes have areas; expected false".into()));
    }
    if let Some(share) = train.anomaly_share {
        if task != Task::Anomaly {
            faults.push(("train.anomaly_share".into(), "is for the task anomaly only".into()));
        } else if !(share > 0.0 && share <= 0.5) {
            let fault = format!("{share} is out of range; expected above 0, at most 0.5");
            faults.push(("train.anomaly_share".into(), fault));
        }
    }
    if let Some(clusters) = train.clusters {
        let most = train::CLUSTERS_MAX;
        if task != Task::Clustering {
            faults.push(("train.clusters".into(), "is for the task clustering only".into()));
        } else if !(2..=most).contains(&clusters) {
            faults.push(("train.clusters".into(), format!("{clusters} is out of range; expected 2 to {most}")));
        }
    }
}

/// A transaction may be open for so long, and times out after 15 s.
fn commit_interval_is_in_range(key: &str, found: Span, faults: &mut Faults) {
    if !(1..=5_000).contains(&found.as_ms()) {
        faults.push((key.into(), format!("{found} is out of range; expected 1ms to 5s")));
    }
}

fn stages_are_in_range(config: &Config, faults: &mut Faults) {
    for (stage, settings) in config.kafka.stages.each() {
        let key = |name: &str| format!("kafka.stages.{stage}.{name}");
        // The journal has one partition.
        let most = if stage == "judge" { 1 } else { 64 };
        let sizes = [
            ("runners", Some(settings.runners), 1, most),
            ("batch_rows_max", settings.batch_rows_max, 1, 1_000_000),
            ("batch_mib_max", settings.batch_mib_max, 1, 1_024),
            ("memory_mib", settings.memory_mib, 8, 65_536),
        ];
        for (name, value, least, most) in sizes {
            if let Some(value) = value.filter(|v| !(least..=most).contains(v)) {
                faults.push((key(name), format!("{value} is out of range; expected {least} to {most}")));
            }
        }
        if let Some(interval) = settings.commit_interval {
            commit_interval_is_in_range(&key("commit_interval"), interval, faults);
        }
    }
}

/// The cost of each pair of label and prediction, if there is one that fits.
pub(crate) fn cost(config: &Config) -> Option<CostMatrix> {
    let (rows, classes) = (config.accuracy.cost.as_ref()?, classes(config)?.len());
    if !config.pipeline.task.has_labels() {
        return None;
    }
    let is_square = rows.len() == classes && rows.iter().all(|row| row.len() == classes);
    CostMatrix::new(classes, rows.concat()).ok().filter(|_| is_square)
}

fn accuracy_fits_the_task(config: &Config, faults: &mut Faults) {
    let is_regression = config.pipeline.task == Task::Regression;
    if config.accuracy.cost.is_some() && cost(config).is_none() {
        let classes = classes(config).map_or(0, |classes| classes.len());
        let fault = if classes == 0 || !config.pipeline.task.has_labels() {
            "is a table of classes that are predicted and come true; expected none in this task".to_owned()
        } else {
            format!("does not fit; expected {classes} rows of {classes} finite costs, by label, then by prediction")
        };
        faults.push(("accuracy.cost".into(), fault));
    }
    for (key, share) in [("quantile", config.accuracy.quantile), ("interval", config.accuracy.interval)] {
        let Some(share) = share else { continue };
        let key = format!("accuracy.{key}");
        if !is_regression {
            faults.push((key, "is for regression only".into()));
        } else if !(share > 0.0 && share < 1.0) {
            faults.push((key, format!("{share} is none; expected a number between 0 and 1")));
        }
    }
}

/// What is no anomaly, and what is one.
const ANOMALY_CLASSES: [&str; 2] = ["normal", "anomaly"];

/// Labels in class order: binary `[negative, positive]`, multiclass as configured, regression and clustering
/// none.
pub(crate) fn classes(config: &Config) -> Option<Vec<String>> {
    let pipeline = &config.pipeline;
    match pipeline.task {
        Task::Regression | Task::Clustering => Some(Vec::new()),
        Task::Anomaly => Some(ANOMALY_CLASSES.map(str::to_owned).to_vec()),
        Task::MulticlassClassification => Some(pipeline.classes.clone()),
        Task::BinaryClassification => {
            let positive = pipeline.positive_class.clone()?;
            let guessed = match positive.as_str() {
                "1" => Some("0"),
                "0" => Some("1"),
                "true" => Some("false"),
                "false" => Some("true"),
                "yes" => Some("no"),
                "no" => Some("yes"),
                _ => None,
            };
            let negative = pipeline.negative_class.clone().or_else(|| guessed.map(str::to_owned))?;
            Some(vec![negative, positive])
        }
    }
}

/// Names of columns that are profiled beside those of the events.
const RESERVED: [&str; 3] = ["prediction", profile::reconstruction::RECONSTRUCTION_ERROR, judge::JOINT_DISTRIBUTION];

fn columns_exist(config: &Config, faults: &mut Faults) {
    let fields = &config.events.field;
    let known = || fields.iter().map(|f| f.name.as_str());
    if fields.is_empty() {
        faults.push(("events.field".into(), "is empty; expected at least one column".into()));
    }
    for (place, field) in fields.iter().enumerate() {
        if fields.iter().take(place).any(|f| f.name == field.name) {
            faults.push((format!("events.field[{place}].name"), format!("`{}` is declared twice", field.name)));
        }
        if RESERVED.contains(&field.name.as_str()) {
            let fault =
                format!("`{}` is a column of Vigie's own, watched beside yours; expected another name", field.name);
            faults.push((format!("events.field[{place}].name"), fault));
        }
    }
    let (found, most) = (fields.len(), train::COLUMNS_TOGETHER_MAX);
    if config.alerts.multivariate != train::Multivariate::None && found > most {
        let fault = format!("{found} columns together; expected at most {most} in events.field, or none");
        faults.push(("alerts.multivariate".into(), fault));
    }
    for (place, segment) in config.segments.iter().enumerate() {
        let name = segment.name.as_str();
        if name.is_empty() || name.contains(['=', '/', '*']) {
            let fault = format!("`{name}` cannot be told from a segment's value; expected a name without =, / and *");
            faults.push((format!("segments[{place}].name"), fault));
        } else if config.segments.iter().take(place).any(|before| before.name == segment.name) {
            faults.push((format!("segments[{place}].name"), format!("`{name}` is declared twice")));
        }
        let column = fields.iter().find(|f| f.name == segment.column);
        let key = format!("segments[{place}].column");
        match column {
            Some(field) if field.field_type == FieldType::Category => {}
            Some(_) => faults.push((key, format!("`{}` is no category; a segment needs one", segment.column))),
            None => {
                let hint =
                    nearest(&segment.column, known()).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                faults.push((key, format!("`{}` is not declared in events.field{hint}", segment.column)));
            }
        }
    }
}

fn spans_agree(config: &Config, faults: &mut Faults) {
    let windows = &config.windows;
    if let Some(labels) = &config.labels {
        labels_agree(config, labels, faults);
    }
    for (key, span) in [("windows.length", windows.length), ("windows.idle_after", windows.idle_after)] {
        is_longer_than_zero(key, span, faults);
    }
    for (key, text) in [("topics.retention", &config.topics.retention), ("train.time_limit", &config.train.time_limit)]
    {
        if text != "unlimited"
            && let Err(fault) = Span::parse(text)
        {
            faults.push((key.into(), format!("{fault}, or `unlimited`")));
        }
    }
}

fn is_longer_than_zero(key: &str, span: Span, faults: &mut Faults) {
    if span.as_ms() <= 0 {
        faults.push((key.into(), format!("{span} is not longer than zero")));
    }
}

fn labels_agree(config: &Config, labels: &Labels, faults: &mut Faults) {
    is_longer_than_zero("labels.horizon", labels.horizon, faults);
    if labels.maturity > labels.horizon {
        faults.push((
            "labels.maturity".into(),
            format!("{} is longer than labels.horizon, {}", labels.maturity, labels.horizon),
        ));
    }
    if labels.unlabelled == Unlabelled::Censored && config.pipeline.task == Task::Regression {
        let fault = "`censored` is for classification only; expected `unknown`";
        faults.push(("labels.unlabelled".into(), fault.to_owned()));
    }
    if labels.unlabelled == Unlabelled::Negative {
        if config.pipeline.task != Task::BinaryClassification {
            let fault = "`negative` is for binary_classification only; expected `unknown`";
            faults.push(("labels.unlabelled".into(), fault.to_owned()));
        }
        if labels.maturity != labels.horizon {
            let fault = format!(
                "is {}, expected labels.horizon, {}: with labels.unlabelled = \"negative\" tests that run before would see positive rows alone",
                labels.maturity, labels.horizon
            );
            faults.push(("labels.maturity".into(), fault));
        }
    }
}

fn numbers_are_in_range(config: &Config, faults: &mut Faults) {
    let whole = [
        ("topics.partitions", i64::from(config.topics.partitions), 1, 1000),
        ("topics.replication", i64::from(config.topics.replication), 1, 10),
        ("kafka.batch_rows_max", i64::try_from(config.kafka.batch_rows_max).unwrap_or(i64::MAX), 1, 1_000_000),
        ("kafka.batch_mib_max", i64::try_from(config.kafka.batch_mib_max).unwrap_or(i64::MAX), 1, 1_024),
        ("kafka.memory_mib", i64::try_from(config.kafka.memory_mib).unwrap_or(i64::MAX), 8, 65_536),
        ("train.threads", i64::try_from(config.train.threads).unwrap_or(i64::MAX), 1, 1024),
        ("train.trials", i64::try_from(config.train.trials).unwrap_or(i64::MAX), 0, 10_000),
    ];
    for (key, value, least, most) in whole {
        if !(least..=most).contains(&value) {
            faults.push((key.into(), format!("{value} is out of range; expected {least} to {most}")));
        }
    }
    commit_interval_is_in_range("kafka.commit_interval", config.kafka.commit_interval, faults);
    let drain = config.kafka.drain_timeout;
    if !(1_000..=3_600_000).contains(&drain.as_ms()) {
        faults.push(("kafka.drain_timeout".into(), format!("{drain} is out of range; expected 1s to 1h")));
    }
    let shares = [
        ("retrain.cool_down", config.retrain.cool_down, 0.0, 10.0),
        ("alerts.drift_tolerance", config.alerts.drift_tolerance, 0.0, 10.0),
        ("alerts.joint_tolerance", config.alerts.joint_tolerance, 0.0, 10.0),
    ];
    for (key, value, least, most) in shares {
        if !(least..=most).contains(&value) {
            faults.push((key.into(), format!("{value} is out of range; expected {least} to {most}")));
        }
    }
    let classic = config.alerts.classic.faults();
    faults.extend(classic.into_iter().map(|(key, fault)| (format!("alerts.classic.{key}"), fault)));
    let able = train::families(config.pipeline.task);
    match &config.train.families {
        Some(families) if families.is_empty() => {
            faults.push(("train.families".into(), "is empty; expected at least one family".into()));
        }
        Some(families) => {
            for family in families.iter().filter(|family| !able.contains(&family.as_str())) {
                let fault = format!("`{family}` cannot do the task; expected {}", able.join(", "));
                faults.push(("train.families".into(), fault));
            }
        }
        None => {}
    }
}

fn token_fits_the_mechanism(config: &Config, faults: &mut Faults) {
    let properties = config.kafka.properties.literals();
    // librdkafka knows it by two names.
    let found = ["sasl.mechanism", "sasl.mechanisms"].into_iter().find_map(|key| Some((key, properties.get(key)?)));
    let shows_token = found.is_some_and(|(_, name)| name.eq_ignore_ascii_case("OAUTHBEARER"));
    match (&config.kafka.oauth_token_file, found) {
        (None, Some((key, _))) if shows_token => faults.push((
            format!("{PROPERTIES}{key}"),
            "`OAUTHBEARER` needs a token; expected the file that holds it under kafka.oauth_token_file".into(),
        )),
        (Some(file), _) if !shows_token => faults.push((
            "kafka.oauth_token_file".into(),
            format!(
                "`{}` is not used; expected \"sasl.mechanism\" = \"OAUTHBEARER\" in kafka.properties",
                file.display()
            ),
        )),
        _ => {}
    }
    // The client's own unsigned tokens would take the place of the file's.
    let unsigned = "enable.sasl.oauthbearer.unsecure.jwt";
    if shows_token && properties.get(unsigned).is_some_and(|on| on == "true") {
        faults
            .push((format!("{PROPERTIES}{unsigned}"), "`true` overrides kafka.oauth_token_file; leave it out".into()));
    }
}

fn registry_is_supported(config: &Config, faults: &mut Faults) {
    if !config.registry.url.starts_with("file:///") {
        faults.push((
            "registry.url".into(),
            format!("`{}` is not supported; expected file:/// and a folder", config.registry.url),
        ));
    }
}

impl Config {
    /// All user topics of events.
    pub(crate) fn event_topics(&self) -> Vec<String> {
        OneOrMore::names(&self.events.topic)
    }

    /// All user topics of labels; none in a task without labels.
    pub(crate) fn label_topics(&self) -> Vec<String> {
        self.labels.as_ref().map(|labels| OneOrMore::names(&labels.topic)).unwrap_or_default()
    }

    /// Longest wait for a label: none where there are none, so that a slice is final when it ends.
    pub(crate) fn horizon_ms(&self) -> i64 {
        self.labels.as_ref().map_or(0, |labels| labels.horizon.as_ms())
    }

    /// Age at which a slice's labels are tested.
    pub(crate) fn maturity_ms(&self) -> i64 {
        self.labels.as_ref().map_or(0, |labels| labels.maturity.as_ms())
    }

    /// What it means when no label comes.
    pub(crate) fn unlabelled(&self) -> Unlabelled {
        self.labels.as_ref().map_or(Unlabelled::Unknown, |labels| labels.unlabelled)
    }

    /// Families of models that are tried.
    pub(crate) fn families(&self) -> Vec<String> {
        self.train.families.clone().unwrap_or_else(|| train::default_families(self.pipeline.task))
    }

    /// Name of a derived topic, group or transactional id.
    pub(crate) fn derived(&self, role: &str) -> String {
        format!("{}{}.{role}", self.topics.prefix, self.pipeline.name)
    }
}
