//! The daemon on a broker that asks who it is: over TLS, by password, certificate and token.

use crate::support::broker;
use crate::support::vigie::Pipeline;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const EVENTS: &str = "config/data/flights.parquet";
const LABELS: &str = "config/data/flight_labels.parquet";
const LIMIT: Duration = Duration::from_secs(120);

/// A broker with secured listeners beside the plain one.
struct Secure {
    folder: PathBuf,
    plain: String,
}

impl Secure {
    fn get() -> &'static Self {
        static SECURE: OnceLock<Secure> = OnceLock::new();
        SECURE.get_or_init(|| {
            let (folder, plain) = broker::start(&["--fast", "--secure"]);
            Self { folder, plain }
        })
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).unwrap().trim().to_owned()
    }

    fn path(&self, file: &str) -> String {
        self.folder.join(file).display().to_string()
    }

    /// By the password in a file.
    fn scram(&self, password: &Path) -> Access {
        let properties = format!(
            r#"properties = {{ "security.protocol" = "SASL_SSL", "ssl.ca.location" = "{}", "sasl.mechanism" = "SCRAM-SHA-512", "sasl.username" = "vigie", "sasl.password" = {{ file = "{}" }} }}"#,
            self.path("tls/ca.pem"),
            password.display()
        );
        Access { address: self.read("address.sasl"), lines: properties }
    }

    /// By certificate, to a broker that this authority vouches for.
    fn certificate(&self, authority: &str) -> Access {
        let properties = format!(
            r#"properties = {{ "security.protocol" = "SSL", "ssl.ca.location" = "{}", "ssl.certificate.location" = "{}", "ssl.key.pem" = {{ file = "{}" }} }}"#,
            self.path(authority),
            self.path("tls/client.pem"),
            self.path("tls/client.key")
        );
        Access { address: self.read("address.tls"), lines: properties }
    }

    /// By the token in a file.
    fn token(&self, file: &Path) -> Access {
        let lines = format!(
            r#"oauth_token_file = "{}"
properties = {{ "security.protocol" = "SASL_SSL", "ssl.ca.location" = "{}", "sasl.mechanism" = "OAUTHBEARER" }}"#,
            file.display(),
            self.path("tls/ca.pem")
        );
        Access { address: self.read("address.sasl"), lines }
    }

    /// A pipeline that reaches the broker in this way only; the test reads by the plain listener.
    fn pipeline(&self, name: &str, access: &Access) -> Pipeline {
        let pipeline = Pipeline::of("flights.toml", name, &self.plain);
        let text = std::fs::read_to_string(pipeline.config()).unwrap();
        let (plain, families) =
            (format!("brokers = \"{}\"", self.plain), "\"logistic_regression\", \"gradient_boosting\"");
        assert!(text.contains(&plain) && text.contains(families), "{text}");
        let secured = format!("brokers = \"{}\"\n{}", access.address, access.lines);
        let text = text.replace(&plain, &secured).replace(families, "\"logistic_regression\"");
        std::fs::write(pipeline.config(), text).unwrap();
        pipeline
    }
}

/// A listener, and the lines of `[kafka]` that open it.
struct Access {
    address: String,
    lines: String,
}

/// Trains, sends two days, and waits until they are scored.
fn scores_two_days(name: &str, access: &Access) {
    let pipeline = Secure::get().pipeline(name, access);
    pipeline.run(&["check"]);
    pipeline.run(&["train", "--events", EVENTS, "--labels", LABELS, "--until", "2013-02-01"]);
    let span = ["--from", "2013-02-01", "--days", "2", "--partitions", "2"];
    let said = pipeline.run(&[&["produce", "--events", EVENTS, "--labels", LABELS], &span[..]].concat());
    let sent: usize = said.split_whitespace().next().unwrap().parse().unwrap();
    let daemon = pipeline.daemon();
    let predictions = pipeline.read_until(&format!("{name}.predictions"), sent - sent / 100, LIMIT);
    assert!(sent > 0 && predictions.len() <= sent, "{} predictions of {sent} events", predictions.len());
    let (code, _) = daemon.terminate();
    assert_eq!(code, Some(0), "{}", pipeline.log());
}

