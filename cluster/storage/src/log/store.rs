//! The log as its callers see it.

use super::group::Place;
use super::segment::Segment;
use super::state::{Command, State};
use super::writer::{Counters, Writer};
use super::{Done, LogBounds, LogEntry, LogOptions, LogStats};
use crate::error::StorageError;
use breakwater_types::GroupId;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) work: Condvar,
    pub(super) counters: Counters,
}

/// Dropping the last handle writes and syncs what is queued.
///
/// Calls return at once and take effect in memory at once: an entry can be read before it is durable. `done` is
/// called when the operation is durable, for those that are synced (`append`, `remove_group`, `save_meta` with
/// `sync`), in the order of the calls. For the others, `done` says that the operation stands in the queue: it
/// reaches the disk before anything that is synced later, and a crash before that undoes it.
pub struct LogStore {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    _lock: Box<dyn std::any::Any + Send + Sync>,
}

impl std::fmt::Debug for LogStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogStore")
    }
}

impl LogStore {
    /// Opens or makes the log in `dir`, and replays it. `Corrupt` where it isn't what was written.
    pub fn open(dir: &Path, options: LogOptions) -> Result<Arc<Self>, StorageError> {
        let disk = options.disk.clone();
        let failed = |doing: &str, e| StorageError::io(format!("{doing} {}", dir.display()), e);
        disk.create_dir_all(dir).map_err(|e| failed("making", e))?;
        let lock = disk
            .lock(&dir.join(crate::disk::LOCK_FILE))
            .map_err(|e| StorageError::refused(format!("{} can't be locked: {e}", dir.display())))?;
        let (state, writer) = Writer::recover(dir, &options)?;
        let shared = Arc::new(Shared { state: Mutex::new(state), work: Condvar::new(), counters: Counters::default() });
        let thread = {
            let shared = shared.clone();
            std::thread::Builder::new().name("raft-log".to_owned()).spawn(move || writer.run_guarded(&shared))
        };
        let thread = thread.map_err(|e| failed("starting the writer of", e))?;
        Ok(Arc::new(LogStore { shared, writer: Mutex::new(Some(thread)), _lock: lock }))
    }

    /// The state, to queue something in; or `done` is told that the log has stopped.
    fn admit(&self, done: Done) -> Option<(MutexGuard<'_, State>, Done)> {
        let state = self.shared.state.lock();
        match &state.failed {
            None => Some((state, done)),
            Some(e) => {
                let e = e.clone();
                drop(state);
                done(Err(e));
                None
            }
        }
    }

    fn wake(&self, mut state: MutexGuard<'_, State>, urgent: bool) {
        state.urgent |= urgent;
        let wake = urgent || state.parked;
        state.parked = false;
        drop(state);
        if wake {
            self.shared.work.notify_one();
        }
    }

    /// `done` is called when all entries are durable. Indexes go on from the group's last entry; for a group without
    /// entries they start anywhere above what was purged. Anything else is `Invalid`, and nothing is appended.
    pub fn append(&self, group: GroupId, entries: Vec<LogEntry>, done: Done) {
        let Some((mut state, done)) = self.admit(done) else { return };
        match state.append(group, &entries) {
            Ok(first_stamp) => {
                state.queue.push(Command::Append { group, entries, first_stamp, done });
                self.wake(state, true);
            }
            Err(e) => {
                drop(state);
                done(Err(e));
            }
        }
    }

    /// A small named record of a group; the last one wins. Without `sync`, `done` is called at once.
    pub fn save_meta(&self, group: GroupId, key: u8, value: Bytes, done: Done, sync: bool) {
        let Some((mut state, done)) = self.admit(done) else { return };
        if value.len() > super::ENTRY_BYTES_MAX {
            drop(state);
            return done(Err(StorageError::invalid(format!("{group}: a record of {} bytes", value.len()))));
        }
        let stamp = state.save_meta(group, key, value.clone());
        let (queued, at_once) = if sync { (Some(done), None) } else { (None, Some(done)) };
        state.queue.push(Command::Meta { group, key, value, stamp, done: queued });
        self.wake(state, sync);
        if let Some(done) = at_once {
            done(Ok(()));
        }
    }

    /// Removes the entries after `index`. Queued, not synced.
    pub fn truncate_after(&self, group: GroupId, index: u64, done: Done) {
        let Some((mut state, done)) = self.admit(done) else { return };
        state.truncate_after(group, index);
        state.queue.push(Command::Truncate { group, index });
        self.wake(state, false);
        done(Ok(()));
    }

