//! Reads a configuration and says where each fault stands.

use super::fault::{Fault, nearest};
use super::file::Config;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Environment variables that begin so override the file: `VIGIE__KAFKA__BROKERS`.
const PREFIX: &str = "VIGIE";
/// Faults of type are found one after another by taking the faulty key out; this many at most.
const FAULTS_MAX: usize = 50;

/// What the paths of librdkafka's settings begin with.
pub(crate) const PROPERTIES: &str = "kafka.properties.";

/// Where keys stand: the file's text and the environment.
struct Places<'a> {
    file: &'a str,
    text: &'a str,
    environment: &'a BTreeMap<String, String>,
}

/// Loads and checks a configuration; `environment` holds the process's variables.
///
/// # Errors
/// Every fault found, in the order of the file where that is known.
pub(crate) fn load(path: &Path, environment: &BTreeMap<String, String>) -> Result<Config, Vec<Fault>> {
    let file = path.display().to_string();
    let whole = |message: String| vec![Fault { place: file.clone(), key: String::new(), message }];
    let text = std::fs::read_to_string(path).map_err(|e| whole(format!("cannot be read: {e}")))?;
    let places = Places { file: &file, text: &text, environment };
    let tree = merge(&places).map_err(whole)?;
    let mut config = typed(tree, &places)?;
    let unresolved = config.kafka.properties.resolve(environment);
    let faults: Vec<Fault> = unresolved
        .into_iter()
        .chain(super::checks::check(&config))
        .map(|(key, message)| Fault { place: places.of(&key), key, message })
        .collect();
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

fn merge(places: &Places<'_>) -> Result<Value, String> {
    let variables: config::Map<String, String> =
        places.environment.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let environment = config::Environment::with_prefix(PREFIX)
        .prefix_separator("__")
        .separator("__")
        .try_parsing(true)
        .source(Some(variables));
    let yaml = places.file.ends_with(".yaml") || places.file.ends_with(".yml");
    let format = if yaml { config::FileFormat::Yaml } else { config::FileFormat::Toml };
    config::Config::builder()
        .add_source(config::File::from_str(places.text, format))
        .add_source(environment)
        .build()
        .and_then(config::Config::try_deserialize::<Value>)
        .map_err(|e| e.to_string())
}

/// Deserialises, taking out each faulty key and trying again, so that one run tells all faults.
fn typed(mut tree: Value, places: &Places<'_>) -> Result<Config, Vec<Fault>> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut removed: Vec<String> = Vec::new();
    for _ in 0..FAULTS_MAX {
        let fault = match serde_path_to_error::deserialize::<_, Config>(tree.clone()) {
            Ok(config) if faults.is_empty() => return Ok(config),
            Ok(_) => break,
            Err(fault) => fault,
        };
        let message = fault.inner().to_string();
        let mut key = fault.path().to_string();
        if key == "." {
            key.clear();
        }
        let quoted = message.split('`').nth(1).unwrap_or_default();
        let is_about_key = message.starts_with("unknown field") || message.starts_with("missing field");
        if is_about_key && key.rsplit('.').next() != Some(quoted) {
            key = if key.is_empty() { quoted.to_owned() } else { format!("{key}.{quoted}") };
        }
        if message.starts_with("missing field") {
            if !removed.contains(&key) {
                let place = places.of(&key);
                faults.push(Fault { place, key, message: "is missing".to_owned() });
            }
            break;
        }
        let place = places.of(&key);
        let removable = remove(&mut tree, &key);
        faults.push(Fault { place, key: key.clone(), message: explain(&message) });
        removed.push(key);
        if !removable {
            break;
        }
    }
    Err(faults)
}

/// Adds "did you mean" to serde's message about an unknown word.
fn explain(message: &str) -> String {
    let mut words = message.split('`').skip(1).step_by(2);
    let is_unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    match (is_unknown, words.next()) {
        (true, Some(word)) => match nearest(word, words) {
            Some(known) => format!("{message}; did you mean `{known}`?"),
            None => message.to_owned(),
        },
        _ => message.to_owned(),
    }
}

/// The segments of a path such as `events.field[2].name`. Names of librdkafka have dots themselves.
fn segments(key: &str) -> impl Iterator<Item = &str> {
    let (key, name) = key.split_once(PROPERTIES).map_or((key, None), |(_, name)| ("kafka.properties", Some(name)));
    key.split(['.', '[', ']']).filter(|segment| !segment.is_empty()).chain(name)
}

fn remove(tree: &mut Value, key: &str) -> bool {
    let parts: Vec<&str> = segments(key).collect();
    let Some((last, parents)) = parts.split_last() else { return false };
    let mut at = tree;
    for part in parents {
        let next = match at {
            Value::Object(map) => map.get_mut(*part),
            Value::Array(list) => part.parse::<usize>().ok().and_then(|i| list.get_mut(i)),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return false,
        }
    }
    match at {
        Value::Object(map) => map.remove(*last).is_some(),
        Value::Array(list) => match last.parse::<usize>() {
            Ok(i) if i < list.len() => {
                list.remove(i);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

impl Places<'_> {
    /// Where a key stands: the variable that set it, else line and column in the file.
    fn of(&self, key: &str) -> String {
        let variable = segments(key).fold(PREFIX.to_owned(), |name, part| format!("{name}__{}", part.to_uppercase()));
        if self.environment.contains_key(&variable) {
            return variable;
        }
        match self.offset(key) {
            Some(offset) => {
                let before = self.text.get(..offset).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
                format!("{}:{line}:{column}", self.file)
            }
            None => self.file.to_owned(),
        }
    }

    /// Byte offset of the key, or of the nearest parent that the file has.
    fn offset(&self, key: &str) -> Option<usize> {
        use toml::de::{DeTable, DeValue};
        let document = DeTable::parse(self.text).ok()?;
        let mut found = None;
        let mut table = Some(document.get_ref());
        let mut array: Option<&toml::de::DeArray<'_>> = None;
        for part in segments(key) {
            let value = if let Some(list) = array {
                let value = part.parse::<usize>().ok().and_then(|i| list.get(i));
                found = value.map(|v| v.span().start).or(found);
                value
            } else {
                let entry = table.and_then(|t| t.iter().find(|(name, _)| name.get_ref() == part));
                found = entry.map(|(name, _)| name.span().start).or(found);
                entry.map(|(_, value)| value)
            };
            (table, array) = match value.map(|v| v.get_ref()) {
                Some(DeValue::Table(t)) => (Some(t), None),
                Some(DeValue::Array(a)) => (None, Some(a)),
                _ => return found,
            };
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::load;
    use std::collections::BTreeMap;
    use std::io::Write;

    const GOOD: &str = r#"version = 1
[pipeline]
name = "p"
task = "binary_classification"
positive_class = "1"
[kafka]
brokers = "localhost:9092"
[events]
topic = "e"
id = "id"
time = "time"
field = [{ name = "x", type = "float" }]
[labels]
topic = "l"
id = "id"
value = "y"
horizon = "3d"
maturity = "12h"
[registry]
url = "file:///tmp/r"
"#;

    /// Each case: text taken out, text put in, environment, faults expected as `place: key: start of message`.
    fn check(replace: (&str, &str), environment: &[(&str, &str)], expected: &[&str]) {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        file.write_all(GOOD.replace(replace.0, replace.1).as_bytes()).unwrap();
        let environment: BTreeMap<String, String> =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let faults: Vec<String> = match load(file.path(), &environment) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(|f| f.to_string()).collect(),
        };
        let name = file.path().display().to_string();
        assert_eq!(faults.len(), expected.len(), "{replace:?}: {faults:#?}");
        for (fault, expected) in faults.iter().zip(expected) {
            let expected = expected.replace("FILE", &name);
            assert!(fault.starts_with(&expected), "{replace:?}:\n found {fault}\n wanted {expected}");
        }
    }

    #[test]
    fn each_fault_names_its_place_its_key_and_what_was_expected() {
        check(("", ""), &[], &[]);
        check(
            ("topic = \"e\"", "topik = \"e\""),
            &[],
            &["FILE:9:1: events.topik: unknown field `topik`", "FILE:8:2: events.topic: is missing"],
        );
        check(("\"3d\"", "\"3 weeks\""), &[], &["FILE:17:1: labels.horizon: `3 weeks` is not a span of time"]);
        check(
            ("\"float\"", "\"flaot\""),
            &[],
            &["FILE:12:24: events.field[0].type: unknown variant `flaot`, expected one of"],
        );
        check(("name = \"p\"", "name = \"P P\""), &[], &["FILE:3:1: pipeline.name: `P P`"]);
        check(("", ""), &[("VIGIE__PIPELINE__NAME", "No")], &["VIGIE__PIPELINE__NAME: pipeline.name: `No`"]);
        check(("version = 1", "version = 2"), &[], &["FILE:1:1: version: 2"]);
        check(("\"12h\"", "\"4d\""), &[], &["FILE:18:1: labels.maturity: 4d is longer than labels.horizon"]);
        check(("version = 1", "version = "), &[], &["FILE"]);
        for (text, faults) in [
            ("cost = [[0, 1], [25, 0]]", &[][..]),
            (
                "cost = [[0, 1, 25, 0]]",
                &["FILE:20:1: accuracy.cost: does not fit; expected 2 rows of 2 finite costs"][..],
            ),
            ("quantile = 0.9", &["FILE:20:1: accuracy.quantile: is for regression only"][..]),
            ("interval = 0.9", &["FILE:20:1: accuracy.interval: is for regression only"][..]),
        ] {
            check(("[registry]", &format!("[accuracy]\n{text}\n[registry]")), &[], faults);
        }
        let columns: Vec<String> = (0..257).map(|n| format!(r#"{{ name = "x{n}", type = "float" }}"#)).collect();
        let wide = format!("field = [{}]\n[alerts]\nmultivariate = \"pca\"", columns.join(", "));
        let field = r#"field = [{ name = "x", type = "float" }]"#;
        check((field, &wide), &[], &["FILE:14:1: alerts.multivariate: 257 columns together; expected at most 256"]);
        for (text, faults) in [
            ("ddm = {}\nadwin = { delta = 0.01 }", &[][..]),
            ("ddm = { warm_start = -1 }", &["FILE:20:9: alerts.classic.ddm.warm_start: -1 is out of range"][..]),
            ("ddm = { warmth = 1 }", &["FILE:20:9: alerts.classic.ddm.warmth: unknown field `warmth`"][..]),
            ("kswin = {}", &["FILE:20:1: alerts.classic.kswin: unknown field `kswin`"][..]),
        ] {
            check(("[registry]", &format!("[alerts.classic]\n{text}\n[registry]")), &[], faults);
        }
        let field = r#"[{ name = "x", type = "category" }]"#;
        let segments = |name: &str| {
            let of = |name: &str| format!("[[segments]]\nname = \"{name}\"\ncolumn = \"x\"\n");
            format!("{field}\n{}{}", of("by"), of(name))
        };
        let given = r#"[{ name = "x", type = "float" }]"#;
        check((given, &segments("of")), &[], &[]);
        check((given, &segments("by")), &[], &["FILE:17:1: segments[1].name: `by` is declared twice"]);
        check((given, &segments("a=b")), &[], &["FILE:17:1: segments[1].name: `a=b` cannot be told"]);
        let negative = "\"3d\"\nunlabelled = \"negative\"";
        let censored = "\"3d\"\nunlabelled = \"censored\"";
        check(("\"3d\"", censored), &[], &[]);
        check(("\"3d\"", negative), &[], &["FILE:19:1: labels.maturity: is 12h, expected labels.horizon, 3d"]);
        check(("\"3d\"\nmaturity = \"12h\"", &format!("{negative}\nmaturity = \"3d\"")), &[], &[]);
    }

    #[test]
    fn tasks_without_labels_have_no_labels_and_the_others_have_some() {
        let binary = "task = \"binary_classification\"\npositive_class = \"1\"";
        let labels = GOOD.split_once("[labels]").unwrap().1.split_once("[registry]").unwrap().0;
        let labels = format!("[labels]{labels}");
        check((&labels, ""), &[], &["FILE: labels: is missing; expected a table"]);
        for task in ["anomaly", "clustering"] {
            let with = GOOD.replace(binary, &format!("task = \"{task}\""));
            check((GOOD, &with), &[], &["FILE:12:2: labels: are not used"]);
            let without = with.replace(&labels, "");
            check((GOOD, &without), &[], &[]);
            let asked = |text: &str| without.replace("[registry]", &format!("[train]\n{text}\n[registry]"));
            let is_anomaly = task == "anomaly";
            for (text, is_for_anomalies, fault) in [
                ("anomaly_share = 0.02", true, "FILE:13:1: train.anomaly_share: is for the task anomaly only"),
                ("clusters = 5", false, "FILE:13:1: train.clusters: is for the task clustering only"),
            ] {
                let faults: &[&str] = if is_anomaly == is_for_anomalies { &[] } else { &[fault] };
                check((GOOD, &asked(text)), &[], faults);
            }
            let (text, fault) = if is_anomaly {
                ("anomaly_share = 0.6", "FILE:13:1: train.anomaly_share: 0.6 is out of range; expected above 0")
            } else {
                ("clusters = 1", "FILE:13:1: train.clusters: 1 is out of range; expected 2 to 256")
            };
            check((GOOD, &asked(text)), &[], &[fault]);
            let other = asked("families = [\"logistic_regression\"]");
            check((GOOD, &other), &[], &["FILE:13:1: train.families: `logistic_regression` cannot do the task"]);
            let left = without.replace(&format!("\"{task}\""), &format!("\"{task}\"\npositive_class = \"1\""));
            check((GOOD, &left), &[], &["FILE:5:1: pipeline.positive_class: is for binary_classification only"]);
            let areas = without.replace("[registry]", "[accuracy]\nexact_areas = true\n[registry]");
            check((GOOD, &areas), &[], &["FILE:13:1: accuracy.exact_areas: only classes have areas"]);
        }
    }

    #[test]
    fn all_faults_are_told_in_one_run() {
        check(
            ("name = \"p\"", "name = \"p\"\nnane = 3\nclases = 1"),
            &[],
            &["FILE:5:1: pipeline.clases", "FILE:4:1: pipeline.nane"],
        );
    }

    /// Checks `[kafka.properties]` of the given lines, after `oauth_token_file` if there is one.
    fn check_properties(lines: &str, environment: &[(&str, &str)], expected: &[&str]) {
        let (before, lines) = lines.split_once('|').unwrap_or(("", lines));
        let section = format!("localhost:9092\"\n{before}\n[kafka.properties]\n{lines}");
        check(("localhost:9092\"", &section), environment, expected);
    }

    #[test]
    fn secrets_are_references_and_never_shown() {
        let password = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(password.path(), "hunter2\n").unwrap();
        let by_file = format!("\"sasl.password\" = {{ file = \"{}\" }}", password.path().display());
        check_properties(&by_file, &[], &[]);
        check_properties("\"ssl.key.password\" = { env = \"KEY\" }", &[("KEY", "hunter2")], &[]);
        let here = "FILE:10:1: kafka.properties.";
        for (line, fault) in [
            ("\"sasl.password\" = \"hunter2\"", "sasl.password: is a secret and may not stand here; expected { file"),
            ("\"ssl.key.pem\" = \"hunter2\"", "ssl.key.pem: is a secret"),
            ("\"sasl.password\" = 1234", "sasl.password: is of another type; expected a string, or { file"),
            ("\"sasl.password\" = { pass = 1234 }", "sasl.password: is a table of [\"pass\"]; expected"),
            ("\"sasl.password\" = { env = \"NONE\" }", "sasl.password: the variable `NONE` is not set"),
            (
                "\"sasl.password\" = { file = \"/nowhere/p\" }",
                "sasl.password: the file `/nowhere/p` cannot be read: No",
            ),
            ("\"sasl.password\" = { env = \"EMPTY\" }", "sasl.password: the variable `EMPTY` is empty"),
        ] {
            check_properties(line, &[("EMPTY", "")], &[&format!("{here}{fault}")]);
        }
    }

    #[test]
    fn what_a_reference_leads_to_is_in_no_print_of_the_configuration() {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        let lines = "[kafka.properties]\n\"sasl.password\" = { env = \"P\" }\n\"sasl.username\" = \"me\"\n[events]";
        file.write_all(GOOD.replace("[events]", lines).as_bytes()).unwrap();
        let config = load(file.path(), &[("P".to_owned(), "hunter2\n".to_owned())].into()).unwrap();
        let connection = crate::topics::connection(&config);
        // A variable is taken as it is; only files end with a line break that nobody means.
        assert_eq!(connection.secrets["sasl.password"].reveal(), "hunter2\n");
        assert_eq!(connection.properties["sasl.username"], "me");
        let written = serde_json::to_string(&config).unwrap();
        assert!(written.contains(r#""sasl.password":{"env":"P"}"#), "{written}");
        for print in [written, format!("{config:?}"), format!("{connection:?}")] {
            assert!(!print.contains("hunter2"), "{print}");
        }
    }

    #[test]
    fn a_token_file_and_its_mechanism_come_together() {
        let token = "oauth_token_file = \"/run/token\"|";
        let mechanism = "\"sasl.mechanism\" = \"OAUTHBEARER\"";
        check_properties(&format!("{token}{mechanism}"), &[], &[]);
        check_properties(token, &[], &["FILE:8:1: kafka.oauth_token_file: `/run/token` is not used"]);
        check_properties(mechanism, &[], &["FILE:10:1: kafka.properties.sasl.mechanism: `OAUTHBEARER` needs a token"]);
        let unsigned = format!("{token}{mechanism}\n\"enable.sasl.oauthbearer.unsecure.jwt\" = \"true\"");
        check_properties(&unsigned, &[], &["FILE:11:1: kafka.properties.enable.sasl.oauthbearer.unsecure.jwt"]);
    }
}
