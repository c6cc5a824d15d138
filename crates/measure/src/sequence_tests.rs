use super::ConfidenceSequence;
use crate::simulation::uniform;

#[test]
fn the_interval_is_that_of_the_paper() {
    // testdata/sequence.py: the paper's equations in numpy.
    let mut sequence = ConfidenceSequence::new(0.05);
    assert_eq!(sequence.estimate(), None);
    for (number, line) in include_str!("../testdata/sequence.csv").lines().enumerate() {
        let fields: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        sequence.step(fields[0]);
        let found = sequence.estimate().unwrap();
        let same = (found.low.unwrap() - fields[1]).abs() < 1e-12 && (found.high.unwrap() - fields[2]).abs() < 1e-12;
        assert!(same, "value {number}: {found:?}, expected {fields:?}");
    }
}

/// Draws of a distribution on [0, 1] and its mean.
type Case = (&'static str, f64, fn(&mut u64) -> f64);

#[test]
fn it_covers_the_mean_at_all_times_at_once() {
    const RUNS: u32 = 400;
    let cases: [Case; 4] = [
        ("rare errors", 0.05, |s| f64::from(u8::from(uniform(s) < 0.05))),
        ("a fair coin", 0.5, |s| f64::from(u8::from(uniform(s) < 0.5))),
        ("uniform", 0.5, uniform),
        ("small spread", 0.25, |s| 0.2 + 0.1 * uniform(s)),
    ];
    let mut state = 9;
    for (name, mean, draw) in cases {
        let (mut missed, mut width) = (0, 0.0);
        for _ in 0..RUNS {
            let mut sequence = ConfidenceSequence::new(0.1);
            let mut misses = false;
            for _ in 0..1000 {
                sequence.step(draw(&mut state));
                let interval = sequence.estimate().unwrap();
                misses |= interval.low.unwrap() > mean || interval.high.unwrap() < mean;
            }
            missed += u32::from(misses);
            let last = sequence.estimate().unwrap();
            width += (last.high.unwrap() - last.low.unwrap()) / f64::from(RUNS);
        }
        // At most 10 % may miss even once in 1,000 looks; a 95 % interval at each look misses far
        // more often (see the next test).
        println!("{name}: {missed} of {RUNS} runs missed once, width after 1,000 values {width:.3}");
        assert!(missed <= RUNS / 10, "{name}: {missed} of {RUNS}");
        assert!(width < 0.2, "{name}: an interval this wide says nothing: {width}");
    }
}

#[test]
fn a_normal_interval_looked_at_often_does_not() {
    let (mut state, mut missed) = (10, 0);
    for _ in 0..200 {
        let (mut sum, mut misses) = (0.0, false);
        for n in 1..=1000 {
            sum += f64::from(u8::from(uniform(&mut state) < 0.5));
            let n = f64::from(n);
            // 90 % at each look.
            misses |= n >= 30.0 && (sum / n - 0.5).abs() > 1.645 * 0.5 / n.sqrt();
        }
        missed += u32::from(misses);
    }
    assert!(missed > 80, "{missed} of 200");
}

#[test]
fn broken_values_do_not_poison_it() {
    let mut sequence = ConfidenceSequence::new(f64::NAN);
    for value in [f64::NAN, f64::INFINITY, -3.0, 0.5] {
        sequence.step(value);
    }
    assert_eq!(sequence.values(), 3);
    let found = sequence.estimate().unwrap();
    assert!((found.value - 0.5).abs() < 0.2 && found.low == Some(0.0) && found.high == Some(1.0));
}
