//! How nodes use the store: finds the leader, repeats what may be repeated, ends by the deadline.

use crate::model::{
    Entry, Event, LeaseId, RangeRequest, RangeResponse, Request, Response, Revision, Txn, TxnOutcome, decode, encode,
};
use breakwater_transport::{CallError, Kind, Refusal, Transport};
use breakwater_types::NodeName;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// Nothing was changed; it may be tried again.
    #[error("the control store can't be reached: {0}")]
    NotApplied(String),
    /// It may or may not have been applied.
    #[error("the control store's answer didn't come: {0}")]
    Unknown(String),
    #[error("the control store refuses: {0}")]
    Invalid(String),
}

/// One attempt's share of the time, so that a node that fell silent doesn't use up all of it.
const ATTEMPT: Duration = Duration::from_millis(1_500);
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Clone)]
pub struct MetaClient {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Arc<Transport>,
    /// The node's own zone first.
    nodes: Vec<NodeName>,
    leader: Mutex<Option<NodeName>>,
}

/// Entries page by page: those of the first page as of `revision`, those of later ones up to `newest`. What changed
/// in between, a watch from `revision` on tells.
pub(crate) struct Listing {
    pub(crate) revision: Revision,
    pub(crate) newest: Revision,
    pub(crate) entries: Vec<Entry>,
}

pub(crate) enum Watched {
    Events(Revision, Vec<Event>),
    Compacted,
}

/// Without its contents, which may be secret.
fn other_answer(answer: &Response) -> String {
    match answer {
        Response::Busy(why) | Response::Unknown(why) | Response::Invalid(why) => why.clone(),
        Response::NotLeader { .. } => "it doesn't lead".to_owned(),
        _ => "an answer to another question".to_owned(),
    }
}

impl MetaClient {
    /// `nodes` are the control nodes, those that are nearest first.
    pub fn new(transport: Arc<Transport>, nodes: Vec<NodeName>) -> Self {
        MetaClient { inner: Arc::new(Inner { transport, nodes, leader: Mutex::new(None) }) }
    }

    async fn ask(&self, node: &NodeName, request: &Request, deadline: Instant) -> Result<Response, CallError> {
        let payload = encode(request).map_err(CallError::NotSent)?;
        let answer = self.inner.transport.call(node, Kind::Meta, 1, payload.into(), deadline).await?;
        decode(&answer).map_err(CallError::Unknown)
    }

