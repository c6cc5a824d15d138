//! From raw scores to outputs.

use crate::Error;

/// How raw scores become outputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Link {
    /// The raw score itself: regression.
    Identity,
    /// `1 / (1 + exp(-factor × raw))`, each output by itself: the probability of the positive class.
    Sigmoid {
        /// Steepness; positive and finite.
        factor: f64,
    },
    /// `exp(raw - largest raw)` over the sum of these: the probabilities of the classes.
    Softmax,
}

impl Link {
    pub(crate) fn check(self, outputs: usize) -> Result<(), Error> {
        match self {
            Self::Sigmoid { factor } if !(factor.is_finite() && factor > 0.0) => {
                Err(Error::invalid(format!("sigmoid factor is {factor}, expected a positive finite number")))
            }
            Self::Softmax if outputs < 2 => {
                Err(Error::invalid(format!("softmax over {outputs} outputs, expected at least 2")))
            }
            _ => Ok(()),
        }
    }

    /// Replaces raw scores (row-major, `outputs` to a row) by outputs. `libm` keeps the bits the
    /// same on every host.
    pub(crate) fn apply(self, outputs: usize, scores: &mut [f64]) {
        match self {
            Self::Identity => {}
            Self::Sigmoid { factor } => {
                for score in scores {
                    *score = 1.0 / (1.0 + libm::exp(-factor * *score));
                }
            }
            Self::Softmax => scores.chunks_mut(outputs.max(1)).for_each(softmax),
        }
    }
}

fn softmax(row: &mut [f64]) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in row.iter_mut() {
        *score = libm::exp(*score - largest);
        sum += *score;
    }
    for score in row.iter_mut() {
        *score /= sum;
    }
}
