//! What the passing of stream time does to the table: rows ripen, are closed and forgotten, labels
//! become orphans and are forgotten. Everything goes slice by slice; nothing is scanned.

use super::entry::Joined;
use super::pane::Pane;
use super::table::{Table, recount};
use crate::rules::{Relation, Rules};
use domain::Fingerprint;
use std::cmp::Reverse;
use std::collections::BTreeMap;

impl Table {
    /// Follows the least watermarks.
    pub(crate) fn advance(&mut self, rules: &Rules, pane: &mut Pane) {
        let orphans_before = self.orphans_before(rules);
        let (events, labels) = self.sources.least();
        self.events_ms = self.events_ms.max(events);
        self.labels_ms = self.labels_ms.max(labels);
        self.ripen(rules, pane);
        self.make_orphans(orphans_before, rules);
        // A slice is final once *both* watermarks have passed: before that a prediction may
        // still come whose labels were here long ago.
        if let (Some(events), Some(labels)) = (self.events_ms, self.labels_ms) {
            let both = events.min(labels);
            self.close(both, rules);
            self.forget_rows(both, rules);
            self.forget_labels(both, rules);
        }
        self.prune_history(rules);
    }

    /// Rows whose time the label watermark has passed enter the cells: no label can come any more
    /// that was known at their time, so the baseline of the last known label is fixed.
    fn ripen(&mut self, rules: &Rules, pane: &mut Pane) {
        let Some(watermark) = self.labels_ms else { return };
        let orphans_before = self.orphans_before(rules);
        while let Some(Reverse((time, id))) = self.unripe.peek().copied() {
            if time >= watermark {
                return;
            }
            self.unripe.pop();
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            let Some(row) = entry.row.as_mut().filter(|row| row.time_ms == time && !row.ripe && !row.closed) else {
                continue; // replaced since
            };
            row.ripe = true;
            row.last_label = self.history.last_at(time);
            let row = *row;
            let (_, joined) = entry.standing(rules, orphans_before);
            pane.replace(rules, &row, self.groups.scores(row.group, row.slot), Joined::NONE, joined);
        }
    }

    /// Labels the event watermark has passed wait no more.
    fn make_orphans(&mut self, from: i64, rules: &Rules) {
        let until = self.orphans_before(rules);
        if until <= from {
            return;
        }
        let mut ids: Vec<Fingerprint> = Vec::new();
        for (_, in_slice) in self.unmatched.range(rules.slices.start(from)..until) {
            ids.extend_from_slice(in_slice);
        }
        // An id may stand in a slice twice, and in several slices.
        distinct(&mut ids);
        for id in &ids {
            if let Some(entry) = self.entries.get(id) {
                recount(&mut self.counters, &entry.standing(rules, from).0, &entry.standing(rules, until).0);
            }
        }
    }

    /// Settles the rows of slices that are final: the balance keeps their counts.
    fn close(&mut self, watermark: i64, rules: &Rules) {
        while let Some((slice, ids)) =
            pop_due(&mut self.open, |start| rules.final_at(rules.slices.end(start)), watermark)
        {
            for id in &ids {
                let Some(entry) = self.entries.get_mut(id) else { continue };
                let in_slice = |time| rules.slices.start(time) == slice;
                let Some(row) = entry.row.filter(|row| !row.closed && in_slice(row.time_ms)) else { continue };
                let (counts, _) = entry.standing(rules, i64::MIN);
                self.counters.pending = self.counters.pending.saturating_sub(counts.pending);
                self.counters.expired += counts.pending;
                self.groups.release(row.group, row.slot);
                entry
                    .labels
                    .retain(|label| rules.relation(row.time_ms, label.time_ms, label.watermark_ms) == Relation::Apart);
                if let Some(row) = &mut entry.row {
                    row.closed = true;
                }
            }
            self.closed.entry(slice).or_default().extend(ids);
        }
        self.groups.drop_empty();
    }

    /// Forgets closed rows: labels beyond this are nobody's.
    fn forget_rows(&mut self, watermark: i64, rules: &Rules) {
        let due = |start| rules.forgotten_at(rules.slices.end(start));
        while let Some((slice, ids)) = pop_due(&mut self.closed, due, watermark) {
            for id in &ids {
                let Some(entry) = self.entries.get_mut(id) else { continue };
                if entry.row.is_some_and(|row| row.closed && rules.slices.start(row.time_ms) == slice) {
                    entry.row = None;
                    if entry.labels.as_slice().is_empty() {
                        self.entries.remove(id);
                    }
                }
            }
        }
    }

    /// Forgets labels no prediction can come for any more: they stay counted as orphans.
    fn forget_labels(&mut self, watermark: i64, rules: &Rules) {
        let orphans_before = self.orphans_before(rules);
        let due = |start| rules.labels_forgotten_at(rules.slices.end(start));
        while let Some((slice, mut ids)) = pop_due(&mut self.unmatched, due, watermark) {
            distinct(&mut ids);
            for id in &ids {
                let Some(entry) = self.entries.get_mut(id) else { continue };
                let (was, _) = entry.standing(rules, orphans_before);
                let row = entry.row;
                let before = entry.labels.as_slice().len();
                entry.labels.retain(|label| {
                    let about_row = row.filter(|row| !row.closed).is_some_and(|row| {
                        rules.relation(row.time_ms, label.time_ms, label.watermark_ms) != Relation::Apart
                    });
                    about_row || rules.slices.start(label.time_ms) != slice
                });
                let forgotten = before - entry.labels.as_slice().len();
                let (mut now, _) = entry.standing(rules, orphans_before);
                now.orphan += u64::try_from(forgotten).unwrap_or(0);
                recount(&mut self.counters, &was, &now);
                if entry.row.is_none() && entry.labels.as_slice().is_empty() {
                    self.entries.remove(id);
                }
            }
        }
    }

    /// Keeps what the oldest event that may still come, or become ripe, can ask for.
    fn prune_history(&mut self, rules: &Rules) {
        let (Some(events), Some(labels)) = (self.events_ms, self.labels_ms) else { return };
        let oldest_event = events.saturating_sub(rules.horizon_ms).saturating_sub(rules.slices.length_ms);
        self.history.prune(oldest_event.min(labels));
    }
}

fn distinct(ids: &mut Vec<Fingerprint>) {
    ids.sort_unstable();
    ids.dedup();
}

/// Takes out the first slice if the watermark has reached the time it is due at.
fn pop_due(
    slices: &mut BTreeMap<i64, Vec<Fingerprint>>,
    due: impl Fn(i64) -> i64,
    watermark: i64,
) -> Option<(i64, Vec<Fingerprint>)> {
    let start = *slices.first_key_value()?.0;
    if due(start) <= watermark { slices.remove_entry(&start) } else { None }
}
