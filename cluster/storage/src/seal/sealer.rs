//! Seals what a store keeps, each value under a name.
//!
//! A value is `version 1 | epoch 4 | nonce 12 | ciphertext | tag 16`, little-endian, sealed by AES-256-GCM with the
//! store's id and the name as associated data: a value that was moved to another name or store doesn't open.
//!
//! Nonces: the sealing key is derived from the data key and the epoch, the number of this opening of the store, which
//! is durable in the header before anything is sealed; under one epoch a 64-bit counter never repeats. Only a store
//! directory that was copied and opened twice could repeat an epoch; then a random 32-bit prefix keeps the two apart.

use super::header::StoreHeader;
use super::key::{DataKey, SealKey, TAG_BYTES};
use crate::error::StorageError;
use bytes::Bytes;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const VERSION: u8 = 1;
const EPOCH_AT: usize = 1;
const NONCE_AT: usize = 5;
const SEALED_AT: usize = 17;
/// By how much a sealed value is longer.
pub(crate) const SEAL_BYTES: usize = SEALED_AT + TAG_BYTES;
/// Keys of earlier epochs that are kept at hand.
const EPOCH_KEYS_MAX: usize = 256;

/// The keys of a store.
pub(crate) struct Sealer {
    label: &'static str,
    store_id: [u8; 16],
    data_key: DataKey,
    epoch: u32,
    key: SealKey,
    prefix: [u8; 4],
    counter: AtomicU64,
    earlier: RwLock<HashMap<u32, Arc<SealKey>>>,
}

fn epoch_key(data_key: &DataKey, label: &'static str, epoch: u32) -> SealKey {
    data_key.derive(label, &epoch.to_le_bytes())
}

fn damaged(key: &[u8], what: &str) -> StorageError {
    // Keys are people's data too: enough of it to find the place.
    StorageError::corrupt(format!("the value of key {}…", hex::encode(&key[..key.len().min(13)])), what)
}

impl Sealer {
    /// For this opening of the store. `label` is what its keys are for: never the same for two things in one store.
    pub(crate) fn new(header: &StoreHeader, label: &'static str) -> Result<Self, StorageError> {
        let (store_id, epoch, data_key) = (header.store_id(), header.epoch(), header.data_key()?);
        let mut prefix = [0; 4];
        aws_lc_rs::rand::fill(&mut prefix).map_err(|_| StorageError::refused("no random bytes"))?;
        let key = epoch_key(&data_key, label, epoch);
        let (counter, earlier) = (AtomicU64::new(0), RwLock::default());
        Ok(Sealer { label, store_id, data_key, epoch, key, prefix, counter, earlier })
    }

    fn aad(&self, key: &[u8]) -> Vec<u8> {
        [&self.store_id[..], key].concat()
    }

    pub(crate) fn seal(&self, key: &[u8], value: &[u8]) -> Result<Bytes, StorageError> {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.prefix);
        nonce[4..].copy_from_slice(&self.counter.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        let mut out = Vec::with_capacity(value.len() + SEAL_BYTES);
        out.push(VERSION);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&nonce);
        self.key.seal(nonce, &self.aad(key), value, &mut out)?;
        Ok(out.into())
    }

    pub(crate) fn open(&self, key: &[u8], value: &Bytes) -> Result<Bytes, StorageError> {
        if value.len() < SEAL_BYTES || value[0] != VERSION {
            return Err(damaged(key, "not a sealed value"));
        }
        let mut epoch = [0; 4];
        epoch.copy_from_slice(&value[EPOCH_AT..NONCE_AT]);
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&value[NONCE_AT..SEALED_AT]);
        let mut plain = value[SEALED_AT..].to_vec();
        let opened = match u32::from_le_bytes(epoch) {
            epoch if epoch == self.epoch => self.key.open(nonce, &self.aad(key), &mut plain),
            epoch if epoch > self.epoch => return Err(damaged(key, "sealed under an epoch that never was")),
            epoch => self.earlier(epoch).open(nonce, &self.aad(key), &mut plain),
        };
        let length = opened.ok_or_else(|| damaged(key, "it doesn't authenticate"))?.len();
        plain.truncate(length);
        Ok(plain.into())
    }

    fn earlier(&self, epoch: u32) -> Arc<SealKey> {
        if let Some(key) = self.earlier.read().get(&epoch) {
            return key.clone();
        }
        let key = Arc::new(epoch_key(&self.data_key, self.label, epoch));
        let mut earlier = self.earlier.write();
        if earlier.len() >= EPOCH_KEYS_MAX {
            earlier.clear();
        }
        earlier.insert(epoch, key.clone());
        key
    }
}
