//! Items between their stored bytes and the rules of their table.

use crate::rpc::PartitionError;
use breakwater_items::key::{self, PrimaryKey};
use breakwater_items::schema::{IndexProjection, LocalIndex, TableSchema};
use breakwater_items::stored;
use breakwater_items::{AttributeValue, Item, size};
use bytes::Bytes;

/// An item as it stands in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Current {
    pub version: u64,
    pub item: Item,
    pub size_bytes: usize,
}

impl Current {
    pub fn read(value: &Bytes) -> Result<Self, PartitionError> {
        // The store has checksums: what can't be read here is newer than we are, or our own fault.
        let stored = stored::decode(value).map_err(|e| PartitionError::Stopped(e.to_string()))?;
        let size_bytes = size::item_size(&stored.item);
        Ok(Current { version: stored.version, item: stored.item, size_bytes })
    }
}

/// The stored form of an item or of an index entry.
pub fn encode(version: u64, hlc: u64, item: &Item) -> Bytes {
    Bytes::from(stored::encode(version, hlc, item))
}

fn invalid(message: impl ToString) -> PartitionError {
    PartitionError::Validation(message.to_string())
}

pub fn key_of_item(schema: &TableSchema, item: &Item) -> Result<PrimaryKey, PartitionError> {
    PrimaryKey::from_item(&schema.key, item).map_err(invalid)
}

/// The front has checked keys; a replica checks again, because a wrong one would be stored under bytes that no
/// request finds.
pub fn check_key(schema: &TableSchema, key: &PrimaryKey) -> Result<(), PartitionError> {
    PrimaryKey::from_key(&schema.key, &key.to_item(&schema.key)).map_err(invalid)?;
    match key.range.is_some() == schema.key.range.is_some() {
        true => Ok(()),
        false => Err(invalid(key::KeyError::Mismatch)),
    }
}

/// How many first bytes of its item keys and index keys a collection's items share.
pub fn collection_key_length(key: &PrimaryKey) -> usize {
    16 + key::encode_component(&key.hash).len()
}

/// Which request brought a value that an index can't hold: AWS says it in other words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Put,
    Update,
}

/// Sort attributes of local indexes, where the item has them, must have the index's type and be fit for a key.
pub fn check_index_keys(schema: &TableSchema, item: &Item, origin: Origin) -> Result<(), PartitionError> {
    for index in &schema.local_indexes {
        let attribute = &index.range;
        let Some(value) = item.get(&attribute.name) else { continue };
        if !attribute.key_type.matches(value) {
            return Err(PartitionError::Validation(match origin {
                Origin::Put => format!(
                    "One or more parameter values were invalid: Type mismatch for Index Key {} Expected: {} Actual: {} \
                     IndexName: {}",
                    attribute.name,
                    attribute.key_type.name(),
                    value.type_name(),
                    index.name
                ),
                Origin::Update => {
                    "The update expression attempted to update the secondary index key to unsupported type".to_owned()
                }
            }));
        }
        let (length, what) = match value {
            AttributeValue::S(text) => (text.len(), "string"),
            AttributeValue::B(bytes) => (bytes.len(), "binary"),
            _ => continue,
        };
        if length == 0 {
            return Err(PartitionError::Validation(match origin {
                Origin::Put => format!(
                    "One or more parameter values are not valid. A value specified for a secondary index key is not \
                     supported. The AttributeValue for a key attribute cannot contain an empty {what} value. \
                     IndexName: {}, IndexKey: {}",
                    index.name, attribute.name
                ),
                Origin::Update => format!(
                    "The update expression attempted to update the secondary index key to a value that is not \
                     supported. The AttributeValue for a key attribute cannot contain an empty {what} value."
                ),
            }));
        }
        if length > key::RANGE_KEY_BYTES_MAX {
            return Err(invalid(key::KeyError::RangeTooLong));
        }
    }
    Ok(())
}

pub fn projects_all(index: &LocalIndex) -> bool {
    index.projection == IndexProjection::All
}

/// Whether an index's entries hold this attribute.
pub fn index_holds(schema: &TableSchema, index: &LocalIndex, attribute: &str) -> bool {
    schema.key.contains(attribute)
        || index.range.name == attribute
        || match &index.projection {
            IndexProjection::All => true,
            IndexProjection::KeysOnly => false,
            IndexProjection::Include(names) => names.iter().any(|name| name == attribute),
        }
}

/// What an index holds of an item.
pub fn projected(schema: &TableSchema, index: &LocalIndex, item: &Item) -> Item {
    if projects_all(index) {
        return item.clone();
    }
    let held = item.iter().filter(|(name, _)| index_holds(schema, index, name));
    held.map(|(name, value)| (name.clone(), value.clone())).collect()
}
