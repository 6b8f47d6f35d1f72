//! Entries of local indexes that a write changes.
//!
//! An item with the index's sort attribute has one entry in it; an item without has none. What a change costs, from
//! docs.aws.amazon.com/amazondynamodb/latest/developerguide/LSI.html: one write for an entry that appears, goes, or
//! changes in what it projects; two where its sort key changes, as the old entry goes and a new one appears; none
//! where the write touches nothing that the index holds.

use super::command::{EntryChange, EntryValue, IndexChange};
use super::current::{encode, projected, projects_all};
use crate::rpc::{IndexWrite, PartitionError};
use breakwater_items::key::{self, PrimaryKey};
use breakwater_items::schema::{LocalIndex, TableSchema};
use breakwater_items::{Item, capacity, size};
use bytes::Bytes;
use std::borrow::Cow;

pub struct IndexedWrite {
    pub entries: Vec<IndexChange>,
    /// One for each index that costs something.
    pub writes: Vec<IndexWrite>,
}

struct Entry<'i> {
    key: Bytes,
    item: Cow<'i, Item>,
    size_bytes: usize,
}

impl<'i> Entry<'i> {
    fn of(
        schema: &TableSchema,
        index: &LocalIndex,
        hash: u128,
        primary: &PrimaryKey,
        item: Option<&'i Item>,
    ) -> Option<Self> {
        let item = item?;
        let key = Bytes::from(key::index_key(hash, primary, item.get(&index.range.name)?));
        let item = match projects_all(index) {
            true => Cow::Borrowed(item),
            false => Cow::Owned(projected(schema, index, item)),
        };
        let size_bytes = size::item_size(&item);
        Some(Entry { key, item, size_bytes })
    }
}

fn units_of(size_bytes: usize) -> u32 {
    capacity::write_units(size_bytes as u64) as u32
}

/// `stamp` is the item's version and hybrid time.
pub fn changes(
    schema: &TableSchema,
    hash: u128,
    primary: &PrimaryKey,
    old: Option<&Item>,
    new: Option<&Item>,
    stamp: (u64, u64),
) -> Result<IndexedWrite, PartitionError> {
    let mut done = IndexedWrite { entries: Vec::new(), writes: Vec::new() };
    for (ordinal, index) in schema.local_indexes.iter().enumerate() {
        let ordinal = u8::try_from(ordinal).map_err(|_| PartitionError::Stopped("too many indexes".to_owned()))?;
        let before = Entry::of(schema, index, hash, primary, old);
        let after = Entry::of(schema, index, hash, primary, new);
        let mut units = 0;
        let mut push = |key: Bytes, bytes_delta: i64, entry| {
            done.entries.push(IndexChange { index: ordinal, key, bytes_delta, entry });
        };
        let value = |entry: &Entry| match projects_all(index) {
            true => EntryValue::WholeItem,
            false => EntryValue::Projected(encode(stamp.0, stamp.1, &entry.item)),
        };
        match (before, after) {
            (None, None) => {}
            (Some(before), Some(after)) if before.key == after.key => {
                if before.item != after.item {
                    units += units_of(before.size_bytes.max(after.size_bytes));
                    let delta = after.size_bytes as i64 - before.size_bytes as i64;
                    push(after.key.clone(), delta, EntryChange::Replace(value(&after)));
                }
            }
            (before, after) => {
                if let Some(before) = before {
                    units += units_of(before.size_bytes);
                    push(before.key, -(before.size_bytes as i64), EntryChange::Remove);
                }
                if let Some(after) = after {
                    units += units_of(after.size_bytes);
                    push(after.key.clone(), after.size_bytes as i64, EntryChange::Insert(value(&after)));
                }
            }
        }
        if units > 0 {
            done.writes.push(IndexWrite { index: ordinal, units });
        }
    }
    Ok(done)
}
