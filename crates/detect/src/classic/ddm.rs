//! DDM (Gama, Medas, Castillo, Rodrigues, SBIA 2004).

use super::Detector;
use super::mean::Mean;
use serde::{Deserialize, Serialize};

/// What a [`Ddm`] is set to. The defaults are River's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DdmOptions {
    /// Values before it may alarm: more than 30.
    pub warm_start: f64,
    /// Standard deviations above the least error rate at which it warns: 2.
    pub warning: f64,
    /// Standard deviations above the least error rate at which it alarms: 3.
    pub drift: f64,
}

impl Default for DdmOptions {
    fn default() -> Self {
        Self { warm_start: 30.0, warning: 2.0, drift: 3.0 }
    }
}

/// The running error rate against the least it has been. For values in 0 to 1: 1 is an error, a
/// fraction the mean of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ddm {
    options: DdmOptions,
    rate: Mean,
    /// Rate and standard deviation when their sum was least.
    least: Option<(f64, f64)>,
    warned: bool,
    drifted: bool,
}

impl Ddm {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(options: DdmOptions) -> Self {
        Self { options, rate: Mean::default(), least: None, warned: false, drifted: false }
    }
}

impl Detector for Ddm {
    fn update(&mut self, x: f64) -> bool {
        if !x.is_finite() {
            return false;
        }
        if self.drifted {
            *self = Self::new(self.options);
        }
        self.rate.add(x);
        let Mean { count, value: rate } = self.rate;
        let deviation = (rate * (1.0 - rate) / count).max(0.0).sqrt();
        if count > self.options.warm_start {
            let sum = rate + deviation;
            let (least_rate, least_deviation) = match self.least {
                Some((rate, deviation)) if sum > rate + deviation => (rate, deviation),
                _ => (rate, deviation),
            };
            self.least = Some((least_rate, least_deviation));
            self.drifted = sum > least_rate + self.options.drift * least_deviation;
            self.warned = !self.drifted && sum > least_rate + self.options.warning * least_deviation;
        }
        self.drifted
    }

    fn is_warning(&self) -> bool {
        self.warned
    }
}
