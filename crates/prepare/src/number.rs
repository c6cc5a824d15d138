//! Impute and scale: the steps of numbers.

use crate::recipe::{Impute, Scale};
use serde::{Deserialize, Serialize};

/// A fitted step: missing values become `impute`, then x becomes (x - center) / scale.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NumberStep {
    /// What stands in for a missing or infinite value; `None`: such values stay.
    impute: Option<f64>,
    center: f64,
    scale: f64,
}

impl NumberStep {
    /// Leaves numbers as they are.
    pub(crate) const IDENTITY: Self = Self { impute: None, center: 0.0, scale: 1.0 };

    /// Fits on the values of the rows, NaN for a missing one. Infinite values count as missing.
    /// As in a scikit-learn pipeline, the scale is that of the imputed values.
    pub(crate) fn fit(values: &[f64], impute: Option<Impute>, scale: Option<Scale>) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let fill = impute.map(|kind| finite_or(fill(kind, &sorted), 0.0));
        if let Some(fill) = fill {
            sorted.resize(values.len(), fill);
            sorted.sort_unstable_by(f64::total_cmp);
        }
        let (center, scale) = scale.map_or((0.0, 1.0), |kind| center_and_scale(kind, &sorted));
        Self { impute: fill, center, scale }
    }

    /// Standardised codes `0..categories`, and `categories` for every other value.
    pub(crate) fn fit_codes(codes: &[f64], categories: usize) -> Self {
        let outside = categories as f64;
        let filled: Vec<f64> = codes.iter().map(|c| if c.is_finite() { *c } else { outside }).collect();
        Self { impute: Some(outside), ..Self::fit(&filled, None, Some(Scale::Standard)) }
    }

    /// The feature of a value, rounded once to 32 bits. Finite for every input if a value is
    /// imputed.
    pub(crate) fn apply(&self, x: f64) -> f32 {
        let feature = self.value(x) as f32;
        if self.impute.is_some() { feature.clamp(f32::MIN, f32::MAX) } else { feature }
    }

    /// The feature in 64 bits.
    fn value(&self, x: f64) -> f64 {
        let x = match self.impute {
            Some(fill) if !x.is_finite() => fill,
            _ => x,
        };
        (x - self.center) / self.scale
    }

    /// Whether a saved step can be a fitted one.
    pub(crate) fn is_valid(&self) -> bool {
        let finite = self.impute.unwrap_or(0.0).is_finite() && self.center.is_finite() && self.scale.is_finite();
        finite && self.scale > 0.0
    }
}

/// The value that stands in for missing ones; 0 if there are no others.
fn fill(kind: Impute, sorted: &[f64]) -> f64 {
    match kind {
        Impute::Zero => 0.0,
        Impute::Mean => mean(sorted),
        Impute::Median => quantile(sorted, 0.5),
        Impute::MostFrequent => most_frequent(sorted),
    }
}

/// Center and scale; a constant column has scale 1.
fn center_and_scale(kind: Scale, sorted: &[f64]) -> (f64, f64) {
    let (Some(&least), Some(&greatest)) = (sorted.first(), sorted.last()) else {
        return (0.0, 1.0);
    };
    if least == greatest {
        return (least, 1.0);
    }
    let (center, scale) = match kind {
        Scale::Standard => {
            let center = mean(sorted);
            (center, variance(sorted, center).sqrt())
        }
        Scale::MinMax => (least, greatest - least),
        Scale::Robust => (quantile(sorted, 0.5), quantile(sorted, 0.75) - quantile(sorted, 0.25)),
    };
    let scale = if scale > 0.0 { finite_or(scale, 1.0) } else { 1.0 };
    (finite_or(center, 0.0), scale)
}

/// Mean in two passes: the second takes the rounding of the first out. Sorted values are summed,
/// so the order of the rows does not show.
fn mean(sorted: &[f64]) -> f64 {
    if sorted.is_empty() {
        return 0.0;
    }
    let n = sorted.len() as f64;
    let first = sorted.iter().sum::<f64>() / n;
    first + sorted.iter().map(|x| x - first).sum::<f64>() / n
}

/// Σ(x - mean)² / n.
fn variance(sorted: &[f64], mean: f64) -> f64 {
    sorted.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / sorted.len() as f64
}

/// Quantile by linear interpolation between the neighbours of rank q (n - 1), from the nearer one
/// (Hyndman and Fan's type 7, as numpy's `percentile`).
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let rank = q * last as f64;
    let below = rank.floor();
    let at = |i: usize| sorted.get(i.min(last)).copied().unwrap_or(0.0);
    let (low, high, part) = (at(below as usize), at(below as usize + 1), rank - below);
    if part < 0.5 { low + (high - low) * part } else { high - (high - low) * (1.0 - part) }
}

/// The value of the longest run; the least of several.
fn most_frequent(sorted: &[f64]) -> f64 {
    let runs = sorted.chunk_by(|a, b| a == b);
    let best = runs.fold(None, |best: Option<&[f64]>, run| match best {
        Some(longest) if longest.len() >= run.len() => Some(longest),
        _ => Some(run),
    });
    best.and_then(|run| run.first().copied()).unwrap_or(0.0)
}

