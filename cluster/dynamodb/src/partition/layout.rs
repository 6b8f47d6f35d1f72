//! Where a partition's data stands in the store: `consensus' prefix | kind (1) | key`.
//!
//! | kind | key | value |
//! | --- | --- | --- |
//! | item | item key | stored item |
//! | index entry | ordinal of the local index (1), index key | stored item: what the index projects |
//! | collection | collection key | format (1), bytes of the collection (8) |
//! | journal | first sequence number (8) | journal record |
//!
//! Every value begins with a format version. A collection key is the part of an item key that all items with the
//! same partition key share.

use breakwater_consensus::KeyPrefix;
use breakwater_storage::KeyRange;

pub const ITEM: u8 = 1;
pub const INDEX: u8 = 2;
pub const COLLECTION: u8 = 3;
pub const JOURNAL: u8 = 4;

fn join(prefix: &KeyPrefix, parts: &[&[u8]]) -> Vec<u8> {
    let prefix = prefix.as_bytes();
    let mut key = Vec::with_capacity(prefix.len() + parts.iter().map(|part| part.len()).sum::<usize>());
    key.extend_from_slice(prefix);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

pub fn item(prefix: &KeyPrefix, key: &[u8]) -> Vec<u8> {
    join(prefix, &[&[ITEM], key])
}

pub fn index(prefix: &KeyPrefix, ordinal: u8, key: &[u8]) -> Vec<u8> {
    join(prefix, &[&[INDEX, ordinal], key])
}

pub fn collection(prefix: &KeyPrefix, key: &[u8]) -> Vec<u8> {
    join(prefix, &[&[COLLECTION], key])
}

pub fn journal(prefix: &KeyPrefix, first_sequence: u64) -> Vec<u8> {
    join(prefix, &[&[JOURNAL], &first_sequence.to_be_bytes()])
}

pub fn journal_all(prefix: &KeyPrefix) -> KeyRange {
    KeyRange::prefix(&join(prefix, &[&[JOURNAL]]))
}

/// The bytes before the item key or index key.
pub fn head(prefix: &KeyPrefix, ordinal: Option<u8>) -> Vec<u8> {
    match ordinal {
        None => join(prefix, &[&[ITEM]]),
        Some(ordinal) => join(prefix, &[&[INDEX, ordinal]]),
    }
}
