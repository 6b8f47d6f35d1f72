//! openraft's state machine on the process's store: batches, applied index, snapshots by generation.

use crate::keys::{KeyPrefix, POINTER_GENERATION, generation_range, group_range, pointer};
use crate::log::io_error;
use crate::snapshot::Snapshot;
use crate::types::{LogId, SnapshotMeta, StoredMembership, TypeConfig};
use breakwater_storage::{Batch, Engine, StorageError};
use breakwater_types::{GroupId, faults};
use bytes::Bytes;
use futures::{FutureExt, Stream, StreamExt};
use openraft::entry::EntryPayload;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;

/// Entries written to the store in one batch.
const BATCH_ENTRIES_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 4 << 20;
const FORMAT: u8 = 1;

/// Where in the log a command stands.
#[derive(Clone, Copy, Debug)]
pub struct Applying {
    pub index: u64,
    pub term: u64,
}

/// What a group does with its commands. Must be deterministic: every replica applies the same commands in the same
/// order, and some of them again after a crash, from a state that holds all before them and nothing else.
pub trait StateMachine: Send + Sync + 'static {
    /// Loads what it keeps in memory: at start, and after a snapshot replaced the state.
    fn open(&self, store: &dyn Engine, prefix: &KeyPrefix) -> Result<(), StorageError>;

    /// Puts a command's writes into the batch and returns its result. Commands of the same batch that came before
    /// are not in the store yet. An error means that the command can't be read: it stops this replica.
    fn apply(&self, at: Applying, command: &Bytes, prefix: &KeyPrefix, batch: &mut Batch) -> Result<Bytes, String>;

    /// The batch is in the store; called before any of its results is sent.
    fn applied(&self, last_index: u64);

    /// Whether entries are large, about a megabyte: then fewer of them are kept in the log.
    fn log_is_heavy(&self) -> bool {
        false
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct AppliedRecord {
    log_id: Option<LogId>,
    membership: StoredMembership,
}

fn encode_applied(record: &AppliedRecord) -> io::Result<Vec<u8>> {
    let mut out = vec![FORMAT];
    out.extend(postcard::to_allocvec(record).map_err(io::Error::other)?);
    Ok(out)
}

fn decode_applied(bytes: &[u8]) -> io::Result<AppliedRecord> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => {
            postcard::from_bytes(rest).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the applied record has an unknown format")),
    }
}

/// Shared with snapshot builders and with those who read the group's state.
pub(crate) struct State {
    pub(crate) group: GroupId,
    pub(crate) store: Arc<dyn Engine>,
    pub(crate) app: Arc<dyn StateMachine>,
    prefix: Mutex<KeyPrefix>,
    applied: Mutex<AppliedRecord>,
}

impl State {
    pub(crate) fn open(group: GroupId, store: Arc<dyn Engine>, app: Arc<dyn StateMachine>) -> io::Result<Arc<Self>> {
        let generation = match store.get(&pointer(group)).map_err(io_error)? {
            None => 0,
            Some(bytes) => match <[u8; 5]>::try_from(&bytes[..]) {
                Ok([FORMAT, a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
                _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "the generation pointer is damaged")),
            },
        };
        let prefix = KeyPrefix::new(group, generation);
        let applied = match store.get(&prefix.applied()).map_err(io_error)? {
            None => AppliedRecord::default(),
            Some(bytes) => decode_applied(&bytes)?,
        };
        app.open(&*store, &prefix).map_err(io_error)?;
        let state = Arc::new(State { group, store, app, prefix: Mutex::new(prefix), applied: Mutex::new(applied) });
        state.drop_other_generations()?;
        Ok(state)
    }

    pub(crate) fn prefix(&self) -> KeyPrefix {
        *self.prefix.lock()
    }

    /// Removes what an interrupted snapshot, or the state before one, left behind.
    fn drop_other_generations(&self) -> io::Result<()> {
        let generation = self.prefix().generation();
        let mut before = group_range(self.group);
        before.end = Some(generation_range(self.group, generation).start);
        let mut after = generation_range(self.group, POINTER_GENERATION);
        after.end = Some(after.start);
        after.start = generation_range(self.group, generation).end.unwrap_or_default();
        for range in [before, after] {
            self.store.delete_range(range).map_err(io_error)?;
        }
        Ok(())
    }

    /// A consistent view of the state, and what was applied in it.
    pub(crate) fn snapshot(&self) -> io::Result<(SnapshotMeta, Snapshot)> {
        // The prefix is read under the lock that an install holds while it moves the pointer.
        let prefix = self.prefix.lock();
        let view = self.store.snapshot().map_err(io_error)?;
        let applied = match view.get(&prefix.applied()).map_err(io_error)? {
            None => AppliedRecord::default(),
            Some(bytes) => decode_applied(&bytes)?,
        };
        let meta = SnapshotMeta { last_log_id: applied.log_id, last_membership: applied.membership };
        Ok((meta, Snapshot::Local { view: Arc::from(view), prefix: *prefix }))
    }

