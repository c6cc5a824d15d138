//! The delivery proof in short, and that it can fail: `scripts/prove` runs it at length.

use crate::support::vigie::binary_named;
use tests::proof::{Plan, Report, Scenario, prove};

fn run(binary: &str, scenario: Scenario, compares: bool) -> Report {
    run_with(2, binary, scenario, compares)
}

fn run_with(processes: usize, binary: &str, scenario: Scenario, compares: bool) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        binary: binary_named(binary),
        folder: folder.path().join("proof"),
        scenario,
        processes,
        seed: 7,
        rate: 2_000,
        compares,
        kafka: None,
    };
    prove(&plan).unwrap()
}

fn faults(list: &[&str]) -> Vec<String> {
    list.iter().map(|fault| (*fault).to_owned()).collect()
}

#[test]
fn processes_are_killed() {
    let report = run("vigie", Scenario::Kills(4), true);
    assert!(report.holds() && report.finals > 0, "{report}\n{:#?}", report.problems);
}

#[test]
fn swaps_imposed_on_an_undisturbed_run_give_the_same_statistics() {
    let report = run("vigie", Scenario::Swaps(4), true);
    assert!(report.holds() && report.finals > 0, "{report}\n{:#?}", report.problems);
    assert!(report.versions == 2 && report.swaps > 8, "every partition swaps more than once: {report}");
}

/// What it is compared with is one process, under the same swaps; the test above has two.
#[test]
fn eight_processes_give_the_same_statistics_as_one() {
    let report = run_with(8, "vigie", Scenario::Swaps(2), true);
    assert!(report.holds() && report.finals > 0 && report.swaps > 4, "{report}\n{:#?}", report.problems);
    assert!(report.assignments > 16, "partitions were not shared: {report}");
}

#[test]
fn processes_crash_freeze_and_give_up_in_the_middle_of_a_commit() {
    let list = ["crash:score:flushed:5", "stop:score:flushed:5", "abort:score:flushed:7", "crash:join:committed:5"];
    let report = run("vigie-faulty", Scenario::Faults(faults(&list)), true);
    assert!(report.holds() && report.finals > 0, "{report}\n{:#?}", report.problems);
}

/// A bug and the fault that shows it; what the checker must find.
fn is_caught(bug: &str, fault: &str, found: impl Fn(&Report) -> bool) {
    let report = run("vigie-faulty", Scenario::Bug(bug.to_owned(), faults(&[fault])), false);
    assert!(!report.holds() && found(&report), "the bug {bug} was not caught: {report}");
}

#[test]
fn offsets_committed_before_outputs_are_caught() {
    is_caught("commit_first", "crash:score:produced:5", |report| report.lost > 0);
}

#[test]
fn reading_on_after_an_abort_is_caught() {
    is_caught("no_rewind", "abort:score:flushed:7", |report| report.lost > 0);
}

#[test]
fn commits_of_a_process_that_was_frozen_are_caught() {
    is_caught("no_generation", "stop:score:flushed:5", |report| report.duplicated > 0);
}
