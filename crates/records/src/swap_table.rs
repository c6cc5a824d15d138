//! A swap table: which line-up scores which events of a run, as its control topic says it. Imposed
//! on another run over the same logs it makes both comparable byte by byte.

use crate::Error;
use crate::control::{Control, Promotion, Swap};
use domain::SourcePartition;
use std::collections::BTreeMap;

/// Promotions by number and swaps by partition, in offset order. Within a partition the numbers of
/// the promotions grow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SwapTable {
    promotions: BTreeMap<u64, Promotion>,
    swaps: BTreeMap<SourcePartition, Vec<Swap>>,
}

impl SwapTable {
    /// Reads values of `p.control`, one JSON object a line, as a console consumer prints them.
    /// Records of other types, tombstones (`null`) and empty lines are passed over.
    ///
    /// # Errors
    /// [`Error::SwapTable`] names the line that cannot be read, or what [`SwapTable::of`] refuses.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut records = Vec::new();
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let fault = |reason: String| Error::SwapTable(format!("line {number}: {reason}"));
            if line.trim_ascii().is_empty() {
                continue;
            }
            let value: serde_json::Value = serde_json::from_slice(line).map_err(|e| fault(e.to_string()))?;
            match value.get("type").and_then(serde_json::Value::as_str) {
                // From the bytes and not from the value, whose numbers may have been converted.
                Some("promotion" | "swap") => {
                    records.push(serde_json::from_slice(line).map_err(|e| fault(e.to_string()))?);
                }
                Some(_) => {}
                None if value.is_null() => {}
                None => return Err(fault("no record of a control topic: it has no `type`".to_owned())),
            }
        }
        Self::of(records)
    }

    /// The table that records of `p.control` make up; the later record of a key stands, as on the
    /// topic.
    ///
    /// # Errors
    /// [`Error::SwapTable`] if there is no swap, a promotion has no members, a swap names another
    /// champion than its promotion, or a partition goes back to an earlier promotion.
    pub fn of(records: impl IntoIterator<Item = Control>) -> Result<Self, Error> {
        let mut promotions = BTreeMap::new();
        let mut by_offset: BTreeMap<SourcePartition, BTreeMap<i64, Swap>> = BTreeMap::new();
        for record in records {
            match record {
                Control::Promotion(promotion) => {
                    promotions.insert(promotion.line_up.promotion, promotion);
                }
                Control::Swap(swap) => {
                    let source = SourcePartition::new(&swap.topic, swap.partition);
                    by_offset.entry(source).or_default().insert(swap.from_offset, swap);
                }
                _ => {}
            }
        }
        let swaps = by_offset.into_iter().map(|(source, swaps)| (source, swaps.into_values().collect())).collect();
        let table = Self { promotions, swaps };
        table.check()?;
        Ok(table)
    }

    fn check(&self) -> Result<(), Error> {
        let fault = |text: String| Err(Error::SwapTable(text));
        if self.swaps.is_empty() {
            return fault("it has no swap".to_owned());
        }
        for (number, promotion) in &self.promotions {
            if promotion.line_up.members.is_empty() {
                return fault(format!("promotion {number} has no members"));
            }
        }
        for (source, swaps) in &self.swaps {
            let mut last = 0;
            for swap in swaps {
                let (number, offset) = (swap.promotion, swap.from_offset);
                if number <= last {
                    return fault(format!("{source} goes back from promotion {last} to {number} at offset {offset}"));
                }
                last = number;
                let champion = self.promotions.get(&number).and_then(|p| p.line_up.champion()).map(|m| &m.version);
                if let Some(champion) = champion.filter(|champion| **champion != swap.version) {
                    let version = &swap.version;
                    return fault(format!(
                        "{source} takes up version {version} at offset {offset}, but the champion of promotion {number} is {champion}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The promotions, by number.
    pub fn promotions(&self) -> impl ExactSizeIterator<Item = &Promotion> {
        self.promotions.values()
    }

    /// The partitions that swap.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = &SourcePartition> {
        self.swaps.keys()
    }

    /// The swaps of a partition, in offset order.
    #[must_use]
    pub fn swaps(&self, source: &SourcePartition) -> &[Swap] {
        self.swaps.get(source).map_or(&[], Vec::as_slice)
    }

    /// The swaps of a partition that follow a promotion (0: all), in offset order.
    #[must_use]
    pub fn after(&self, source: &SourcePartition, promotion: u64) -> &[Swap] {
        let swaps = self.swaps(source);
        swaps.get(swaps.partition_point(|swap| swap.promotion <= promotion)..).unwrap_or_default()
    }

    /// The last swap of a partition before an offset.
    #[must_use]
    pub fn before(&self, source: &SourcePartition, offset: i64) -> Option<&Swap> {
        self.swaps(source).iter().rfind(|swap| swap.from_offset < offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::PromotionCause;
    use domain::{LineUp, Member, Version};

    const A: &str = "aaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbb";

    fn promotion(number: u64, versions: &[&str]) -> Control {
        let member = |v: &&str| Member { version: Version::new(v), trained_until_ms: 5, harm: None };
        let members = versions.iter().map(member).collect();
        Control::Promotion(Promotion {
            cause: PromotionCause::Command,
            effective_from_ms: None,
            line_up: LineUp { promotion: number, members, frozen: None, previous: None },
            run: None,
            decided_at_ms: Some(7),
            reasons: vec!["because".to_owned()],
        })
    }

    fn swap(partition: i32, from_offset: i64, promotion: u64, version: &str) -> Control {
        let (topic, version) = ("events".to_owned(), Version::new(version));
        Control::Swap(Swap { topic, partition, from_offset, promotion, version, previous: None, time_ms: 3 })
    }

    fn lines(records: &[Control]) -> Vec<u8> {
        let lines: Vec<Vec<u8>> = records.iter().map(|r| crate::to_json(r).unwrap()).collect();
        lines.join(&b'\n')
    }

    #[test]
    fn what_a_console_consumer_prints_is_read() {
        let records = [
            promotion(1, &[A]),
            swap(1, 40, 1, A),
            swap(0, 10, 1, A),
            Control::Progress { judged_until_ms: 1 },
            promotion(2, &[B, A]),
            swap(0, 90, 2, B),
        ];
        let mut text = lines(&records);
        text.extend_from_slice(b"\nnull\n\n{\"type\":\"of a later release\"}\r\n");
        let table = SwapTable::parse(&text).unwrap();
        assert_eq!(table, SwapTable::of(records).unwrap());
        assert_eq!(table.promotions().map(|p| p.line_up.promotion).collect::<Vec<_>>(), [1, 2]);
        let (zero, one) = (SourcePartition::new("events", 0), SourcePartition::new("events", 1));
        assert_eq!(table.sources().collect::<Vec<_>>(), [&zero, &one]);
        let offsets = |swaps: &[Swap]| swaps.iter().map(|s| s.from_offset).collect::<Vec<_>>();
        assert_eq!(offsets(table.swaps(&zero)), [10, 90]);
        assert_eq!((offsets(table.after(&zero, 1)), offsets(table.after(&one, 1))), (vec![90], vec![]));
        assert_eq!(table.before(&zero, 10), None);
        assert_eq!(table.before(&zero, 90).map(|s| s.promotion), Some(1));
        assert_eq!(table.before(&zero, 91).map(|s| s.promotion), Some(2));
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_place() {
        let check = |text: &[u8], expected: &str| {
            let refused = SwapTable::parse(text).unwrap_err();
            assert_eq!(refused.class(), domain::ErrorClass::User);
            assert!(refused.to_string().contains(expected), "{refused}, expected {expected}");
        };
        check(b"", "no swap");
        check(b"{\"type\":\"progress\",\"judged_until_ms\":1}", "no swap");
        check(b"\n{\"type\":", "line 2: EOF");
        check(b"{\"type\":\"swap\",\"topic\":\"events\"}", "line 1: missing field");
        check(b"{\"id\":\"e1\"}", "line 1: no record of a control topic");
        check(b"\xff\xfe", "line 1: ");
        check(&lines(&[promotion(1, &[]), swap(0, 1, 1, A)]), "promotion 1 has no members");
        check(&lines(&[promotion(1, &[A]), swap(0, 8, 1, B)]), "version bbbbbbbbbbbb at offset 8");
        check(&lines(&[swap(0, 1, 2, A), swap(0, 9, 1, B)]), "events/0 goes back from promotion 2 to 1 at offset 9");
    }
}
