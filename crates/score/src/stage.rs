//! The state machine.

use crate::live::Live;
use crate::pane::{self, Cells};
use crate::partition::{Partition, State};
use crate::promotions::{Promotions, needed};
use crate::run::{Batch, Run};
use crate::{Config, Error, marker, metrics, publish, tracking};
use codec::{Decoded, EventDecoder, Refused};
use domain::{
    Effect, EventWatermark, Input, LineUp, Outputs, Prepared, Preparer, RawBatch, SourcePartition, StageError, Version,
};
use records::control::Control;
use std::any::Any;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Events to predictions.
#[derive(Debug)]
pub struct Stage {
    config: Config,
    decoder: EventDecoder,
    promotions: Promotions,
    partitions: BTreeMap<SourcePartition, Partition>,
    bundles: BTreeMap<Version, Loading>,
    watermark: Arc<EventWatermark>,
}

/// Where a version stands.
#[derive(Debug)]
enum Loading {
    Requested,
    Loaded(Live),
    Failed(String),
}

impl Stage {
    /// A stage without partitions.
    ///
    /// # Errors
    /// The configuration is faulty.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.validate()?;
        let decoder = EventDecoder::new(config.format.clone())?;
        let promotions = Promotions::imposed(config.swaps.clone());
        let (partitions, bundles) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { config, decoder, promotions, partitions, bundles, watermark: Arc::default() })
    }

    /// Tells how far its partitions have come, for whoever must not run ahead of them.
    #[must_use]
    pub fn telling(mut self, watermark: Arc<EventWatermark>) -> Self {
        self.watermark = watermark;
        self
    }

    fn assigned(
        &mut self,
        source: &SourcePartition,
        offset: Option<i64>,
        metadata: Option<&str>,
        out: &mut Outputs,
    ) -> Result<(), Error> {
        let state = State::restore(metadata)?;
        if let Some(offset) = offset {
            self.promotions.agrees(source, offset, &state)?;
        }
        self.watermark.observe(source, state.watermark());
        self.partitions.insert(source.clone(), Partition { state, ..Partition::default() });
        // Requests of an aborted transaction were never carried out: ask again for what is not here.
        self.bundles.retain(|_, loading| !matches!(loading, Loading::Requested));
        // What an assignment makes a stage say is thrown away, but an acknowledgement that is never
        // said holds the judge for ever. So a bundle that is here already is asked for once more:
        // the acknowledgement is said when it comes.
        let unsaid = self.acknowledge(&mut Outputs::default(), false)?;
        out.effects.extend(unsaid.into_iter().map(Effect::Load));
        self.request(out)
    }

    /// Takes promotions; everything else on the topic is for others.
    fn control(&mut self, batch: &RawBatch, out: &mut Outputs) -> Result<(), Error> {
        for value in batch.iter().filter_map(|r| r.value) {
            match records::from_json(value) {
                Ok(Control::Promotion(promotion)) => {
                    // A version named again is tried again.
                    for member in &promotion.line_up.members {
                        if let Some(Loading::Failed(_)) = self.bundles.get(&member.version) {
                            self.bundles.remove(&member.version);
                        }
                    }
                    self.promotions.insert(promotion)?;
                }
                Ok(_) => {}
                Err(_) => out.count(metrics::CONTROL_UNREADABLE, 1),
            }
        }
        self.reconcile(out)
    }

    fn loaded(
        &mut self,
        version: &Version,
        part: Result<Arc<dyn Any + Send + Sync>, String>,
        out: &mut Outputs,
    ) -> Result<(), Error> {
        let is_imposed = self.promotions.is_imposed();
        if is_imposed && part.is_err() {
            // Nobody withdraws what a table imposes: the store is asked until it has the bundle.
            // Whoever loads waits before it reports a fault.
            out.count(metrics::BUNDLE_FAULTS, 1);
            let is_wanted = matches!(self.bundles.get(version), Some(Loading::Requested));
            out.effects.extend(is_wanted.then(|| Effect::Load(version.clone())));
            return Ok(());
        }
        let live = part.and_then(|part| match part.downcast::<bundle::Bundle>() {
            Ok(bundle) => Live::of_bundle(&bundle, &self.config),
            Err(_) => Err("the daemon handed over something that is not a bundle".to_owned()),
        });
        match live {
            Err(fault) if is_imposed && self.bundles.contains_key(version) => {
                Err(Error::Table(format!("bundle {version} of the swap table: {fault}")))
            }
            live => self.take_live(version, live, out),
        }
    }

    /// Takes a bundle that was asked for.
    pub(crate) fn take_live(
        &mut self,
        version: &Version,
        live: Result<Live, String>,
        out: &mut Outputs,
    ) -> Result<(), Error> {
        if let Some(loading) = self.bundles.get_mut(version) {
            out.count(metrics::BUNDLE_FAULTS, u64::from(live.is_err()));
            *loading = live.map_or_else(Loading::Failed, Loading::Loaded);
        }
        self.reconcile(out)
    }

    /// After anything that changes what is needed: acknowledges promotions whose bundles are here
    /// (or cannot be), asks for the bundles that are not, and drops those nobody needs.
    fn reconcile(&mut self, out: &mut Outputs) -> Result<(), Error> {
        self.acknowledge(out, true)?;
        self.request(out)
    }

    /// Tells which partitions can go on, and acknowledges the promotions they will use. What is
    /// not to be said (`is_heard`) stays to be acknowledged: given back are champions whose coming
    /// will do so. What a table imposes waits for nobody's acknowledgement, so none is said.
    fn acknowledge(&mut self, out: &mut Outputs, is_heard: bool) -> Result<BTreeSet<Version>, Error> {
        let mut unsaid = BTreeSet::new();
        let failed = |version: &Version| matches!(self.bundles.get(version), Some(Loading::Failed(_)));
        for (source, partition) in &mut self.partitions {
            let pending = self.promotions.pending(source, &partition.state, None, failed)?;
            let is_imposed = self.promotions.is_imposed();
            partition.ready = partition.state.line_up.is_some() || !pending.is_empty() || is_imposed;
            let is_here = |line_up: &LineUp| standing(&self.bundles, line_up) == Standing::Loaded;
            partition.until = self.promotions.reaches(source, &partition.state, is_here);
            for line_up in needed(&partition.state, &pending) {
                let standing = standing(&self.bundles, line_up);
                partition.ready &= standing == Standing::Loaded;
                let fault = match standing {
                    Standing::Waiting => continue,
                    Standing::Loaded => None,
                    Standing::Failed(fault) => Some(fault),
                };
                if is_imposed || partition.acknowledged.contains(&line_up.promotion) {
                    continue;
                }
                if is_heard {
                    partition.acknowledged.insert(line_up.promotion);
                    let (source, promotion) = (source.clone(), line_up.promotion);
                    pane::push_entry(out, &pane::Entry::Acknowledged { source, promotion, fault })?;
                } else {
                    unsaid.extend(line_up.champion().map(|m| m.version.clone()));
                }
            }
        }
        Ok(unsaid)
    }

    /// Bundles that are here or on their way.
    #[cfg(test)]
    pub(crate) fn bundles_held(&self) -> usize {
        self.bundles.len()
    }

    /// Asks for the bundles that are needed and not here, and drops those nobody needs.
    fn request(&mut self, out: &mut Outputs) -> Result<(), Error> {
        // A replica without partitions keeps the newest at hand for when it is given some.
        let versions = |l: &LineUp| l.members.iter().map(|m| m.version.clone()).collect::<Vec<_>>();
        let mut wanted: BTreeSet<Version> = self.promotions.newest().into_iter().flat_map(versions).collect();
        let failed = |version: &Version| matches!(self.bundles.get(version), Some(Loading::Failed(_)));
        for (source, partition) in &self.partitions {
            let pending = self.promotions.pending(source, &partition.state, None, failed)?;
            wanted.extend(needed(&partition.state, &pending).flat_map(versions));
        }
        self.bundles.retain(|version, _| wanted.contains(version));
        for version in wanted {
            if let Entry::Vacant(vacant) = self.bundles.entry(version) {
                out.effects.push(Effect::Load(vacant.key().clone()));
                vacant.insert(Loading::Requested);
            }
        }
        Ok(())
    }

    fn idle(&mut self, source: &SourcePartition, out: &mut Outputs) -> Result<(), Error> {
        let Some(partition) = self.partitions.get_mut(source).filter(|p| !p.state.idle) else { return Ok(()) };
        partition.state.idle = true;
        self.watermark.observe(source, partition.state.watermark());
        marker::write(&self.config, source, &partition.state, out)
    }

    fn batch(&mut self, raw: &RawBatch, decoded: &Decoded, out: &mut Outputs) -> Result<(), Error> {
        let Some(partition) = self.partitions.get_mut(&raw.source) else {
            return Err(Error::Contract(format!("{} was given but is not assigned", raw.source)));
        };
        if !partition.ready {
            return Err(Error::Contract(format!("{} was given before its bundles were loaded", raw.source)));
        }
        let state = &mut partition.state;
        if state.idle {
            state.idle = false;
            marker::write(&self.config, &raw.source, state, out)?;
        }
        let before = state.watermark_ms;
        let failed = |version: &Version| matches!(self.bundles.get(version), Some(Loading::Failed(_)));
        let pending = self.promotions.pending(&raw.source, state, raw.last_offset(), failed)?;
        let mut batch = Batch::new(&self.config, raw, decoded);
        let runs = batch.cut(state, pending)?;
        let swaps = runs.iter().filter(|r| r.swap.is_some()).count() as u64;
        let cells = Cells::after(std::mem::take(&mut partition.sampled));
        let written = write_runs(&batch, &self.bundles, (runs, cells), out)?;
        count(&batch, decoded, &written, state, out);
        out.count(metrics::SWAPS, swaps);
        partition.sampled = written.cells.write(&batch, out)?;
        self.watermark.observe(&raw.source, state.watermark());
        if marker::passed(&self.config, before, state.watermark_ms) {
            marker::write(&self.config, &raw.source, state, out)?;
        }
        if swaps > 0 { self.reconcile(out) } else { Ok(()) }
    }
}

