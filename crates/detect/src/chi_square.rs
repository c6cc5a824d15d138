//! Central and non-central chi-square distribution: survival function and quantile.

/// Relative size below which a term of a series no longer counts.
const NEGLIGIBLE: f64 = 1e-17;
/// Most terms of a series: enough for non-centralities and degrees of freedom up to about 1e10.
const TERMS_MAX: usize = 2_000_000;
/// Guards continued fractions against division by zero.
const TINY: f64 = 1e-300;

/// y^a e^(−y) / Γ(a + 1).
fn log_density_term(a: f64, y: f64) -> f64 {
    a * libm::log(y) - y - libm::lgamma(a + 1.0)
}

/// Regularised upper incomplete gamma function Q(a, y), a > 0, y ≥ 0: the series of the lower
/// function below a + 1, Lentz's continued fraction above (Abramowitz and Stegun 6.5.29, 6.5.31). Counts its terms.
fn gamma_upper(a: f64, y: f64, terms: &mut usize) -> f64 {
    if y <= 0.0 {
        return 1.0;
    }
    if y < a + 1.0 {
        let (mut term, mut sum) = (1.0, 1.0);
        for i in 1..TERMS_MAX {
            term *= y / (a + i as f64);
            sum += term;
            *terms += 1;
            if term < sum * NEGLIGIBLE {
                break;
            }
        }
        return (1.0 - libm::exp(log_density_term(a, y)) * sum).clamp(0.0, 1.0);
    }
    let mut b = y + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for i in 1..TERMS_MAX {
        *terms += 1;
        let step = i as f64;
        let numerator = -step * (step - a);
        b += 2.0;
        d = 1.0 / away_from_zero(numerator * d + b);
        c = away_from_zero(b + numerator / c);
        let factor = d * c;
        fraction *= factor;
        // A bound below the rounding of one step would never be met.
        if (factor - 1.0).abs() < 4.0 * f64::EPSILON {
            break;
        }
    }
    // Γ(a) = Γ(a + 1) / a.
    (libm::exp(log_density_term(a, y)) * a * fraction).clamp(0.0, 1.0)
}

fn away_from_zero(value: f64) -> f64 {
    if value.abs() < TINY { TINY } else { value }
}

/// P(X > x) of a chi-square variable with `degrees` of freedom (more than 0) and non-centrality
/// `lambda` (at least 0, 0 being the central one).
///
/// The Poisson mixture Σ_j Pois(j; λ/2) Q(k/2 + j, x/2) is summed from its heaviest term to both
/// sides, with Q(a + 1, y) = Q(a, y) + y^a e^(−y) / Γ(a + 1). Arguments out of range count as the
/// nearest ones in range; NaN gives 1, so that nothing broken ever alarms.
#[must_use]
pub fn survival(x: f64, degrees: f64, lambda: f64) -> f64 {
    mixture(x, degrees, lambda, &mut 0)
}

/// See [`survival`]; counts the terms of all series.
fn mixture(x: f64, degrees: f64, lambda: f64, terms: &mut usize) -> f64 {
    if x.is_nan() || degrees.is_nan() || lambda.is_nan() || x <= 0.0 || degrees <= 0.0 {
        return 1.0;
    }
    if x.is_infinite() {
        return 0.0;
    }
    let (y, half, mean) = (x / 2.0, degrees / 2.0, lambda.clamp(0.0, 1e10) / 2.0);
    if mean == 0.0 {
        return gamma_upper(half, y, terms);
    }
    let middle = mean.floor();
    let weight = libm::exp(log_density_term(middle, mean));
    let upper = gamma_upper(half + middle, y, terms);
    let step = libm::exp(log_density_term(half + middle, y));
    let mut sum = weight * upper;

    let (mut w, mut q, mut growth, mut j) = (weight, upper, step, middle);
    for _ in 0..TERMS_MAX {
        *terms += 1;
        q = (q + growth).min(1.0);
        growth *= y / (half + j + 1.0);
        j += 1.0;
        w *= mean / j;
        sum += w * q;
        // What is left is less than w times a geometric series; q is at most 1. Far out in the tail
        // everything has become 0, and so does the sum.
        if w <= sum * NEGLIGIBLE * (1.0 - mean / (j + 1.0)).max(1e-6) || (q == 0.0 && growth == 0.0) {
            break;
        }
    }
    let (mut w, mut q, mut growth, mut j) = (weight, upper, step, middle);
    while j > 0.0 {
        *terms += 1;
        growth *= (half + j) / y;
        q = (q - growth).max(0.0);
        w *= j / mean;
        j -= 1.0;
        sum += w * q;
        if w * q <= sum * NEGLIGIBLE {
            break;
        }
    }
    sum.clamp(0.0, 1.0)
}

/// The x with P(X > x) = `tail` (above 0, below 1), to a relative error of about 1e-12.
///
/// The logarithm of the survival function is nearly straight, so the secant between two bounds
/// lands close; a bound that stays twice in a row counts half the next time (the Illinois rule), so
/// that both close in. A window asks for hundreds of these.
#[must_use]
pub fn upper_quantile(tail: f64, degrees: f64, lambda: f64) -> f64 {
    let excess = |x: f64| libm::log(survival(x, degrees, lambda)) - libm::log(tail);
    let (degrees_in, lambda_in) = (degrees.max(0.0), lambda.max(0.0));
    let mut step = (2.0 * degrees_in + 4.0 * lambda_in).sqrt().max(1.0);
    let (mut low, mut above) = (0.0, -libm::log(tail));
    let mut high = (degrees_in + lambda_in).max(1.0);
    let mut below = excess(high);
    for _ in 0..64 {
        if below <= 0.0 {
            break;
        }
        (low, above) = (high, below);
        high += step;
        step *= 2.0;
        below = excess(high);
    }
    let mut moved_low = None;
    for _ in 0..200 {
        if high - low <= high * 1e-13 || below == 0.0 {
            break;
        }
        let secant = high - below * (high - low) / (below - above);
        // Without a finite slope (a survival of 0), halves.
        let middle = if secant > low && secant < high { secant } else { f64::midpoint(low, high) };
        let found = excess(middle);
        let moves_low = found > 0.0;
        let again = moved_low.replace(moves_low) == Some(moves_low);
        if moves_low {
            (low, above) = (middle, found);
            below /= if again { 2.0 } else { 1.0 };
        } else {
            (high, below) = (middle, found);
            above /= if again { 2.0 } else { 1.0 };
        }
    }
    high
}

#[cfg(test)]
#[path = "chi_square_tests.rs"]
mod tests;
