//! Resting: groups that nobody uses don't tick.
//!
//! A leader whose group was idle for [`Settings::rest_after_ms`] stops ticking and asks its followers to; if one of
//! them doesn't agree, it goes on. A resting group has no lease of its own: the node does. Every node asks its peers
//! for a sign of life, and when one falls silent, the groups that it leads wake and elect. Entries, votes and
//! requests wake a group too; heartbeats don't.

use crate::groups::Groups;
use breakwater_transport::Kind;
use breakwater_types::NodeName;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

impl Groups {
    /// Runs until the groups are dropped.
    pub(crate) async fn watch_rest(self: Arc<Self>) {
        let this = Arc::downgrade(&self);
        let every = Duration::from_millis(self.settings.sign_of_life_ms);
        drop(self);
        let mut silent: HashMap<NodeName, bool> = HashMap::new();
        loop {
            tokio::time::sleep(every).await;
            let Some(groups) = this.upgrade() else { return };
            groups.rest_idle();
            groups.watch_peers(&mut silent);
        }
    }

    fn rest_idle(self: &Arc<Self>) {
        let after = Duration::from_millis(self.settings.rest_after_ms);
        for group in self.all() {
            let resting = group.resting.load(std::sync::atomic::Ordering::Relaxed);
            if !resting && group.idle() > after && group.is_leader() {
                tokio::spawn(async move { group.try_rest().await });
            }
        }
    }

    fn watch_peers(self: &Arc<Self>, silent: &mut HashMap<NodeName, bool>) {
        let all = self.all();
        let mut leaders: HashSet<NodeName> = HashSet::new();
        for group in &all {
            if let Some(leader) = &*group.rests_under.lock()
                && leader != self.transport.name()
                && !leaders.contains(leader)
            {
                leaders.insert(leader.clone());
            }
        }
        silent.retain(|peer, _| leaders.contains(peer));
        let limit = Duration::from_millis(self.settings.silence_ms_max);
        for peer in leaders {
            let quiet = self.transport.heard(&peer).borrow().is_none_or(|at| at.elapsed() > limit);
            // One silent round may be our own pause: the second counts.
            let twice = silent.insert(peer.clone(), quiet).unwrap_or(false) && quiet;
            if twice {
                for group in all.iter().filter(|g| g.rests_under.lock().as_ref() == Some(&peer)) {
                    tracing::info!(group = %group.id, leader = %peer, "wakes, its leader's node is silent");
                    group.wake();
                }
            }
            let transport = self.transport.clone();
            tokio::spawn(async move {
                // What counts is that it was heard, which the link notes.
                let _ = transport.call(&peer, Kind::Ping, 0, Bytes::new(), Instant::now() + limit).await;
            });
        }
    }
}
