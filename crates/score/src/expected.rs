//! What the published scores expect of themselves: sums per slice and segment, before any label.

use crate::Error;
use crate::pane::{BYTES_MAX, Entry};
use crate::run::{Batch, ScoredRun};
use crate::tracking::push;
use domain::{Outputs, TopicRole, Version};
use measure::{ChildSums, Expected, Forecast};
use records::journal::{ExpectedCell, ExpectedPane};
use records::kind;
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

/// Adds a row to sums of its kind.
type AddRow<'a> = dyn FnMut(&mut Forecast, u32) + 'a;

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
            let sums = vec![None; values.values.len()];
            Segmentation { name: &segment.name, values: &values.values, codes, sums }
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
        slice: (i64, &Version),
        places: &[u32],
        adding: &mut Adding<'_>,
    ) {
        let Adding { segmentations, probabilities, empty } = adding;
        if let Some(calibrated) = &scored.champion.calibration {
            let mut last = None;
            let mut predicted = 0;
            let mut add = |sums: &mut Forecast, place: u32| {
                let score = scored.outputs(0, place);
                if last != Some(place) {
                    last = Some(place);
                    predicted = measure::predicted_class(batch.config.task, score);
                    calibrated.calibration.apply(score, probabilities);
                }
                if let Forecast::Classes(sums) = sums {
                    sums.add(score, predicted, probabilities, 1);
                }
            };
            self.add_rows(slice, places, segmentations, empty, &mut add);
        } else {
            let mut add = |sums: &mut Forecast, place: u32| {
                if let (Forecast::Errors(sums), Some([absolute, squared])) = (sums, scored.errors().get(place as usize))
                {
                    sums.add(*absolute, Some(*squared), 1);
                }
            };
            self.add_rows(slice, places, segmentations, empty, &mut add);
        }
    }

    fn add_rows(
        &mut self,
        (slice_start_ms, version): (i64, &Version),
        places: &[u32],
        segmentations: &mut [Segmentation<'_>],
        empty: &Forecast,
        add: &mut AddRow<'_>,
    ) {
        let mut all = empty.clone();
        for place in places {
            // Every row has one value of a segmentation, so all rows are the sum of the first one's.
            if segmentations.is_empty() {
                add(&mut all, *place);
            }
            for segmentation in &mut *segmentations {
                let code = segmentation.codes.get(*place as usize).map_or(0, |code| *code as usize);
                if let Some(sum) = segmentation.sums.get_mut(code) {
                    add(sum.get_or_insert_with(|| empty.clone()), *place);
                }
            }
        }
        for (number, segmentation) in segmentations.iter_mut().enumerate() {
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
        write_panes(
            ExpectedPane { source: source.clone(), from_offset, to_offset, cells: classes },
            Entry::Expected,
            out,
        )?;
        let pane = ExpectedPane { source: source.clone(), from_offset, to_offset, cells: errors };
        write_panes(pane, Entry::ExpectedErrors, out)
    }
}

/// Writes a pane that has cells, halved by them until each record is small enough.
fn write_panes<E: Clone>(
    mut pane: ExpectedPane<E>,
    entry: fn(ExpectedPane<E>) -> Entry,
    out: &mut Outputs,
) -> Result<(), Error> {
    if pane.cells.is_empty() {
        return Ok(());
    }
    let bytes = records::to_postcard(&entry(pane.clone()))?;
    if bytes.len() > BYTES_MAX && pane.cells.len() > 1 {
        let cells = pane.cells.split_off(pane.cells.len() / 2);
        let second = ExpectedPane { source: pane.source.clone(), cells, ..pane };
        write_panes(pane, entry, out)?;
        return write_panes(second, entry, out);
    }
    push(out, TopicRole::Journal, 0, kind::JOURNAL, &bytes);
    Ok(())
}
