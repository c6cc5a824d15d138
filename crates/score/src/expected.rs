//! What the published scores expect of themselves: sums per slice and segment, before any label.

use crate::Error;
use crate::pane::{BYTES_MAX, Entry};
use crate::run::{Batch, ScoredRun};
use crate::tracking::push;
use domain::{Outputs, TopicRole, Version};
use measure::Expected;
use records::journal::{ExpectedCell, ExpectedPane};
use records::kind;
use std::collections::BTreeMap;

/// All rows.
const ALL: &str = "*";

/// Sums of one batch by slice, champion and segment.
#[derive(Debug, Default)]
pub(crate) struct ExpectedSums(BTreeMap<(i64, Version, String), Expected>);

/// Codes of every row of a run, and the sums of each code in one slice, for one segmentation.
struct Segmentation<'a> {
    name: &'a str,
    values: &'a [String],
    codes: Vec<u32>,
    sums: Vec<Option<Expected>>,
}

/// What the slices of a run share.
pub(crate) struct Adding<'a> {
    segmentations: Vec<Segmentation<'a>>,
    probabilities: Vec<f64>,
}

impl<'a> Adding<'a> {
    /// `None` where the champion's bundle has no calibration.
    pub(crate) fn new(batch: &Batch<'a>, scored: &ScoredRun<'a>) -> Option<Self> {
        scored.champion.calibration.as_ref()?;
        let rows = scored.rows.num_rows();
        let segmentations = batch.config.segments.iter().zip(&scored.champion.segments).map(|(segment, values)| {
            let codes = values.codes(scored.rows.column_by_name(&segment.column), rows);
            let sums = vec![None; values.values.len()];
            Segmentation { name: &segment.name, values: &values.values, codes, sums }
        });
        Some(Self { segmentations: segmentations.collect(), probabilities: Vec::new() })
    }
}

impl ExpectedSums {
    /// Adds rows of one slice, by their places in the run.
    pub(crate) fn add(
        &mut self,
        batch: &Batch<'_>,
        scored: &ScoredRun<'_>,
        (slice_start_ms, version): (i64, &Version),
        places: &[u32],
        adding: &mut Adding<'_>,
    ) {
        let Some(calibrated) = &scored.champion.calibration else { return };
        let classes = batch.config.classes.len();
        let mut all = Expected::new(classes);
        for place in places {
            let score = scored.outputs(0, *place);
            let predicted = measure::predicted_class(batch.config.task, score);
            calibrated.calibration.apply(score, &mut adding.probabilities);
            // Every row has one value of a segmentation, so all rows are the sum of the first one's.
            if adding.segmentations.is_empty() {
                all.add(score, predicted, &adding.probabilities, 1);
            }
            for segmentation in &mut adding.segmentations {
                let code = segmentation.codes.get(*place as usize).map_or(0, |code| *code as usize);
                if let Some(sum) = segmentation.sums.get_mut(code) {
                    let sum = sum.get_or_insert_with(|| Expected::new(classes));
                    sum.add(score, predicted, &adding.probabilities, 1);
                }
            }
        }
        for (number, segmentation) in adding.segmentations.iter_mut().enumerate() {
            for (sum, value) in segmentation.sums.iter_mut().zip(segmentation.values) {
                let Some(sum) = sum.take() else { continue };
                if number == 0 {
                    all.merge(&sum);
                }
                self.merge((slice_start_ms, version.clone(), format!("{}={value}", segmentation.name)), sum);
            }
        }
        if all.rows() > 0 {
            self.merge((slice_start_ms, version.clone(), ALL.to_owned()), all);
        }
    }

    fn merge(&mut self, key: (i64, Version, String), more: Expected) {
        match self.0.get_mut(&key) {
            Some(sum) => sum.merge(&more),
            None => drop(self.0.insert(key, more)),
        }
    }

    /// Writes them, if there are any.
    pub(crate) fn write(self, batch: &Batch<'_>, out: &mut Outputs) -> Result<(), Error> {
        let span = batch.raw.first_offset().zip(batch.raw.last_offset());
        let Some((from_offset, to_offset)) = span.filter(|_| !self.0.is_empty()) else { return Ok(()) };
        let cell = |((slice_start_ms, version, segment), expected)| ExpectedCell {
            slice_start_ms,
            version,
            segment,
            expected,
        };
        let cells = self.0.into_iter().map(cell).collect();
        write_pane(ExpectedPane { source: batch.raw.source.clone(), from_offset, to_offset, cells }, out)
    }
}

/// Writes a pane, halved by cells until each record is small enough.
fn write_pane(pane: ExpectedPane<Expected>, out: &mut Outputs) -> Result<(), Error> {
    let entry = Entry::Expected(pane);
    let bytes = records::to_postcard(&entry)?;
    match entry {
        Entry::Expected(mut pane) if bytes.len() > BYTES_MAX && pane.cells.len() > 1 => {
            let second =
                ExpectedPane { source: pane.source.clone(), cells: pane.cells.split_off(pane.cells.len() / 2), ..pane };
            write_pane(pane, out)?;
            write_pane(second, out)
        }
        _ => {
            push(out, TopicRole::Journal, 0, kind::JOURNAL, &bytes);
            Ok(())
        }
    }
}
