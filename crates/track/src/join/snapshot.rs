//! Bytes of a table: what a checkpoint holds.

use super::table::Table;
use crate::error::Error;
use crate::rules::Rules;
use domain::{Fingerprint, fingerprint};
use serde::{Deserialize, Serialize};

/// Version of the layout of the types below.
const FORMAT: u32 = 1;

/// A checkpoint as it is read.
#[derive(Debug, Deserialize)]
struct Saved {
    next_offset: i64,
    table: Table,
}

/// The same as it is written.
#[derive(Debug, Serialize)]
struct Saving<'a> {
    next_offset: i64,
    table: &'a Table,
}

/// What a checkpoint must agree in before the rest of it is read.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    format: u32,
    /// Hash of the rules and the shape of scores: tables made under others cannot be gone on with.
    layout: u128,
}

fn head(rules: &Rules, shape: measure::Shape) -> Result<Head, Error> {
    let bytes = records::to_postcard(&(rules, shape))
        .map_err(|fault| Error::Record { what: "layout of a checkpoint".to_owned(), fault })?;
    Ok(Head { format: FORMAT, layout: fingerprint(&bytes) })
}

/// The bytes of a table that has taken everything below `next_offset`.
pub(crate) fn write(table: &Table, next_offset: i64, rules: &Rules, shape: measure::Shape) -> Result<Vec<u8>, Error> {
    let fault = |fault| Error::Record { what: "checkpoint".to_owned(), fault };
    let mut bytes = records::to_postcard(&head(rules, shape)?).map_err(fault)?;
    bytes.extend(records::to_postcard(&Saving { next_offset, table }).map_err(fault)?);
    Ok(bytes)
}

/// Reads a table and the first offset it has not taken.
pub(crate) fn read(
    bytes: &[u8],
    partition: &str,
    rules: &Rules,
    shape: measure::Shape,
    expected: (usize, usize),
) -> Result<(Table, i64), Error> {
    let fault = |fault| Error::Record { what: format!("checkpoint of {partition}"), fault };
    let ours = head(rules, shape)?;
    let head_length = records::to_postcard(&ours).map_err(fault)?.len();
    // The head's numbers are written with as many bytes as they need, so another head may be
    // longer; it is read from the whole to be told apart.
    let theirs: (Head,) = records::from_postcard(bytes).map_err(fault)?;
    if theirs.0 != ours {
        return Err(Error::Checkpoint {
            partition: partition.to_owned(),
            found: format!("format {} and layout {:032x}", theirs.0.format, theirs.0.layout),
            expected: format!("format {} and layout {:032x}", ours.format, ours.layout),
        });
    }
    let saved: Saved = records::from_postcard(bytes.get(head_length..).unwrap_or_default()).map_err(fault)?;
    let mut table = saved.table;
    table.sources.expect(expected.0, expected.1);
    Ok((table, saved.next_offset))
}

/// The map of entries as a list sorted by id: the same table gives the same bytes.
pub(crate) mod sorted {
    use super::Fingerprint;
    use crate::join::entry::Entry;
    use crate::join::table::Entries;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(entries: &Entries, to: S) -> Result<S::Ok, S::Error> {
        let mut list: Vec<(&Fingerprint, &Entry)> = entries.iter().collect();
        list.sort_unstable_by_key(|(id, _)| **id);
        list.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Entries, D::Error> {
        let list: Vec<(Fingerprint, Entry)> = Vec::deserialize(from)?;
        Ok(list.into_iter().collect())
    }
}
