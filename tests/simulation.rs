//! The whole loop without a broker: the real stages score, intake, join and judge over logs in
//! memory, driven as the runner in `kafka` drives them, under seeded random schedules: batch cuts,
//! who runs next, replicas, rebalances, aborted transactions and crashes.
//!
//! What is claimed: predictions, final windows, decisions and alerts (each in its own order) are the
//! same bytes as in an undisturbed run; and that a run under the swap table of another has the other's predictions, final
//! windows and promotions.
//! Read in this order: [`script`] (what happens in the world), [`models`] (the bundles), [`log`],
//! [`runner`] (delivery), [`world`] (the schedule), [`seen`] (what is compared), [`stored`] (what builds
//! before this one wrote).

mod log;
mod models;
mod runner;
mod script;
mod seen;
mod stored;
mod world;

use domain::{Slices, Task};
use judge::{Budget, Retrain};
use records::control::PromotionCause;
use script::{BASE_MS, SLICE_MS, Script};
use seen::Seen;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use world::{Chaos, World};

/// Runs a script undisturbed, then under every seed, by its own decisions and under the swaps of the
/// undisturbed run, and compares.
fn check(script: &Script, seeds: std::ops::Range<u64>) -> Seen {
    let straight = World::run(script, 0, Chaos::NONE);
    straight.check(script);
    let swaps = Arc::new(straight.swap_table());
    for seed in seeds {
        let disturbed = World::run(script, seed, Chaos::of(seed));
        disturbed.check(script);
        straight.compare(&disturbed, seed);
        let imposed = World::run_under(script, seed, Chaos::of(seed), Some(Arc::clone(&swaps)));
        imposed.check(script);
        straight.compare_outputs(&imposed, seed);
    }
    straight
}

fn causes(seen: &Seen) -> Vec<PromotionCause> {
    seen.promotions.iter().map(|p| p.cause).collect()
}

/// Takes effect at J + lead in every partition: at its first event not before it.
fn check_swaps(seen: &Seen) {
    let mut counted = 0;
    for promotion in seen.promotions.iter() {
        let number = promotion.line_up.promotion;
        let swaps: Vec<_> = seen.swaps.iter().filter(|s| s.promotion == number).collect();
        let Some(from_ms) = promotion.effective_from_ms else { continue };
        assert_eq!(from_ms, promotion.decided_at_ms.unwrap() + 3 * SLICE_MS);
        for swap in swaps {
            assert!(swap.time_ms >= from_ms && swap.time_ms < from_ms + 10_000, "{swap:?} of {from_ms}");
            counted += 1;
        }
    }
    assert!(counted > 0, "nothing was swapped");
}

#[test]
fn a_harmful_change_is_answered_and_a_worse_challenger_rolled_back_whatever_the_schedule() {
    let retrain =
        Retrain { new_labels: 0.6, probation: 0.4, follow_ups: false, wait_for_runs: true, ..Retrain::default() };
    let script = Script::new(Task::BinaryClassification, 34, retrain);
    let seen = check(&script, 1..25);
    use PromotionCause::{First, ProbationEnded, RollBack, Run};
    assert_eq!(causes(&seen)[..5], [First, Run, ProbationEnded, Run, RollBack], "{:?}", causes(&seen));
    let champion = |place: usize| seen.promotions[place].line_up.members[0].version.clone();
    assert_eq!(champion(1), script.models.versions[1]);
    assert_eq!(champion(3), script.models.versions[2]);
    assert_eq!(champion(4), script.models.versions[1], "back to the one before");
    assert!(seen.alerts.iter().any(|a| a.contains("vigie.accuracy_loss")), "{:?}", seen.alerts);
    check_swaps(&seen);
}

#[test]
fn three_classes_go_the_same_way() {
    let retrain = Retrain { on_new_labels: false, wait_for_runs: true, ..Retrain::default() };
    let script = Script::new(Task::MulticlassClassification, 18, retrain);
    let seen = check(&script, 1..9);
    assert_eq!(causes(&seen)[..2], [PromotionCause::First, PromotionCause::Run]);
    check_swaps(&seen);
}

#[test]
fn numbers_go_the_same_way() {
    let retrain = Retrain { on_new_labels: false, baseline: false, wait_for_runs: true, ..Retrain::default() };
    let script = Script::new(Task::Regression, 18, retrain);
    let seen = check(&script, 1..9);
    assert_eq!(causes(&seen)[..2], [PromotionCause::First, PromotionCause::Run]);
    check_swaps(&seen);
}

