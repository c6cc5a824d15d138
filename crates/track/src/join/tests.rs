//! Tests of join: every counter, the phases, the markers; then the simulation against an oracle.

mod oracle;
mod script;
mod simulation;

use super::labels::LABELS_PER_ID;
use super::{PANE_BYTES, Written, push_panes};
use domain::{ErrorClass, Input, Outputs, Stage, Version};
use measure::{Cell, Row, ScoreCount};
use records::example::Losses;
use records::journal::{ArrivedCell, ExactCell, JoinCell, JoinCounters, Journal, LossCell, Phase};
use records::tracking::{StreamKind, Tracking};
use script::{Item, SHAPE, Said, assigned, batches, config, e, l, line_up, m, p, play, records, run, scores, tracking};

/// The counters that are not zero after a log of one event and one label partition.
fn check(what: &str, items: &[Item], expected: JoinCounters) {
    assert_eq!(play(items).counters, expected, "{what}");
    let joined_up = batches(&records(items, || false), || false);
    assert_eq!(run(config(1), &joined_up, None).0.counters, expected, "{what}, in one batch");
}

const NONE: JoinCounters = JoinCounters {
    predictions: 0,
    joined: 0,
    in_training: 0,
    pending: 0,
    expired: 0,
    assumed: 0,
    predictions_overflow: 0,
    labels_overflow: 0,
    repeated: 0,
    labels: 0,
    labels_joined: 0,
    waiting: 0,
    orphan: 0,
    duplicate: 0,
    corrected: 0,
    late: 0,
};
const PENDING: JoinCounters = JoinCounters { predictions: 1, pending: 1, ..NONE };
const EXPIRED: JoinCounters = JoinCounters { predictions: 1, expired: 1, ..NONE };
const JOINED: JoinCounters = JoinCounters { predictions: 1, joined: 1, labels: 1, labels_joined: 1, ..NONE };

/// In all of these the event's slice is [10, 20): final at 50, forgotten at 80.
#[test]
fn predictions_are_counted() {
    let after_final = Item::Prediction { source: 0, offset: 0, id: 7, time: 12, after_final: true, promotion: 1 };
    let known = Item::Prediction { source: 0, offset: 0, id: 7, time: 12, after_final: false, promotion: 2 };
    let repeated = JoinCounters { predictions: 2, repeated: 1, ..NONE };
    check("no label yet", &[p(0, 0, 7, 12)], PENDING);
    check("label watermark alone", &[p(0, 0, 7, 12), m(50)], PENDING);
    check("just before the end", &[p(0, 0, 7, 12), m(50), e(49)], PENDING);
    check("both watermarks", &[p(0, 0, 7, 12), m(50), e(50)], EXPIRED);
    check("after final", &[after_final], EXPIRED);
    check("after final by its own partition's marker", &[e(50), p(0, 0, 7, 12)], EXPIRED);
    check("same coordinates twice", &[p(0, 0, 7, 12), p(0, 0, 7, 12)], PENDING);
    check("greater coordinate", &[p(0, 0, 7, 12), p(1, 0, 7, 12)], JoinCounters { pending: 1, ..repeated });
    check("lesser coordinate later", &[p(1, 0, 7, 12), p(0, 3, 7, 12)], JoinCounters { pending: 1, ..repeated });
    check(
        "repeat of a final row",
        &[p(0, 0, 7, 12), m(50), e(50), p(0, 1, 7, 45)],
        JoinCounters { expired: 1, ..repeated },
    );
    check(
        "lesser coordinate takes the label over",
        &[p(1, 0, 7, 12), l(0, 0, 7, 15, 1.0), p(0, 3, 7, 13)],
        JoinCounters { predictions: 2, repeated: 1, ..JOINED },
    );
    check("seen in training", &[known, l(0, 0, 7, 15, 1.0)], JoinCounters { in_training: 1, ..JOINED });
}

