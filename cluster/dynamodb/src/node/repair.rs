//! Puts a node that lost its disk back into the groups of its partitions.
//!
//! Such a node comes back under its name with another Raft id, which its record in the control store tells. The leader
//! of each group that counts on the old id makes the new one a member in its place (see
//! [`breakwater_consensus::Group::settle`]) and then says so in the table's record.

use super::replicas::{Replicas, wanted};
use crate::tables::{PartitionRecord, TableRecord};
use breakwater_consensus::Group;
use breakwater_meta::records::{NODES, NodeRecord, from_stored};
use breakwater_meta::{Compare, MetaClient, Mirror, Op, Txn};
use breakwater_types::{GroupId, NodeName, RaftNodeId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Groups that a node repairs at the same time: each may send a snapshot.
const AT_ONCE: usize = 4;
/// Between two looks while a group isn't as it should be.
const SOON: Duration = Duration::from_secs(1);
/// Between two looks otherwise: it goes through all groups.
const EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(2);

struct Repairer {
    meta: MetaClient,
    tables: Arc<Mirror>,
    nodes: Arc<Mirror>,
    permits: Arc<Semaphore>,
    under_way: Mutex<HashSet<GroupId>>,
}

/// The ids that nodes have now.
fn ids(nodes: &Mirror) -> HashMap<NodeName, RaftNodeId> {
    let records = nodes.scan_prefix(NODES).into_iter().filter_map(|entry| from_stored::<NodeRecord>(&entry.value).ok());
    records.map(|record| (record.name, record.raft_id)).collect()
}

/// The partition as it should be recorded: where a node isn't known, what is recorded stays.
fn up_to_date(partition: &PartitionRecord, ids: &HashMap<NodeName, RaftNodeId>) -> PartitionRecord {
    let mut partition = partition.clone();
    for replica in &mut partition.replicas {
        if let Some(id) = ids.get(&replica.node) {
            replica.raft_id = *id;
        }
    }
    partition
}

/// Runs as long as the node does.
pub(super) async fn follow(replicas: Weak<Replicas>, tables: Arc<Mirror>, nodes: Arc<Mirror>, meta: MetaClient) {
    let (mut nodes_changed, mut tables_changed) = (nodes.changed(), tables.changed());
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let repairer = Arc::new(Repairer { meta, tables, nodes, permits, under_way: Mutex::default() });
    loop {
        let Some(replicas) = replicas.upgrade() else { return };
        let pause = if repairer.look(&replicas) { EVERY } else { SOON };
        drop(replicas);
        tokio::select! {
            more = nodes_changed.changed() => if more.is_err() { return },
            more = tables_changed.changed() => if more.is_err() { return },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Repairer {
    /// Whether all groups are as they should be.
    fn look(self: &Arc<Self>, replicas: &Replicas) -> bool {
        let Ok(here) = wanted(&self.tables, replicas.me()) else { return false };
        let ids = ids(&self.nodes);
        let mut settled = true;
        for (id, (table, ordinal)) in here {
            let (Some(record), Some(group)) = (table.partitions.get(ordinal), replicas.group(id)) else { continue };
            let target = up_to_date(record, &ids);
            let members: BTreeMap<_, _> = target.replicas.iter().map(|r| (r.raft_id, r.node.clone())).collect();
            // Every replica looks: a group that rests without a leader must wake, and elect one.
            let differs = group.differs(&members) || target != *record;
            settled &= !differs;
            if !group.is_leader() || !differs {
                continue;
            }
            let Ok(permit) = self.permits.clone().try_acquire_owned() else { return false };
            if !self.under_way.lock().insert(id) {
                continue;
            }
            let this = self.clone();
            tokio::spawn(async move {
                if let Err(why) = this.repair(&group, &table, &target, &members).await {
                    tracing::info!(group = %id, why, "members stay as they are for now");
                }
                this.under_way.lock().remove(&id);
                drop(permit);
            });
        }
        settled
    }

    async fn repair(
        &self,
        group: &Group,
        table: &TableRecord,
        target: &PartitionRecord,
        members: &BTreeMap<RaftNodeId, NodeName>,
    ) -> Result<(), String> {
        group.settle(members).await?;
        let key = crate::tables::key(&table.scope, &table.name);
        let entry = self.tables.get(&key).ok_or("the table is gone")?;
        let mut now = TableRecord::from_stored(&entry.value)?;
        let partition = now.partitions.iter_mut().find(|p| p.group == target.group).ok_or("the partition is gone")?;
        if partition.replicas == target.replicas {
            return Ok(());
        }
        partition.replicas.clone_from(&target.replicas);
        let txn = Txn {
            compares: vec![Compare::ModRevision(key.clone(), entry.mod_revision)],
            success: vec![Op::put(key, now.to_stored()?)],
            failure: vec![],
        };
        let outcome = self.meta.txn(txn, Instant::now() + PATIENCE).await.map_err(|e| e.to_string())?;
        if outcome.succeeded {
            // The next look must not see what was replaced.
            self.tables.wait_for(outcome.revision, Instant::now() + PATIENCE).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Replica;

    #[test]
    fn only_ids_of_known_nodes_change() {
        let replica = |n: u64| Replica {
            node: format!("dynamo-node-{n}").parse().unwrap(),
            zone: "az-a".parse().unwrap(),
            raft_id: n,
        };
        let replicas = vec![replica(1), replica(2), replica(3)];
        let partition = PartitionRecord { group: GroupId(1_000), hash_start: 0, hash_end: 9, replicas };
        assert_eq!(up_to_date(&partition, &HashMap::new()), partition);
        let ids = HashMap::from([(replica(2).node, 22), (replica(3).node, 3), (replica(7).node, 7)]);
        let target = up_to_date(&partition, &ids);
        assert_eq!(target.replicas.iter().map(|r| r.raft_id).collect::<Vec<_>>(), [1, 22, 3]);
    }
}
