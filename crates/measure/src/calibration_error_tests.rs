use super::{Reliability, raw_and_null};
use crate::simulation::uniform;

#[test]
fn the_null_mean_is_that_of_a_calibrated_model() {
    let mut state = 1;
    for rows in [200, 1000, 5000] {
        let (mut raw, mut null) = (0.0, 0.0);
        for _ in 0..200 {
            let mut sums = Reliability::default();
            for _ in 0..rows {
                let probability = uniform(&mut state);
                sums.add(probability, uniform(&mut state) < probability, 1);
            }
            let pair = raw_and_null(&sums.rows, &sums.probability).unwrap();
            raw += pair.0 / 200.0;
            null += pair.1 / 200.0;
        }
        assert!((raw / null - 1.0).abs() < 0.05, "{rows} rows: mean error {raw}, expected {null}");
    }
}

#[test]
fn a_shifted_model_is_told_from_noise() {
    let (mut state, mut sums) = (2, Reliability::default());
    for _ in 0..20_000 {
        let happens = uniform(&mut state);
        let probability = 0.1 + 0.8 * uniform(&mut state);
        sums.add(probability + 0.1, happens < probability, 1);
    }
    // Every bin is off by 0.1.
    let error = sums.error().unwrap().value;
    assert!((error - 0.1).abs() < 0.01, "{error}");
}
