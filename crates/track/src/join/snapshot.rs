//! Bytes of a table: what a checkpoint holds.
//!
//! The same table gives the same bytes. Blocks are written as they stand, ids as 16 bytes each;
//! labels follow in the order of their rows; the index is made anew.

use super::JoinConfig;
use super::blocks::Blocks;
use super::groups::Groups;
use super::history::History;
use super::index::Index;
use super::labels::{Label, Labels};
use super::names::Names;
use super::sources::Sources;
use super::table::Table;
use crate::error::Error;
use domain::{Fingerprint, fingerprint};
use records::journal::JoinCounters;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;

/// Version of the layout of the types below.
const FORMAT: u32 = 2;

/// A checkpoint as it is read.
#[derive(Debug, Deserialize)]
struct Saved {
    next_offset: i64,
    sources: Sources,
    names: Names,
    groups: Groups,
    blocks: Blocks,
    labels: Vec<(u32, Label)>,
    open: BTreeMap<i64, Vec<u32>>,
    closed: BTreeMap<i64, Vec<u32>>,
    unmatched: BTreeMap<i64, Ids>,
    history: History,
    counters: JoinCounters,
    events_ms: Option<i64>,
    labels_ms: Option<i64>,
}

/// The same as it is written.
#[derive(Debug, Serialize)]
struct Saving<'a> {
    next_offset: i64,
    sources: &'a Sources,
    names: &'a Names,
    groups: &'a Groups,
    blocks: &'a Blocks,
    labels: LabelsOf<'a>,
    open: &'a BTreeMap<i64, Vec<u32>>,
    closed: &'a BTreeMap<i64, Vec<u32>>,
    unmatched: BTreeMap<i64, IdsOf<'a>>,
    history: &'a History,
    counters: &'a JoinCounters,
    events_ms: Option<i64>,
    labels_ms: Option<i64>,
}

/// What a checkpoint must agree in before the rest of it is read.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    format: u32,
    /// Hash of what shapes a table: one made under other rules cannot be gone on with.
    layout: u128,
}

fn head(config: &JoinConfig) -> Result<Head, Error> {
    let bytes = records::to_postcard(&(config.rules, config.shape, config.unlabelled))
        .map_err(|fault| Error::Record { what: "layout of a checkpoint".to_owned(), fault })?;
    Ok(Head { format: FORMAT, layout: fingerprint(&bytes) })
}

/// The bytes of a table that has taken everything below `next_offset`.
pub(crate) fn write(table: &Table, next_offset: i64, config: &JoinConfig) -> Result<Vec<u8>, Error> {
    let fault = |fault| Error::Record { what: "checkpoint".to_owned(), fault };
    let mut bytes = records::to_postcard(&head(config)?).map_err(fault)?;
    let saving = Saving {
        next_offset,
        sources: &table.sources,
        names: &table.names,
        groups: &table.groups,
        blocks: &table.blocks,
        labels: LabelsOf(table),
        open: &table.open,
        closed: &table.closed,
        unmatched: table.unmatched.iter().map(|(slice, list)| (*slice, IdsOf(list))).collect(),
        history: &table.history,
        counters: &table.counters,
        events_ms: table.events_ms,
        labels_ms: table.labels_ms,
    };
    bytes.extend(records::to_postcard(&saving).map_err(fault)?);
    Ok(bytes)
}

/// Reads a table and the first offset it has not taken.
pub(crate) fn read(bytes: &[u8], partition: &str, config: &JoinConfig) -> Result<(Table, i64), Error> {
    let fault = |fault| Error::Record { what: format!("checkpoint of {partition}"), fault };
    let ours = head(config)?;
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
    let next_offset = saved.next_offset;
    let mut table = table(saved);
    table.sources.expect(config.event_partitions, config.label_partitions);
    Ok((table, next_offset))
}

fn table(saved: Saved) -> Table {
    let mut blocks = saved.blocks;
    let (mut labels, mut index) = (Labels::default(), Index::default());
    blocks.without_labels();
    for (place, label) in saved.labels {
        let head = labels.push(&label, blocks.labels(place));
        blocks.set_labels(place, head);
    }
    for number in blocks.numbers() {
        for (place, id) in blocks.alive(number) {
            index.insert(id, place, &blocks);
        }
    }
    Table {
        sources: saved.sources,
        names: saved.names,
        groups: saved.groups,
        blocks,
        index,
        labels,
        open: saved.open,
        closed: saved.closed,
        unmatched: saved.unmatched.into_iter().map(|(slice, list)| (slice, list.0)).collect(),
        history: saved.history,
        counters: saved.counters,
        events_ms: saved.events_ms,
        labels_ms: saved.labels_ms,
    }
}

/// Labels with their places, those of a place from the least to the greatest.
#[derive(Debug)]
struct LabelsOf<'a>(&'a Table);

impl Serialize for LabelsOf<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let table = self.0;
        let mut list = to.serialize_seq(Some(table.labels.len()))?;
        for (place, _) in table.blocks.numbers().flat_map(|number| table.blocks.alive(number)) {
            let mut of_id: Vec<Label> = table.labels.of(table.blocks.labels(place)).collect();
            of_id.reverse();
            for label in of_id {
                list.serialize_element(&(place, label))?;
            }
        }
        list.end()
    }
}

/// Ids as bytes: written as numbers they would take up to 19 bytes each.
#[derive(Debug, Deserialize)]
struct Ids(#[serde(with = "ids")] Vec<Fingerprint>);

#[derive(Debug, Serialize)]
struct IdsOf<'a>(#[serde(serialize_with = "ids::serialize")] &'a [Fingerprint]);

pub(crate) mod ids {
    use domain::Fingerprint;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(ids: &[Fingerprint], to: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(size_of_val(ids));
        ids.iter().for_each(|id| bytes.extend_from_slice(&id.to_le_bytes()));
        to.serialize_bytes(&bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Fingerprint>, D::Error> {
        let bytes: &'de [u8] = Deserialize::deserialize(from)?;
        let (ids, rest) = bytes.as_chunks();
        if rest.is_empty() {
            Ok(ids.iter().map(|id| Fingerprint::from_le_bytes(*id)).collect())
        } else {
            Err(D::Error::invalid_length(bytes.len(), &"16 bytes of each id"))
        }
    }
}
