//! All columns at once: a relation that changes while every column keeps its histogram.

use super::fixtures::{PARTITIONS, ROWS_PER_PARTITION, SLICE_MS, Script, hash, unit, watched};
use super::world::World;
use crate::config::Known;
use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use domain::{SourcePartition, Version};
use profile::{Kernel, MeanVector};
use records::alert::State;
use records::journal::{KernelCell, KernelPane};
use std::any::Any;
use std::sync::{Arc, LazyLock};

static KERNEL: LazyLock<Arc<Kernel>> =
    LazyLock::new(|| Arc::new(Kernel::fit(&rows(1, 3_000, false), 256, 5).unwrap().unwrap()));

/// Two columns over (0, 3), the second of which may be the first.
fn rows(seed: u64, count: u64, is_related: bool) -> RecordBatch {
    let column = |seed: u64| (0..count).map(|row| 3.0 * unit(hash(seed) ^ row)).collect::<Float64Array>();
    let (x, y) = (column(seed), column(if is_related { seed } else { seed ^ 0xffff_0000 }));
    RecordBatch::try_from_iter([("x", Arc::new(x) as ArrayRef), ("y", Arc::new(y) as ArrayRef)]).unwrap()
}

/// What score tells of a partition's rows of a slice.
pub(super) fn pane(source: &SourcePartition, slice: i64, version: Version, is_related: bool) -> KernelPane<MeanVector> {
    let place = slice * i64::from(PARTITIONS) + i64::from(source.partition);
    let sum = KERNEL.sum(&rows(1_000 + place.unsigned_abs(), ROWS_PER_PARTITION, is_related)).unwrap();
    let cell = KernelCell { slice_start_ms: slice * SLICE_MS, version, sum };
    KernelPane { source: source.clone(), from_offset: 0, to_offset: 0, cells: vec![cell] }
}

/// As [`watched()`], with a kernel and how it wanders.
fn watched_together() -> Arc<dyn Any + Send + Sync> {
    let Ok(known) = watched().downcast::<Known>() else { unreachable!() };
    let mut known = Known::clone(&known);
    known.kernel = Some(Arc::clone(&KERNEL));
    let wander = known.wander.as_mut().unwrap();
    wander.joint = Some(wander.columns[0]);
    Arc::new(known)
}

fn script(related_from: i64) -> Script {
    Script { known: watched_together, related_from: Some(related_from), ..Script::quiet(40) }
}

#[test]
fn nothing_is_found_where_nothing_changes() {
    for seed in 0..3 {
        let world = World::run(script(i64::MAX), seed, true);
        assert_eq!(world.alerts(), [], "seed {seed}");
    }
}

#[test]
fn a_changed_relation_is_raised_though_no_column_has_moved() {
    let undisturbed = World::run(script(10), 9, false);
    let alerts = undisturbed.alerts();
    let raised = &alerts[0];
    assert_eq!((raised.state, raised.tier.as_str(), raised.name.as_str()), (State::Raised, "feature", "vigie.drift"));
    assert_eq!(raised.features, ["joint_distribution"]);
    assert!(raised.value > raised.threshold && raised.threshold > 0.0, "{raised:?}");
    assert!(raised.window.start.starts_with("1970-01-01T00:00:1"), "{raised:?}");
    assert!(raised.detail.contains("squared MMD of all columns together"), "{}", raised.detail);
    assert_eq!(raised.example_ids.len(), 3, "{raised:?}");
    assert!(alerts.iter().all(|alert| alert.tier == "feature" && alert.id == raised.id), "{alerts:?}");
    // With crashes in between the same is said.
    let crashed = World::run(script(10), 9, true);
    assert_eq!(crashed.alerts(), alerts);

    let windows = crashed.windows();
    let of = |slice: i64| {
        let start = format!("1970-01-01T00:00:{slice:02}.000Z");
        let all_rows = windows.iter().filter(|(key, _)| key.ends_with("/*/*")).flat_map(|(_, windows)| windows);
        all_rows.filter(|window| window.window.start == start).map(|window| window.joint.unwrap()).collect::<Vec<_>>()
    };
    for (slice, is_related) in [(3, false), (20, true)] {
        let told = of(slice);
        assert!(told.len() > 1 && told.iter().all(|joint| *joint == told[0]), "closed, mature and final: {told:?}");
        assert_eq!(told[0].drifted, is_related, "{slice}: {told:?}");
        assert_eq!(told[0].squared_mmd > told[0].threshold, is_related, "{slice}: {told:?}");
    }
}

/// As [`watched_together()`], with half of the frequencies.
fn watched_with_another() -> Arc<dyn Any + Send + Sync> {
    let Ok(known) = watched_together().downcast::<Known>() else { unreachable!() };
    let mut kernel = Kernel::clone(&KERNEL);
    kernel.frequencies.truncate(kernel.frequencies.len() / 2);
    Arc::new(Known { kernel: Some(Arc::new(kernel)), ..Known::clone(&known) })
}

/// What the bundle's kernel cannot have made is left alone.
#[test]
fn sums_of_another_kernel_or_none_say_nothing() {
    for known in [watched, watched_with_another] {
        let world = World::run(Script { known, ..script(10) }, 4, true);
        assert_eq!(world.alerts(), []);
        assert!(world.windows().values().flatten().all(|window| window.joint.is_none()));
    }
}
