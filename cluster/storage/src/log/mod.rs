//! The Raft log of all groups of a process: one file sequence, one writer, one sync for all who wait.
//!
//! # What a crash leaves
//! The log is one sequence of frames; what survives is a prefix of it, and all of the prefix that was synced. Every
//! operation passes through one queue, so a group never sees a later operation survive an earlier one.
//!
//! # What damage is detected
//! Each frame carries a checksum, its sequence number, the checksum of the frame before, and the highest sequence
//! number that was durable when it was made. Each record is sealed (AES-256-GCM) under a key of its segment.
//! - A damaged frame in front of a later frame that says it was durable; a damaged frame, header or length in any
//!   segment but the last; a missing segment, the oldest and the newest included: the log doesn't open (`Corrupt`).
//! - Damage that arises while the log is open shows when the entry is read: that read is `Corrupt`.
//! - A damaged end of the last segment is cut off where nothing says that it was durable: it looks like a write that
//!   a crash tore. After 50 ms of rest, and when it closes, the log writes a frame that says so; it isn't synced, so
//!   for as long as the kernel keeps it in memory (some 30 s), damage to the very last synced frame *together with* a
//!   loss of power isn't told from a torn write. Raft then finds the entry on the other replicas.
//! - Not detected: the whole directory put back to an older state.

mod format;
mod group;
mod recover;
mod segment;
mod state;
mod store;
mod upkeep;
mod writer;

pub use store::LogStore;

use crate::disk::{Disk, OsDisk};
use crate::error::StorageError;
use crate::seal::KeyProvider;
use bytes::Bytes;
use std::sync::Arc;

/// Longer entries are refused.
pub const ENTRY_BYTES_MAX: usize = 64 << 20;

/// Called once, on the writer's thread after the sync, or on the caller's where nothing has to be waited for. Must
/// be short and must not block.
pub type Done = Box<dyn FnOnce(Result<(), StorageError>) + Send>;

#[derive(Clone, PartialEq, Eq)]
pub struct LogEntry {
    pub index: u64,
    pub term: u64,
    pub payload: Bytes,
}

impl std::fmt::Debug for LogEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogEntry({} of term {}, {} B)", self.index, self.term, self.payload.len())
    }
}

/// `first` and `last` are `None` for a group without entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogBounds {
    pub first: Option<u64>,
    pub last: Option<u64>,
    pub last_term: Option<u64>,
    /// The highest index given to `purge_to` that the log still knows of; 0 if none.
    pub purged: u64,
}

#[derive(Clone)]
pub struct LogOptions {
    pub segment_bytes: u64,
    /// For payloads of recent entries, over all groups.
    pub cache_bytes: usize,
    pub provider: Arc<dyn KeyProvider>,
    pub disk: Arc<dyn Disk>,
}

impl LogOptions {
    pub fn new(provider: Arc<dyn KeyProvider>) -> Self {
        LogOptions { segment_bytes: 32 << 20, cache_bytes: 16 << 20, provider, disk: Arc::new(OsDisk) }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct LogStats {
    pub frames: u64,
    pub records: u64,
    pub written_bytes: u64,
    pub syncs: u64,
    /// Time spent in syncs, in all.
    pub sync_ns: u64,
    pub segments: usize,
    pub live_bytes: u64,
    pub cached_bytes: usize,
}
