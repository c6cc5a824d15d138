//! What the published scores expect of themselves: sums per slice and segment, before any label.

use crate::Error;
use crate::pane::{Entry, write_pane};
use crate::run::{Batch, ScoredRun};
use domain::{Outputs, Version};
use measure::{ChildSums, Expected, Forecast};
use profile::segment_name;
use records::journal::{ExpectedCell, ExpectedPane};
use std::collections::BTreeMap;

/// All rows.
const ALL: &str = "*";

/// Sums of one batch by slice, champion and segment.
#[derive(Debug, Default)]
pub(crate) struct ExpectedSums(BTreeMap<(i64, Version, String), Forecast>);

/// Codes of every row of a run, and the sums of each code in one slice, for one segmentation.
struct Segmentation<'a> {
    name: &'a str,
    values: &'a [String],
    codes: Vec<u32>,
    sums: Vec<Option<Forecast>>,
}

/// What the slices of a run share.
pub(crate) struct Adding<'a> {
    segmentations: Vec<Segmentation<'a>>,
    probabilities: Vec<f64>,
    empty: Forecast,
}

/// What one row expects of itself.
enum Row<'a> {
    Classes { score: &'a [f64], predicted: usize, probabilities: &'a [f64] },
    Errors([f64; 2]),
}

impl Row<'_> {
    /// Adds it to sums of its kind; a version has sums of one kind.
    fn add_to(&self, sums: &mut Forecast) {
        match (sums, self) {
            (Forecast::Classes(sums), Row::Classes { score, predicted, probabilities }) => {
                sums.add(score, *predicted, probabilities, 1);
            }
            (Forecast::Errors(sums), Row::Errors([absolute, squared])) => sums.add(*absolute, Some(*squared), 1),
            _ => {}
        }
    }
}

impl<'a> Adding<'a> {
    /// `None` where the champion's bundle has neither a calibration nor models of its errors.
    pub(crate) fn new(batch: &Batch<'a>, scored: &ScoredRun<'a>) -> Option<Self> {
        let empty = match (&scored.champion.calibration, scored.errors()) {
            (_, [_, ..]) => Forecast::Errors(ChildSums::default()),
            (Some(_), []) => Forecast::Classes(Expected::new(batch.config.classes.len())),
            (None, []) => return None,
        };
        let rows = scored.rows.num_rows();
        let segmentations = batch.config.segments.iter().zip(&scored.champion.segments).map(|(segment, values)| {
            let codes = values.codes(scored.rows.column_by_name(&segment.column), rows);
            let sums = vec![None; values.values().len()];
            Segmentation { name: &segment.name, values: values.values(), codes, sums }
        });
        Some(Self { segmentations: segmentations.collect(), probabilities: Vec::new(), empty })
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
        let Adding { segmentations, probabilities, empty } = adding;
        let mut all = empty.clone();
        for place in places {
            let row = if let Some(calibrated) = &scored.champion.calibration {
                let score = scored.outputs(0, *place);
                calibrated.calibration.apply(score, probabilities);
                let predicted = measure::predicted_class(batch.config.task, score);
                Row::Classes { score, predicted, probabilities }
            } else {
                let Some(errors) = scored.errors().get(*place as usize) else { continue };
                Row::Errors(*errors)
            };
            // Every row has one value of a segmentation, so all rows are the sum of the first one's.
            if segmentations.is_empty() {
                row.add_to(&mut all);
            }
            for segmentation in &mut *segmentations {
                let code = segmentation.codes.get(*place as usize).map_or(0, |code| *code as usize);
                if let Some(sum) = segmentation.sums.get_mut(code) {
                    row.add_to(sum.get_or_insert_with(|| empty.clone()));
                }
            }
        }
        for (number, segmentation) in segmentations.iter_mut().enumerate() {
            for (sum, value) in segmentation.sums.iter_mut().zip(segmentation.values) {
                let Some(sum) = sum.take() else { continue };
                if number == 0 {
                    all.merge(&sum);
                }
                self.merge((slice_start_ms, version.clone(), segment_name(segmentation.name, value)), sum);
            }
        }
        if all.rows() > 0 {
            self.merge((slice_start_ms, version.clone(), ALL.to_owned()), all);
        }
    }

    fn merge(&mut self, key: (i64, Version, String), more: Forecast) {
        match self.0.get_mut(&key) {
            // A version has sums of one kind.
            Some(sum) => drop(sum.merge(&more)),
            None => drop(self.0.insert(key, more)),
        }
    }

    /// Writes them, if there are any.
    pub(crate) fn write(self, batch: &Batch<'_>, out: &mut Outputs) -> Result<(), Error> {
        let span = batch.raw.first_offset().zip(batch.raw.last_offset());
        let Some((from_offset, to_offset)) = span.filter(|_| !self.0.is_empty()) else { return Ok(()) };
        let (mut classes, mut errors) = (Vec::new(), Vec::new());
        for ((slice_start_ms, version, segment), forecast) in self.0 {
            match forecast {
                Forecast::Classes(expected) => {
                    classes.push(ExpectedCell { slice_start_ms, version, segment, expected })
                }
                Forecast::Errors(expected) => errors.push(ExpectedCell { slice_start_ms, version, segment, expected }),
            }
        }
        let source = &batch.raw.source;
        let pane = ExpectedPane { source: source.clone(), from_offset, to_offset, cells: classes };
        write_pane(Entry::Expected(pane), out)?;
        let pane = ExpectedPane { source: source.clone(), from_offset, to_offset, cells: errors };
        write_pane(Entry::ExpectedErrors(pane), out)
    }
}
