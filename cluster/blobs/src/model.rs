//! What a blob is: to its users, and as the catalogue has it.

use crate::error::BlobError;
use breakwater_meta::records::{from_stored, to_stored};
use breakwater_meta::{Compare, Op};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A blob goes through memory as a whole: what is larger takes several.
pub const BLOB_BYTES_MAX: usize = 64 << 20;
/// A chunk fits well into one call between nodes.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
pub const KEY_BYTES_MAX: usize = 1_024;
pub const METADATA_BYTES_MAX: usize = 8 << 10;
/// Compares and operations that a blob may bring along: a few less than a transaction may have.
pub const ALSO_MAX: usize = 1_000;

/// SHA-256.
pub type Digest = [u8; 32];

/// A blob without its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    pub key: String,
    pub bytes: u64,
    pub sha256: Digest,
    pub created_unix_ms: i64,
    pub metadata: BTreeMap<String, String>,
}

/// What is committed in one transaction with a blob.
#[derive(Clone, Debug, Default)]
pub struct Also {
    pub compares: Vec<Compare>,
    pub ops: Vec<Op>,
}

/// Names a chunk: at random, never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ChunkId(pub(crate) u128);

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl ChunkId {
    /// Back from how it is displayed.
    pub(crate) fn parse(text: &str) -> Option<ChunkId> {
        let ours = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if ours { u128::from_str_radix(text, 16).ok().map(ChunkId) } else { None }
    }
}

/// A chunk as the catalogue names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChunkRef {
    pub(crate) id: ChunkId,
    pub(crate) bytes: u32,
    pub(crate) sha256: Digest,
}

/// A blob as it is catalogued. Stored: format 1 of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Blob {
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
    pub(crate) created_unix_ms: i64,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) chunks: Vec<ChunkRef>,
}

/// In the control store. Only control nodes see it.
pub(crate) const CATALOGUE: &[u8] = b"control/blobs/blob/";

pub(crate) fn catalogue_key(key: &str) -> Vec<u8> {
    [CATALOGUE, key.as_bytes()].concat()
}

impl Blob {
    pub(crate) fn to_stored(&self) -> Result<Vec<u8>, String> {
        to_stored(self)
    }

    pub(crate) fn from_stored(bytes: &[u8]) -> Result<Blob, String> {
        let blob: Blob = from_stored(bytes)?;
        let sum: u64 = blob.chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum();
        if sum != blob.bytes || sum > BLOB_BYTES_MAX as u64 {
            return Err(format!("a blob of {} bytes in chunks of {sum}", blob.bytes));
        }
        Ok(blob)
    }

    pub(crate) fn info(&self, key: &str) -> BlobInfo {
        BlobInfo {
            key: key.to_owned(),
            bytes: self.bytes,
            sha256: self.sha256,
            created_unix_ms: self.created_unix_ms,
            metadata: self.metadata.clone(),
        }
    }
}

pub(crate) fn check_key(key: &str) -> Result<(), BlobError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX || key.chars().any(char::is_control) {
        return Err(BlobError::Invalid(format!("a key of {} bytes, or with control characters", key.len())));
    }
    Ok(())
}

pub(crate) fn check_put(bytes: usize, metadata: &BTreeMap<String, String>, also: &Also) -> Result<(), BlobError> {
    if bytes > BLOB_BYTES_MAX {
        return Err(BlobError::Invalid(format!("a blob of {bytes} bytes: at most {BLOB_BYTES_MAX}")));
    }
    let metadata: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if metadata > METADATA_BYTES_MAX {
        return Err(BlobError::Invalid(format!("metadata of {metadata} bytes: at most {METADATA_BYTES_MAX}")));
    }
    let parts = also.compares.len() + also.ops.len();
    if parts > ALSO_MAX {
        return Err(BlobError::Invalid(format!("{parts} compares and operations: at most {ALSO_MAX}")));
    }
    Ok(())
}
