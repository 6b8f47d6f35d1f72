//! fjall 3: one keyspace, memory bounded by options. Values are sealed, so compressing them would be in vain.

use super::batch::{Batch, BatchOp, Direction, KeyRange};
use super::engine::{Engine, Scan, SnapshotView, delete_in_steps, guarded};
use crate::error::StorageError;
use bytes::Bytes;
use fjall::{Database, Iter, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};
use std::io;
use std::ops::Bound;
use std::path::Path;

const NAME: &str = "fjall";
const KEYSPACE: &str = "data";
/// fjall's own minimum; the journal is a file, not memory.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
const FILES_OPEN_MAX: usize = 64;

fn io_error(doing: &str, e: io::Error) -> StorageError {
    match e.kind() {
        // What must be there isn't, or the other way round: not the operating system's fault.
        io::ErrorKind::NotFound
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::InvalidData => StorageError::corrupt(NAME, format!("{doing}: {e}")),
        _ => StorageError::io(format!("{NAME}: {doing}"), e),
    }
}

fn error(doing: &str, e: fjall::Error) -> StorageError {
    match e {
        fjall::Error::Io(e) | fjall::Error::Storage(fjall::LsmError::Io(e)) => io_error(doing, e),
        fjall::Error::Poisoned => StorageError::stopped("fjall failed to write before"),
        fjall::Error::Locked => StorageError::refused("another process has the store open"),
        other => StorageError::corrupt(NAME, format!("{doing}: {other}")),
    }
}

pub(super) struct FjallEngine {
    db: Database,
    data: Keyspace,
}

impl FjallEngine {
    pub(super) fn open(dir: &Path, cache_bytes: u64, memtable_bytes: u64) -> Result<Self, StorageError> {
        guarded(NAME, || {
            let db = Database::builder(dir)
                .cache_size(cache_bytes)
                .max_journaling_size(JOURNAL_BYTES_MAX)
                .max_cached_files(Some(FILES_OPEN_MAX))
                .worker_threads(1)
                .manual_journal_persist(true)
                .open()
                .map_err(|e| error("opening", e))?;
            let options =
                || KeyspaceCreateOptions::default().max_memtable_size(memtable_bytes).manual_journal_persist(true);
            let data = db.keyspace(KEYSPACE, options).map_err(|e| error("opening", e))?;
            Ok(FjallEngine { db, data })
        })
    }
}

type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

fn bounds(range: KeyRange) -> Range {
    (Bound::Included(range.start), range.end.map_or(Bound::Unbounded, Bound::Excluded))
}

fn entries(mut found: Iter, direction: Direction) -> Scan {
    let mut failed = false;
    Box::new(std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let step = guarded(NAME, || {
            let next = if direction == Direction::Forward { found.next() } else { found.next_back() };
            next.map(|guard| guard.into_inner().map_err(|e| error("scanning", e))).transpose()
        });
        match step.transpose()? {
            Ok((key, value)) => Some(Ok((key.into(), value.into()))),
            Err(e) => {
                failed = true;
                Some(Err(e))
            }
        }
    }))
}

impl Engine for FjallEngine {
    fn write(&self, batch: &Batch) -> Result<(), StorageError> {
        let mut changes = self.db.batch();
        for op in batch.ops() {
            match op {
                BatchOp::Put { key, value } => changes.insert(&self.data, key.clone(), value.clone()),
                BatchOp::Delete { key } => changes.remove(&self.data, key.clone()),
            }
        }
        guarded(NAME, || changes.commit().map_err(|e| error("writing", e)))
    }

    fn sync(&self) -> Result<(), StorageError> {
        guarded(NAME, || self.db.persist(PersistMode::SyncData).map_err(|e| error("syncing", e)))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        guarded(NAME, || Ok(self.data.get(key).map_err(|e| error("reading", e))?.map(Into::into)))
    }

    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError> {
        if range.is_empty() {
            return Ok(Box::new(std::iter::empty()));
        }
        Ok(entries(self.data.range::<Vec<u8>, _>(bounds(range)), direction))
    }

    fn delete_range(&self, range: KeyRange) -> Result<(), StorageError> {
        delete_in_steps(self, range)
    }

    fn snapshot(&self) -> Result<Box<dyn SnapshotView>, StorageError> {
        Ok(Box::new(FjallView { snapshot: self.db.snapshot(), data: self.data.clone() }))
    }

    fn name(&self) -> &'static str {
        NAME
    }

    fn disk_bytes(&self) -> Result<u64, StorageError> {
        self.db.disk_space().map_err(|e| error("measuring", e))
    }
}

struct FjallView {
    snapshot: Snapshot,
    data: Keyspace,
}

impl SnapshotView for FjallView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        guarded(NAME, || Ok(self.snapshot.get(&self.data, key).map_err(|e| error("reading", e))?.map(Into::into)))
    }
    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError> {
        if range.is_empty() {
            return Ok(Box::new(std::iter::empty()));
        }
        Ok(entries(self.snapshot.range::<Vec<u8>, _>(&self.data, bounds(range)), direction))
    }
}
