//! Deliberate faults, for the proof: a delivery check that cannot fail proves nothing.
//!
//! A build with the feature `faults` obeys two variables of the environment; any other build has
//! empty functions here. The feature is refused where debug assertions are off, so that no release
//! build can have it.
//!
//! - `VIGIE_FAULT=crash:STAGE:STEP:COUNT` ends the process without warning when a stage passes a
//!   step of its commit for the COUNTth time; `stop:…` freezes it there, as SIGSTOP does, until
//!   SIGCONT; `abort:STAGE:flushed:COUNT` gives up every COUNTth transaction.
//! - `VIGIE_BUG` names a bug for the runner to have: `commit_first`, `no_rewind`, `no_generation`.

#[cfg(all(feature = "faults", not(debug_assertions)))]
compile_error!("the feature `faults` breaks delivery on purpose and is refused without debug assertions");

#[cfg(not(feature = "faults"))]
mod obeyed {
    /// A stage passes a step.
    pub(crate) const fn step(_stage: &str, _step: &str) {}

    /// Whether a stage is to give up this transaction.
    pub(crate) const fn must_abort(_stage: &str) -> bool {
        false
    }
}

#[cfg(feature = "faults")]
mod obeyed {
    use crate::rebalance::GroupContext;
    use crate::settings::RunnerConfig;
    use rdkafka::TopicPartitionList;
    use rdkafka::config::FromClientConfigAndContext;
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerGroupMetadata};
    use rdkafka::error::KafkaResult;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A bug that the proof must find.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Bug {
        /// `commit_first`: offsets are committed before the outputs are written.
        CommitFirst,
        /// `no_rewind`: after an abort reading goes on instead of going back.
        NoRewind,
        /// `no_generation`: offsets are committed without the group's generation, so that a process that
        /// was frozen while another took over is not refused.
        NoGeneration,
    }

    struct Fault {
        kind: String,
        stage: String,
        step: String,
        count: u32,
        passed: AtomicU32,
    }

    fn asked() -> Option<&'static Fault> {
        static ASKED: OnceLock<Option<Fault>> = OnceLock::new();
        let parse = || {
            let text = std::env::var("VIGIE_FAULT").ok()?;
            let parts: Vec<&str> = text.split(':').collect();
            let [kind, stage, step, count] = parts.as_slice() else {
                tracing::error!("VIGIE_FAULT is `{text}`; expected KIND:STAGE:STEP:COUNT");
                return None;
            };
            let own = |part: &str| part.to_owned();
            let count = count.parse().unwrap_or(1);
            Some(Fault { kind: own(kind), stage: own(stage), step: own(step), count, passed: AtomicU32::new(0) })
        };
        ASKED.get_or_init(parse).as_ref()
    }

    /// Whether the bug is asked for.
    pub(crate) fn has(bug: Bug) -> bool {
        static ASKED: OnceLock<Option<Bug>> = OnceLock::new();
        let parse = || match std::env::var("VIGIE_BUG").ok()?.as_str() {
            "commit_first" => Some(Bug::CommitFirst),
            "no_rewind" => Some(Bug::NoRewind),
            "no_generation" => Some(Bug::NoGeneration),
            other => {
                tracing::error!("VIGIE_BUG is `{other}`, which is none");
                None
            }
        };
        *ASKED.get_or_init(parse) == Some(bug)
    }

    /// Of *commit first*: what is committed now is no part of the transaction.
    pub(crate) fn commit_now(client: &BaseConsumer<GroupContext>, offsets: &TopicPartitionList) -> KafkaResult<()> {
        if offsets.count() == 0 { Ok(()) } else { client.commit(offsets, CommitMode::Sync) }
    }

    /// Of *no generation*: who never joined has none, and is not looked at.
    pub(crate) fn no_generation(config: &RunnerConfig) -> KafkaResult<Option<ConsumerGroupMetadata>> {
        let context = GroupContext::of(&config.connection);
        let stranger: BaseConsumer<GroupContext> = BaseConsumer::from_config_and_context(&config.consumer(), context)?;
        Ok(stranger.group_metadata())
    }

    /// A stage passes a step.
    pub(crate) fn step(stage: &str, step: &str) {
        let Some(fault) = asked().filter(|f| f.kind != "abort" && f.stage == stage && f.step == step) else { return };
        if fault.passed.fetch_add(1, Ordering::SeqCst) + 1 == fault.count {
            tracing::warn!(stage, step, kind = fault.kind, "a fault was asked for");
            let signal = if fault.kind == "stop" { "-STOP" } else { "-KILL" };
            // What a shell would do; the process cannot get past it.
            let sent = std::process::Command::new("kill").args([signal, &std::process::id().to_string()]).status();
            tracing::warn!(?sent, "the fault is over");
        }
    }

    /// Whether a stage is to give up this transaction.
    pub(crate) fn must_abort(stage: &str) -> bool {
        let Some(fault) = asked().filter(|f| f.kind == "abort" && f.stage == stage) else { return false };
        (fault.passed.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(fault.count)
    }
}

#[cfg(feature = "faults")]
pub(crate) use obeyed::{Bug, commit_now, has, no_generation};
pub(crate) use obeyed::{must_abort, step};
