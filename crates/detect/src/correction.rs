//! Many tests at once.

/// Which hypotheses to reject at a false discovery rate of `rate` (Benjamini and Hochberg, JRSS B
/// 57, 1995): with p values sorted, all up to the last i with p_(i) ≤ rate × i / n. NaN is never
/// rejected.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn benjamini_hochberg(p_values: &[f64], rate: f64) -> Vec<bool> {
    let mut sorted: Vec<f64> = p_values.iter().map(|p| if p.is_nan() { f64::INFINITY } else { *p }).collect();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let limit = sorted.iter().enumerate().rev().find(|(i, p)| **p <= rate * (*i as f64 + 1.0) / count);
    match limit {
        Some((_, limit)) => p_values.iter().map(|p| p <= limit).collect(),
        None => vec![false; p_values.len()],
    }
}

#[cfg(test)]
mod tests {
    use super::benjamini_hochberg;

    /// The 15 p values of Benjamini and Hochberg's own example (thrombolysis): four are rejected.
    #[test]
    fn the_published_example_rejects_four() {
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
            0.7590, 1.0,
        ];
        let rejected = benjamini_hochberg(&p, 0.05);
        assert_eq!(rejected.iter().filter(|r| **r).count(), 4);
        assert!(rejected[..4].iter().all(|r| *r));
    }

    #[test]
    fn order_does_not_matter_and_later_small_ones_lift_earlier_ones() {
        assert_eq!(benjamini_hochberg(&[0.04, f64::NAN, 0.03, 0.001], 0.05), [false, false, false, true]);
        assert_eq!(benjamini_hochberg(&[0.04, 0.03, 0.001], 0.05), [true, true, true]);
        assert_eq!(benjamini_hochberg(&[], 0.05), Vec::<bool>::new());
    }
}
