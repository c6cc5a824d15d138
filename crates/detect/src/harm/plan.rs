//! p0 and bets of a version, from its loss on the validation fold.

use domain::{Harm, HarmReference};
use measure::estimate::GapReference;
use serde::{Deserialize, Serialize};

/// Share of the validated loss by which the loss may rise before it counts as harm.
pub const TOLERANCE: f64 = 0.05;
/// One-sided 95 % quantile of the normal distribution.
const Z_UPPER: f64 = 1.645;
/// p0 of a version is at most this multiple of the one before: one stormy fold must not deafen
/// the alarm.
const GROWTH_MAX: f64 = 1.1;
/// Rises of the loss, as shares of the validated loss, that the bets are best against.
const RISES: [f64; 5] = [0.05, 0.1, 0.2, 0.4, 0.8];
/// Least validated loss that is believed: bets on a loss of zero would be infinite.
const LOSS_MIN: f64 = 1e-6;
/// A bet never risks more than this share of its capital.
const STAKE_MAX: f64 = 0.9;

/// Bets of the monitor that pages people: on z = slice-mean loss − rho × slice-mean prior loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageBets {
    /// Tolerated mean of z.
    pub p0: f64,
    /// Validated loss over the prior-rate model's loss on the same fold.
    pub rho: f64,
    /// The bets, of equal weight.
    pub bets: Vec<f64>,
}

/// What both monitors of a version bet on; fixed at its promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Bets of the quick monitor, on rows: carried by the line-up and summed by the join.
    pub trigger: Harm,
    /// Bets of the slow monitor.
    pub page: PageBets,
    /// Rise of the mean loss that is tolerated: [`TOLERANCE`] × the validated loss.
    pub tolerance: f64,
}

fn not_negative(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

/// p0 from a fold's mean, its standard error and the tolerance, at most 1.1 × the p0 before.
fn tolerated_mean(mean: f64, standard_error: f64, tolerance: f64, before: Option<f64>) -> f64 {
    let p0 = mean + Z_UPPER * standard_error + tolerance;
    match before {
        Some(before) if before > 0.0 => p0.min(GROWTH_MAX * before),
        _ => p0,
    }
}

/// For each rise δ the bet min(δ / (v + δ²), 0.9 / (p0 − least z)): the best one against δ at
/// variance v, as far as no capital can be lost.
fn bets(mean: f64, variance: f64, p0: f64, least: f64) -> Vec<f64> {
    let most = STAKE_MAX / (p0 - least).max(LOSS_MIN);
    RISES
        .iter()
        .map(|rise| {
            let rise = rise * mean;
            (rise / (variance + rise * rise)).min(most)
        })
        .collect()
}

/// The plan of a version: p0 = mean + 1.645 standard errors + 5 % of the mean, capped by the plan
/// of the champion it replaces. Broken numbers in the reference count as zero.
#[must_use]
pub fn plan(reference: &HarmReference, previous: Option<&Plan>) -> Plan {
    let mean = not_negative(reference.mean).clamp(LOSS_MIN, 1.0);
    let tolerance = TOLERANCE * mean;
    let trigger_p0 =
        tolerated_mean(mean, not_negative(reference.standard_error), tolerance, previous.map(|plan| plan.trigger.p0));
    // By this choice of rho the mean of z on the fold is zero.
    let prior = not_negative(reference.prior_mean);
    let rho = if prior > 0.0 { mean / prior } else { 0.0 };
    let page_mean = mean - rho * prior;
    let page_p0 = tolerated_mean(
        page_mean,
        not_negative(reference.relative_standard_error),
        tolerance,
        previous.map(|plan| plan.page.p0),
    );
    let scale = if reference.scale.is_finite() && reference.scale > 0.0 { reference.scale } else { 1.0 };
    Plan {
        trigger: Harm {
            p0: trigger_p0,
            bets: bets(mean, not_negative(reference.variance_rows), trigger_p0, 0.0),
            scale,
        },
        page: PageBets { p0: page_p0, rho, bets: bets(mean, not_negative(reference.variance_slices), page_p0, -rho) },
        tolerance,
    }
}

/// Bets on realised minus estimated errors of a test slice, for [`super::Page`] with the realised
/// share of wrong predictions as loss and the estimated one as prior loss. p0 as in [`plan()`]; the
/// rises are shares of the validated share of wrong predictions. The difference is at least minus
/// the estimate: while that is at most twice the validated share, no bet can lose its capital, and
/// beyond it only by rows that turn out far better than expected.
#[must_use]
pub fn gap_plan(reference: &GapReference) -> PageBets {
    let errors = not_negative(reference.errors).clamp(LOSS_MIN, 1.0);
    let (mean, error) = (not_negative(reference.mean), not_negative(reference.standard_error));
    let p0 = tolerated_mean(mean, error, TOLERANCE * errors, None);
    PageBets { p0, rho: 1.0, bets: bets(errors, not_negative(reference.variance_slices), p0, -(2.0 * errors).min(1.0)) }
}

/// Threshold of a page monitor that keeps a budget: `monitors` × the test slices in the budget's
/// period / the alarms it allows.
#[must_use]
pub fn page_threshold(monitors: u64, period_ms: i64, test_slice_ms: i64, alarms: f64) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let slices = period_ms.max(1) as f64 / test_slice_ms.max(1) as f64;
    #[allow(clippy::cast_precision_loss)]
    let monitors = monitors.max(1) as f64;
    let alarms = if alarms > 0.0 { alarms } else { 1.0 };
    (monitors * slices / alarms).max(1.0)
}
