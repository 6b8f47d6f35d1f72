//! A copy that is missing here or damaged is made again from a good one. A node that lost its disk fills it so.

use crate::blobs::Blobs;
use crate::model::{ChunkId, ChunkRef};
use crate::peers::Fetched;
use crate::upkeep::{Since, wanted};
use futures::StreamExt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// Copies that are fetched at the same time.
const TOGETHER: usize = 4;
const FETCH: Duration = Duration::from_secs(20);

/// For ever, as long as there is somebody to do it for.
pub(crate) async fn run(blobs: Weak<Blobs>) {
    let mut missing_since = Since::default();
    loop {
        let Some(every) = blobs.upgrade().map(|blobs| blobs.settings.look_every) else { return };
        let Some(chunks) = blobs.upgrade().map(|blobs| blobs.chunks.clone()) else { return };
        // Damage that was found is repaired at once; what can't be repaired is tried again at the next look.
        let _ = tokio::time::timeout(every, chunks.damage_found()).await;
        drop(chunks);
        let Some(blobs) = blobs.upgrade() else { return };
        if blobs.catalogue.mirror.is_fresh() {
            look(&blobs, &mut missing_since).await;
        }
    }
}

async fn look(blobs: &Arc<Blobs>, missing_since: &mut Since) {
    let (view, layout) = (blobs.catalogue.view(), blobs.layout());
    let (held, damaged, me) = (blobs.chunks.ids(), blobs.chunks.damaged(), blobs.me());
    let is_mine = |id: ChunkId| layout.of(id).iter().any(|holder| holder.name == *me);
    let (missing, mut todo) = wanted(&view, &held, &damaged, is_mine);
    blobs.missing.store((missing.len() + todo.len()) as u64, Ordering::Relaxed);
    // A put answers before the last copy is made: what has just been named may be on its way.
    let due = missing_since.seen_for(blobs.settings.look_every, Instant::now(), &missing);
    todo.extend(due.iter().filter_map(|id| view.chunks.get(id)));
    if todo.is_empty() {
        return;
    }
    let count = todo.len();
    let repairs = futures::stream::iter(todo).map(|chunk| repair(blobs, chunk)).buffer_unordered(TOGETHER);
    let failures: Vec<String> = repairs.filter_map(|done| async { done.err() }).collect().await;
    match failures.first() {
        Some(why) => {
            tracing::warn!(copies = count, failed = failures.len(), why, "copies of chunks can't be repaired for now");
        }
        None => tracing::info!(copies = count, "copies of chunks were repaired"),
    }
}

async fn repair(blobs: &Arc<Blobs>, chunk: ChunkRef) -> Result<(), String> {
    let mut others = blobs.layout().search(chunk.id, blobs.me());
    others.retain(|name| name != blobs.me());
    match blobs.peers.find(&others, chunk, Instant::now() + FETCH).await {
        Fetched::Whole(data) => {
            blobs.chunks.replace(chunk, data).await?;
            blobs.chunks.counts.repaired.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
        Fetched::Not(why) => Err(format!("chunk {} is whole nowhere: {why}", chunk.id)),
        Fetched::Unreachable(why) => Err(format!("chunk {}: {why}", chunk.id)),
    }
}
