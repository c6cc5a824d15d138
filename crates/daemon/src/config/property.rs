//! librdkafka's settings as people write them: values, and references to where secrets are.

use super::load::PROPERTIES;
use kafka::Secret;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

const EXPECTED: &str = "a string, or { file = \"PATH\" }, or { env = \"NAME\" }";
/// More than any key, password or bundle of certificates.
const BYTES_MAX: u64 = 4 << 20;

/// Settings that never stand in the file itself.
const SECRETS: [&str; 8] = [
    "sasl.password",
    "ssl.key.password",
    "ssl.keystore.password",
    "ssl.truststore.password",
    "ssl.key.pem",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
];

/// One setting.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Property {
    /// The value itself.
    Literal(String),
    /// The content of a file, without a line break at its end.
    InFile { file: PathBuf },
    /// A variable of the environment.
    InEnvironment { env: String },
}

/// `[kafka.properties]`. Only what is written can be printed, never what a reference leads to.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Properties {
    written: BTreeMap<String, Property>,
    #[serde(skip)]
    secrets: BTreeMap<String, Secret>,
}

impl Properties {
    /// Looks up what references lead to; gives those that lead nowhere.
    pub(crate) fn resolve(&mut self, environment: &BTreeMap<String, String>) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        for (key, property) in &self.written {
            let found = match property {
                Property::Literal(_) => continue,
                Property::InFile { file } => in_file(file),
                Property::InEnvironment { env } => {
                    environment.get(env).cloned().ok_or_else(|| format!("the variable `{env}` is not set"))
                }
            };
            match found.and_then(|value| usable(value, property)) {
                Ok(value) => drop(self.secrets.insert(key.clone(), Secret::new(value))),
                Err(fault) => faults.push((format!("{PROPERTIES}{key}"), fault)),
            }
        }
        faults
    }

    /// Secrets that stand in the file.
    pub(crate) fn literal_secrets(&self) -> impl Iterator<Item = (String, String)> {
        let literal = |key: &&str| matches!(self.written.get(*key), Some(Property::Literal(_)));
        SECRETS.iter().copied().filter(literal).map(|key| {
            let fault = "is a secret and may not stand here; expected { file = \"PATH\" } or { env = \"NAME\" }";
            (format!("{PROPERTIES}{key}"), fault.to_owned())
        })
    }

    /// Settings that stand in the file.
    pub(crate) fn literals(&self) -> BTreeMap<String, String> {
        let literal = |(key, property): (&String, &Property)| match property {
            Property::Literal(value) => Some((key.clone(), value.clone())),
            _ => None,
        };
        self.written.iter().filter_map(literal).collect()
    }

    /// Settings that references led to.
    pub(crate) fn secrets(&self) -> &BTreeMap<String, Secret> {
        &self.secrets
    }
}

fn in_file(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text));
    read.map_err(|e| format!("the file `{}` cannot be read: {e}", path.display()))?;
    let end = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).len();
    text.truncate(end);
    Ok(text)
}

/// What the client takes: a text that is there, is not endless and has no zero byte.
fn usable(value: String, property: &Property) -> Result<String, String> {
    let what = match property {
        Property::InEnvironment { env } => format!("the variable `{env}`"),
        Property::InFile { file } => format!("the file `{}`", file.display()),
        Property::Literal(_) => "the value".to_owned(),
    };
    match value.len() as u64 {
        0 => Err(format!("{what} is empty")),
        1..=BYTES_MAX if value.contains('\0') => Err(format!("{what} holds a zero byte; expected text")),
        1..=BYTES_MAX => Ok(value),
        _ => Err(format!("{what} is larger than {BYTES_MAX} bytes")),
    }
}

impl<'de> Deserialize<'de> for Property {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Reads a setting. A value of another type is not shown, as serde would: it may be a password.
struct Reader;

fn other<E: Error>() -> Result<Property, E> {
    Err(E::custom(format!("is of another type; expected {EXPECTED}")))
}

impl<'de> Visitor<'de> for Reader {
    type Value = Property;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Property, E> {
        Ok(Property::Literal(value.to_owned()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Property, E> {
        other()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Property, E> {
        other()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Property, E> {
        other()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Property, E> {
        other()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Property, A::Error> {
        let mut found: Vec<(String, Value)> = Vec::new();
        while let Some(entry) = map.next_entry()? {
            found.push(entry);
        }
        match found.as_slice() {
            [(key, Value::String(path))] if key == "file" => Ok(Property::InFile { file: path.into() }),
            [(key, Value::String(name))] if key == "env" => Ok(Property::InEnvironment { env: name.clone() }),
            _ => {
                let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
                Err(A::Error::custom(format!("is a table of {keys:?}; expected {EXPECTED}")))
            }
        }
    }
}
