//! Puts a control node that lost its disk back into the control store's group: it comes back under its name with
//! another Raft id, which its record tells, and takes the place of its former self.

use breakwater_consensus::Group;
use breakwater_meta::Mirror;
use breakwater_meta::records::{NodeRecord, from_stored, node_key};
use breakwater_types::{NodeName, RaftNodeId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);

/// The members of now, by the ids that they have now. Who is a member isn't decided here: only which self of it.
fn wanted(voters: BTreeMap<RaftNodeId, NodeName>, nodes: &Mirror) -> BTreeMap<RaftNodeId, NodeName> {
    let id_of = |name: &NodeName| {
        let entry = nodes.get(&node_key(name))?;
        from_stored::<NodeRecord>(&entry.value).ok().map(|record| record.raft_id)
    };
    // While a change is half done a name stands for two voters: both become one.
    voters.into_iter().map(|(id, name)| (id_of(&name).unwrap_or(id), name)).collect()
}

/// Runs on every control node; the one that leads acts.
pub async fn follow(group: Arc<Group>, nodes: Arc<Mirror>) {
    let mut changed = nodes.changed();
    loop {
        let wanted = wanted(group.voters(), &nodes);
        if group.differs(&wanted)
            && group.is_leader()
            && let Err(why) = group.settle(&wanted).await
        {
            tracing::info!(why, "the control store's members stay as they are for now");
        }
        tokio::select! {
            more = changed.changed() => if more.is_err() { return },
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
