//! Primary keys: taken out of items and requests, checked, and as bytes whose order is the values' order.

use crate::schema::{KeyAttribute, KeySchema, KeyType};
use crate::value::{AttributeValue, Item};
use crate::number::Number;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub const HASH_KEY_BYTES_MAX: usize = 2_048;
pub const RANGE_KEY_BYTES_MAX: usize = 1_024;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PrimaryKey {
    pub hash: AttributeValue,
    pub range: Option<AttributeValue>,
}

/// Each variant's text is the message of AWS's ValidationException.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("The provided key element does not match the schema")]
    Mismatch,
    #[error("One or more parameter values were invalid: Missing the key {0} in the item")]
    Missing(String),
    #[error("One or more parameter values were invalid: Type mismatch for key {name} expected: {expected} actual: {actual}")]
    WrongType { name: String, expected: &'static str, actual: &'static str },
    #[error("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty {what} value. Key: {name}")]
    Empty { name: String, what: &'static str },
    #[error("One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes")]
    HashTooLong,
    #[error("One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes")]
    RangeTooLong,
}

fn type_of(value: &AttributeValue) -> Option<KeyType> {
    match value {
        AttributeValue::S(_) => Some(KeyType::S),
        AttributeValue::N(_) => Some(KeyType::N),
        AttributeValue::B(_) => Some(KeyType::B),
        _ => None,
    }
}

/// Empty and too long values, of a value of the right type.
fn check_value(attribute: &KeyAttribute, value: &AttributeValue, is_hash: bool) -> Result<(), KeyError> {
    let (length, what) = match value {
        AttributeValue::S(s) => (s.len(), "string"),
        AttributeValue::B(b) => (b.len(), "binary"),
        _ => return Ok(()),
    };
    if length == 0 {
        return Err(KeyError::Empty { name: attribute.name.clone(), what });
    }
    match is_hash {
        true if length > HASH_KEY_BYTES_MAX => Err(KeyError::HashTooLong),
        false if length > RANGE_KEY_BYTES_MAX => Err(KeyError::RangeTooLong),
        _ => Ok(()),
    }
}

impl PrimaryKey {
    /// From an item that is put.
    pub fn from_item(schema: &KeySchema, item: &Item) -> Result<Self, KeyError> {
        let take = |attribute: &KeyAttribute, is_hash| {
            let value = item.get(&attribute.name).ok_or_else(|| KeyError::Missing(attribute.name.clone()))?;
            if type_of(value) != Some(attribute.key_type) {
                return Err(KeyError::WrongType {
                    name: attribute.name.clone(),
                    expected: attribute.key_type.name(),
                    actual: value.type_name(),
                });
            }
            check_value(attribute, value, is_hash)?;
            Ok(value.clone())
        };
        Ok(PrimaryKey {
            hash: take(&schema.hash, true)?,
            range: schema.range.as_ref().map(|r| take(r, false)).transpose()?,
        })
    }

    /// From a request's `Key`: the key attributes and nothing else.
    pub fn from_key(schema: &KeySchema, key: &Item) -> Result<Self, KeyError> {
        if key.len() != schema.attributes().count() {
            return Err(KeyError::Mismatch);
        }
        let take = |attribute: &KeyAttribute, is_hash| {
            let value = key.get(&attribute.name).ok_or(KeyError::Mismatch)?;
            if type_of(value) != Some(attribute.key_type) {
                return Err(KeyError::Mismatch);
            }
            check_value(attribute, value, is_hash)?;
            Ok(value.clone())
        };
        Ok(PrimaryKey {
            hash: take(&schema.hash, true)?,
            range: schema.range.as_ref().map(|r| take(r, false)).transpose()?,
        })
    }

    /// The attributes as an item, for `LastEvaluatedKey` and for items that an update creates.
    pub fn to_item(&self, schema: &KeySchema) -> Item {
        let mut item = Item::new();
        item.insert(schema.hash.name.clone(), self.hash.clone());
        if let (Some(attribute), Some(value)) = (&schema.range, &self.range) {
            item.insert(attribute.name.clone(), value.clone());
        }
        item
    }
}

const TAG_S: u8 = 1;
const TAG_N: u8 = 2;
const TAG_B: u8 = 3;

/// Zero bytes are followed by ff, the end is 00 01: so a shorter text comes before a longer one that begins with it.
fn put_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 1]);
}

fn take_escaped(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        match (bytes.get(at)?, bytes.get(at + 1)) {
            (0, Some(0xff)) => {
                out.push(0);
                at += 2;
            }
            (0, Some(1)) => return Some((out, &bytes[at + 2..])),
            (0, _) => return None,
            (byte, _) => {
                out.push(*byte);
                at += 1;
            }
        }
    }
}