#[test]
fn labels_are_counted() {
    let two = JoinCounters { labels: 2, ..JOINED };
    let waiting = JoinCounters { labels: 1, waiting: 1, ..NONE };
    let orphan = JoinCounters { labels: 1, orphan: 1, ..NONE };
    let event = p(0, 0, 7, 12);
    let first = l(0, 0, 7, 15, 1.0);
    check("joined", &[event.clone(), first.clone()], JOINED);
    check("joined stays joined", &[event.clone(), first.clone(), m(500), e(500)], JOINED);
    check("label first", &[first.clone(), event.clone()], JOINED);
    check("same coordinates twice", &[event.clone(), first.clone(), first.clone()], JOINED);
    check("waiting", &[first.clone(), e(16)], waiting);
    check("orphan", &[first.clone(), e(17)], orphan);
    check("orphan at arrival", &[e(17), first.clone()], orphan);
    check("orphan for ever", &[first.clone(), e(17), e(500), m(500)], orphan);
    check("an orphan may be joined", &[first.clone(), e(17), event.clone()], JOINED);
    check("said again", &[event.clone(), first.clone(), l(0, 1, 7, 16, 1.0)], JoinCounters { duplicate: 1, ..two });
    check("corrected", &[event.clone(), first.clone(), l(0, 1, 7, 16, 0.0)], JoinCounters { corrected: 1, ..two });
    check("older loses", &[event.clone(), first.clone(), l(0, 1, 7, 14, 0.0)], JoinCounters { corrected: 1, ..two });
    check("last moment", &[event.clone(), l(0, 0, 7, 42, 1.0)], JOINED);
    let late = JoinCounters { labels: 1, late: 1, ..PENDING };
    check("beyond the horizon", &[event.clone(), l(0, 0, 7, 43, 1.0)], late);
    check("late to its own partition", &[event.clone(), m(50), first], late);
    let late = JoinCounters { labels: 1, late: 1, ..EXPIRED };
    check("late after the end", &[event.clone(), e(50), m(50), l(0, 0, 7, 51, 1.0)], late);
    check(
        "after the row is forgotten",
        &[event.clone(), e(80), m(80), l(0, 0, 7, 70, 1.0)],
        JoinCounters { labels: 1, orphan: 1, ..EXPIRED },
    );
    // -15 is within the horizon of an event at 12, too early for one at 19.
    check(
        "about the replaced prediction only",
        &[p(1, 0, 7, 12), l(0, 0, 7, -15, 1.0), p(0, 3, 7, 19), e(-10)],
        JoinCounters { predictions: 2, repeated: 1, pending: 1, labels: 1, orphan: 1, ..NONE },
    );
    check("far too early", &[l(0, 0, 7, -19, 1.0), event, e(0)], JoinCounters { labels: 1, orphan: 1, ..PENDING });
}

#[test]
fn labels_of_one_id_are_bounded() {
    let count = LABELS_PER_ID + 44;
    let mut items = vec![p(0, 0, 7, 12)];
    items.extend((0..count).map(|n| l(0, i64::try_from(n).unwrap(), 7, 15, 1.0)));
    let expected = JoinCounters {
        labels: u64::try_from(count).unwrap(),
        duplicate: u64::try_from(LABELS_PER_ID - 1).unwrap(),
        corrected: 44,
        ..JOINED
    };
    check("a constant id", &items, expected);
}

/// The cell of one row of event 7 under promotion 1, of one phase.
fn cell(terms: &[(f64, i64)], last_label: Option<f64>) -> Cell {
    let scores = scores(7, 1);
    let mut cell = Cell::empty(SHAPE);
    for (label, sign) in terms {
        let row = Row { served: &scores, frozen: Some(&scores), previous: None, label: *label, last_label, harm: None };
        cell.add(&row, *sign);
    }
    cell
}

fn cells_of(said: &Said, phase: Phase) -> Vec<&Cell> {
    said.cells
        .iter()
        .filter(|((slice, p, segment, ..), _)| (*slice, *p, segment.as_str()) == (10, phase, "*"))
        .map(|(_, cell)| cell)
        .collect()
}

