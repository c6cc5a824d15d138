//! HDDM-A (Frías-Blanco et al., IEEE Transactions on Knowledge and Data Engineering 27, 2015).

use super::mean::Mean;
use super::{Detector, log_odds};
use serde::{Deserialize, Serialize};

/// What a [`HddmA`] is set to. The defaults are River's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HddmAOptions {
    /// Confidence at which it alarms, in 0 to 1: 0.001.
    pub drift: f64,
    /// Confidence at which it warns, in 0 to 1: 0.005.
    pub warning: f64,
    /// Whether a fall counts too: no.
    pub two_sided: bool,
}

impl Default for HddmAOptions {
    fn default() -> Self {
        Self { drift: 0.001, warning: 0.005, two_sided: false }
    }
}

/// The mean of all values against that of the prefix whose Hoeffding bound was most extreme. For
/// values in 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HddmA {
    options: HddmAOptions,
    all: Mean,
    /// The prefix with the least mean + bound.
    lowest: Option<Mean>,
    /// The prefix with the greatest mean − bound.
    highest: Option<Mean>,
    warned: bool,
    drifted: bool,
}

impl HddmA {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(options: HddmAOptions) -> Self {
        Self { options, all: Mean::default(), lowest: None, highest: None, warned: false, drifted: false }
    }

    /// Half the width of the Hoeffding interval of a mean of so many values.
    fn bound(&self, count: f64) -> f64 {
        (1.0 / (2.0 * count) * log_odds(self.options.drift)).sqrt()
    }

    /// Whether the mean has moved from the prefix's by more than chance; `sign` is 1 for a rise.
    fn moved(&self, prefix: Mean, sign: f64, confidence: f64) -> bool {
        if prefix.count == self.all.count {
            return false;
        }
        let m = (self.all.count - prefix.count) / prefix.count * (1.0 / self.all.count);
        let limit = (m / 2.0 * libm::log(2.0 / confidence.clamp(f64::MIN_POSITIVE, 1.0))).sqrt();
        sign * (self.all.value - prefix.value) >= limit
    }
}

impl Detector for HddmA {
    fn update(&mut self, x: f64) -> bool {
        if !x.is_finite() {
            return false;
        }
        if self.drifted {
            *self = Self::new(self.options);
        }
        self.all.add(x);
        let all = self.all;
        let bound = self.bound(all.count);
        let lowest = match self.lowest {
            Some(low) if low.value + self.bound(low.count) < all.value + bound => low,
            _ => all,
        };
        let highest = match self.highest {
            Some(high) if high.value - self.bound(high.count) > all.value - bound => high,
            _ => all,
        };
        (self.lowest, self.highest) = (Some(lowest), Some(highest));
        let HddmAOptions { drift, warning, two_sided } = self.options;
        self.drifted = self.moved(lowest, 1.0, drift);
        self.warned = !self.drifted && self.moved(lowest, 1.0, warning);
        if two_sided {
            // A fall beside a warned rise leaves the warning standing, as in River.
            let fell = self.moved(highest, -1.0, drift);
            self.warned |= !fell && self.moved(highest, -1.0, warning);
            self.drifted |= fell;
        }
        self.drifted
    }

    fn is_warning(&self) -> bool {
        self.warned
    }
}
