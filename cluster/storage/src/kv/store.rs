//! Opening a key-value store: header, engine, seal.

use super::engine::Engine;
use super::fjall_engine::FjallEngine;
use super::held_back::HeldBack;
use super::sealed::Sealed;
use super::sled_engine::SledEngine;
use crate::disk::{Disk, LOCK_FILE, OsDisk};
use crate::error::StorageError;
use crate::seal::{KeyProvider, StoreHeader};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

const ENGINE_DIR: &str = "data";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    Fjall,
    Sled,
}

impl EngineKind {
    pub const ALL: [EngineKind; 2] = [EngineKind::Fjall, EngineKind::Sled];

    pub fn word(self) -> &'static str {
        match self {
            EngineKind::Fjall => "fjall",
            EngineKind::Sled => "sled",
        }
    }
}

#[derive(Clone)]
pub struct StoreOptions {
    pub engine: EngineKind,
    pub provider: Arc<dyn KeyProvider>,
    pub cache_bytes: u64,
    /// fjall only: the memory that collects writes; up to a few of them exist while they are written out.
    pub memtable_bytes: u64,
    /// For tests: what isn't synced dies with the process, as in a loss of power. The log's side of it is
    /// [`HeldBackDisk`](crate::disk::HeldBackDisk).
    pub hold_back_unsynced: bool,
}

impl StoreOptions {
    pub fn new(engine: EngineKind, provider: Arc<dyn KeyProvider>) -> Self {
        StoreOptions { engine, provider, cache_bytes: 16 << 20, memtable_bytes: 8 << 20, hold_back_unsynced: false }
    }
}

/// Opens stores; what it returns is the store.
pub struct Store;

impl Store {
    /// Opens or makes the store in `dir`. `Corrupt` where files are damaged or missing, `Refused` where the store is
    /// another engine's, another root key's, or open in another process.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Arc<dyn Engine>, StorageError> {
        Self::open_with(dir, &OsDisk, options.engine.word(), &*options.provider, || {
            let data = dir.join(ENGINE_DIR);
            let engine: Arc<dyn Engine> = match options.engine {
                EngineKind::Fjall => Arc::new(FjallEngine::open(&data, options.cache_bytes, options.memtable_bytes)?),
                EngineKind::Sled => Arc::new(SledEngine::open(&data, options.cache_bytes)?),
            };
            Ok(if options.hold_back_unsynced { Arc::new(HeldBack::new(engine)) } else { engine })
        })
    }

    /// Seals an engine that the caller brings, its header on a disk that the caller brings: for tests.
    pub fn over(
        engine: Arc<dyn Engine>,
        dir: &Path,
        disk: &dyn Disk,
        provider: &dyn KeyProvider,
    ) -> Result<Arc<dyn Engine>, StorageError> {
        Self::open_with(dir, disk, engine.name(), provider, || Ok(engine.clone()))
    }

    fn open_with(
        dir: &Path,
        disk: &dyn Disk,
        kind: &str,
        provider: &dyn KeyProvider,
        engine: impl FnOnce() -> Result<Arc<dyn Engine>, StorageError>,
    ) -> Result<Arc<dyn Engine>, StorageError> {
        disk.create_dir_all(dir).map_err(|e| StorageError::io(format!("making {}", dir.display()), e))?;
        let lock = disk
            .lock(&dir.join(LOCK_FILE))
            .map_err(|e| StorageError::refused(format!("{} can't be locked: {e}", dir.display())))?;
        let header = StoreHeader::open(disk, dir, kind, provider)?;
        if header.initialized() && kind != "memory" && !dir.join(ENGINE_DIR).is_dir() {
            // The engine would make an empty one.
            return Err(StorageError::corrupt(dir.join(ENGINE_DIR).display().to_string(), "missing"));
        }
        Ok(Arc::new(Sealed::open(engine()?, disk, dir, header, lock)?))
    }
}
