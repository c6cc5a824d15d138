//! What is normal: the spread of a metric over the reference.

use serde::{Deserialize, Serialize};

/// Standard deviations on either side.
const WIDTH: f64 = 3.0;

/// Where a metric lies while nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Band {
    /// Whether a value lies in the band, its ends included.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Mean ± 3 population standard deviations of a metric's realised values in equal parts of the
/// reference, which is NannyML's default. Of ten parts, a normal metric leaves it at one end in
/// 1.2 % of windows, not 0.13 %: it is shown, and pages nobody. `None` without values, and where
/// one is no number.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn band(realised: &[f64]) -> Option<Band> {
    let count = realised.len() as f64;
    let mean = realised.iter().sum::<f64>() / count;
    let variance = realised.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    let half = WIDTH * variance.sqrt();
    half.is_finite().then_some(Band { low: mean - half, high: mean + half })
}
