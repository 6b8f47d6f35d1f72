//! What a table says of its keys and local indexes.

use serde::{Deserialize, Serialize};

use crate::value::AttributeValue;

/// The types that a key attribute can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyType {
    S,
    N,
    B,
}

impl KeyType {
    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            KeyType::S => "S",
            KeyType::N => "N",
            KeyType::B => "B",
        }
    }

    pub fn parse(name: &str) -> Option<KeyType> {
        [KeyType::S, KeyType::N, KeyType::B].into_iter().find(|key_type| key_type.name() == name)
    }

    pub fn matches(self, value: &AttributeValue) -> bool {
        self.name() == value.type_name()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyAttribute {
    pub name: String,
    pub key_type: KeyType,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeySchema {
    pub hash: KeyAttribute,
    pub range: Option<KeyAttribute>,
}

impl KeySchema {
    /// Hash key, then range key where there is one.
    pub fn attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        std::iter::once(&self.hash).chain(&self.range)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.attributes().any(|attribute| attribute.name == name)
    }
}

/// Which attributes an index entry carries beside the keys of table and index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IndexProjection {
    All,
    KeysOnly,
    Include(Vec<String>),
}

/// A local secondary index: the table's hash key with another range key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LocalIndex {
    pub name: String,
    pub range: KeyAttribute,
    pub projection: IndexProjection,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableSchema {
    pub key: KeySchema,
    pub local_indexes: Vec<LocalIndex>,
}

impl TableSchema {
    /// The index and its number, which is its place in the list and part of stored keys: local indexes are fixed
    /// when the table is made, so the number never changes.
    pub fn local_index(&self, name: &str) -> Option<(u8, &LocalIndex)> {
        let place = self.local_indexes.iter().position(|index| index.name == name)?;
        Some((u8::try_from(place).ok()?, &self.local_indexes[place]))
    }
}
