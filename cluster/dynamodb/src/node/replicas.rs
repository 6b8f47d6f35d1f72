//! All replicas of a data node: started and removed as the tables say, and called by routers.

use super::context::{PartitionStats, stats_key};
use super::repair;
use super::replica::Replica;
use crate::partition::{Machine, Partition};
use crate::rpc::{self, PartitionAnswer, PartitionCall, PartitionError};
use crate::tables::{self, PartitionRecord, TableRecord, TableStatus};
use breakwater_consensus::{Group, Groups, MemberStatus};
use breakwater_meta::records::{LeaderRecord, leader_key, to_stored};
use breakwater_meta::{MetaClient, Mirror, Op, Txn};
use breakwater_transport::{Handler, Inbound, Kind, Refusal, Transport};
use breakwater_types::{Formats, GroupId, NodeKind, NodeName, SharedClock};
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

pub struct Replicas {
    me: NodeName,
    groups: Arc<Groups>,
    meta: MetaClient,
    clock: SharedClock,
    formats: Arc<Formats>,
    replicas: RwLock<HashMap<GroupId, Arc<Replica>>>,
}

/// The groups of a node as `/status` shows them.
pub fn status_of(groups: &Groups, what: impl Fn(GroupId) -> String) -> Value {
    let mut all: Vec<_> = groups.all().into_iter().map(|g| g.status()).collect();
    all.sort_by_key(|s| s.group);
    let member =
        |m: &MemberStatus| json!({"node": m.node, "raft_id": m.raft_id, "voter": m.voter, "healthy": m.healthy});
    let groups: Vec<Value> = all
        .into_iter()
        .map(|s| {
            json!({"group": s.group.0, "what": what(s.group), "role": s.role, "leader": s.leader, "term": s.term,
                   "applied": s.applied, "log_last": s.last_log, "stopped": s.stopped,
                   "members": s.members.iter().map(member).collect::<Vec<_>>()})
        })
        .collect();
    json!({ "groups": groups })
}

impl Replicas {
    /// Follows the tables and nodes of the control store from now on.
    pub fn start(
        groups: Arc<Groups>,
        transport: &Transport,
        meta: MetaClient,
        tables: Arc<Mirror>,
        nodes: Arc<Mirror>,
        clock: SharedClock,
        formats: Arc<Formats>,
    ) -> Arc<Self> {
        let me = transport.name().clone();
        let replicas =
            Arc::new(Replicas { me, groups, meta: meta.clone(), clock, formats, replicas: RwLock::default() });
        transport.register(Kind::Item, &[NodeKind::Control, NodeKind::Dynamo], Arc::new(Calls(replicas.clone())));
        tokio::spawn(repair::follow(Arc::downgrade(&replicas), tables.clone(), nodes, meta));
        tokio::spawn(replicas.clone().follow(tables));
        replicas
    }

    pub(super) fn me(&self) -> &NodeName {
        &self.me
    }

    pub(super) fn group(&self, id: GroupId) -> Option<Arc<Group>> {
        self.replicas.read().get(&id).map(|replica| replica.group.clone())
    }

    pub fn status(&self) -> Value {
        let replicas = self.replicas.read();
        status_of(&self.groups, |id| match replicas.get(&id) {
            Some(replica) => {
                let descriptor = replica.partition.descriptor();
                format!("table {} partition {}", descriptor.table_name, descriptor.ordinal)
            }
            None => format!("group {}", id.0),
        })
    }

    /// Answers a call for a replica of this node.
    pub async fn answer(&self, group: GroupId, call: &PartitionCall, deadline: Instant) -> PartitionAnswer {
        let replica = self.replicas.read().get(&group).cloned();
        match replica {
            None => Err(PartitionError::NotLeader { leader: None, term: 0 }),
            Some(replica) => replica.answer(call, deadline).await,
        }
    }

