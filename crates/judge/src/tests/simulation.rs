//! Any interleaving, batch cut, crash and loading delay gives the same bytes.

use super::fixtures::{Outcome, Script, config, version, watched};
use super::world::World;
use crate::config::Config;
use records::control::{Control, PromotionCause, Run};
use std::collections::BTreeSet;

fn eventful() -> Script {
    Script {
        accuracy: |version, slice| if version == 1 && slice >= 10 { 0.5 } else { 0.8 },
        moved_from: 30,
        outcome: |run| if run.run == 1 && run.attempt == 1 { Outcome::Failed } else { Outcome::Passed },
        ..Script::quiet(45)
    }
}

/// Bundles know how their columns wander and are calibrated; harm goes on for some runs.
fn watched_and_eventful() -> Script {
    let outcome = |run: &Run| if run.run < 3 { Outcome::Refused } else { Outcome::Passed };
    Script { known: watched, calibrated: true, outcome, ..eventful() }
}

#[test]
fn what_is_said_does_not_depend_on_interleaving_crashes_or_loading() {
    let straight = World::run(eventful(), 1, false);
    let causes: Vec<PromotionCause> = straight.promotions.iter().map(|p| p.cause).collect();
    assert_eq!(causes, [PromotionCause::First, PromotionCause::Run, PromotionCause::ProbationEnded]);
    assert_eq!(straight.progress().last(), Some(&45_000), "everything was judged");
    assert!(!straight.alerts().is_empty());
    is_the_same(&straight, eventful);
}

#[test]
fn nor_does_it_where_drift_is_watched_over_time_and_scores_are_calibrated() {
    let straight = World::run(watched_and_eventful(), 1, false);
    let tiers: BTreeSet<String> = straight.alerts().into_iter().map(|alert| alert.tier).collect();
    assert!(tiers.contains("feature") && tiers.contains("concept"), "{tiers:?}");
    is_the_same(&straight, watched_and_eventful);
}

fn is_the_same(straight: &World, script: fn() -> Script) {
    for seed in 2..30 {
        let other = World::run(script(), seed, seed % 2 == 0);
        assert!(straight.said.keys().eq(other.said.keys()), "seed {seed}");
        for (key, values) in &straight.said {
            assert_eq!(values, &other.said[key], "{key:?}, seed {seed}");
        }
    }
}

#[test]
fn every_window_is_written_when_closed_when_mature_and_once_for_good() {
    let world = World::run(Script::quiet(20), 7, true);
    let windows = world.windows();
    assert_eq!(windows.len(), 20 * 2 * 2, "slices × segments × versions");
    for (key, records) in windows {
        let is_total = key.contains("/*/");
        let finals: Vec<bool> = records.iter().map(|w| w.r#final).collect();
        let expected: &[bool] = if is_total { &[false, false, true] } else { &[false, true] };
        assert_eq!(finals, expected, "{key}");
        let last = records.last().unwrap();
        let late = if last.window.start.as_str() < "1970-01-01T00:00:18" { 2 } else { 0 };
        assert_eq!(last.labelled, 200 + late, "{key}: corrections after maturity are in the last record");
        if is_total {
            assert_eq!((records[0].rows, records[0].labelled), (200, 0), "{key}");
            assert_eq!((records[1].rows, records[1].labelled), (200, 200), "{key}");
            assert!(records[0].drift.contains_key("prediction") && !records[0].drift["x"].drifted);
            assert!(records[1].baselines["majority"].contains_key("accuracy"));
            assert_eq!(records[1].baselines["frozen"]["brier"], records[1].metrics["brier"].value);
        }
    }
    assert!(world.most_slices <= 8, "slices are forgotten: {}", world.most_slices);
}

#[test]
fn j_goes_slice_by_slice_and_stands_still_until_everybody_knows_a_promotion() {
    let world = World::run(eventful(), 3, false);
    let expected: Vec<i64> = (1..=45).map(|slice| slice * 1_000).collect();
    assert_eq!(world.progress(), expected);
    for promotion in world.promotions.iter().skip(1) {
        let decided = promotion.decided_at_ms.unwrap();
        assert_eq!(promotion.effective_from_ms, Some(decided + 2_000));
        let place = world.control.iter().position(|c| c == &Control::Promotion(promotion.clone())).unwrap();
        let told = |c: &&Control| matches!(c, Control::Progress { judged_until_ms } if *judged_until_ms >= decided);
        assert!(!world.control[..place].iter().any(|c| told(&c)), "J was told before the promotion decided at it");
    }
    let champion = &world.promotions[1].line_up;
    assert_eq!(champion.members[0].version, version(2));
    assert_eq!((&champion.previous, &champion.frozen), (&Some(version(1)), &Some(version(1))));
    assert_eq!(champion.members.len(), 2, "a version in two roles is scored once");
    assert_eq!(world.promotions[2].line_up.previous, None);
}

#[test]
fn under_the_promotions_of_another_run_the_windows_are_the_others_and_nothing_is_decided() {
    let straight = World::run(eventful(), 1, false);
    let promotions = straight.promotions.clone();
    let script = Script { config: Config { imposed: Some(promotions), ..config() }, ..eventful() };
    for seed in 2..12 {
        let other = World::run(script.clone(), seed, seed % 2 == 0);
        assert_eq!(other.promotions, straight.promotions, "seed {seed}");
        assert_eq!(other.windows(), straight.windows(), "seed {seed}");
        assert!(other.runs().is_empty() && other.alerts().is_empty(), "seed {seed}");
        assert_eq!(other.progress().last(), Some(&45_000), "seed {seed}: everything was judged");
    }
}