/// `vigie run` ends soon, as a fault of the user's, and says what it was.
fn is_refused(name: &str, access: &Access, says: &[&str], secret: &str) {
    let pipeline = Secure::get().pipeline(name, access);
    let began = Instant::now();
    let output = pipeline.command(&["run", "--log", "debug"]).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(began.elapsed() < Duration::from_secs(60), "it took {:?}", began.elapsed());
    let last = said.lines().last().unwrap_or_default();
    for word in says.iter().chain([&access.address.as_str()]) {
        assert!(last.contains(word), "`{word}` is not in the last line of:\n{said}");
    }
    assert!(!said.contains(secret) && !said.contains("panicked"), "{said}");
}

/// An unsigned token for the broker's listener for tests.
fn write_token(file: &Path, lives_for: Duration) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let claims = format!(r#"{{"sub":"vigie","iat":{},"exp":{}}}"#, now.as_secs(), (now + lives_for).as_secs());
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: String = claims.bytes().map(|byte| format!("{byte:08b}")).collect();
    let letter = |six: &[u8]| {
        let word = format!("{:0<6}", std::str::from_utf8(six).unwrap());
        char::from(letters[usize::from_str_radix(&word, 2).unwrap()])
    };
    let claims: String = bits.as_bytes().chunks(6).map(letter).collect();
    // Renamed into place, as Kubernetes does it: a reader never sees half of it.
    let new = file.with_extension("new");
    std::fs::write(&new, format!("eyJhbGciOiJub25lIn0.{claims}.\n")).unwrap();
    std::fs::rename(new, file).unwrap();
}

#[test]
fn a_password_over_tls_opens_the_broker() {
    let secure = Secure::get();
    scores_two_days("scram", &secure.scram(&secure.folder.join("password")));
}

#[test]
fn a_client_certificate_opens_the_broker() {
    scores_two_days("mtls", &Secure::get().certificate("tls/ca.pem"));
}

#[test]
fn a_token_from_a_file_opens_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    write_token(&file, Duration::from_secs(600));
    scores_two_days("oauth", &Secure::get().token(&file));
}

#[test]
fn a_token_that_is_not_there_is_named() {
    let access = Secure::get().token(Path::new("/nowhere/token"));
    let says = "the token file `/nowhere/token` cannot be read: No such file";
    let pipeline = Secure::get().pipeline("no-token", &access);
    let output = pipeline.command(&["run"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.lines().last().is_some_and(|last| last.contains(says)), "{said}");
}

#[test]
fn a_wrong_password_ends_the_start_and_is_not_shown() {
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), "not-the-password").unwrap();
    let access = Secure::get().scram(password.path());
    is_refused("wrong-password", &access, &["invalid credentials", "sasl.password"], "not-the-password");
}

#[test]
fn an_unknown_authority_ends_the_start() {
    let secure = Secure::get();
    let key = secure.read("tls/client.key");
    // A sound certificate, but not of the authority that signed the broker's.
    let access = secure.certificate("tls/client.pem");
    is_refused(
        "unknown-authority",
        &access,
        &["certificate verify failed", "ssl.ca.location"],
        key.lines().nth(1).unwrap(),
    );
}

#[test]
fn a_missing_client_certificate_ends_the_start() {
    let secure = Secure::get();
    let lines = format!(
        r#"properties = {{ "security.protocol" = "SSL", "ssl.ca.location" = "{}" }}"#,
        secure.path("tls/ca.pem")
    );
    let access = Access { address: secure.read("address.tls"), lines };
    is_refused("no-certificate", &access, &["SSL alert", "ssl.certificate.location"], "PRIVATE KEY");
}
