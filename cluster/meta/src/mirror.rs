//! A local copy of the keys under a prefix, kept up to date by a watch. While the store can't be reached it stays as
//! it was, and says how old it is. It may keep itself on the node's disk, and then begins as it was.

use crate::client::{Listing, MetaClient, Watched};
use crate::kept::{Entries, Kept};
use crate::model::{Entry, Event, Revision};
use breakwater_storage::Engine;
use breakwater_types::SharedClock;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const POLL: Duration = Duration::from_secs(10);
const PAGE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

/// When the store was last heard: at the instant, or so long before it.
#[derive(Clone, Copy)]
struct Heard {
    at: Instant,
    before_ms: u64,
    /// Since this node's start, rather than as it was kept.
    now: bool,
}

pub struct Mirror {
    prefix: Vec<u8>,
    entries: RwLock<Entries>,
    revision: watch::Sender<Revision>,
    heard: Mutex<Option<Heard>>,
}

/// Where a mirror keeps itself.
struct Keeper {
    kept: Kept,
    clock: SharedClock,
    /// Whether what is kept is whole: after a failure it is made anew.
    whole: bool,
}

impl Mirror {
    /// Starts empty at revision 0 and fills as soon as a control node answers.
    pub fn start(client: MetaClient, prefix: Vec<u8>) -> Arc<Mirror> {
        let mirror = Self::new(prefix);
        tokio::spawn(follow(Arc::downgrade(&mirror), client, None));
        mirror
    }

    /// Starts as it was kept in this store, if it was, and keeps itself there. Blocks for the disk. A copy that can't
    /// be read counts for nothing: the control store has it.
    pub fn start_kept(client: MetaClient, prefix: Vec<u8>, store: Arc<dyn Engine>, clock: SharedClock) -> Arc<Mirror> {
        let kept = Kept::new(store, &prefix);
        let mirror = Self::new(prefix);
        let found = kept.load().unwrap_or_else(|e| {
            tracing::error!(error = %e, "the kept mirror can't be read: made anew");
            None
        });
        let whole = found.is_some();
        if let Some(found) = found {
            let before_ms = u64::try_from(clock.unix_ms() - found.heard_unix_ms).unwrap_or(0);
            *mirror.entries.write() = found.entries;
            *mirror.heard.lock() = Some(Heard { at: Instant::now(), before_ms, now: false });
            mirror.revision.send_replace(found.revision);
        }
        tokio::spawn(follow(Arc::downgrade(&mirror), client, Some(Keeper { kept, clock, whole })));
        mirror
    }

    fn new(prefix: Vec<u8>) -> Arc<Mirror> {
        Arc::new(Mirror {
            prefix,
            entries: RwLock::default(),
            revision: watch::Sender::new(0),
            heard: Mutex::new(None),
        })
    }

    pub fn get(&self, key: &[u8]) -> Option<Arc<Entry>> {
        self.entries.read().get(key).cloned()
    }

    pub fn scan_prefix(&self, prefix: &[u8]) -> Vec<Arc<Entry>> {
        let entries = self.entries.read();
        entries.range(prefix.to_vec()..crate::prefix_end(prefix)).map(|(_, e)| e.clone()).collect()
    }

