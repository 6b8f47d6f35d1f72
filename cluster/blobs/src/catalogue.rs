//! What the catalogue names, from a mirror of it.

use crate::model::{Blob, CATALOGUE, ChunkId, ChunkRef};
use breakwater_meta::Mirror;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) chunks: HashMap<ChunkId, ChunkRef>,
    pub(crate) blobs: usize,
    /// Blobs whose entries this build can't read: what they name isn't known.
    pub(crate) unreadable: usize,
}

/// A blob's chunks as of a revision; none where its entry can't be read.
type Known = (u64, Option<Vec<ChunkRef>>);

#[derive(Default)]
struct Cache {
    blobs: HashMap<Bytes, Known>,
    view: Arc<View>,
}

pub(crate) struct Catalogue {
    pub(crate) mirror: Arc<Mirror>,
    cache: Mutex<Cache>,
}

impl Catalogue {
    pub(crate) fn new(mirror: Arc<Mirror>) -> Self {
        Catalogue { mirror, cache: Mutex::default() }
    }

    /// As of at least the mirror's revision before the call. Entries that didn't change aren't read again.
    pub(crate) fn view(&self) -> Arc<View> {
        let mut cache = self.cache.lock();
        let entries = self.mirror.scan_prefix(CATALOGUE);
        let known = |key: &Bytes, revision| cache.blobs.get(key).is_some_and(|(known, _)| *known == revision);
        if entries.len() == cache.blobs.len() && entries.iter().all(|entry| known(&entry.key, entry.mod_revision)) {
            return cache.view.clone();
        }
        let mut blobs = HashMap::with_capacity(entries.len());
        let mut view = View { blobs: entries.len(), ..View::default() };
        for entry in entries {
            let (_, chunks) = match cache.blobs.remove(&entry.key) {
                Some(known) if known.0 == entry.mod_revision => known,
                _ => (entry.mod_revision, read(&entry.key, &entry.value)),
            };
            match &chunks {
                Some(chunks) => view.chunks.extend(chunks.iter().map(|chunk| (chunk.id, *chunk))),
                None => view.unreadable += 1,
            }
            blobs.insert(entry.key.clone(), (entry.mod_revision, chunks));
        }
        *cache = Cache { blobs, view: Arc::new(view) };
        cache.view.clone()
    }
}

fn read(key: &[u8], value: &[u8]) -> Option<Vec<ChunkRef>> {
    Blob::from_stored(value)
        .map(|blob| blob.chunks)
        .inspect_err(
            |e| tracing::error!(error = e, key = %String::from_utf8_lossy(key), "a blob's entry can't be read"),
        )
        .ok()
}
