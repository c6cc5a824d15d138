//! Drift over time, concept drift and estimates, where bundles say what is needed for them.

use super::fixtures::{Script, config, watched, watched_numbers, watched_within};
use super::world::World;
use crate::config::Config;
use detect::classic::{AdwinOptions, Panel, PanelOptions};
use domain::Task;
use measure::Shape;
use records::alert::{Alert, State};
use records::window::{Clock, Window};
use std::collections::BTreeMap;

fn calibrated(slices: i64) -> Script {
    Script { known: watched, calibrated: true, ..Script::quiet(slices) }
}

fn of_tier(world: &World, tier: &str) -> Vec<Alert> {
    world.alerts().into_iter().filter(|alert| alert.tier == tier).collect()
}

#[test]
fn nothing_is_found_where_nothing_changes() {
    for seed in 0..5 {
        let world = World::run(calibrated(120), seed, false);
        assert_eq!(world.alerts(), [], "seed {seed}");
        assert_eq!(world.counts["vigie.judge.columns_unwatched"], 1, "y");
    }
}

#[test]
fn a_shift_is_raised_with_the_closed_slice_and_says_what_it_rests_on() {
    let world = World::run(Script { moved_from: 10, ..calibrated(30) }, 9, false);
    let alerts = of_tier(&world, "feature");
    let raised = &alerts[0];
    assert_eq!((raised.state, raised.name.as_str()), (State::Raised, "vigie.drift"));
    assert_eq!(raised.features, ["x"]);
    assert!(raised.window.start.starts_with("1970-01-01T00:00:10"), "{raised:?}");
    assert!(raised.value > raised.threshold && raised.threshold > 0.1, "{raised:?}");
    for words in ["over the last 1 slices", "ranked by importance × PSI", "too few slices to watch y"] {
        assert!(raised.detail.contains(words), "{words}: {}", raised.detail);
    }
    let is_shifted = |id: &String| id.starts_with("slice 10, ") && id.ends_with("x in 3");
    assert!(raised.example_ids.len() == 3 && raised.example_ids.iter().all(is_shifted), "{:?}", raised.example_ids);
    assert!(alerts.iter().skip(1).all(|alert| alert.state == State::Held && alert.id == raised.id));
    assert_eq!(world.alerts().len(), alerts.len(), "nothing else");
    assert_eq!(world.runs(), []);
}

/// Of all rows only a fifth moves: .06, which is tolerated. Within the segment it is 1.2.
#[test]
fn a_shift_within_a_segment_is_raised_where_all_rows_hide_it() {
    let within = |moved_from| Script { known: watched_within, segmented: true, moved_from, ..Script::quiet(30) };
    for seed in 0..3 {
        assert_eq!(World::run(within(i64::MAX), seed, false).alerts(), [], "seed {seed}");
    }
    let world = World::run(within(10), 9, true);
    let alerts = of_tier(&world, "feature");
    assert_eq!(alerts[0].features, ["x[origin=JFK]"]);
    // By a run of four slices, half of which have moved: 40 rows of one are too few for this budget.
    assert!(alerts[0].value > 0.3 && alerts[0].value > alerts[0].threshold, "{:?}", alerts[0]);
    let is_within = |id: &String| id.ends_with("JFK, x in 3");
    assert!(alerts[0].example_ids.len() == 3 && alerts[0].example_ids.iter().all(is_within), "{:?}", alerts[0]);
    assert_eq!(world.alerts().len(), alerts.len(), "nothing of the output");
    let hidden = World::run(Script { known: watched, ..within(10) }, 9, true);
    assert_eq!(hidden.alerts(), [], "without a reference of the segment");

    let windows = world.windows();
    let of = |segment: &str, slice: i64| {
        let key = |key: &str| key.contains(&format!("/{segment}/")) && !key.ends_with("/*");
        let mut all = windows.iter().filter(|(name, _)| key(name)).flat_map(|(_, windows)| windows);
        let start = format!("1970-01-01T00:00:{slice:02}.000Z");
        all.find(|w| w.window.start == start && w.clock == Clock::EventTime).unwrap().clone()
    };
    assert_eq!(of("origin=JFK", 12).rows, 40);
    // 40 rows make no two bins of 30, so their index is 0; distances need no bins of a size.
    let ks = |window: &Window, column: &str| window.drift[column].ks.unwrap();
    let (moved, still) = (of("origin=JFK", 12), of("origin=JFK", 2));
    assert!(ks(&moved, "x") > 0.5 && ks(&moved, "y") < 0.1 && ks(&still, "x") < 0.1, "{moved:?} {still:?}");
    assert!(of("*", 12).drift["x"].psi < 0.1);
}

#[test]
fn a_shift_that_ends_is_resolved_after_some_quiet_slices() {
    let world = World::run(Script { moved_from: 10, moved_until: 11, ..calibrated(30) }, 9, true);
    let alerts = of_tier(&world, "feature");
    let states: Vec<State> = alerts.iter().map(|alert| alert.state).collect();
    assert_eq!(states, [State::Raised, State::Resolved], "one slice of four is within the tolerance: {alerts:?}");
    assert!(alerts[1].window.start.starts_with("1970-01-01T00:00:15"), "five slices later: {alerts:?}");
}

#[test]
fn a_bundle_of_before_wander_was_measured_is_compared_by_windows_and_the_alert_says_so() {
    let world = World::run(Script { moved_from: 10, ..Script::quiet(20) }, 9, false);
    let alerts = of_tier(&world, "feature");
    assert!(alerts[0].detail.contains("does not say how its columns wander"), "{}", alerts[0].detail);
}