    pub fn count_prefix(&self, prefix: &[u8]) -> usize {
        self.entries.read().range(prefix.to_vec()..crate::prefix_end(prefix)).count()
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

    /// How long ago the store was last heard, by this process or one before it; none before the first time.
    pub fn age_ms(&self) -> Option<u64> {
        self.heard.lock().map(|heard| heard.at.elapsed().as_millis() as u64 + heard.before_ms)
    }

    /// For how long this process has waited to hear the store.
    pub fn silent_ms(&self) -> Option<u64> {
        self.heard.lock().map(|heard| heard.at.elapsed().as_millis() as u64)
    }

    /// Whether the store was heard since this process started.
    pub fn is_fresh(&self) -> bool {
        self.heard.lock().is_some_and(|heard| heard.now)
    }

    fn hear(&self) {
        *self.heard.lock() = Some(Heard { at: Instant::now(), before_ms: 0, now: true });
    }

    fn replace(&self, revision: Revision, entries: Entries) {
        *self.entries.write() = entries;
        self.hear();
        self.revision.send_replace(revision);
    }

    /// Returns what changed.
    fn advance(&self, revision: Revision, events: Vec<Event>) -> BTreeMap<Vec<u8>, Option<Arc<Entry>>> {
        self.hear();
        if events.is_empty() && revision == self.revision() {
            return BTreeMap::new();
        }
        let changes = apply(&mut self.entries.write(), events);
        self.revision.send_replace(revision);
        changes
    }
}

/// An event that is older than what is there already changes nothing: pages of a listing may be newer than its first.
fn apply(entries: &mut Entries, events: Vec<Event>) -> BTreeMap<Vec<u8>, Option<Arc<Entry>>> {
    let mut changes = BTreeMap::new();
    for event in events {
        let key = event.key.to_vec();
        if entries.get(&key).is_some_and(|known| known.mod_revision >= event.revision) {
            continue;
        }
        let entry = event.entry.map(Arc::new);
        match &entry {
            Some(entry) => entries.insert(key.clone(), entry.clone()),
            None => entries.remove(&key),
        };
        changes.insert(key, entry);
    }
    changes
}

/// A whole listing as of one revision; none where changes came faster than they are kept.
async fn list(client: &MetaClient, prefix: &[u8], at_least: Revision) -> Option<(Revision, Entries)> {
    let Listing { mut revision, newest, entries } = match client.list(prefix, at_least, PAGE).await {
        Ok(listing) => listing,
        Err(e) => {
            tracing::debug!(error = %e, "a mirror waits for its first answer");
            return None;
        }
    };
    let mut entries: Entries = entries.into_iter().map(|e| (e.key.to_vec(), Arc::new(e))).collect();
    while revision < newest {
        match client.watch(prefix, revision, Instant::now() + POLL).await {
            Ok(Watched::Events(up_to, events)) => {
                apply(&mut entries, events);
                revision = up_to;
            }
            Ok(Watched::Compacted) => return None,
            Err(e) => {
                tracing::debug!(error = %e, "a watch was interrupted");
                return None;
            }
        }
    }
    Some((revision, entries))
}

impl Keeper {
    /// Off the runtime's threads, in order. What fails is told, and made anew at the next change.
    async fn keep(
        self,
        mirror: &Arc<Mirror>,
        changes: Option<BTreeMap<Vec<u8>, Option<Arc<Entry>>>>,
    ) -> Option<Keeper> {
        let mirror = mirror.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let mut keeper = self;
            let (revision, now) = (mirror.revision(), keeper.clock.unix_ms());
            let done = match changes {
                Some(changes) if keeper.whole => keeper.kept.advance(revision, now, &changes),
                _ => keeper.kept.replace(revision, now, &mirror.entries.read().clone()),
            };
            keeper.whole = done.is_ok();
            if let Err(e) = done {
                tracing::warn!(error = %e, "a mirror could not be kept");
            }
            keeper
        });
        // It ends badly only where the runtime ends.
        kept.await.ok()
    }
}

async fn follow(mirror: Weak<Mirror>, client: MetaClient, mut keeper: Option<Keeper>) {
    let mut listed = keeper.as_ref().is_some_and(|keeper| keeper.whole);
    loop {
        let Some((prefix, after)) = mirror.upgrade().map(|m| (m.prefix.clone(), m.revision())) else { return };
        let heard = if listed {
            match client.watch(&prefix, after, Instant::now() + POLL).await {
                Ok(Watched::Events(revision, events)) => {
                    let Some(mirror) = mirror.upgrade() else { return };
                    Some((mirror.advance(revision, events), mirror))
                }
                Ok(Watched::Compacted) => {
                    listed = false;
                    continue;
                }
                Err(e) => {
                    tracing::debug!(error = %e, "a watch was interrupted");
                    None
                }
            }
            .map(|(changes, mirror)| (Some(changes), mirror))
        } else {
            match list(&client, &prefix, after).await {
                Some((revision, entries)) => {
                    let Some(mirror) = mirror.upgrade() else { return };
                    mirror.replace(revision, entries);
                    listed = true;
                    Some((None, mirror))
                }
                None => None,
            }
        };
        match heard {
            Some((changes, mirror)) => {
                if let Some(some) = keeper.take() {
                    keeper = some.keep(&mirror, changes).await;
                }
            }
            None => tokio::time::sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(key: &str, revision: Revision, there: bool) -> Event {
        let entry = Entry {
            key: key.as_bytes().to_vec().into(),
            value: revision.to_string().into_bytes().into(),
            create_revision: revision,
            mod_revision: revision,
            lease: None,
        };
        Event { revision, key: entry.key.clone(), entry: there.then_some(entry) }
    }

    /// Pages of one listing were read at different revisions: the watch from the first one on makes them agree.
    #[test]
    fn older_events_never_undo_newer_entries() {
        let newer = event("b", 7, true).entry.map(Arc::new);
        let mut entries: Entries =
            [(b"b".to_vec(), newer.clone())].into_iter().filter_map(|(k, e)| Some((k, e?))).collect();
        let changes = apply(
            &mut entries,
            vec![
                event("b", 4, true),
                event("b", 5, false),
                event("b", 7, true),
                event("a", 6, true),
                event("c", 6, false),
            ],
        );
        assert_eq!(entries.get(&b"b"[..]), newer.as_ref());
        assert_eq!(entries.len(), 2);
        assert_eq!(changes.keys().map(|k| k[0]).collect::<Vec<_>>(), [b'a', b'c']);
        apply(&mut entries, vec![event("b", 8, false)]);
        assert!(!entries.contains_key(&b"b"[..]));
    }
}
