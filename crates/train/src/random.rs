//! Random numbers that a seed repeats on every host.

/// SplitMix64 (Steele, Lea, Flood 2014: "Fast splittable pseudorandom number generators").
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform below a number; 0 below none.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Places below a number without replacement, at most so many, in the order in which they were drawn
    /// (Fisher and Yates).
    pub(crate) fn draw(&mut self, wanted: usize, count: usize) -> Vec<usize> {
        let mut places: Vec<usize> = (0..count).collect();
        let taken = wanted.min(count);
        for place in 0..taken {
            let other = place + self.below(count - place);
            places.swap(place, other);
        }
        places.truncate(taken);
        places
    }

    /// Uniform in the logarithm between two positive numbers, rounded to two significant digits
    /// so that a person can read the parameters.
    pub(crate) fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        two_digits(low * (high / low).powf(self.unit()))
    }

    /// As [`Random::log_uniform`], rounded to an integer.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(crate) fn log_integer(&mut self, low: u32, high: u32) -> u32 {
        let value = f64::from(low) * (f64::from(high) / f64::from(low)).powf(self.unit());
        value.round() as u32
    }
}

fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_first_numbers_are_those_of_the_published_generator() {
        // Reference: Vigna's splitmix64.c with x = 1234567.
        let mut random = Random::new(1_234_567);
        let found: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(found, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut random = Random::new(7);
        for _ in 0..1000 {
            let (x, n, u) = (random.log_uniform(0.02, 0.2), random.log_integer(7, 63), random.unit());
            assert!((0.02..=0.2).contains(&x) && (7..=63).contains(&n) && (0.0..1.0).contains(&u), "{x} {n} {u}");
        }
    }
}
