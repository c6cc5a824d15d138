//! Updates a second of every detector, and drift tests a second. One thread, medians of five.
//! `cargo run -p detect --example speed`

#![allow(clippy::print_stdout, clippy::expect_used, missing_docs)]

mod random;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use detect::classic::{
    Adwin, AdwinOptions, Ddm, DdmOptions, Detector, HddmA, HddmAOptions, HddmW, HddmWOptions, PageHinkley,
    PageHinkleyOptions,
};
use detect::harm::Trigger;
use detect::shift::{Shift, Wander};
use profile::Kernel;
use random::Random;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

/// Makes a fresh detector.
type Make = fn() -> Box<dyn Detector>;

/// Median of five rates; `work` says how many things it did.
fn rate(name: &str, unit: &str, mut work: impl FnMut() -> usize) {
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let start = Instant::now();
            let done = work();
            done as f64 / start.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("{name:40} {:12.0} {unit}/s", rates[2]);
}

fn main() {
    let mut random = Random::new(5);
    let errors: Vec<f64> = (0..500_000).map(|_| f64::from(u8::from(random.unit() < 0.2))).collect();
    let detectors: [(&str, Make); 5] = [
        ("ADWIN", || Box::new(Adwin::new(AdwinOptions::default()))),
        ("Page-Hinkley", || Box::new(PageHinkley::new(PageHinkleyOptions::default()))),
        ("DDM", || Box::new(Ddm::new(DdmOptions::default()))),
        ("HDDM-A", || Box::new(HddmA::new(HddmAOptions::default()))),
        ("HDDM-W", || Box::new(HddmW::new(HddmWOptions::default()))),
    ];
    for (name, make) in detectors {
        rate(name, "rows", || {
            let mut detector = make();
            black_box(errors.iter().filter(|x| detector.update(**x)).count());
            errors.len()
        });
    }
    rate("e-detector, 6 bets, row by row", "rows", || {
        let bets = [0.25, 0.5, 1.0, 1.5, 2.0, 3.0_f64];
        let mut trigger = Trigger::new(bets.len(), 1e4);
        let rows = errors.iter().zip(0..);
        black_box(
            rows.filter(|(x, i)| trigger.step(*i, &bets.map(|b| (b * (**x - 0.2)).ln_1p()), 1).is_some()).count(),
        );
        errors.len()
    });

    let slice = |random: &mut Random, rows: usize| -> Vec<u64> {
        let mut counts = vec![0; 131];
        (0..rows).for_each(|_| counts[1 + (random.unit() * 128.0) as usize] += 1);
        counts
    };
    let slices: Vec<Vec<u64>> = (0..1100).map(|_| slice(&mut random, 1000)).collect();
    let mut reference = vec![0; 131];
    slices.iter().for_each(|s| reference.iter_mut().zip(s).for_each(|(all, more)| *all += more));
    rate("PSI with its null, 131 bins, 1,000 rows", "tests", || {
        slices.iter().for_each(|slice| {
            black_box(detect::psi(&reference, slice, 0.01));
        });
        slices.len()
    });
    let columns: Vec<(String, ArrayRef)> = (0..10)
        .map(|n| (format!("x{n}"), Arc::new((0..20_000).map(|_| random.unit()).collect::<Float64Array>()) as ArrayRef))
        .collect();
    let rows = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let kernel = Kernel::fit(&rows, 256, 1).expect("numbers").expect("columns that vary");
    rate("kernel of 10 columns, 64 frequencies", "rows", || {
        black_box(kernel.sum(&rows)).map_or(0, |_| rows.num_rows())
    });
    let wander = Wander::measure(&slices);
    let references = vec![reference; 200];
    // Every column sees another slice each time: a run of one slice over and over would be a shift.
    let steps: Vec<Vec<Vec<u64>>> =
        (0..64).map(|step| slices.iter().cycle().skip(step * 17).take(200).cloned().collect()).collect();
    let mut shift = Shift::new(vec![wander; 200], 1.0, 720.0, 0.0);
    rate("shift, all run lengths", "columns", || {
        steps.iter().for_each(|step| {
            black_box(shift.step(&references, step));
        });
        64 * 200
    });
}
