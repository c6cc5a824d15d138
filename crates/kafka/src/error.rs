//! What can go wrong with Kafka, and who can mend it.

use domain::{ErrorClass, SourcePartition, StageError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A client could not be made from its settings.
    #[error("kafka client settings are not usable: {0}")]
    Settings(String),
    /// The broker could not be reached, or did not answer in time.
    #[error("kafka at {brokers} does not answer ({doing}): {reason}")]
    Unreachable {
        /// Bootstrap servers.
        brokers: String,
        /// What was being done.
        doing: String,
        /// What the client says.
        reason: String,
    },
    /// A topic that must exist does not.
    #[error("topic {0:?} does not exist; create it or correct its name")]
    UnknownTopic(String),
    /// A topic exists with another partition count than the pipeline was made for.
    #[error("topic {topic:?} has {found} partitions, expected {expected}")]
    PartitionCount {
        /// The topic.
        topic: String,
        /// Partitions it has.
        found: i32,
        /// Partitions it must have.
        expected: i32,
    },
    /// A topic exists with a setting that the pipeline cannot work with.
    #[error(
        "topic {topic:?} has {setting}={found}, expected {expected}; alter the topic, or remove it to have it made"
    )]
    TopicSetting {
        /// The topic.
        topic: String,
        /// The setting.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be like.
        expected: String,
    },
    /// A topic could not be created.
    #[error(
        "topic {topic:?} does not exist and may not be created ({reason}); create it with {partitions} partitions and {config}"
    )]
    CannotCreate {
        /// The topic.
        topic: String,
        /// What the broker says.
        reason: String,
        /// Partitions it needs.
        partitions: i32,
        /// Settings it needs, as `key=value`.
        config: String,
    },
    /// The broker refuses us: the handshake, authentication or authorization.
    #[error("kafka at {brokers} refuses {doing}: {reason}; check {check}")]
    Refused {
        /// Bootstrap servers.
        brokers: String,
        /// What was being done.
        doing: String,
        /// What the broker says.
        reason: String,
        /// What may be wrong.
        check: &'static str,
    },
    /// The position to read from is no longer, or not yet, in the log. Never a silent jump.
    #[error(
        "position {position} of {source_partition} is outside the log ({low} to {high}); a topic that was made anew is read from its start with --reset"
    )]
    OutOfRange {
        /// The partition.
        source_partition: SourcePartition,
        /// Where reading had to go on.
        position: i64,
        /// First offset of the log.
        low: i64,
        /// End of the log.
        high: i64,
    },
    /// A record can never be written.
    #[error("{count} records cannot be written to topic {topic:?}: {reason}")]
    Unwritable {
        /// The topic of the first of them.
        topic: String,
        /// What the broker says.
        reason: String,
        /// How many.
        count: u64,
    },
    /// Another producer keeps taking our transactional id.
    #[error("transactional id {id:?} is used by another live process, seen {times} times in a row")]
    Fenced {
        /// The transactional id.
        id: String,
        /// How often in a row.
        times: u32,
    },
    /// A client broke down beyond repair.
    #[error("kafka client broke down while {doing}: {reason}")]
    Broken {
        /// What was being done.
        doing: String,
        /// What the client says.
        reason: String,
    },
    /// The stage cannot go on.
    #[error("stage {stage}: {error}")]
    Stage {
        /// Its name.
        stage: &'static str,
        /// Why.
        error: StageError,
    },
    /// A stage broke the contract of `domain::stage`.
    #[error("stage {stage} broke its contract: {reason}")]
    Contract {
        /// Its name.
        stage: &'static str,
        /// How.
        reason: String,
    },
    /// The stop took longer than allowed.
    #[error("stage {stage} did not stop within {limit_ms} ms while {doing}")]
    Drain {
        /// Its name.
        stage: &'static str,
        /// What was still going on.
        doing: String,
        /// The limit.
        limit_ms: u128,
    },
    /// No slot file could be locked.
    #[error("no instance slot in {path:?}: {reason}")]
    Slot {
        /// The folder.
        path: String,
        /// What the system says.
        reason: String,
    },
}

