//! How soon a rise of the error rate is found, at equal measured rates of false alarms.
//!
//! Every detector first sees 2,000 rows of errors at a rate of 0.2. Its threshold is then tuned, by
//! bisection, to the most sensitive one with at most 0.5 false alarms per 10,000 rows as *measured*
//! on 400 streams of 10,000 further rows; the delay is the median over 901 other streams that
//! change after the 2,000 rows, misses (more than 5,000 rows) counting as the longest. Beside each
//! median: whether it is quicker or slower than the e-detector, and the 95 % interval of e-detector
//! minus this one, by a bootstrap over the streams, which are the same for all. Streams:
//!
//! * `known`: independent rows, and the e-detector is told the rate of 0.2, as in the reference table;
//! * `estimated`: independent rows, the tolerated mean is estimated from the 2,000 rows: mean +
//!   5 %, and in the line `plan's margin` + 1.645 standard errors between slices of 100 rows, as a
//!   version does it on its fold so that the budget holds without tuning;
//! * `clustered`: the same, where the logarithm of the odds of an error wanders as an AR(1) process
//!   (0.99 from row to row, deviation 0.4), so that errors cluster.
//!
//! `cargo run -p detect --example delay`; with `-- study` the variants of the e-detector among which
//! one was chosen, on changed streams of other seeds.

#![allow(clippy::print_stdout, missing_docs)]

mod bets;
mod random;

use bets::{Baseline, Bets, Learnt, Variant};
use detect::classic::{
    Adwin, AdwinOptions, Ddm, DdmOptions, Detector, Direction, HddmA, HddmAOptions, HddmW, HddmWOptions, PageHinkley,
    PageHinkleyOptions,
};
use detect::harm::{Page, PageBets};
use random::Random;

const RATE: f64 = 0.2;
const LEARN: usize = 2000;
const NULL_STREAMS: u64 = 400;
const NULL_ROWS: usize = 10_000;
const REPEATS: u64 = 901;
const BOOTSTRAPS: usize = 400;
const RATES: [f64; 3] = [0.25, 0.3, 0.5];
const HORIZON: usize = 5000;
/// False alarms per 10,000 rows.
const TARGET: f64 = 0.5;

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

