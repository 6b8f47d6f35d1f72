//! From a table's partition to the replica that answers, through elections, restarts and cuts.
//!
//! Every call may be repeated: reads change nothing, and a write carries a request id that the partition remembers.
//! So a router goes on until the deadline, and tells apart at its end what was certainly not done from what may have
//! been.

use crate::node::Replicas;
use crate::rpc::{
    self, ItemWrite, PartitionAnswer, PartitionCall, PartitionError, PartitionRequest, PartitionResponse,
};
use crate::tables::{PartitionRecord, TableRecord};
use breakwater_meta::Mirror;
use breakwater_meta::records::{LeaderRecord, from_stored, leader_key};
use breakwater_transport::{CallError, Kind, Refusal, Transport};
use breakwater_types::{GroupId, NodeName, Zone};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;

/// One attempt's share, so that a node that fell silent doesn't use up the whole time.
const ATTEMPT: Duration = Duration::from_millis(2_000);
/// A paused node would cost every read of its zone an attempt.
const SILENT: Duration = Duration::from_secs(2);
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(20);

pub struct Router {
    transport: Arc<Transport>,
    zone: Option<Zone>,
    leaders: Arc<Mirror>,
    /// This node's own replicas, asked without a detour over bytes.
    local: OnceLock<Arc<Replicas>>,
    learnt: RwLock<HashMap<GroupId, NodeName>>,
    /// Nodes that didn't answer a read lately, and since when: asked last for a while.
    silent: RwLock<HashMap<NodeName, Instant>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum RouteError {
    /// The partition's own answer.
    Partition(PartitionError),
    /// Nobody answered in time; nothing was done.
    Unavailable(String),
    /// It may have been done.
    Unknown(String),
}

impl Router {
    pub fn new(transport: Arc<Transport>, zone: Option<Zone>, leaders: Arc<Mirror>) -> Self {
        Router {
            transport,
            zone,
            leaders,
            local: OnceLock::new(),
            learnt: RwLock::default(),
            silent: RwLock::default(),
        }
    }

    /// From now on calls to this node itself go to these replicas.
    pub fn serve_locally(&self, replicas: Arc<Replicas>) {
        // Set once, at start: a node has one set of replicas.
        let _ = self.local.set(replicas);
    }

    fn leader_of(&self, partition: &PartitionRecord) -> Option<NodeName> {
        if let Some(node) = self.learnt.read().get(&partition.group) {
            return Some(node.clone());
        }
        let entry = self.leaders.get(&leader_key(partition.group))?;
        from_stored::<LeaderRecord>(&entry.value).ok().map(|record| record.node)
    }

    fn learn(&self, group: GroupId, leader: Option<NodeName>) {
        let known = self.learnt.read().get(&group).cloned();
        if known == leader {
            return;
        }
        let mut learnt = self.learnt.write();
        match leader {
            Some(node) => learnt.insert(group, node),
            None => learnt.remove(&group),
        };
    }

    /// The groups whose leaders it has learnt of.
    pub fn learnt(&self) -> Vec<GroupId> {
        self.learnt.read().keys().copied().collect()
    }

    /// Lets go of what was learnt of groups that are gone.
    pub fn retain(&self, is_there: impl Fn(GroupId) -> bool) {
        self.learnt.write().retain(|group, _| is_there(*group));
    }

    async fn ask(
        &self,
        node: &NodeName,
        group: GroupId,
        call: &PartitionCall,
        deadline: Instant,
    ) -> Result<PartitionAnswer, CallError> {
        if let Some(local) = self.local.get()
            && node == self.transport.name()
        {
            return tokio::time::timeout_at(deadline, local.answer(group, call, deadline))
                .await
                .map_err(|_| CallError::Unknown("no answer in time".to_owned()));
        }
        let payload = rpc::encode(call).map_err(|e| CallError::NotSent(e.to_string()))?;
        let answer = self.transport.call(node, Kind::Item, group.0, payload, deadline).await?;
        rpc::decode(&answer).map_err(|e| CallError::Unknown(e.to_string()))
    }

