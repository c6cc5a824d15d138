//! Label chaos: shuffled, duplicated, corrected, early, late, missing and orphan labels, clocks far
//! off and broken scores, through joins that crash, lose partitions and read their log again, give
//! exactly the counts and cells of an oracle that looks at the set of records once.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod oracle;
mod replicas;
mod world;

use records::journal::JoinCounters;
use track::Unlabelled;
use world::{Draw, HORIZON, MATURITY, Setting, World};

#[test]
fn any_order_cut_and_crash_gives_the_numbers_of_the_set() {
    let mut seen = JoinCounters::default();
    let (mut cells_seen, mut arrived_seen, mut losses_seen, mut crashes) = (0, 0, 0, 0);
    for seed in 0..120 {
        let setting = Setting {
            tracking_partitions: [1, 2, 5][seed % 3],
            unlabelled: if seed % 2 == 0 { Unlabelled::Unknown } else { Unlabelled::Negative },
            maturity_ms: if seed % 8 < 6 { MATURITY } else { HORIZON },
            rows_max: if seed % 4 < 2 { usize::MAX } else { 40 },
        };
        let mut draw = Draw(seed as u64);
        let world = World::new(setting, &mut draw);
        let truth = oracle::truth(&world);
        seen.add(&truth.counters);
        cells_seen += truth.cells.len();
        arrived_seen += truth.arrived.len();
        let mut losses = None;
        for order in 0..2 {
            let said = replicas::run(&world, &mut draw);
            let what = format!("seed {seed}, order {order}, {setting:?}");
            assert_eq!(said.counters(), truth.counters, "{what}");
            assert_eq!(said.coverage, truth.coverage, "{what}");
            assert_eq!(said.cells.keys().collect::<Vec<_>>(), truth.cells.keys().collect::<Vec<_>>(), "{what}");
            for (key, cell) in &truth.cells {
                let found = &said.cells[key];
                assert_eq!(replicas::confusion(found), cell.confusion, "{what}: {key:?}");
                let bytes = |cell| records::to_postcard(cell).unwrap();
                assert_eq!(bytes(found), bytes(&cell.sums), "{what}: {key:?}");
            }
            assert_eq!(said.arrived, truth.arrived, "{what}");
            assert_eq!(said.exact, truth.exact, "{what}");
            assert_eq!(losses.get_or_insert_with(|| said.losses()), &said.losses(), "{what}");
            losses_seen += said.losses().values().map(Vec::len).sum::<usize>();
            crashes += said.crashes;
        }
    }
    println!("{cells_seen} cells, {arrived_seen} by label time, {crashes} crashes and moves, {seen:?}");
    // The worlds must not be dull.
    let predictions = [seen.joined, seen.in_training, seen.pending, seen.expired, seen.assumed, seen.repeated];
    let labels = [seen.waiting, seen.orphan, seen.duplicate, seen.corrected, seen.late];
    let overflow = [seen.predictions_overflow, seen.labels_overflow];
    let all = predictions.iter().chain(&labels).chain(&overflow);
    assert!(all.clone().all(|n| *n > 100) && cells_seen > 3_000 && arrived_seen > 1_000 && crashes > 300);
    assert!(losses_seen > 1_000, "{losses_seen}");
}