/// Without labels every row counts by what the model says of it: here the rows change, and the first
/// model finds them strange.
#[test]
fn anomalies_go_the_same_way_without_labels() {
    let retrain = Retrain { on_new_labels: false, wait_for_runs: true, ..Retrain::default() };
    let script = Script::new(Task::Anomaly, 18, retrain);
    let seen = check(&script, 1..9);
    assert_eq!(causes(&seen)[..2], [PromotionCause::First, PromotionCause::Run]);
    check_swaps(&seen);
}

#[test]
fn clusters_go_the_same_way_without_labels() {
    let retrain = Retrain { on_new_labels: false, baseline: false, wait_for_runs: true, ..Retrain::default() };
    let script = Script::new(Task::Clustering, 18, retrain);
    let seen = check(&script, 1..9);
    assert_eq!(causes(&seen)[..2], [PromotionCause::First, PromotionCause::Run]);
    check_swaps(&seen);
}

/// Without lead a partition swaps with whatever transaction comes next.
#[test]
fn swaps_that_chance_has_placed_are_done_again_at_their_offsets() {
    let retrain = Retrain { on_new_labels: false, wait_for_runs: true, ..Retrain::default() };
    let mut script = Script::new(Task::BinaryClassification, 18, retrain);
    script.judge.lead_ms = 0;
    let mut placed = BTreeSet::new();
    for seed in 1..15 {
        let first = World::run(&script, seed, Chaos::of(seed));
        first.check(&script);
        placed.insert(first.swaps.iter().map(|s| (s.partition, s.from_offset)).collect::<Vec<_>>());
        let swaps = Arc::new(first.swap_table());
        for other in [0, seed + 10] {
            let chaos = if other == 0 { Chaos::NONE } else { Chaos::of(other) };
            let again = World::run_under(&script, other, chaos, Some(Arc::clone(&swaps)));
            again.check(&script);
            first.compare_outputs(&again, seed);
        }
    }
    assert!(placed.len() > 4, "chance placed all swaps alike: {placed:?}");
}

/// Schedules of the short script; `VIGIE_SEEDS=17..18` asks for others, a failed one alone among them.
fn seeds() -> std::ops::Range<u64> {
    let Ok(asked) = std::env::var("VIGIE_SEEDS") else { return 1_000..3_000 };
    let ends = asked.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    ends.unwrap_or_else(|| panic!("VIGIE_SEEDS is {asked:?}, expected FROM..TO"))
}

#[test]
fn thousands_of_schedules_say_the_same() {
    let retrain = Retrain { on_new_labels: false, follow_ups: false, wait_for_runs: true, ..Retrain::default() };
    let script = Script::new(Task::BinaryClassification, 15, retrain);
    let straight = World::run(&script, 0, Chaos::NONE);
    straight.check(&script);
    assert_eq!(causes(&straight)[..2], [PromotionCause::First, PromotionCause::Run]);
    let (seeds, next) = (seeds(), AtomicU64::new(0));
    let failed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = seeds.start + next.fetch_add(1, Ordering::SeqCst);
            if seed >= seeds.end {
                return;
            }
            let same = catch_unwind(AssertUnwindSafe(|| {
                let disturbed = World::run(&script, seed, Chaos::of(seed));
                disturbed.check(&script);
                straight.compare(&disturbed, seed);
            }));
            if same.is_err() {
                failed.lock().unwrap().push(seed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "schedules {failed:?} end differently; VIGIE_SEEDS=N..N+1 replays one alone");
}

/// The pipeline's rules, the same in every case but for retraining.
fn judge_config(task: Task, retrain: Retrain) -> judge::Config {
    let (maturity_ms, horizon_ms) = if task.has_labels() { (SLICE_MS, script::HORIZON_MS) } else { (0, 0) };
    judge::Config {
        pipeline: "p".to_owned(),
        slices: Slices::of(SLICE_MS),
        maturity_ms,
        horizon_ms,
        lateness_ms: script::LATENESS_MS,
        lead_ms: script::LEAD_MS,
        event_partitions: 2,
        label_partitions: if task.has_labels() { 2 } else { 0 },
        tracking_partitions: 3,
        shape: script::shape(task),
        unlabelled: domain::Unlabelled::Unknown,
        cost: None,
        quantile: None,
        false_alarms: Budget { count: 1.0, period_ms: 3 * SLICE_MS },
        drift_tolerance: 0.1,
        joint_tolerance: 0.01,
        classic: detect::classic::PanelOptions::all(),
        retrain,
        imposed: None,
    }
}

/// The start of everything lies at the start of a slice.
#[test]
fn the_script_starts_with_a_slice() {
    assert_eq!(Slices::of(SLICE_MS).start(BASE_MS), BASE_MS);
}
