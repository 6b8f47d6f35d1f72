//! The thin trait over ordered key-value engines.

use super::batch::{Batch, Direction, KeyRange};
use crate::error::StorageError;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;

pub type KeyValue = (Bytes, Bytes);

/// Lazy: entries are read as they are asked for. Ends after its first error.
pub type Scan = Box<dyn Iterator<Item = Result<KeyValue, StorageError>> + Send>;

/// Keys have at least one byte and at most these.
pub const KEY_BYTES_MAX: usize = 65_535;

/// An ordered map of bytes to bytes. Calls block: keep them off an async runtime's threads where they may take long
/// (`sync`, long scans, `delete_range`).
pub trait Engine: Send + Sync + 'static {
    /// All of the batch or nothing, also after a crash. Buffered: a crash may lose it until `sync` has returned, and
    /// what is lost is always the newest.
    fn write(&self, batch: &Batch) -> Result<(), StorageError>;

    /// Everything written before the call is durable on return.
    fn sync(&self) -> Result<(), StorageError>;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError>;

    /// Sees each key as of some moment between the call and its turn. For one moment take a snapshot.
    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError>;

    /// Deletes in bounded batches, so not atomic as a whole; buffered as `write` is.
    fn delete_range(&self, range: KeyRange) -> Result<(), StorageError>;

    /// The store as it is now, whatever is written later.
    fn snapshot(&self) -> Result<Box<dyn SnapshotView>, StorageError>;

    fn name(&self) -> &'static str;

    fn disk_bytes(&self) -> Result<u64, StorageError>;
}

/// A consistent view. Engines keep what it needs while it lives, so drop it when it has served.
pub trait SnapshotView: Send + Sync + 'static {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError>;
    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError>;
}

/// Entries that one step of a `delete_range` removes at most.
const DELETE_STEP_ENTRIES: usize = 1_024;

/// `delete_range` out of `scan` and `write`, for engines that have nothing better.
pub(crate) fn delete_in_steps(engine: &dyn Engine, mut range: KeyRange) -> Result<(), StorageError> {
    loop {
        let mut batch = Batch::new();
        for entry in engine.scan(range.clone(), Direction::Forward)?.take(DELETE_STEP_ENTRIES) {
            batch.delete(entry?.0);
        }
        let Some(last) = batch.ops().last().map(|op| op.key().clone()) else { return Ok(()) };
        engine.write(&batch)?;
        if batch.len() < DELETE_STEP_ENTRIES {
            return Ok(());
        }
        range.start = last.to_vec();
        range.start.push(0);
    }
}

/// Entries that a chunked scan reads at once.
pub(crate) const CHUNK_ENTRIES: usize = 256;

/// What one step of a chunked scan found, and where the next one goes on.
pub(crate) struct Chunk {
    pub(crate) entries: Vec<KeyValue>,
    pub(crate) rest: Option<KeyRange>,
}

/// A lazy scan out of steps that each read a bounded number of entries.
pub(crate) fn chunked(
    range: KeyRange,
    mut step: impl FnMut(&KeyRange) -> Result<Chunk, StorageError> + Send + 'static,
) -> Scan {
    let mut rest = if range.is_empty() { None } else { Some(range) };
    let mut ready = Vec::new().into_iter();
    Box::new(std::iter::from_fn(move || {
        loop {
            if let Some(entry) = ready.next() {
                return Some(Ok(entry));
            }
            match step(&rest.take()?) {
                Ok(chunk) => {
                    ready = chunk.entries.into_iter();
                    rest = chunk.rest;
                }
                Err(e) => return Some(Err(e)),
            }
        }
    }))
}

/// What is left of `range` after a step that has read `last`.
pub(crate) fn after(range: &KeyRange, last: &[u8], direction: Direction) -> KeyRange {
    let mut rest = range.clone();
    match direction {
        Direction::Forward => {
            rest.start = last.to_vec();
            rest.start.push(0);
        }
        Direction::Backward => rest.end = Some(last.to_vec()),
    }
    rest
}

/// A step of a scan over `live` entries of `range`, some of which are hidden by others: `None` is a key that isn't there.
pub(crate) fn merged(
    live: Scan,
    over: &BTreeMap<Bytes, Option<Bytes>>,
    range: &KeyRange,
    direction: Direction,
) -> Result<Chunk, StorageError> {
    let live = live.take(CHUNK_ENTRIES).collect::<Result<Vec<_>, _>>()?;
    let rest = live.get(CHUNK_ENTRIES - 1).map(|(last, _)| after(range, last, direction));
    // What the live entries of this step cover: all that they may hide or lack is in there.
    let mut covered = range.clone();
    if let Some(rest) = &rest {
        match direction {
            Direction::Forward => covered.end = Some(rest.start.clone()),
            Direction::Backward => covered.start = rest.end.clone().unwrap_or_default(),
        }
    }
    let mut entries: BTreeMap<Bytes, Bytes> = live.into_iter().collect();
    let end = covered.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    for (key, value) in over.range::<[u8], _>((Bound::Included(covered.start.as_slice()), end)) {
        match value {
            Some(value) => entries.insert(key.clone(), value.clone()),
            None => entries.remove(key),
        };
    }
    let entries = match direction {
        Direction::Forward => entries.into_iter().collect(),
        Direction::Backward => entries.into_iter().rev().collect(),
    };
    Ok(Chunk { entries, rest })
}

/// Runs what belongs to an engine that may panic over damaged files: it must not take the node down.
pub(crate) fn guarded<T>(engine: &str, act: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(act))
        .unwrap_or_else(|_| Err(StorageError::corrupt(engine, "the engine panicked over what it read")))
}