    async fn follow(self: Arc<Self>, tables: Arc<Mirror>) {
        let mut changed = tables.changed();
        // What this process didn't start may lie on the disk from before: looked for once.
        let mut swept = false;
        loop {
            if tables.filled(Instant::now() + Duration::from_secs(3_600)).await {
                changed.mark_unchanged();
                match wanted(&tables, &self.me) {
                    Ok(wanted) => {
                        self.open_wanted(&wanted).await;
                        let mut stale: BTreeSet<GroupId> =
                            self.groups.all().iter().map(|g| g.id()).filter(|id| !wanted.contains_key(id)).collect();
                        for id in &stale {
                            // It serves nobody any more; what it stored stays until the control store has confirmed.
                            self.replicas.write().remove(id);
                        }
                        if !swept {
                            match self.stored().await {
                                Ok(stored) => stale.extend(stored.into_iter().filter(|id| !wanted.contains_key(id))),
                                Err(e) => tracing::error!(error = e, "the store can't be searched"),
                            }
                        }
                        swept |= self.remove_stale(stale, &tables).await;
                    }
                    // Written by a newer version: what it says isn't known, so nothing is started or removed.
                    Err(e) => tracing::error!(error = e, "a table's record can't be read"),
                }
            }
            tokio::select! {
                more = changed.changed() => if more.is_err() { return },
                // Where something failed, it is tried again.
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
            }
        }
    }

    async fn open_wanted(self: &Arc<Self>, wanted: &Wanted) {
        for (id, (table, ordinal)) in wanted {
            if self.replicas.read().contains_key(id) {
                continue;
            }
            if let Err(e) = self.open(table, *ordinal).await {
                tracing::error!(group = %id, error = e, "a replica could not be started");
            }
        }
    }

    async fn stored(&self) -> Result<BTreeSet<GroupId>, String> {
        let groups = self.groups.clone();
        let found = tokio::task::spawn_blocking(move || groups.stored()).await.map_err(|e| e.to_string())?;
        let found = found.map_err(|e| e.to_string())?;
        Ok(found.into_iter().filter(|id| *id >= GroupId::FIRST_PARTITION).collect())
    }

    /// Removes what these groups stored here. A group's record is there before anything of it is, and its number is
    /// never used again: so a group that isn't recorded now, read linearizably, was deleted. A mirror alone may be
    /// old, and proves nothing. False where it could not be confirmed, or a removal failed.
    async fn remove_stale(&self, stale: BTreeSet<GroupId>, tables: &Mirror) -> bool {
        if stale.is_empty() {
            return true;
        }
        let revision = match self.meta.revision(Instant::now() + Duration::from_secs(2)).await {
            Ok(revision) => revision,
            Err(e) => {
                tracing::debug!(error = %e, "removing waits for the control store");
                return false;
            }
        };
        // A watch answers at least every ten seconds.
        let caught_up = tables.wait_for(revision, Instant::now() + Duration::from_secs(15)).await;
        let Ok(wanted) = wanted(tables, &self.me) else { return false };
        if !caught_up || !tables.is_fresh() {
            return false;
        }
        let mut all = true;
        for id in stale.into_iter().filter(|id| !wanted.contains_key(id)) {
            self.replicas.write().remove(&id);
            match self.groups.remove(id).await {
                Ok(()) => tracing::info!(group = %id, "replica is removed with its table"),
                Err(e) => {
                    tracing::error!(group = %id, error = %e, "a replica could not be removed");
                    all = false;
                }
            }
        }
        all
    }

    async fn open(self: &Arc<Self>, table: &TableRecord, ordinal: usize) -> Result<(), String> {
        let (Some(descriptor), Some(record)) = (table.descriptor(ordinal), table.partitions.get(ordinal)) else {
            return Err("no such partition".to_owned());
        };
        let machine = Arc::new(Machine::new(self.groups.store().clone(), self.clock.clone()));
        // Once it is active the group exists: a member without a log waits for its leader rather than found it again
        // with members that may be others by now.
        let founders: BTreeMap<u64, NodeName> = match table.status {
            TableStatus::Creating => record.replicas.iter().map(|r| (r.raft_id, r.node.clone())).collect(),
            TableStatus::Active | TableStatus::Deleting => BTreeMap::new(),
        };
        let group = self.groups.start(record.group, machine.clone(), founders).await.map_err(|e| e.to_string())?;
        let partition = Partition::new(descriptor, machine, Replica::settings(), self.formats.clone());
        let replica = Replica::new(partition, group.clone(), self.clock.clone());
        tokio::spawn(report_stats(Arc::downgrade(&replica), self.meta.clone()));
        self.replicas.write().insert(record.group, replica);
        tokio::spawn(report_leader(Arc::downgrade(&group), self.me.clone(), self.meta.clone()));
        tokio::spawn(prefer_leader(Arc::downgrade(&group), self.me.clone(), record.clone()));
        Ok(())
    }
}