fn finite_or(x: f64, other: f64) -> f64 {
    if x.is_finite() { x } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: f64 = f64::NAN;
    const SEEN: [f64; 11] = [3.5, MISSING, -1.25, 10.0, 3.5, MISSING, 0.1, 7.75, -20.5, 3.0, 0.1];
    const LIVE: [f64; 4] = [0.0, MISSING, 12.5, -3.75];

    fn check(impute: Option<Impute>, scale: Option<Scale>, expected: [f64; 4]) {
        let step = NumberStep::fit(&SEEN, impute, scale);
        let mut other_order = SEEN;
        other_order.reverse();
        assert_eq!(step, NumberStep::fit(&other_order, impute, scale));
        for (x, expected) in LIVE.into_iter().zip(expected) {
            let found = step.value(x);
            let same = if expected.is_nan() { found.is_nan() } else { (found - expected).abs() < 1e-13 };
            assert!(same, "{impute:?} {scale:?} of {x}: {found}, expected {expected}");
            let rounded = step.apply(x);
            assert!(rounded.to_bits() == (found as f32).to_bits() || found.is_nan(), "{rounded}");
        }
    }

    /// scikit-learn 1.9.1: `make_pipeline(SimpleImputer(strategy), Scaler()).fit(SEEN).transform(LIVE)`,
    /// either of the two left out where it is `None`.
    #[test]
    fn imputed_and_scaled_values_are_those_of_scikit_learn() {
        use Impute::{Mean, Median, MostFrequent, Zero};
        use Scale::{MinMax, Robust, Standard};
        check(None, Some(Standard), [-0.08359990895096249, MISSING, 1.4333339228205342, -0.5386800584824114]);
        check(None, Some(MinMax), [0.6721311475409837, MISSING, 1.0819672131147542, 0.5491803278688525]);
        check(None, Some(Robust), [-0.8823529411764706, MISSING, 2.794117647058824, -1.9852941176470589]);
        check(Some(Mean), None, [0.0, 0.688888888888889, 12.5, -3.75]);
        check(Some(Mean), Some(Standard), [-0.09242317683273882, 0.0, 1.5846102737613124, -0.5955332120109541]);
        let expected = [0.6721311475409837, 0.6947176684881604, 1.0819672131147542, 0.5491803278688525];
        check(Some(Mean), Some(MinMax), expected);
        check(Some(Mean), Some(Robust), [-0.20261437908496735, 0.0, 3.473856209150327, -1.3055555555555556]);
        check(Some(Median), None, [0.0, 3.0, 12.5, -3.75]);
        let expected = [-0.14774583574514313, 0.2518945396310637, 1.517422394989052, -0.6472963049654017];
        check(Some(Median), Some(Standard), expected);
        check(Some(Median), Some(Robust), [-0.8823529411764706, 0.0, 2.794117647058824, -1.9852941176470589]);
        check(Some(Zero), None, [0.0, 0.0, 12.5, -3.75]);
        let expected = [-0.07557096344398345, -0.07557096344398345, 1.6003979839024234, -0.5783616476479054];
        check(Some(Zero), Some(Standard), expected);
        check(Some(Zero), Some(Robust), [-0.028571428571428574, -0.028571428571428574, 3.542857142857143, -1.1]);
        check(Some(MostFrequent), None, [0.0, 0.1, 12.5, -3.75]);
        let expected = [-0.07802206795598896, -0.06461202502605336, 1.598233298285962, -0.5808986778285743];
        check(Some(MostFrequent), Some(Standard), expected);
    }

    #[test]
    fn columns_without_spread_or_values_get_harmless_numbers() {
        let check = |seen: &[f64], x: f64, expected: f64| {
            for scale in [Scale::Standard, Scale::MinMax, Scale::Robust] {
                let step = NumberStep::fit(seen, Some(Impute::Median), Some(scale));
                assert_eq!(step.value(x), expected, "{scale:?} {seen:?} {x}");
                assert!(step.is_valid());
            }
        };
        check(&[0.1; 7], 0.1, 0.0);
        check(&[0.1; 7], 1.1, 1.0);
        check(&[0.1; 7], MISSING, 0.0);
        check(&[MISSING; 3], MISSING, 0.0);
        check(&[MISSING; 3], 2.0, 2.0);
        check(&[], 2.0, 2.0);
        check(&[f64::INFINITY, MISSING], 2.0, 2.0);
    }

    #[test]
    fn extremes_stay_finite_where_a_value_is_imputed() {
        let seen = [1.0, 2.0, 1e308, -1e308, f64::INFINITY, 1e-320];
        for impute in [Impute::Mean, Impute::Median, Impute::Zero, Impute::MostFrequent] {
            for scale in [None, Some(Scale::Standard), Some(Scale::MinMax), Some(Scale::Robust)] {
                let step = NumberStep::fit(&seen, Some(impute), scale);
                assert!(step.is_valid(), "{step:?}");
                for x in [MISSING, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 0.0, 5e-324] {
                    assert!(step.apply(x).is_finite(), "{step:?} {x}");
                }
            }
        }
        assert!(NumberStep::IDENTITY.apply(MISSING).is_nan());
        assert_eq!(NumberStep::IDENTITY.apply(f64::INFINITY), f32::INFINITY);
    }
}