    /// A generation that nobody uses, for a snapshot that arrives.
    pub(crate) fn next_generation(&self, last: u32) -> u32 {
        let next = last.max(self.prefix().generation()) + 1;
        assert!(next < POINTER_GENERATION, "four thousand million snapshots");
        next
    }
}

pub(crate) struct Machine {
    pub(crate) state: Arc<State>,
}

impl Machine {
    fn write(&self, batch: &Batch, applied: AppliedRecord, index: u64) -> io::Result<()> {
        faults::point("machine.before_apply").map_err(io::Error::other)?;
        self.state.store.write(batch).map_err(io_error)?;
        *self.state.applied.lock() = applied;
        self.state.app.applied(index);
        Ok(())
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = Snapshot;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let applied = self.state.applied.lock().clone();
        Ok((applied.log_id, applied.membership))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + Send,
    {
        let mut next = entries.next().await;
        while let Some(first) = next.take() {
            let prefix = self.state.prefix();
            let mut batch = Batch::default();
            let mut replies = Vec::new();
            let mut applied = self.state.applied.lock().clone();
            let mut item = Some(first);
            let mut entries_taken = 0;
            while let Some(entry) = item.take() {
                entries_taken += 1;
                let (entry, responder) = entry?;
                let reply = match entry.payload {
                    EntryPayload::Blank => Bytes::new(),
                    EntryPayload::Normal(command) => {
                        if !command.traceparent.is_empty() {
                            breakwater_transport::event_in(&command.traceparent, "raft.apply", self.state.group.0);
                        }
                        let at = Applying { index: entry.log_id.index, term: entry.log_id.leader_id.term };
                        self.state.app.apply(at, &command.data, &prefix, &mut batch).map_err(|why| {
                            io::Error::new(
                                io::ErrorKind::InvalidData,
                                format!("command {} can't be applied: {why}", at.index),
                            )
                        })?
                    }
                    EntryPayload::Membership(membership) => {
                        applied.membership = StoredMembership::new(Some(entry.log_id), membership);
                        Bytes::new()
                    }
                };
                applied.log_id = Some(entry.log_id);
                if let Some(responder) = responder {
                    replies.push((responder, reply));
                }
                if entries_taken < BATCH_ENTRIES_MAX && batch.bytes() < BATCH_BYTES_MAX {
                    item = entries.next().now_or_never().flatten();
                }
            }
            let index = applied.log_id.map_or(0, |id| id.index);
            batch.put(prefix.applied(), encode_applied(&applied)?);
            self.write(&batch, applied, index)?;
            for (responder, reply) in replies {
                responder.send(reply);
            }
            next = entries.next().await;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { state: self.state.clone() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Snapshot) -> Result<(), io::Error> {
        let Snapshot::Received(staged) = snapshot else {
            return Err(io::Error::other("a local snapshot can't be installed"));
        };
        let applied = AppliedRecord { log_id: meta.last_log_id, membership: meta.last_membership.clone() };
        let prefix = KeyPrefix::new(self.state.group, staged.generation);
        let mut batch = Batch::default();
        batch.put(prefix.applied(), encode_applied(&applied)?);
        let mut value = vec![FORMAT];
        value.extend_from_slice(&staged.generation.to_be_bytes());
        batch.put(pointer(self.state.group), value);
        // From here on the pointer may name it: what isn't used after all, the next start removes.
        staged.keep();
        {
            let mut current = self.state.prefix.lock();
            // What was staged is durable already; the flip has to be before the log before it is purged.
            self.state.store.write(&batch).map_err(io_error)?;
            faults::point("machine.snapshot_flipped").map_err(io::Error::other)?;
            self.state.store.sync().map_err(io_error)?;
            *current = prefix;
            *self.state.applied.lock() = applied.clone();
        }
        self.state.app.open(&*self.state.store, &prefix).map_err(io_error)?;
        self.state.app.applied(applied.log_id.map_or(0, |id| id.index));
        self.state.drop_other_generations()
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<openraft::type_config::alias::SnapshotOf<TypeConfig, Snapshot>>, io::Error> {
        let (meta, snapshot) = self.state.snapshot()?;
        if meta.last_log_id.is_none() {
            return Ok(None);
        }
        Ok(Some(openraft::storage::Snapshot { meta, snapshot }))
    }
}

/// Building a snapshot is making the store durable: the state itself is the snapshot.
pub(crate) struct Builder {
    state: Arc<State>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Snapshot;

    async fn build_snapshot(
        &mut self,
    ) -> Result<openraft::type_config::alias::SnapshotOf<TypeConfig, Snapshot>, io::Error> {
        // The view is taken before the sync: all that it shows is durable afterwards.
        let (meta, snapshot) = self.state.snapshot()?;
        let store = self.state.store.clone();
        tokio::task::spawn_blocking(move || store.sync()).await.map_err(io::Error::other)?.map_err(io_error)?;
        Ok(openraft::storage::Snapshot { meta, snapshot })
    }
}
