//! The stored form of items and values: compact, versioned, and safe to read whatever the bytes are.
//!
//! An item is a format version (1 byte), its version and its hybrid logical time (8 bytes each, big-endian), a
//! count, and name and value of each attribute in the order of their names. A value is a type byte and its
//! content. Lengths, counts and the parts of numbers are LEB128. What is decoded is canonical: names and members
//! strictly ascend, numbers are in their one form, so a value has exactly one encoding.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::number::Number;
use crate::value::{AttributeValue, Item, NESTING_MAX};

/// The format that [`encode`] writes.
pub const FORMAT_VERSION: u8 = 1;

const HEADER_LEN: usize = 1 + 8 + 8;

const TAG_S: u8 = 1;
const TAG_N: u8 = 2;
const TAG_B: u8 = 3;
const TAG_SS: u8 = 4;
const TAG_NS: u8 = 5;
const TAG_BS: u8 = 6;
const TAG_M: u8 = 7;
const TAG_L: u8 = 8;
const TAG_FALSE: u8 = 9;
const TAG_TRUE: u8 = 10;
const TAG_NULL: u8 = 11;

/// Why bytes are no stored item or value. Bytes that passed the store's checksum and still fail here were written
/// by another version or a broken one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    #[error("the stored item ends early")]
    Truncated,
    #[error("bytes follow the end of the stored item")]
    TrailingBytes,
    #[error("format version {0} of a stored item is unknown")]
    UnknownFormat(u8),
    #[error("type {0} of a stored value is unknown")]
    UnknownType(u8),
    #[error("a stored length is out of range")]
    Length,
    #[error("a stored string is not UTF-8")]
    NotUtf8,
    #[error("a stored number is not canonical")]
    Number,
    #[error("stored names or set members are not in order")]
    Order,
    #[error("a stored set is empty")]
    EmptySet,
    #[error("a stored value nests too deep")]
    TooDeep,
}

/// An item with what replication keeps beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredItem {
    /// Counts the writes of this key.
    pub version: u64,
    /// Hybrid logical time of the last write.
    pub hlc: u64,
    pub item: Item,
}

pub fn decode(bytes: &[u8]) -> Result<StoredItem, StoredError> {
    let (version, hlc) = decode_header(bytes)?;
    let mut reader = Reader { rest: &bytes[HEADER_LEN..] };
    let item = reader.attributes(NESTING_MAX)?;
    reader.finish()?;
    Ok(StoredItem { version, hlc, item })
}

pub fn encode(version: u64, hlc: u64, item: &Item) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN + item.len() * 32);
    out.push(FORMAT_VERSION);
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&hlc.to_be_bytes());
    put_attributes(item, &mut out);
    out
}

/// Version and hybrid logical time, without reading the attributes.
pub fn decode_header(bytes: &[u8]) -> Result<(u64, u64), StoredError> {
    let (&format, rest) = bytes.split_first().ok_or(StoredError::Truncated)?;
    if format != FORMAT_VERSION {
        return Err(StoredError::UnknownFormat(format));
    }
    let (version, rest) = rest.split_first_chunk().ok_or(StoredError::Truncated)?;
    let (hlc, _) = rest.split_first_chunk().ok_or(StoredError::Truncated)?;
    Ok((u64::from_be_bytes(*version), u64::from_be_bytes(*hlc)))
}

/// Appends the encoding of one value.
pub fn encode_value(value: &AttributeValue, out: &mut Vec<u8>) {
    match value {
        AttributeValue::S(text) => {
            out.push(TAG_S);
            put_bytes(text.as_bytes(), out);
        }
        AttributeValue::N(number) => {
            out.push(TAG_N);
            put_number(number, out);
        }
        AttributeValue::B(bytes) => {
            out.push(TAG_B);
            put_bytes(bytes, out);
        }
        AttributeValue::SS(set) => {
            out.push(TAG_SS);
            put_length(set.len(), out);
            set.iter().for_each(|text| put_bytes(text.as_bytes(), out));
        }
        AttributeValue::NS(set) => {
            out.push(TAG_NS);
            put_length(set.len(), out);
            set.iter().for_each(|number| put_number(number, out));
        }
        AttributeValue::BS(set) => {
            out.push(TAG_BS);
            put_length(set.len(), out);
            set.iter().for_each(|bytes| put_bytes(bytes, out));
        }
        AttributeValue::M(map) => {
            out.push(TAG_M);
            put_attributes(map, out);
        }
        AttributeValue::L(list) => {
            out.push(TAG_L);
            put_length(list.len(), out);
            list.iter().for_each(|value| encode_value(value, out));
        }
        AttributeValue::Bool(value) => out.push(if *value { TAG_TRUE } else { TAG_FALSE }),
        AttributeValue::Null => out.push(TAG_NULL),
    }
}

/// Reads one value that fills `bytes`.
pub fn decode_value(bytes: &[u8]) -> Result<AttributeValue, StoredError> {
    let mut reader = Reader { rest: bytes };
    let value = reader.value(NESTING_MAX)?;
    reader.finish()?;
    Ok(value)
}

fn put_attributes(map: &BTreeMap<String, AttributeValue>, out: &mut Vec<u8>) {
    put_length(map.len(), out);
    for (name, value) in map {
        put_bytes(name.as_bytes(), out);
        encode_value(value, out);
    }
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    put_varint(length as u128, out);
}

