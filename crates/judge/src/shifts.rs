//! Shift of the output and of features over closed slices, within the budget: it explains, and
//! starts nothing.
//!
//! Slices are fed when they close, before labels, in the order of time, each once. Whose slice it is
//! follows from its rows, not from what was decided since: so what is said does not depend on how
//! far labels had come.

use crate::alerts::{Evidence, Finding};
use crate::config::{BESIDE_HARM, Config, Known};
use crate::drift::{self, OUTPUT, Windowed};
use crate::error::Error;
use crate::examples;
use crate::judge::Turn;
use crate::state::{Scored, Slice};
use crate::together::JOINT_DISTRIBUTION;
use detect::joint::{Joint, Watched};
use detect::shift::{LENGTHS, Shift, Shifted, Wander, Wanders};
use domain::Version;
use profile::{Kernel, MeanVector};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Tiers of drift that are seen without labels, in the order in which they are told.
pub(crate) const TIERS: [&str; 2] = ["output", "feature"];
const OUTPUT_TIER: &str = TIERS[0];
/// A version's part of a slice from which the slice shows it: of one that two versions share each saw
/// some hours or partitions only, which differ from a whole slice without any drift.
const WHOLE: f64 = 0.9;
/// Slices without a finding that resolve an alert, at least; otherwise as many as the run has that
/// raised it, so that one as long is looked at in between.
const QUIET_SLICES: u64 = 5;
/// A segment is named beside its column where it shifted by more than so many times what all rows did:
/// otherwise it only follows them.
const CONCENTRATED: f64 = 2.0;
/// Most columns that a detail names.
const NAMED_MAX: usize = 10;

/// All columns at once: the bundle's kernel, a slice's sum and the runs it belongs to.
type Together<'a> = (&'a Kernel, &'a MeanVector, &'a mut Joint);

/// The version whose slices are watched, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    version: Version,
    /// Slices that start before this were fed, or came too late to be.
    fed_until_ms: i64,
    /// Starts of the newest fed slices, as many as the longest run has.
    starts_ms: VecDeque<i64>,
    by: By,
}

/// The test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum By {
    /// Over time, within the budget.
    Shift(Vec<Tier>),
    /// Window by window: the bundle does not say how its columns wander.
    Windows(Windowed),
}

/// A column of the reference, of all rows or within a segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    number: usize,
    segment: Option<String>,
}

/// Columns that share a budget and an alert: those within segments stand beside those of all rows, so
/// the correction is for all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tier {
    columns: Vec<Place>,
    shift: Shift,
    fed: u64,
    /// The alert is resolved when so many slices were fed without a finding in between.
    quiet_at: u64,
}

impl Watch {
    fn new(version: Version, known: &Known, config: &Config) -> Self {
        let columns = &known.reference.layout.columns;
        let wander = known.wander.as_ref().filter(|w| w.slice_ms == config.slices.length_ms && w.fits(columns.len()));
        let by = match wander {
            None => By::Windows(Windowed::default()),
            Some(wander) => By::Shift(
                TIERS
                    .map(|tier| {
                        let is_of = |number: &usize| columns.get(*number).is_some_and(|c| drift::tier(&c.name) == tier);
                        let numbers: Vec<usize> = (0..columns.len()).filter(is_of).collect();
                        let (places, wander) = places(&numbers, known, wander).into_iter().unzip();
                        let (alarms, slices) = (config.false_alarms.count * BESIDE_HARM, config.budget_slices());
                        // Columns together are looked at beside the single ones.
                        let joint = joint_wander(known).filter(|_| tier != OUTPUT_TIER);
                        let budget = (alarms, slices);
                        let shift = Shift::with_joint(wander, joint, budget, config.drift_tolerance);
                        Tier { columns: places, shift, fed: 0, quiet_at: 0 }
                    })
                    .to_vec(),
            ),
        };
        Self { version, fed_until_ms: i64::MIN, starts_ms: VecDeque::new(), by }
    }

