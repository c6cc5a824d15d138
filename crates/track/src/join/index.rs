//! From an event id to the place of its row.

use super::blocks::Blocks;
use domain::Fingerprint;
use hashbrown::HashTable;

/// A table doubles when it is full, and holds both halves meanwhile: many small ones keep that small.
const SHARDS: usize = 256;

/// Places by id. The ids themselves stand in the blocks, once: a place costs four bytes and a tag.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    shards: Vec<HashTable<u32>>,
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }
}

/// Ids are hashes already. The upper half serves: the lowest bits of all ids of a tracking
/// partition are alike, since they chose the partition.
fn hash(id: Fingerprint) -> u64 {
    u64::try_from(id >> 64).unwrap_or_default()
}

/// Bits that chose neither the partition nor the place in the shard.
fn shard(id: Fingerprint) -> usize {
    usize::try_from((id >> 40) & 0xff).unwrap_or_default()
}

impl Index {
    /// Place of an id.
    pub(crate) fn get(&self, id: Fingerprint, blocks: &Blocks) -> Option<u32> {
        self.shards.get(shard(id))?.find(hash(id), |place| blocks.id(*place) == Some(id)).copied()
    }

    /// Sets the place of an id that is not in the table.
    pub(crate) fn insert(&mut self, id: Fingerprint, place: u32, blocks: &Blocks) {
        if let Some(shard) = self.shards.get_mut(shard(id)) {
            shard.insert_unique(hash(id), place, |place| hash(blocks.id(*place).unwrap_or_default()));
        }
    }

    /// Moves an id from one place to another. Both hold it.
    pub(crate) fn replace(&mut self, id: Fingerprint, from: u32, to: u32) {
        let found = self.shards.get_mut(shard(id)).and_then(|s| s.find_mut(hash(id), |place| *place == from));
        if let Some(place) = found {
            *place = to;
        }
    }

    /// Gives back what a flood took.
    pub(crate) fn shrink(&mut self, blocks: &Blocks) {
        for shard in self.shards.iter_mut().filter(|shard| shard.capacity() > 64 && shard.len() * 4 < shard.capacity())
        {
            shard.shrink_to(shard.len() * 2, |place| hash(blocks.id(*place).unwrap_or_default()));
        }
    }

    /// Forgets an id that stands at a place.
    pub(crate) fn remove(&mut self, id: Fingerprint, place: u32) {
        if let Some(shard) = self.shards.get_mut(shard(id))
            && let Ok(entry) = shard.find_entry(hash(id), |at| *at == place)
        {
            entry.remove();
        }
    }
}