impl Error {
    /// Who can act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Settings(_)
            | Self::UnknownTopic(_)
            | Self::PartitionCount { .. }
            | Self::TopicSetting { .. }
            | Self::CannotCreate { .. }
            | Self::Refused { .. }
            | Self::OutOfRange { .. }
            | Self::Fenced { .. }
            | Self::Slot { .. } => ErrorClass::User,
            Self::Unreachable { .. } | Self::Unwritable { .. } | Self::Broken { .. } | Self::Drain { .. } => {
                ErrorClass::External
            }
            Self::Stage { error, .. } => error.class,
            Self::Contract { .. } => ErrorClass::Internal,
        }
    }

    /// A refusal, with what to look at.
    pub(crate) fn refused(code: RDKafkaErrorCode, brokers: &str, doing: &str, reason: &str) -> Self {
        let check = what_to_check(code);
        Self::Refused { brokers: brokers.to_owned(), doing: doing.to_owned(), reason: reason.to_owned(), check }
    }

    /// Sorts a client error into what waiting cannot mend (`Refused`, `UnknownTopic`, `Settings`)
    /// and the rest (`Unreachable`).
    pub(crate) fn of(error: &KafkaError, brokers: &str, doing: &str) -> Self {
        match error {
            KafkaError::ClientConfig(_, reason, key, value) => Self::Settings(unusable(key, value, reason)),
            KafkaError::ClientCreation(reason) => Self::Settings(reason.clone()),
            _ => match code_of(error) {
                Some(code) if is_refusal(code) => Self::refused(code, brokers, doing, &error.to_string()),
                _ => Self::Unreachable {
                    brokers: brokers.to_owned(),
                    doing: doing.to_owned(),
                    reason: error.to_string(),
                },
            },
        }
    }
}

/// Says what is wrong with a property, but not its value: that may be a secret.
fn unusable(key: &str, value: &str, reason: &str) -> String {
    let without =
        if value.is_empty() { reason.to_owned() } else { reason.replace(&format!("\"{value}\""), "its value") };
    let shows_it = value.len() > 3 && without.contains(value);
    if shows_it { format!("{key}: its value is not one that the client knows") } else { format!("{key}: {without}") }
}

/// What a person looks at first, by what the broker refused.
fn what_to_check(code: RDKafkaErrorCode) -> &'static str {
    use RDKafkaErrorCode as C;
    match code {
        C::SSL => {
            "security.protocol, ssl.ca.location (who signed the broker's certificate), and ssl.certificate.location with its key (ours)"
        }
        C::UnsupportedSASLMechanism => "sasl.mechanism",
        C::TopicAuthorizationFailed => "the user's access rules to topics",
        C::GroupAuthorizationFailed => "the user's access rules to consumer groups",
        C::TransactionalIdAuthorizationFailed => "the user's access rules to transactional ids",
        C::ClusterAuthorizationFailed => "the user's access rules to the cluster",
        _ => "sasl.mechanism, and sasl.username with sasl.password or oauth_token_file",
    }
}

/// The librdkafka code of an error, if it has one.
pub(crate) fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::Transaction(inner) => Some(inner.code()),
        _ => error.rdkafka_error_code(),
    }
}

/// Whether the broker refuses us for good.
pub(crate) fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as C;
    matches!(
        code,
        C::TopicAuthorizationFailed
            | C::GroupAuthorizationFailed
            | C::ClusterAuthorizationFailed
            | C::TransactionalIdAuthorizationFailed
            | C::SaslAuthenticationFailed
            | C::Authentication
            | C::UnsupportedSASLMechanism
    )
}

/// Whether a record refused with this code can never be written as it is.
pub(crate) fn is_unwritable(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as C;
    is_refusal(code)
        || matches!(
            code,
            C::MessageSizeTooLarge
                | C::InvalidMessageSize
                | C::InvalidTimestamp
                | C::InvalidRecord
                | C::PolicyViolation
                | C::InvalidTopic
                | C::UnknownTopic
                | C::UnknownTopicOrPartition
                | C::UnknownPartition
                | C::MessageBatchTooLarge
        )
}

/// Whether an error is only the broker being away: the client retries by itself.
pub(crate) fn is_transport(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as C;
    matches!(
        code,
        C::BrokerTransportFailure
            | C::AllBrokersDown
            | C::Resolve
            | C::OperationTimedOut
            | C::RequestTimedOut
            | C::NetworkException
            | C::BrokerNotAvailable
            | C::CoordinatorNotAvailable
            | C::NotCoordinator
            | C::CoordinatorLoadInProgress
            | C::LeaderNotAvailable
            | C::NotLeaderForPartition
    )
}

#[cfg(test)]
mod tests {
    use super::Error;
    use rdkafka::config::ClientConfig;

    #[test]
    fn settings_that_are_not_usable_are_named_without_their_value() {
        for (key, value) in [("security.protocol", "hunter2"), ("no.such.key", "hunter2"), ("ssl.key.pem", "hunter2")] {
            let mut config = ClientConfig::new();
            config.set("security.protocol", "SSL").set(key, value);
            let made: Result<rdkafka::producer::BaseProducer, _> = config.create();
            let said = Error::of(&made.err().unwrap(), "b:9092", "opening").to_string();
            assert!(said.contains(key) && !said.contains("hunter2"), "{said}");
        }
    }
}
