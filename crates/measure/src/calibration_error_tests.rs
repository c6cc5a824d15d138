use super::{Reliability, raw_and_null};

/// A published, seeded generator, so that the simulation needs no library: SplitMix64
/// (G. Steele, D. Lea, C. Flood, OOPSLA 2014).
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

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
