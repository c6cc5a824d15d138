//! What the simulated pipeline is made of: rules, references, versions, scripts.

use crate::config::{Budget, Config, Known, Retrain};
use detect::classic::PanelOptions;
use domain::{HarmReference, Slices, Task, Version};
use measure::estimate::GapReference;
use measure::{PredictionInterval, Shape};
use profile::{Bins, ColumnLayout, Counts, Layout, Reference};
use records::control::Run;
use records::journal::{Action, Command};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const SLICE_MS: i64 = 1_000;
pub(super) const ROWS_PER_PARTITION: u64 = 100;
pub(super) const PARTITIONS: i32 = 2;
pub(super) const SHAPE: Shape = Shape { task: Task::BinaryClassification, classes: 2 };

pub(crate) fn config() -> Config {
    Config {
        pipeline: "p".to_owned(),
        slices: Slices::of(SLICE_MS),
        maturity_ms: SLICE_MS,
        horizon_ms: 3 * SLICE_MS,
        lateness_ms: SLICE_MS,
        lead_ms: 2 * SLICE_MS,
        event_partitions: 2,
        label_partitions: 1,
        tracking_partitions: 2,
        shape: SHAPE,
        unlabelled: domain::Unlabelled::Unknown,
        cost: None,
        quantile: None,
        false_alarms: Budget { count: 1.0, period_ms: 100 * SLICE_MS },
        drift_tolerance: 0.1,
        joint_tolerance: 0.01,
        classic: PanelOptions::default(),
        retrain: Retrain { on_new_labels: false, follow_ups: false, wait_for_runs: true, ..Retrain::default() },
        imposed: None,
    }
}

/// Splitmix64, whose constants are those of Steele, Lea and Flood (2014).
pub(super) fn hash(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

pub(super) fn unit(seed: u64) -> f64 {
    (hash(seed) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Counts have no constructor but rows; their bytes do.
pub(super) fn counts(rows: u64, columns: &[Vec<u64>]) -> Counts {
    let sparse: Vec<Vec<(u32, u64)>> =
        columns.iter().map(|bins| bins.iter().map(|count| (0, *count)).collect()).collect();
    records::from_postcard(&records::to_postcard(&(rows, sparse)).unwrap()).unwrap()
}

pub(super) fn known() -> Arc<dyn Any + Send + Sync> {
    let numeric =
        |name: &str| ColumnLayout { name: name.to_owned(), bins: Bins::Numeric { edges: vec![0.0, 1.0, 2.0, 3.0] } };
    let layout = Layout::new(vec![numeric("x"), numeric("y"), numeric("prediction")]);
    let even = vec![0, 1_000, 1_000, 1_000, 0, 0];
    let reference = Reference {
        layout,
        counts: counts(3_000, &[even.clone(), even.clone(), even]),
        importance: vec![0.5, 0.5, 0.0],
    };
    Arc::new(Known {
        reference,
        class_rates: vec![0.5, 0.5],
        segments: BTreeMap::new(),
        wander: None,
        kernel: None,
        gap: None,
        interval: Some(PredictionInterval { share: 0.9, half_width: 0.5 }),
    })
}

/// As [`known()`], of a bundle that says how its columns wander (for lengths 1 and 4 of `x` and the
/// output, not at all of `y`) and what its calibration missed on the validation fold.
pub(super) fn watched() -> Arc<dyn Any + Send + Sync> {
    let Ok(known) = known().downcast::<Known>() else { unreachable!() };
    let wander = |per_length: &str| format!(r#"{{"per_length": {per_length}}}"#);
    let seen = wander("[0.001, 0.001, null, null]");
    let columns = [seen.clone(), wander("[null, null, null, null]"), seen].join(",");
    let wander = format!(r#"{{"slice_ms": {SLICE_MS}, "columns": [{columns}]}}"#);
    let gap =
        GapReference { slices: 9, errors: 0.2, mean: 0.0, standard_error: 0.008, variance_slices: 0.0008, scale: 1.0 };
    let wander = Some(serde_json::from_str(&wander).unwrap());
    Arc::new(Known { wander, gap: Some(gap), ..Known::clone(&known) })
}

/// As [`watched()`], within origin JFK too.
pub(super) fn watched_within() -> Arc<dyn Any + Send + Sync> {
    let Ok(known) = watched().downcast::<Known>() else { unreachable!() };
    let mut known = Known::clone(&known);
    let even = vec![0, 200, 200, 200, 0, 0];
    known.segments.insert("origin=JFK".to_owned(), counts(600, &[even.clone(), even.clone(), even]));
    let wander = known.wander.as_mut().unwrap();
    wander.segments.insert("origin=JFK".to_owned(), wander.columns.clone());
    Arc::new(known)
}

/// As [`watched()`], of numbers: a mean absolute error of 0.32, two are a whole.
pub(super) fn watched_numbers() -> Arc<dyn Any + Send + Sync> {
    let Ok(known) = watched().downcast::<Known>() else { unreachable!() };
    let gap = known.gap.map(|gap| GapReference { errors: 0.16, standard_error: 0.001, scale: 2.0, ..gap });
    Arc::new(Known { gap, ..Known::clone(&known) })
}

pub(super) fn reference() -> HarmReference {
    HarmReference {
        rows: 1_000,
        mean: 0.16,
        standard_error: 0.008,
        variance_rows: 0.0576,
        variance_slices: 0.0004,
        prior_mean: 0.25,
        relative_standard_error: 0.005,
        scale: 1.0,
    }
}

pub(super) fn version(number: u64) -> Version {
    Version::new(&format!("{number:012x}"))
}

/// What happens in the world.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) slices: i64,
    /// Share of right signals of a version (by its number) in a slice.
    pub(super) accuracy: fn(u64, i64) -> f64,
    /// First slice in which column `x` has moved.
    pub(super) moved_from: i64,
    /// First slice after that in which it is back.
    pub(super) moved_until: i64,
    /// What comes of a run's attempt; a challenger's number is that of the run + 1.
    pub(super) outcome: fn(&Run) -> Outcome,
    /// Commands, by the slice before which they are given.
    pub(super) commands: Vec<(i64, Command)>,
    pub(super) config: Config,
    /// What the judge is told of every version.
    pub(super) known: fn() -> Arc<dyn Any + Send + Sync>,
    /// Score tells what it expects.
    pub(super) calibrated: bool,
    /// A fifth of the rows is profiled within origin JFK, and only it moves.
    pub(super) segmented: bool,
    /// First slice in which `y` follows `x`, neither of which has moved; told only of versions with a kernel.
    pub(super) related_from: Option<i64>,
    /// First slice whose scores join tells.
    pub(super) exact_from: i64,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Outcome {
    Passed,
    Refused,
    Failed,
}

impl Script {
    pub(super) fn quiet(slices: i64) -> Self {
        Self {
            slices,
            accuracy: |_, _| 0.8,
            moved_from: i64::MAX,
            moved_until: i64::MAX,
            outcome: |_| Outcome::Passed,
            commands: vec![(0, first_champion())],
            config: config(),
            known,
            calibrated: false,
            segmented: false,
            related_from: None,
            exact_from: i64::MAX,
        }
    }
}

pub(super) fn first_champion() -> Command {
    let action = Action::Promote { version: version(1), trained_until_ms: 0, reference: reference(), rows: 8_000 };
    Command { id: "first".to_owned(), if_champion: None, action }
}
