//! Windows: accuracy and drift of a slice, beside its baselines.

use crate::config::Config;
use crate::coverage::Covered;
use crate::drift;
use crate::emit;
use crate::error::Error;
use crate::estimated;
use crate::judge::Turn;
use crate::state::Slice;
use domain::{Task, Unlabelled, Version};
use measure::{Cell, Coverage, Forecast, Performance};
use records::journal::Phase;
use records::time::rfc3339;
use records::window::{Clock, Drift, Estimate, Span, Window};
use std::collections::BTreeMap;

/// All rows, all versions.
pub(crate) const ALL: &str = "*";

/// When a window is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// All events are here; labels are not, and those that are would mislead.
    Closed,
    /// Labels up to `maturity` are here.
    Mature,
    /// Nothing will change it any more.
    Final,
}

/// The span as records write it.
pub(crate) fn span(start_ms: i64, end_ms: i64) -> Span {
    Span { start: rfc3339(start_ms), end: rfc3339(end_ms) }
}

impl Turn<'_> {
    /// Writes the windows of a slice: for all versions and each, for all rows and each segment.
    pub(crate) fn write_windows(&mut self, start_ms: i64, slice: &Slice, moment: Moment) -> Result<(), Error> {
        let slices = self.config.slices;
        let window = span(start_ms, slices.end(start_ms));
        let expected = estimated::by_window(slice);
        let mut cells = self.cells_by_window(slice, moment);
        let mut drift = self.drift_by_window(slice);
        let joint = self.joint_by_version(start_ms, slice);
        let counted = slice.cells.iter().filter(|(key, _)| counts(moment, key.phase));
        let mut intervals = self.intervals(counted.map(|(key, cell)| (key.segment.as_str(), &key.version, cell)));
        for place in expected.keys().chain(drift.keys()) {
            cells.entry(place.clone()).or_insert_with(|| Cell::empty(self.config.shape));
        }
        for ((segment, version), cell) in &cells {
            let is_all_rows = segment == ALL;
            let is_covered = is_all_rows && version == ALL && self.config.shape.task.has_labels();
            let covered = Some(&slice.coverage).filter(|_| is_covered);
            let scored = slice.scored.iter().filter(|(v, _)| version == ALL || version == v.as_str());
            let counted = u64::try_from(cell.served.rows()).unwrap_or(0);
            let has_labels = self.config.shape.task.has_labels();
            let expected = expected.get(&(segment.clone(), version.clone()));
            let of_segment = expected.and_then(|e| u64::try_from(e.rows()).ok()).unwrap_or(counted);
            let profiles =
                slice.segments.iter().filter(|((s, v), _)| s == segment && (version == ALL || version == v.as_str()));
            let of_segment = of_segment.max(profiles.map(|(_, profile)| profile.rows()).sum());
            let (mut metrics, baselines) = self.measured(rates_of(slice, version).as_ref(), cell);
            metrics.extend(intervals.remove(&(segment.as_str(), version.as_str())).unwrap_or_default());
            if version == ALL && slice.scored.len() > 1 {
                // Every version scales its columns in its own way: a mean over several has no unit.
                metrics.remove("inertia");
            }
            if is_all_rows {
                metrics.extend(self.exact_areas(start_ms, moment, version, cell.served.rows()));
                metrics.extend(self.silhouette(start_ms, slice, moment, version));
            }
            let record = Window {
                window: window.clone(),
                clock: Clock::EventTime,
                segment: segment.clone(),
                version: version.clone(),
                r#final: moment == Moment::Final,
                rows: if is_all_rows { scored.map(|(_, s)| s.rows).sum() } else { of_segment },
                labelled: if has_labels { counted } else { 0 },
                after_final: 0,
                metrics,
                baselines,
                drift: drift.remove(&(segment.clone(), version.clone())).unwrap_or_default(),
                joint: joint.get(version).filter(|_| is_all_rows).copied(),
                coverage: covered.and_then(Covered::share),
                assumed: covered.map_or(0, Covered::assumed),
                maturity: covered.map(|covered| covered.maturity(moment, self.config)).unwrap_or_default(),
                estimated: expected.map(estimated::estimates).unwrap_or_default(),
                weighted: expected.map(|scored| self.weighted(&cell.served, scored)).unwrap_or_default(),
                realised_minus_estimated: expected
                    .map(|expected| estimated::differences(&cell.served, expected))
                    .unwrap_or_default(),
            };
            emit::window(self.out, &record, slices.length_ms)?;
        }
        Ok(())
    }

    /// Sums by (segment, version), `*` among both. Every version with scored rows has a sum.
    fn cells_by_window(&self, slice: &Slice, moment: Moment) -> BTreeMap<(String, String), Cell> {
        let mut sums: BTreeMap<(String, String), Cell> = BTreeMap::new();
        let shape = self.config.shape;
        for version in [ALL].into_iter().chain(slice.scored.keys().map(Version::as_str)) {
            sums.insert((ALL.to_owned(), version.to_owned()), Cell::empty(shape));
        }
        for (key, cell) in slice.cells.iter().filter(|(key, _)| counts(moment, key.phase)) {
            for version in [ALL, key.version.as_str()] {
                let place = (key.segment.clone(), version.to_owned());
                sums.entry(place).or_insert_with(|| Cell::empty(shape)).merge(cell);
            }
        }
        // Rows that came and were taken back leave no trace, however panes were cut.
        sums.retain(|(segment, _), sum| segment == ALL || !sum.is_empty());
        sums
    }

    /// Drift against each version's own reference, by (segment, version); that of all versions only
    /// where there is one.
    fn drift_by_window(&self, slice: &Slice) -> BTreeMap<(String, String), BTreeMap<String, Drift>> {
        let tolerance = self.config.drift_tolerance;
        let of_all = slice.scored.iter().map(|(version, scored)| (ALL, version, &scored.profile));
        let of_segments =
            slice.segments.iter().map(|((segment, version), profile)| (segment.as_str(), version, profile));
        let mut found = BTreeMap::new();
        for (segment, version, profile) in of_all.chain(of_segments) {
            let Some(known) = self.known.get(version) else { continue };
            let old = if segment == ALL { Some(&known.reference.counts) } else { known.segments.get(segment) };
            let Some(old) = old else { continue };
            let columns = drift::compare(&known.reference.layout, old, profile, tolerance);
            if slice.scored.len() == 1 {
                found.insert((segment.to_owned(), ALL.to_owned()), columns.clone());
            }
            found.insert((segment.to_owned(), version.as_str().to_owned()), columns);
        }
        found
    }

    /// Metrics of all scored rows from the labelled ones, where the others are censored.
    fn weighted(&self, labelled: &Performance, scored: &Forecast) -> Metrics {
        let found = match scored {
            Forecast::Classes(scored) if self.config.unlabelled == Unlabelled::Censored => {
                measure::weighted::metrics(labelled, scored)
            }
            Forecast::Classes(_) | Forecast::Errors(_) => BTreeMap::new(),
        };
        let finite = found.into_iter().filter(|(_, estimate)| estimate.value.is_finite());
        finite.map(|(name, estimate)| (name, as_record(estimate))).collect()
    }

    /// What the prediction intervals of the versions held, by segment and version, `*` among both; of
    /// classes nothing.
    pub(crate) fn intervals<'a>(
        &self,
        cells: impl Iterator<Item = (&'a str, &'a Version, &'a Cell)>,
    ) -> BTreeMap<(&'a str, &'a str), Metrics> {
        let mut coverage: BTreeMap<(&str, &str), Coverage> = BTreeMap::new();
        for (segment, version, cell) in cells.filter(|_| self.config.shape.task == Task::Regression) {
            let interval = self.known.get(version).and_then(|known| known.interval);
            for of in [ALL, version.as_str()] {
                coverage.entry((segment, of)).or_default().add(&cell.served, interval.as_ref());
            }
        }
        let metrics = |coverage: Coverage| -> Metrics {
            coverage.metrics().into_iter().map(|(name, estimate)| (name, as_record(estimate))).collect()
        };
        coverage.into_iter().map(|(place, coverage)| (place, metrics(coverage))).collect()
    }

    /// Metrics of a cell and of its baselines. A version's training rates are the majority's.
    pub(crate) fn measured(&self, rates_of: Option<&Version>, cell: &Cell) -> (Metrics, Baselines) {
        let known = rates_of.and_then(|version| self.known.get(version));
        let majority = known.map(|known| measure::majority(&cell.served, &known.class_rates)).unwrap_or_default();
        let mut metrics = metrics(&cell.served, self.config);
        metrics.extend(estimated::kappas(cell, &majority));
        let values = |performance| values(performance, self.config);
        let all = [("majority", majority), ("last_label", values(&cell.last_label)), ("frozen", values(&cell.frozen))];
        let known = all.into_iter().filter(|(_, values)| !values.is_empty());
        (metrics, known.map(|(name, values)| (name.to_owned(), values)).collect())
    }
}

