//! Panes: what one transaction saw of one partition, by slice and champion.

use crate::Error;
use crate::examples::Examples;
use crate::expected::{Adding, ExpectedSums};
use crate::kernel::KernelSums;
use crate::run::{Batch, ScoredRun};
use crate::sample::{Remembered, Samples};
use crate::segments::{SegmentProfiles, Segmented};
use crate::tracking::push;
use domain::{Outputs, TopicRole, Version};
use measure::{ChildSums, Expected};
use profile::{Counts, MeanVector};
use records::journal::{Journal, ScoreCell, ScorePane};
use records::kind;
use std::collections::BTreeMap;

/// A pane is cut before it grows beyond this.
pub(crate) const BYTES_MAX: usize = 512 * 1024;

/// A journal record as score writes it. The cell of a join pane is a type score does not know;
/// postcard numbers the variants, so those without a cell have the same bytes for any such type.
pub(crate) type Entry = Journal<Counts, (), Expected, ChildSums, MeanVector>;

/// Appends one journal record.
pub(crate) fn push_entry(out: &mut Outputs, entry: &Entry) -> Result<(), Error> {
    push(out, TopicRole::Journal, 0, kind::JOURNAL, &records::to_postcard(entry)?);
    Ok(())
}

/// Cells of one batch.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    scored: BTreeMap<(i64, Version), ScoreCell<Counts>>,
    expected: ExpectedSums,
    segments: SegmentProfiles,
    examples: Examples,
    kernel: KernelSums,
    samples: Samples,
}

impl Cells {
    /// Without rows yet; `remembered` is what the batch before left of the samples.
    pub(crate) fn after(remembered: Remembered) -> Self {
        Self { samples: Samples::after(remembered), ..Self::default() }
    }

    /// Adds the kept rows of a run.
    pub(crate) fn add(&mut self, batch: &Batch<'_>, scored: &ScoredRun<'_>) -> Result<(), Error> {
        let Some(champion) = scored.run.line_up.champion() else { return Ok(()) };
        let Some((outputs, _)) = scored.members.first() else { return Ok(()) };
        let rows = scored.champion.profiled(&scored.rows, &outputs.values, batch.config).map_err(Error::Pane)?;
        let slot = |place: &u32| {
            let row = scored.run.rows.start + *place as usize;
            let after_final = batch.after_final.get(row).copied().unwrap_or(false);
            (batch.config.slices.start(batch.time_ms(row)), after_final, *place)
        };
        let mut slots: Vec<(i64, bool, u32)> = scored.kept.iter().map(slot).collect();
        slots.sort_unstable();
        let mut adding = Adding::new(batch, scored);
        let mut segmented = Segmented::new(batch, scored);
        let standardised = scored.champion.standardised(&scored.rows).map_err(Error::Pane)?;
        for of_slice in slots.chunk_by(|a, b| a.0 == b.0) {
            let Some((slice_start_ms, _, _)) = of_slice.first().copied() else { continue };
            let version = champion.version.clone();
            let cell = self.scored.entry((slice_start_ms, version.clone())).or_insert_with(|| ScoreCell {
                slice_start_ms,
                version,
                rows: 0,
                after_final: 0,
                profile: Counts::default(),
            });
            // `false` sorts before `true`: first the rows that count, in their order.
            let merged: Vec<u32> = of_slice.iter().take_while(|s| !s.1).map(|s| s.2).collect();
            cell.rows += merged.len() as u64;
            cell.after_final += (of_slice.len() - merged.len()) as u64;
            scored
                .champion
                .reference
                .layout
                .observe(&rows, &merged, &mut cell.profile)
                .map_err(|e| Error::Pane(e.to_string()))?;
            let place = (slice_start_ms, &champion.version);
            self.segments.add(&rows, scored, place, &merged, &mut segmented)?;
            self.examples.add(batch, &rows, scored, place, (&merged, &segmented))?;
            self.samples.add(batch, scored, place, &merged)?;
            if let Some(standardised) = &standardised {
                self.kernel.add(standardised, place, &merged);
            }
            if let Some(adding) = &mut adding {
                self.expected.add(batch, scored, place, &merged, adding);
            }
        }
        Ok(())
    }

    /// Writes them, if there are any, and leaves what the next batch is to remember of the samples.
    pub(crate) fn write(self, batch: &Batch<'_>, out: &mut Outputs) -> Result<Remembered, Error> {
        let span = batch.raw.first_offset().zip(batch.raw.last_offset());
        let Some((from_offset, to_offset)) = span.filter(|_| !self.scored.is_empty()) else {
            return self.samples.write(batch, out);
        };
        let cells = self.scored.into_values().collect();
        let pane = ScorePane { source: batch.raw.source.clone(), from_offset, to_offset, cells };
        write_pane(Entry::ScorePane(pane), out)?;
        self.segments.write(batch, out)?;
        self.examples.write(batch, out)?;
        self.kernel.write(batch, out)?;
        self.expected.write(batch, out)?;
        self.samples.write(batch, out)
    }
}

/// Writes a pane that has cells, halved by them until each record is small enough.
pub(crate) fn write_pane(mut pane: Entry, out: &mut Outputs) -> Result<(), Error> {
    let cells = match &pane {
        Entry::ScorePane(pane) => pane.cells.len(),
        Entry::Expected(pane) => pane.cells.len(),
        Entry::ExpectedErrors(pane) => pane.cells.len(),
        Entry::Segments(pane) => pane.cells.len(),
        Entry::Examples(pane) => pane.cells.len(),
        Entry::Kernel(pane) => pane.cells.len(),
        Entry::Sample(pane) => pane.cells.len(),
        _ => return push_entry(out, &pane),
    };
    if cells == 0 {
        return Ok(());
    }
    let bytes = records::to_postcard(&pane)?;
    if bytes.len() <= BYTES_MAX || cells == 1 {
        push(out, TopicRole::Journal, 0, kind::JOURNAL, &bytes);
        return Ok(());
    }
    let mut second = pane.clone();
    match (&mut pane, &mut second) {
        (Entry::ScorePane(first), Entry::ScorePane(second)) => cut(&mut first.cells, &mut second.cells),
        (Entry::Expected(first), Entry::Expected(second)) => cut(&mut first.cells, &mut second.cells),
        (Entry::ExpectedErrors(first), Entry::ExpectedErrors(second)) => cut(&mut first.cells, &mut second.cells),
        (Entry::Segments(first), Entry::Segments(second)) => cut(&mut first.cells, &mut second.cells),
        (Entry::Examples(first), Entry::Examples(second)) => cut(&mut first.cells, &mut second.cells),
        (Entry::Kernel(first), Entry::Kernel(second)) => cut(&mut first.cells, &mut second.cells),
        (Entry::Sample(first), Entry::Sample(second)) => cut(&mut first.cells, &mut second.cells),
        _ => {}
    }
    write_pane(pane, out)?;
    write_pane(second, out)
}

/// Leaves the first half to one of two copies, the rest to the other.
fn cut<T>(first: &mut Vec<T>, second: &mut Vec<T>) {
    let half = first.len() / 2;
    first.truncate(half);
    second.drain(..half);
}
