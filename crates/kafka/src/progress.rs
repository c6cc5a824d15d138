//! How far groups have read, in one process: who must not run ahead asks here.
//!
//! The embedded broker drops the oldest data beyond 5 MiB per partition, so the demo's replay holds
//! while any group is too far behind. Bytes are those of keys and values.

use domain::SourcePartition;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Totals {
    /// Bytes written to a partition since the start.
    written: BTreeMap<SourcePartition, u64>,
    /// Topics each group reads.
    reads: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// Committed offset and bytes read, per group and partition.
    read: BTreeMap<(Arc<str>, SourcePartition), (i64, u64)>,
}

/// Shared progress of all runners and senders of a process. Clones share the state.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<Totals>>);

impl Progress {
    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes were written to a partition and acknowledged, or are on their way.
    pub fn written(&self, source: &SourcePartition, bytes: u64) {
        let mut totals = self.totals();
        match totals.written.get_mut(source) {
            Some(sum) => *sum = sum.saturating_add(bytes),
            None => {
                totals.written.insert(source.clone(), bytes);
            }
        }
    }

    /// A group reads these topics, even if it has not joined yet.
    pub fn reads(&self, group: &str, topics: &[&str]) {
        self.totals().reads.insert(Arc::from(group), topics.iter().map(|t| Arc::from(*t)).collect());
    }

    /// A group has committed an offset, having read so many more bytes.
    pub fn committed(&self, group: &Arc<str>, source: &SourcePartition, offset: i64, bytes: u64) {
        let mut totals = self.totals();
        let entry = totals.read.entry((Arc::clone(group), source.clone())).or_insert((offset, 0));
        *entry = (offset, entry.1.saturating_add(bytes));
    }

    /// Offset a group has committed in this process, if any.
    #[must_use]
    pub fn offset(&self, group: &str, source: &SourcePartition) -> Option<i64> {
        self.totals().read.get(&(Arc::from(group), source.clone())).map(|(offset, _)| *offset)
    }

    /// The most bytes that any group is behind on any partition it reads.
    #[must_use]
    pub fn behind_bytes(&self) -> u64 {
        self.furthest().map_or(0, |(_, _, bytes)| bytes)
    }

    /// The group and partition that are furthest behind, and by how many bytes.
    #[must_use]
    pub fn furthest(&self) -> Option<(Arc<str>, SourcePartition, u64)> {
        let totals = self.totals();
        let mut worst: Option<(Arc<str>, SourcePartition, u64)> = None;
        for (group, topics) in &totals.reads {
            for (source, written) in totals.written.iter().filter(|(s, _)| topics.contains(&s.topic)) {
                let read = totals.read.get(&(Arc::clone(group), source.clone())).map_or(0, |(_, bytes)| *bytes);
                let behind = written.saturating_sub(read);
                if worst.as_ref().is_none_or(|(_, _, most)| behind > *most) {
                    worst = Some((Arc::clone(group), source.clone(), behind));
                }
            }
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_furthest_behind_is_found_even_before_it_joins() {
        let progress = Progress::default();
        let (events, labels) = (SourcePartition::new("events", 0), SourcePartition::new("labels", 0));
        assert_eq!(progress.behind_bytes(), 0);
        progress.reads("score", &["events"]);
        progress.reads("archive", &["events", "labels"]);
        progress.written(&events, 100);
        progress.written(&labels, 30);
        progress.written(&events, 50);
        let score: Arc<str> = Arc::from("score");
        progress.committed(&score, &events, 7, 150);
        assert_eq!(progress.furthest(), Some((Arc::from("archive"), events.clone(), 150)));
        progress.committed(&Arc::from("archive"), &events, 6, 140);
        assert_eq!(progress.furthest(), Some((Arc::from("archive"), labels, 30)));
        assert_eq!(progress.offset("score", &events), Some(7));
        assert_eq!(progress.offset("judge", &events), None);
    }
}
