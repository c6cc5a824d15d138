//! Which line-up comes when: as the promotions say, or as an imposed swap table says.

use crate::Error;
use crate::partition::State;
use domain::{LineUp, SourcePartition, Version};
use records::SwapTable;
use records::control::{Promotion, Swap};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Promotions read from `p.control` or an imposed table, by number.
#[derive(Debug, Default)]
pub(crate) struct Promotions {
    read: BTreeMap<u64, Promotion>,
    /// What was done by another run over the same log is done again, offset by offset; what the
    /// promotions say of their time means nothing then.
    table: Option<Arc<SwapTable>>,
}

/// A line-up a partition will take up.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) line_up: LineUp,
    pub(crate) from: Start,
}

/// Where a line-up begins. In this order: at once is earlier than any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Start {
    /// With the next event.
    Now,
    /// With the first event not before this stream time.
    Time(i64),
    /// With the event at this offset.
    Offset(i64),
}

impl Promotions {
    /// Knows the promotions of a table, if there is one.
    pub(crate) fn imposed(table: Option<Arc<SwapTable>>) -> Self {
        let promotions = table.iter().flat_map(|table| table.promotions());
        Self { read: promotions.map(|p| (p.line_up.promotion, p.clone())).collect(), table }
    }

    /// Whether a table says which line-up comes when.
    pub(crate) fn is_imposed(&self) -> bool {
        self.table.is_some()
    }

    /// Takes a promotion; one without members is none.
    ///
    /// # Errors
    /// A table has another line-up of that number: this is not the run it was taken from.
    pub(crate) fn insert(&mut self, promotion: Promotion) -> Result<(), Error> {
        let number = promotion.line_up.promotion;
        if promotion.line_up.members.is_empty() {
            return Ok(());
        }
        let known = self.read.get(&number).filter(|known| self.is_imposed() && known.line_up != promotion.line_up);
        if let Some(known) = known {
            return Err(Error::Table(format!(
                "the control topic has {}, the swap table {}; a pipeline that decided by itself cannot follow another's table",
                described(Some(&promotion.line_up)),
                described(Some(&known.line_up))
            )));
        }
        self.read.insert(number, promotion);
        Ok(())
    }

    /// The line-up decided last; a table decides nothing for a replica without partitions.
    pub(crate) fn newest(&self) -> Option<&LineUp> {
        self.read.values().next_back().map(|p| &p.line_up).filter(|_| !self.is_imposed())
    }

    /// Line-ups that a partition in this state will really use, in order.
    ///
    /// Promotions are taken one after the other. One that is followed by another at the same
    /// event or earlier never scores anything, so its bundles are not needed. One whose bundle
    /// cannot be loaded (`failed`) counts as withdrawn as soon as there is a later one.
    ///
    /// Under a table: the next one alone, however many follow, or those up to the offset `until`.
    ///
    /// # Errors
    /// The table takes up a promotion that nobody has told.
    pub(crate) fn pending(
        &self,
        source: &SourcePartition,
        state: &State,
        until: Option<i64>,
        failed: impl Fn(&Version) -> bool,
    ) -> Result<Vec<Pending>, Error> {
        if let Some(table) = &self.table {
            let after = table.after(source, state.promotion());
            let due = until.map_or(0, |until| after.partition_point(|swap| swap.from_offset <= until));
            let of_swap = |swap: &Swap| {
                Ok(Pending { line_up: self.line_up(swap)?.clone(), from: Start::Offset(swap.from_offset) })
            };
            return after.iter().take(due.max(1)).map(of_swap).collect();
        }
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
            let next = Pending { line_up: promotion.line_up.clone(), from: from_ms.map_or(Start::Now, Start::Time) };
            match pending.last_mut() {
                Some(last) if next.from <= last.from => last.line_up = next.line_up,
                _ => pending.push(next),
            }
        }
        Ok(pending)
    }

    /// Under a table: the first offset whose bundles are not here although those of the present
    /// line-up and the next may be. So two line-ups are held at a time, however many swaps there are.
    pub(crate) fn reaches(
        &self,
        source: &SourcePartition,
        state: &State,
        is_here: impl Fn(&LineUp) -> bool,
    ) -> Option<i64> {
        let after = self.table.as_ref()?.after(source, state.promotion());
        let beyond = after.iter().skip(1).find(|swap| !self.line_up(swap).is_ok_and(&is_here));
        beyond.map(|swap| swap.from_offset)
    }

    /// What was committed stays the truth for what was done: a table that says otherwise is not
    /// that of this log and these decisions.
    ///
    /// # Errors
    /// Names the partition, the committed offset and both line-ups.
    pub(crate) fn agrees(&self, source: &SourcePartition, offset: i64, state: &State) -> Result<(), Error> {
        let Some(table) = &self.table else { return Ok(()) };
        let (committed, imposed) = (state.line_up.as_ref(), table.before(source, offset));
        let is_same = match (committed, imposed) {
            (None, None) => true,
            (Some(line_up), Some(swap)) => {
                let is_its = line_up.promotion == swap.promotion
                    && line_up.champion().is_some_and(|champion| champion.version == swap.version);
                is_its && self.read.get(&swap.promotion).is_none_or(|known| known.line_up == *line_up)
            }
            _ => false,
        };
        if is_same {
            return Ok(());
        }
        let imposed =
            imposed.map_or_else(|| described(None), |s| format!("promotion {} (champion {})", s.promotion, s.version));
        Err(Error::Table(format!(
            "{source} was committed up to offset {offset} under {}, but the swap table says {imposed} there",
            described(committed)
        )))
    }

    fn line_up(&self, swap: &Swap) -> Result<&LineUp, Error> {
        let found = self.read.get(&swap.promotion).map(|promotion| &promotion.line_up);
        found.ok_or_else(|| {
            let Swap { topic, partition, from_offset, promotion, .. } = swap;
            Error::Table(format!(
                "{topic}/{partition} takes up promotion {promotion} at offset {from_offset}, which is neither in the swap table nor on the control topic"
            ))
        })
    }
}

fn described(line_up: Option<&LineUp>) -> String {
    line_up.map_or_else(
        || "no line-up".to_owned(),
        |line_up| {
            let members: Vec<&str> = line_up.members.iter().map(|m| m.version.as_str()).collect();
            format!("promotion {} ({})", line_up.promotion, members.join(", "))
        },
    )
}

/// Versions a partition needs: those of its line-up, unless that ends with the next event, and
/// those of the pending ones.
pub(crate) fn needed<'a>(state: &'a State, pending: &'a [Pending]) -> impl Iterator<Item = &'a LineUp> {
    let ends = pending.first().is_some_and(|p| p.from == Start::Now);
    state.line_up.iter().filter(move |_| !ends).chain(pending.iter().map(|p| &p.line_up))
}
