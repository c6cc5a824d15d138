//! Samples of clustered rows, by slice and version, until the window is final: what its silhouette is
//! computed from. They are kept beside the slices, since checkpoints of before have none.

use crate::intake::SLICES_MAX;
use crate::judge::Turn;
use crate::state::Slice;
use crate::windows::{ALL, Metrics, Moment, as_record};
use records::journal::SampleCell;

/// Versions of a slice whose rows are sampled, at most.
const VERSIONS_MAX: usize = 64;

impl Turn<'_> {
    /// Takes rows into the sample of their slice, unless its window was written for good.
    pub(crate) fn admit_sample(&mut self, cell: SampleCell) {
        let end_ms = self.config.slices.end(cell.slice_start_ms);
        let is_slice = self.config.slices.start(cell.slice_start_ms) == cell.slice_start_ms;
        let is_final = self.state.final_until_ms.is_some_and(|until| end_ms <= until);
        let has_room = self.state.samples.len() < SLICES_MAX || self.state.samples.contains_key(&cell.slice_start_ms);
        if !is_slice || is_final || !has_room {
            // The rows were counted with the pane beside it.
            return;
        }
        let by_version = self.state.samples.entry(cell.slice_start_ms).or_default();
        if by_version.len() < VERSIONS_MAX || by_version.contains_key(&cell.version) {
            by_version.entry(cell.version).or_default().merge(cell.sample);
        }
    }

    /// The silhouette of a window of all rows; over all versions only where there is one, since clusters of
    /// two have nothing in common.
    pub(crate) fn silhouette(&self, start_ms: i64, slice: &Slice, moment: Moment, version: &str) -> Metrics {
        let mut of = slice.scored.keys().filter(|own| version == ALL || version == own.as_str());
        let sample = match (of.next(), of.next()) {
            (Some(own), None) if moment != Moment::Closed => {
                self.state.samples.get(&start_ms).and_then(|samples| samples.get(own))
            }
            _ => None,
        };
        let Some(sample) = sample else { return Metrics::new() };
        let clusters: Vec<u32> = sample.rows().map(|row| row.cluster).collect();
        let vectors: Vec<&[f32]> = sample.rows().map(|row| row.features.as_slice()).collect();
        let found = measure::silhouette(&clusters, &vectors);
        found.map(|mean| ("silhouette".to_owned(), as_record(mean))).into_iter().collect()
    }
}
