//! Bytes that the join holds for a million open predictions, measured by a counting allocator.
//!
//! `cargo run -p track --example memory [--release]`

#![allow(clippy::print_stdout, clippy::expect_used)]
// A counting allocator cannot be written without; it only passes calls on.
#![allow(unsafe_code)]

mod stream;

use domain::{Input, Outputs, Stage};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grew(bytes: usize) {
    let now = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grew(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grew(size);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MILLION: usize = 1_000_000;
/// 600,000 events in a slice.
const STEP_MS: i64 = 144;

/// Live bytes added by a million rows, and the most that were live meanwhile.
fn fill(join: &mut track::Join, record: impl Fn(usize) -> records::tracking::Tracking) -> (usize, usize) {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let mut offset = i64::try_from(before).expect("small"); // grows from one fill to the next
    for number in 0..MILLION / stream::ROWS {
        let batch = stream::batch(&mut offset, &[record(number)]);
        join.step(Input::Batch(&batch), &mut Outputs::default()).expect("the join takes it");
    }
    (LIVE.load(Ordering::Relaxed) - before, PEAK.load(Ordering::Relaxed) - before)
}

fn tell(what: &str, (live, peak): (usize, usize)) {
    let mib = |bytes: usize| format!("{}.{:02} MB", bytes / MILLION, bytes % MILLION / 10_000);
    println!("{what}: {} live ({} bytes each), {} at most", mib(live), live / MILLION, mib(peak));
}

fn main() {
    let mut join = stream::assigned(None, false);
    let open = fill(&mut join, |number| stream::predictions(number, STEP_MS));
    tell("1,000,000 open predictions", open);
    let checkpoint = join.snapshot(&stream::tracking()).expect("a partition that is ours");
    tell("their checkpoint", (checkpoint.len(), checkpoint.capacity()));
    tell("a label for each", fill(&mut join, |number| stream::labels(number, STEP_MS)));
    tell(
        "1,000,000 labels of unknown ids",
        fill(&mut stream::assigned(None, false), |number| stream::orphans(number, STEP_MS)),
    );
    assert!(open.0 <= 64 * MILLION, "more than 64 MB: {} bytes", open.0);
}
