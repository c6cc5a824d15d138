//! HDDM-W (Frías-Blanco et al., IEEE Transactions on Knowledge and Data Engineering 27, 2015).

use super::{Detector, log_odds};
use serde::{Deserialize, Serialize};

/// What a [`HddmW`] is set to. The defaults are River's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HddmWOptions {
    /// Confidence at which it alarms, in 0 to 1: 0.001.
    pub drift: f64,
    /// Confidence at which it warns, in 0 to 1: 0.005.
    pub warning: f64,
    /// Weight of the newest value, in 0 to 1: 0.05.
    pub lambda: f64,
    /// Whether a fall counts too: no.
    pub two_sided: bool,
}

impl Default for HddmWOptions {
    fn default() -> Self {
        Self { drift: 0.001, warning: 0.005, lambda: 0.05, two_sided: false }
    }
}

/// An exponentially weighted mean and its independent bounded condition, the sum of the squares of
/// the weights in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Sample {
    mean: Option<f64>,
    squares: f64,
}

impl Sample {
    const EMPTY: Self = Self { mean: None, squares: 1.0 };

    fn add(&mut self, x: f64, lambda: f64) {
        let rest = 1.0 - lambda;
        self.mean = Some(self.mean.map_or(x, |mean| lambda * x + rest * mean));
        self.squares = lambda * lambda + (rest * rest) * self.squares;
    }
}

/// The values up to the most extreme point so far, and those since; `sign` −1 looks for a fall.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Cut {
    sign: f64,
    /// Least signed mean + bound so far.
    point: Option<f64>,
    before: Sample,
    since: Sample,
}

impl Cut {
    fn new(sign: f64) -> Self {
        Self { sign, point: None, before: Sample::EMPTY, since: Sample::EMPTY }
    }

    fn add(&mut self, x: f64, all: Sample, lambda: f64, drift: f64) {
        let mean = self.sign * all.mean.unwrap_or(x);
        let point = mean + bound(all.squares, drift);
        if self.point.is_none_or(|least| point < least) {
            *self = Self { sign: self.sign, point: Some(point), before: all, since: Sample::EMPTY };
        } else {
            self.since.add(x, lambda);
        }
    }

    fn moved(&self, confidence: f64) -> bool {
        let (Some(before), Some(since)) = (self.before.mean, self.since.mean) else {
            return false;
        };
        self.sign * (since - before) > bound(self.before.squares + self.since.squares, confidence)
    }
}

/// `McDiarmid`'s bound.
fn bound(squares: f64, confidence: f64) -> f64 {
    (squares * log_odds(confidence) / 2.0).sqrt()
}

/// The weighted mean since the most extreme point against that before it. For values in 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HddmW {
    options: HddmWOptions,
    all: Sample,
    rise: Cut,
    fall: Cut,
    warned: bool,
    drifted: bool,
}

impl HddmW {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(options: HddmWOptions) -> Self {
        let (rise, fall) = (Cut::new(1.0), Cut::new(-1.0));
        Self { options, all: Sample::EMPTY, rise, fall, warned: false, drifted: false }
    }
}

impl Detector for HddmW {
    fn update(&mut self, x: f64) -> bool {
        if !x.is_finite() {
            return false;
        }
        if self.drifted {
            *self = Self::new(self.options);
        }
        let HddmWOptions { drift, warning, lambda, two_sided } = self.options;
        self.all.add(x, lambda);
        self.rise.add(x, self.all, lambda, drift);
        self.drifted = self.rise.moved(drift);
        self.warned = !self.drifted && self.rise.moved(warning);
        if two_sided {
            self.fall.add(x, self.all, lambda, drift);
            // A fall beside a warned rise leaves the warning standing, as in River.
            let fell = self.fall.moved(drift);
            self.warned |= !fell && self.fall.moved(warning);
            self.drifted |= fell;
        }
        self.drifted
    }

    fn is_warning(&self) -> bool {
        self.warned
    }
}
