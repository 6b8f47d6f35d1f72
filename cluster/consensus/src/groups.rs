//! All groups of a process.

use crate::group::Group;
use crate::keys::group_range;
use crate::log::{GroupLog, io_error};
use crate::machine::{Machine, State, StateMachine};
use crate::network::{Addressed, Network, SnapshotHeader, decode, encode};
use crate::snapshot::{Snapshot, Staged};
use crate::types::{Member, Raft};
use breakwater_storage::{Direction, Engine, KeyRange, LogStore, StorageError};
use breakwater_transport::{Handler, Inbound, Kind, Refusal, Transport, Upload, UploadHandler};
use breakwater_types::{GroupId, NodeKind, NodeName, RaftNodeId, stable_hash};
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use openraft::SnapshotPolicy;
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Between two chunks of a snapshot that is being received.
const CHUNK_WAIT: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
pub struct Settings {
    pub heartbeat_ms: u64,
    /// A follower stands for election so long after the lease that it granted has ended, or up to the maximum.
    pub election_ms_min: u64,
    /// Also the length of the leader's lease, during which votes are refused.
    pub election_ms_max: u64,
    /// Entries between two snapshots, that is, between two syncs of the state after which old log may go.
    pub snapshot_entries: u64,
    /// Entries kept for followers that lag.
    pub kept_entries: u64,
    pub rest_after_ms: u64,
    pub sign_of_life_ms: u64,
    pub silence_ms_max: u64,
}

/// So many times fewer entries are kept of logs whose entries are large.
const HEAVY: u64 = 20;

impl Default for Settings {
    fn default() -> Self {
        Settings {
            heartbeat_ms: 100,
            election_ms_min: 200,
            election_ms_max: 500,
            snapshot_entries: 20_000,
            kept_entries: 10_000,
            rest_after_ms: 10_000,
            sign_of_life_ms: 250,
            silence_ms_max: 700,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("group {0}: {1}")]
    Storage(GroupId, io::Error),
    #[error("group {0}: {1}")]
    Raft(GroupId, String),
}

/// A member's id: a node that lost its disk has another incarnation, so another id.
pub fn raft_id_of(name: &NodeName, incarnation: u32) -> RaftNodeId {
    stable_hash(&[name.as_str().as_bytes(), &[0], &incarnation.to_be_bytes()].concat())
}

pub struct Groups {
    me: RaftNodeId,
    pub(crate) transport: Arc<Transport>,
    pub(crate) log: Arc<LogStore>,
    store: Arc<dyn Engine>,
    pub(crate) settings: Settings,
    groups: RwLock<HashMap<GroupId, Arc<Group>>>,
    pub(crate) proposals: Arc<AtomicU64>,
}

impl Groups {
    /// `peers` are the kinds of node that may be members of these groups.
    pub fn open(
        me: RaftNodeId,
        transport: Arc<Transport>,
        log: Arc<LogStore>,
        store: Arc<dyn Engine>,
        peers: &[NodeKind],
        settings: Settings,
    ) -> Arc<Self> {
        let groups = Arc::new(Groups {
            me,
            transport: transport.clone(),
            log,
            store,
            settings,
            groups: RwLock::default(),
            proposals: Arc::default(),
        });
        transport.register(Kind::Raft, peers, Arc::new(Messages(groups.clone())));
        transport.register_upload(Kind::Snapshot, peers, Arc::new(Messages(groups.clone())));
        tokio::spawn(groups.clone().watch_rest());
        groups
    }

    pub fn me(&self) -> RaftNodeId {
        self.me
    }

    fn is_me(&self, to: RaftNodeId) -> Result<(), (Refusal, String)> {
        if to == self.me {
            return Ok(());
        }
        Err((Refusal::Unhandled, format!("for member {to}: this is {}, with another disk", self.me)))
    }

    pub fn store(&self) -> &Arc<dyn Engine> {
        &self.store
    }

    /// Groups of which something is stored here, whether they are started or not. Blocks for the disk.
    pub fn stored(&self) -> Result<BTreeSet<GroupId>, StorageError> {
        let mut found: BTreeSet<GroupId> = self.log.groups().into_iter().collect();
        // The number 0 is no group's: under it the node keeps things of its own.
        let mut next = GroupId(1);
        loop {
            let range = KeyRange { start: next.0.to_be_bytes().to_vec(), end: None };
            let Some(first) = self.store.scan(range, Direction::Forward)?.next() else { return Ok(found) };
            let (key, _) = first?;
            let Some(id) = key.first_chunk::<8>().map(|id| GroupId(u64::from_be_bytes(*id))) else {
                return Err(StorageError::Corrupt { place: "store".to_owned(), what: "a key of no group".to_owned() });
            };
            found.insert(id);
            match id.0.checked_add(1) {
                Some(after) => next = GroupId(after),
                None => return Ok(found),
            }
        }
    }

