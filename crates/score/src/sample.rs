//! Rows that stand for those of a slice, as the model sees them: what a silhouette is computed from.

use crate::Error;
use crate::pane::{Entry, write_pane};
use crate::run::{Batch, ScoredRun};
use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use domain::{Fingerprint, Outputs, Task, Version, fingerprint};
use records::journal::{SampleCell, SamplePane};
use records::sample::{Sample, Vector, rows_max};
use std::collections::BTreeMap;

/// Samples of one batch by slice and champion; of clusters only.
#[derive(Debug, Default)]
pub(crate) struct Samples(BTreeMap<(i64, Version), Sample>);

impl Samples {
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
        let known = self.0.entry((slice_start_ms, version.clone())).or_default();
        // However many features there are, no more rows than of one stay.
        let most = rows_max(1);
        let id = |place: &u32| fingerprint(batch.id(scored.run.rows.start + *place as usize).as_bytes());
        let mut least: Vec<(Fingerprint, u32)> = places.iter().map(|place| (id(place), *place)).collect();
        least.retain(|(id, _)| known.takes(*id, most));
        // An event that was sent twice has several rows; none of them may be cut off.
        least.sort_unstable();
        if let Some((last, _)) = least.get(most).copied() {
            least.retain(|(id, _)| *id <= last);
        }
        let chosen = UInt32Array::from_iter_values(least.iter().map(|(_, place)| *place));
        let rows = take_record_batch(&scored.rows, &chosen).map_err(|e| Error::Pane(e.to_string()))?;
        let features = scored.champion.features(&rows).map_err(Error::Pane)?;
        for (row, (id, place)) in least.into_iter().enumerate() {
            let cluster = measure::predicted_class(batch.config.task, scored.outputs(0, place));
            let features = features.iter().filter_map(|column| column.get(row).copied()).collect();
            known.add(id, Vector { cluster: u32::try_from(cluster).unwrap_or(u32::MAX), features });
        }
        Ok(())
    }

    /// Writes them, if there are any.
    pub(crate) fn write(self, batch: &Batch<'_>, out: &mut Outputs) -> Result<(), Error> {
        let span = batch.raw.first_offset().zip(batch.raw.last_offset());
        let Some((from_offset, to_offset)) = span else { return Ok(()) };
        let cell = |((slice_start_ms, version), sample)| SampleCell { slice_start_ms, version, sample };
        let cells = self.0.into_iter().filter(|(_, sample)| !sample.is_empty()).map(cell).collect();
        write_pane(Entry::Sample(SamplePane { source: batch.raw.source.clone(), from_offset, to_offset, cells }), out)
    }
}
