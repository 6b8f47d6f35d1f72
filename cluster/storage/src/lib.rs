//! Where a node keeps what must last: ordered key-value stores, the Raft log, files that are written once, and their
//! encryption at rest.
//!
//! This crate must not: know Raft's rules, a network, an async runtime, or what the bytes mean.
//!
//! Invariants
//! - What was acknowledged as durable is there after a crash, or opening fails with `Corrupt`; nothing else is there
//!   that was never written.
//! - After a failed write or sync a store acknowledges nothing more until it is opened again.
//! - No plaintext value on a disk; keys of the key-value store are in the clear, because they are ordered. No key
//!   material in `Debug`, logs or errors.
//!
//! Start reading at [`Engine`] for the key-value trait, [`Store`] for how one is opened, [`LogStore`] for the log,
//! [`disk`] for how tests lose power.

pub mod disk;
mod error;
mod files;
mod kv;
mod log;
mod seal;
#[cfg(test)]
mod testing;

pub use disk::{Disk, OsDisk};
pub use error::StorageError;
pub use files::SealedFiles;
pub use kv::{
    Batch, BatchOp, Direction, Engine, EngineKind, KEY_BYTES_MAX, KeyRange, KeyValue, MemoryEngine, MemoryFaults, Scan,
    SnapshotView, Store, StoreOptions,
};
pub use log::{Done, ENTRY_BYTES_MAX, LogBounds, LogEntry, LogOptions, LogStats, LogStore};
pub use seal::{DevKeyFile, KeyError, KeyProvider, WrappedKey};

/// How this was broken on purpose when it was built, for proving that tests catch it.
pub const BROKEN: Option<&str> = if cfg!(feature = "broken-skip-fsync") { Some("broken-skip-fsync") } else { None };
