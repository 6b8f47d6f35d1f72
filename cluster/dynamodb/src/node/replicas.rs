//! All replicas of a data node: started and removed as the tables say, and called by routers.

use super::context::{PartitionStats, stats_key};
use super::replica::Replica;
use crate::partition::{Machine, Partition};
use crate::rpc::{self, PartitionAnswer, PartitionCall, PartitionError};
use crate::tables::{self, PartitionRecord, TableRecord, TableStatus};
use breakwater_consensus::{Group, Groups};
use breakwater_meta::records::{LeaderRecord, leader_key, to_stored};
use breakwater_meta::{MetaClient, Mirror, Op, Txn};
use breakwater_transport::{Handler, Inbound, Kind, Refusal, Transport};
use breakwater_types::{GroupId, NodeKind, NodeName, SharedClock};
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

pub struct Replicas {
    me: NodeName,
    groups: Arc<Groups>,
    meta: MetaClient,
    clock: SharedClock,
    replicas: RwLock<HashMap<GroupId, Arc<Replica>>>,
}

/// The groups of a node as `/status` shows them.
pub fn status_of(groups: &Groups, what: impl Fn(GroupId) -> String) -> Value {
    let mut all: Vec<_> = groups.all().into_iter().map(|g| g.status()).collect();
    all.sort_by_key(|s| s.group);
    let groups: Vec<Value> = all
        .into_iter()
        .map(|s| {
            json!({"group": s.group.0, "what": what(s.group), "role": s.role, "leader": s.leader, "term": s.term,
                   "applied": s.applied, "log_last": s.last_log, "stopped": s.stopped})
        })
        .collect();
    json!({ "groups": groups })
}

impl Replicas {
    /// Follows the tables of the control store from now on.
    pub fn start(
        groups: Arc<Groups>,
        transport: &Transport,
        meta: MetaClient,
        mirror: Arc<Mirror>,
        clock: SharedClock,
    ) -> Arc<Self> {
        let replicas =
            Arc::new(Replicas { me: transport.name().clone(), groups, meta, clock, replicas: RwLock::default() });
        transport.register(Kind::Item, &[NodeKind::Control, NodeKind::Dynamo], Arc::new(Calls(replicas.clone())));
        tokio::spawn(replicas.clone().follow(mirror));
        replicas
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

    async fn follow(self: Arc<Self>, mirror: Arc<Mirror>) {
        let mut changed = mirror.changed();
        loop {
            // Before the first answer of the control store nothing is known: nothing may be removed then.
            if mirror.filled(Instant::now() + Duration::from_secs(3_600)).await {
                changed.mark_unchanged();
                self.reconcile(&mirror).await;
            }
            tokio::select! {
                more = changed.changed() => if more.is_err() { return },
                // Where something failed, it is tried again.
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
            }
        }
    }

    async fn reconcile(self: &Arc<Self>, mirror: &Mirror) {
        let mut wanted = HashMap::new();
        for entry in mirror.scan_prefix(tables::ALL) {
            if !is_table_key(&entry.key) {
                continue;
            }
            match TableRecord::from_stored(&entry.value) {
                Ok(table) if table.status != TableStatus::Deleting => {
                    for (ordinal, partition) in table.partitions.iter().enumerate() {
                        if partition.replicas.iter().any(|r| r.node == self.me) {
                            wanted.insert(partition.group, (table.clone(), ordinal));
                        }
                    }
                }
                Ok(_) => {}
                Err(e) => {
                    // Written by a newer version: what it says isn't known, so nothing is removed.
                    tracing::error!(error = e, "a table's record can't be read");
                    return;
                }
            }
        }
        let known: Vec<GroupId> = self.replicas.read().keys().copied().collect();
        for id in known.into_iter().filter(|id| !wanted.contains_key(id)) {
            tracing::info!(group = %id, "replica is removed with its table");
            self.replicas.write().remove(&id);
            if let Err(e) = self.groups.remove(id).await {
                tracing::error!(group = %id, error = %e, "a replica could not be removed");
            }
        }
        for (id, (table, ordinal)) in wanted {
            if self.replicas.read().contains_key(&id) {
                continue;
            }
            if let Err(e) = self.open(&table, ordinal).await {
                tracing::error!(group = %id, error = %e, "a replica could not be started");
            }
        }
    }

    async fn open(self: &Arc<Self>, table: &TableRecord, ordinal: usize) -> Result<(), String> {
        let (Some(descriptor), Some(record)) = (table.descriptor(ordinal), table.partitions.get(ordinal)) else {
            return Err("no such partition".to_owned());
        };
        let machine = Arc::new(Machine::new(self.groups.store().clone(), self.clock.clone()));
        let founders: BTreeMap<u64, NodeName> = record.replicas.iter().map(|r| (r.raft_id, r.node.clone())).collect();
        let group = self.groups.start(record.group, machine.clone(), founders).await.map_err(|e| e.to_string())?;
        let partition = Partition::new(descriptor, machine, Replica::settings());
        let replica = Replica::new(partition, group.clone(), self.clock.clone());
        tokio::spawn(report_stats(Arc::downgrade(&replica), self.meta.clone()));
        self.replicas.write().insert(record.group, replica);
        tokio::spawn(report_leader(Arc::downgrade(&group), self.me.clone(), self.meta.clone()));
        tokio::spawn(prefer_leader(Arc::downgrade(&group), self.me.clone(), record.clone()));
        Ok(())
    }
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
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
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
