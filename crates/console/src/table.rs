//! The summary as text for a terminal.

use crate::summary::{Scored, Summary};
use std::fmt::Write;

/// The table a person can check.
#[must_use]
pub fn render(summary: &Summary) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut line = |text: std::fmt::Arguments<'_>| writeln!(out, "{text}").unwrap_or_default();
    line(format_args!(
        "events       {:>9} produced = {} scored + {} rejected    (labels rejected: {})",
        summary.events_produced, summary.scored, summary.rejected, summary.labels_rejected
    ));
    line(format_args!(
        "predictions  {:>9} = {} joined + {} pending + {} expired + {} repeated",
        summary.predictions, summary.joined, summary.pending, summary.expired, summary.repeated
    ));
    line(format_args!(""));
    line(format_args!("{:<9} {:>8}   {:<19}   {:<19}", "", "", "log loss (or rmse)", "AUC"));
    line(format_args!("{:<9} {:>8}   {:>9} {:>9}   {:>9} {:>9}", "month", "labelled", "served", "frozen", "served", "frozen"));
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
    let mut row = |name: &str, served: &Scored, frozen: &Scored| {
        line(format_args!(
            "{name:<9} {:>8}   {:>9} {:>9}   {:>9} {:>9}",
            served.rows,
            number(served.log_loss.or(served.rmse)),
            number(frozen.log_loss.or(frozen.rmse)),
            number(served.auc),
            number(frozen.auc),
        ));
    };
    for month in &summary.months {
        row(&month.month, &month.served, &month.frozen);
    }
    if let (Some(served), Some(frozen)) = (&summary.served, &summary.frozen) {
        row("all", served, frozen);
    }
    line(format_args!("\nretraining runs: {}", summary.runs.len()));
    for run in &summary.runs {
        line(format_args!(
            "  {:>3}  {}  {:<10} {:<9} {} {}",
            run.run,
            run.cut_off.get(..10).unwrap_or_default(),
            run.trigger,
            run.state,
            run.version.as_deref().unwrap_or("-"),
            run.family.as_deref().unwrap_or("-"),
        ));
    }
    line(format_args!("\nswaps: {}", summary.swaps.len()));
    for swap in &summary.swaps {
        line(format_args!(
            "  promotion {:>3}  {} from {}/{} offset {}",
            swap.promotion, swap.version, swap.topic, swap.partition, swap.from_offset
        ));
    }
    line(format_args!("\nalerts: {}", summary.alerts.len()));
    for alert in &summary.alerts {
        line(format_args!(
            "  {}  {:<19} {:<8} {:.3} > {:.3}  {}  {}",
            alert.raised.get(..10).unwrap_or_default(),
            alert.name,
            alert.tier,
            alert.value,
            alert.threshold,
            alert.resolved.as_ref().map_or("open".to_owned(), |r| format!("resolved {}", r.get(..10).unwrap_or_default())),
            alert.features.iter().take(3).cloned().collect::<Vec<_>>().join(", "),
        ));
    }
    line(format_args!("\n{:.0} events/s; the replay waited at `lead` for {:.1} s", summary.events_per_second, summary.held_seconds));
    out
}
