//! Reads every chunk of this node now and then, slowly, so that damage is found while another copy is good.

use crate::blobs::Blobs;
use std::sync::Weak;
use std::time::Duration;

/// Between two chunks, however many or few there are.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// For ever, as long as there is somebody to do it for. Damage is noted where it is found; the repair follows.
pub(crate) async fn run(blobs: Weak<Blobs>) {
    let mut last = None;
    loop {
        let Some(pause) = blobs.upgrade().map(|blobs| {
            let count = u32::try_from(blobs.chunks.size().0).unwrap_or(u32::MAX).max(1);
            (blobs.settings.scrub_every / count).clamp(PAUSE_MIN, PAUSE_MAX)
        }) else {
            return;
        };
        tokio::time::sleep(pause).await;
        let Some(blobs) = blobs.upgrade() else { return };
        last = blobs.chunks.next_after(last);
        if let Some(id) = last {
            let named = blobs.catalogue.view().chunks.get(&id).copied();
            blobs.chunks.scrub(id, named).await;
        }
    }
}
