//! An engine in memory that a test can crash, fill and break.

use super::batch::{Batch, BatchOp, Direction, KeyRange};
use super::engine::{CHUNK_ENTRIES, Chunk, Engine, Scan, SnapshotView, after, chunked, delete_in_steps};
use crate::error::StorageError;
use bytes::Bytes;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

type Map = BTreeMap<Bytes, Bytes>;

#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryFaults {
    pub sync_fails: bool,
    /// Every write fails with ENOSPC.
    pub full: bool,
    /// Each write and each sync takes so long.
    pub delay: Option<Duration>,
}

struct State {
    rng: StdRng,
    faults: MemoryFaults,
    now: Arc<Map>,
    durable: Arc<Map>,
    unsynced: Vec<Batch>,
}

/// Cheap to clone; clones are the same store, as a disk would be.
#[derive(Clone)]
pub struct MemoryEngine(Arc<Mutex<State>>);

fn apply(map: &mut Map, batch: &Batch) {
    for op in batch.ops() {
        match op {
            BatchOp::Put { key, value } => map.insert(key.clone(), value.clone()),
            BatchOp::Delete { key } => map.remove(key),
        };
    }
}

impl MemoryEngine {
    pub fn new(seed: u64) -> Self {
        MemoryEngine(Arc::new(Mutex::new(State {
            rng: StdRng::seed_from_u64(seed),
            faults: MemoryFaults::default(),
            now: Arc::default(),
            durable: Arc::default(),
            unsynced: Vec::new(),
        })))
    }

    pub fn set_faults(&self, faults: MemoryFaults) {
        self.0.lock().faults = faults;
    }

    /// Power is lost: what was synced stays, and by chance the first of the batches after it. Faults are gone.
    pub fn crash(&self) {
        let mut state = self.0.lock();
        let batches = std::mem::take(&mut state.unsynced);
        let kept = state.rng.random_range(0..=batches.len());
        state.keep(&batches[..kept]);
    }

    /// The same, and nothing that wasn't synced stays.
    pub fn crash_losing_all_unsynced(&self) {
        let mut state = self.0.lock();
        state.unsynced.clear();
        state.keep(&[]);
    }

    /// Flips one bit of a value, at rest.
    pub fn flip(&self, key: &[u8], offset: usize) {
        let mut state = self.0.lock();
        let state = &mut *state;
        for map in [&mut state.now, &mut state.durable] {
            if let Some(value) = Arc::make_mut(map).get_mut(key) {
                let mut bytes = value.to_vec();
                bytes[offset] ^= 0x10;
                *value = bytes.into();
            }
        }
    }
}

impl State {
    fn keep(&mut self, batches: &[Batch]) {
        for batch in batches {
            apply(Arc::make_mut(&mut self.durable), batch);
        }
        self.now = self.durable.clone();
        self.faults = MemoryFaults::default();
    }
}

fn scan_map(map: Arc<Map>, range: KeyRange, direction: Direction) -> Scan {
    chunked(range, move |range| {
        let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let found = map.range::<[u8], _>((Bound::Included(range.start.as_slice()), end));
        let copy = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        let entries: Vec<_> = match direction {
            Direction::Forward => found.take(CHUNK_ENTRIES).map(copy).collect(),
            Direction::Backward => found.rev().take(CHUNK_ENTRIES).map(copy).collect(),
        };
        let rest = entries.get(CHUNK_ENTRIES - 1).map(|(last, _)| after(range, last, direction));
        Ok(Chunk { entries, rest })
    })
}

impl Engine for MemoryEngine {
    fn write(&self, batch: &Batch) -> Result<(), StorageError> {
        let mut state = self.0.lock();
        if let Some(delay) = state.faults.delay {
            std::thread::sleep(delay);
        }
        if state.faults.full {
            return Err(StorageError::io("writing to memory", io::ErrorKind::StorageFull.into()));
        }
        apply(Arc::make_mut(&mut state.now), batch);
        state.unsynced.push(batch.clone());
        Ok(())
    }

    fn sync(&self) -> Result<(), StorageError> {
        let mut state = self.0.lock();
        if let Some(delay) = state.faults.delay {
            std::thread::sleep(delay);
        }
        if state.faults.sync_fails {
            return Err(StorageError::io("syncing memory", io::Error::other("injected: fsync failed")));
        }
        state.durable = state.now.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(self.0.lock().now.get(key).cloned())
    }

    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError> {
        Ok(scan_map(self.0.lock().now.clone(), range, direction))
    }

    fn delete_range(&self, range: KeyRange) -> Result<(), StorageError> {
        delete_in_steps(self, range)
    }

    fn snapshot(&self) -> Result<Box<dyn SnapshotView>, StorageError> {
        Ok(Box::new(MemoryView(self.0.lock().now.clone())))
    }

    fn name(&self) -> &'static str {
        "memory"
    }

    fn disk_bytes(&self) -> Result<u64, StorageError> {
        Ok(self.0.lock().durable.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }
}

struct MemoryView(Arc<Map>);

impl SnapshotView for MemoryView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(self.0.get(key).cloned())
    }
    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError> {
        Ok(scan_map(self.0.clone(), range, direction))
    }
}
