//! How soon a rise of the error rate is found, at equal measured rates of false alarms.
//!
//! Every detector first sees 2,000 rows of errors at a rate of 0.2. Its threshold is then tuned, by
//! bisection, to the most sensitive one with at most 0.5 false alarms per 10,000 rows as *measured*
//! on 100 streams of 10,000 further rows; the delay is the median over 301 other streams that
//! change after the 2,000 rows, misses (more than 5,000 rows) counting as the longest. Streams:
//!
//! * `known`: independent rows, and the e-detector is told the rate of 0.2, as in the reference table;
//! * `estimated`: independent rows, its tolerated mean is estimated from the 2,000 rows as a version
//!   does it on its fold: mean + 1.645 standard errors between slices of 100 rows + 5 %;
//! * `clustered`: the same, where the logarithm of the odds of an error wanders as an AR(1) process
//!   (0.99 from row to row, deviation 0.4), so that errors cluster.
//!
//! `cargo run -p detect --example delay`

#![allow(clippy::print_stdout, missing_docs)]

mod random;

use detect::classic::{
    Adwin, AdwinOptions, Ddm, DdmOptions, Detector, Direction, HddmA, HddmAOptions, HddmW, HddmWOptions, PageHinkley,
    PageHinkleyOptions,
};
use detect::harm::{Page, PageBets, Trigger};
use random::Random;

const RATE: f64 = 0.2;
const LEARN: usize = 2000;
const NULL_STREAMS: u64 = 100;
const NULL_ROWS: usize = 10_000;
const REPEATS: u64 = 301;
const HORIZON: usize = 5000;
/// False alarms per 10,000 rows.
const TARGET: f64 = 0.5;
/// Bets as multiples of 1 / p0, as in the reference table at p0 = 0.2.
const BETS: [f64; 6] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.6];

#[derive(Clone, Copy, PartialEq)]
enum Stream {
    Known,
    Estimated,
    Clustered,
}

struct Errors {
    random: Random,
    stream: Stream,
    level: f64,
}

impl Errors {
    fn new(stream: Stream, seed: u64) -> Self {
        Self { random: Random::new(seed), stream, level: 0.0 }
    }

    fn next(&mut self, rate: f64) -> f64 {
        let mut p = rate;
        if self.stream == Stream::Clustered {
            self.level = 0.99 * self.level + 0.4 * (1.0_f64 - 0.99 * 0.99).sqrt() * self.random.normal();
            p = 1.0 / (1.0 + (((1.0 - rate) / rate).ln() - self.level).exp());
        }
        f64::from(u8::from(self.random.unit() < p))
    }
}

/// The e-detector row by row, which learns its tolerated mean first.
struct Bets {
    p0: f64,
    trigger: Trigger,
    rows: i64,
}

impl Bets {
    fn new(p0: f64, threshold: f64) -> Self {
        Self { p0, trigger: Trigger::new(BETS.len(), threshold), rows: 0 }
    }
}

/// The tolerated mean: told, or from the rows to learn from.
fn tolerated(stream: Stream, learnt: &[f64]) -> f64 {
    if stream == Stream::Known {
        return RATE;
    }
    let mean = learnt.iter().sum::<f64>() / learnt.len() as f64;
    let means: Vec<f64> = learnt.chunks(100).map(|slice| slice.iter().sum::<f64>() / 100.0).collect();
    let squares = means.iter().map(|m| (m - mean) * (m - mean)).sum::<f64>();
    let error = (squares / (means.len() as f64 - 1.0) / means.len() as f64).sqrt();
    mean + 1.645 * error + 0.05 * mean
}

impl Detector for Bets {
    fn update(&mut self, x: f64) -> bool {
        self.rows += 1;
        let logs = BETS.map(|bet| (bet / self.p0 * (x - self.p0)).ln_1p());
        self.trigger.step(self.rows, &logs, 1).is_some()
    }
}

/// The e-detector on means of slices, as the monitor that pages takes them.
struct SliceBets {
    page: Page,
    sum: f64,
    rows: usize,
}

/// Rows of its slices.
const SLICE: usize = 25;

impl SliceBets {
    fn new(learnt: &[f64], p0: f64, threshold: f64) -> Self {
        let mean = learnt.iter().sum::<f64>() / learnt.len() as f64;
        let means = learnt.chunks(SLICE).map(|slice| slice.iter().sum::<f64>() / slice.len() as f64);
        let variance = means.map(|m| (m - mean) * (m - mean)).sum::<f64>() * SLICE as f64 / learnt.len() as f64;
        let bet = |rise: f64| (rise * mean / (variance + rise * mean * rise * mean)).min(0.9 / p0);
        let bets = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6].map(bet).to_vec();
        Self { page: Page::new(PageBets { p0, rho: 0.0, bets }, threshold), sum: 0.0, rows: 0 }
    }
}

impl Detector for SliceBets {
    fn update(&mut self, x: f64) -> bool {
        self.sum += x;
        self.rows += 1;
        if self.rows < SLICE {
            return false;
        }
        let mean = self.sum / SLICE as f64;
        (self.sum, self.rows) = (0.0, 0);
        self.page.step(mean, 0.0)
    }
}

