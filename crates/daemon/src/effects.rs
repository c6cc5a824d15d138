//! What stages want done in the world, done after the commit that records the intent.

use crate::config::Config;
use crate::journal::ToJournal;
use crate::launch::Launcher;
use crate::pipeline::Options;
use crate::telemetry::Telemetry;
use crossbeam_channel::Sender as Channel;
use domain::{Effect, SourcePartition, Version};
use kafka::{Hooks, LoadedPart, Stop};
use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::Store;

/// A bundle that could not be loaded is reported after this long.
const LOAD_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a stage is given when it asks for a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// The stage loads nothing.
    Nothing,
    /// The whole bundle.
    Bundle,
    /// What the judge must know of it.
    Known,
}

/// Does effects. Clones share everything.
#[derive(Clone)]
pub(crate) struct Effects {
    config: Arc<Config>,
    runtime: Arc<tokio::runtime::Runtime>,
    store: Store,
    launcher: Launcher,
    journal: Arc<ToJournal>,
    telemetry: Telemetry,
}

impl Effects {
    /// Opens the store and a runtime for slow work.
    pub(crate) fn new(config: &Arc<Config>, cache: &Path, telemetry: Telemetry, stop: Stop) -> anyhow::Result<Self> {
        let runtime = Arc::new(crate::commands::runtime()?);
        let store = Store::open(&config.registry.url)?;
        let journal = Arc::new(ToJournal::open(config)?);
        let launcher = Launcher::new(config, cache, Arc::clone(&journal), stop);
        Ok(Self { config: Arc::clone(config), runtime, store, launcher, journal, telemetry })
    }

    /// The runtime of slow work.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    /// The object store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The way to the judge.
    pub(crate) fn journal(&self) -> &ToJournal {
        &self.journal
    }

    /// Ends runs that are under way.
    pub(crate) fn stop(&self) {
        self.launcher.wait();
    }

    /// What connects a stage's runner to the rest.
    pub(crate) fn hooks(&self, wants: &Wants, stage: &'static str, options: &Options) -> Hooks {
        let (outbox, inbox) = crossbeam_channel::unbounded();
        let (doer, wants) = (self.clone(), *wants);
        let (finder, keeper) = (self.clone(), self.clone());
        Hooks {
            committed: Box::new(move |effects, counts| {
                doer.telemetry.counts(&counts, &doer.config.pipeline.name);
                effects.into_iter().for_each(|effect| doer.act(effect, wants, &outbox));
            }),
            checkpoint: Box::new(move |source, not_beyond| finder.checkpoint(stage, source, not_beyond)),
            store_checkpoint: Box::new(move |source, offset, bytes| keeper.keep(stage, source.clone(), offset, bytes)),
            now_ms: Box::new(now_ms),
            inbox,
            idle_enabled: Arc::clone(&options.idle_enabled),
            progress: options.progress.clone(),
            ready: Arc::default(),
        }
    }

    fn act(&self, effect: Effect, wants: Wants, outbox: &Channel<LoadedPart>) {
        match effect {
            Effect::Load(version) => {
                let (doer, outbox) = (self.clone(), outbox.clone());
                self.runtime.spawn(async move {
                    let part = doer.load(&version, wants).await;
                    if let Err(error) = &part {
                        tracing::warn!("bundle {version} was not loaded: {error}");
                        // Whoever asked will ask again at once; the store may need a moment.
                        tokio::time::sleep(LOAD_AGAIN_AFTER).await;
                    }
                    if outbox.send(LoadedPart { version, part }).is_err() {
                        tracing::debug!("a stage ended before its bundle was loaded");
                    }
                });
            }
            Effect::Launch { run, attempt, order } => self.launcher.launch(run, attempt, order),
            Effect::Alias { alias, version } => {
                let doer = self.clone();
                self.runtime.spawn(async move {
                    // A projection for outside readers; the truth is on `p.control`.
                    let pipeline = &doer.config.pipeline.name;
                    if let Err(error) = doer.store.set_alias(pipeline, &alias, &version).await {
                        tracing::warn!("alias {alias} was not written to the registry: {error}");
                    }
                });
            }
        }
    }

    async fn load(&self, version: &Version, wants: Wants) -> Result<Arc<dyn Any + Send + Sync>, String> {
        let bundle = self.store.bundle(version).await.map_err(|error| error.to_string())?;
        tracing::debug!("bundle {version} is loaded and verified");
        Ok(match wants {
            Wants::Known => Arc::new(crate::wiring::known(&bundle)),
            Wants::Bundle | Wants::Nothing => Arc::new(bundle),
        })
    }

    fn checkpoint(&self, stage: &str, source: &SourcePartition, not_beyond: i64) -> Option<(i64, Vec<u8>)> {
        let found = self.runtime.block_on(self.store.checkpoint(&self.config.pipeline.name, stage, source, not_beyond));
        found.unwrap_or_else(|error| {
            tracing::warn!("no checkpoint of {stage} {source} was read, the log is read instead: {error}");
            None
        })
    }

    fn keep(&self, stage: &'static str, source: SourcePartition, offset: i64, bytes: Vec<u8>) {
        let doer = self.clone();
        self.runtime.spawn(async move {
            let pipeline = &doer.config.pipeline.name;
            if let Err(error) = doer.store.put_checkpoint(pipeline, stage, &source, offset, &bytes).await {
                tracing::warn!("a checkpoint of {stage} {source} was not stored: {error}");
            }
        });
    }
}

/// Wall clock in epoch milliseconds: for ticks only.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
