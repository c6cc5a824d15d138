//! A swap table imposed on the stage: what another run did is done again, at the same offsets.

use super::*;
use records::SwapTable;
use records::control::Swap;

fn swap(from_offset: i64, promotion: u64, version: &str) -> Control {
    let SourcePartition { topic, partition } = source();
    let (topic, version) = (topic.to_string(), Version::new(version));
    Control::Swap(Swap { topic, partition, from_offset, promotion, version, previous: None, time_ms: 0 })
}

fn under(task: Task, records: impl IntoIterator<Item = Control>) -> Config {
    Config { swaps: Some(Arc::new(SwapTable::of(records).unwrap())), ..config(task) }
}

/// The table that a run leaves behind.
fn table(seen: &Seen) -> Vec<Control> {
    let swaps =
        seen.swaps.iter().map(|line| records::from_json(line.split_once("None ").unwrap().1.as_bytes()).unwrap());
    decisions().into_iter().chain(swaps).collect()
}

/// A stage that owns the partition from an offset on; nothing is loaded.
fn assigned(config: &Config, commit: Option<(i64, &str)>, out: &mut Outputs) -> Result<Stage, StageError> {
    let mut stage = Stage::new(config.clone()).unwrap();
    let (offset, metadata) = (commit.map(|c| c.0), commit.map(|c| c.1));
    stage.step(Input::Assigned { source: &source(), offset, metadata, snapshot: None }, out)?;
    Ok(stage)
}

fn offset(place: usize) -> i64 {
    place as i64 * 2 + 100
}

/// Runs the log under a table: cut at `cuts` and where the stage says, with crashes as in [`run`].
fn run_under(config: &Config, log: &[Event], cuts: &[usize], crashes: &[usize]) -> Seen {
    let mut out = Outputs::default();
    let mut stage = assigned(config, None, &mut out).unwrap();
    let (mut seen, mut metadata, mut from, mut number) = (Seen::default(), String::new(), 0, 0);
    while from < log.len() {
        load(&mut stage, config, &mut out);
        assert!(stage.accepts(&source()) && stage.bundles_held() <= 3, "{}", stage.bundles_held());
        let to = cuts.iter().copied().find(|cut| *cut > from).unwrap_or(log.len()).min(log.len());
        let mut batch = raw(log, from, to);
        if let Some(rest) = stage.accepts_until(&source()).and_then(|until| batch.split_off(until)) {
            assert!(rest.first_offset() >= stage.accepts_until(&source()));
        }
        out = Outputs::default();
        stage.step(Input::Batch(&batch), &mut out).unwrap();
        number += 1;
        if crashes.contains(&number) {
            out = Outputs::default();
            stage = assigned(config, (from > 0).then_some((offset(from), metadata.as_str())), &mut out).unwrap();
            continue;
        }
        seen.commit(&out);
        metadata = stage.commit_metadata(&source());
        from += batch.len();
    }
    seen.counters = crate::partition::State::restore(Some(&metadata)).unwrap().counters;
    seen.state = metadata;
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_table_gives_what_the_run_gave_that_left_it_whatever_the_cuts_and_crashes(
        mut first in prop::collection::vec(0..70_usize, 0..12),
        mut second in prop::collection::vec(0..70_usize, 0..12),
        crashes in prop::collection::vec(1..12_usize, 0..4),
    ) {
        first.sort_unstable();
        second.sort_unstable();
        let log = log();
        let straight = run(&config(Task::BinaryClassification), &decisions(), &log, &first, &[]);
        let config = under(Task::BinaryClassification, table(&straight));
        prop_assert_eq!(&straight, &run_under(&config, &log, &second, &crashes));
    }
}

#[test]
fn a_promotion_is_taken_at_its_offset_and_not_at_its_time() {
    let records = [promotion(1, None, &[A]), promotion(2, Some(99_000), &[B, A]), swap(100, 1, A), swap(106, 2, B)];
    let log: Vec<Event> = (0..6).map(|n| event(10_000 + n * 10, &n.to_string(), "null")).collect();
    let seen = run_under(&under(Task::Regression, records), &log, &[2, 5], &[2]);
    let versions: Vec<bool> = seen.predictions.iter().map(|line| line.contains(B)).collect();
    assert_eq!(versions, [false, false, false, true, true, true]);
    assert!(seen.swaps[1].contains("swap/events/5/106"), "{:?}", seen.swaps);
}