/// From slice 10 on more is wrong than the model expects of itself.
fn check_concept(script: Script, expected: &str) {
    let mut script = Script { accuracy: |_, slice| if slice >= 10 { 0.6 } else { 0.8 }, ..script };
    script.config.retrain.on_harm = false;
    let world = World::run(script, 4, false);
    let alerts = of_tier(&world, "concept");
    let raised = &alerts[0];
    assert_eq!((raised.name.as_str(), raised.state), ("vigie.drift", State::Raised));
    // A budget of one page in 100 slices, a third of it for this tier.
    assert!((raised.threshold - 300.0).abs() < 1e-9 && raised.value >= raised.threshold, "{raised:?}");
    assert!(raised.detail.contains(expected), "{}", raised.detail);
}

#[test]
fn more_errors_than_the_scores_expect_are_concept_drift() {
    check_concept(calibrated(60), "0.2000 were expected");
}

/// Errors of .2 in four of five rows and of .8 in the others, then in three of five.
#[test]
fn larger_errors_than_the_child_models_expect_are_concept_drift() {
    let shape = Shape { task: Task::Regression, classes: 0 };
    let script = Script { known: watched_numbers, config: Config { shape, ..config() }, ..calibrated(60) };
    let quiet = World::run(script.clone(), 4, false);
    assert_eq!(of_tier(&quiet, "concept"), []);
    check_concept(script, "0.3200 was expected");
}

/// They say what they say alone of the mean losses that windows tell, and stand beside our own monitors.
#[test]
fn classic_detectors_look_at_the_mean_loss_of_every_mature_slice() {
    let options =
        PanelOptions { adwin: Some(AdwinOptions { clock: 1, ..AdwinOptions::default() }), ..PanelOptions::all() };
    let mut script = Script { accuracy: |_, slice| if slice >= 60 { 0.05 } else { 0.8 }, ..calibrated(120) };
    script.config.retrain.on_harm = false;
    let without = World::run(script.clone(), 4, false);
    assert_eq!(of_tier(&without, "classic"), [], "unless somebody asks");
    script.config.classic = options;
    let world = World::run(script, 4, true);
    let alerts = of_tier(&world, "classic");
    let ours = |world: &World| world.alerts().into_iter().filter(|a| a.tier != "classic").collect::<Vec<_>>();
    assert_eq!(ours(&world), ours(&without));

    let mut losses: BTreeMap<String, f64> = BTreeMap::new();
    for (_, windows) in world.windows().into_iter().filter(|(key, _)| key.ends_with("/*/*")) {
        let mature = windows.into_iter().filter(|w| w.clock == Clock::EventTime && !w.r#final && w.labelled > 0);
        losses.extend(mature.map(|w| (w.window.start, w.metrics["brier"].value)));
    }
    let mut panel = Panel::new(options);
    let said = losses.iter().map(|(start, loss)| (start.clone(), panel.update(*loss)));
    let expected: Vec<_> = said.filter(|(_, names)| !names.is_empty()).collect();
    let found = alerts.iter().filter(|alert| alert.state != State::Resolved);
    let found: Vec<_> = found.map(|alert| (alert.window.start.clone(), alert.features.clone())).collect();
    assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
    assert!(found.iter().zip(&expected).all(|(found, expected)| found.0 == expected.0 && found.1 == expected.1));
    assert!(!found.is_empty() && found.iter().any(|(_, names)| names.contains(&"adwin".to_owned())), "{found:?}");
}

#[test]
fn estimates_come_before_labels_and_the_difference_after_them() {
    let world = World::run(calibrated(20), 7, true);
    for (key, windows) in world.windows() {
        let is_version = !key.ends_with("/*");
        for window in &windows {
            let accuracy = window.estimated["accuracy"];
            assert!((accuracy.value - 0.8).abs() < 1e-9 && accuracy.low < Some(0.8), "{key}");
            assert_eq!(window.realised_minus_estimated.contains_key("accuracy"), window.labelled > 0, "{key}");
            if let Some(found) = window.realised_minus_estimated.get("accuracy") {
                assert!((found.value - (window.metrics["accuracy"].value - 0.8)).abs() < 1e-9, "{key}");
                // √(0.8 × 0.2 / 200 rows), with one or two of them more at the end.
                assert!((found.standard_error - 0.028_28).abs() < 2e-4, "{key}: {found:?}");
            }
            assert_eq!(window.metrics.contains_key("kappa_m"), window.labelled > 0, "{key} {is_version}");
        }
        assert_eq!(windows[0].labelled, 0, "{key}: the first is told before labels");
    }
}

#[test]
fn distances_are_told_of_every_column() {
    let world = World::run(Script { moved_from: 0, ..calibrated(4) }, 7, false);
    let window = &world.windows().into_iter().find(|(key, _)| key.contains("/*/*")).unwrap().1[0];
    let x = window.drift["x"];
    // Thirds against 0, .1 and .9: sums by hand, edges 0 to 3 with bins of width 1.
    assert!((x.ks.unwrap() - (2.0 / 3.0 - 0.1)).abs() < 1e-9, "{x:?}");
    assert!((x.wasserstein.unwrap() - (1.0 / 3.0 + 2.0 / 3.0 - 0.1)).abs() < 1e-9, "{x:?}");
    // Half of 1/3 + .2333 + .5667, and the largest.
    assert!((x.total_variation - 0.566_667).abs() < 1e-6 && (x.l_infinity - 0.566_667).abs() < 1e-6, "{x:?}");
    assert!(x.chi_square > 100.0 && x.chi_square_p < 1e-9, "{x:?}");
    assert!(x.js > 0.3 && x.hellinger > 0.3 && x.missing == 0.0 && x.unseen == 0.0, "{x:?}");
}
