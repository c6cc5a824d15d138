//! The categories of a column, and the code of each.

use serde::{Deserialize, Serialize};

/// Categories by frequency, the most frequent first; the code of one is its place.
///
/// Saved as the list; the index is made anew. It is a table of codes with linear probing, at most
/// half full: one look costs no allocation, and its order shows nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub(crate) struct Vocabulary {
    categories: Vec<String>,
    slots: Vec<u32>,
}

/// Marks a slot without a code.
const FREE: u32 = u32::MAX;

impl Vocabulary {
    /// The `limit` most frequent texts, ties by value; and whether there were more.
    pub(crate) fn fit<'a>(texts: impl Iterator<Item = &'a str>, limit: usize) -> (Self, bool) {
        let mut texts: Vec<&str> = texts.collect();
        texts.sort_unstable();
        let mut runs: Vec<&[&str]> = texts.chunk_by(|a, b| a == b).collect();
        // The sort is stable, so that runs of one length stay in the order of their values.
        runs.sort_by_key(|run| std::cmp::Reverse(run.len()));
        let rest = runs.len() > limit;
        let kept = runs.into_iter().take(limit);
        let categories: Vec<String> = kept.filter_map(|run| run.first()).map(|&text| text.to_owned()).collect();
        (Self::from(categories), rest)
    }

    /// The categories in the order of their codes.
    pub(crate) fn categories(&self) -> &[String] {
        &self.categories
    }

    /// Number of categories.
    pub(crate) fn len(&self) -> usize {
        self.categories.len()
    }

    /// The code of a text, if it is a category.
    pub(crate) fn code(&self, text: &str) -> Option<usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut slot = hash(text) & mask;
        // The table is never full, so this ends; the bound says so to the reader.
        for _ in 0..self.slots.len() {
            let code = *self.slots.get(slot)?;
            let category = self.categories.get(code as usize)?;
            if category == text {
                return Some(code as usize);
            }
            slot = (slot + 1) & mask;
        }
        None
    }
}

impl From<Vec<String>> for Vocabulary {
    fn from(categories: Vec<String>) -> Self {
        let size = (categories.len() * 2).next_power_of_two().max(2);
        let mask = size - 1;
        let mut slots = vec![FREE; size];
        for (code, category) in (0u32..).zip(&categories) {
            let mut slot = hash(category) & mask;
            while let Some(taken) = slots.get_mut(slot) {
                if *taken == FREE {
                    *taken = code;
                    break;
                }
                slot = (slot + 1) & mask;
            }
        }
        Self { categories, slots }
    }
}

impl From<Vocabulary> for Vec<String> {
    fn from(vocabulary: Vocabulary) -> Self {
        vocabulary.categories
    }
}

/// FNV-1a: categories are short.
fn hash(text: &str) -> usize {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 32)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_stand_by_frequency_then_value() {
        let texts = ["b", "c", "a", "c", "b", "d"];
        let check = |limit: usize, expected: &[&str], rest: bool| {
            let (vocabulary, more) = Vocabulary::fit(texts.into_iter(), limit);
            assert_eq!(vocabulary.categories(), expected, "{limit}");
            assert_eq!(more, rest, "{limit}");
        };
        check(9, &["b", "c", "a", "d"], false);
        check(4, &["b", "c", "a", "d"], false);
        check(3, &["b", "c", "a"], true);
        check(1, &["b"], true);
    }

    #[test]
    fn every_category_is_found_and_nothing_else() {
        let texts: Vec<String> = (0..3000).map(|i| format!("tail-{i}")).collect();
        let vocabulary = Vocabulary::from(texts.clone());
        for (code, text) in texts.iter().enumerate() {
            assert_eq!(vocabulary.code(text), Some(code));
        }
        assert_eq!(vocabulary.code("tail-3000"), None);
        assert_eq!(vocabulary.code(""), None);
        assert_eq!(Vocabulary::from(vec![]).code("a"), None);
        assert_eq!(Vocabulary::from(vec![String::new()]).code(""), Some(0));
    }
}