/// Where the bundles of a line-up stand.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Waiting,
    Loaded,
    Failed(String),
}

fn standing(bundles: &BTreeMap<Version, Loading>, line_up: &LineUp) -> Standing {
    let mut standing = Standing::Loaded;
    for member in &line_up.members {
        match bundles.get(&member.version) {
            Some(Loading::Loaded(_)) => {}
            Some(Loading::Failed(fault)) => return Standing::Failed(format!("bundle {}: {fault}", member.version)),
            Some(Loading::Requested) | None => standing = Standing::Waiting,
        }
    }
    standing
}

/// What the runs of a batch left to be written.
struct Written {
    cells: Cells,
    /// All refused records, in offset order.
    refused: Vec<Refused>,
    predictions: u64,
    shadow_faults: u64,
}

fn write_runs(
    batch: &Batch<'_>,
    bundles: &BTreeMap<Version, Loading>,
    (runs, cells): (Vec<Run>, Cells),
    out: &mut Outputs,
) -> Result<Written, Error> {
    let refused = batch.decoded.refused.clone();
    let mut written = Written { cells, refused, predictions: 0, shadow_faults: 0 };
    for run in runs {
        let mut live = Vec::with_capacity(run.line_up.members.len());
        for member in &run.line_up.members {
            let Some(Loading::Loaded(one)) = bundles.get(&member.version) else {
                let (source, version) = (&batch.raw.source, &member.version);
                return Err(Error::Contract(format!("{source} was given before bundle {version} was loaded")));
            };
            live.push(one);
        }
        let mut scored = batch.score(run, &live)?;
        publish::swap(batch, &scored, out)?;
        publish::predictions(batch, &scored, out);
        tracking::predictions(batch, &scored, out)?;
        written.cells.add(batch, &scored)?;
        written.predictions += scored.kept.len() as u64;
        written.shadow_faults += scored.shadow_faults();
        written.refused.append(&mut scored.refused);
    }
    written.refused.sort_by_key(|r| r.index);
    publish::rejected(batch, &written.refused, out);
    Ok(written)
}

