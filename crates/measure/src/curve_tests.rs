//! Binned areas against the exact ones, row by row.

use super::{auc, average_precision};

/// Average precision of distinct or tied scores, as scikit-learn documents it:
/// Σ (R_n − R_{n−1}) P_n over thresholds.
fn exact(rows: &mut [(f64, bool)]) -> f64 {
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = rows.iter().filter(|row| row.1).count() as f64;
    let (mut seen, mut hits, mut last, mut sum) = (0.0, 0.0, 0.0, 0.0);
    for (i, (score, positive)) in rows.iter().enumerate() {
        seen += 1.0;
        hits += f64::from(u8::from(*positive));
        if rows.get(i + 1).is_none_or(|next| next.0 < *score) {
            sum += (hits - last) / positives * hits / seen;
            last = hits;
        }
    }
    sum
}

#[test]
fn the_binned_average_precision_is_within_its_stated_worst_error() {
    let mut state = 3_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1_u64 << 24) as f64
    };
    // Rows, bins, steps of the score, rate of positives at a score of 1.
    for (rows, bins, steps, rate) in
        [(2000, 4, 1000.0, 0.9), (2000, 256, 1e6, 0.1), (300, 2, 7.0, 0.5), (50, 1, 1e6, 0.9), (400, 16, 16.0, 0.5)]
    {
        let mut scored = Vec::new();
        let mut binned = vec![[0.0; 2]; bins];
        for _ in 0..rows {
            let score = (draw() * steps).floor() / steps;
            let positive = draw() < rate * score;
            binned[(score * bins as f64) as usize][usize::from(positive)] += 1.0;
            scored.push((score, positive));
        }
        let found = average_precision(binned.iter().copied().rev()).unwrap();
        let exact = exact(&mut scored);
        let error = (found.value - exact).abs();
        assert!(error <= found.worst_error + 1e-12, "{bins} bins: {found:?}, exact {exact}");
        assert!(bins < 256 || found.worst_error < 0.02, "fine bins cost little: {found:?}");
    }
}

#[test]
fn without_both_classes_there_is_no_curve() {
    assert!(auc([[3.0, 0.0]].into_iter()).is_none());
    assert!(auc([[0.0, 3.0]].into_iter()).is_none());
    assert!(average_precision([[3.0, 0.0]].into_iter()).is_none());
    assert_eq!(average_precision([[0.0, 3.0]].into_iter()).unwrap().value, 1.0);
}
