//! Snapshots for an engine that has none: while a view lives, each write first keeps what it overwrites.
//!
//! Writes hold the gate alone, views share it, so a view sees either the old value kept aside or the live one that
//! nobody has overwritten. What is kept is bounded; beyond the bound the view expires.

use super::batch::{Batch, Direction, KeyRange};
use super::engine::{Engine, Scan, SnapshotView, chunked, merged};
use crate::error::StorageError;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// Old values that one view keeps at most.
const KEPT_BYTES_MAX: usize = 64 << 20;

#[derive(Default)]
pub(super) struct Gate {
    views: RwLock<Vec<Weak<Kept>>>,
}

#[derive(Default)]
struct Kept(Mutex<KeptState>);

#[derive(Default)]
struct KeptState {
    /// The value before the first write since the view was made; `None` if there was none.
    values: BTreeMap<Bytes, Option<Bytes>>,
    bytes: usize,
    expired: bool,
}

impl Gate {
    /// Does `write`, after every view has what it needs of the keys in `batch`.
    pub(super) fn write(
        &self,
        engine: &dyn Engine,
        batch: &Batch,
        write: impl FnOnce() -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let mut views = self.views.write();
        if !views.is_empty() {
            views.retain(|view| view.strong_count() > 0);
        }
        for view in views.iter().filter_map(Weak::upgrade) {
            let mut kept = view.0.lock();
            for op in batch.ops() {
                if kept.expired || kept.values.contains_key(op.key()) {
                    continue;
                }
                let old = engine.get(op.key())?;
                kept.bytes += op.key().len() + old.as_ref().map_or(0, Bytes::len);
                kept.values.insert(op.key().clone(), old);
                if kept.bytes > KEPT_BYTES_MAX {
                    *kept = KeptState { expired: true, ..KeptState::default() };
                }
            }
        }
        write()
    }

    pub(super) fn snapshot<E: Engine>(engine: &Arc<E>, gate: &Arc<Gate>) -> Box<dyn SnapshotView> {
        let kept = Arc::new(Kept::default());
        gate.views.write().push(Arc::downgrade(&kept));
        Box::new(OverlayView { engine: engine.clone(), gate: gate.clone(), kept })
    }
}

struct OverlayView<E> {
    engine: Arc<E>,
    gate: Arc<Gate>,
    kept: Arc<Kept>,
}

impl<E: Engine> SnapshotView for OverlayView<E> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let _shared = self.gate.views.read();
        let kept = self.kept.0.lock();
        if kept.expired {
            return Err(StorageError::SnapshotExpired);
        }
        match kept.values.get(key) {
            Some(old) => Ok(old.clone()),
            None => self.engine.get(key),
        }
    }

    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError> {
        let (engine, gate, kept) = (self.engine.clone(), self.gate.clone(), self.kept.clone());
        Ok(chunked(range, move |range| {
            let _shared = gate.views.read();
            let kept = kept.0.lock();
            if kept.expired {
                return Err(StorageError::SnapshotExpired);
            }
            merged(engine.scan(range.clone(), direction)?, &kept.values, range, direction)
        }))
    }
}