/// Counts a batch: in the partition's totals and for telemetry.
fn count(batch: &Batch<'_>, decoded: &Decoded, written: &Written, state: &mut State, out: &mut Outputs) {
    let counters = &mut state.counters;
    counters.read += batch.raw.len() as u64;
    counters.scored += written.predictions;
    counters.rejected += written.refused.len() as u64;
    let future = batch.is_future.iter().filter(|is| **is).count() as u64;
    counters.future += future;
    counters.ignored += decoded.ignored;
    out.count(metrics::EVENTS, batch.raw.len() as u64);
    out.count(metrics::PREDICTIONS, written.predictions);
    out.count(metrics::FUTURE, future);
    out.count(metrics::IGNORED, decoded.ignored);
    out.count(metrics::AFTER_FINAL, batch.after_final.iter().filter(|a| **a).count() as u64);
    out.count(metrics::SHADOW_FAULTS, written.shadow_faults);
    let mut reasons: BTreeMap<&'static str, u64> = BTreeMap::new();
    for refused in &written.refused {
        *reasons.entry(refused.reason).or_default() += 1;
    }
    for (reason, value) in reasons {
        out.count_by(metrics::REJECTED, ("vigie.reason", reason), value);
    }
}

/// Decodes batches before they are stepped.
struct Decoding(EventDecoder);