/// Variance of a row's error as seen by sums of many rows, from means of slices.
fn long_variance(learnt: &[f64], slice: usize) -> f64 {
    let mean = learnt.iter().sum::<f64>() / learnt.len() as f64;
    let means: Vec<f64> = learnt.chunks(slice).map(|rows| rows.iter().sum::<f64>() / slice as f64).collect();
    let squares = means.iter().map(|m| (m - mean) * (m - mean)).sum::<f64>();
    squares / (means.len() as f64 - 1.0) * slice as f64
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

/// Standard errors that the plan of a version tolerates, so that its budget holds without tuning.
const PLAN: f64 = 1.645;

/// Six bets of equal weight, as in the reference table at p0 = 0.2.
const PLAIN: Variant = Variant {
    name: "six equal bets",
    fixed: &[(0.05, 1.0), (0.1, 1.0), (0.2, 1.0), (0.3, 1.0), (0.4, 1.0), (0.6, 1.0)],
    rises: &[],
    plug_in: (0.0, 0.05),
    baseline: Baseline::Fixed,
    margin: PLAN,
};
const LARGE: &[(f64, f64)] = &[(0.03, 0.1), (0.06, 0.1), (0.12, 0.2), (0.25, 0.5), (0.4, 1.0)];
const LARGER: &[(f64, f64)] = &[(0.03, 0.03), (0.06, 0.06), (0.12, 0.15), (0.25, 0.5), (0.4, 2.0)];
const BOTH: &[(f64, f64)] = &[(0.25, 0.5), (0.4, 2.0)];
const RISES: &[(f64, f64)] = &[(0.1, 1.0), (0.2, 1.0), (0.4, 1.0), (0.8, 1.0), (1.6, 1.0)];
const RISES_EVEN: &[(f64, f64)] = &[(0.25, 1.0), (0.5, 1.0), (1.0, 1.0), (1.5, 2.0)];

/// Chosen by `study`: few bets against rises at the variance of slices, a bet on large jumps, and a
/// tolerated mean that may rise by a tenth with the rows before the last calm. It tolerates no
/// standard errors: where the threshold is tuned to the measured rate, as every detector's here,
/// they only blunt it.
const OURS: Variant = Variant {
    name: "e-detector",
    fixed: &[(0.4, 1.0)],
    rises: &[(0.25, 1.0), (0.5, 1.0), (1.0, 0.5)],
    plug_in: (0.0, 0.05),
    baseline: Baseline::Raised,
    margin: 0.0,
};

/// Variants of the e-detector that were tried.
fn study() -> Vec<Variant> {
    let fixed = |name, fixed| Variant { name, fixed, ..PLAIN };
    let rises = |name, rises| Variant { name, fixed: &[], rises, ..PLAIN };
    let (learnt, raised) = (Baseline::Learnt, Baseline::Raised);
    let both = |name, baseline, margin| Variant { name, fixed: BOTH, rises: RISES, baseline, margin, ..PLAIN };
    vec![
        PLAIN,
        fixed("large bets", LARGE),
        fixed("larger bets", LARGER),
        Variant { plug_in: (6.0, 0.05), ..fixed("with plug-in", PLAIN.fixed) },
        Variant { plug_in: (1.0, 0.02), ..fixed("plug-in only", &[]) },
        rises("rises", RISES),
        rises("rises even", RISES_EVEN),
        Variant { baseline: learnt, ..rises("learnt, rises", RISES) },
        Variant { baseline: raised, ..rises("raised, rises", RISES) },
        Variant { baseline: raised, ..fixed("raised, six", PLAIN.fixed) },
        both("both", Baseline::Fixed, PLAN),
        both("both, 0 errors", Baseline::Fixed, 0.0),
        both("raised, both", raised, PLAN),
        both("raised, 1 error", raised, 1.0),
        both("raised, 0 errors", raised, 0.0),
        both("learnt, 0 errors", learnt, 0.0),
        Variant { margin: PLAN, ..OURS },
        Variant { margin: 1.0, ..OURS },
        Variant { baseline: Baseline::Fixed, ..OURS },
        Variant { baseline: learnt, ..OURS },
    ]
}

/// A detector in the comparison.
#[derive(Clone, Copy)]
enum Contender {
    Bets(Variant),
    Slices,
    Adwin,
    PageHinkley,
    Ddm,
    HddmA,
    HddmW,
}

const CLASSIC: [(&str, Contender); 5] = [
    ("ADWIN", Contender::Adwin),
    ("Page-Hinkley", Contender::PageHinkley),
    ("DDM", Contender::Ddm),
    ("HDDM-A", Contender::HddmA),
    ("HDDM-W", Contender::HddmW),
];

/// Streams of errors, drawn once: each begins with the rows to learn from.
struct Streams {
    stream: Stream,
    null: Vec<Vec<f64>>,
    /// As many others, to see whether the tuned threshold keeps the target on them.
    fresh: Vec<Vec<f64>>,
    changed: Vec<Vec<Vec<f64>>>,
}

impl Streams {
    fn draw(stream: Stream, first: u64) -> Self {
        let rows = |seed: u64, rate: f64, count: usize| {
            let mut errors = Errors::new(stream, seed);
            (0..LEARN + count).map(|row| errors.next(if row < LEARN { RATE } else { rate })).collect()
        };
        let null = |first: u64| (first..first + NULL_STREAMS).map(|seed| rows(seed, RATE, NULL_ROWS)).collect();
        let changed = |rate: &f64| (first..first + REPEATS).map(|seed| rows(seed, *rate, HORIZON)).collect();
        Self { stream, null: null(0), fresh: null(3_000_000), changed: RATES.iter().map(changed).collect() }
    }
}

fn log_scale(from: f64, to: f64, sensitivity: f64) -> f64 {
    (from.ln() + (to.ln() - from.ln()) * sensitivity).exp()
}

/// A detector that has seen the rows to learn from; `sensitivity` in 0 to 1 sets its threshold.
fn detector(contender: Contender, stream: Stream, learnt: &[f64], sensitivity: f64) -> Box<dyn Detector> {
    let drift = log_scale(1e-20, 1.0, sensitivity);
    let mut detector: Box<dyn Detector> = match contender {
        Contender::Bets(variant) => {
            let known = Learnt {
                rows: learnt.len() as f64,
                errors: learnt.iter().sum(),
                variance: long_variance(learnt, 100),
                is_told: stream == Stream::Known,
            };
            return Box::new(Bets::new(&variant, known, RATE, log_scale(1e20, 10.0, sensitivity)));
        }
        Contender::Slices => {
            let mean = learnt.iter().sum::<f64>() / learnt.len() as f64;
            let p0 = 1.05 * mean + 1.645 * (long_variance(learnt, 100) / learnt.len() as f64).sqrt();
            let p0 = if stream == Stream::Known { RATE } else { p0 };
            return Box::new(SliceBets::new(learnt, p0, log_scale(1e20, 2.0, sensitivity)));
        }
        Contender::Adwin => Box::new(Adwin::new(AdwinOptions { delta: drift, ..AdwinOptions::default() })),
        Contender::PageHinkley => Box::new(PageHinkley::new(PageHinkleyOptions {
            threshold: log_scale(1000.0, 1.0, sensitivity),
            direction: Direction::Up,
            ..PageHinkleyOptions::default()
        })),
        Contender::Ddm => {
            Box::new(Ddm::new(DdmOptions { drift: log_scale(40.0, 1.0, sensitivity), ..DdmOptions::default() }))
        }
        Contender::HddmA => Box::new(HddmA::new(HddmAOptions { drift, ..HddmAOptions::default() })),
        Contender::HddmW => Box::new(HddmW::new(HddmWOptions { drift, ..HddmWOptions::default() })),
    };
    learnt.iter().for_each(|x| {
        detector.update(*x);
    });
    detector
}

/// False alarms per 10,000 rows.
fn false_alarms(contender: Contender, stream: Stream, null: &[Vec<f64>], sensitivity: f64) -> f64 {
    let alarms: usize = null
        .iter()
        .map(|rows| {
            let (learnt, rest) = rows.split_at(LEARN);
            let mut detector = detector(contender, stream, learnt, sensitivity);
            rest.iter().filter(|x| detector.update(**x)).count()
        })
        .sum();
    alarms as f64 * 1e4 / (NULL_STREAMS as f64 * NULL_ROWS as f64)
}

/// The most sensitive setting that keeps the target, and its measured rate.
fn tune(contender: Contender, streams: &Streams) -> (f64, f64) {
    let (mut low, mut high, mut measured) = (0.0, 1.0, false_alarms(contender, streams.stream, &streams.null, 0.0));
    for _ in 0..13 {
        let middle = f64::midpoint(low, high);
        let rate = false_alarms(contender, streams.stream, &streams.null, middle);
        if rate <= TARGET {
            (low, measured) = (middle, rate);
        } else {
            high = middle;
        }
    }
    (low, measured)
}

/// Rows from the change to the alarm, by stream; a miss counts as one more than the longest.
fn delays(contender: Contender, streams: &Streams, sensitivity: f64, column: usize) -> Vec<usize> {
    let delay = |rows: &Vec<f64>| {
        let (learnt, rest) = rows.split_at(LEARN);
        let mut detector = detector(contender, streams.stream, learnt, sensitivity);
        rest.iter().position(|x| detector.update(*x)).map_or(HORIZON + 1, |row| row + 1)
    };
    streams.changed[column].iter().map(delay).collect()
}

fn median(mut delays: Vec<usize>) -> usize {
    delays.sort_unstable();
    delays.get(delays.len() / 2).copied().unwrap_or(0)
}

/// 95 % interval of the difference of two medians over the same streams, by the bootstrap.
fn difference(ours: &[usize], other: &[usize]) -> (i64, i64) {
    let mut random = Random::new(7);
    let mut found: Vec<i64> = (0..BOOTSTRAPS)
        .map(|_| {
            let drawn: Vec<usize> = ours.iter().map(|_| (random.unit() * ours.len() as f64) as usize).collect();
            let of = |delays: &[usize]| median(drawn.iter().map(|i| delays[*i]).collect()) as i64;
            of(ours) - of(other)
        })
        .collect();
    found.sort_unstable();
    (found[BOOTSTRAPS / 40], found[BOOTSTRAPS - 1 - BOOTSTRAPS / 40])
}

/// One line of the table; with `first` as the e-detector to compare with.
fn line(name: &str, contender: Contender, streams: &Streams, first: Option<&[Vec<usize>; 3]>) -> [Vec<usize>; 3] {
    let (sensitivity, measured) = tune(contender, streams);
    let found = [0, 1, 2].map(|column| delays(contender, streams, sensitivity, column));
    let fresh = false_alarms(contender, streams.stream, &streams.fresh, sensitivity);
    print!("{name:15} {measured:5.2} {fresh:5.2}");
    for (column, delays) in found.iter().enumerate() {
        let misses = delays.iter().filter(|delay| **delay > HORIZON).count();
        let against = first.map_or(String::new(), |first| {
            let (low, high) = difference(&first[column], delays);
            let word = if low > 0 {
                "quicker"
            } else if high < 0 {
                "slower"
            } else {
                "equal"
            };
            format!("{word} {low} to {high}")
        });
        print!(" | {:>5} ({misses:>2}) {against:22}", median(delays.clone()));
    }
    println!();
    found
}

fn main() {
    let is_study = std::env::args().any(|argument| argument == "study");
    let kinds = [(Stream::Known, "known"), (Stream::Estimated, "estimated"), (Stream::Clustered, "clustered")];
    for (stream, name) in kinds {
        println!(
            "\n{name}: false alarms in 10,000 rows, tuned and on fresh streams | median rows (misses) from 0.2 to 0.25 | to 0.3 | to 0.5"
        );
        let streams = Streams::draw(stream, if is_study { 2_000_000 } else { 5_000_000 });
        if is_study {
            for variant in study() {
                line(variant.name, Contender::Bets(variant), &streams, None);
            }
        }
        let ours = line(OURS.name, Contender::Bets(OURS), &streams, None);
        line(PLAIN.name, Contender::Bets(PLAIN), &streams, Some(&ours));
        let planned = Variant { name: "plan's margin", margin: PLAN, ..OURS };
        line(planned.name, Contender::Bets(planned), &streams, Some(&ours));
        line("its slice means", Contender::Slices, &streams, Some(&ours));
        for (name, contender) in CLASSIC {
            line(name, contender, &streams, Some(&ours));
        }
    }
}
