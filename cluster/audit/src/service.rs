//! The group's side: takes events from all nodes, and from the control store's outbox.

use crate::lookup::RETENTION_MS;
use crate::machine::{AuditMachine, before_day, day};
use crate::{outbox, some_of};
use breakwater_aws::Event;
use breakwater_consensus::{Group, Groups, ProposeError, ReadError, StartError};
use breakwater_meta::records::{from_stored, to_stored};
use breakwater_meta::{MetaClient, Mirror, Op, Txn};
use breakwater_storage::KeyRange;
use breakwater_transport::{Handler, Inbound, Kind, Refusal, Transport};
use breakwater_types::{GroupId, NodeKind, NodeName, RaftNodeId, SharedClock};
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Messages that wait for a quorum at the same time.
const PROPOSALS_MAX: usize = 64;
const TXN: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(200);
const TIDY_EVERY: Duration = Duration::from_secs(600);

/// What a node that sent events is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Kept,
    NotLeader(Option<NodeName>),
    Busy(String),
}

pub struct AuditService {
    /// From when on every node of the region knows of it.
    group: OnceLock<Arc<Group>>,
    proposals: Semaphore,
}

impl AuditService {
    /// Answers nodes that send events; [`AuditService::start_group`] lets it keep them.
    pub fn start(transport: &Transport) -> Arc<Self> {
        let service = Arc::new(AuditService { group: OnceLock::new(), proposals: Semaphore::new(PROPOSALS_MAX) });
        transport.register(Kind::Audit, &[NodeKind::Control, NodeKind::Dynamo], service.clone());
        service
    }

    pub async fn start_group(
        &self,
        groups: &Arc<Groups>,
        founders: BTreeMap<RaftNodeId, NodeName>,
    ) -> Result<Arc<Group>, StartError> {
        let group = groups.start(GroupId::AUDIT, Arc::new(AuditMachine), founders).await?;
        Ok(self.group.get_or_init(|| group).clone())
    }

    /// None until every node of the region knows of events.
    pub fn group(&self) -> Option<&Arc<Group>> {
        self.group.get()
    }

    /// Kept by a quorum when it says so. May be asked again for the same events.
    pub(crate) async fn keep(&self, events: &[Event]) -> Reply {
        let Some(group) = self.group.get() else { return Reply::Busy("events aren't kept here yet".to_owned()) };
        let Ok(_permit) = self.proposals.try_acquire() else { return Reply::Busy("too many events wait".to_owned()) };
        let command = match to_stored(&events) {
            Ok(command) => command,
            Err(why) => return Reply::Busy(why),
        };
        let lead = match group.lead().await {
            Ok(lead) => lead,
            Err(ReadError::NotLeader(hint)) => return Reply::NotLeader(hint.leader),
            Err(ReadError::NotConfirmed(why) | ReadError::Stopped(why)) => return Reply::Busy(why),
        };
        match group.propose(lead, command.into()).await {
            Ok(_) => Reply::Kept,
            Err(ProposeError::NotLeader(hint)) => Reply::NotLeader(hint.leader),
            Err(ProposeError::Unknown(why) | ProposeError::Stopped(why)) => Reply::Busy(why),
        }
    }

    /// Moves what the outbox has into the group, wherever this node leads that; for ever.
    pub async fn empty_outbox(self: Arc<Self>, meta: MetaClient, mirror: Arc<Mirror>) {
        let mut changed = mirror.changed();
        loop {
            changed.mark_unchanged();
            let entries = mirror.scan_prefix(outbox::PREFIX);
            if entries.is_empty() {
                if changed.changed().await.is_err() {
                    return;
                }
                continue;
            }
            if !self.group().is_some_and(|group| group.is_leader()) {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let mut all = Vec::new();
            for entry in entries {
                match from_stored::<Event>(&entry.value) {
                    Ok(event) => all.push((entry.key.clone(), event)),
                    Err(e) => tracing::error!(error = e, "an audit event in the outbox can't be read"),
                }
            }
            let some = some_of(all.iter().map(|(_, event)| event));
            let moved = match self.keep(&some).await {
                Reply::Kept => {
                    let keys = all.iter().take(some.len()).map(|(key, _)| Op::Delete { key: key.to_vec() });
                    let txn = Txn { success: keys.collect(), ..Txn::default() };
                    meta.txn(txn, Instant::now() + TXN).await.map_err(|e| e.to_string())
                }
                reply => Err(format!("{reply:?}")),
            };
            match moved {
                Ok(outcome) if !some.is_empty() => {
                    mirror.wait_for(outcome.revision, Instant::now() + TXN).await;
                }
                Ok(_) => tokio::time::sleep(PAUSE).await,
                Err(why) => {
                    tracing::info!(why, "audit events stay in the outbox for now");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Removes days whose events are too old, on this replica; for ever. What is left of them isn't shown either.
    pub async fn tidy(self: Arc<Self>, clock: SharedClock) {
        loop {
            tokio::time::sleep(TIDY_EVERY).await;
            let Some(group) = self.group.get().cloned() else { continue };
            let (start, end) = before_day(day(clock.unix_ms() - RETENTION_MS));
            let prefix = group.prefix();
            let range = KeyRange::new(prefix.key(&start), prefix.key(&end));
            let deleted = tokio::task::spawn_blocking(move || group.store().delete_range(range)).await;
            match deleted {
                Ok(Ok(())) => {}
                Ok(Err(e)) => tracing::warn!(error = %e, "old audit events stay for now"),
                Err(e) => tracing::warn!(error = %e, "old audit events stay for now"),
            }
        }
    }
}

impl Handler for AuditService {
    fn handle(self: Arc<Self>, call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async move {
            let events: Vec<Event> = from_stored(&call.payload).map_err(|e| (Refusal::Malformed, e))?;
            let reply = self.keep(&events).await;
            Ok(to_stored(&reply).map_err(|e| (Refusal::Failed, e))?.into())
        })
    }
}
