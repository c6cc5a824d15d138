//! False alarms where nothing drifts: 200 features, 10,000 windows of 250 rows, five seeds.
//!
//! Each feature's mean wanders as an AR(1) process (0.7 from window to window) with a deviation of
//! up to 0.2 of a row's, and by as much again over a day of 24 windows; rows are normal. The
//! reference is the first 2,048 windows. Printed beside ours is what other rules raise on the same
//! rows: they get every 100th reference row (5,120), Evidently by its default rule for a reference
//! above 1,000 rows (Wasserstein / deviation ≥ 0.1). Then how soon a shift is found.
//! `cargo run -p detect --example false_alarms [seeds] [windows]`

#![allow(clippy::print_stdout, missing_docs)]

mod random;

use detect::shift::{Shift, Wander};
use random::Random;

const FEATURES: usize = 200;
const ROWS: usize = 250;
const REFERENCE: usize = 2048;
const BINS: usize = 128;
const DAY: usize = 24;
/// "1 per 30 d" with windows of an hour.
const PERIOD: f64 = 720.0;

#[derive(Clone)]
struct Feature {
    random: Random,
    level: f64,
    amplitude: f64,
    phase: f64,
}

impl Feature {
    fn new(seed: u64, number: usize) -> Self {
        let mut random = Random::new(seed * 1_000_003 + number as u64);
        let phase = std::f64::consts::TAU * random.unit();
        Self { random, level: 0.0, amplitude: 0.2 * number as f64 / FEATURES as f64, phase }
    }

    fn rows(&mut self, window: usize, rows: &mut [f64]) {
        self.level = 0.7 * self.level + (1.0_f64 - 0.49).sqrt() * self.amplitude * self.random.normal();
        let day = (self.phase + std::f64::consts::TAU * window as f64 / DAY as f64).sin();
        let mean = self.level + self.amplitude * day;
        rows.iter_mut().for_each(|row| *row = mean + self.random.normal());
    }
}

/// What is known of a feature's reference.
#[derive(Clone)]
struct Known {
    edges: Vec<f64>,
    counts: Vec<u64>,
    deciles: Vec<u64>,
    sample: Vec<f64>,
    deviation: f64,
}

fn bin(edges: &[f64], x: f64) -> usize {
    edges.partition_point(|edge| *edge <= x)
}

fn count(edges: &[f64], rows: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len() + 1];
    rows.iter().for_each(|x| counts[bin(edges, *x)] += 1);
    counts
}

/// Deciles of the 128 bins.
fn deciles(counts: &[u64]) -> Vec<u64> {
    let mut merged = vec![0; 10];
    counts.iter().enumerate().for_each(|(i, c)| merged[i * 10 / counts.len()] += c);
    merged
}

/// Distances of the distribution functions of two sorted samples: largest, and area.
fn distances(old: &[f64], new: &[f64]) -> (f64, f64) {
    let (mut i, mut j, mut largest, mut area) = (0, 0, 0.0_f64, 0.0);
    let mut last = old[0].min(new[0]);
    while i < old.len() || j < new.len() {
        let next = match (old.get(i), new.get(j)) {
            (Some(x), Some(y)) => x.min(*y),
            (Some(x), None) | (None, Some(x)) => *x,
            (None, None) => break,
        };
        let gap = (i as f64 / old.len() as f64 - j as f64 / new.len() as f64).abs();
        largest = largest.max(gap);
        area += gap * (next - last);
        last = next;
        while old.get(i).is_some_and(|x| *x <= next) {
            i += 1;
        }
        while new.get(j).is_some_and(|x| *x <= next) {
            j += 1;
        }
    }
    (largest, area)
}

fn learn(feature: &mut Feature) -> (Known, Wander) {
    let mut rows = vec![0.0; REFERENCE * ROWS];
    rows.chunks_mut(ROWS).enumerate().for_each(|(window, rows)| feature.rows(window, rows));
    let mut sorted: Vec<f64> = rows.iter().step_by(10).copied().collect();
    sorted.sort_by(f64::total_cmp);
    let edges: Vec<f64> = (1..BINS).map(|i| sorted[i * sorted.len() / BINS]).collect();
    let slices: Vec<Vec<u64>> = rows.chunks(ROWS).map(|rows| count(&edges, rows)).collect();
    let mut counts = vec![0; BINS];
    slices.iter().for_each(|slice| counts.iter_mut().zip(slice).for_each(|(all, more)| *all += more));
    let mut sample: Vec<f64> = rows.iter().step_by(100).copied().collect();
    sample.sort_by(f64::total_cmp);
    let mean = sample.iter().sum::<f64>() / sample.len() as f64;
    let variance = sample.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / sample.len() as f64;
    let known = Known { deciles: deciles(&counts), edges, counts, sample, deviation: variance.sqrt() };
    (known, Wander::measure(&slices))
}

/// Windows with an alarm of any feature, and alarms of features.
#[derive(Default)]
struct Tally {
    windows: u64,
    features: u64,
}

impl Tally {
    fn add(&mut self, features: usize) {
        self.windows += u64::from(features > 0);
        self.features += features as u64;
    }
}

