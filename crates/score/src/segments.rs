//! Profiles of segments: what drift within them is seen by.

use crate::Error;
use crate::pane::{Entry, write_pane};
use crate::run::{Batch, ScoredRun};
use arrow::array::RecordBatch;
use domain::{Outputs, Version};
use profile::{Counts, segment_name};
use records::journal::{SegmentCell, SegmentPane};
use std::collections::BTreeMap;

/// Profiles of one batch by slice, champion and segment.
#[derive(Debug, Default)]
pub(crate) struct SegmentProfiles(BTreeMap<(i64, Version, String), Counts>);

/// Segments of the rows of a run, for one segmentation.
struct Segmentation {
    /// By code; `None` where the bundle has no reference of it.
    names: Vec<Option<String>>,
    codes: Vec<u32>,
    /// Rows of a slice by code: emptied after each, kept for its room.
    places: Vec<Vec<u32>>,
}

/// Rows of a run by segment; empty unless drift is watched within segments.
pub(crate) struct Segmented(Vec<Segmentation>);

impl Segmented {
    pub(crate) fn new(batch: &Batch<'_>, scored: &ScoredRun<'_>) -> Self {
        let profiled = &scored.champion.profiled_segments;
        let all = batch.config.segments.iter().zip(&scored.champion.segments);
        let watched = all.filter(|(segment, _)| segment.drift && !profiled.is_empty());
        let segmentation = |(segment, values): (&crate::Segment, &profile::SegmentValues)| {
            let name = |value: &String| segment_name(&segment.name, value);
            let names = values.values().iter().map(|v| Some(name(v)).filter(|name| profiled.contains(name))).collect();
            let codes = values.codes(scored.rows.column_by_name(&segment.column), scored.rows.num_rows());
            Segmentation { names, codes, places: vec![Vec::new(); values.values().len()] }
        };
        Self(watched.map(segmentation).collect())
    }
}

impl Segmented {
    /// Profiled segments that a row is in, by its place in the run.
    pub(crate) fn of(&self, place: u32) -> Vec<String> {
        let name = |segmentation: &Segmentation| {
            let code = *segmentation.codes.get(place as usize)?;
            segmentation.names.get(code as usize)?.clone()
        };
        self.0.iter().filter_map(name).collect()
    }
}

impl SegmentProfiles {
    /// Adds rows of one slice, by their places in the run; `rows` are those of the run as panes
    /// profile them.
    pub(crate) fn add(
        &mut self,
        rows: &RecordBatch,
        scored: &ScoredRun<'_>,
        (slice_start_ms, version): (i64, &Version),
        places: &[u32],
        segmented: &mut Segmented,
    ) -> Result<(), Error> {
        for segmentation in &mut segmented.0 {
            for place in places {
                let code = segmentation.codes.get(*place as usize).map_or(usize::MAX, |code| *code as usize);
                if segmentation.names.get(code).is_some_and(Option::is_some)
                    && let Some(of_code) = segmentation.places.get_mut(code)
                {
                    of_code.push(*place);
                }
            }
            for (name, places) in segmentation.names.iter().zip(&mut segmentation.places) {
                let Some(name) = name.as_ref().filter(|_| !places.is_empty()) else { continue };
                let profile = self.0.entry((slice_start_ms, version.clone(), name.clone())).or_default();
                let layout = &scored.champion.reference.layout;
                layout.observe(rows, places, profile).map_err(|e| Error::Pane(e.to_string()))?;
                places.clear();
            }
        }
        Ok(())
    }

    /// Writes them, if there are any.
    pub(crate) fn write(self, batch: &Batch<'_>, out: &mut Outputs) -> Result<(), Error> {
        let span = batch.raw.first_offset().zip(batch.raw.last_offset());
        let Some((from_offset, to_offset)) = span.filter(|_| !self.0.is_empty()) else { return Ok(()) };
        let cell =
            |((slice_start_ms, version, segment), profile)| SegmentCell { slice_start_ms, version, segment, profile };
        let cells = self.0.into_iter().map(cell).collect();
        write_pane(
            Entry::Segments(SegmentPane { source: batch.raw.source.clone(), from_offset, to_offset, cells }),
            out,
        )
    }
}
