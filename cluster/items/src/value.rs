//! The ten data types of DynamoDB.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::number::Number;
use crate::stored;

/// A value nests at most this many levels: the value itself is the first, so a scalar may stand inside 31 lists
/// or maps. Source: "Service, account, and table quotas", nested attribute depth; the way of counting was
/// measured against AWS by paritysuite/dynamodb-conformance (tests/tier3/limits/nestingDepth.test.ts).
pub const NESTING_MAX: usize = 32;

/// The attributes of one item, by name.
pub type Item = BTreeMap<String, AttributeValue>;

/// One value of an attribute.
///
/// Its serde form is for internal messages (postcard): the bytes of the stored encoding, depth-limited when
/// read. AWS's JSON is in [`crate::json`] and never comes from here.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum AttributeValue {
    S(String),
    N(Number),
    B(Bytes),
    SS(BTreeSet<String>),
    NS(BTreeSet<Number>),
    BS(BTreeSet<Bytes>),
    M(BTreeMap<String, AttributeValue>),
    L(Vec<AttributeValue>),
    Bool(bool),
    Null,
}

impl AttributeValue {
    /// AWS's name of the type, on the wire and in `attribute_type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            AttributeValue::S(_) => "S",
            AttributeValue::N(_) => "N",
            AttributeValue::B(_) => "B",
            AttributeValue::SS(_) => "SS",
            AttributeValue::NS(_) => "NS",
            AttributeValue::BS(_) => "BS",
            AttributeValue::M(_) => "M",
            AttributeValue::L(_) => "L",
            AttributeValue::Bool(_) => "BOOL",
            AttributeValue::Null => "NULL",
        }
    }

    /// DynamoDB's order within S (UTF-8 bytes), N (value) and B (unsigned bytes); nothing else is ordered.
    pub fn compare(&self, other: &AttributeValue) -> Option<Ordering> {
        match (self, other) {
            (AttributeValue::S(a), AttributeValue::S(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (AttributeValue::N(a), AttributeValue::N(b)) => Some(a.cmp(b)),
            (AttributeValue::B(a), AttributeValue::B(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// Levels of this value, itself included: 1 for a scalar, a set, or an empty list or map.
    pub fn depth(&self) -> usize {
        match self {
            AttributeValue::M(map) => 1 + map.values().map(AttributeValue::depth).max().unwrap_or(0),
            AttributeValue::L(list) => 1 + list.iter().map(AttributeValue::depth).max().unwrap_or(0),
            _ => 1,
        }
    }

    /// An update can graft one legal document into another, so results are checked too, not only requests.
    pub fn nests_too_deep(&self) -> bool {
        self.depth() > NESTING_MAX
    }
}

impl std::fmt::Debug for AttributeValue {
    /// As AWS prints values in messages: `{S:text}`; binary by its length.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AttributeValue::S(text) => write!(f, "{{S:{text}}}"),
            AttributeValue::N(number) => write!(f, "{{N:{number}}}"),
            AttributeValue::B(bytes) => write!(f, "{{B:{} bytes}}", bytes.len()),
            AttributeValue::SS(set) => write!(f, "{{SS:{set:?}}}"),
            AttributeValue::NS(set) => write!(f, "{{NS:{set:?}}}"),
            AttributeValue::BS(set) => write!(f, "{{BS:{} values}}", set.len()),
            AttributeValue::M(map) => write!(f, "{{M:{map:?}}}"),
            AttributeValue::L(list) => write!(f, "{{L:{list:?}}}"),
            AttributeValue::Bool(value) => write!(f, "{{BOOL:{value}}}"),
            AttributeValue::Null => f.write_str("{NULL:true}"),
        }
    }
}

impl Serialize for AttributeValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(64);
        stored::encode_value(self, &mut bytes);
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for AttributeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Encoded;
        impl Visitor<'_> for Encoded {
            type Value = AttributeValue;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the bytes of an encoded attribute value")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<AttributeValue, E> {
                stored::decode_value(bytes).map_err(E::custom)
            }
        }
        deserializer.deserialize_bytes(Encoded)
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        AttributeValue::S(text.to_owned())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        AttributeValue::S(text)
    }
}

impl From<Number> for AttributeValue {
    fn from(number: Number) -> Self {
        AttributeValue::N(number)
    }
}

impl From<i64> for AttributeValue {
    fn from(number: i64) -> Self {
        AttributeValue::N(Number::from(number))
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        AttributeValue::Bool(value)
    }
}
