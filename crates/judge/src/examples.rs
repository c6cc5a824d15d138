//! Events that an alert names: a sample of each slice, of which those are told that are where the
//! worst column has more than it should, or whose predictions turned out worst.

use crate::config::Known;
use crate::intake::SLICES_MAX;
use crate::judge::Turn;
use crate::state::Slice;
use domain::Version;
use records::example::Example;
use records::journal::{ExampleCell, LossCell};

/// Most events that an alert names.
const NAMED_MAX: usize = 3;
/// Most versions of a slice whose examples are kept; one more is left out, for it is only a sample.
const VERSIONS_MAX: usize = 16;

impl Turn<'_> {
    /// Takes the sample of a pane into that of its slice.
    pub(crate) fn admit_examples(&mut self, cell: ExampleCell) {
        // Rows beyond the bounds were counted with score's panes.
        let decides = self.decides();
        let Some(slice) = self.slice(cell.slice_start_ms).filter(|slice| decides && !slice.shown_closed) else {
            return;
        };
        if slice.examples.len() >= VERSIONS_MAX && !slice.examples.contains_key(&cell.version) {
            return;
        }
        let sample = slice.examples.entry(cell.version).or_default();
        cell.examples.into_iter().for_each(|(fingerprint, example)| example.keep_in(sample, fingerprint));
    }
}

impl Turn<'_> {
    /// Takes the losses of sampled rows into those of their slice, until it is judged.
    pub(crate) fn admit_losses(&mut self, cell: LossCell) {
        let is_judged =
            self.state.judged_until_ms.is_some_and(|until| self.config.slices.end(cell.slice_start_ms) <= until);
        if !self.decides() || is_judged {
            return;
        }
        let has_room = self.state.losses.len() < SLICES_MAX || self.state.losses.contains_key(&cell.slice_start_ms);
        if !has_room {
            return;
        }
        let by_version = self.state.losses.entry(cell.slice_start_ms).or_default();
        if by_version.len() < VERSIONS_MAX || by_version.contains_key(&cell.version) {
            by_version.entry(cell.version).or_default().merge(&cell.losses);
        }
    }

    /// Ids of sampled events of a slice whose predictions by this version turned out worst, worst first.
    pub(crate) fn worst(&self, start_ms: i64, slice: &Slice, version: &Version) -> Vec<String> {
        let losses = self.state.losses.get(&start_ms).and_then(|by_version| by_version.get(version));
        let (Some(losses), Some(sample)) = (losses, slice.examples.get(version)) else { return Vec::new() };
        let ids = losses.worst_first().into_iter().filter_map(|(fingerprint, _)| sample.get(&fingerprint));
        ids.take(NAMED_MAX).map(|example| example.id.clone()).collect()
    }
}

/// What is left of a sample once drift has been told: the ids, for when labels come.
pub(crate) fn keep_ids(slice: &mut Slice) {
    for example in slice.examples.values_mut().flat_map(|sample| sample.values_mut()) {
        (example.bins, example.segments) = (Vec::new(), Vec::new());
    }
}

/// Ids of some events of a slice, whatever they are like.
pub(crate) fn of_slice(slice: &Slice, version: &Version) -> Vec<String> {
    let sample = slice.examples.get(version).into_iter().flat_map(|sample| sample.values());
    sample.take(NAMED_MAX).map(|example| example.id.clone()).collect()
}

/// Ids of events of a slice that are in the bin of a column (by its number) which gained most against
/// the reference, of all rows or within a segment.
pub(crate) fn of_shift(
    known: &Known,
    slice: &Slice,
    version: &Version,
    (number, segment): (usize, Option<&str>),
) -> Vec<String> {
    let bins = known.reference.layout.bin_count(number);
    let (old, new) = match segment {
        None => (Some(&known.reference.counts), slice.scored.get(version).map(|scored| &scored.profile)),
        Some(name) => (known.segments.get(name), slice.segments.get(&(name.to_owned(), version.clone()))),
    };
    let (Some(old), Some(new)) = (old, new) else { return Vec::new() };
    let (old, new) = (old.column(number, bins), new.column(number, bins));
    let total = |counts: &[u64]| counts.iter().map(|count| *count as f64).sum::<f64>().max(1.0);
    let (all_old, all_new) = (total(&old), total(&new));
    let gains = old.iter().zip(&new).map(|(old, new)| *new as f64 / all_new - *old as f64 / all_old);
    let Some((gained, _)) = gains.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)) else { return Vec::new() };
    let is_in = |example: &&Example| {
        let bin = example.bins.get(number).map(|bin| usize::from(*bin));
        bin == Some(gained) && segment.is_none_or(|name| example.segments.iter().any(|own| own == name))
    };
    let sample = slice.examples.get(version).into_iter().flat_map(|sample| sample.values());
    sample.filter(is_in).take(NAMED_MAX).map(|example| example.id.clone()).collect()
}