    /// Asks the leader, wherever it is. Everything sent here may be repeated: reads change nothing, writes carry a
    /// request id.
    async fn ask_leader(&self, request: &Request, deadline: Instant) -> Result<Response, MetaError> {
        let mut unknown = None;
        let mut why = "no control node is known".to_owned();
        let mut next = 0;
        loop {
            let known = self.inner.leader.lock().clone();
            let node = match known {
                Some(node) => node,
                None if self.inner.nodes.is_empty() => return Err(MetaError::NotApplied(why)),
                None => {
                    next += 1;
                    self.inner.nodes[(next - 1) % self.inner.nodes.len()].clone()
                }
            };
            let attempt = deadline.min(Instant::now() + ATTEMPT);
            let asked = self.ask(&node, request, attempt).await;
            let hint = match asked {
                Ok(Response::NotLeader { leader }) => {
                    why = format!("{node} doesn't lead");
                    leader.filter(|l| *l != node)
                }
                Ok(Response::Busy(text)) => {
                    why = format!("{node}: {text}");
                    None
                }
                Ok(Response::Unknown(text)) => {
                    unknown = Some(format!("{node}: {text}"));
                    None
                }
                Ok(Response::Invalid(text)) => return Err(MetaError::Invalid(text)),
                Ok(response) => {
                    *self.inner.leader.lock() = Some(node);
                    return Ok(response);
                }
                Err(CallError::Refused(Refusal::Forbidden | Refusal::Malformed, text)) => {
                    return Err(MetaError::Invalid(text));
                }
                Err(CallError::NotSent(text) | CallError::Refused(_, text)) => {
                    why = format!("{node}: {text}");
                    None
                }
                Err(CallError::Unknown(text)) => {
                    unknown = Some(format!("{node}: {text}"));
                    None
                }
            };
            let pause = hint.is_none();
            *self.inner.leader.lock() = hint;
            if Instant::now() + PAUSE >= deadline {
                return Err(match unknown {
                    Some(why) => MetaError::Unknown(why),
                    None => MetaError::NotApplied(why),
                });
            }
            if pause {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Who leads the store, as far as is known here.
    pub fn leader(&self) -> Option<NodeName> {
        self.inner.leader.lock().clone()
    }

    pub async fn txn(&self, txn: Txn, deadline: Instant) -> Result<TxnOutcome, MetaError> {
        let request = Request::Txn { request_id: rand::random(), txn };
        match self.ask_leader(&request, deadline).await? {
            Response::Txn(outcome) => Ok(outcome),
            other => Err(MetaError::Unknown(other_answer(&other))),
        }
    }

    /// Linearizable.
    pub async fn range(&self, range: RangeRequest, deadline: Instant) -> Result<RangeResponse, MetaError> {
        match self.ask_leader(&Request::Range(range), deadline).await? {
            Response::Range(response) => Ok(response),
            other => Err(MetaError::Unknown(other_answer(&other))),
        }
    }

    /// One key, linearizable.
    pub async fn get(&self, key: &[u8], deadline: Instant) -> Result<Option<Entry>, MetaError> {
        let mut end = key.to_vec();
        end.push(0);
        let range = RangeRequest { start: key.to_vec(), end, limit: 1 };
        Ok(self.range(range, deadline).await?.entries.pop())
    }

    pub async fn lease_grant(&self, ttl_ms: u64, deadline: Instant) -> Result<LeaseId, MetaError> {
        let request = Request::LeaseGrant { request_id: rand::random(), ttl_ms };
        match self.ask_leader(&request, deadline).await? {
            Response::Lease(id) => Ok(id),
            other => Err(MetaError::Unknown(other_answer(&other))),
        }
    }

    /// False where the lease has ended.
    pub async fn lease_keep_alive(&self, id: LeaseId, deadline: Instant) -> Result<bool, MetaError> {
        match self.ask_leader(&Request::LeaseKeepAlive { id }, deadline).await? {
            Response::Done => Ok(true),
            Response::NoLease => Ok(false),
            other => Err(MetaError::Unknown(other_answer(&other))),
        }
    }

    pub async fn lease_revoke(&self, id: LeaseId, deadline: Instant) -> Result<(), MetaError> {
        self.ask_leader(&Request::LeaseRevoke { id }, deadline).await.map(|_| ())
    }

    /// Asks any one node, the nearest that answers.
    async fn ask_any(&self, request: &Request, deadline: Instant) -> Result<Response, MetaError> {
        let mut why = "no control node is known".to_owned();
        for node in &self.inner.nodes {
            match self.ask(node, request, deadline).await {
                Ok(Response::Busy(text)) => why = format!("{node}: {text}"),
                Ok(Response::Invalid(text)) => return Err(MetaError::Invalid(text)),
                Ok(response) => return Ok(response),
                Err(e) => why = format!("{node}: {e}"),
            }
        }
        Err(MetaError::NotApplied(why))
    }

    /// All entries under a prefix, page by page, from a node that knows this revision at least.
    pub(crate) async fn list(&self, prefix: &[u8], at_least: Revision, page: Duration) -> Result<Listing, MetaError> {
        let mut why = "no control node is known".to_owned();
        for node in &self.inner.nodes {
            match self.list_of(node, prefix, at_least, page).await {
                Ok(listing) => return Ok(listing),
                Err(e) => why = format!("{node}: {e}"),
            }
        }
        Err(MetaError::NotApplied(why))
    }

    async fn list_of(
        &self,
        node: &NodeName,
        prefix: &[u8],
        at_least: Revision,
        page: Duration,
    ) -> Result<Listing, String> {
        let mut listing: Option<Listing> = None;
        let mut start = prefix.to_vec();
        loop {
            let request = Request::ListPage { prefix: prefix.to_vec(), start };
            let answer = self.ask(node, &request, Instant::now() + page).await.map_err(|e| e.to_string())?;
            let Response::ListPage { revision, entries, more } = answer else {
                return Err(other_answer(&answer));
            };
            let begun = listing.get_or_insert(Listing { revision, newest: revision, entries: Vec::new() });
            if revision < at_least.max(begun.newest) {
                return Err(format!("it lags behind, at revision {revision}"));
            }
            begun.newest = revision;
            begun.entries.extend(entries);
            match (begun.entries.last(), more) {
                (Some(last), true) => start = [&last.key[..], &[0]].concat(),
                _ => break,
            }
        }
        listing.ok_or_else(|| "nothing".to_owned())
    }

    /// The store's revision. Linearizable: everything acknowledged before the call is in it.
    pub async fn revision(&self, deadline: Instant) -> Result<Revision, MetaError> {
        let none =
            RangeRequest { start: crate::records::NODES.to_vec(), end: crate::records::NODES.to_vec(), limit: 0 };
        Ok(self.range(none, deadline).await?.revision)
    }

    pub(crate) async fn watch(&self, prefix: &[u8], after: Revision, deadline: Instant) -> Result<Watched, MetaError> {
        match self.ask_any(&Request::Watch { prefix: prefix.to_vec(), after }, deadline).await? {
            Response::Events { revision, events } => Ok(Watched::Events(revision, events)),
            Response::Compacted => Ok(Watched::Compacted),
            other => Err(MetaError::Unknown(other_answer(&other))),
        }
    }
}