    /// Whether columns together are watched.
    fn has_joint(&self, known: &Known) -> bool {
        matches!(self.by, By::Shift(_)) && joint_wander(known).is_some()
    }

    /// Start of the run of so many slices that ends with the newest one.
    fn run_start_ms(&self, slices: u64) -> i64 {
        let back = usize::try_from(slices).unwrap_or(usize::MAX).min(self.starts_ms.len());
        self.starts_ms.get(self.starts_ms.len().saturating_sub(back)).copied().unwrap_or_default()
    }

    fn remember(&mut self, start_ms: i64, end_ms: i64) {
        self.fed_until_ms = end_ms;
        self.starts_ms.push_back(start_ms);
        if self.starts_ms.len() as u64 > LENGTHS.into_iter().max().unwrap_or(1) {
            self.starts_ms.pop_front();
        }
    }
}

/// How columns together wander, where they can be watched.
fn joint_wander(known: &Known) -> Option<&Wander> {
    known.wander.as_ref().filter(|_| known.kernel.is_some())?.joint.as_ref()
}

/// Columns of a tier with their wander: of all rows, then within each segment that has both a reference
/// and a wander.
fn places(numbers: &[usize], known: &Known, wander: &Wanders) -> Vec<(Place, Wander)> {
    let of_all = [(None, &wander.columns)];
    let of_segments = wander.segments.iter().filter(|(name, _)| known.segments.contains_key(*name));
    let all = of_all.into_iter().chain(of_segments.map(|(name, columns)| (Some(name), columns)));
    all.flat_map(|(segment, columns)| {
        let wander = numbers.iter().filter_map(|number| Some((*number, *columns.get(*number)?)));
        wander.map(move |(number, wander)| (Place { number, segment: segment.cloned() }, wander))
    })
    .collect()
}

/// The version that scored a slice, if one did with few exceptions.
fn in_force(slice: &Slice) -> Option<(&Version, &Scored)> {
    let rows: u64 = slice.scored.values().map(|scored| scored.rows).sum();
    let (version, scored) = slice.scored.iter().max_by_key(|(version, scored)| (scored.rows, *version))?;
    (rows > 0 && scored.rows as f64 >= WHOLE * rows as f64).then_some((version, scored))
}

