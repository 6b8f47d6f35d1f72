//! Keeping a blob: chunks first, then the catalogue.

use crate::blobs::Blobs;
use crate::chunks::sha256;
use crate::error::BlobError;
use crate::model::{Also, Blob, BlobInfo, CHUNK_BYTES_MAX, ChunkId, ChunkRef, catalogue_key, check_key, check_put};
use crate::placement::Layout;
use breakwater_meta::{Compare, Op, OpResponse, Txn};
use breakwater_types::Zone;
use breakwater_types::formats::TRAILS;
use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// How long a put may take, whatever its caller's deadline is: chunks that it has stored are safe from being collected for
/// far longer.
pub const PUT_MAX: Duration = Duration::from_secs(120);
/// What the puts of a node may have in memory together, in KiB: a few of the largest blobs.
pub(crate) const PUT_ROOM: u32 = 256 << 10;
/// Chunks of one blob that are on their way at the same time.
const TOGETHER: usize = 4;

/// A chunk with its contents. A slice of the blob's, not a copy.
type Piece = (ChunkRef, Bytes);

/// Blocks: hashing 64 MiB twice takes a while.
fn cut(content: &Bytes) -> (Vec<Piece>, [u8; 32]) {
    let pieces = (0..content.len()).step_by(CHUNK_BYTES_MAX).map(|at| {
        let data = content.slice(at..content.len().min(at + CHUNK_BYTES_MAX));
        let chunk = ChunkRef { id: ChunkId(rand::random()), bytes: data.len() as u32, sha256: sha256(&data) };
        (chunk, data)
    });
    (pieces.collect(), sha256(content))
}

impl Blobs {
    /// Keeps a blob under a key that is written once. When it says so, the chunks are durable in two zones (in one where
    /// the region has one) and one transaction has catalogued the blob and done what `also` says.
    ///
    /// Where the key has these very contents already, that is success, and `also` isn't done: it was with the put that made
    /// it. So whoever doesn't know the outcome of a put repeats it. The metadata stays the first one's.
    pub async fn put(
        &self,
        key: &str,
        content: Bytes,
        metadata: BTreeMap<String, String>,
        also: Also,
        deadline: Instant,
    ) -> Result<BlobInfo, BlobError> {
        check_key(key)?;
        check_put(content.len(), &metadata, &also)?;
        if self.formats.active() < TRAILS {
            return Err(BlobError::NotApplied("not every node of the region knows of blobs yet".to_owned()));
        }
        let deadline = deadline.min(Instant::now() + PUT_MAX);
        let room = self.room(content.len(), deadline).await?;
        let bytes = content.len() as u64;
        let pieces = tokio::task::spawn_blocking(move || cut(&content)).await;
        let (pieces, sha256) = pieces.map_err(|e| BlobError::NotApplied(e.to_string()))?;
        let there = self.meta.get(&catalogue_key(key), deadline).await;
        // A question that wasn't answered has changed nothing.
        if let Some(entry) = there.map_err(|e| BlobError::NotApplied(e.to_string()))? {
            return same(key, &entry.value, &sha256);
        }
        let chunks = pieces.iter().map(|(chunk, _)| *chunk).collect();
        self.spread(pieces, &Arc::new(room), deadline).await?;
        let blob = Blob { bytes, sha256, created_unix_ms: self.clock.unix_ms(), metadata, chunks };
        self.enter(key, &blob, also, deadline).await
    }

