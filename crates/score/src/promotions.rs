//! Which line-up comes when.

use crate::partition::State;
use domain::{LineUp, Version};
use records::control::Promotion;
use std::collections::BTreeMap;

/// Promotions read from `p.control`, by number.
#[derive(Debug, Default)]
pub(crate) struct Promotions {
    read: BTreeMap<u64, Promotion>,
}

/// A line-up a partition will take up.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) line_up: LineUp,
    /// Stream time from which it is in force; `None`: with the next event.
    pub(crate) from_ms: Option<i64>,
}

impl Promotions {
    /// Takes a promotion; one without members is none.
    pub(crate) fn insert(&mut self, promotion: Promotion) {
        if !promotion.line_up.members.is_empty() {
            self.read.insert(promotion.line_up.promotion, promotion);
        }
    }

    /// The line-up decided last.
    pub(crate) fn newest(&self) -> Option<&LineUp> {
        self.read.values().next_back().map(|p| &p.line_up)
    }

    /// Line-ups that a partition in this state will really use, in order.
    ///
    /// Promotions are taken one after the other. One that is followed by another at the same
    /// event or earlier never scores anything, so its bundles are not needed. One whose bundle
    /// cannot be loaded (`failed`) counts as withdrawn as soon as there is a later one.
    pub(crate) fn pending(&self, state: &State, failed: impl Fn(&Version) -> bool) -> Vec<Pending> {
        let newest = self.newest().map_or(0, |l| l.promotion);
        let mut pending: Vec<Pending> = Vec::new();
        for (number, promotion) in self.read.range(state.promotion().saturating_add(1)..) {
            let withdrawn = promotion.line_up.members.iter().any(|m| failed(&m.version));
            if withdrawn && *number < newest {
                continue;
            }
            let passed = |from: &i64| state.max_time_ms.is_some_and(|max| max >= *from);
            // Without any line-up there is nothing else to score with.
            let first = state.line_up.is_none() && pending.is_empty();
            let from_ms = promotion.effective_from_ms.filter(|from| !first && !passed(from));
            let next = Pending { line_up: promotion.line_up.clone(), from_ms };
            match pending.last_mut() {
                // `None` is the least: at once.
                Some(last) if next.from_ms <= last.from_ms => last.line_up = next.line_up,
                _ => pending.push(next),
            }
        }
        pending
    }
}

/// Versions a partition needs: those of its line-up, unless that ends with the next event, and
/// those of the pending ones.
pub(crate) fn needed<'a>(state: &'a State, pending: &'a [Pending]) -> impl Iterator<Item = &'a LineUp> {
    let ends = pending.first().is_some_and(|p| p.from_ms.is_none());
    state.line_up.iter().filter(move |_| !ends).chain(pending.iter().map(|p| &p.line_up))
}
