//! Exact areas under curves: the scores of labelled rows, by slice, until the window is final.
//!
//! They are kept beside the slices, since checkpoints of before have none. A window of more rows than
//! [`rows_max`], or of rows whose scores were not all told, has the areas from bins alone.

use crate::config::Config;
use crate::judge::Turn;
use crate::windows::{ALL, Metrics, Moment, as_record, counts};
use domain::{Task, Version};
use measure::{ExactScores, ScoreCount};
use records::journal::{ExactCell, Phase};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Labelled rows of a window whose areas are exact, at most.
const ROWS_MAX: i64 = 100_000;
/// Scores of all windows that are open at a time. One takes some 40 bytes, and 12 in a checkpoint.
const SCORES_MAX: i64 = 2_000_000;

/// Labelled rows of a window whose areas are exact: fewer where many windows wait for labels or rows have many
/// scores. It follows from the configuration alone, so that it is the same in every run.
pub(crate) fn rows_max(config: &Config) -> i64 {
    let of_row = i64::try_from(scores_of_row(config)).unwrap_or(i64::MAX);
    let scores = config.waiting_slices().saturating_mul(of_row);
    (SCORES_MAX / scores.max(1)).min(ROWS_MAX)
}

/// Scores of one slice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept(BTreeMap<(Phase, Version), Part>);

/// Scores of one phase and version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Part {
    Scores(ExactScores),
    /// There were too many, whatever comes.
    TooMany,
}

/// Distinct scores that are kept of a slice's phase and version: twice those of the rows that can have
/// exact areas, since rows of a prediction that is no more in force may be taken out again. Only where as many
/// are does the order of panes decide whether a window has exact areas.
fn scores_max(config: &Config) -> usize {
    usize::try_from(rows_max(config)).unwrap_or(usize::MAX).saturating_mul(2).saturating_mul(scores_of_row(config))
}

/// One of every class where there are several.
fn scores_of_row(config: &Config) -> usize {
    if config.shape.task == Task::MulticlassClassification { config.shape.classes.max(1) } else { 1 }
}

impl Kept {
    fn add(&mut self, cell: ExactCell<ScoreCount>, config: &Config) {
        let empty = || Part::Scores(ExactScores::default());
        let part = self.0.entry((cell.phase, cell.version)).or_insert_with(empty);
        let Part::Scores(scores) = part else { return };
        cell.scores.iter().for_each(|count| scores.add_count(count));
        if scores.len() > scores_max(config) {
            *part = Part::TooMany;
        }
    }

    /// Scores that a window at this moment has, of one version or all. `None` where there are too many.
    fn at(&self, moment: Moment, version: &str) -> Option<ExactScores> {
        let mut sum = ExactScores::default();
        for ((phase, own), part) in &self.0 {
            if counts(moment, *phase) && (version == ALL || version == own.as_str()) {
                match part {
                    Part::Scores(scores) => sum.merge(scores),
                    Part::TooMany => return None,
                }
            }
        }
        Some(sum)
    }
}

impl Turn<'_> {
    /// Takes scores into those of their slice, unless its window was written for good.
    pub(crate) fn admit_exact(&mut self, cell: ExactCell<ScoreCount>) {
        if self.takes(&self.state.exact, cell.slice_start_ms) {
            self.state.exact.entry(cell.slice_start_ms).or_default().add(cell, self.config);
        }
    }

    /// Exact areas of a window of all rows with so many labelled ones: `auc_exact` beside `auc`, and so on.
    pub(crate) fn exact_areas(&self, start_ms: i64, moment: Moment, version: &str, labelled: i64) -> Metrics {
        let kept = self.state.exact.get(&start_ms).filter(|_| labelled <= rows_max(self.config));
        // Rows of before the option was set, or of a join of before, have no scores here.
        let scores = kept.and_then(|kept| kept.at(moment, version)).filter(|scores| scores.rows() == labelled);
        let metrics = scores.map(|scores| scores.metrics(self.config.shape)).unwrap_or_default();
        metrics.into_iter().map(|(name, estimate)| (format!("{name}_exact"), as_record(estimate))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, Moment, Part, rows_max, scores_max};
    use crate::config::Config;
    use crate::tests::fixtures::config;
    use domain::{Slices, Task, Version};
    use measure::{ScoreCount, Shape};
    use records::journal::{ExactCell, Phase};

    fn cell(phase: Phase, scores: impl Iterator<Item = u64>) -> ExactCell<ScoreCount> {
        let count = |score| ScoreCount { class: 0, score, negatives: 1, positives: 0 };
        ExactCell { slice_start_ms: 0, phase, version: Version::new("v"), scores: scores.map(count).collect() }
    }

    #[test]
    fn many_open_windows_or_classes_have_fewer_rows_each() {
        let check = |(horizon_ms, lateness_ms, length_ms, classes): (i64, i64, i64, usize), expected: i64| {
            let task = if classes > 2 { Task::MulticlassClassification } else { Task::BinaryClassification };
            let shape = Shape { task, classes };
            let slices = Slices::of(length_ms);
            assert_eq!(rows_max(&Config { horizon_ms, lateness_ms, slices, shape, ..config() }), expected);
        };
        let (day, hour) = (86_400_000, 3_600_000);
        check((3 * day, 0, day, 2), 100_000);
        check((3 * day, 0, hour, 2), 2_000_000 / 74);
        check((3 * day, 6 * hour, hour, 2), 2_000_000 / 80);
        check((30 * day, hour, day, 10), 2_000_000 / 320);
        check((i64::MAX, 1, 1, 2), 0);
    }

    #[test]
    fn too_many_scores_are_let_go_for_good_and_only_where_they_are() {
        let config = config();
        let most = scores_max(&config) as u64;
        let mut kept = Kept::default();
        kept.add(cell(Phase::Mature, 0..10), &config);
        kept.add(cell(Phase::Late, 0..most), &config);
        assert_eq!(kept.at(Moment::Final, "v").unwrap().len() as u64, most);
        kept.add(cell(Phase::Late, most..most + 1), &config);
        assert_eq!(kept.at(Moment::Final, "*"), None);
        assert_eq!(kept.at(Moment::Mature, "*").unwrap().rows(), 10);
        assert_eq!(kept.at(Moment::Final, "another").unwrap().rows(), 0);
        kept.add(cell(Phase::Late, 0..1), &config);
        assert!(kept.0.values().any(|part| *part == Part::TooMany));
    }
}