#[test]
fn a_partition_waits_until_the_next_bundle_is_here_and_nobody_is_told() {
    let config = under(
        Task::Regression,
        [
            promotion(1, None, &[A]),
            promotion(2, None, &[B]),
            promotion(3, None, &[C]),
            swap(100, 1, A),
            swap(104, 2, B),
            swap(108, 3, C),
        ],
    );
    let log: Vec<Event> = (0..6).map(|n| event(10_000 + n * 10, &n.to_string(), "null")).collect();
    let mut out = Outputs::default();
    let mut stage = assigned(&config, None, &mut out).unwrap();
    let loads = |out: &mut Outputs| std::mem::take(&mut out.effects);
    let give = |stage: &mut Stage, version: &str, out: &mut Outputs| {
        let version = Version::new(version);
        stage.take_live(&version, live(&config, weight(&version)), out).unwrap();
    };
    assert_eq!(loads(&mut out), [Effect::Load(Version::new(A))], "the first alone");
    assert_eq!((stage.accepts(&source()), stage.accepts_until(&source())), (false, Some(104)));
    give(&mut stage, A, &mut out);
    assert!(stage.accepts(&source()));
    stage.step(Input::Batch(&raw(&log, 0, 1)), &mut out).unwrap();
    assert_eq!(loads(&mut out), [Effect::Load(Version::new(B))]);
    assert_eq!((stage.accepts(&source()), stage.accepts_until(&source())), (false, Some(108)));
    // The store is away: it is asked again, and the partition goes on waiting.
    let away = Err("the store is away".to_owned());
    stage.step(Input::Loaded { version: &Version::new(B), part: away }, &mut out).unwrap();
    assert_eq!(loads(&mut out), [Effect::Load(Version::new(B))]);
    assert!(!stage.accepts(&source()));
    give(&mut stage, B, &mut out);
    assert!(stage.accepts(&source()));
    stage.step(Input::Batch(&raw(&log, 1, 4)), &mut out).unwrap();
    assert_eq!(loads(&mut out), [Effect::Load(Version::new(C))], "A is no longer needed");
    give(&mut stage, C, &mut out);
    assert_eq!((stage.accepts(&source()), stage.accepts_until(&source())), (true, None));
    stage.step(Input::Batch(&raw(&log, 4, 6)), &mut out).unwrap();
    assert!(acknowledgements(&out).is_empty());
    // A bundle that is there and does not fit is nobody's to withdraw.
    let mut stage = assigned(&config, None, &mut out).unwrap();
    let refused = stage.step(Input::Loaded { version: &Version::new(A), part: Ok(Arc::new("?")) }, &mut out);
    assert!(refused.unwrap_err().message.contains(A));
}

#[test]
fn of_a_thousand_swaps_two_line_ups_are_held_at_a_time() {
    let version = |n: u64| format!("{:02x}0000000000", n % 200 + 1);
    let records = (1..=1_000_u64).flat_map(|n| {
        let version = version(n);
        [promotion(n, None, &[&version]), swap(100 + 2 * (n as i64 - 1) * 3, n, &version)]
    });
    let config = under(Task::Regression, records);
    let log: Vec<Event> = (0..3_000).map(|n| event(10_000 + n, "3", "null")).collect();
    let cuts: Vec<usize> = (1..150).map(|n| n * 20).collect();
    let seen = run_under(&config, &log, &cuts, &[]);
    assert_eq!((seen.swaps.len(), seen.predictions.len()), (1_000, 3_000));
    for (place, line) in (0_u64..).zip(&seen.predictions) {
        assert!(line.contains(&version(place / 3 + 1)), "{place}: {line}");
    }
}

#[test]
fn a_table_that_does_not_fit_is_refused_by_name_and_place() {
    let records = || vec![promotion(1, None, &[A]), promotion(2, None, &[B]), swap(102, 1, A), swap(106, 2, B)];
    let config = under(Task::Regression, records());
    let log: Vec<Event> = (0..6).map(|n| event(10_000 + n * 10, &n.to_string(), "null")).collect();
    let is_refused = |refused: StageError, words: &[&str]| {
        assert_eq!(refused.class, domain::ErrorClass::User, "{refused}");
        assert!(words.iter().all(|word| refused.message.contains(word)), "{refused}, expected {words:?}");
    };
    let steps = |config: &Config, from: usize| {
        let mut out = Outputs::default();
        let mut stage = assigned(config, None, &mut out)?;
        load(&mut stage, config, &mut out);
        stage.step(Input::Batch(&raw(&log, from, 6)), &mut out)
    };
    is_refused(steps(&config, 0).unwrap_err(), &["events/5", "offset 100", "at 102"]);
    is_refused(steps(&config, 2).unwrap_err(), &["events/5", "offset 102", "the next is at 104"]);
    let elsewhere = Control::Swap(Swap {
        topic: "events".to_owned(),
        partition: 0,
        from_offset: 0,
        promotion: 1,
        version: Version::new(A),
        previous: None,
        time_ms: 0,
    });
    let other = under(Task::Regression, [promotion(1, None, &[A]), elsewhere]);
    is_refused(steps(&other, 0).unwrap_err(), &["events/5", "offset 100", "no swap"]);
    let untold = under(Task::Regression, [swap(100, 1, A)]);
    is_refused(steps(&untold, 0).unwrap_err(), &["events/5", "promotion 1", "offset 100", "control topic"]);

    // What was committed under another line-up than the table has there.
    let committed = |line_up: Option<LineUp>| {
        let state = crate::partition::State { line_up, ..crate::partition::State::default() };
        state.metadata()
    };
    let begins =
        |at: i64, line_up| assigned(&config, Some((at, &committed(line_up))), &mut Outputs::default()).map(drop);
    for (at, line_up) in
        [(102, None), (103, Some(line_up(1, &[A]))), (106, Some(line_up(1, &[A]))), (107, Some(line_up(2, &[B])))]
    {
        begins(at, line_up).unwrap();
    }
    let words = ["events/5", "offset 104", "promotion 1"];
    is_refused(begins(104, None).unwrap_err(), &[&words[..], &["no line-up"]].concat());
    is_refused(begins(104, Some(line_up(2, &[B]))).unwrap_err(), &[&words[..], &["promotion 2"]].concat());
    is_refused(begins(104, Some(line_up(1, &[A, B]))).unwrap_err(), &words);
    is_refused(begins(102, Some(line_up(1, &[A]))).unwrap_err(), &["offset 102", "promotion 1", "no line-up"]);

    // What the control topic has under a number of the table.
    let mut stage = assigned(&config, None, &mut Outputs::default()).unwrap();
    let mut hears = |record| stage.step(Input::Control(&control(&[record])), &mut Outputs::default());
    hears(promotion(2, Some(5), &[B])).unwrap();
    hears(promotion(3, None, &[C])).unwrap();
    is_refused(hears(promotion(2, None, &[C])).unwrap_err(), &["promotion 2", B, C]);
}
