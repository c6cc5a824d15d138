//! Samples of clustered rows, by slice and version, until the window is final: what its silhouette is
//! computed from. They are kept beside the slices, since checkpoints of before have none.
//!
//! The more slices wait by the configuration, the fewer rows each has. Where one partition runs far ahead of
//! another, as in catching up, more wait than that; of thousands, the last have no sample at all rather than a
//! part of one. Which those are depends on the order of panes, so only up to there are windows with a
//! `silhouette` the same in every run.

use crate::config::Config;
use crate::judge::Turn;
use crate::state::Slice;
use crate::windows::{ALL, Metrics, Moment, as_record};
use domain::Version;
use records::journal::SampleCell;
use records::sample::{ROWS_MIN, Sample};
use std::collections::BTreeMap;

/// Versions of a slice whose rows are sampled, at most.
const VERSIONS_MAX: usize = 64;
/// Numbers in the samples of one version in all slices that wait by the configuration: 16 MiB, and as much
/// of a checkpoint.
const NUMBERS_MAX: usize = 4 << 20;
/// How many times as many numbers there may be where more slices wait.
const AHEAD: usize = 4;

/// By slice and version; a slice without any is one that came too far ahead.
pub(crate) type Samples = BTreeMap<i64, BTreeMap<Version, Sample>>;

/// Rows of a sample of so many features: fewer where many slices wait. It follows from the configuration
/// alone, so that it is the same in every run.
fn rows_max(config: &Config, features: usize) -> usize {
    let waiting = usize::try_from(config.waiting_slices()).unwrap_or(usize::MAX).max(1);
    let rows = NUMBERS_MAX / waiting / features.max(1);
    if rows < ROWS_MIN { 0 } else { rows.min(records::sample::rows_max(features)) }
}

/// Slices that have samples of so many features at a time: at least 2,048, however few should wait.
fn slices_max(config: &Config, features: usize) -> usize {
    let numbers = rows_max(config, features).saturating_mul(features.max(1));
    AHEAD * NUMBERS_MAX / numbers.max(1)
}

/// Takes rows of a slice, unless it came too far ahead.
fn admit(samples: &mut Samples, cell: SampleCell, config: &Config) -> bool {
    if !samples.contains_key(&cell.slice_start_ms) {
        let features = cell.sample.rows().next().map_or(0, |row| row.features.len());
        let has_room = samples.values().filter(|own| !own.is_empty()).count() < slices_max(config, features);
        let empty = (cell.version.clone(), Sample::default());
        samples.insert(cell.slice_start_ms, has_room.then_some(empty).into_iter().collect());
    }
    let Some(by_version) = samples.get_mut(&cell.slice_start_ms).filter(|own| !own.is_empty()) else { return false };
    let has_room = by_version.len() < VERSIONS_MAX || by_version.contains_key(&cell.version);
    if has_room {
        by_version.entry(cell.version).or_default().merge(cell.sample, |features| rows_max(config, features));
    }
    has_room
}

impl Turn<'_> {
    /// Takes rows into the sample of their slice, unless its window was written for good.
    pub(crate) fn admit_sample(&mut self, cell: SampleCell) {
        // Rows of a window that was written were counted with the pane beside it.
        let rows = cell.sample.rows().len() as u64;
        if self.takes(&self.state.samples, cell.slice_start_ms) && !admit(&mut self.state.samples, cell, self.config) {
            self.out.count("vigie.judge.beyond_bounds", rows.max(1));
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

#[cfg(test)]
mod tests {
    use super::{Samples, admit, rows_max, slices_max};
    use crate::config::Config;
    use crate::tests::fixtures::config;
    use domain::{Slices, Version, fingerprint};
    use records::journal::SampleCell;
    use records::sample::{Sample, Vector};
    use std::ops::Range;

    const MINUTE: i64 = 60_000;

    #[test]
    fn many_slices_that_wait_have_fewer_rows_each() {
        let check = |(lateness_ms, length_ms, features): (i64, i64, usize), expected: usize| {
            let config = Config { horizon_ms: 0, lateness_ms, slices: Slices::of(length_ms), ..config() };
            assert_eq!(rows_max(&config, features), expected);
        };
        let day = 1_440 * MINUTE;
        check((day, day, 20), 128);
        check((day, day, 512), 16);
        check((day, MINUTE, 20), 128);
        check((day, MINUTE, 60), 48);
        // Too few to tell clusters apart are none.
        check((day, MINUTE, 200), 0);
        check((7 * day, MINUTE, 20), 20);
        check((i64::MAX, 1, 1), 0);
        check((day, day, 8_000), 0);
    }

    #[test]
    fn a_slice_far_ahead_has_no_sample_instead_of_a_part() {
        // 16 rows of 512 features fill 32 KiB, so 2,048 slices four times the 16 MiB.
        let config = Config { horizon_ms: 0, lateness_ms: MINUTE, slices: Slices::of(MINUTE), ..config() };
        assert_eq!([1, 512, 8_000].map(|features| slices_max(&config, features)), [131_072, 2_048, 16_777_216]);
        let mut samples = Samples::new();
        let taken = |samples: &mut Samples, minutes: Range<i64>| -> Vec<i64> {
            let mut taken = Vec::new();
            for minute in minutes {
                let mut sample = Sample::default();
                sample.add(fingerprint(b"e"), Vector { cluster: 0, features: vec![1.0; 512] }, 1);
                let (slice_start_ms, version) = (minute * MINUTE, Version::new("v"));
                let is_taken = admit(samples, SampleCell { slice_start_ms, version, sample }, &config);
                assert_eq!(samples[&slice_start_ms].is_empty(), !is_taken);
                taken.extend(is_taken.then_some(minute));
            }
            taken
        };
        assert_eq!(taken(&mut samples, 0..2_100), (0..2_048).collect::<Vec<_>>());
        // Later there is room, but what came before is lost.
        samples.retain(|start_ms, _| *start_ms >= 2_046 * MINUTE);
        assert_eq!(taken(&mut samples, 2_046..2_102), [2_046, 2_047, 2_100, 2_101]);
    }
}
