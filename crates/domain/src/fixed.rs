//! Sums that do not depend on the order of their terms.

use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// Bits behind the binary point.
const FRACTION_BITS: i32 = 40;
const ONE: f64 = (1u64 << FRACTION_BITS) as f64;
/// Terms beyond this are clamped to it: 2^80 leaves room for 2^47 such terms in 128 bits.
const LARGEST_TERM: f64 = 1.208_925_819_614_629_2e24;

/// Numbers below this fit into 64 bits with a sign.
const WORD: f64 = (1_u64 << 62) as f64;

/// The nearest integer, halves away from zero, of a number below 2⁶²; NaN is 0.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub fn rounded(number: f64) -> i64 {
    // `as` cuts towards zero. What is cut off is exact: from 2⁵² on there is nothing.
    let whole = number as i64;
    let rest = number - whole as f64;
    whole + i64::from(rest >= 0.5) - i64::from(rest <= -0.5)
}

/// A sum in fixed point: every term is rounded once to a multiple of 2^-40, then added exactly.
///
/// Panes are cut per transaction, so floating-point sums would depend on the cuts; these do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fixed(i128);

impl Fixed {
    /// The empty sum.
    pub const ZERO: Self = Self(0);

    /// Rounds one term. Infinite and huge terms are clamped to ±2^80; NaN, which no caller may
    /// pass, counts as zero so that a sum is never poisoned.
    #[must_use]
    pub fn from_f64(term: f64) -> Self {
        debug_assert!(!term.is_nan(), "a NaN term reached a sum");
        let scaled = term.clamp(-LARGEST_TERM, LARGEST_TERM) * ONE;
        // Nearly every term fits into a machine word, where rounding is a few instructions.
        if scaled.abs() < WORD {
            return Self(i128::from(rounded(scaled)));
        }
        // `as` maps NaN to zero and cannot overflow after the clamp.
        #[allow(clippy::cast_possible_truncation)]
        Self(scaled.round() as i128)
    }

    /// The sum as a floating-point number.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / ONE
    }
}

impl Add for Fixed {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}
impl Sub for Fixed {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}
impl Neg for Fixed {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}
impl AddAssign for Fixed {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl SubAssign for Fixed {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
impl std::iter::Sum for Fixed {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fixed, rounded};

    #[test]
    fn a_sum_does_not_depend_on_the_order_of_its_terms() {
        let terms: Vec<f64> =
            (0..1000).map(|i| 1.0 / f64::from(i + 1) * if i % 2 == 0 { 1e6 } else { -1e-6 }).collect();
        let forward: Fixed = terms.iter().copied().map(Fixed::from_f64).sum();
        let backward: Fixed = terms.iter().rev().copied().map(Fixed::from_f64).sum();
        assert_eq!(forward, backward);
    }

    /// The standard library's rounding is the truth; terms on both sides of a word's size, and halves.
    #[test]
    fn numbers_are_rounded_as_the_standard_library_does() {
        let mut numbers = vec![0.0, -0.0, 0.5, 1.5, 0.499_999_999_999_999_94, 4_503_599_627_370_495.5, 4.6e18];
        numbers.extend((0..2_000).map(|n| (f64::from(n) * 0.754_877_666).exp2() % 4e18));
        numbers.extend((0..2_000).map(|n| f64::from(n) / 2.0));
        for number in numbers.into_iter().flat_map(|number| [number, -number]) {
            assert_eq!(rounded(number), number.round() as i64, "{number}");
        }
        assert_eq!(rounded(f64::NAN), 0);
        for term in [1e-12, 0.3, 4.1e6, 4.3e6, 1e12, 1.2e24] {
            for term in [term, -term] {
                let steps = (term * 1_099_511_627_776.0_f64).round() as i128;
                assert_eq!(Fixed::from_f64(term), Fixed(steps), "{term}");
            }
        }
    }

    #[test]
    fn extremes_are_clamped_and_never_poison_a_sum() {
        let sum = Fixed::from_f64(f64::INFINITY) + Fixed::from_f64(1.0) + Fixed::from_f64(f64::NEG_INFINITY);
        assert!((sum.to_f64() - 1.0).abs() < 1e-9);
    }
}
