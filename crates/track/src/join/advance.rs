//! What the passing of stream time does to the table: rows ripen, are closed and forgotten, labels
//! become orphans and are forgotten. Everything goes slice by slice; nothing is scanned.

use super::JoinConfig;
use super::blocks::NO_LABEL;
use super::entry::{Joined, Moment};
use super::pane::Pane;
use super::table::{Table, recount};
use crate::rules::{Relation, Rules};
use domain::Fingerprint;
use std::collections::BTreeMap;

impl Table {
    /// Follows the least watermarks.
    pub(crate) fn advance(&mut self, config: &JoinConfig, pane: &mut Pane) {
        let rules = &config.rules;
        let (orphans_before, ripe_before) = (self.orphans_before(rules), self.labels_ms);
        let (events, labels) = self.sources.least();
        self.events_ms = self.events_ms.max(events);
        self.labels_ms = self.labels_ms.max(labels);
        if let Some(labels) = self.labels_ms.filter(|now| ripe_before.is_none_or(|before| before < *now)) {
            self.history.settle(labels);
            self.ripen(ripe_before.unwrap_or(i64::MIN), labels, rules, pane);
        }
        self.make_orphans(orphans_before, rules);
        // A slice is final once *both* watermarks have passed: before that a prediction may
        // still come whose labels were here long ago.
        if let (Some(events), Some(labels)) = (self.events_ms, self.labels_ms) {
            let both = events.min(labels);
            self.close(both, config, pane);
            self.forget_rows(both, rules);
            self.forget_labels(both, rules);
            // What the oldest event that is open, or may still come, can ask for.
            self.history.prune(both.saturating_sub(rules.horizon_ms).saturating_sub(rules.slices.length_ms));
        }
    }

    /// Rows whose time the label watermark has passed enter the cells: no label can come any more
    /// that was known at their time, so the baseline of the last known label is fixed.
    fn ripen(&mut self, from: i64, until: i64, rules: &Rules, pane: &mut Pane) {
        let blocks = self.open.range(rules.slices.start(from)..until).flat_map(|(_, blocks)| blocks);
        for block in blocks {
            for place in self.blocks.between(*block, from, until) {
                let Some(row) = self.blocks.row(place) else { continue };
                let joined = self.standing(Some(&row), self.blocks.labels(place), rules).joined;
                pane.replace(rules, &row, self.known(place, &row), Joined::NONE, joined);
            }
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
        for id in ids {
            let Some(place) = self.index.get(id, &self.blocks) else { continue };
            let (row, labels) = (self.blocks.row(place), self.blocks.labels(place));
            let moment = self.moment(row.as_ref(), rules);
            let before = Moment { orphans_before_ms: from, ..moment };
            let was = rules.standing(row.as_ref(), self.labels.of(labels), before);
            let now = rules.standing(row.as_ref(), self.labels.of(labels), moment);
            recount(&mut self.counters, &was.counts, &now.counts);
        }
    }

    /// Settles the rows of slices that are final: the balance keeps their counts.
    fn close(&mut self, watermark: i64, config: &JoinConfig, pane: &mut Pane) {
        let rules = &config.rules;
        let due = |start| rules.final_at(rules.slices.end(start));
        while let Some((slice, blocks)) = pop_due(&mut self.open, due, watermark) {
            for block in &blocks {
                let rows: Vec<_> = self.blocks.alive(*block).map(|(place, _)| place).collect();
                for place in rows {
                    self.close_row(place, config, pane);
                }
                self.blocks.close(*block, &mut self.groups);
            }
            self.closed.entry(slice).or_default().extend(blocks);
        }
        self.groups.drop_empty();
    }

    fn close_row(&mut self, place: u32, config: &JoinConfig, pane: &mut Pane) {
        let rules = &config.rules;
        let Some(row) = self.blocks.row(place) else { return };
        let labels = self.blocks.labels(place);
        let moment = self.moment(Some(&row), rules);
        let pending = rules.standing(Some(&row), self.labels.of(labels), moment).counts.pending;
        let (task, in_training) = (config.shape.task, row.time_ms < moment.trained_until_ms);
        self.counters.pending = self.counters.pending.saturating_sub(pending);
        if task.has_labels() {
            self.counters.expired += pending;
        } else {
            self.counters.joined += pending;
            self.counters.in_training += if in_training { pending } else { 0 };
        }
        if pending > 0 && config.unlabelled.counts(task) && !in_training {
            if task.has_labels() {
                self.counters.assumed += pending;
                pane.assume(rules, &row);
            }
            // With tests at the horizon it is there when they run, like every label in time.
            let is_tested = rules.maturity_ms >= rules.horizon_ms;
            let counted = Joined { mature: is_tested.then_some(0.0), last: Some(0.0), first: None };
            pane.replace(rules, &row, self.known(place, &row), Joined::NONE, counted);
        }
        let (head, _) = self
            .labels
            .retain(labels, |label| rules.relation(row.time_ms, label.time_ms, label.watermark_ms) == Relation::Apart);
        self.blocks.set_labels(place, head);
    }

    /// Forgets closed rows: labels beyond this are nobody's.
    fn forget_rows(&mut self, watermark: i64, rules: &Rules) {
        let due = |start| rules.forgotten_at(rules.slices.end(start));
        let mut any = false;
        while let Some((slice, blocks)) = pop_due(&mut self.closed, due, watermark) {
            any = true;
            for block in blocks {
                let rows: Vec<_> = self.blocks.alive(block).collect();
                for (place, id) in rows {
                    let labels = self.blocks.labels(place);
                    match if labels == NO_LABEL { None } else { self.blocks.add_bare(id, slice, labels) } {
                        Some(bare) => self.index.replace(id, place, bare),
                        None => self.index.remove(id, place),
                    }
                }
                self.blocks.drop_block(block);
            }
        }
        if any {
            self.index.shrink(&self.blocks);
        }
    }

    /// Forgets labels no prediction can come for any more: they stay counted as orphans.
    fn forget_labels(&mut self, watermark: i64, rules: &Rules) {
        let due = |start| rules.labels_forgotten_at(rules.slices.end(start));
        while let Some((slice, mut ids)) = pop_due(&mut self.unmatched, due, watermark) {
            distinct(&mut ids);
            for id in ids {
                let Some(place) = self.index.get(id, &self.blocks) else { continue };
                let (row, labels) = (self.blocks.row(place), self.blocks.labels(place));
                let was = self.standing(row.as_ref(), labels, rules);
                let (head, forgotten) = self.labels.retain(labels, |label| {
                    !rules.is_unmatched(row.as_ref(), label) || rules.slices.start(label.time_ms) != slice
                });
                self.blocks.set_labels(place, head);
                let mut now = self.standing(row.as_ref(), head, rules);
                now.counts.orphan += forgotten;
                recount(&mut self.counters, &was.counts, &now.counts);
                if row.is_none() && head == NO_LABEL {
                    self.index.remove(id, place);
                    self.blocks.kill(place);
                }
            }
        }
    }
}

fn distinct(ids: &mut Vec<Fingerprint>) {
    ids.sort_unstable();
    ids.dedup();
}

/// Takes out the first slice if the watermark has reached the time it is due at.
fn pop_due<T>(slices: &mut BTreeMap<i64, Vec<T>>, due: impl Fn(i64) -> i64, watermark: i64) -> Option<(i64, Vec<T>)> {
    let start = *slices.first_key_value()?.0;
    if due(start) <= watermark { slices.remove_entry(&start) } else { None }
}
