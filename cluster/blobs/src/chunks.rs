//! The chunks that this node holds.

use crate::model::{CHUNK_BYTES_MAX, ChunkId, ChunkRef, Digest};
use breakwater_storage::{Disk, KeyProvider, SealedFiles, StorageError};
use bytes::Bytes;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Notify, Semaphore};

/// Chunks that are in memory here for others at the same time; whoever brings or wants more is told to come again.
const PLACES: usize = 64;
/// Files that are read or written at the same time.
const DISK_TOGETHER: usize = 8;

#[derive(Debug, Default)]
struct Held {
    /// And how long each is.
    all: BTreeMap<ChunkId, u64>,
    /// Those of them that can't be read as they were written.
    damaged: BTreeSet<ChunkId>,
    bytes: u64,
}

impl Held {
    fn insert(&mut self, id: ChunkId, bytes: u64) {
        self.remove(id);
        self.all.insert(id, bytes);
        self.bytes += bytes;
    }

    fn remove(&mut self, id: ChunkId) {
        self.damaged.remove(&id);
        self.bytes -= self.all.remove(&id).unwrap_or(0);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) repaired: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) collected: AtomicU64,
    pub(crate) scrubbed: AtomicU64,
}

pub(crate) struct Chunks {
    files: SealedFiles,
    held: Mutex<Held>,
    places: Semaphore,
    disk: Arc<Semaphore>,
    /// Something here is damaged.
    found_damage: Notify,
    pub(crate) counts: Counts,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// Not what it is said to be.
    #[error("the chunk is not as it is said to be: {0}")]
    Malformed(String),
    #[error("{0}")]
    Busy(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Whole(Bytes),
    Missing,
    Damaged,
    Busy(String),
}

pub(crate) fn sha256(data: &[u8]) -> Digest {
    Sha256::digest(data).into()
}

impl Chunks {
    /// Blocks.
    pub(crate) fn open(dir: &Path, disk: Arc<dyn Disk>, provider: &dyn KeyProvider) -> Result<Chunks, StorageError> {
        let files = SealedFiles::open(dir, disk, provider)?;
        let mut held = Held::default();
        for (name, bytes) in files.list()? {
            match ChunkId::parse(&name) {
                Some(id) => held.insert(id, bytes),
                None => tracing::warn!(name, "a file among the chunks that isn't one"),
            }
        }
        Ok(Chunks {
            files,
            held: Mutex::new(held),
            places: Semaphore::new(PLACES),
            disk: Arc::new(Semaphore::new(DISK_TOGETHER)),
            found_damage: Notify::new(),
            counts: Counts::default(),
        })
    }

