//! Brings tables from CREATING to ACTIVE and from DELETING to nothing. Runs on every control node; the one that leads
//! the control store acts, and transactions make a second one harmless.

use breakwater_consensus::Group;
use breakwater_dynamodb::node::{Context, Front, stats_key};
use breakwater_dynamodb::tables::{self, TableRecord, TableStatus};
use breakwater_meta::records::leader_key;
use breakwater_meta::{Compare, Entry, Op, Txn};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const EVERY: Duration = Duration::from_secs(2);

pub async fn reconcile(meta_group: Arc<Group>, front: Front) {
    let context = front.context();
    let mut tables_changed = context.tables.changed();
    let mut leaders_changed = context.leaders_changed();
    loop {
        if meta_group.is_leader() {
            for entry in context.tables.scan_prefix(tables::ALL) {
                if let Ok(table) = TableRecord::from_stored(&entry.value)
                    && let Err(e) = advance(&context, &entry, table).await
                {
                    tracing::warn!(error = e, "a table stays as it is for now");
                }
            }
        }
        tokio::select! {
            _ = tables_changed.changed() => {}
            _ = leaders_changed.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn advance(context: &Context, entry: &Entry, table: TableRecord) -> Result<(), String> {
    let unchanged = Compare::ModRevision(entry.key.to_vec(), entry.mod_revision);
    let txn = match table.status {
        TableStatus::Active => return Ok(()),
        TableStatus::Creating => {
            if !table.partitions.iter().all(|p| context.has_leader(p.group)) {
                return Ok(());
            }
            let active = TableRecord { status: TableStatus::Active, ..table };
            let put = Op::put(entry.key.to_vec(), active.to_stored()?);
            Txn { compares: vec![unchanged], success: vec![put], failure: vec![] }
        }
        TableStatus::Deleting => {
            // Replicas go when they see the record gone; group numbers are never used again.
            let mut success = vec![Op::Delete { key: entry.key.to_vec() }];
            for partition in &table.partitions {
                success.push(Op::Delete { key: leader_key(partition.group) });
                success.push(Op::Delete { key: stats_key(partition.group) });
            }
            Txn { compares: vec![unchanged], success, failure: vec![] }
        }
    };
    let deadline = Instant::now() + Duration::from_secs(2);
    context.meta.txn(txn, deadline).await.map(|_| ()).map_err(|e| e.to_string())
}
