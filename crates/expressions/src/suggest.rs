//! The nearest name, for messages about unknown ones.

/// Names longer than this are not compared: the distance costs the product of the lengths.
const NAME_BYTES_MAX: usize = 128;

/// The candidate nearest to `name` in edits, letter case aside, if it is near enough to be meant:
/// at most a third of its letters differ. Ties go to the first candidate.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name.to_lowercase().chars().take(NAME_BYTES_MAX).collect();
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.to_lowercase().chars().take(NAME_BYTES_MAX).collect();
        let edits = distance(&wanted, &letters);
        let allowed = wanted.len().max(letters.len()).div_ceil(3);
        if edits <= allowed && best.is_none_or(|(least, _)| edits < least) {
            best = Some((edits, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Names listed in a message when none is near.
const NAMES_LISTED_MAX: usize = 20;

/// What to say after "unknown column `name`;": the nearest candidate, or what there is.
#[must_use]
pub fn hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(near) = nearest(name, candidates.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    let listed: Vec<String> = candidates.iter().take(NAMES_LISTED_MAX).map(|c| format!("`{c}`")).collect();
    match candidates.len().checked_sub(listed.len()) {
        _ if listed.is_empty() => "there are none".to_owned(),
        Some(more) if more > 0 => format!("expected one of {} and {more} more", listed.join(", ")),
        _ => format!("expected one of {}", listed.join(", ")),
    }
}

/// Levenshtein distance: insertions, deletions and replacements, two rows at a time.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(b) {
            let replaced = diagonal + usize::from(left != right);
            diagonal = *cell;
            before = replaced.min(before + 1).min(diagonal + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        let check = |a: &str, b: &str, expected: usize| {
            let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            assert_eq!(distance(&x, &y), expected, "{a} {b}");
            assert_eq!(distance(&y, &x), expected, "{b} {a}");
        };
        check("", "", 0);
        check("abc", "", 3);
        check("kitten", "sitting", 3);
        check("carier", "carrier", 1);
        check("flaw", "lawn", 2);
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let names = ["carrier", "origin", "distance"];
        let check = |name: &str, expected: Option<&str>| assert_eq!(nearest(name, names), expected, "{name}");
        check("carier", Some("carrier"));
        check("Origin", Some("origin"));
        check("distnace", Some("distance"));
        check("temperature", None);
        check("", None);
    }
}
