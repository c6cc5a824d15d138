//! A pipeline as its derived topics tell it: the one state behind console, summary and commands.

use domain::{SourcePartition, TopicRole, Version};
use measure::Cell;
use records::alert::Alert;
use records::control::{Control, Promotion, Run, Swap};
use records::journal::{JoinCell, JoinCounters, Journal, ScoreCounters};
use records::window::{Clock, Window};
use std::collections::BTreeMap;

/// Windows kept; older ones leave.
const WINDOWS_MAX: usize = 20_000;
const ALL_ROWS: &str = "*";
/// States of alerts kept, newest last.
const ALERTS_MAX: usize = 1_000;
/// Swaps, promotions and runs kept.
const DECISIONS_MAX: usize = 10_000;

/// Everything known of a pipeline.
#[derive(Debug, Default)]
pub struct View {
    /// Newest record of each window over all rows, by event time; by the key of its record.
    pub windows: BTreeMap<String, Window>,
    /// Line-ups decided, by number.
    pub promotions: BTreeMap<u64, Promotion>,
    /// Swap positions, by key.
    pub swaps: BTreeMap<String, Swap>,
    /// Retraining runs, by number.
    pub runs: BTreeMap<u64, Run>,
    /// Every state of every alert, in order.
    pub alerts: Vec<Alert>,
    /// Where aliases point.
    pub aliases: BTreeMap<String, Version>,
    /// The design's J.
    pub judged_until_ms: Option<i64>,
    /// Totals of each event partition.
    pub score: BTreeMap<SourcePartition, ScoreCounters>,
    /// Balance of each tracking partition.
    pub join: BTreeMap<i32, JoinCounters>,
    /// Labelled rows by month of their event time (`2013-04`), all versions that published.
    pub months: BTreeMap<String, Cell>,
    /// Records on the rejected topic, by stage and reason.
    pub rejected: BTreeMap<(String, String), u64>,
    /// Records that could not be read: another version's, or damaged.
    pub unreadable: u64,
    /// Range of the newest pane by tracking partition, and whether it is of arrived rows.
    joined_to: BTreeMap<(i32, bool), (i64, i64)>,
}

/// The judge's own part of a journal record is not needed here.
type JournalRecord =
    Journal<profile::Counts, Cell, measure::Expected, measure::ChildSums, profile::MeanVector, measure::ScoreCount>;

impl View {
    /// Takes a record of a derived topic. `headers` finds a header's value by name.
    pub fn observe<'a>(&mut self, role: TopicRole, value: Option<&[u8]>, header: impl Fn(&str) -> Option<&'a [u8]>) {
        let is_readable = match (role, value) {
            (TopicRole::Rejected, _) => {
                let text = |name| header(name).map(|v| String::from_utf8_lossy(v).into_owned()).unwrap_or_default();
                *self.rejected.entry((text("vigie.stage"), text("vigie.reason"))).or_default() += 1;
                true
            }
            (_, None) => true,
            (TopicRole::Control, Some(value)) => records::from_json(value).map(|r| self.control(r)).is_ok(),
            (TopicRole::Windows, Some(value)) => records::from_json(value).map(|r| self.window(r)).is_ok(),
            (TopicRole::Alerts, Some(value)) => records::from_json(value).map(|r| self.alert(r)).is_ok(),
            (TopicRole::Journal, Some(value)) => records::from_postcard(value).map(|r| self.journal(r)).is_ok(),
            _ => true,
        };
        self.unreadable += u64::from(!is_readable);
    }

    fn control(&mut self, record: Control) {
        let key = record.key();
        match record {
            Control::Promotion(p) => bounded_insert(&mut self.promotions, p.line_up.promotion, p, DECISIONS_MAX),
            Control::Swap(s) => bounded_insert(&mut self.swaps, key, s, DECISIONS_MAX),
            Control::Run(r) => bounded_insert(&mut self.runs, r.run, r, DECISIONS_MAX),
            Control::Progress { judged_until_ms } => self.judged_until_ms = Some(judged_until_ms),
            Control::Alias { alias, version } => bounded_insert(&mut self.aliases, alias, version, DECISIONS_MAX),
        }
    }

    fn window(&mut self, window: Window) {
        // Others are not looked at, and are most of them.
        if window.clock != Clock::EventTime || window.segment != ALL_ROWS {
            return;
        }
        let key = records::window::key(&window, 0);
        bounded_insert(&mut self.windows, key, window, WINDOWS_MAX);
    }

    fn alert(&mut self, alert: Alert) {
        if self.alerts.len() >= ALERTS_MAX {
            self.alerts.remove(0);
        }
        self.alerts.push(alert);
    }

    fn journal(&mut self, record: JournalRecord) {
        match record {
            Journal::ScoreMarker { marker, counters } => {
                self.score.insert(marker.source, counters);
            }
            Journal::JoinMarker(marker) => {
                self.join.insert(marker.tracking_partition, marker.counters);
            }
            Journal::JoinPane(pane) => {
                let range = (pane.from_offset, pane.to_offset);
                self.joined((pane.tracking_partition, false), range, pane.cells.iter());
            }
            Journal::Arrived(pane) => {
                let range = (pane.from_offset, pane.to_offset);
                self.joined((pane.tracking_partition, true), range, pane.cells.iter().map(|cell| &cell.joined));
            }
            _ => {}
        }
    }

    /// Panes may be delivered twice after a crash in at-least-once mode; those of a partition grow. Parts
    /// of one pane have its range.
    fn joined<'a>(&mut self, of: (i32, bool), (from, to): (i64, i64), cells: impl Iterator<Item = &'a JoinCell<Cell>>) {
        let seen = self.joined_to.entry(of).or_insert((i64::MIN, i64::MIN));
        if from <= seen.1 && (from, to) != *seen {
            return;
        }
        *seen = (from, to);
        for joined in cells.filter(|joined| joined.segment == ALL_ROWS) {
            let month = records::time::rfc3339(joined.slice_start_ms).chars().take(7).collect();
            match self.months.get_mut(&month) {
                Some(sum) => sum.merge(&joined.cell),
                None => {
                    self.months.insert(month, joined.cell.clone());
                }
            }
        }
    }

    /// Totals over the event partitions.
    #[must_use]
    pub fn score_totals(&self) -> ScoreCounters {
        self.score.values().fold(ScoreCounters::default(), |sum, c| ScoreCounters {
            read: sum.read + c.read,
            scored: sum.scored + c.scored,
            rejected: sum.rejected + c.rejected,
            future: sum.future + c.future,
            ignored: sum.ignored + c.ignored,
        })
    }

    /// Balance over the tracking partitions.
    #[must_use]
    pub fn join_totals(&self) -> JoinCounters {
        self.join.values().fold(JoinCounters::default(), |mut sum, c| {
            sum.add(c);
            sum
        })
    }

    /// Records that a stage rejected.
    #[must_use]
    pub fn rejected_by(&self, stage: &str) -> u64 {
        self.rejected.iter().filter(|((s, _), _)| s == stage).map(|(_, n)| n).sum()
    }

    /// The version whose predictions are published, as last decided.
    #[must_use]
    pub fn champion(&self) -> Option<&Version> {
        self.aliases.get("champion")
    }
}

/// Inserts, and drops the least key when there are too many.
fn bounded_insert<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V, most: usize) {
    map.insert(key, value);
    if map.len() > most {
        map.pop_first();
    }
}
