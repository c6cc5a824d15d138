//! The stage contract, input by input.

use super::fixtures::{config, first_champion, known, version};
use crate::intake::Record;
use crate::judge::Judge;
use domain::{Effect, Input, Outputs, RawBatch, RawRecord, SourcePartition, Stage, TopicRole};
use records::control::Control;
use records::journal::{Journal, ScoreCell, ScorePane};

fn source() -> SourcePartition {
    SourcePartition::new("p.journal", 0)
}

fn assigned(judge: &mut Judge, offset: Option<i64>, snapshot: Option<&[u8]>) -> Outputs {
    step(judge, Input::Assigned { source: &source(), offset, metadata: None, snapshot })
}

fn step(judge: &mut Judge, input: Input<'_>) -> Outputs {
    let mut out = Outputs::default();
    judge.step(input, &mut out).unwrap();
    out
}

fn batch(from: i64, values: &[Vec<u8>]) -> RawBatch {
    let mut batch = RawBatch::new(TopicRole::Journal, source());
    for (offset, value) in (from..).zip(values) {
        batch.push(RawRecord { offset, timestamp_ms: 0, key: None, value: Some(value) }, []);
    }
    batch
}

fn bytes(record: &Record) -> Vec<u8> {
    records::to_postcard(record).unwrap()
}

fn pane() -> Record {
    let profile = profile::Counts::default();
    let cell = ScoreCell { slice_start_ms: 0, version: version(1), rows: 3, after_final: 1, profile };
    Journal::ScorePane(ScorePane {
        source: SourcePartition::new("events", 0),
        from_offset: 0,
        to_offset: 3,
        cells: vec![cell],
    })
}

#[test]
fn garbled_records_are_counted_and_skipped() {
    let mut judge = Judge::new(config());
    assigned(&mut judge, None, None);
    let values =
        [vec![250, 1, 2], Vec::new(), bytes(&Journal::Tick { now_ms: 5 }), bytes(&Journal::Command(first_champion()))];
    let out = step(&mut judge, Input::Batch(&batch(0, &values)));
    let unreadable: u64 = out.counts.iter().filter(|c| c.name == "vigie.judge.unreadable").map(|c| c.value).sum();
    assert_eq!(unreadable, 2);
    let first = out.records().next().unwrap();
    let Control::Promotion(promotion) = serde_json::from_slice(first.value.unwrap()).unwrap() else {
        panic!("not a promotion")
    };
    assert_eq!((promotion.line_up.promotion, promotion.effective_from_ms), (1, None));
    assert_eq!(judge.commit_offset(&source(), 4), 4);
}

#[test]
fn a_pane_of_an_unknown_version_waits_and_holds_the_offset_back() {
    let mut judge = Judge::new(config());
    assigned(&mut judge, None, None);
    let values = [bytes(&Journal::Tick { now_ms: 5 }), bytes(&pane()), bytes(&Journal::Command(first_champion()))];
    let out = step(&mut judge, Input::Batch(&batch(0, &values)));
    assert_eq!(out.effects, [Effect::Load(version(1))]);
    assert!(out.is_empty() && !judge.accepts(&source()));
    assert_eq!(judge.commit_offset(&source(), 3), 1);

    let failed = Input::Loaded { version: &version(1), part: Err("away".to_owned()) };
    let again = step(&mut judge, failed);
    assert!(again.is_empty() && !judge.accepts(&source()));
    // Not with the next tick: none comes before the log's end, which a paused reader never sees.
    assert_eq!(again.effects, [Effect::Load(version(1))], "asked for again");
    assert!(step(&mut judge, Input::Tick { now_ms: 0 }).effects.is_empty(), "but once");
    let unneeded = Input::Loaded { version: &version(9), part: Err("away".to_owned()) };
    assert!(step(&mut judge, unneeded).effects.is_empty());

    step(&mut judge, Input::Loaded { version: &version(1), part: Ok(known()) });
    let out = step(&mut judge, Input::Tick { now_ms: 0 });
    assert_eq!(out.len(), 2, "promotion and alias");
    assert_eq!(judge.commit_offset(&source(), 3), 3);
}

#[test]
fn records_that_are_read_again_and_wait_do_not_take_the_committed_offset_back() {
    let mut judge = Judge::new(config());
    assigned(&mut judge, Some(2), None);
    let values = [bytes(&pane()), bytes(&Journal::Command(first_champion())), bytes(&Journal::Tick { now_ms: 5 })];
    step(&mut judge, Input::Batch(&batch(0, &values)));
    assert!(!judge.accepts(&source()), "the first record waits for its version");
    assert_eq!(judge.commit_offset(&source(), 3), 2, "what was said below 2 is never said again");
    assert_eq!(judge.snapshot(&source()), None, "the state is that of offset 0");
    step(&mut judge, Input::Loaded { version: &version(1), part: Ok(known()) });
    step(&mut judge, Input::Tick { now_ms: 0 });
    assert!(judge.snapshot(&source()).is_some() && judge.commit_offset(&source(), 3) == 3);
}