/// Zigzag exponent and sign in one varint, then the coefficient.
fn put_number(number: &Number, out: &mut Vec<u8>) {
    let (negative, exponent, coefficient) = number.parts();
    let zigzag = ((exponent << 1) ^ (exponent >> 15)) as u16;
    put_varint(u128::from(zigzag) << 1 | u128::from(negative), out);
    put_varint(coefficient, out);
}

fn put_varint(value: u128, out: &mut Vec<u8>) {
    // Lengths and nearly all numbers fit the machine's own word.
    let Ok(mut small) = u64::try_from(value) else {
        let mut wide = value;
        while wide >= 0x80 {
            out.push(wide as u8 | 0x80);
            wide >>= 7;
        }
        out.push(wide as u8);
        return;
    };
    while small >= 0x80 {
        out.push(small as u8 | 0x80);
        small >>= 7;
    }
    out.push(small as u8);
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn finish(&self) -> Result<(), StoredError> {
        if self.rest.is_empty() { Ok(()) } else { Err(StoredError::TrailingBytes) }
    }

    fn byte(&mut self) -> Result<u8, StoredError> {
        let (&byte, rest) = self.rest.split_first().ok_or(StoredError::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u128, StoredError> {
        let mut value = 0u128;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            let part = u128::from(byte & 0x7f);
            // The last of 19 groups has two bits left; a zero group at the end would be a second encoding.
            if shift > 126 || (shift == 126 && part > 3) || (part == 0 && byte == 0 && shift > 0) {
                return Err(StoredError::Length);
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// A length or count; every counted thing takes a byte at least, so what exceeds the rest is wrong.
    fn length(&mut self) -> Result<usize, StoredError> {
        let length = usize::try_from(self.varint()?).map_err(|_| StoredError::Length)?;
        if length > self.rest.len() { Err(StoredError::Truncated) } else { Ok(length) }
    }

    fn bytes(&mut self) -> Result<&'a [u8], StoredError> {
        let length = self.length()?;
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'a str, StoredError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| StoredError::NotUtf8)
    }

    fn number(&mut self) -> Result<Number, StoredError> {
        let head = u32::try_from(self.varint()?).map_err(|_| StoredError::Number)?;
        let zigzag = u16::try_from(head >> 1).map_err(|_| StoredError::Number)?;
        let exponent = (zigzag >> 1) as i16 ^ -((zigzag & 1) as i16);
        Number::from_parts(head & 1 == 1, exponent, self.varint()?).ok_or(StoredError::Number)
    }

    fn set<T: Ord>(
        &mut self,
        mut member: impl FnMut(&mut Self) -> Result<T, StoredError>,
    ) -> Result<BTreeSet<T>, StoredError> {
        let count = self.length()?;
        if count == 0 {
            return Err(StoredError::EmptySet);
        }
        let mut members: Vec<T> = Vec::with_capacity(count.min(PREALLOCATED_MAX));
        for _ in 0..count {
            let next = member(self)?;
            if members.last().is_some_and(|last| *last >= next) {
                return Err(StoredError::Order);
            }
            members.push(next);
        }
        Ok(members.into_iter().collect())
    }

    /// `levels` is how many levels the values may have.
    fn attributes(&mut self, levels: usize) -> Result<BTreeMap<String, AttributeValue>, StoredError> {
        let count = self.length()?;
        let mut attributes: Vec<(String, AttributeValue)> = Vec::with_capacity(count.min(PREALLOCATED_MAX));
        for _ in 0..count {
            let name = self.text()?;
            if attributes.last().is_some_and(|(last, _)| last.as_str() >= name) {
                return Err(StoredError::Order);
            }
            attributes.push((name.to_owned(), self.value(levels)?));
        }
        Ok(attributes.into_iter().collect())
    }

    fn value(&mut self, levels: usize) -> Result<AttributeValue, StoredError> {
        if levels == 0 {
            return Err(StoredError::TooDeep);
        }
        Ok(match self.byte()? {
            TAG_S => AttributeValue::S(self.text()?.to_owned()),
            TAG_N => AttributeValue::N(self.number()?),
            TAG_B => AttributeValue::B(Bytes::copy_from_slice(self.bytes()?)),
            TAG_SS => AttributeValue::SS(self.set(|reader| Ok(reader.text()?.to_owned()))?),
            TAG_NS => AttributeValue::NS(self.set(Reader::number)?),
            TAG_BS => AttributeValue::BS(self.set(|reader| Ok(Bytes::copy_from_slice(reader.bytes()?)))?),
            TAG_M => AttributeValue::M(self.attributes(levels - 1)?),
            TAG_L => {
                let count = self.length()?;
                let mut list = Vec::with_capacity(count.min(PREALLOCATED_MAX));
                for _ in 0..count {
                    list.push(self.value(levels - 1)?);
                }
                AttributeValue::L(list)
            }
            TAG_FALSE => AttributeValue::Bool(false),
            TAG_TRUE => AttributeValue::Bool(true),
            TAG_NULL => AttributeValue::Null,
            other => return Err(StoredError::UnknownType(other)),
        })
    }
}

/// Elements for which room is made before they are seen; more than that must prove itself by being there.
const PREALLOCATED_MAX: usize = 64;

#[cfg(test)]
pub(crate) mod tests;
