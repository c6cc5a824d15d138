//! Capital of several bets, kept in logarithms: products over thousands of rows neither overflow
//! nor vanish.

/// ln(1 + e^t) without overflow.
pub(crate) fn softplus(t: f64) -> f64 {
    t.max(0.0) + libm::log1p(libm::exp(-t.abs()))
}

/// ln of the mean of e^x; −∞ of nothing.
pub(crate) fn log_mean_exp(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    let (mut sum, mut count) = (0.0, 0.0);
    for log in logs {
        sum += libm::exp(log - largest);
        count += 1.0;
    }
    largest + libm::log(sum / count)
}

/// e^x, at most the largest number, so that evidence can be written as JSON.
pub(crate) fn exp_bounded(x: f64) -> f64 {
    libm::exp(x.min(709.0))
}

/// A broken sum says nothing.
pub(crate) fn finite(x: f64) -> f64 {
    if x.is_nan() { 0.0 } else { x.clamp(-1e12, 1e12) }
}
