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
    /// The broker refuses us: authentication or authorization.
    #[error("kafka refuses {doing}: {reason}")]
    Refused {
        /// What was being done.
        doing: String,
        /// What the broker says.
        reason: String,
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

    /// Sorts a client error into what waiting cannot mend (`Refused`, `UnknownTopic`, `Settings`)
    /// and the rest (`Unreachable`).
    pub(crate) fn of(error: &KafkaError, brokers: &str, doing: &str) -> Self {
        match error {
            KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) => Self::Settings(error.to_string()),
            _ => match code_of(error) {
                Some(code) if is_refusal(code) => Self::Refused { doing: doing.to_owned(), reason: error.to_string() },
                _ => Self::Unreachable {
                    brokers: brokers.to_owned(),
                    doing: doing.to_owned(),
                    reason: error.to_string(),
                },
            },
        }
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
