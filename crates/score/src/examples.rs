//! A few events of each slice with the bins they are in: what an alert names as examples.
//!
//! Those with the smallest fingerprints of all events of a slice: a fair sample that panes, partitions
//! and replicas merge to the same one, however they were cut.

use crate::Error;
use crate::pane::{Entry, write_pane};
use crate::run::{Batch, ScoredRun};
use crate::segments::Segmented;
use arrow::array::RecordBatch;
use domain::{Fingerprint, Outputs, Version};
use records::example::{EXAMPLE_ID_BYTES_MAX, EXAMPLES_MAX, Example};
use records::journal::{ExampleCell, ExamplePane};
use std::collections::{BTreeMap, BTreeSet};

/// Examples of one batch by slice and champion, by fingerprint.
#[derive(Debug, Default)]
pub(crate) struct Examples(BTreeMap<(i64, Version), BTreeMap<Fingerprint, Example>>);

impl Examples {
    /// Adds rows of one slice, by their places in the run; `rows` are those of the run as panes
    /// profile them.
    pub(crate) fn add(
        &mut self,
        batch: &Batch<'_>,
        rows: &RecordBatch,
        scored: &ScoredRun<'_>,
        (slice_start_ms, version): (i64, &Version),
        (places, segmented): (&[u32], &Segmented),
    ) -> Result<(), Error> {
        let id = |place: u32| batch.id(scored.run.rows.start + place as usize);
        let is_short = |place: &&u32| id(**place).len() <= EXAMPLE_ID_BYTES_MAX;
        let fingerprinted = |place: &u32| (batch.fingerprint(scored.run.rows.start + *place as usize), *place);
        let mut least: Vec<(Fingerprint, u32)> = places.iter().filter(is_short).map(fingerprinted).collect();
        let known = self.0.entry((slice_start_ms, version.clone())).or_default();
        let mut distinct: BTreeSet<Fingerprint> = known.keys().copied().collect();
        for (fingerprint, _) in &least {
            if distinct.len() < EXAMPLES_MAX || distinct.last().is_some_and(|most| fingerprint < most) {
                distinct.insert(*fingerprint);
                if distinct.len() > EXAMPLES_MAX {
                    distinct.pop_last();
                }
            }
        }
        // Of an event that was sent twice every row: which one stands must not depend on how it was cut.
        least.retain(|(fingerprint, _)| distinct.contains(fingerprint));
        let chosen: Vec<u32> = least.iter().map(|(_, place)| *place).collect();
        let bins = scored.champion.reference.layout.bins_of(rows, &chosen).map_err(|e| Error::Pane(e.to_string()))?;
        for ((fingerprint, place), bins) in least.into_iter().zip(bins) {
            let example = Example { id: id(place).to_owned(), bins, segments: segmented.of(place) };
            example.keep_in(known, fingerprint);
        }
        Ok(())
    }

    /// Writes them, if there are any.
    pub(crate) fn write(self, batch: &Batch<'_>, out: &mut Outputs) -> Result<(), Error> {
        let span = batch.raw.first_offset().zip(batch.raw.last_offset());
        let Some((from_offset, to_offset)) = span else { return Ok(()) };
        let cell = |((slice_start_ms, version), examples): (_, BTreeMap<_, _>)| ExampleCell {
            slice_start_ms,
            version,
            examples: examples.into_iter().collect(),
        };
        let cells = self.0.into_iter().filter(|(_, examples)| !examples.is_empty()).map(cell).collect();
        let source = batch.raw.source.clone();
        write_pane(Entry::Examples(ExamplePane { source, from_offset, to_offset, cells }), out)
    }
}