    pub fn all(&self) -> Vec<Arc<Group>> {
        self.groups.read().values().cloned().collect()
    }

    pub fn get(&self, id: GroupId) -> Option<Arc<Group>> {
        self.groups.read().get(&id).cloned()
    }

    /// Starts this process's replica. `found` are the founding members, where the group may not exist yet: all of
    /// them call with the same ones, and a member that has a log ignores them. A node that comes back without its
    /// disk isn't among them, having another id, and waits until it is added.
    pub async fn start(
        self: &Arc<Self>,
        id: GroupId,
        app: Arc<dyn StateMachine>,
        founders: BTreeMap<RaftNodeId, NodeName>,
    ) -> Result<Arc<Group>, StartError> {
        if let Some(group) = self.get(id) {
            return Ok(group);
        }
        let state = State::open(id, self.store.clone(), app).map_err(|e| StartError::Storage(id, e))?;
        let (snapshot_entries, kept_entries) = match state.app.log_is_heavy() {
            true => (self.settings.snapshot_entries / HEAVY, self.settings.kept_entries / HEAVY),
            false => (self.settings.snapshot_entries, self.settings.kept_entries),
        };
        let config = openraft::Config {
            cluster_name: id.to_string(),
            heartbeat_interval: self.settings.heartbeat_ms,
            election_timeout_min: self.settings.election_ms_min,
            election_timeout_max: self.settings.election_ms_max,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(snapshot_entries),
            max_in_snapshot_log_to_keep: kept_entries,
            // Below this lag entries are sent, above it a snapshot.
            replication_lag_threshold: snapshot_entries + kept_entries,
            purge_batch_size: 1_000,
            max_payload_entries: 1_000,
            enable_pre_vote: Some(true),
            // A restarted leader might answer from a state that lags behind what it acknowledged.
            enable_leader_restore: Some(false),
            api_channel_size: Some(1_024),
            notification_channel_size: Some(1_024),
            state_machine_channel_size: Some(256),
            ..openraft::Config::default()
        };
        let config = Arc::new(config.validate().map_err(|e| StartError::Raft(id, e.to_string()))?);
        let bounds = self.log.bounds(id);
        // After a snapshot a log may be empty.
        let had_log = bounds.last.is_some() || bounds.purged > 0;
        let raft = Raft::new(
            self.me,
            config,
            Network { group: id, transport: self.transport.clone() },
            GroupLog::new(id, self.log.clone()),
            Machine { state: state.clone() },
        )
        .await
        .map_err(|e| StartError::Raft(id, e.to_string()))?;
        if founders.contains_key(&self.me) {
            let members: BTreeMap<u64, Member> = founders.into_iter().map(|(id, name)| (id, Member { name })).collect();
            if !raft.is_initialized().await.map_err(|e| StartError::Raft(id, e.to_string()))?
                && let Err(e) = raft.initialize(members).await
            {
                // Between the question and the answer a leader may have come by: then it is initialised.
                tracing::debug!(group = %id, error = %e, "not initialised here");
            }
        }
        let group = Arc::new(Group {
            id,
            metrics: raft.metrics(),
            lease: Duration::from_millis(self.settings.election_ms_max * 9 / 10),
            handed_over: AtomicU64::new(0),
            raft,
            state,
            transport: self.transport.clone(),
            resting: AtomicBool::new(false),
            touched_ms: AtomicU64::new(0),
            born: Instant::now(),
            read_wait: Duration::from_millis(self.settings.election_ms_max),
            staged: AtomicU64::new(0),
            uploading: Arc::default(),
            rests_under: parking_lot::Mutex::new(None),
            had_log,
            proposals: self.proposals.clone(),
        });
        if had_log {
            // Nor does a replica that may have granted a lease stand for election while that may be alive.
            group.raft.runtime_config().elect(false);
            let (starting, wait) = (Arc::downgrade(&group), group.read_wait);
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                if let Some(group) = starting.upgrade() {
                    group.raft.runtime_config().elect(true);
                }
            });
        }
        self.groups.write().insert(id, group.clone());
        Ok(group)
    }

    /// Stops a replica, keeping what it stored.
    pub async fn stop(&self, id: GroupId) {
        let group = self.groups.write().remove(&id);
        if let Some(group) = group
            && let Err(e) = group.raft.shutdown().await
        {
            tracing::warn!(group = %id, error = %e, "a replica didn't stop cleanly");
        }
    }

    /// Stops a replica and removes everything it stored, durably. Not to be started again under this id.
    pub async fn remove(&self, id: GroupId) -> Result<(), StartError> {
        let _one = match self.get(id) {
            Some(group) => Some(group.uploading.clone().lock_owned().await),
            None => None,
        };
        self.stop(id).await;
        let (tx, rx) = tokio::sync::oneshot::channel();
        self.log.remove_group(
            id,
            Box::new(move |result| {
                let _ = tx.send(result);
            }),
        );
        let removed = rx.await.map_err(|_| StartError::Storage(id, io::Error::other("the log writer has stopped")))?;
        removed.map_err(|e| StartError::Storage(id, io_error(e)))?;
        let store = self.store.clone();
        let delete = move || {
            store.delete_range(group_range(id))?;
            store.sync()
        };
        tokio::task::spawn_blocking(delete)
            .await
            .map_err(|e| StartError::Storage(id, io::Error::other(e)))?
            .map_err(|e| StartError::Storage(id, io_error(e)))
    }

    /// Hands on all leadership, so that stopping this process is felt by nobody. Bounded by `deadline`.
    pub async fn hand_over(&self, deadline: Instant) {
        let me = self.transport.name().clone();
        let moves = self.all().into_iter().filter(|g| g.is_leader()).map(|group| {
            let me = me.clone();
            async move {
                for member in group.members().into_iter().filter(|m| *m != me) {
                    if group.transfer_leader(&member).await.is_ok() {
                        let seen = group.leader();
                        let wait = Duration::from_millis(300);
                        if tokio::time::timeout(wait, group.leader_changed(&seen)).await.is_ok() && !group.is_leader() {
                            return;
                        }
                    }
                }
            }
        });
        let _ = tokio::time::timeout_at(deadline, futures::future::join_all(moves)).await;
    }

    /// Stops all replicas.
    pub async fn shutdown(&self) {
        for group in self.all() {
            self.stop(group.id).await;
        }
    }
}