/// Metrics with their intervals, by name.
pub(crate) type Metrics = BTreeMap<String, Estimate>;
/// Metrics by baseline.
type Baselines = BTreeMap<String, BTreeMap<String, f64>>;

/// Whose training rates stand for the majority: over all versions the newest one's.
fn rates_of(slice: &Slice, version: &str) -> Option<Version> {
    let newest = || slice.cells.keys().max_by_key(|key| (key.promotion, &key.version)).map(|key| key.version.clone());
    if version == ALL { newest() } else { Some(Version::new(version)) }
}

/// Whether cells of a phase are in a window at this moment.
pub(crate) fn counts(moment: Moment, phase: Phase) -> bool {
    match moment {
        Moment::Closed => false,
        Moment::Mature => phase == Phase::Mature,
        Moment::Final => true,
    }
}

pub(crate) fn as_record(estimate: measure::Estimate) -> Estimate {
    Estimate { value: estimate.value, low: estimate.low, high: estimate.high }
}

fn metrics(performance: &Performance, config: &Config) -> Metrics {
    let mut metrics = performance.metrics();
    let cost = config.cost.as_ref().and_then(|matrix| performance.cost(matrix));
    let pinball = config.quantile.and_then(|quantile| performance.pinball(quantile)).map(measure::Estimate::bare);
    metrics.extend(cost.map(|cost| ("cost".to_owned(), cost)));
    metrics.extend(pinball.map(|pinball| ("pinball".to_owned(), pinball)));
    let finite = metrics.into_iter().filter(|(_, estimate)| estimate.value.is_finite());
    finite.map(|(name, estimate)| (name, as_record(estimate))).collect()
}

fn values(performance: &Performance, config: &Config) -> BTreeMap<String, f64> {
    metrics(performance, config).into_iter().map(|(name, estimate)| (name, estimate.value)).collect()
}