    /// Removes the entries up to `index`. Queued, not synced.
    pub fn purge_to(&self, group: GroupId, index: u64, done: Done) {
        let Some((mut state, done)) = self.admit(done) else { return };
        // The highest index can't be purged: the next entry would have no number.
        let index = index.min(u64::MAX - 1);
        state.purge_to(group, index);
        state.queue.push(Command::Purge { group, index });
        self.wake(state, false);
        done(Ok(()));
    }

    /// Forgets all of a group. `done` is called when that is durable.
    pub fn remove_group(&self, group: GroupId, done: Done) {
        let Some((mut state, done)) = self.admit(done) else { return };
        state.remove(group);
        state.queue.push(Command::Remove { group, done });
        self.wake(state, true);
    }

    /// `done` is called when everything queued before is durable.
    pub fn sync(&self, done: Done) {
        let Some((mut state, done)) = self.admit(done) else { return };
        state.queue.push(Command::Sync { done });
        self.wake(state, true);
    }

    /// The entries of `range` that exist, in order, from its start on: as many as fit into `bytes_max`, at least one.
    /// Blocks for the disk where they aren't in memory.
    pub fn read(&self, group: GroupId, range: Range<u64>, bytes_max: usize) -> Result<Vec<LogEntry>, StorageError> {
        enum Found {
            Here(LogEntry),
            There { index: u64, term: u64, payload_bytes: u32, segment: u32, offset: u32 },
        }
        let mut found = Vec::new();
        let mut segments: BTreeMap<u32, Arc<Segment>> = BTreeMap::new();
        {
            let state = self.shared.state.lock();
            let Some(log) = state.groups.get(&group) else { return Ok(Vec::new()) };
            let mut bytes = 0usize;
            for index in range.start.max(log.first)..range.end.min(log.end()) {
                let Some(slot) = log.slot(index) else { break };
                bytes = bytes.saturating_add(slot.payload_bytes as usize);
                if bytes > bytes_max && !found.is_empty() {
                    break;
                }
                let (term, payload_bytes) = (slot.term, slot.payload_bytes);
                if let Some(payload) = log.cached(index) {
                    found.push(Found::Here(LogEntry { index, term, payload: payload.clone() }));
                    continue;
                }
                let Place::At { segment, offset } = slot.place else {
                    return Err(StorageError::invalid(format!("{group}: queued entry {index} isn't in memory")));
                };
                if let Some(state) = state.segments.get(&segment) {
                    segments.entry(segment).or_insert_with(|| state.segment.clone());
                }
                found.push(Found::There { index, term, payload_bytes, segment, offset });
            }
        }
        let mut entries = Vec::with_capacity(found.len());
        for entry in found {
            entries.push(match entry {
                Found::Here(entry) => entry,
                Found::There { index, term, payload_bytes, segment, offset } => {
                    let segment = segments.get(&segment).ok_or_else(|| {
                        StorageError::corrupt(format!("segment {segment}"), format!("{group}: {index} is lost"))
                    })?;
                    let payload = segment.read_entry(offset, payload_bytes, group.0, index, term)?;
                    LogEntry { index, term, payload }
                }
            });
        }
        Ok(entries)
    }

    pub fn bounds(&self, group: GroupId) -> LogBounds {
        self.shared.state.lock().groups.get(&group).map_or(LogBounds::default(), |group| group.bounds())
    }

    pub fn meta(&self, group: GroupId, key: u8) -> Option<Bytes> {
        Some(self.shared.state.lock().groups.get(&group)?.metas.get(&key)?.value.clone())
    }

    /// Groups that have entries or records.
    pub fn groups(&self) -> Vec<GroupId> {
        let mut groups: Vec<_> = self.shared.state.lock().groups.keys().copied().collect();
        groups.sort_unstable();
        groups
    }

    /// Why the log takes nothing more, if it has stopped.
    pub fn failure(&self) -> Option<StorageError> {
        self.shared.state.lock().failed.clone()
    }

    pub fn stats(&self) -> LogStats {
        let counters = &self.shared.counters;
        let state = self.shared.state.lock();
        LogStats {
            frames: counters.frames.load(Ordering::Relaxed),
            records: counters.records.load(Ordering::Relaxed),
            written_bytes: counters.written_bytes.load(Ordering::Relaxed),
            syncs: counters.syncs.load(Ordering::Relaxed),
            sync_ns: counters.sync_ns.load(Ordering::Relaxed),
            segments: state.segments.len(),
            live_bytes: state.segments.values().map(|segment| segment.live_bytes).sum(),
            cached_bytes: state.cache.bytes,
        }
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        self.shared.state.lock().stopping = true;
        self.shared.work.notify_all();
        if let Some(writer) = self.writer.lock().take() {
            // The last handle may go inside a callback, on the writer's own thread: it ends after that.
            if writer.thread().id() != std::thread::current().id() && writer.join().is_err() {
                tracing::error!("the log's writer panicked");
            }
        }
    }
}
