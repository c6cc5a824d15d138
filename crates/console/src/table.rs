//! The summary as text for a terminal.

use crate::shown::Shown;
use crate::summary::{Scored, Summary};
use std::fmt::{self, Write};

/// Text under construction, line by line.
struct Page(String);

impl Page {
    fn line(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        writeln!(self.0, "{text}").unwrap_or_default();
    }
}

/// The table a person can check.
#[must_use]
pub fn render(summary: &Summary) -> String {
    let mut page = Page(String::new());
    counts(&mut page, summary);
    months(&mut page, summary);
    decisions(&mut page, summary);
    alerts(&mut page, summary);
    page.line(format_args!(
        "\n{:.0} events/s over the whole replay, training included; it waited at `lead` for {:.1} s",
        summary.events_per_second, summary.held_seconds
    ));
    page.0
}

fn counts(page: &mut Page, s: &Summary) {
    page.line(format_args!(
        "events       {:>9} produced = {} scored + {} rejected    (labels rejected: {})",
        s.events_produced, s.scored, s.rejected, s.labels_rejected
    ));
    page.line(format_args!(
        "predictions  {:>9} = {} joined + {} pending + {} expired + {} repeated\n",
        s.predictions, s.joined, s.pending, s.expired, s.repeated
    ));
}

fn months(page: &mut Page, summary: &Summary) {
    let (task, shown) = summary.shown;
    let is_known = |one: &Shown| summary.served.as_ref().is_some_and(|s| s.metrics.contains_key(one.metric));
    let known: Vec<Shown> = shown.into_iter().filter(is_known).collect();
    let titles: Vec<String> = known.iter().map(|one| format!("   {:<19}", one.title)).collect();
    page.line(format_args!("{:<9} {:>8}{}", "", "", titles.concat().trim_end()));
    let rows = if task.has_labels() { "labelled" } else { "rows" };
    let sides: Vec<String> = known.iter().map(|_| format!("   {:>9} {:>9}", "served", "frozen")).collect();
    page.line(format_args!("{:<9} {rows:>8}{}", "month", sides.concat()));
    let number = |scored: &Scored, of: &Shown| {
        scored.metrics.get(of.metric).map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
    };
    let mut row = |name: &str, served: &Scored, frozen: &Scored| {
        let pair = |of: &Shown| format!("   {:>9} {:>9}", number(served, of), number(frozen, of));
        page.line(format_args!("{name:<9} {:>8}{}", served.rows, known.iter().map(pair).collect::<String>()));
    };
    for month in &summary.months {
        row(&month.month, &month.served, &month.frozen);
    }
    if let (Some(served), Some(frozen)) = (&summary.served, &summary.frozen) {
        row("all", served, frozen);
    }
}

fn decisions(page: &mut Page, summary: &Summary) {
    page.line(format_args!("\nretraining runs: {}", summary.runs.len()));
    for run in &summary.runs {
        page.line(format_args!(
            "  {:>3}  {}  {:<10} {:<11} {} {}",
            run.run,
            day(&run.cut_off),
            run.trigger,
            run.state,
            run.version.as_deref().unwrap_or("-"),
            run.family.as_deref().unwrap_or("-"),
        ));
    }
    page.line(format_args!("\nswaps: {}", summary.swaps.len()));
    for swap in &summary.swaps {
        page.line(format_args!(
            "  promotion {:>3}  {} from {}/{} offset {}",
            swap.promotion, swap.version, swap.topic, swap.partition, swap.from_offset
        ));
    }
}

fn alerts(page: &mut Page, summary: &Summary) {
    page.line(format_args!("\nalerts: {}", summary.alerts.len()));
    for alert in &summary.alerts {
        let end = alert.resolved.as_ref().map_or_else(|| "open".to_owned(), |r| format!("resolved {}", day(r)));
        page.line(format_args!(
            "  {}  {:<19} {:<8} {} > {:.3}  {end}  {}",
            day(&alert.raised),
            alert.name,
            alert.tier,
            evidence(alert.value),
            alert.threshold,
            alert.features.iter().take(3).cloned().collect::<Vec<_>>().join(", "),
        ));
    }
}

/// A statistic; the capital of a bet grows beyond all digits.
fn evidence(value: f64) -> String {
    if value < 1e6 { format!("{value:.3}") } else { format!("{value:.2e}") }
}

/// The date of an RFC 3339 time.
fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}