const RULES: [&str; 7] = [
    "budget: detect::shift, 1 per 720 windows",
    "our PSI test, Benjamini-Hochberg 5 %",
    "our PSI test, tolerance 0.05, same",
    "PSI of deciles >= 0.1",
    "KS at 5 %",
    "Evidently, per feature",
    "Evidently, half of the features",
];

/// Least count that a Poisson variable of this mean exceeds with at most 5 %.
fn poisson_bound(mean: f64) -> u64 {
    let (mut term, mut sum, mut k) = ((-mean).exp(), (-mean).exp(), 0_u64);
    while sum < 0.95 {
        k += 1;
        term *= mean / k as f64;
        sum += term;
    }
    k
}

#[derive(Clone)]
struct World {
    features: Vec<Feature>,
    known: Vec<Known>,
    references: Vec<Vec<u64>>,
    shift: Shift,
    window: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut features: Vec<Feature> = (0..FEATURES).map(|i| Feature::new(seed, i)).collect();
        let (known, wanders): (Vec<Known>, Vec<Wander>) = features.iter_mut().map(learn).unzip();
        let references = known.iter().map(|k| k.counts.clone()).collect();
        Self { features, known, references, shift: Shift::new(wanders, 1.0, PERIOD, 0.0), window: REFERENCE }
    }

    /// One window of every feature; `shifted` adds to the mean of one of them.
    fn window(&mut self, shifted: Option<(usize, f64)>, mut look: impl FnMut(&Known, &[f64], &[u64])) -> Vec<usize> {
        let mut rows = vec![0.0; ROWS];
        let mut slice = Vec::with_capacity(FEATURES);
        for (number, (feature, known)) in self.features.iter_mut().zip(&self.known).enumerate() {
            feature.rows(self.window, &mut rows);
            if let Some((_, by)) = shifted.filter(|(which, _)| *which == number) {
                rows.iter_mut().for_each(|x| *x += by);
            }
            let counts = count(&known.edges, &rows);
            look(known, &rows, &counts);
            slice.push(counts);
        }
        self.window += 1;
        self.shift.step(&self.references, &slice).into_iter().map(|found| found.column).collect()
    }
}

fn study(seed: u64, windows: usize) -> [Tally; RULES.len()] {
    let mut world = World::new(seed);
    let mut tallies: [Tally; RULES.len()] = Default::default();
    for _ in 0..windows {
        let (mut strict, mut tolerant) = (Vec::new(), Vec::new());
        let (mut psi, mut ks, mut evidently) = (0, 0, 0);
        let found = world.window(None, |known, rows, counts| {
            strict.push(detect::psi(&known.counts, counts, 0.0).p_value);
            tolerant.push(detect::psi(&known.counts, counts, 0.05).p_value);
            psi += usize::from(detect::distance::psi(&known.deciles, &deciles(counts)) >= 0.1);
            let mut sorted = rows.to_vec();
            sorted.sort_by(f64::total_cmp);
            let (largest, area) = distances(&known.sample, &sorted);
            let (m, n) = (known.sample.len() as f64, sorted.len() as f64);
            ks += usize::from(largest > 1.358 * ((m + n) / (m * n)).sqrt());
            evidently += usize::from(area / known.deviation >= 0.1);
        });
        let rejected = |p: &[f64]| detect::benjamini_hochberg(p, 0.05).into_iter().filter(|r| *r).count();
        let half = if evidently * 2 >= FEATURES { 1 } else { 0 };
        let alarms = [found.len(), rejected(&strict), rejected(&tolerant), psi, ks, evidently, half];
        tallies.iter_mut().zip(alarms).for_each(|(tally, alarms)| tally.add(alarms));
    }
    tallies
}

fn delays(seed: u64) {
    println!("\nshift of one feature's mean, in row deviations: windows until detect::shift names it (miss: > 640)");
    let fresh = World::new(seed);
    for (number, name) in [(0, "calm feature"), (100, "wanders by 0.14"), (190, "wanders by 0.27")] {
        for by in [0.1, 0.25, 0.5, 1.0] {
            let mut world = fresh.clone();
            let found = (1..=640).find(|_| world.window(Some((number, by)), |_, _, _| ()).contains(&number));
            println!("  {name:16} {by:5}: {}", found.map_or("miss".to_owned(), |w: usize| w.to_string()));
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let (seeds, windows) = (arguments.next().unwrap_or(5), arguments.next().unwrap_or(10_000));
    let expected = windows as f64 / PERIOD;
    println!("{FEATURES} features, {windows} windows of {ROWS} rows, nothing drifts");
    println!("budget {expected:.1} windows with an alarm; 95 % Poisson bound {}", poisson_bound(expected));
    println!("windows with an alarm (alarms of features), seed by seed");
    let seeds: Vec<u64> = (1..=seeds as u64).collect();
    let mut tallies = Vec::new();
    for pair in seeds.chunks(2) {
        let two = std::thread::scope(|scope| {
            let threads: Vec<_> = pair.iter().map(|seed| scope.spawn(move || study(*seed, windows))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
        });
        tallies.extend(two);
    }
    for (number, name) in RULES.iter().enumerate() {
        let cell = |tally: &Tally| format!("{:>6} ({:>7})", tally.windows, tally.features);
        let row: Vec<String> = tallies.iter().filter_map(|seed| seed.get(number)).map(cell).collect();
        println!("  {name:42} {}", row.join(" "));
    }
    delays(99);
}