struct Messages(Arc<Groups>);

impl Handler for Messages {
    fn handle(self: Arc<Self>, call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async move {
            let id = GroupId(call.group);
            let group = self.0.get(id).ok_or_else(|| (Refusal::Unhandled, format!("no replica of {id} here")))?;
            let Addressed { to, request } = decode(&call.payload).map_err(|e| (Refusal::Malformed, e))?;
            self.0.is_me(to)?;
            group.answer(request).await.map_err(|e| (Refusal::Failed, e))
        })
    }
}

impl UploadHandler for Messages {
    fn upload(self: Arc<Self>, mut upload: Upload) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async move {
            let id = GroupId(upload.group);
            let failed = |e: io::Error| (Refusal::Failed, e.to_string());
            let group = self.0.get(id).ok_or_else(|| (Refusal::Unhandled, format!("no replica of {id} here")))?;
            let header: SnapshotHeader = decode(&upload.header).map_err(|e| (Refusal::Malformed, e))?;
            self.0.is_me(header.to)?;
            let Ok(one) = group.uploading.clone().try_lock_owned() else {
                return Err((Refusal::Overloaded, "a snapshot is being received".to_owned()));
            };
            let generation = group.state.next_generation(group.staged.load(Ordering::SeqCst) as u32);
            group.staged.store(u64::from(generation), Ordering::SeqCst);
            let staged = Staged::new(id, generation, self.0.store.clone());
            loop {
                // A sender whose machine has died says nothing, not even that; others wait for this place.
                let next = tokio::time::timeout(CHUNK_WAIT, upload.data.next()).await;
                let next = next.map_err(|_| (Refusal::Failed, "the sender of a snapshot fell silent".to_owned()))?;
                let Some(chunk) = next else { break };
                let chunk = chunk.map_err(|e| (Refusal::Failed, e))?;
                staged.write(&chunk).map_err(failed)?;
            }
            staged.sync().await.map_err(failed)?;
            tracing::info!(group = %id, from = %upload.from.name, generation, "snapshot received");
            let snapshot = openraft::storage::Snapshot { meta: header.meta, snapshot: Snapshot::Received(staged) };
            // Goes on, and keeps others out, also when the sender gives up waiting.
            let installing = tokio::spawn(async move {
                let installed = group.raft.install_full_snapshot(header.vote, snapshot).await;
                drop(one);
                installed.map_err(|e| (Refusal::Failed, e.to_string()))
            });
            let answer = installing.await.map_err(|e| (Refusal::Failed, e.to_string()))??;
            encode(&answer).map_err(|e| (Refusal::Failed, e))
        })
    }
}
