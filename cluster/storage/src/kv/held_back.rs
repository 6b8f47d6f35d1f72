//! For tests of whole nodes: an engine under which the end of the process is a loss of power.
//!
//! What isn't synced stays in memory and never reaches the engine's files, so `kill -9` loses all of it, which it
//! otherwise wouldn't: the kernel keeps what a dead process wrote.

use super::batch::{Batch, BatchOp, Direction, KeyRange};
use super::engine::{Engine, Scan, SnapshotView, chunked, delete_in_steps, merged};
use crate::error::StorageError;
use bytes::Bytes;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;

type Held = BTreeMap<Bytes, Option<Bytes>>;

pub(super) struct HeldBack {
    inner: Arc<dyn Engine>,
    held: Arc<RwLock<Arc<Held>>>,
}

impl HeldBack {
    pub(super) fn new(inner: Arc<dyn Engine>) -> Self {
        HeldBack { inner, held: Arc::default() }
    }
}

impl Engine for HeldBack {
    fn write(&self, batch: &Batch) -> Result<(), StorageError> {
        let mut held = self.held.write();
        let held = Arc::make_mut(&mut held);
        for op in batch.ops() {
            match op {
                BatchOp::Put { key, value } => held.insert(key.clone(), Some(value.clone())),
                BatchOp::Delete { key } => held.insert(key.clone(), None),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StorageError> {
        let mut held = self.held.write();
        let mut batch = Batch::with_capacity(held.len());
        for (key, value) in held.iter() {
            match value {
                Some(value) => batch.put(key.clone(), value.clone()),
                None => batch.delete(key.clone()),
            }
        }
        self.inner.write(&batch)?;
        self.inner.sync()?;
        *held = Arc::default();
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let held = self.held.read();
        held.get(key).map_or_else(|| self.inner.get(key), |value| Ok(value.clone()))
    }

    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError> {
        let (inner, held) = (self.inner.clone(), self.held.clone());
        Ok(chunked(range, move |range| {
            let held = held.read();
            merged(inner.scan(range.clone(), direction)?, &held, range, direction)
        }))
    }

    fn delete_range(&self, range: KeyRange) -> Result<(), StorageError> {
        delete_in_steps(self, range)
    }

    fn snapshot(&self) -> Result<Box<dyn SnapshotView>, StorageError> {
        let held = self.held.read();
        Ok(Box::new(HeldBackView { inner: Arc::from(self.inner.snapshot()?), held: held.clone() }))
    }

    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn disk_bytes(&self) -> Result<u64, StorageError> {
        self.inner.disk_bytes()
    }
}

struct HeldBackView {
    inner: Arc<dyn SnapshotView>,
    held: Arc<Held>,
}

impl SnapshotView for HeldBackView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.held.get(key).map_or_else(|| self.inner.get(key), |value| Ok(value.clone()))
    }
    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError> {
        let (inner, held) = (self.inner.clone(), self.held.clone());
        Ok(chunked(range, move |range| merged(inner.scan(range.clone(), direction)?, &held, range, direction)))
    }
}