impl Turn<'_> {
    /// Feeds a slice that has just closed.
    pub(crate) fn watch_drift(&mut self, start_ms: i64, slice: &Slice) -> Result<(), Error> {
        let Some((version, scored)) = in_force(slice) else { return Ok(()) };
        let Some(known) = self.known.get(version).cloned() else { return Ok(()) };
        let before = self.state.drift.take();
        let fed_until_ms = before.as_ref().map_or(i64::MIN, |watch| watch.fed_until_ms);
        if start_ms < fed_until_ms {
            self.state.drift = before;
            return Ok(());
        }
        let end_ms = self.config.slices.end(start_ms);
        let is_same = before.as_ref().is_some_and(|watch| watch.version == *version);
        let is_joint = self.state.joint.as_ref().is_some_and(|(of, _)| of == version);
        let mut watch = match before {
            Some(watch) if is_same && is_joint == watch.has_joint(&known) => watch,
            // Of a checkpoint that knew nothing of columns together: runs begin anew, alerts go on. Otherwise
            // alerts speak of one version: with its last slice they are resolved.
            before => {
                if before.is_some() && !is_same {
                    for tier in TIERS {
                        self.not_found(Finding { name: "vigie.drift", tier, span_ms: (start_ms, end_ms) })?;
                    }
                }
                let watch = Watch::new(version.clone(), &known, self.config);
                let watched = |wander: &Wander| Watched { wander: *wander, tolerance: self.config.joint_tolerance };
                let joint = joint_wander(&known).filter(|_| watch.has_joint(&known)).map(watched).map(Joint::new);
                self.state.joint = joint.map(|joint| (version.clone(), joint));
                self.out.count("vigie.judge.columns_unwatched", unwatched(&watch, &known).len() as u64);
                watch
            }
        };
        watch.remember(start_ms, end_ms);
        let sum = self.sum_together(start_ms, version, slice).cloned().unwrap_or_default();
        let mut joint = self.state.joint.take();
        let together = known.kernel.as_deref().zip(joint.as_mut()).filter(|(_, (of, _))| of == version);
        let together = together.map(|(kernel, (_, joint))| (kernel, &sum, joint));
        let result = self.step_watch(&mut watch, end_ms, (slice, scored, together), &known);
        self.state.joint = joint;
        self.state.drift = Some(watch);
        result
    }

    fn step_watch(
        &mut self,
        watch: &mut Watch,
        end_ms: i64,
        (slice, scored, together): (&Slice, &Scored, Option<Together<'_>>),
        known: &Known,
    ) -> Result<(), Error> {
        let (unwatched, mut together) = (unwatched(watch, known), together);
        let version = watch.version.clone();
        let mut by = std::mem::replace(&mut watch.by, By::Shift(Vec::new()));
        let result = match &mut by {
            By::Windows(windowed) => {
                let start_ms = watch.run_start_ms(1);
                self.watch_windows(windowed, &version, (start_ms, end_ms), (slice, scored), known)
            }
            By::Shift(tiers) => tiers.iter_mut().zip(TIERS).try_for_each(|(tier, name)| {
                let together = if name == OUTPUT_TIER { None } else { together.take() };
                let found = tier.step((known, &version), (slice, scored), together);
                tier.fed = tier.fed.saturating_add(1);
                let Some(longest) = found.iter().map(|(_, shifted)| shifted.slices).max() else {
                    let finding = Finding { name: "vigie.drift", tier: name, span_ms: (watch.run_start_ms(1), end_ms) };
                    return if tier.fed >= tier.quiet_at { self.not_found(finding) } else { Ok(()) };
                };
                tier.quiet_at = tier.quiet_at.max(tier.fed.saturating_add(longest.max(QUIET_SLICES)));
                let span_ms = (watch.run_start_ms(longest), end_ms);
                let finding = Finding { name: "vigie.drift", tier: name, span_ms };
                self.found(finding, evidence(found, (known, slice), &version, &unwatched))
            }),
        };
        watch.by = by;
        result
    }
}

impl Tier {
    fn step(
        &mut self,
        (known, version): (&Known, &Version),
        (slice, scored): (&Slice, &Scored),
        together: Option<Together<'_>>,
    ) -> Vec<(Place, Shifted)> {
        let reference = &known.reference;
        let counts = |place: &Place| {
            let (number, bins) = (place.number, reference.layout.bin_count(place.number));
            let Some(segment) = &place.segment else {
                return (reference.counts.column(number, bins), scored.profile.column(number, bins));
            };
            let old = known.segments.get(segment).map(|counts| counts.column(number, bins));
            let new = slice.segments.get(&(segment.clone(), version.clone())).map(|counts| counts.column(number, bins));
            // A slice without rows of a segment says nothing of it.
            (old.unwrap_or_default(), new.unwrap_or_default())
        };
        let (old, new): (Vec<_>, Vec<_>) = self.columns.iter().map(counts).unzip();
        let found = self.shift.step_with(&old, &new, together).into_iter();
        // One past the last column are all of them together.
        let together = Place { number: reference.layout.columns.len(), segment: None };
        let place = |shifted: &Shifted| self.columns.get(shifted.column).unwrap_or(&together).clone();
        found.map(|shifted| (place(&shifted), shifted)).collect()
    }
}

