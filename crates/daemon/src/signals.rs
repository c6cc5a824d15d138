//! SIGTERM and SIGINT, taken from the first moment on: before there is anything to drain they end the
//! process at once and well, afterwards they are a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// Whether the process was asked to end. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    asked: Arc<AtomicBool>,
    has_work: Arc<AtomicBool>,
}

impl Signals {
    /// Takes the signals over, on a thread of its own.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let signals = Self::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut terminate, mut interrupt) = {
            let _inside = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let told = signals.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let name = runtime.block_on(async {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "interrupt",
                }
            });
            told.asked.store(true, Ordering::SeqCst);
            if told.has_work.load(Ordering::SeqCst) {
                tracing::info!("{name}: draining");
            } else {
                tracing::info!("{name} before anything was begun");
                std::process::exit(0);
            }
        })?;
        Ok(signals)
    }

    /// From now on an end has to be drained by whoever asks [`Signals::asked`].
    pub(crate) fn work_begins(&self) {
        self.has_work.store(true, Ordering::SeqCst);
    }

    /// Whether the end was asked for.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}