    /// Asks the leader: for writes and for consistent reads.
    pub async fn leader(
        &self,
        table: &TableRecord,
        partition: &PartitionRecord,
        request: PartitionRequest,
        deadline: Instant,
    ) -> Result<PartitionResponse, RouteError> {
        let began = Instant::now();
        let is_write = matches!(request, PartitionRequest::Write(_) | PartitionRequest::BatchWrite(_));
        let mut call = PartitionCall { table_id: table.id, request };
        let older_ms = age_of(&call.request);
        let mut unknown: Option<String> = None;
        let mut why = "no replica is known".to_owned();
        let mut pause = PAUSE_MIN;
        let mut turn = 0;
        loop {
            let node = match self.leader_of(partition) {
                Some(node) => node,
                None => match partition.replicas.get(turn % partition.replicas.len().max(1)) {
                    Some(replica) => replica.node.clone(),
                    None => return Err(RouteError::Unavailable(why)),
                },
            };
            turn += 1;
            let attempt = deadline.min(Instant::now() + ATTEMPT);
            let mut next = None;
            match self.ask(&node, partition.group, &call, attempt).await {
                Ok(Ok(mut response)) => {
                    self.learn(partition.group, Some(node));
                    if unknown.is_some()
                        && let PartitionResponse::BatchWrite(answers) = &mut response
                    {
                        // An earlier attempt may still do what this one was too busy for.
                        for answer in answers.iter_mut().filter(|a| matches!(a, Err(PartitionError::Throttled))) {
                            *answer = Err(PartitionError::Unknown("throttled after an unknown outcome".to_owned()));
                        }
                    }
                    return Ok(response);
                }
                Ok(Err(PartitionError::NotLeader { leader, .. })) => {
                    why = format!("{node} doesn't lead");
                    next = leader.filter(|l| *l != node);
                }
                Ok(Err(PartitionError::NotApplied(text))) => {
                    why = text;
                    next = Some(node);
                }
                Ok(Err(PartitionError::Stopped(text))) => why = text,
                Ok(Err(PartitionError::Unknown(text))) => unknown = Some(text),
                // An earlier attempt may have been done: that this one wasn't is no answer.
                Ok(Err(e @ PartitionError::Throttled)) if unknown.is_some() => why = e.to_string(),
                // The partition's last word. A condition that fails after an attempt of unknown outcome may have been
                // made false by that attempt itself only if the request were not remembered: it is.
                Ok(Err(
                    e @ (PartitionError::WrongPartition
                    | PartitionError::ConditionalCheckFailed { .. }
                    | PartitionError::Validation(_)
                    | PartitionError::ItemCollectionSizeLimitExceeded
                    | PartitionError::Throttled),
                )) => return Err(RouteError::Partition(e)),
                Err(CallError::NotSent(text)) => why = text,
                // The handler ended badly, perhaps after the write was proposed.
                Err(CallError::Refused(Refusal::Failed, text)) if is_write => unknown = Some(text),
                Err(CallError::Refused(Refusal::Overloaded, _)) if unknown.is_none() => {
                    return Err(RouteError::Partition(PartitionError::Throttled));
                }
                Err(CallError::Refused(_, text)) => why = text,
                Err(CallError::Unknown(text)) => {
                    if is_write {
                        unknown = Some(text);
                    } else {
                        why = text;
                    }
                }
            }
            let redirected = next.is_some();
            self.learn(partition.group, next);
            if !redirected {
                // What the control store says of the leader may be what just failed: the replicas in turn, then.
                if let Some(replica) = partition.replicas.get(turn % partition.replicas.len().max(1)) {
                    self.learn(partition.group, Some(replica.node.clone()));
                }
            }
            if Instant::now() + pause >= deadline {
                return Err(match unknown {
                    Some(text) => RouteError::Unknown(text),
                    None => RouteError::Unavailable(why),
                });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSE_MAX);
            age(&mut call.request, older_ms, began);
        }
    }

    /// Asks any replica, the own zone's first: for eventually consistent reads.
    pub async fn any(
        &self,
        table: &TableRecord,
        partition: &PartitionRecord,
        request: PartitionRequest,
        deadline: Instant,
    ) -> Result<PartitionResponse, RouteError> {
        let call = PartitionCall { table_id: table.id, request };
        let mut nodes: Vec<_> = partition.replicas.iter().collect();
        {
            let silent = self.silent.read();
            let is_silent = |node| silent.get(node).is_some_and(|since| since.elapsed() < SILENT);
            nodes.sort_by_key(|r| (is_silent(&r.node), Some(&r.zone) != self.zone.as_ref()));
        }
        let mut why = "no replica is known".to_owned();
        let mut pause = PAUSE_MIN;
        loop {
            for replica in &nodes {
                let attempt = deadline.min(Instant::now() + ATTEMPT / 2);
                match self.ask(&replica.node, partition.group, &call, attempt).await {
                    Ok(Ok(response)) => return Ok(response),
                    Ok(Err(
                        e
                        @ (PartitionError::Validation(_) | PartitionError::WrongPartition | PartitionError::Throttled),
                    )) => {
                        return Err(RouteError::Partition(e));
                    }
                    Ok(Err(e)) => why = e.to_string(),
                    Err(e) => {
                        // Who refuses isn't silent.
                        if !matches!(e, CallError::Refused(..)) {
                            self.silent.write().insert(replica.node.clone(), Instant::now());
                        }
                        why = e.to_string();
                    }
                }
            }
            if Instant::now() + pause >= deadline {
                return Err(RouteError::Unavailable(why));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSE_MAX);
        }
    }

    pub async fn read(
        &self,
        table: &TableRecord,
        partition: &PartitionRecord,
        consistent: bool,
        request: PartitionRequest,
        deadline: Instant,
    ) -> Result<PartitionResponse, RouteError> {
        if consistent {
            self.leader(table, partition, request, deadline).await
        } else {
            self.any(table, partition, request, deadline).await
        }
    }
}

/// How long ago its oldest write was first sent, before the router got it.
fn age_of(request: &PartitionRequest) -> u32 {
    match request {
        PartitionRequest::Write(write) => write.age_ms,
        PartitionRequest::BatchWrite(writes) => writes.iter().map(|w| w.age_ms).max().unwrap_or(0),
        PartitionRequest::Get(_) | PartitionRequest::Query(_) | PartitionRequest::Scan(_) => 0,
    }
}

/// A repeated write says how long ago it was first sent.
fn age(request: &mut PartitionRequest, older_ms: u32, began: Instant) {
    let age_ms = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX).max(1).saturating_add(older_ms);
    let set = |write: &mut ItemWrite| write.age_ms = age_ms;
    match request {
        PartitionRequest::Write(write) => set(write),
        PartitionRequest::BatchWrite(writes) => writes.iter_mut().for_each(set),
        PartitionRequest::Get(_) | PartitionRequest::Query(_) | PartitionRequest::Scan(_) => {}
    }
}