/// Columns whose wander is not known for any length, by name: nothing is ever said of them.
fn unwatched(watch: &Watch, known: &Known) -> Vec<String> {
    let (By::Shift(_), Some(wander)) = (&watch.by, &known.wander) else { return Vec::new() };
    let columns = known.reference.layout.columns.iter().zip(&wander.columns);
    let is_known = |wander: &&Wander| (0..LENGTHS.len()).any(|n| wander.of_length(n).is_some());
    let single = columns.filter(|(_, wander)| !is_known(wander)).map(|(column, _)| column.name.as_str());
    let together = joint_wander(known).filter(|wander| !is_known(wander)).map(|_| JOINT_DISTRIBUTION);
    single.chain(together).map(str::to_owned).collect()
}

/// What was found, worst first; of a column that several runs show the likeliest stands.
fn evidence(
    found: Vec<(Place, Shifted)>,
    (known, slice): (&Known, &Slice),
    version: &Version,
    unwatched: &[String],
) -> Evidence {
    let reference = &known.reference;
    let mut by_column: BTreeMap<Place, Shifted> = BTreeMap::new();
    for (place, shifted) in found {
        let likeliest = by_column.entry(place).or_insert(shifted);
        if shifted.p_value < likeliest.p_value {
            *likeliest = shifted;
        }
    }
    let of_all: BTreeMap<usize, f64> = by_column
        .iter()
        .filter(|(p, _)| p.segment.is_none())
        .map(|(p, shifted)| (p.number, shifted.distance))
        .collect();
    let says_more = |place: &Place, shifted: &Shifted| {
        let all = of_all.get(&place.number).filter(|_| place.segment.is_some());
        all.is_none_or(|psi| shifted.distance > CONCENTRATED * psi)
    };
    let name =
        |number: usize| reference.layout.columns.get(number).map_or(JOINT_DISTRIBUTION, |column| column.name.as_str());
    let told = by_column.into_iter().filter(|(place, shifted)| says_more(place, shifted));
    let named = told.map(|(place, shifted)| (name(place.number).to_owned(), (place.segment, shifted))).collect();
    let mut ranked = drift::worst_first(reference, named, |(_, shifted): &(_, Shifted)| shifted.distance);
    // Another distance than that of columns, and what explains least: last.
    ranked.sort_by_key(|(column, _)| column == JOINT_DISTRIBUTION);
    let worst = ranked.first().map(|(_, (_, shifted))| *shifted);
    let examples = ranked.first().map(|(column, (segment, _))| match reference.layout.position(column) {
        Some(number) => examples::of_shift(known, slice, version, (number, segment.as_deref())),
        None => examples::of_slice(slice, version),
    });
    let mut detail = ranked.first().map_or_else(String::new, |(column, (_, worst))| {
        let (distance, what) = match column.as_str() {
            JOINT_DISTRIBUTION => ("squared MMD of all columns together", "they"),
            _ => ("PSI", "the column"),
        };
        format!(
            "{distance} {:.4} over the last {} slices, p {:.1e} given how {what} wandered in training",
            worst.distance, worst.slices, worst.p_value
        )
    });
    if ranked.iter().any(|(column, _)| column != OUTPUT && column != JOINT_DISTRIBUTION) {
        detail.push_str(drift::ranking(reference));
    }
    if !unwatched.is_empty() {
        let named = unwatched.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if unwatched.len() > NAMED_MAX { ", …" } else { "" };
        detail.push_str(&format!("; the reference has too few slices to watch {named}{more}"));
    }
    Evidence {
        value: worst.map_or(0.0, |worst| worst.distance),
        threshold: worst.map_or(0.0, |worst| worst.threshold),
        features: ranked.into_iter().map(|(column, (segment, _))| placed(column, segment.as_deref())).collect(),
        examples: examples.unwrap_or_default(),
        detail,
        version: Some(version.clone()),
    }
}

/// How a column within a segment is named in alerts.
fn placed(column: String, segment: Option<&str>) -> String {
    match segment {
        Some(segment) => format!("{column}[{segment}]"),
        None => column,
    }
}
