//! Alarms, runs, promotions, rollbacks.

use super::fixtures::{Outcome, SLICE_MS, Script, first_champion, version};
use super::world::World;
use domain::Version;
use records::alert::State;
use records::control::{PromotionCause, RunState, Trigger};
use records::journal::{Action, Command};

fn command(id: &str, if_champion: Option<Version>, action: Action) -> Command {
    Command { id: id.to_owned(), if_champion, action }
}

#[test]
fn nothing_happens_where_nothing_changes() {
    for seed in 0..5 {
        let world = World::run(Script::quiet(60), seed, false);
        assert_eq!(world.alerts(), [], "seed {seed}");
        assert_eq!(world.runs(), [], "seed {seed}");
        assert_eq!(world.promotions.len(), 1);
    }
}

#[test]
fn lasting_harm_pages_once_and_a_better_champion_resolves_it() {
    let script = Script {
        accuracy: |version, slice| if version < 4 && slice >= 10 { 0.5 } else { 0.8 },
        outcome: |run| if run.run < 3 { Outcome::Refused } else { Outcome::Passed },
        ..Script::quiet(60)
    };
    let world = World::run(script, 1, false);
    let (quick, alerts): (Vec<_>, Vec<_>) = world.alerts().into_iter().partition(|a| a.tier == "run");
    assert!(quick[0].state == State::Raised && quick[0].name == "vigie.accuracy_loss", "told beside its run");
    let raised: Vec<_> = alerts.iter().filter(|a| a.state == State::Raised).collect();
    assert_eq!(raised.len(), 1, "{alerts:?}");
    assert_eq!((raised[0].name.as_str(), raised[0].tier.as_str()), ("vigie.accuracy_loss", "page"));
    assert!(raised[0].value >= raised[0].threshold && raised[0].threshold == 100.0);
    assert!(alerts.iter().all(|a| a.id == raised[0].id), "one id for its whole life");
    // Both partitions' number 3, whose label was corrected, then one of number 9: of the newest slice.
    for alert in [&quick[0], raised[0]] {
        assert_eq!(alert.example_ids.len(), 3, "{alert:?}");
        let newest = alert.example_ids[0].split(',').next().unwrap();
        let slice: i64 = newest.strip_prefix("slice ").unwrap().parse().unwrap();
        assert_eq!(records::time::rfc3339((slice + 1) * SLICE_MS), alert.window.end);
        for (id, number) in alert.example_ids.iter().zip([" 3,", " 3,", " 9,"]) {
            assert!(id.starts_with(newest) && id.contains(number), "{:?}", alert.example_ids);
        }
    }
    let resolved = alerts.last().unwrap();
    assert_eq!(resolved.state, State::Resolved);
    assert_eq!(world.promotions[1].line_up.members[0].version, version(4));
    assert_eq!(world.promotions[1].decided_at_ms.map(records::time::rfc3339), Some(resolved.window.end.clone()));
}

#[test]
fn harm_starts_a_run_whose_challenger_is_promoted() {
    let script =
        Script { accuracy: |version, slice| if version == 1 && slice >= 10 { 0.5 } else { 0.8 }, ..Script::quiet(40) };
    let world = World::run(script, 1, false);
    let runs = world.runs();
    let states: Vec<RunState> = runs.iter().map(|r| r.state).collect();
    assert_eq!(states, [RunState::Snapshot, RunState::Training, RunState::Promoted]);
    assert_eq!((runs[0].trigger, runs[0].first_rows, &runs[0].champion), (Trigger::Harm, 8_000, &version(1)));
    let change = runs[0].change_ms.unwrap();
    assert!((9_000..=11_000).contains(&change), "estimated change {change}");
    assert_eq!(runs[0].rows_since_change, Some(u64::try_from((runs[0].cut_off_ms - change) / 1_000).unwrap() * 200));
    assert!(runs[0].cut_off_ms <= 14_000, "alarm within a few slices: {}", runs[0].cut_off_ms);

    let promotion = &world.promotions[1];
    assert_eq!((promotion.cause, promotion.run), (PromotionCause::Run, Some(1)));
    assert_eq!(promotion.decided_at_ms, Some(runs[0].cut_off_ms), "J waited for the run");
    assert_eq!(promotion.effective_from_ms, Some(runs[0].cut_off_ms + 2_000));
    let harm = promotion.line_up.members[0].harm.as_ref().unwrap();
    assert!(!harm.bets.is_empty() && harm.p0 > 0.16);
}

#[test]
fn a_worse_challenger_is_rolled_back() {
    let script = Script {
        accuracy: |version, _| if version == 2 { 0.6 } else { 0.8 },
        outcome: |run| if run.run == 1 { Outcome::Passed } else { Outcome::Refused },
        commands: vec![(0, first_champion()), (5, command("retrain", None, Action::Retrain))],
        ..Script::quiet(40)
    };
    let world = World::run(script, 4, true);
    let causes: Vec<_> = world.promotions.iter().map(|p| p.cause).collect();
    assert_eq!(causes[..3], [PromotionCause::First, PromotionCause::Run, PromotionCause::RollBack]);
    let back = &world.promotions[2];
    assert_eq!(back.line_up.members[0].version, version(1));
    assert_eq!(back.line_up.previous, None, "what was worse is not scored any more");
    let lasted = back.decided_at_ms.unwrap() - world.promotions[1].effective_from_ms.unwrap();
    assert!((5_000..=7_000).contains(&lasted), "rolled back after {lasted} ms of stream time");
}