/// A key attribute's value as self-delimiting bytes in the values' order: strings by UTF-8 bytes, numbers by value,
/// binary by unsigned bytes. Other types, which no key has, give nothing.
pub fn encode_component(value: &AttributeValue) -> Vec<u8> {
    let mut out = Vec::new();
    put_component(value, &mut out);
    out
}

pub fn put_component(value: &AttributeValue, out: &mut Vec<u8>) {
    match value {
        AttributeValue::S(s) => {
            out.push(TAG_S);
            put_escaped(s.as_bytes(), out);
        }
        AttributeValue::N(n) => {
            out.push(TAG_N);
            n.encode_ordered(out);
        }
        AttributeValue::B(b) => {
            out.push(TAG_B);
            put_escaped(b, out);
        }
        _ => {}
    }
}

/// The value at the beginning of the bytes, and the rest.
pub fn decode_component(bytes: &[u8]) -> Option<(AttributeValue, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    match *tag {
        TAG_S => {
            let (text, rest) = take_escaped(rest)?;
            Some((AttributeValue::S(String::from_utf8(text).ok()?), rest))
        }
        TAG_N => {
            let (number, rest) = Number::decode_ordered(rest)?;
            Some((AttributeValue::N(number), rest))
        }
        TAG_B => {
            let (bytes, rest) = take_escaped(rest)?;
            Some((AttributeValue::B(Bytes::from(bytes)), rest))
        }
        _ => None,
    }
}

/// Where a hash key lies in its table: evenly spread, and of no use to those who don't know the salt.
pub fn partition_hash(salt: &[u8; 16], hash: &AttributeValue) -> u128 {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(encode_component(hash));
    let digest = hasher.finalize();
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(first)
}

/// `hash (16) | hash key | range key`
pub fn item_key(hash: u128, key: &PrimaryKey) -> Vec<u8> {
    let mut out = hash.to_be_bytes().to_vec();
    put_component(&key.hash, &mut out);
    if let Some(range) = &key.range {
        put_component(range, &mut out);
    }
    out
}

/// `hash (16) | hash key | index range key | table range key`
pub fn index_key(hash: u128, key: &PrimaryKey, index_sort: &AttributeValue) -> Vec<u8> {
    let mut out = hash.to_be_bytes().to_vec();
    put_component(&key.hash, &mut out);
    put_component(index_sort, &mut out);
    if let Some(range) = &key.range {
        put_component(range, &mut out);
    }
    out
}

/// What [`item_key`] made.
pub fn decode_item_key(bytes: &[u8]) -> Option<(u128, PrimaryKey)> {
    let (hash, rest) = bytes.split_first_chunk::<16>()?;
    let (value, rest) = decode_component(rest)?;
    let range = match rest {
        [] => None,
        rest => {
            let (range, rest) = decode_component(rest)?;
            if !rest.is_empty() {
                return None;
            }
            Some(range)
        }
    };
    Some((u128::from_be_bytes(*hash), PrimaryKey { hash: value, range }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn components() -> impl Strategy<Value = AttributeValue> {
        prop_oneof![
            prop::collection::vec(prop_oneof![Just('\0'), Just('\u{1}'), any::<char>()], 0..6)
                .prop_map(|chars| AttributeValue::S(chars.into_iter().collect())),
            any::<i64>().prop_map(|n| AttributeValue::N(n.to_string().parse().unwrap())),
            prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()], 0..6)
                .prop_map(|bytes| AttributeValue::B(bytes.into())),
        ]
    }

    fn order(a: &AttributeValue, b: &AttributeValue) -> Option<std::cmp::Ordering> {
        match (a, b) {
            (AttributeValue::S(a), AttributeValue::S(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (AttributeValue::N(a), AttributeValue::N(b)) => Some(a.cmp(b)),
            (AttributeValue::B(a), AttributeValue::B(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    proptest! {
        #[test]
        fn bytes_are_ordered_as_values(a in components(), b in components()) {
            if let Some(expected) = order(&a, &b) {
                prop_assert_eq!(encode_component(&a).cmp(&encode_component(&b)), expected);
            }
        }

        #[test]
        fn keys_read_back(hash in components(), range in prop::option::of(components()), at in any::<u128>()) {
            let key = PrimaryKey { hash, range };
            prop_assert_eq!(decode_item_key(&item_key(at, &key)), Some((at, key)));
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode_item_key(&bytes);
        }
    }
}
