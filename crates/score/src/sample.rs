//! Rows that stand for those of a slice, as the model sees them: what a silhouette is computed from.

use crate::Error;
use crate::pane::{Entry, write_pane};
use crate::run::{Batch, ScoredRun};
use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use domain::{Fingerprint, Outputs, Task, Version};
use records::journal::{SampleCell, SamplePane};
use records::sample::{ROWS_MAX, Sample, Vector, rows_max};
use std::collections::{BTreeMap, BTreeSet};

/// Slices and champions of a partition whose samples are remembered: the newest, which most rows are of.
const SLICES_MAX: usize = 8;

/// Fingerprints of the rows of a partition that are in the samples of its newest slices, as far as this
/// process has seen: rows above them need not be told. What is forgotten is told once more. It must not outlive
/// an assignment: rows that are scored again may be another champion's, of which it would remember too many.
#[derive(Debug, Default)]
pub(crate) struct Remembered(BTreeMap<(i64, Version), BTreeSet<Fingerprint>>);

impl Remembered {
    /// Takes rows of one slice by fingerprint and place, and leaves those that its sample needs.
    fn admit(
        &mut self,
        slice: (i64, Version),
        rows: impl Iterator<Item = (Fingerprint, u32)>,
    ) -> Vec<(Fingerprint, u32)> {
        let known = self.0.entry(slice).or_default();
        let mut needed: Vec<(Fingerprint, u32)> = Vec::new();
        for (id, place) in rows {
            if known.len() >= ROWS_MAX && known.last().is_some_and(|last| id > *last) {
                continue;
            }
            // An event that was sent twice has several rows; which one stands must not depend on the batch.
            needed.push((id, place));
            known.insert(id);
            if known.len() > ROWS_MAX {
                known.pop_last();
            }
        }
        if let Some(last) = known.last().copied().filter(|_| known.len() >= ROWS_MAX) {
            needed.retain(|(id, _)| *id <= last);
        }
        while self.0.len() > SLICES_MAX {
            self.0.pop_first();
        }
        needed
    }
}

/// Samples of one batch by slice and champion; of clusters only.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    remembered: Remembered,
    by_slice: BTreeMap<(i64, Version), Sample>,
}

impl Samples {
    /// Without rows yet, after the batches before.
    pub(crate) fn after(remembered: Remembered) -> Self {
        Self { remembered, ..Self::default() }
    }

    /// Adds rows of one slice, by their places in the run.
    pub(crate) fn add(
        &mut self,
        batch: &Batch<'_>,
        scored: &ScoredRun<'_>,
        (slice_start_ms, version): (i64, &Version),
        places: &[u32],
    ) -> Result<(), Error> {
        if batch.config.task != Task::Clustering {
            return Ok(());
        }
        let slice = (slice_start_ms, version.clone());
        // Slices of the future would fill memories for as long as it takes until they are due.
        let row = |place: u32| scored.run.rows.start + place as usize;
        let is_due = |place: &u32| !batch.is_future.get(row(*place)).copied().unwrap_or(false);
        let rows = places.iter().copied().filter(is_due).map(|place| (batch.fingerprint(row(place)), place));
        let needed = self.remembered.admit(slice.clone(), rows);
        if needed.is_empty() {
            return Ok(());
        }
        let chosen = UInt32Array::from_iter_values(needed.iter().map(|(_, place)| *place));
        let rows = take_record_batch(&scored.rows, &chosen).map_err(|e| Error::Pane(e.to_string()))?;
        let features = scored.champion.features(&rows).map_err(Error::Pane)?;
        let rows_max = rows_max(features.len());
        let sample = self.by_slice.entry(slice).or_default();
        for (row, (id, place)) in needed.into_iter().enumerate() {
            let cluster = measure::predicted_class(batch.config.task, scored.outputs(0, place));
            let features = features.iter().filter_map(|column| column.get(row).copied()).collect();
            sample.add(id, Vector { cluster: u32::try_from(cluster).unwrap_or(u32::MAX), features }, rows_max);
        }
        Ok(())
    }

    /// Writes them, if there are any, and leaves what the next batch is to remember.
    pub(crate) fn write(self, batch: &Batch<'_>, out: &mut Outputs) -> Result<Remembered, Error> {
        let span = batch.raw.first_offset().zip(batch.raw.last_offset());
        let Some((from_offset, to_offset)) = span else { return Ok(self.remembered) };
        let cell = |((slice_start_ms, version), sample)| SampleCell { slice_start_ms, version, sample };
        let cells = self.by_slice.into_iter().filter(|(_, sample)| !sample.is_empty()).map(cell).collect();
        write_pane(Entry::Sample(SamplePane { source: batch.raw.source.clone(), from_offset, to_offset, cells }), out)?;
        Ok(self.remembered)
    }
}
