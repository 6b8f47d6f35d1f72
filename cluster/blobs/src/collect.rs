//! Removes chunks that no blob names: those of deleted blobs and of puts that came to nothing.

use crate::blobs::Blobs;
use crate::model::ChunkId;
use crate::upkeep::{Since, unnamed};
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

const ASK: Duration = Duration::from_secs(3);

/// For ever, as long as there is somebody to do it for.
pub(crate) async fn run(blobs: Weak<Blobs>) {
    // In this process's own time, which no setting of a clock moves; a restart begins anew, and only keeps them longer.
    let mut since = Since::default();
    loop {
        let Some(every) = blobs.upgrade().map(|blobs| blobs.settings.look_every) else { return };
        tokio::time::sleep(every).await;
        let Some(blobs) = blobs.upgrade() else { return };
        if !blobs.catalogue.mirror.is_fresh() {
            continue;
        }
        let held = blobs.chunks.ids();
        let garbage = unnamed(&blobs.catalogue.view(), &held);
        let due = since.seen_for(blobs.settings.collect_after, Instant::now(), &garbage);
        if due.is_empty() {
            continue;
        }
        if let Err(why) = remove(&blobs, due.into_iter().collect()).await {
            tracing::warn!(why, "chunks that no blob names stay for now");
        }
    }
}

/// Asks the control store once more, linearizably: a put that could still name one of them has ended long ago, so what it
/// did is in the answer.
async fn remove(blobs: &Arc<Blobs>, due: BTreeSet<ChunkId>) -> Result<(), String> {
    let deadline = Instant::now() + ASK;
    let revision = blobs.meta.revision(deadline).await.map_err(|e| e.to_string())?;
    if !blobs.catalogue.mirror.wait_for(revision, deadline).await {
        return Err("the catalogue's mirror lags behind".to_owned());
    }
    for id in unnamed(&blobs.catalogue.view(), &due) {
        blobs.chunks.remove(id).await?;
    }
    Ok(())
}