#[test]
fn records_below_the_committed_offset_say_nothing_again_and_an_open_run_is_launched_again() {
    use records::journal::{Action, Command};
    let mut judge = Judge::new(config());
    assigned(&mut judge, None, None);
    let values = [bytes(&Journal::Command(first_champion()))];
    assert_eq!(step(&mut judge, Input::Batch(&batch(0, &values))).len(), 2);
    let checkpoint = judge.snapshot(&source()).unwrap();

    let mut next = Judge::new(config());
    assigned(&mut next, Some(1), None);
    let replayed = step(&mut next, Input::Batch(&batch(0, &values)));
    assert!(replayed.is_empty());
    assert_eq!(replayed.effects, [Effect::Load(version(1))], "loading has no effect on the log");
    assert_eq!(next.snapshot(&source()).unwrap(), checkpoint, "rebuilt state is the same bytes");

    let mut state = crate::state::State::restore(&checkpoint, &config()).unwrap();
    // Formats of before had everything but what stands at the end, here nothing.
    let mut before = checkpoint;
    assert_eq!((before[0], before.split_off(before.len() - 1)), (9, vec![0]));
    before[0] = 8;
    assert_eq!(crate::state::State::restore(&before, &config()).unwrap(), state);
    assert_eq!(before.pop(), Some(0));
    before[0] = 7;
    assert_eq!(crate::state::State::restore(&before, &config()).unwrap(), state);
    assert_eq!(before.split_off(before.len() - 3), vec![0; 3]);
    before[0] = 6;
    assert_eq!(crate::state::State::restore(&before, &config()).unwrap(), state);
    assert_eq!(before.pop(), Some(0));
    before[0] = 5;
    assert_eq!(crate::state::State::restore(&before, &config()).unwrap(), state);
    let shape = measure::Shape { task: domain::Task::Regression, classes: 0 };
    let of_numbers = crate::Config { shape, ..config() };
    assert!(crate::state::State::restore(&before, &of_numbers).unwrap_err().to_string().contains("format 5"));
    let ask = Command { id: "x".to_owned(), if_champion: None, action: Action::Retrain };
    assert!(state.is_new_command(&ask.id) && !state.is_new_command(&ask.id));
    state.run = Some(records::control::Run {
        run: 1,
        attempt: 2,
        trigger: records::control::Trigger::Harm,
        state: records::control::RunState::Training,
        cut_off_ms: 1,
        change_ms: None,
        rows_since_change: None,
        first_rows: 1,
        champion: version(1),
        report: None,
    });
    let with_run = records::to_postcard(&state).unwrap();
    let mut third = Judge::new(config());
    assigned(&mut third, Some(1), Some(&with_run));
    for launched in [true, false] {
        let out = step(&mut third, Input::Tick { now_ms: 0 });
        let is_launch = |effect: &Effect| matches!(effect, Effect::Launch { run: 1, attempt: 2, .. });
        assert_eq!(out.effects.iter().any(is_launch), launched);
    }
}

#[test]
fn a_checkpoint_of_other_slices_is_refused() {
    let mut judge = Judge::new(config());
    assigned(&mut judge, None, None);
    let checkpoint = judge.snapshot(&source()).unwrap();
    let mut other = config();
    other.slices = domain::Slices::of(7);
    let mut judge = Judge::new(other);
    let input = Input::Assigned { source: &source(), offset: None, metadata: None, snapshot: Some(&checkpoint) };
    let refused = judge.step(input, &mut Outputs::default()).unwrap_err();
    assert_eq!(refused.class, domain::ErrorClass::User);
    assert!(refused.message.contains("slices of 1000 ms"), "{}", refused.message);
}

#[test]
fn a_bundle_that_cannot_be_verified_withdraws_its_promotion() {
    use records::journal::{Action, Command};
    let Action::Promote { trained_until_ms, reference, rows, .. } = first_champion().action else { unreachable!() };
    let action = Action::Promote { version: version(2), trained_until_ms, reference, rows };
    let second = Command { id: "second".to_owned(), if_champion: None, action };
    let fault = Some("golden rows differ".to_owned());
    let told = Journal::Acknowledged { source: SourcePartition::new("events", 0), promotion: 2, fault };
    let values = [Journal::Command(first_champion()), Journal::Command(second), told].map(|r| bytes(&r));
    let mut judge = Judge::new(config());
    assigned(&mut judge, None, None);
    let out = step(&mut judge, Input::Batch(&batch(0, &values)));
    let promotions: Vec<_> = out
        .records()
        .filter_map(|r| match serde_json::from_slice(r.value.unwrap()).unwrap() {
            Control::Promotion(p) => Some(p),
            _ => None,
        })
        .collect();
    let champions: Vec<_> = promotions.iter().map(|p| p.line_up.members[0].version.clone()).collect();
    assert_eq!(champions, [version(1), version(2), version(1)]);
    assert!(promotions[2].reasons[0].contains("golden rows differ"));
}