impl Preparer for Decoding {
    fn prepare(&mut self, batch: &RawBatch) -> Option<Prepared> {
        // A fault of the decoder shows when the stage decodes for itself.
        Some(Box::new(self.0.decode(batch).ok()?))
    }
}

impl domain::Stage for Stage {
    fn name(&self) -> &'static str {
        "score"
    }

    fn step(&mut self, input: Input<'_>, out: &mut Outputs) -> Result<(), StageError> {
        match input {
            Input::Assigned { source, offset, metadata, .. } => self.assigned(source, offset, metadata, out)?,
            Input::Revoked(source) => {
                self.partitions.remove(source);
                self.watermark.forget(source);
            }
            Input::Batch(batch) => {
                let decoded = self.decoder.decode(batch).map_err(Error::from)?;
                self.batch(batch, &decoded, out)?;
            }
            Input::Idle(source) => self.idle(source, out)?,
            Input::Control(batch) => self.control(batch, out)?,
            Input::Loaded { version, part } => self.loaded(version, part, out)?,
            Input::Tick { .. } => {}
        }
        Ok(())
    }

    fn preparer(&self) -> Option<Box<dyn Preparer>> {
        let decoder = EventDecoder::new(self.config.format.clone()).ok()?;
        Some(Box::new(Decoding(decoder)))
    }

    fn step_prepared(&mut self, batch: &RawBatch, prepared: Prepared, out: &mut Outputs) -> Result<(), StageError> {
        match prepared.downcast::<Decoded>() {
            Ok(decoded) => Ok(self.batch(batch, &decoded, out)?),
            Err(_) => self.step(Input::Batch(batch), out),
        }
    }

    fn commit_metadata(&self, source: &SourcePartition) -> String {
        self.partitions.get(source).map(|p| p.state.metadata()).unwrap_or_default()
    }

    fn accepts(&self, source: &SourcePartition) -> bool {
        self.partitions.get(source).is_some_and(|p| p.ready)
    }

    fn accepts_until(&self, source: &SourcePartition) -> Option<i64> {
        self.partitions.get(source).and_then(|p| p.until)
    }
}
