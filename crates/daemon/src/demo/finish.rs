//! The demo's end: wait until everything sent has gone all the way, then tell and check.

use crate::cli::Demo;
use crate::pipeline::Running;
use crate::send::Sent;
use console::server::SharedView;
use console::summary::{Replay, Summary};
use console::{View, table};
use kafka::Progress;
use records::control::RunState;
use std::io::Write;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// The pipeline is done when nothing has moved for this long.
const QUIET: Duration = Duration::from_millis(1_500);
/// It hangs when nothing has moved for this long and something is missing.
const HANGS_AFTER: Duration = Duration::from_secs(180);

/// Waits until every record sent has been scored, joined and judged; tells when anything last moved.
pub(crate) fn wait(running: &Running, view: &SharedView, progress: &Progress, sent: &Sent) -> anyhow::Result<Instant> {
    let mut last = (String::new(), Instant::now());
    loop {
        anyhow::ensure!(!running.has_ended(), "a stage has ended: {}", running.first_fault());
        let (state, missing) = {
            let view = view.lock().unwrap_or_else(PoisonError::into_inner);
            (fingerprint(&view), missing(&view, sent))
        };
        let behind = progress.behind_bytes();
        if state != last.0 {
            last = (state, Instant::now());
        }
        let still = last.1.elapsed();
        if missing.is_empty() && behind == 0 && still > QUIET {
            return Ok(last.1);
        }
        anyhow::ensure!(
            still < HANGS_AFTER,
            "the pipeline did not finish: {}; {:?}",
            missing.join(", "),
            progress.furthest()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What changes while anything is going on.
fn fingerprint(view: &View) -> String {
    format!("{:?} {:?} {:?} {}", view.score_totals(), view.join_totals(), view.judged_until_ms, view.runs.len())
}

fn missing(view: &View, sent: &Sent) -> Vec<String> {
    let (score, join) = (view.score_totals(), view.join_totals());
    let labels = join.labels + view.rejected_by("intake");
    let open = view.runs.values().filter(|r| matches!(r.state, RunState::Snapshot | RunState::Training)).count();
    let mut missing = Vec::new();
    let mut expect = |name: &str, found: u64, wanted: u64| {
        if found != wanted {
            missing.push(format!("{name}: {found} of {wanted}"));
        }
    };
    expect("events scored or rejected", score.scored + score.rejected, sent.events);
    expect("predictions tracked", join.predictions, score.scored);
    expect("labels tracked or rejected", labels, sent.labels);
    expect("open runs", u64::try_from(open).unwrap_or(u64::MAX), 0);
    missing
}

/// The closing table's content.
pub(crate) fn summary(view: &SharedView, sent: &Sent, seconds: f64) -> Summary {
    let view = view.lock().unwrap_or_else(PoisonError::into_inner);
    Summary::of(&view, Replay { events_produced: sent.events, seconds, held_seconds: sent.held_seconds })
}

/// Prints the table, and writes it as JSON where asked.
pub(crate) fn report(summary: &Summary, args: &Demo) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{}", table::render(summary))?;
    if let Some(file) = &args.summary {
        let mut text = serde_json::to_vec_pretty(summary)?;
        text.push(b'\n');
        std::fs::write(file, text)?;
    }
    Ok(())
}

/// An imbalance is a failure of the demo.
pub(crate) fn verdict(summary: &Summary) -> anyhow::Result<()> {
    let imbalances = summary.imbalances();
    anyhow::ensure!(imbalances.is_empty(), "the counts do not balance: {}", imbalances.join("; "));
    Ok(())
}