#[test]
fn mature_cells_hold_the_label_as_of_maturity_and_late_cells_the_difference() {
    let event = p(0, 0, 7, 12);
    let check = |what: &str, items: &[Item], mature: Option<Cell>, late: Option<Cell>| {
        let said = play(items);
        assert_eq!(cells_of(&said, Phase::Mature), mature.iter().collect::<Vec<_>>(), "{what}: mature");
        assert_eq!(cells_of(&said, Phase::Late), late.iter().collect::<Vec<_>>(), "{what}: late");
    };
    let (one, zero) = (l(0, 1, 7, 24, 1.0), l(0, 2, 7, 25, 0.0));
    let ripe = m(13);
    check("the label watermark has not passed the event", &[event.clone(), one.clone(), m(12)], None, None);
    check("mature", &[event.clone(), one.clone(), ripe.clone()], Some(cell(&[(1.0, 1)], None)), None);
    check("label after ripening", &[event.clone(), ripe.clone(), one.clone()], Some(cell(&[(1.0, 1)], None)), None);
    check("event after ripening", &[ripe.clone(), one.clone(), event.clone()], Some(cell(&[(1.0, 1)], None)), None);
    check("only late", &[event.clone(), ripe.clone(), zero.clone()], None, Some(cell(&[(0.0, 1)], None)));
    let both = (Some(cell(&[(1.0, 1)], None)), Some(cell(&[(0.0, 1), (1.0, -1)], None)));
    check("corrected late", &[event.clone(), ripe.clone(), one.clone(), zero], both.0, both.1);
    let corrected = l(0, 2, 7, 23, 0.0);
    check(
        "corrected while maturing",
        &[event.clone(), ripe.clone(), l(0, 1, 7, 22, 1.0), corrected],
        Some(cell(&[(0.0, 1)], None)),
        None,
    );
    check("replaced by a lesser coordinate in another slice", &[p(1, 0, 7, 12), one, ripe, p(0, 0, 7, 9)], None, None);
    check(
        "last known label",
        &[l(0, 0, 5, 11, 0.0), event, l(0, 1, 9, 13, 1.0), m(14), l(0, 2, 7, 24, 1.0)],
        Some(cell(&[(1.0, 1)], Some(0.0))),
        None,
    );
}

#[test]
fn a_row_counts_where_its_first_label_arrived_whatever_becomes_of_it() {
    let (event, ripe) = (p(0, 0, 7, 12), m(13));
    let check = |what: &str, items: &[Item], expected: &[(i64, f64)]| {
        let mut found = play(items).arrived;
        found.retain(|_, cell| !cell.is_empty());
        let expected: Vec<_> = expected.iter().map(|(slice, label)| (*slice, cell(&[(*label, 1)], None))).collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "{what}");
    };
    let first = l(0, 1, 7, 24, 1.0);
    let all = |labels: &[&Item]| -> Vec<Item> {
        [&event, &ripe].into_iter().chain(labels.iter().copied()).cloned().collect()
    };
    check("no label", &all(&[]), &[]);
    check("one", &all(&[&first]), &[(20, 1.0)]);
    check("said again in another slice", &all(&[&first, &l(0, 2, 7, 31, 1.0)]), &[(20, 1.0)]);
    check("corrected in another slice", &all(&[&first, &l(0, 2, 7, 31, 0.0)]), &[(20, 1.0)]);
    check("corrected in the same slice", &all(&[&first, &l(0, 2, 7, 25, 0.0)]), &[(20, 1.0)]);
    check("an earlier one comes later", &all(&[&first, &l(0, 2, 7, 18, 0.0)]), &[(10, 0.0)]);
    check("beyond the horizon", &all(&[&l(0, 1, 7, 43, 1.0)]), &[]);
    check("before its event, which is not ripe yet", &[first.clone(), event.clone()], &[]);
    check("replaced", &[p(1, 0, 7, 12), first, ripe.clone(), p(0, 0, 7, 9)], &[(20, 1.0)]);
}

#[test]
fn markers_follow_the_panes_when_a_slice_ends_or_idleness_changes() {
    let idle = |idle| Item::Marker { kind: StreamKind::Labels, source: 0, time: 23, idle };
    let items = [e(5), m(5), m(9), m(10), e(19), e(20), idle(true), idle(true), idle(false), m(24), m(31)];
    let marked: Vec<_> = play(&items).markers.iter().map(|m| (m.events_ms, m.labels_ms)).collect();
    let expected = [
        (5, None),
        (5, Some(5)),
        (5, Some(10)),
        (19, Some(10)),
        (20, Some(10)),
        (20, Some(23)),
        (20, Some(23)),
        (20, Some(31)),
    ];
    assert_eq!(marked, expected.map(|(events, labels)| (Some(events), labels)));
}

