//! Snapshots: read lazily from a view of the store, sent in chunks, staged under a generation of their own.
//!
//! A chunk is a sequence of `key length (4) | key | value length (4) | value`, keys without their prefix, so that
//! sender and receiver may differ in generation. Memory is bounded by the chunk size on both sides.

use crate::keys::{KeyPrefix, generation_range};
use crate::log::io_error;
use breakwater_storage::{Batch, Direction, Engine, SnapshotView};
use breakwater_types::GroupId;
use bytes::{BufMut, Bytes, BytesMut};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// A key or a value longer than this is not ours: what arrives is refused before memory is taken for it.
const FIELD_BYTES_MAX: usize = 16 << 20;

pub(crate) enum Snapshot {
    Local { view: Arc<dyn SnapshotView>, prefix: KeyPrefix },
    Received(Staged),
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Snapshot::Local { .. } => f.write_str("Snapshot::Local"),
            Snapshot::Received(staged) => write!(f, "Snapshot::Received(generation {})", staged.generation),
        }
    }
}

/// A generation with a received snapshot; removed when it is dropped without having become the state.
pub(crate) struct Staged {
    pub(crate) group: GroupId,
    pub(crate) generation: u32,
    store: Arc<dyn Engine>,
    kept: AtomicBool,
}

impl Staged {
    pub(crate) fn new(group: GroupId, generation: u32, store: Arc<dyn Engine>) -> Self {
        Staged { group, generation, store, kept: AtomicBool::new(false) }
    }

    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::SeqCst);
    }

    pub(crate) fn write(&self, chunk: &[u8]) -> io::Result<()> {
        let prefix = KeyPrefix::new(self.group, self.generation);
        let mut batch = Batch::default();
        let mut rest = chunk;
        while !rest.is_empty() {
            let key = take(&mut rest)?;
            let value = take(&mut rest)?;
            batch.put(prefix.key(key), value.to_vec());
        }
        self.store.write(&batch).map_err(io_error)
    }

    pub(crate) async fn sync(&self) -> io::Result<()> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || store.sync()).await.map_err(io::Error::other)?.map_err(io_error)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::SeqCst)
            && let Err(e) = self.store.delete_range(generation_range(self.group, self.generation))
        {
            // It is removed at the next start.
            tracing::warn!(group = %self.group, error = %e, "a thrown-away snapshot stays in the store");
        }
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> io::Result<&'a [u8]> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a damaged snapshot chunk");
    let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > FIELD_BYTES_MAX || length > tail.len() {
        return Err(damaged());
    }
    let (field, tail) = tail.split_at(length);
    *rest = tail;
    Ok(field)
}

/// The state of a view as chunks. An error of the store, or a reader that ends badly, is an error here: what was sent
/// until then must not be taken for the whole.
pub(crate) fn chunks(
    view: Arc<dyn SnapshotView>,
    prefix: KeyPrefix,
) -> impl futures::Stream<Item = Result<Bytes, ()>> + Send + 'static {
    /// What the reader sends last; without it the reader has died.
    enum Part {
        Chunk(Bytes),
        Failed,
        Whole,
    }
    let (tx, rx) = tokio::sync::mpsc::channel::<Part>(2);
    tokio::task::spawn_blocking(move || {
        let read = || -> Result<bool, breakwater_storage::StorageError> {
            let mut chunk = BytesMut::new();
            for entry in view.scan(prefix.range(), Direction::Forward)? {
                let (key, value) = entry?;
                let key = &key[prefix.as_bytes().len()..];
                chunk.put_u32(key.len() as u32);
                chunk.put_slice(key);
                chunk.put_u32(value.len() as u32);
                chunk.put_slice(&value);
                if chunk.len() >= CHUNK_BYTES && tx.blocking_send(Part::Chunk(chunk.split().freeze())).is_err() {
                    return Ok(false);
                }
            }
            Ok(chunk.is_empty() || tx.blocking_send(Part::Chunk(chunk.freeze())).is_ok())
        };
        let last = match read() {
            Ok(true) => Part::Whole,
            Ok(false) => return,
            Err(e) => {
                tracing::error!(error = %e, "a snapshot could not be read");
                Part::Failed
            }
        };
        // The receiver is gone only when the upload has ended.
        let _ = tx.blocking_send(last);
    });
    futures::stream::unfold(Some(rx), |rx| async move {
        let mut rx = rx?;
        match rx.recv().await {
            Some(Part::Chunk(chunk)) => Some((Ok(chunk), Some(rx))),
            Some(Part::Whole) => None,
            Some(Part::Failed) | None => Some((Err(()), None)),
        }
    })
}
