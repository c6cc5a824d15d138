use super::{GapReference, SliceGap, error_gap, gap};
use crate::estimate::{ChildSums, Expected, Forecast};
use crate::simulation::uniform;

/// A calibrated model on `scored` rows, of which about `share` get labels: (right, labelled, sums).
fn window(state: &mut u64, scored: usize, share: f64) -> (i64, i64, Expected) {
    let (mut right, mut labelled, mut sums) = (0, 0, Expected::new(2));
    for _ in 0..scored {
        let p = uniform(state);
        let predicted = usize::from(p >= 0.5);
        let is_right = (uniform(state) < p) == (predicted == 1);
        sums.add(&[p], predicted, &[1.0 - p, p], 1);
        if uniform(state) < share {
            labelled += 1;
            right += i64::from(is_right);
        }
    }
    (right, labelled, sums)
}

#[test]
fn the_standard_error_is_that_of_a_calibrated_model() {
    let mut state = 5;
    for share in [1.0, 0.5, 0.1] {
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..400 {
            let (right, labelled, sums) = window(&mut state, 1000, share);
            let gap = gap(right, labelled, &sums).unwrap();
            sum += gap.value / gap.standard_error;
            squares += (gap.value / gap.standard_error).powi(2);
        }
        // Mean 0 and variance 1, each within four of its own standard errors.
        assert!((sum / 400.0).abs() < 0.2, "share {share}: mean {}", sum / 400.0);
        assert!((squares / 400.0 - 1.0).abs() < 0.29, "share {share}: variance {}", squares / 400.0);
    }
}

#[test]
fn what_scores_cannot_know_shows_as_a_gap() {
    let mut state = 6;
    let (right, labelled, sums) = window(&mut state, 2000, 1.0);
    assert!(!gap(right, labelled, &sums).unwrap().is_beyond_noise());
    let changed = gap(right - 150, labelled, &sums).unwrap();
    assert!(changed.is_beyond_noise() && changed.value < 0.0);
    let slice = SliceGap::of((labelled - right + 150) as f64, labelled, &Forecast::Classes(sums.clone()), 1.0);
    assert!((slice.unwrap().difference() + changed.value).abs() < 1e-12);
    for (right, labelled) in [(0, 0), (-1, 5), (6, 5)] {
        assert_eq!(gap(right, labelled, &sums), None);
    }
    assert_eq!(gap(1, 1, &Expected::new(2)), None);
}

#[test]
fn the_standard_error_of_an_error_gap_is_that_of_right_child_models() {
    let mut state = 7;
    for share in [1.0, 0.3] {
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..400 {
            let (mut errors, mut labelled, mut sums) = (0.0, 0, ChildSums::default());
            for _ in 0..500 {
                // |e| uniform in [0, 2a): mean a, mean square 4a²/3.
                let a = 1.0 + 9.0 * uniform(&mut state);
                sums.add(a, Some(4.0 * a * a / 3.0), 1);
                let error = 2.0 * a * uniform(&mut state);
                if uniform(&mut state) < share {
                    errors += error;
                    labelled += 1;
                }
            }
            let gap = error_gap(errors / labelled as f64, labelled, &sums).unwrap();
            sum += gap.value / gap.standard_error;
            squares += (gap.value / gap.standard_error).powi(2);
        }
        // Mean 0 and variance 1, each within four of its own standard errors.
        assert!((sum / 400.0).abs() < 0.2, "share {share}: mean {}", sum / 400.0);
        assert!((squares / 400.0 - 1.0).abs() < 0.29, "share {share}: variance {}", squares / 400.0);
    }
    let mut without = ChildSums::default();
    without.add(1.0, None, 1);
    assert_eq!(error_gap(1.0, 1, &without), None);
    assert_eq!(error_gap(f64::NAN, 1, &ChildSums::default()), None);
}

/// Differences of .1 and .3 by hand: mean .2, variance .02, standard error .1.
#[test]
fn the_reference_is_mean_and_spread_of_its_slices() {
    let slice = |realised, estimated| SliceGap { realised, rows: 10, estimated };
    let found = GapReference::of(&[slice(0.3, 0.2), slice(0.5, 0.2)], 1.0).unwrap();
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
    near(found.errors, 0.4);
    near(found.mean, 0.2);
    near(found.variance_slices, 0.02);
    near(found.standard_error, (0.24_f64 / 20.0).sqrt().max(0.1));
    assert!(found.is_sound() && !GapReference { mean: f64::NAN, ..found }.is_sound());
    assert!(!GapReference { scale: 0.0, ..found }.is_sound());
    assert_eq!(GapReference::of(&[], 1.0), None);
    near(GapReference::of(&[slice(0.5, 0.2)], 1.0).unwrap().variance_slices, 0.025);
}

#[test]
fn errors_of_numbers_are_shares_of_the_scale() {
    let mut sums = ChildSums::default();
    [1.0, 3.0].into_iter().for_each(|a| sums.add(a, None, 1));
    let expected = Forecast::Errors(sums);
    for (errors, labelled, scale, share) in [
        (12.0, 4, 10.0, Some((0.3, 0.2))),
        (120.0, 4, 10.0, Some((1.0, 0.2))),
        (12.0, 4, 1.0, Some((1.0, 1.0))),
        (12.0, 0, 10.0, None),
        (f64::NAN, 4, 10.0, None),
        (12.0, 4, 0.0, None),
    ] {
        let found = SliceGap::of(errors, labelled, &expected, scale);
        assert_eq!(found.map(|s| (s.realised, s.estimated)), share, "{errors} of {labelled} over {scale}");
    }
    assert_eq!(SliceGap::of(1.0, 1, &Forecast::Errors(ChildSums::default()), 1.0), None, "nothing was expected");
}
