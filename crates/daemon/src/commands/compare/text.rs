//! The comparison as a table for people.

use super::{Compared, Comparison};
use std::io::{self, Write};

/// Cells of a line.
const CELLS: usize = 9;
const HEADER: [&str; CELLS] = ["column", "kind", "rule", "value", "p", "threshold", "drifted", "missing", ""];
/// What stands where nothing can be said.
const NONE: &str = "-";

/// Writes an aligned table, then what was skipped, then what is to be said of the files as a whole.
pub(super) fn write(comparison: &Comparison, out: &mut impl Write) -> io::Result<()> {
    if comparison.columns.is_empty() {
        writeln!(out, "nothing to compare")?;
    } else {
        let lines = comparison.columns.iter().flat_map(lines);
        table(&std::iter::once(HEADER.map(str::to_owned)).chain(lines).collect::<Vec<_>>(), out)?;
    }
    for skipped in &comparison.skipped {
        writeln!(out, "{} is skipped: {}", one_line(&skipped.column), one_line(&skipped.reason))?;
    }
    let (old, new) = (&comparison.reference, &comparison.current);
    writeln!(
        out,
        "{} of {} columns have drifted between {} ({} rows) and {} ({} rows)",
        comparison.drifted_columns,
        comparison.columns.len(),
        one_line(&old.file),
        old.rows,
        one_line(&new.file),
        new.rows
    )?;
    if let Some(drifted) = comparison.dataset_drifted {
        writeln!(out, "the data set has {}drifted; that takes half of its columns", if drifted { "" } else { "not " })?;
    }
    writeln!(out, "{}", thresholds(comparison.rules))
}

/// What the thresholds of these rules are worth.
fn thresholds(rules: &str) -> &'static str {
    match rules {
        "vigie" => {
            "psi of a column at its tolerance is above the threshold in 5 % of samples of these sizes; drifted is \
             corrected for the number of columns"
        }
        "evidently" => {
            "thresholds of Evidently 0.7.23 are fixed: they alarm on noise where rows are few, and on trifles where \
             rows are many"
        }
        _ => {
            "thresholds of NannyML 0.13.1 are mean and three standard deviations over tenths of the reference; they \
             know nothing of the current file's size, nor of how many columns there are"
        }
    }
}

/// A line per rule.
fn lines(column: &Compared) -> impl Iterator<Item = [String; CELLS]> {
    column.results.iter().map(move |outcome| {
        let threshold = outcome.threshold.zip(outcome.alarm_when);
        [
            one_line(&column.column),
            column.kind.to_owned(),
            outcome.rule.to_owned(),
            number(outcome.value),
            number(outcome.p_value),
            threshold.map_or_else(|| NONE.to_owned(), |(at, when)| format!("{}{}", when.symbol(), number(Some(at)))),
            outcome.drifted.map_or(NONE, |drifted| if drifted { "yes" } else { "no" }).to_owned(),
            format!("{} {}", share(column.missing_reference), share(column.missing_current)),
            outcome.note.unwrap_or_default().to_owned(),
        ]
    })
}

fn table(lines: &[[String; CELLS]], out: &mut impl Write) -> io::Result<()> {
    let width = |cell: usize| {
        let cells = lines.iter().filter_map(|line| line.get(cell));
        cells.map(|text| text.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..CELLS).map(width).collect();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(text, &width)| format!("{text:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Six digits after the point, or three and an exponent where those would say nothing.
fn number(value: Option<f64>) -> String {
    match value {
        None => NONE.to_owned(),
        Some(x) if x == 0.0 || (1e-4..1e9).contains(&x.abs()) => format!("{x:.6}"),
        Some(x) => format!("{x:.3e}"),
    }
}

fn share(of: Option<f64>) -> String {
    of.map_or_else(|| NONE.to_owned(), |share| format!("{:.1}%", share * 100.0))
}

/// Names from a file: what would move a cursor is replaced.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::columns::Skipped;
    use super::super::outcome::{AlarmWhen, NOTHING, Outcome};
    use super::super::{Compared, Comparison, File};
    use super::{number, write};

    fn column(name: &str, missing_current: Option<f64>, results: Vec<Outcome>) -> Compared {
        let column = name.to_owned();
        Compared { column, kind: "number", missing_reference: Some(0.0), missing_current, results }
    }

    fn check(columns: Vec<Compared>, expected: &str) {
        let file = |file: &str| File { file: file.to_owned(), rows: 3 };
        let comparison = Comparison {
            rules: "evidently",
            reference: file("a.csv"),
            current: file("b.csv"),
            dataset_drifted: (!columns.is_empty()).then_some(true),
            drifted_columns: columns.len().min(1),
            columns,
            skipped: vec![Skipped { column: "at\n".to_owned(), reason: "it is Date32".to_owned() }],
        };
        let mut out = Vec::new();
        write(&comparison, &mut out).unwrap();
        let end = "thresholds of Evidently 0.7.23 are fixed: they alarm on noise where rows are few, and on trifles \
                   where rows are many\n";
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}{end}"));
    }

    #[test]
    fn the_table_is_aligned_and_says_what_cannot_be_said() {
        let mut found = Outcome::new("wasserstein", 0.25, Some(0.1), AlarmWhen::AtOrAbove);
        found.drifted = Some(true);
        let silent = Outcome::silent("none", NOTHING);
        check(
            vec![column("é", Some(0.125), vec![found]), column("long", None, vec![silent])],
            "\
column  kind    rule         value     p  threshold    drifted  missing
é       number  wasserstein  0.250000  -  >= 0.100000  yes      0.0% 12.5%
long    number  none         -         -  -            -        0.0% -      nothing to compare
at\u{fffd} is skipped: it is Date32
1 of 2 columns have drifted between a.csv (3 rows) and b.csv (3 rows)
the data set has drifted; that takes half of its columns
",
        );
        check(
            Vec::new(),
            "\
nothing to compare
at\u{fffd} is skipped: it is Date32
0 of 0 columns have drifted between a.csv (3 rows) and b.csv (3 rows)
",
        );
    }

    #[test]
    fn small_and_large_numbers_have_an_exponent() {
        let shown = [Some(0.0), Some(0.05), Some(1.5e-8), Some(-2e12), None].map(number);
        assert_eq!(shown, ["0.000000", "0.050000", "1.500e-8", "-2.000e12", "-"]);
    }
}