    /// Off the runtime's threads. It goes on to its end where the caller gives up.
    async fn on_disk<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Chunks) -> T + Send + 'static,
    ) -> Result<T, String> {
        let permit = self.disk.clone().acquire_owned().await.map_err(|e| e.to_string())?;
        let chunks = self.clone();
        let acted = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            act(&chunks)
        });
        acted.await.map_err(|e| e.to_string())
    }

    /// Durably. A whole chunk of this name that is here already stays.
    pub(crate) async fn store(self: &Arc<Self>, id: ChunkId, digest: Digest, data: Bytes) -> Result<(), StoreError> {
        if data.is_empty() || data.len() > CHUNK_BYTES_MAX {
            return Err(StoreError::Malformed(format!("it has {} bytes", data.len())));
        }
        let Ok(_place) = self.places.try_acquire() else {
            return Err(StoreError::Busy("too many chunks at once".to_owned()));
        };
        self.on_disk(move |chunks| chunks.write(id, &digest, &data)).await.map_err(StoreError::Busy)?
    }

    fn write(&self, id: ChunkId, digest: &Digest, data: &[u8]) -> Result<(), StoreError> {
        if sha256(data) != *digest {
            return Err(StoreError::Malformed("its checksum is another".to_owned()));
        }
        let held = self.held.lock().all.contains_key(&id);
        if held && let Ok(Some(there)) = self.files.read(&id.to_string()) {
            // A name is never used twice: of two contents the one that came first is meant.
            let same = there == data;
            return if same {
                Ok(())
            } else {
                Err(StoreError::Malformed("there is another one of this name".to_owned()))
            };
        }
        self.files.write(&id.to_string(), data).map_err(|e| StoreError::Busy(e.to_string()))?;
        self.held.lock().insert(id, data.len() as u64);
        Ok(())
    }

    /// Puts a copy that has the catalogue's checksum in the place of whatever is here.
    pub(crate) async fn replace(self: &Arc<Self>, chunk: ChunkRef, data: Bytes) -> Result<(), String> {
        let replaced = self.on_disk(move |chunks| {
            if sha256(&data) != chunk.sha256 {
                return Err("the copy's checksum is another".to_owned());
            }
            chunks.files.write(&chunk.id.to_string(), &data).map_err(|e| e.to_string())?;
            chunks.held.lock().insert(chunk.id, data.len() as u64);
            Ok(())
        });
        replaced.await?
    }

    /// For another node.
    pub(crate) async fn read(self: &Arc<Self>, chunk: ChunkRef) -> Read {
        let Ok(_place) = self.places.try_acquire() else { return Read::Busy("too many chunks at once".to_owned()) };
        self.on_disk(move |chunks| match chunks.read_file(chunk.id) {
            // What the asker says of it isn't proof enough that it is damaged: the scrubber asks the catalogue.
            Read::Whole(data) if sha256(&data) != chunk.sha256 => Read::Damaged,
            read => read,
        })
        .await
        .unwrap_or_else(Read::Busy)
    }

    /// Reads one as it lies here, and remembers where it is damaged. `named` is what the catalogue says of it.
    pub(crate) async fn scrub(self: &Arc<Self>, id: ChunkId, named: Option<ChunkRef>) -> Read {
        self.on_disk(move |chunks| {
            chunks.counts.scrubbed.fetch_add(1, Ordering::Relaxed);
            match (chunks.read_file(id), named) {
                (Read::Whole(data), Some(chunk)) if sha256(&data) != chunk.sha256 => {
                    chunks.note_damage(id, "its checksum is not the catalogue's");
                    Read::Damaged
                }
                (read, _) => read,
            }
        })
        .await
        .unwrap_or_else(Read::Busy)
    }

    fn read_file(&self, id: ChunkId) -> Read {
        if !self.held.lock().all.contains_key(&id) {
            return Read::Missing;
        }
        match self.files.read(&id.to_string()) {
            Ok(Some(data)) => Read::Whole(data),
            // It may have been removed just now, by us.
            Ok(None) if !self.held.lock().all.contains_key(&id) => Read::Missing,
            Ok(None) => {
                self.note_damage(id, "its file is gone");
                Read::Missing
            }
            Err(e) if e.is_corrupt() => {
                self.note_damage(id, &e.to_string());
                Read::Damaged
            }
            Err(e) => {
                // A sector that can't be read is as good as damaged: a new file gets another one.
                self.note_damage(id, &e.to_string());
                Read::Busy(e.to_string())
            }
        }
    }

    fn note_damage(&self, id: ChunkId, why: &str) {
        let new = self.held.lock().damaged.insert(id);
        if new {
            tracing::error!(chunk = %id, why, "a chunk on this node is damaged");
            self.counts.damaged.fetch_add(1, Ordering::Relaxed);
        }
        self.found_damage.notify_one();
    }

    /// Returns when something here may have been found to be damaged.
    pub(crate) async fn damage_found(&self) {
        self.found_damage.notified().await;
    }

    pub(crate) async fn remove(self: &Arc<Self>, id: ChunkId) -> Result<(), String> {
        let removed = self.on_disk(move |chunks| {
            // Not held any more from here on: who asks meanwhile doesn't find a file gone.
            chunks.held.lock().remove(id);
            chunks.files.remove(&id.to_string()).map_err(|e| e.to_string())
        });
        if removed.await?? {
            self.counts.collected.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(crate) fn ids(&self) -> BTreeSet<ChunkId> {
        self.held.lock().all.keys().copied().collect()
    }

    pub(crate) fn damaged(&self) -> BTreeSet<ChunkId> {
        self.held.lock().damaged.clone()
    }

    /// Goes round.
    pub(crate) fn next_after(&self, id: Option<ChunkId>) -> Option<ChunkId> {
        let held = self.held.lock();
        let after = id.map_or(Bound::Unbounded, Bound::Excluded);
        let next = held.all.range((after, Bound::Unbounded)).next().or_else(|| held.all.first_key_value());
        next.map(|(id, _)| *id)
    }

    /// How many, and how many bytes.
    pub(crate) fn size(&self) -> (usize, u64) {
        let held = self.held.lock();
        (held.all.len(), held.bytes)
    }
}
