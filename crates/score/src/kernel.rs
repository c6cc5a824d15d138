//! Sums of a kernel over the rows of a slice: what all columns at once are watched by.

use crate::Error;
use crate::pane::{Entry, write_pane};
use crate::run::Batch;
use domain::{Outputs, Version};
use profile::{Kernel, MeanVector, Standardised};
use records::journal::{KernelCell, KernelPane};
use std::collections::BTreeMap;

/// Sums of one batch by slice and champion.
#[derive(Debug, Default)]
pub(crate) struct KernelSums(pub(crate) BTreeMap<(i64, Version), MeanVector>);

impl KernelSums {
    /// Adds rows of one slice, by their places in the run.
    pub(crate) fn add(
        &mut self,
        (kernel, rows): &(&Kernel, Standardised),
        (slice_start_ms, version): (i64, &Version),
        places: &[u32],
    ) {
        if !places.is_empty() {
            kernel.observe(rows, places, self.0.entry((slice_start_ms, version.clone())).or_default());
        }
    }

    /// Writes them, if there are any.
    pub(crate) fn write(self, batch: &Batch<'_>, out: &mut Outputs) -> Result<(), Error> {
        let span = batch.raw.first_offset().zip(batch.raw.last_offset());
        let Some((from_offset, to_offset)) = span else { return Ok(()) };
        let cell = |((slice_start_ms, version), sum)| KernelCell { slice_start_ms, version, sum };
        let cells = self.0.into_iter().map(cell).collect();
        write_pane(Entry::Kernel(KernelPane { source: batch.raw.source.clone(), from_offset, to_offset, cells }), out)
    }
}