    async fn room(&self, bytes: usize, deadline: Instant) -> Result<OwnedSemaphorePermit, BlobError> {
        let kib = u32::try_from(bytes / 1_024 + 1).unwrap_or(PUT_ROOM).min(PUT_ROOM);
        match tokio::time::timeout_at(deadline, self.room.clone().acquire_many_owned(kib)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(e)) => Err(BlobError::NotApplied(e.to_string())),
            Err(_) => Err(BlobError::NotApplied("too much is being put".to_owned())),
        }
    }

    /// Each chunk to its holders; returns when zones enough have them all.
    async fn spread(
        &self,
        pieces: Vec<Piece>,
        room: &Arc<OwnedSemaphorePermit>,
        deadline: Instant,
    ) -> Result<(), BlobError> {
        let layout = self.layout();
        let stores = pieces.into_iter().map(|piece| self.store(&layout, piece, room, deadline));
        futures::stream::iter(stores).buffer_unordered(TOGETHER).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// The copies that it doesn't wait for are made nonetheless, until the deadline, and keep their room.
    async fn store(
        &self,
        layout: &Layout,
        (chunk, data): Piece,
        room: &Arc<OwnedSemaphorePermit>,
        deadline: Instant,
    ) -> Result<(), BlobError> {
        let mut copies: FuturesUnordered<_> = layout
            .of(chunk.id)
            .into_iter()
            .map(|holder| {
                let (peers, holder, data, room) = (self.peers.clone(), holder.clone(), data.clone(), room.clone());
                let copy = tokio::spawn(async move {
                    let _room = room;
                    let stored = peers.store(&holder.name, chunk, data, deadline).await;
                    stored.map(|()| holder.zone)
                });
                async { copy.await.unwrap_or_else(|e| Err(e.to_string())) }
            })
            .collect();
        let mut zones: BTreeSet<Option<Zone>> = BTreeSet::new();
        let mut why = Vec::new();
        while zones.len() < layout.zones_needed() {
            match copies.next().await {
                Some(Ok(zone)) => drop(zones.insert(zone)),
                Some(Err(e)) => why.push(e),
                None => {
                    let (got, needed) = (zones.len(), layout.zones_needed());
                    let why = format!("a chunk is in {got} zones of the {needed} that it needs: {}", why.join("; "));
                    return Err(BlobError::NotApplied(why));
                }
            }
        }
        Ok(())
    }

    async fn enter(&self, key: &str, blob: &Blob, also: Also, deadline: Instant) -> Result<BlobInfo, BlobError> {
        let entry = catalogue_key(key);
        let value = blob.to_stored().map_err(BlobError::Invalid)?;
        let mut txn = Txn { compares: also.compares, success: also.ops, failure: vec![Op::Get { key: entry.clone() }] };
        txn.compares.push(Compare::Absent(entry.clone()));
        txn.success.push(Op::put(entry, value));
        if Instant::now() >= deadline {
            return Err(BlobError::NotApplied("the deadline has passed".to_owned()));
        }
        let outcome = self.meta.txn(txn, deadline).await?;
        if outcome.succeeded {
            return Ok(blob.info(key));
        }
        match outcome.responses.into_iter().next() {
            Some(OpResponse::Entry(Some(entry))) => same(key, &entry.value, &blob.sha256),
            _ => Err(BlobError::CompareFailed),
        }
    }
}

/// Whether what is under the key already is what was to be put there.
fn same(key: &str, stored: &[u8], sha256: &[u8; 32]) -> Result<BlobInfo, BlobError> {
    match Blob::from_stored(stored) {
        Ok(blob) if blob.sha256 == *sha256 => Ok(blob.info(key)),
        Ok(_) => Err(BlobError::Exists),
        Err(why) => Err(BlobError::NotApplied(format!("the blob's entry can't be read: {why}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_make_the_whole_again(length in 0_usize..3 * CHUNK_BYTES_MAX + 5) {
            let content = Bytes::from((0..length).map(|n| (n * 31 % 251) as u8).collect::<Vec<u8>>());
            let (pieces, digest) = cut(&content);
            let joined: Vec<u8> = pieces.iter().flat_map(|(_, data)| data.iter().copied()).collect();
            prop_assert_eq!(sha256(&joined), digest);
            prop_assert!(pieces.iter().all(|(chunk, data)| !data.is_empty() && chunk.bytes as usize == data.len()));
            prop_assert_eq!(pieces.len(), length.div_ceil(CHUNK_BYTES_MAX));
        }
    }
}
