//! How long `apply` takes per row and column, with and without derived columns.
//!
//! Run it built for release: `cargo run --release -p prepare --example apply_speed`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people, not part of the product")]

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use domain::{EventSchema, Field, FieldType};
use prepare::{Derive, Needs, Recipe, fit};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const ROWS: usize = 1_024;
const ROUNDS: usize = 2_000;

fn main() {
    let (schema, rows) = input();
    let sql = |name: &str, sql: &str| Derive { name: name.to_owned(), sql: sql.to_owned() };
    let derive = vec![sql("near", "n0 between 0.1 and 0.4"), sql("sum", "n1 + n2 * 2.0")];
    let recipes = [("raw", Recipe::default()), ("with 2 derived", Recipe { derive, step: vec![] })];
    for (what, recipe) in recipes {
        for needs in [Needs::Trees, Needs::Dense] {
            let fitted = fit(&recipe, "any", needs, &schema, &rows).unwrap();
            let start = Instant::now();
            for _ in 0..ROUNDS {
                black_box(fitted.apply(black_box(&rows)).unwrap());
            }
            let nanos = start.elapsed().as_nanos() as f64 / (ROUNDS * ROWS) as f64;
            println!("{what}, {needs:?}: {nanos:.1} ns per row, {} features", fitted.features().len());
        }
    }
}

/// 16 numbers and 4 categories of 300 values, a twentieth of the numbers missing.
fn input() -> (EventSchema, RecordBatch) {
    let field = |name: String, field_type| Field { name, field_type, required: false };
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for i in 0..16 {
        fields.push(field(format!("n{i}"), FieldType::Float));
        columns.push(Arc::new((0..ROWS).map(|_| Some(next()).filter(|x| *x > 0.05)).collect::<Float64Array>()));
    }
    for i in 0..4 {
        fields.push(field(format!("c{i}"), FieldType::Category));
        let texts = (0..ROWS).map(|_| Some(format!("airport-{}", (next() * 300.0) as u32)));
        columns.push(Arc::new(texts.collect::<StringArray>()));
    }
    let schema = EventSchema { fields };
    let rows = RecordBatch::try_new(schema.arrow(), columns).unwrap();
    (schema, rows)
}
