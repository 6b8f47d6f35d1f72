//! Reading a blob.

use crate::blobs::Blobs;
use crate::chunks::sha256;
use crate::error::BlobError;
use crate::model::{Blob, BlobInfo, ChunkRef, catalogue_key, check_key};
use crate::peers::Fetched;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use tokio::time::Instant;

/// Chunks that are read at the same time.
const TOGETHER: usize = 4;

impl Blobs {
    /// None where there is no such blob. What it returns has the checksums that it was put with; a copy that is found to
    /// be bad is passed over, and its holder repairs it.
    pub async fn get(&self, key: &str, deadline: Instant) -> Result<Option<(BlobInfo, Bytes)>, BlobError> {
        check_key(key)?;
        let found = self.meta.get(&catalogue_key(key), deadline).await;
        let Some(entry) = found.map_err(|e| BlobError::NotApplied(e.to_string()))? else { return Ok(None) };
        let blob = Blob::from_stored(&entry.value)
            .map_err(|why| BlobError::NotApplied(format!("the blob's entry can't be read: {why}")))?;
        let reads = blob.chunks.clone().into_iter().map(|chunk| self.read_chunk(chunk, deadline));
        let chunks: Vec<Bytes> = futures::stream::iter(reads).buffered(TOGETHER).try_collect().await?;
        let joined = tokio::task::spawn_blocking(move || {
            let mut content = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
            chunks.iter().for_each(|chunk| content.extend_from_slice(chunk));
            (sha256(&content), content.freeze())
        });
        let (digest, content) = joined.await.map_err(|e| BlobError::NotApplied(e.to_string()))?;
        if digest != blob.sha256 {
            return Err(BlobError::Damaged("its chunks are whole, and aren't the blob's".to_owned()));
        }
        Ok(Some((blob.info(key), content)))
    }

    async fn read_chunk(&self, chunk: ChunkRef, deadline: Instant) -> Result<Bytes, BlobError> {
        let layout = self.layout();
        let mut nodes = layout.search(chunk.id, self.me());
        // A node whose record isn't known here may have it too.
        nodes.extend(self.unknown(&nodes));
        match self.peers.find(&nodes, chunk, deadline).await {
            Fetched::Whole(data) => Ok(data),
            Fetched::Not(why) => Err(BlobError::Damaged(format!("chunk {}: {why}", chunk.id))),
            Fetched::Unreachable(why) => Err(BlobError::NotApplied(format!("chunk {}: {why}", chunk.id))),
        }
    }
}
