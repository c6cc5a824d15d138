//! Whether `vigie run` keeps its word: every acknowledged event scored or rejected once, in order,
//! under one version per offset, and the same final statistics, whatever happens to its processes.
//!
//! [`load`] writes events and labels and remembers what the broker acknowledged. [`world`] has the
//! broker, the configuration and the processes, [`sink`] a second broker that has the outputs alone.
//! [`plan`] does things to them. [`check`] reads what a `read_committed` reader gets and compares it
//! with what was acknowledged; [`calm`] compares it with an undisturbed run over the same logs.

pub mod calm;
pub mod check;
pub mod load;
pub mod plan;
pub mod read;
pub mod sink;
pub mod world;

pub use check::Report;
pub use plan::{Plan, Scenario, prove};

/// Seeded numbers: splitmix64, whose constants are those of Steele, Lea and Flood (2014).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// A sequence of its own per seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_number() % end.max(1)
    }
}

/// The finalizer of splitmix64.
#[must_use]
pub fn mix(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
