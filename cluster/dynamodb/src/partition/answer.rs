//! The remembered answer of a write, as the journal keeps it: small, and of a format of its own, so that the wire
//! may change under it.
//!
//! `format (1) | flags (1) | [old size] | [new size] | index writes (varint) | (ordinal (1), units)… |
//! [collection size] | [attributes: stored item, to the end]`, numbers as varints.

use super::wire::{Malformed, Reader, put_varint};
use crate::rpc::{IndexWrite, WriteDone};
use breakwater_items::stored;
use bytes::Bytes;

const FORMAT: u8 = 1;
const OLD: u8 = 1;
const NEW: u8 = 2;
const COLLECTION: u8 = 4;
const ATTRIBUTES: u8 = 8;

pub fn encode(done: &WriteDone) -> Bytes {
    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    let mut out = vec![
        FORMAT,
        flag(done.old_size_bytes.is_some(), OLD)
            | flag(done.new_size_bytes.is_some(), NEW)
            | flag(done.collection_size_bytes.is_some(), COLLECTION)
            | flag(done.attributes.is_some(), ATTRIBUTES),
    ];
    for size in [done.old_size_bytes, done.new_size_bytes].into_iter().flatten() {
        put_varint(&mut out, u64::from(size));
    }
    put_varint(&mut out, done.indexes.len() as u64);
    for write in &done.indexes {
        out.push(write.index);
        put_varint(&mut out, u64::from(write.units));
    }
    if let Some(size) = done.collection_size_bytes {
        put_varint(&mut out, size);
    }
    if let Some(attributes) = &done.attributes {
        out.extend_from_slice(&stored::encode(0, 0, attributes));
    }
    Bytes::from(out)
}

pub fn decode(bytes: &Bytes) -> Result<WriteDone, Malformed> {
    let mut reader = Reader::new(bytes.clone());
    match reader.byte()? {
        FORMAT => {}
        other => return Err(format!("remembered answer of format {other}, we know {FORMAT}")),
    }
    let flags = reader.byte()?;
    let mut done = WriteDone::default();
    let small = |n: u64| u32::try_from(n).map_err(|_| "a size is too large".to_owned());
    if flags & OLD != 0 {
        done.old_size_bytes = Some(small(reader.varint()?)?);
    }
    if flags & NEW != 0 {
        done.new_size_bytes = Some(small(reader.varint()?)?);
    }
    for _ in 0..reader.count(2)? {
        done.indexes.push(IndexWrite { index: reader.byte()?, units: small(reader.varint()?)? });
    }
    if flags & COLLECTION != 0 {
        done.collection_size_bytes = Some(reader.varint()?);
    }
    if flags & ATTRIBUTES != 0 {
        done.attributes = Some(stored::decode(&reader.rest()).map_err(|e| e.to_string())?.item);
    } else {
        reader.end()?;
    }
    Ok(done)
}
