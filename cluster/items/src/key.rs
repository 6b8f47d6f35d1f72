//! Primary keys: taken out of items and requests, checked, and as bytes whose order is the values' order.

use crate::number::Number;
use crate::schema::{KeyAttribute, KeySchema};
use crate::value::{AttributeValue, Item};
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
    #[error(
        "One or more parameter values were invalid: Type mismatch for key {name} expected: {expected} actual: {actual}"
    )]
    WrongType { name: String, expected: &'static str, actual: &'static str },
    #[error(
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty {what} value. Key: {name}"
    )]
    Empty { name: String, what: &'static str },
    #[error(
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"
    )]
    HashTooLong,
    #[error(
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
    )]
    RangeTooLong,
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
            if !attribute.key_type.matches(value) {
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
            if !attribute.key_type.matches(value) {
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

/// A zero byte is followed by ff, and the end is 00 01: so a text comes before every longer one that begins with it.
fn put_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    put_escaped_open(bytes, out);
    out.extend_from_slice(&[0, 1]);
}

fn put_escaped_open(bytes: &[u8], out: &mut Vec<u8>) {
    let mut pieces = bytes.split(|byte| *byte == 0);
    out.extend_from_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.extend_from_slice(&[0, 0xff]);
        out.extend_from_slice(piece);
    }
}

fn take_escaped(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::new();
    let mut rest = bytes;
    loop {
        let zero = rest.iter().position(|byte| *byte == 0)?;
        out.extend_from_slice(&rest[..zero]);
        let after = rest.get(zero + 2..)?;
        match rest[zero + 1] {
            0xff => out.push(0),
            1 => return Some((out, after)),
            _ => return None,
        }
        rest = after;
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

/// The bytes with which the component of every string or binary value begins that begins with `prefix`: for
/// `begins_with`. Nothing for other types.
pub fn put_prefix(prefix: &AttributeValue, out: &mut Vec<u8>) {
    match prefix {
        AttributeValue::S(text) => {
            out.push(TAG_S);
            put_escaped_open(text.as_bytes(), out);
        }
        AttributeValue::B(bytes) => {
            out.push(TAG_B);
            put_escaped_open(bytes, out);
        }
        _ => {}
    }
}

/// The first bytes after all that begin with `prefix`: the exclusive end of a scan over it. `None` where nothing
/// comes after (all bytes ff).
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// Where a hash key lies in its table: evenly spread, and of no use to those who don't know the salt. The first 16
/// bytes of SHA-256 over the salt and the component.
pub fn partition_hash(salt: &[u8; 16], hash: &AttributeValue) -> u128 {
    let mut component = Vec::with_capacity(64);
    put_component(hash, &mut component);
    let digest = Sha256::new().chain_update(salt).chain_update(&component).finalize();
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(first)
}

/// `hash (16) | hash key | range key`. With no range key in `key` it is what a collection's item keys begin with.
pub fn item_key(hash: u128, key: &PrimaryKey) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&hash.to_be_bytes());
    put_component(&key.hash, &mut out);
    if let Some(range) = &key.range {
        put_component(range, &mut out);
    }
    out
}

/// `hash (16) | hash key | index range key | table range key`. Which index it is stands outside, in the store's
/// layout.
pub fn index_key(hash: u128, key: &PrimaryKey, index_range: &AttributeValue) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    out.extend_from_slice(&hash.to_be_bytes());
    put_component(&key.hash, &mut out);
    put_component(index_range, &mut out);
    if let Some(range) = &key.range {
        put_component(range, &mut out);
    }
    out
}

/// What [`item_key`] made.
pub fn decode_item_key(bytes: &[u8]) -> Option<(u128, PrimaryKey)> {
    let (place, rest) = bytes.split_first_chunk::<16>()?;
    let (hash, rest) = decode_component(rest)?;
    let range = decode_last(rest)?;
    Some((u128::from_be_bytes(*place), PrimaryKey { hash, range }))
}

/// What [`index_key`] made: the place, the item's key, the index's range value.
pub fn decode_index_key(bytes: &[u8]) -> Option<(u128, PrimaryKey, AttributeValue)> {
    let (place, rest) = bytes.split_first_chunk::<16>()?;
    let (hash, rest) = decode_component(rest)?;
    let (index_range, rest) = decode_component(rest)?;
    let range = decode_last(rest)?;
    Some((u128::from_be_bytes(*place), PrimaryKey { hash, range }, index_range))
}

/// A component that fills the bytes, or none where there are none.
fn decode_last(bytes: &[u8]) -> Option<Option<AttributeValue>> {
    if bytes.is_empty() {
        return Some(None);
    }
    let (value, rest) = decode_component(bytes)?;
    rest.is_empty().then_some(Some(value))
}

#[cfg(test)]
mod tests;