#[test]
fn useless_runs_double_the_cool_down() {
    let script = Script {
        accuracy: |_, slice| if slice >= 10 { 0.5 } else { 0.8 },
        outcome: |_| Outcome::Refused,
        ..Script::quiet(80)
    };
    let world = World::run(script, 5, false);
    assert_eq!(world.promotions.len(), 1);
    let refused: Vec<i64> =
        world.runs().iter().filter(|r| r.state == RunState::Refused).map(|r| r.cut_off_ms / 1_000).collect();
    let gaps: Vec<i64> = refused.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // 200 rows a slice, n0 = 8,000: 0.2 n0 are 8 slices, 0.4 are 16, and 0.5 at most are 20.
    assert!(gaps.len() >= 3, "{refused:?}");
    for (gap, least) in gaps.iter().zip([8, 16, 20]) {
        assert!((least..=least + 2).contains(gap), "gaps {gaps:?}");
    }
}

#[test]
fn a_failed_run_is_tried_once_more() {
    let script = Script {
        outcome: |_| Outcome::Failed,
        commands: vec![(0, first_champion()), (5, command("retrain", None, Action::Retrain))],
        ..Script::quiet(12)
    };
    let world = World::run(script, 6, true);
    let attempts: Vec<(u32, RunState)> = world.runs().iter().map(|r| (r.attempt, r.state)).collect();
    let expected = [(1, RunState::Snapshot), (1, RunState::Training), (2, RunState::Training), (2, RunState::Failed)];
    assert_eq!(attempts, expected);
}

#[test]
fn new_labels_start_runs_and_follow_ups_come_when_rows_double() {
    let mut script = Script { outcome: |_| Outcome::Refused, ..Script::quiet(60) };
    script.config.retrain.on_new_labels = true;
    let world = World::run(script.clone(), 8, false);
    let ordered = |world: &World| -> Vec<(Trigger, i64)> {
        let runs = world.runs().into_iter().filter(|r| r.state == RunState::Snapshot);
        runs.map(|r| (r.trigger, r.cut_off_ms / 1_000)).collect()
    };
    // n0/3 = 2,667 rows are 14 slices; after two useless runs 0.4 n0 = 3,200 rows are 16.
    let expected = [(Trigger::NewLabels, 14), (Trigger::NewLabels, 28), (Trigger::NewLabels, 44)];
    assert_eq!(ordered(&world)[..3], expected);

    script.config.retrain.follow_ups = true;
    script.config.retrain.on_new_labels = false;
    script.accuracy = |_, slice| if slice >= 10 { 0.5 } else { 0.8 };
    let world = World::run(script, 8, false);
    let runs = world.runs();
    let rows: Vec<u64> = runs
        .iter()
        .filter(|r| r.state == RunState::Snapshot && r.trigger == Trigger::FollowUp)
        .map(|r| r.rows_since_change.unwrap())
        .collect();
    let first = runs[0].rows_since_change.unwrap();
    assert_eq!(rows[..2], [2 * first, 4 * first], "first run at {first} rows");
}

#[test]
fn drift_of_a_feature_is_explained_and_starts_nothing() {
    let world = World::run(Script { moved_from: 10, ..Script::quiet(20) }, 9, false);
    let alerts = world.alerts();
    assert_eq!(alerts.iter().filter(|a| a.state == State::Raised).count(), 1);
    assert!(alerts.iter().all(|a| a.name == "vigie.drift" && a.tier == "feature" && a.features == ["x"]));
    assert!(alerts.iter().any(|a| a.state == State::Held));
    assert_eq!(world.runs(), []);
}

#[test]
fn commands_are_obeyed_once_and_only_by_the_champion_they_mean() {
    let promote = |id: &str, of: u64, number: u64| {
        let Action::Promote { trained_until_ms, reference, rows, .. } = first_champion().action else { unreachable!() };
        let action = Action::Promote { version: version(number), trained_until_ms, reference, rows };
        command(id, Some(version(of)), action)
    };
    let script = Script {
        commands: vec![
            (0, first_champion()),
            (4, promote("a", 9, 2)),
            (5, promote("b", 1, 2)),
            (6, promote("b", 2, 3)),
            (12, command("c", Some(version(2)), Action::RollBack)),
            (16, command("d", None, Action::RollBack)),
        ],
        ..Script::quiet(20)
    };
    let world = World::run(script, 10, true);
    let champions: Vec<_> = world.promotions.iter().map(|p| (p.cause, p.line_up.members[0].version.clone())).collect();
    let expected = [
        (PromotionCause::First, version(1)),
        (PromotionCause::Command, version(2)),
        (PromotionCause::RollBack, version(1)),
    ];
    assert_eq!(champions, expected);
    assert_eq!(world.progress().last(), Some(&20_000));
}
