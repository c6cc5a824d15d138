//! Against direct computation, theory, and the measured table of the reference pages.

use super::tests_support::Lcg;
use super::{Page, PageBets, Plan, Trigger, gap_plan, page_threshold, plan};
use domain::HarmReference;
use measure::estimate::GapReference;

const BETS: [f64; 6] = [0.25, 0.5, 1.0, 1.5, 2.0, 3.0];
const P0: f64 = 0.2;

/// One slice of 0/1 losses: its log-sums.
fn slice(random: &mut Lcg, rate: f64, rows: u32) -> Vec<f64> {
    let errors = f64::from((0..rows).filter(|_| random.unit() < rate).count() as u32);
    let right = f64::from(rows) - errors;
    BETS.iter().map(|b| errors * (b * (1.0 - P0)).ln_1p() + right * (-b * P0).ln_1p()).collect()
}

#[test]
fn the_trigger_equals_the_formula_without_logarithms() {
    let mut random = Lcg(3);
    let mut trigger = Trigger::new(BETS.len(), 1e4);
    let mut direct = [0.0_f64; BETS.len()];
    let mut alarms = 0;
    for number in 0..400 {
        let logs = slice(&mut random, if number < 200 { 0.2 } else { 0.26 }, 50);
        for (capital, log) in direct.iter_mut().zip(&logs) {
            *capital = log.exp() * (*capital + 1.0);
        }
        let mean = direct.iter().sum::<f64>() / BETS.len() as f64;
        let alarm = trigger.step(number, &logs, 50);
        assert_eq!(alarm.is_some(), mean >= 1e4, "slice {number}");
        let found = alarm.map_or_else(|| trigger.value(), |alarm| alarm.value);
        assert!((found / mean - 1.0).abs() < 1e-9, "slice {number}: {found}, expected {mean}");
        if let Some(alarm) = alarm {
            alarms += 1;
            direct = [0.0; BETS.len()];
            // Later ones may find that noise has brought the CUSUM back to 0 in between.
            assert!(alarms > 1 || (180..=260).contains(&alarm.change_ms), "{alarm:?}");
        }
    }
    assert!(alarms >= 1);
}

#[test]
fn the_change_is_where_the_cusum_of_the_largest_bet_left_zero() {
    let mut trigger = Trigger::new(2, 50.0);
    // Bet 1 wins from slice 30 on; bet 0 has drawn a little since slice 10.
    let steps = [(0, [-1.0, -1.0]), (10, [0.1, -1.0]), (20, [0.1, -0.5]), (30, [0.1, 2.0]), (40, [0.1, 2.0])];
    let mut alarms = steps.map(|(start, logs)| trigger.step(start, &logs, 1)).into_iter().flatten();
    assert_eq!(alarms.next().map(|a| a.change_ms), Some(30));
    assert_eq!(trigger.value(), 0.0, "an alarm takes all capital");
    // The harm goes on: the next alarm still says when it began.
    let again = (50..70).find_map(|start| trigger.step(start, &[0.1, 2.0], 1));
    assert_eq!(again.map(|a| a.change_ms), Some(30));
}

#[test]
fn a_slice_without_rows_or_with_broken_sums_says_nothing() {
    let mut trigger = Trigger::new(1, 100.0);
    assert_eq!(trigger.step(0, &[5.0], 0), None);
    assert_eq!(trigger.value(), 0.0);
    trigger.step(1, &[f64::NAN], 3);
    assert!((trigger.value() - 1.0).abs() < 1e-12, "a factor of 1");
    assert!(trigger.step(2, &[f64::INFINITY], 3).is_some_and(|alarm| alarm.value.is_finite()));
    assert_eq!(Trigger::new(0, 100.0).value(), 0.0);
}

#[test]
fn states_survive_json_in_the_middle_of_a_stream() {
    let mut random = Lcg(5);
    let (mut trigger, mut page) = (Trigger::new(BETS.len(), 1e5), Page::new(page_bets(), 300.0));
    for number in 0..20 {
        trigger.step(number, &slice(&mut random, 0.22, 80), 80);
        page.step(0.21, 0.2);
    }
    let json = serde_json::to_string(&(&trigger, &page)).unwrap();
    let copy: (Trigger, Page) = serde_json::from_str(&json).unwrap();
    assert_eq!(copy, (trigger, page));
}

/// Expected alarms in n slices are at most n / c: 300 × 1,000 slices at c = 100 allow 3,000.
#[test]
fn without_harm_alarms_stay_within_the_budget() {
    let mut random = Lcg(17);
    let mut alarms = 0;
    for _ in 0..300 {
        let mut trigger = Trigger::new(BETS.len(), 100.0);
        alarms += (0..1000).filter(|n| trigger.step(*n, &slice(&mut random, P0, 20), 20).is_some()).count();
    }
    assert!((100..=3000).contains(&alarms), "{alarms}: none at all would be no test");
}

/// Reference: 100-row panes, threshold 1,000 panes, change at row 2,000, median rows to the alarm
/// 750 (0.2 to 0.25), 300 (to 0.3), 100 (to 0.5). Medians of 40 wander by 20 %.
#[test]
fn delays_are_those_of_the_reference_table() {
    for (rate, expected) in [(0.25, 750), (0.3, 300), (0.5, 100)] {
        let mut random = Lcg(23);
        let mut delays: Vec<i64> = (0..201)
            .filter_map(|_| {
                let mut trigger = Trigger::new(BETS.len(), 1000.0);
                for pane in 0..20 {
                    trigger.step(pane, &slice(&mut random, P0, 100), 100);
                }
                (0..30).find(|pane| trigger.step(20 + pane, &slice(&mut random, rate, 100), 100).is_some())
            })
            .map(|pane| 100 * (pane + 1))
            .collect();
        delays.sort_unstable();
        let median = delays[delays.len() / 2];
        assert!(delays.len() >= 199, "{} of 201 found", delays.len());
        assert!((median - expected).abs() <= 150.max(expected / 5), "0.2 to {rate}: {median}, expected {expected}");
    }
}

