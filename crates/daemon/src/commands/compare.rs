//! `vigie compare`: two files, column by column, by our rules or by those of other tools.
//!
//! Read in this order: [`table`] (a file), [`columns`] (what of two files is compared), [`outcome`]
//! (what a rule says), the rules [`vigie`], [`evidently`] and [`nannyml`], which know no files, and
//! [`text`] (the output for people).

mod columns;
mod evidently;
mod nannyml;
mod outcome;
mod table;
mod text;
mod vigie;

use crate::cli::{Compare, Rules};
use columns::{Column, Skipped, side_by_side};
use detect::parity::evidently::DATASET_SHARE;
use outcome::Outcome;
use serde::Serialize;
use std::io::{BufWriter, Write};
use table::Table;

/// What two files are like: the keys of `--json`, a public interface.
#[derive(Debug, Serialize)]
struct Comparison {
    rules: &'static str,
    reference: File,
    current: File,
    columns: Vec<Compared>,
    skipped: Vec<Skipped>,
    /// Columns of which at least one rule says so.
    drifted_columns: usize,
    /// Evidently alone says this; null where columns of which nothing can be said decide.
    dataset_drifted: Option<bool>,
}

/// One of the files.
#[derive(Debug, Serialize)]
struct File {
    file: String,
    rows: usize,
}

/// A column that is in both files.
#[derive(Debug, Serialize)]
struct Compared {
    column: String,
    /// `number` or `category`.
    kind: &'static str,
    /// Share of rows without a value; null where there are no rows.
    missing_reference: Option<f64>,
    missing_current: Option<f64>,
    results: Vec<Outcome>,
}

/// Compares the files and prints what was found. Drift is no failure: the exit code is 0.
pub(crate) fn run(args: &Compare) -> anyhow::Result<()> {
    let comparison = compare(args)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&comparison)?)?;
    } else {
        text::write(&comparison, &mut out)?;
    }
    Ok(out.flush()?)
}

fn compare(args: &Compare) -> anyhow::Result<Comparison> {
    let (reference, current) = (Table::read(&args.reference)?, Table::read(&args.current)?);
    let (columns, skipped) = side_by_side(&reference, &current, &args.columns)?;
    let results: Vec<Vec<Outcome>> = match args.rules {
        Rules::Vigie => vigie::compare(&columns)?,
        Rules::Evidently => columns.iter().map(|column| vec![evidently::compare(&column.values)]).collect(),
        Rules::Nannyml => columns.iter().map(|column| nannyml::compare(&column.values)).collect(),
    };
    let columns: Vec<Compared> =
        columns.iter().zip(results).map(|(column, results)| Compared::new(column, results)).collect();
    let told: Vec<bool> = columns.iter().filter_map(Compared::is_drifted).collect();
    let drifted_columns = told.iter().filter(|drifted| **drifted).count();
    let file = |table: &Table| File { file: table.file.clone(), rows: table.rows() };
    Ok(Comparison {
        rules: name(args.rules),
        reference: file(&reference),
        current: file(&current),
        dataset_drifted: dataset_verdict(drifted_columns, told.len(), columns.len())
            .filter(|_| args.rules == Rules::Evidently),
        columns,
        skipped,
        drifted_columns,
    })
}

/// Evidently counts all columns, those too of which nothing can be said here: `None` where they decide.
fn dataset_verdict(drifted: usize, told: usize, all: usize) -> Option<bool> {
    let is_drifted = |columns: usize| columns as f64 >= DATASET_SHARE * all as f64;
    let (least, most) = (is_drifted(drifted), is_drifted(drifted + all.saturating_sub(told)));
    (told > 0 && least == most).then_some(least)
}

/// As on the command line.
fn name(rules: Rules) -> &'static str {
    match rules {
        Rules::Vigie => "vigie",
        Rules::Evidently => "evidently",
        Rules::Nannyml => "nannyml",
    }
}

impl Compared {
    fn new(column: &Column, results: Vec<Outcome>) -> Self {
        let missing = column.values.missing();
        Self {
            column: column.name.clone(),
            kind: column.values.kind(),
            missing_reference: missing.reference,
            missing_current: missing.current,
            results,
        }
    }

    /// Whether a rule says so; `None` where none could tell.
    fn is_drifted(&self) -> Option<bool> {
        self.results.iter().filter_map(|outcome| outcome.drifted).reduce(|any, drifted| any || drifted)
    }
}

#[cfg(test)]
mod tests;