#[test]
fn a_pane_too_large_for_one_record_is_split_in_order() {
    let cell = |n: usize| JoinCell {
        slice_start_ms: 0,
        phase: Phase::Mature,
        segment: format!("origin={n}{}", "x".repeat(PANE_BYTES / 5)),
        promotion: 1,
        version: Version::new("000000000001"),
        cell: Cell::empty(SHAPE),
    };
    let cells: Vec<_> = (0..9).map(cell).collect();
    let mut out = Outputs::default();
    let arrived = |joined: &JoinCell<Cell>| ArrivedCell { arrived_slice_start_ms: 10, joined: joined.clone() };
    let arrived: Vec<_> = cells.iter().map(arrived).collect();
    let mut losses = Losses::default();
    (0..32).for_each(|row| losses.add(row, 0.25, 1));
    let of_version =
        |n: u32| LossCell { slice_start_ms: 0, version: Version::new(&format!("{n:012}")), losses: losses.clone() };
    let losses: Vec<LossCell> = (0..1000).map(of_version).collect();
    let count = |score| ScoreCount { class: 0, score, negatives: -1, positives: 1 };
    let exact_cell = |slice_start_ms| ExactCell {
        slice_start_ms,
        phase: Phase::Late,
        version: Version::new("000000000001"),
        scores: (0..5_000).map(|n| count(u64::MAX / 2 - n)).collect(),
    };
    let exact: Vec<ExactCell<ScoreCount>> = (0..40).map(exact_cell).collect();
    let beside = (arrived.clone(), losses.clone(), exact.clone());
    push_panes(&mut out, 3, (4, 5), (cells.clone(), Vec::new()), beside).unwrap();
    let (mut read, mut read_arrived) = (Vec::new(), Vec::new());
    let (mut read_losses, mut read_exact) = (Vec::new(), Vec::new());
    for record in out.records() {
        assert!(record.value.unwrap().len() <= PANE_BYTES);
        match records::from_postcard(record.value.unwrap()).unwrap() {
            Written::JoinPane(pane) => read.extend(pane.cells),
            Written::Arrived(pane) => read_arrived.extend(pane.cells),
            Written::Losses(pane) => read_losses.extend(pane.cells),
            Written::Exact(pane) => read_exact.extend(pane.cells),
            other => panic!("{other:?}"),
        }
    }
    assert!(out.len() > 2);
    assert_eq!((read, read_arrived, read_losses, read_exact), (cells, arrived, losses, exact));
}

#[test]
fn what_contradicts_itself_is_an_error() {
    let source = tracking();
    let mut join = assigned(config(1), None);
    let fails = |join: &mut super::Join, record: &Tracking, part: &str| {
        let batch = batches(std::slice::from_ref(record), || false).remove(0);
        let error = join.step(Input::Batch(&batch), &mut Outputs::default()).unwrap_err();
        assert!(error.message.contains(part), "{error}");
        assert_eq!(error.class, ErrorClass::Internal);
    };
    let Tracking::Predictions(good) = records(&[p(0, 0, 7, 12)], || false).remove(0) else { panic!() };
    let mut bad = good.clone();
    bad.offsets.clear();
    fails(&mut join, &Tracking::Predictions(bad), "1 rows, one per id");
    let mut bad = good.clone();
    bad.scores[0].push(0.5);
    fails(&mut join, &Tracking::Predictions(bad), "2 scores of a version");
    let mut bad = good.clone();
    bad.segments[0].codes[0] = 2;
    fails(&mut join, &Tracking::Predictions(bad), "each below 2");
    let mut bad = good.clone();
    bad.line_up = domain::LineUp { members: vec![], ..line_up(1) };
    fails(&mut join, &Tracking::Predictions(bad), "at least one");
    let Tracking::Labels(mut bad) = records(&[l(0, 0, 7, 12, 1.0)], || false).remove(0) else { panic!() };
    bad.values[0] = f64::NAN;
    fails(&mut join, &Tracking::Labels(bad), "no number");
    join.step(Input::Revoked(&source), &mut Outputs::default()).unwrap();
    fails(&mut join, &Tracking::Predictions(good), "expected an assignment");
}

#[test]
fn a_checkpoint_of_other_rules_or_of_nonsense_is_refused() {
    let join = assigned(config(1), None);
    let bytes = join.snapshot(&tracking()).unwrap();
    let mut other = config(1);
    other.rules.horizon_ms += 1;
    for (bytes, config, class) in [
        (bytes.as_slice(), other, ErrorClass::User),
        (&bytes[..bytes.len() - 1], config(1), ErrorClass::Internal),
        (&[], config(1), ErrorClass::Internal),
    ] {
        let source = tracking();
        let input = Input::Assigned { source: &source, offset: Some(1), metadata: None, snapshot: Some(bytes) };
        let error = super::Join::new(config).step(input, &mut Outputs::default()).unwrap_err();
        assert_eq!(error.class, class, "{error}");
    }
    // The number of partitions may grow: it is not part of what a checkpoint must agree in.
    assigned(config(2), Some(&bytes));
}

#[test]
fn join_writes_only_variants_that_do_not_depend_on_the_profile() {
    let pane = records::to_postcard(&Journal::<Vec<u64>, Cell>::Tick { now_ms: 4 }).unwrap();
    assert_eq!(records::from_postcard::<Written>(&pane).unwrap(), Written::Tick { now_ms: 4 });
}