#[test]
fn records_lost_to_retention_raise_one_alert_that_names_the_place() {
    use records::alert::{Alert, State};
    use records::journal::Gap;
    let mut judge = Judge::new(config());
    assigned(&mut judge, None, None);
    let gap = |from_offset, to_offset| {
        let (stage, source) = ("score".to_owned(), SourcePartition::new("events", 3));
        bytes(&Journal::Gap(Gap { stage, source, from_offset, to_offset }))
    };
    let out = step(&mut judge, Input::Batch(&batch(0, &[gap(100, 250), gap(300, 301)])));
    let alerts: Vec<Alert> = out
        .records()
        .filter(|record| record.topic == TopicRole::Alerts)
        .map(|record| serde_json::from_slice(record.value.unwrap()).unwrap())
        .collect();
    let said: Vec<_> = alerts.iter().map(|a| (a.name.as_str(), a.state, a.value, a.features[0].as_str())).collect();
    assert_eq!(
        said,
        [
            ("vigie.data_quality", State::Raised, 150.0, "score events/3 100..250"),
            ("vigie.data_quality", State::Held, 1.0, "score events/3 300..301"),
        ]
    );
    assert_eq!(alerts[0].id, alerts[1].id);
}

fn promotions(out: &Outputs) -> Vec<Control> {
    out.records().map(|record| serde_json::from_slice(record.value.unwrap()).unwrap()).collect()
}

#[test]
fn imposed_promotions_are_told_once_with_the_first_record_and_commands_are_passed_over() {
    let second = {
        use records::journal::{Action, Command};
        let Action::Promote { trained_until_ms, reference, rows, .. } = first_champion().action else { unreachable!() };
        let action = Action::Promote { version: version(2), trained_until_ms, reference, rows };
        Command { id: "second".to_owned(), if_champion: None, action }
    };
    let commands = [first_champion(), second].map(|command| bytes(&Journal::Command(command)));
    let mut judge = Judge::new(config());
    assigned(&mut judge, None, None);
    let decided = promotions(&step(&mut judge, Input::Batch(&batch(0, &commands))));
    let decided: Vec<_> =
        decided.into_iter().filter_map(|c| if let Control::Promotion(p) = c { Some(p) } else { None }).collect();
    assert_eq!(decided.len(), 2);
    let own = judge.snapshot(&source()).unwrap();

    let under = |imposed: &[_]| crate::Config { imposed: Some(imposed.to_vec()), ..config() };
    let mut judge = Judge::new(under(&decided));
    assigned(&mut judge, None, None);
    let fault = Some("golden rows differ".to_owned());
    let told = Journal::Acknowledged { source: SourcePartition::new("events", 0), promotion: 2, fault };
    let values = [vec![bytes(&told)], commands.to_vec()].concat();
    let out = step(&mut judge, Input::Batch(&batch(0, &values)));
    let expected: Vec<Control> = decided.iter().cloned().map(Control::Promotion).collect();
    assert_eq!(promotions(&out), expected);
    assert!(out.effects.is_empty(), "{:?}", out.effects);
    let passed: u64 = out.counts.iter().filter(|c| c.name == "vigie.judge.commands_not_obeyed").map(|c| c.value).sum();
    assert_eq!(passed, 2);

    // Another process goes on: from a checkpoint, or from the log.
    let checkpoint = judge.snapshot(&source()).unwrap();
    for snapshot in [Some(checkpoint.as_slice()), None] {
        let mut next = Judge::new(under(&decided));
        assigned(&mut next, Some(3), snapshot);
        let more = bytes(&Journal::Tick { now_ms: 5 });
        let out = step(&mut next, Input::Batch(&batch(0, &[values.clone(), vec![more]].concat())));
        assert!(out.is_empty(), "{:?}", promotions(&out));
    }

    // A pipeline that decided the same may be gone on with, one that decided otherwise not.
    let mut other = decided.clone();
    other[1].line_up.members.swap(0, 1);
    for (imposed, fits) in [(&decided, true), (&other, false)] {
        let mut next = Judge::new(under(imposed));
        let input = Input::Assigned { source: &source(), offset: Some(2), metadata: None, snapshot: Some(&own) };
        let result = next.step(input, &mut Outputs::default());
        assert_eq!(result.is_ok(), fits, "{result:?}");
        if let Err(refused) = result {
            assert_eq!(refused.class, domain::ErrorClass::User);
            assert!(refused.message.contains("promotion 2"), "{}", refused.message);
        }
    }
}
