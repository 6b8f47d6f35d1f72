//! The file `STORE` at the root of every store and log: what it is, and its data key, wrapped.
//!
//! `magic (8) | format (4) | length (4) | body | crc32 of all before (4)`, little-endian; the body is postcard.
//! Replaced by rename, so it is whole or it is damaged.

use super::key::DataKey;
use super::provider::{KeyError, KeyProvider, WrappedKey};
use crate::disk::Disk;
use crate::error::StorageError;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

const HEADER_FILE: &str = "STORE";
const TEMPORARY_FILE: &str = "STORE.new";
const MAGIC: &[u8; 8] = b"BWSTORE\0";
const FORMAT: u32 = 1;

/// Format 1.
#[derive(Serialize, Deserialize)]
struct Body {
    store_id: [u8; 16],
    /// `fjall`, `sled` or `raft-log`.
    kind: String,
    /// How often the store was opened; names the key under which this opening seals.
    epoch: u32,
    /// The first data has been written: a store without data is damaged from then on.
    initialized: bool,
    data_key: WrappedKey,
}

pub(crate) struct StoreHeader {
    body: Body,
    data_key: DataKey,
}

fn context(store_id: &[u8; 16], kind: &str) -> Vec<u8> {
    [b"breakwater store 1:", &store_id[..], kind.as_bytes()].concat()
}

fn key_error(e: KeyError) -> StorageError {
    StorageError::refused(e.to_string())
}

impl StoreHeader {
    /// Reads the header and counts this opening in it, durably, before anything is sealed. Makes one where the
    /// directory has neither header nor data.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        kind: &str,
        provider: &dyn KeyProvider,
    ) -> Result<Self, StorageError> {
        let path = dir.join(HEADER_FILE);
        let failed = |doing: &str, e| StorageError::io(format!("{doing} {}", path.display()), e);
        let bytes = match disk.read(&path) {
            Ok(bytes) => Some(bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(failed("reading", e)),
        };
        let (mut body, data_key) = match bytes {
            Some(bytes) => {
                let body = decode(&bytes, &path)?;
                if body.kind != kind {
                    return Err(StorageError::refused(format!("{} holds a {} store", dir.display(), body.kind)));
                }
                let key = provider.unwrap(&body.data_key, &context(&body.store_id, kind)).map_err(key_error)?;
                (body, DataKey::from_bytes(key)?)
            }
            None => {
                let others = disk.list(dir).map_err(|e| failed("listing for", e))?;
                if others.iter().any(|name| name != TEMPORARY_FILE && name != crate::disk::LOCK_FILE) {
                    return Err(StorageError::corrupt(path.display().to_string(), "missing beside a store's data"));
                }
                let mut store_id = [0; 16];
                aws_lc_rs::rand::fill(&mut store_id).map_err(|_| StorageError::refused("no random bytes"))?;
                let key = DataKey::generate()?;
                let data_key = provider.wrap(key.as_bytes(), &context(&store_id, kind)).map_err(key_error)?;
                (Body { store_id, kind: kind.to_owned(), epoch: 0, initialized: false, data_key }, key)
            }
        };
        body.epoch =
            body.epoch.checked_add(1).ok_or_else(|| StorageError::refused("opened four thousand million times"))?;
        let header = StoreHeader { body, data_key };
        header.save(disk, dir)?;
        Ok(header)
    }

    fn save(&self, disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
        let path = dir.join(HEADER_FILE);
        disk.replace(&dir.join(TEMPORARY_FILE), &path, &encode(&self.body))
            .map_err(|e| StorageError::io(format!("writing {}", path.display()), e))
    }

    /// From now on the data must be there.
    pub(crate) fn set_initialized(&mut self, disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
        if !self.body.initialized {
            self.body.initialized = true;
            self.save(disk, dir)?;
        }
        Ok(())
    }
    pub(crate) fn data_key_ref(&self) -> &DataKey {
        &self.data_key
    }
    /// A copy, for who seals with it.
    pub(crate) fn data_key(&self) -> Result<DataKey, StorageError> {
        DataKey::from_bytes(zeroize::Zeroizing::new(self.data_key.as_bytes().to_vec()))
    }
    pub(crate) fn initialized(&self) -> bool {
        self.body.initialized
    }
    pub(crate) fn store_id(&self) -> [u8; 16] {
        self.body.store_id
    }
    pub(crate) fn epoch(&self) -> u32 {
        self.body.epoch
    }
}

fn encode(body: &Body) -> Vec<u8> {
    let body = postcard::to_allocvec(body).expect("a header has no type that postcard refuses");
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&body);
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn decode(bytes: &[u8], path: &Path) -> Result<Body, StorageError> {
    let corrupt = |what: &str| StorageError::corrupt(path.display().to_string(), what);
    let word = |at: usize| {
        bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes).ok_or_else(|| corrupt("cut off"))
    };
    if bytes.get(..8) != Some(&MAGIC[..]) {
        return Err(corrupt("not a store's header"));
    }
    let body =
        bytes.get(16..).and_then(|rest| rest.get(..word(12).ok()? as usize)).ok_or_else(|| corrupt("cut off"))?;
    if word(16 + body.len())? != crc32fast::hash(&bytes[..16 + body.len()]) || bytes.len() != 20 + body.len() {
        return Err(corrupt("checksum mismatch"));
    }
    match word(8)? {
        FORMAT => postcard::from_bytes(body).map_err(|_| corrupt("unreadable")),
        newer => Err(StorageError::refused(format!("{} has the unknown format {newer}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), magic: bool) {
            if magic && bytes.len() > 8 {
                bytes[..8].copy_from_slice(MAGIC);
            }
            prop_assert!(decode(&bytes, Path::new("STORE")).is_err());
        }
    }

    #[test]
    fn a_newer_format_is_refused_not_called_corrupt() {
        let data_key = WrappedKey { provider: "p".to_owned(), key_id: "k".to_owned(), bytes: vec![1; 60] };
        let body = Body { store_id: [1; 16], kind: "sled".to_owned(), epoch: 3, initialized: true, data_key };
        let mut bytes = encode(&body);
        assert_eq!(decode(&bytes, Path::new("STORE")).unwrap().epoch, 3);
        let end = bytes.len() - 4;
        bytes[8] = 2;
        let crc = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_le_bytes());
        assert!(matches!(decode(&bytes, Path::new("STORE")), Err(StorageError::Refused { .. })));
    }
}