fn reference() -> HarmReference {
    HarmReference {
        rows: 10_000,
        mean: 0.16,
        standard_error: 0.002,
        variance_rows: 0.03,
        variance_slices: 0.0002,
        prior_mean: 0.2,
        relative_standard_error: 0.001,
        scale: 1.0,
    }
}

fn page_bets() -> PageBets {
    plan(&reference(), None).page
}

#[test]
fn the_plan_follows_the_formulas() {
    let Plan { trigger, page, tolerance } = plan(&reference(), None);
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
    near(tolerance, 0.008);
    near(trigger.p0, 0.16 + 1.645 * 0.002 + 0.008);
    near(page.rho, 0.8);
    near(page.p0, 1.645 * 0.001 + 0.008);
    near(trigger.bets[0], 0.008 / (0.03 + 0.008 * 0.008));
    near(trigger.bets[4], 0.128 / (0.03 + 0.128 * 0.128));
    // Best bets of the page would risk too much: 0.9 of the capital is the limit.
    near(page.bets[2], 0.9 / (page.p0 + 0.8));
}

#[test]
fn one_stormy_fold_does_not_deafen_the_alarm() {
    let calm = plan(&reference(), None);
    let stormy = HarmReference { mean: 0.3, standard_error: 0.05, relative_standard_error: 0.1, ..reference() };
    let next = plan(&stormy, Some(&calm));
    assert!((next.trigger.p0 / calm.trigger.p0 - 1.1).abs() < 1e-12);
    assert!((next.page.p0 / calm.page.p0 - 1.1).abs() < 1e-12);
}

#[test]
fn no_reference_makes_a_plan_that_loses_its_capital() {
    let broken = HarmReference {
        rows: 0,
        mean: f64::NAN,
        standard_error: f64::INFINITY,
        variance_rows: -1.0,
        variance_slices: f64::NAN,
        prior_mean: 0.0,
        relative_standard_error: -1.0,
        scale: 0.0,
    };
    for reference in [broken, HarmReference { mean: 0.0, ..reference() }, HarmReference { mean: 1.0, ..reference() }] {
        let Plan { trigger, page, .. } = plan(&reference, None);
        for (p0, least, bets) in [(trigger.p0, 0.0, trigger.bets), (page.p0, -page.rho, page.bets)] {
            assert!(bets.iter().all(|b| *b > 0.0 && 1.0 + b * (least - p0) > 0.09), "{p0} {bets:?}");
        }
        assert!(trigger.scale > 0.0);
    }
}

#[test]
fn the_page_equals_the_formula_and_keeps_its_budget() {
    let bets = page_bets();
    let mut random = Lcg(29);
    let threshold = page_threshold(1, 30 * 86_400_000, 86_400_000, 1.0);
    assert!((threshold - 30.0).abs() < 1e-12);
    let (mut alarms, slices) = (0_u32, 30_000_u32);
    let mut page = Page::new(bets.clone(), threshold);
    let mut direct = vec![0.0_f64; bets.bets.len()];
    for _ in 0..slices {
        // Both losses rise and fall with the label rate; their combination stays at p0.
        let prior = 0.2 + 0.05 * (random.unit() - 0.5);
        let loss = bets.rho * prior + bets.p0 + 0.014 * random.normal();
        for (capital, bet) in direct.iter_mut().zip(&bets.bets) {
            *capital = (1.0 + bet * (loss - bets.rho * prior - bets.p0)) * (*capital + 1.0);
        }
        let mean = direct.iter().sum::<f64>() / direct.len() as f64;
        if page.step(loss, prior) {
            assert!(mean > threshold * 0.999_999);
            alarms += 1;
            direct.fill(0.0);
        } else {
            assert!((page.value() / mean - 1.0).abs() < 1e-9);
        }
    }
    assert!(alarms > 0 && f64::from(alarms) <= f64::from(slices) / threshold, "{alarms} alarms");
    let harmed = (0..200).find(|_| page.step(bets.rho * 0.2 + bets.p0 + 0.03, 0.2));
    assert!(harmed.is_some_and(|slices| slices < 40), "{harmed:?}");
    assert!(!page.step(f64::NAN, 0.2));
}

#[test]
fn the_plan_of_the_gap_follows_the_formulas() {
    let known = GapReference {
        slices: 9,
        errors: 0.2,
        mean: -0.001,
        standard_error: 0.004,
        variance_slices: 0.0005,
        scale: 1.0,
    };
    let PageBets { p0, rho, bets } = gap_plan(&known);
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
    near(p0, 1.645 * 0.004 + 0.05 * 0.2);
    near(rho, 1.0);
    near(bets[4], 0.9 / (p0 + 0.4));
    assert!(bets.iter().all(|b| *b > 0.0 && b * (0.4 + p0) < 0.91), "{bets:?}");
    let nothing = GapReference { errors: f64::NAN, mean: f64::NAN, standard_error: f64::NAN, ..known };
    assert!(gap_plan(&nothing).bets.iter().all(|b| b.is_finite()));
}
