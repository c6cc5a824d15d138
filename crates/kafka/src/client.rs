//! What all clients have in common: where their log goes, what brokers objected to, and the token
//! they show.
//!
//! librdkafka reports a failed handshake, and asks for a token, only to who polls: a client that is
//! asked something before it is ever polled must be served first ([`serve`]).

use crate::error::{Error, code_of, is_refusal, is_transport};
use crate::settings::Connection;
use crate::token;
use rdkafka::bindings::{rd_kafka_brokers_add, rd_kafka_oauthbearer_set_token};
use rdkafka::client::{Client, ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How librdkafka begins its report that it was given no token.
const NO_TOKEN: &str = "Failed to acquire SASL OAUTHBEARER token";
const SERVE: Duration = Duration::from_millis(5);
const SERVED_MAX: usize = 100;

/// What went wrong last, of each kind.
#[derive(Debug, Default)]
struct Told {
    /// A broker refused the handshake: the certificate, or who we say we are.
    refusal: Option<(RDKafkaErrorCode, String)>,
    /// Anything else but that all brokers are away.
    trouble: Option<String>,
    /// The last token could not be had.
    no_token: Option<String>,
}

/// Hooks that every client has; also the whole context of a client that has no others.
#[derive(Debug, Default)]
pub(crate) struct Common {
    away: AtomicBool,
    /// The client knows no broker any more.
    is_lost: AtomicBool,
    is_retired: AtomicBool,
    told: Mutex<Told>,
    brokers: String,
    token_file: Option<PathBuf>,
}

/// What the client's own statistics say of the brokers it knows, by name.
#[derive(Debug, Deserialize)]
struct Known {
    brokers: BTreeMap<String, KnownBroker>,
}

#[derive(Debug, Deserialize)]
struct KnownBroker {
    source: String,
}

impl Known {
    /// A coordinator's entry names no address of its own, and the internal one none at all.
    fn has_address(&self) -> bool {
        self.brokers.values().any(|broker| matches!(broker.source.as_str(), "configured" | "learned"))
    }
}

impl Common {
    pub(crate) fn of(connection: &Connection) -> Self {
        Self { brokers: connection.brokers.clone(), token_file: connection.oauth_token_file.clone(), ..Self::default() }
    }

    /// Another client has taken over: what this one still says, as that it is fenced, is no trouble.
    pub(crate) fn retire(&self) {
        self.is_retired.store(true, Ordering::SeqCst);
    }

    /// Names the brokers again to a client that has lost them all: for whoever polls it.
    pub(crate) fn find_again<C: ClientContext>(&self, client: &Client<C>) {
        if self.is_lost.swap(false, Ordering::SeqCst) {
            self.name_brokers(client);
        }
    }

    /// Names the brokers to a client that gets no answer; nothing happens where it knows them.
    ///
    /// A broker that has just started may list no broker at all in its metadata, itself included: the
    /// client then forgets all it knew and, if it loses the race with its own return to the bootstrap
    /// servers, never connects again (librdkafka issue 5301, reported for 2.13; 2.12.1 reads the same).
    pub(crate) fn name_brokers<C: ClientContext>(&self, client: &Client<C>) {
        let Ok(brokers) = CString::new(self.brokers.as_str()) else { return };
        // SAFETY: the client and the text outlive the call, which copies the text.
        #[allow(unsafe_code)]
        let added = unsafe { rd_kafka_brokers_add(client.native_ptr(), brokers.as_ptr()) };
        if added > 0 {
            tracing::info!(brokers = %self.brokers, added, "the client was told of its brokers again");
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the client shows a token, and so must be served to get a new one.
    pub(crate) fn shows_token(&self) -> bool {
        self.token_file.is_some()
    }

    /// Ends whoever met a refusal; no end is a token that cannot be had now, for the client asks for
    /// another every ten seconds.
    pub(crate) fn refused(&self, error: &KafkaError, brokers: &str, doing: &str) -> Result<(), Error> {
        use RDKafkaErrorCode as C;
        let told = self.told();
        match (code_of(error), &told.refusal) {
            (Some(C::Authentication | C::SaslAuthenticationFailed), _) if told.no_token.is_some() => Ok(()),
            (Some(code), Some((known, reason))) if code == *known => Err(Error::refused(code, brokers, doing, reason)),
            _ => Err(Error::of(error, brokers, doing)),
        }
    }

    /// The refusal that was reported, if one was and it is not for lack of a token.
    pub(crate) fn refusal(&self, brokers: &str, doing: &str) -> Option<Error> {
        self.refusal_that(|_| true, brokers, doing)
    }

    /// The same for who we say we are only: once connected, a broken handshake may be a broker that
    /// goes away in the midst of it.
    pub(crate) fn bad_credentials(&self, brokers: &str, doing: &str) -> Option<Error> {
        self.refusal_that(is_refusal, brokers, doing)
    }

    fn refusal_that(&self, is: fn(RDKafkaErrorCode) -> bool, brokers: &str, doing: &str) -> Option<Error> {
        let told = self.told();
        let (code, reason) = told.refusal.as_ref().filter(|(code, _)| is(*code) && told.no_token.is_none())?;
        Some(Error::refused(*code, brokers, doing, reason))
    }

    /// The error of a request that nobody answered: why, where the client has said that elsewhere.
    pub(crate) fn unanswered(&self, what: &str, brokers: &str, doing: &str) -> Error {
        if let Some(refusal) = self.refusal(brokers, doing) {
            return refusal;
        }
        let told = self.told();
        if let Some(reason) = &told.no_token {
            return Error::Settings(reason.clone());
        }
        let reason = told.trouble.as_ref().map_or_else(|| what.to_owned(), |trouble| format!("{what}; {trouble}"));
        Error::Unreachable { brokers: brokers.to_owned(), doing: doing.to_owned(), reason }
    }

    /// The token that is in the file now.
    fn token(&self) -> Result<OAuthToken, String> {
        let Some(path) = &self.token_file else {
            return Err("no token file is named; expected one under oauth_token_file".to_owned());
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let read = token::read(path, i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
        if let Err(fault) = &read {
            tracing::error!("{fault}; it is tried again in 10 s");
        }
        self.told().no_token = read.as_ref().err().cloned();
        read
    }
}

impl ClientContext for Common {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical
                if !self.is_retired.load(Ordering::SeqCst) =>
            {
                tracing::error!(facility, "{message}");
            }
            _ => tracing::debug!(facility, "{message}"),
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        if let Ok(known) = serde_json::from_slice::<Known>(statistics) {
            let was = self.is_lost.swap(!known.has_address(), Ordering::SeqCst);
            if !was && !known.has_address() {
                tracing::warn!(brokers = %self.brokers, "the client has forgotten every broker: it is told again");
            }
        }
    }

    /// Says once that the brokers are away, and each time what is wrong otherwise.
    fn error(&self, error: KafkaError, reason: &str) {
        let code = code_of(&error);
        if code == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        if self.is_retired.load(Ordering::SeqCst) {
            return tracing::debug!(%error, "{reason}");
        }
        let mut told = self.told();
        if reason.starts_with(NO_TOKEN) {
            // What could not be read was said when it was read.
            if told.no_token.is_none() {
                tracing::error!("{reason}");
                told.no_token = Some(reason.to_owned());
            }
            return;
        }
        match code {
            Some(code) if is_refusal(code) || code == RDKafkaErrorCode::SSL => {
                told.refusal = Some((code, reason.to_owned()));
            }
            // A broker that dislikes our certificate says so after the handshake, by hanging up.
            _ if reason.contains("SSL alert number") => told.refusal = Some((RDKafkaErrorCode::SSL, reason.to_owned())),
            Some(RDKafkaErrorCode::AllBrokersDown) => (),
            _ => told.trouble = Some(reason.to_owned()),
        }
        drop(told);
        if !code.is_some_and(is_transport) {
            tracing::warn!(%error, "{reason}");
        } else if !self.away.swap(true, Ordering::SeqCst) {
            tracing::warn!(%error, "{reason}; the client keeps trying");
        } else {
            tracing::debug!(%error, "{reason}");
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        Ok(self.token()?)
    }
}

/// Lets a client that reads nothing yet report errors and ask for a token.
pub(crate) fn serve<C: ConsumerContext>(client: &BaseConsumer<C>) {
    for _ in 0..SERVED_MAX {
        if client.poll(SERVE).is_none() {
            break;
        }
    }
}

/// Gives a client its token: the crate's admin client is never polled, so it cannot ask.
pub(crate) fn hand_token(client: &Client<Common>) -> Result<(), Error> {
    if !client.context().shows_token() {
        return Ok(());
    }
    let token = client.context().token().map_err(Error::Settings)?;
    let fault = |e: std::ffi::NulError| Error::Settings(format!("the token is not usable: {e}"));
    let (value, principal) =
        (CString::new(token.token).map_err(fault)?, CString::new(token.principal_name).map_err(fault)?);
    let mut said = [0 as std::ffi::c_char; 256];
    // SAFETY: the client and both texts outlive the call, which copies them; no extensions are
    // given, and the length of the buffer is its own.
    #[allow(unsafe_code)]
    let code = unsafe {
        rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            value.as_ptr(),
            token.lifetime_ms,
            principal.as_ptr(),
            std::ptr::null_mut(),
            0,
            said.as_mut_ptr(),
            said.len(),
        )
    };
    if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    Err(Error::Settings(format!("the token is not usable: {}", RDKafkaErrorCode::from(code))))
}

#[cfg(test)]
mod tests {
    use super::{Common, NO_TOKEN};
    use crate::error::Error;
    use domain::ErrorClass;
    use rdkafka::client::ClientContext;
    use rdkafka::error::KafkaError;
    use rdkafka::types::RDKafkaErrorCode as C;

    fn after(reports: &[(C, &str)]) -> Error {
        let common = Common::default();
        reports.iter().for_each(|(code, reason)| common.error(KafkaError::Global(*code), reason));
        common.unanswered("timed out", "b:9092", "connecting")
    }

    #[test]
    fn a_request_without_answer_tells_what_the_client_reported() {
        let down = (C::AllBrokersDown, "1/1 brokers are down");
        let cases = [
            (vec![down], ErrorClass::External, "(connecting): timed out"),
            (vec![(C::Resolve, "no such host"), down], ErrorClass::External, "timed out; no such host"),
            (vec![(C::Authentication, "bad credentials"), down], ErrorClass::User, "sasl.username"),
            (vec![(C::SSL, "certificate verify failed"), down], ErrorClass::User, "ssl.ca.location"),
            (vec![(C::BrokerTransportFailure, "x: SSL alert number 42")], ErrorClass::User, "ssl.certificate.location"),
        ];
        for (reports, class, says) in cases {
            let error = after(&reports);
            assert_eq!(error.class(), class, "{error}");
            assert!(error.to_string().contains(says) && error.to_string().contains("b:9092"), "{error}");
        }
    }

    #[test]
    fn a_client_that_knows_no_address_is_lost() {
        let internal = r#"":0/internal": {"source": "internal"}"#;
        let group = r#""GroupCoordinator": {"source": "logical", "state": "TRY_CONNECT"}"#;
        let bootstrap = r#""b:9092/bootstrap": {"source": "configured", "state": "DOWN"}"#;
        let learnt = r#""b:9092/1": {"source": "learned", "state": "UP"}"#;
        for (brokers, is_lost) in [
            (vec![internal, group], true),
            (vec![], true),
            (vec![internal, bootstrap], false),
            (vec![group, learnt], false),
        ] {
            let common = Common::default();
            common.stats_raw(format!(r#"{{"name": "c", "brokers": {{{}}}}}"#, brokers.join(", ")).as_bytes());
            assert_eq!(common.is_lost.load(std::sync::atomic::Ordering::SeqCst), is_lost, "{brokers:?}");
        }
        let common = Common::default();
        common.stats_raw(b"no statistics");
        assert!(!common.is_lost.load(std::sync::atomic::Ordering::SeqCst));
    }

    #[test]
    fn a_missing_token_is_no_refusal_and_is_asked_for_again() {
        let common = Common { token_file: Some("/nowhere/token".into()), ..Common::default() };
        assert!(common.generate_oauth_token(None).is_err());
        let error = KafkaError::Global(C::Authentication);
        common.error(error.clone(), &format!("{NO_TOKEN}: the token file"));
        assert!(common.refused(&error, "b", "reading").is_ok());
        assert!(common.refused(&KafkaError::Global(C::TopicAuthorizationFailed), "b", "reading").is_err());
        let unanswered = common.unanswered("timed out", "b", "connecting");
        assert_eq!(unanswered.class(), ErrorClass::User);
        assert!(unanswered.to_string().contains("/nowhere/token"), "{unanswered}");
    }
}
