//! A local copy of the keys under a prefix, kept up to date by a watch. While the store can't be reached it stays as
//! it was, and says how old it is.

use crate::client::{MetaClient, Watched};
use crate::model::{Entry, Revision};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const POLL: Duration = Duration::from_secs(10);
const LIST: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

pub struct Mirror {
    prefix: Vec<u8>,
    entries: RwLock<BTreeMap<Vec<u8>, Arc<Entry>>>,
    revision: watch::Sender<Revision>,
    heard: Mutex<Option<Instant>>,
}

impl Mirror {
    /// Starts empty at revision 0 and fills as soon as a control node answers.
    pub fn start(client: MetaClient, prefix: Vec<u8>) -> Arc<Mirror> {
        let mirror = Arc::new(Mirror {
            prefix,
            entries: RwLock::default(),
            revision: watch::Sender::new(0),
            heard: Mutex::new(None),
        });
        tokio::spawn(follow(Arc::downgrade(&mirror), client));
        mirror
    }

    pub fn get(&self, key: &[u8]) -> Option<Arc<Entry>> {
        self.entries.read().get(key).cloned()
    }

    pub fn scan_prefix(&self, prefix: &[u8]) -> Vec<Arc<Entry>> {
        let entries = self.entries.read();
        entries.range(prefix.to_vec()..crate::prefix_end(prefix)).map(|(_, e)| e.clone()).collect()
    }

    pub fn revision(&self) -> Revision {
        *self.revision.borrow()
    }

    /// Tells when something changed.
    pub fn changed(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    /// True once the mirror shows this revision.
    pub async fn wait_for(&self, revision: Revision, deadline: Instant) -> bool {
        let mut changed = self.revision.subscribe();
        tokio::time::timeout_at(deadline, changed.wait_for(|r| *r >= revision)).await.is_ok_and(|r| r.is_ok())
    }

    /// True once it was filled.
    pub async fn filled(&self, deadline: Instant) -> bool {
        while self.heard.lock().is_none() {
            if Instant::now() >= deadline {
                return false;
            }
            let mut changed = self.revision.subscribe();
            // An empty store has revision 0: nothing changes then, so look again soon.
            let _ = tokio::time::timeout(Duration::from_millis(20), changed.changed()).await;
        }
        true
    }

    /// How long ago the store was last heard; none before the first time.
    pub fn age_ms(&self) -> Option<u64> {
        self.heard.lock().map(|at| at.elapsed().as_millis() as u64)
    }

    fn replace(&self, revision: Revision, entries: Vec<Entry>) {
        *self.entries.write() = entries.into_iter().map(|e| (e.key.to_vec(), Arc::new(e))).collect();
        *self.heard.lock() = Some(Instant::now());
        self.revision.send_replace(revision);
    }

    fn advance(&self, revision: Revision, events: Vec<crate::model::Event>) {
        *self.heard.lock() = Some(Instant::now());
        if events.is_empty() && revision == self.revision() {
            return;
        }
        {
            let mut entries = self.entries.write();
            for event in events {
                match event.entry {
                    Some(entry) => entries.insert(event.key.to_vec(), Arc::new(entry)),
                    None => entries.remove(&event.key[..]),
                };
            }
        }
        self.revision.send_replace(revision);
    }
}

async fn follow(mirror: Weak<Mirror>, client: MetaClient) {
    let mut listed = false;
    loop {
        let Some((prefix, after)) = mirror.upgrade().map(|m| (m.prefix.clone(), m.revision())) else { return };
        let done = if listed {
            match client.watch(&prefix, after, Instant::now() + POLL).await {
                Ok(Watched::Events(revision, events)) => {
                    let Some(mirror) = mirror.upgrade() else { return };
                    mirror.advance(revision, events);
                    true
                }
                Ok(Watched::Compacted) => {
                    listed = false;
                    true
                }
                Err(e) => {
                    tracing::debug!(error = %e, "a watch was interrupted");
                    false
                }
            }
        } else {
            match client.list(&prefix, Instant::now() + LIST).await {
                // A node that lags must not take the mirror back in time.
                Ok((revision, entries)) if revision >= after => {
                    let Some(mirror) = mirror.upgrade() else { return };
                    mirror.replace(revision, entries);
                    listed = true;
                    true
                }
                Ok(_) => false,
                Err(e) => {
                    tracing::debug!(error = %e, "a mirror waits for its first answer");
                    false
                }
            }
        };
        if !done {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