const NAMES: [&str; 7] = ["e-detector", "its slice means", "ADWIN", "Page-Hinkley", "DDM", "HDDM-A", "HDDM-W"];
/// How many of them are ours.
const OURS: usize = 2;

fn log_scale(from: f64, to: f64, sensitivity: f64) -> f64 {
    (from.ln() + (to.ln() - from.ln()) * sensitivity).exp()
}

/// A detector that has seen the rows to learn from; `sensitivity` in 0 to 1 sets its threshold.
fn detector(number: usize, stream: Stream, learnt: &[f64], sensitivity: f64) -> Box<dyn Detector> {
    let p0 = tolerated(stream, learnt);
    let mut detector: Box<dyn Detector> = match number {
        0 => return Box::new(Bets::new(p0, log_scale(1e30, 10.0, sensitivity))),
        1 => return Box::new(SliceBets::new(learnt, p0, log_scale(1e30, 2.0, sensitivity))),
        2 => {
            Box::new(Adwin::new(AdwinOptions { delta: log_scale(1e-20, 1.0, sensitivity), ..AdwinOptions::default() }))
        }
        3 => Box::new(PageHinkley::new(PageHinkleyOptions {
            threshold: log_scale(1000.0, 1.0, sensitivity),
            direction: Direction::Up,
            ..PageHinkleyOptions::default()
        })),
        4 => Box::new(Ddm::new(DdmOptions { drift: log_scale(40.0, 1.0, sensitivity), ..DdmOptions::default() })),
        5 => {
            Box::new(HddmA::new(HddmAOptions { drift: log_scale(1e-20, 1.0, sensitivity), ..HddmAOptions::default() }))
        }
        _ => {
            Box::new(HddmW::new(HddmWOptions { drift: log_scale(1e-20, 1.0, sensitivity), ..HddmWOptions::default() }))
        }
    };
    learnt.iter().for_each(|x| {
        detector.update(*x);
    });
    detector
}

/// False alarms per 10,000 rows.
fn false_alarms(number: usize, stream: Stream, sensitivity: f64) -> f64 {
    let mut alarms = 0;
    for seed in 0..NULL_STREAMS {
        let mut errors = Errors::new(stream, seed);
        let learnt: Vec<f64> = (0..LEARN).map(|_| errors.next(RATE)).collect();
        let mut detector = detector(number, stream, &learnt, sensitivity);
        alarms += (0..NULL_ROWS).filter(|_| detector.update(errors.next(RATE))).count();
    }
    alarms as f64 * 1e4 / (NULL_STREAMS as f64 * NULL_ROWS as f64)
}

/// The most sensitive setting that keeps the target, and its measured rate.
fn tune(number: usize, stream: Stream) -> (f64, f64) {
    let (mut low, mut high, mut measured) = (0.0, 1.0, false_alarms(number, stream, 0.0));
    for _ in 0..9 {
        let middle = f64::midpoint(low, high);
        let rate = false_alarms(number, stream, middle);
        if rate <= TARGET {
            (low, measured) = (middle, rate);
        } else {
            high = middle;
        }
    }
    (low, measured)
}

/// Median rows from the change to the alarm, and misses.
fn delay(number: usize, stream: Stream, sensitivity: f64, rate: f64) -> (usize, usize) {
    let mut delays: Vec<usize> = (0..REPEATS)
        .map(|repeat| {
            let mut errors = Errors::new(stream, 1_000_000 + repeat);
            let learnt: Vec<f64> = (0..LEARN).map(|_| errors.next(RATE)).collect();
            let mut detector = detector(number, stream, &learnt, sensitivity);
            (1..=HORIZON).find(|_| detector.update(errors.next(rate))).unwrap_or(HORIZON + 1)
        })
        .collect();
    delays.sort_unstable();
    (delays[delays.len() / 2], delays.iter().filter(|delay| **delay > HORIZON).count())
}

fn main() {
    let rates = [0.25, 0.3, 0.5];
    for (stream, name) in [(Stream::Known, "known"), (Stream::Estimated, "estimated"), (Stream::Clustered, "clustered")]
    {
        println!("\n{name:15} {:>12} {:>14} {:>14} {:>14}", "false / 10k", "0.2 to 0.25", "to 0.3", "to 0.5");
        let mut medians = Vec::new();
        for (number, detector) in NAMES.iter().enumerate() {
            let (sensitivity, measured) = tune(number, stream);
            let found = rates.map(|rate| delay(number, stream, sensitivity, rate));
            let cells = found.map(|(median, misses)| {
                let median: String = if median > HORIZON { ">5000".to_owned() } else { median.to_string() };
                format!("{median} ({misses})")
            });
            println!("{detector:15} {measured:12.2} {:>14} {:>14} {:>14}", cells[0], cells[1], cells[2]);
            medians.push(found.map(|(median, _)| median));
        }
        for (rate, column) in rates.iter().zip(0..) {
            let ours = medians.iter().take(OURS).map(|delays| delays[column]).min().unwrap_or(0);
            let is_quicker = |i: &usize| medians[*i][column] < ours;
            let quicker: Vec<&str> = (OURS..NAMES.len()).filter(is_quicker).map(|i| NAMES[i]).collect();
            let named = if quicker.is_empty() { "none".to_owned() } else { quicker.join(", ") };
            println!("  quicker than ours at {rate}: {named}");
        }
    }
}
