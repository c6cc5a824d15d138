//! Records a second that the join takes on one core, through `step` as the runner calls it:
//! decoding, the table, the cells of two segment columns, and the panes.
//!
//! `cargo run -p track --example join [--release]`

#![allow(clippy::print_stdout, clippy::expect_used)]

mod stream;

use domain::{Input, Outputs, RawBatch, Stage};
use std::time::Instant;
use stream::{ROWS, batch, labels, markers, predictions};

const RECORDS: usize = 2_000;
/// A row a second: 86,400 in a slice, 350,000 open at a time.
const STEP_MS: i64 = 1_000;
/// Labels stand this many records behind their predictions: six hours.
const LAG: usize = 22;
/// Records in one batch of the runner.
const RECORDS_PER_BATCH: usize = 8;

fn batches() -> Vec<RawBatch> {
    let (mut all, mut offset, mut records) = (Vec::new(), 0, Vec::new());
    let time_of = |number: usize| i64::try_from(number * ROWS).expect("small") * STEP_MS;
    let day = |number: usize| time_of(number).div_euclid(86_400_000);
    for number in 1..RECORDS + LAG {
        if number < RECORDS {
            records.push(predictions(number, STEP_MS));
        }
        if number > LAG {
            records.push(labels(number - LAG, STEP_MS));
        }
        if day(number) != day(number - 1) {
            records.extend(markers(false, time_of(number) - 3_600_000));
            records.extend(markers(true, time_of(number.saturating_sub(LAG)) - 3_600_000));
        }
        if records.len() >= RECORDS_PER_BATCH {
            all.push(batch(&mut offset, &records));
            records.clear();
        }
    }
    all.push(batch(&mut offset, &records));
    all
}

#[allow(clippy::cast_precision_loss)]
fn main() {
    let batches = batches();
    let bytes: usize = batches.iter().map(RawBatch::byte_len).sum();
    let rows = (2 * (RECORDS - 1) * ROWS) as f64;
    println!("{rows} records in {} batches, {:.1} bytes each", batches.len(), bytes as f64 / rows);
    for (round, exact_areas) in [(1, false), (1, true), (2, false), (2, true), (3, false), (3, true)] {
        let mut join = stream::assigned(None, exact_areas);
        let (mut written, mut out) = (0, Outputs::default());
        let start = Instant::now();
        for batch in &batches {
            out.clear();
            join.step(Input::Batch(batch), &mut out).expect("the join takes it");
            written += out.byte_len();
        }
        let seconds = start.elapsed().as_secs_f64();
        let what = if exact_areas { " with exact areas" } else { "" };
        let rate = rows / seconds / 1e6;
        println!("round {round}{what}: {rate:.3} million records/s, {written} bytes to the journal");
        println!("  {}", join.commit_metadata(&stream::tracking()));
    }
}