/// The replicas that a node should have: the table and the partition's ordinal by group.
pub(super) type Wanted = HashMap<GroupId, (Arc<TableRecord>, usize)>;

/// An error where one record can't be read: then nothing is known of any group that isn't found.
pub(super) fn wanted(tables: &Mirror, me: &NodeName) -> Result<Wanted, String> {
    let mut wanted = HashMap::new();
    for entry in tables.scan_prefix(tables::ALL).iter().filter(|entry| is_table_key(&entry.key)) {
        let table = Arc::new(TableRecord::from_stored(&entry.value)?);
        if table.status == TableStatus::Deleting {
            continue;
        }
        for (ordinal, partition) in table.partitions.iter().enumerate() {
            if partition.replicas.iter().any(|r| r.node == *me) {
                wanted.insert(partition.group, (table.clone(), ordinal));
            }
        }
    }
    Ok(wanted)
}

fn is_table_key(key: &[u8]) -> bool {
    // aws/account/region/dynamodb/table/name
    let mut parts = key.splitn(6, |b| *b == b'/');
    parts.nth(3) == Some(b"dynamodb") && parts.next() == Some(b"table")
}

/// Tells the control store when this node leads a group, for routers and for people.
async fn report_leader(group: std::sync::Weak<Group>, me: NodeName, meta: MetaClient) {
    let mut told = None;
    loop {
        let Some(group) = group.upgrade() else { return };
        let hint = group.leader();
        if hint.leader.as_ref() == Some(&me) && told != Some(hint.term) {
            let record = LeaderRecord { group: group.id(), node: me.clone(), term: hint.term };
            if let Ok(value) = to_stored(&record) {
                let txn = Txn { success: vec![Op::put(leader_key(group.id()), value)], ..Txn::default() };
                match meta.txn(txn, Instant::now() + Duration::from_secs(2)).await {
                    Ok(_) => told = Some(hint.term),
                    Err(e) => tracing::debug!(error = %e, "who leads could not be told"),
                }
            }
            if told != Some(hint.term) {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        }
        let weak = Arc::downgrade(&group);
        tokio::select! {
            _ = group.leader_changed(&hint) => {}
            // A group that is removed must not be kept alive by this.
            () = tokio::time::sleep(Duration::from_secs(30)) => {}
        }
        drop(group);
        if weak.strong_count() == 0 {
            return;
        }
    }
}

const STATS_EVERY: Duration = Duration::from_secs(20);

/// Tells the control store how much a partition holds, while it changes and this node leads it.
async fn report_stats(replica: std::sync::Weak<Replica>, meta: MetaClient) {
    let mut told = None;
    loop {
        tokio::time::sleep(STATS_EVERY).await;
        let Some(replica) = replica.upgrade() else { return };
        let totals = replica.partition.machine().totals();
        let now: PartitionStats = (totals.items, totals.bytes);
        if !replica.group.is_leader() || told == Some(now) {
            continue;
        }
        let Ok(value) = to_stored(&now) else { continue };
        let txn = Txn { success: vec![Op::put(stats_key(replica.group.id()), value)], ..Txn::default() };
        if meta.txn(txn, Instant::now() + Duration::from_secs(2)).await.is_ok() {
            told = Some(now);
        }
    }
}

/// Gives leadership back to the preferred replica when that is there again, so that leaders stay spread over zones.
async fn prefer_leader(group: std::sync::Weak<Group>, me: NodeName, record: PartitionRecord) {
    let Some(preferred) = record.replicas.first().map(|r| r.node.clone()) else { return };
    if preferred == me {
        return;
    }
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let Some(group) = group.upgrade() else { return };
        if group.is_leader() && group.is_awake() {
            match group.transfer_leader(&preferred).await {
                Ok(()) => {
                    tracing::info!(group = %group.id(), to = %preferred, "leadership handed to the preferred replica")
                }
                Err(e) => tracing::debug!(group = %group.id(), error = e, "leadership stays"),
            }
        }
    }
}

struct Calls(Arc<Replicas>);

impl Handler for Calls {
    fn handle(self: Arc<Self>, call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async move {
            let request: PartitionCall = rpc::decode(&call.payload).map_err(|e| (Refusal::Malformed, e.to_string()))?;
            let answer = self.0.answer(GroupId(call.group), &request, call.deadline).await;
            rpc::encode(&answer).map_err(|e| (Refusal::Failed, e.to_string()))
        })
    }
}
