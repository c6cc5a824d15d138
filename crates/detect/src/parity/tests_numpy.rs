//! numpy's legacy generator, so that golden values of other tools need no files of samples.
//!
//! MT19937 (Matsumoto, Nishimura, ACM TOMACS 8, 1998) with the seeding, the polar normals and the
//! masked integers of `numpy.random.RandomState`, whose stream is frozen by numpy's policy.

pub(super) struct NumpyRandom {
    state: Vec<u32>,
    next: usize,
    spare: Option<f64>,
}

impl NumpyRandom {
    pub(super) fn new(seed: u32) -> Self {
        let mut state = vec![seed];
        for i in 1..624_u32 {
            let last = state[i as usize - 1];
            state.push(1_812_433_253_u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(i));
        }
        Self { state, next: 624, spare: None }
    }

    fn word(&mut self) -> u32 {
        if self.next == 624 {
            for i in 0..624 {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % 624] & 0x7fff_ffff);
                let twist = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + 397) % 624] ^ (y >> 1) ^ twist;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        let (a, b) = (self.word() >> 5, self.word() >> 6);
        (f64::from(a) * 67_108_864.0 + f64::from(b)) / 9_007_199_254_740_992.0
    }

    pub(super) fn normal(&mut self, mean: f64, rows: usize) -> Vec<f64> {
        (0..rows).map(|_| mean + self.standard_normal()).collect()
    }

    fn standard_normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let r = x * x + y * y;
            if r < 1.0 && r != 0.0 {
                let factor = (-2.0 * r.ln() / r).sqrt();
                self.spare = Some(factor * x);
                return factor * y;
            }
        }
    }

    /// `numpy.random.choice` of these, with replacement.
    pub(super) fn choice<T: Copy>(&mut self, from: &[T], rows: usize) -> Vec<T> {
        let mask = (from.len() as u32).next_power_of_two() - 1;
        (0..rows)
            .map(|_| {
                loop {
                    let drawn = (self.word() & mask) as usize;
                    if drawn < from.len() {
                        break from[drawn];
                    }
                }
            })
            .collect()
    }
}

#[test]
fn the_first_numbers_are_numpys() {
    let mut random = NumpyRandom::new(1);
    let expected = [1.624_345_36, -0.611_756_41, -0.528_171_75];
    for (found, expected) in random.normal(0.0, 3).iter().zip(expected) {
        assert!((found - expected).abs() < 5e-9, "{found}");
    }
    assert_eq!(random.choice(&[0, 1], 4), [0, 1, 0, 0]);
}
