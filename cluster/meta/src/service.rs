//! The store's service on a control node.

use crate::machine::MetaMachine;
use crate::model::{Command, LeaseId, Op, Reply, Request, Response, Txn, decode, encode};
use breakwater_consensus::{Group, Lead, ProposeError, ReadError};
use breakwater_transport::{Handler, Inbound, Kind, Refusal, Transport};
use breakwater_types::{NodeKind, SharedClock};
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Transactions that wait for a quorum at the same time; more are told to try again.
const PROPOSALS_MAX: usize = 1_024;
const EVENTS_PER_ANSWER: usize = 1_000;
/// A log entry has to fit well into one message to a follower.
const COMMAND_BYTES_MAX: usize = 4 << 20;
const NOTHING_NEW: Duration = Duration::from_millis(100);
/// A watch answers a little before its caller gives up.
const WATCH_MARGIN: Duration = Duration::from_millis(500);
const LEASE_TTL_MS_MIN: u64 = 500;
const LEASE_TTL_MS_MAX: u64 = 3_600_000;

pub struct MetaService {
    group: Arc<Group>,
    machine: Arc<MetaMachine>,
    clock: SharedClock,
    proposals: Semaphore,
    /// When each lease ends, on the clock that counts suspended time. The leader's own, made anew by the next.
    renewed: Mutex<Renewed>,
}

#[derive(Default)]
struct Renewed {
    term: u64,
    ends_ns: HashMap<LeaseId, u64>,
}

impl MetaService {
    /// Serves the store on this node, and ends leases while it leads.
    pub fn start(group: Arc<Group>, machine: Arc<MetaMachine>, transport: &Transport, clock: SharedClock) -> Arc<Self> {
        let service = Arc::new(MetaService {
            group,
            machine,
            clock,
            proposals: Semaphore::new(PROPOSALS_MAX),
            renewed: Mutex::default(),
        });
        transport.register(Kind::Meta, &[NodeKind::Control, NodeKind::Dynamo], service.clone());
        tokio::spawn(end_leases(Arc::downgrade(&service)));
        service
    }

    fn not_leading(e: ReadError) -> Response {
        match e {
            ReadError::NotLeader(hint) => Response::NotLeader { leader: hint.leader },
            ReadError::NotConfirmed(why) | ReadError::Stopped(why) => Response::Busy(why),
        }
    }

    async fn propose(&self, lead: Lead, command: &Command) -> Response {
        let data = match encode(command) {
            Ok(data) if data.len() <= COMMAND_BYTES_MAX => data,
            Ok(data) => return Response::Invalid(format!("a transaction of {} bytes", data.len())),
            Err(why) => return Response::Invalid(why),
        };
        let reply = match self.group.propose(lead, data.into()).await {
            Ok(reply) => reply,
            Err(ProposeError::NotLeader(hint)) => return Response::NotLeader { leader: hint.leader },
            Err(ProposeError::Unknown(why)) => return Response::Unknown(why),
            Err(ProposeError::Stopped(why)) => return Response::Busy(why),
            Err(e @ ProposeError::TooLarge(_)) => return Response::Invalid(e.to_string()),
        };
        match decode(&reply) {
            Ok(Reply::Txn(outcome)) => Response::Txn(outcome),
            Ok(Reply::Lease(id)) => Response::Lease(id),
            Ok(Reply::Done) => Response::Done,
            Ok(Reply::Invalid(why)) => Response::Invalid(why),
            Err(why) => Response::Unknown(why),
        }
    }

    async fn write(&self, command: Command) -> Response {
        let Ok(_permit) = self.proposals.try_acquire() else {
            return Response::Busy("too many transactions wait".to_owned());
        };
        match self.group.lead().await {
            Ok(lead) => self.propose(lead, &command).await,
            Err(e) => Self::not_leading(e),
        }
    }

    async fn answer(&self, request: Request, deadline: Instant) -> Response {
        match request {
            Request::Txn { request_id, txn } => self.write(Command::Txn { request_id, txn }).await,
            Request::Range(range) => match self.group.lead().await {
                Ok(_) => {
                    let (revision, entries, more) = self.machine.range(&range.start, &range.end, range.limit);
                    Response::Range(crate::RangeResponse { revision, entries, more })
                }
                Err(e) => Self::not_leading(e),
            },
            // A replica that only learns may know nothing yet, and what it doesn't know would be taken for deleted.
            Request::List { .. } | Request::ListPage { .. } | Request::Watch { .. } if !self.group.is_voter() => {
                Response::Busy("this node doesn't have the control store yet".to_owned())
            }
            Request::ListPage { prefix, start } => {
                let start = start.max(prefix.clone());
                let (revision, entries, more) = self.machine.range(&start, &crate::prefix_end(&prefix), usize::MAX);
                Response::ListPage { revision, entries, more }
            }
            Request::List { prefix } => {
                let (revision, entries) = self.machine.list(&prefix);
                Response::List { revision, entries }
            }
            Request::Watch { prefix, after } => self.watch(&prefix, after, deadline).await,
            Request::LeaseGrant { request_id, ttl_ms } => {
                if !(LEASE_TTL_MS_MIN..=LEASE_TTL_MS_MAX).contains(&ttl_ms) {
                    return Response::Invalid(format!("a lease of {ttl_ms} ms"));
                }
                self.write(Command::LeaseGrant { request_id, ttl_ms }).await
            }
            Request::LeaseKeepAlive { id } => self.keep_alive(id).await,
            Request::LeaseRevoke { id } => self.write(Command::LeaseRevoke { id }).await,
        }
    }

    async fn watch(&self, prefix: &[u8], after: u64, deadline: Instant) -> Response {
        let mut until = deadline.checked_sub(WATCH_MARGIN).unwrap_or(deadline);
        let mut revision = self.machine.revision();
        // A node that lags behind the one that the watch began on waits until it has caught up.
        let seen = tokio::time::timeout_at(until, revision.wait_for(|r| *r >= after)).await.is_ok();
        if !seen {
            return Response::Busy("this node lags behind".to_owned());
        }
        loop {
            // What this node doesn't hear of would pass for what hasn't happened.
            if !self.group.in_touch() {
                return Response::Busy("this node has lost touch with the others".to_owned());
            }
            revision.mark_unchanged();
            match self.machine.events(prefix, after, EVENTS_PER_ANSWER) {
                None => return Response::Compacted,
                Some((revision, events)) if !events.is_empty() => return Response::Events { revision, events },
                Some((up_to, events)) => {
                    // Who waits for a revision that changed nothing here should hear of it soon.
                    if up_to > after {
                        until = until.min(Instant::now() + NOTHING_NEW);
                    }
                    if tokio::time::timeout_at(until, revision.changed()).await.is_err() && self.group.in_touch() {
                        return Response::Events { revision: up_to, events };
                    }
                }
            }
        }
    }

    async fn keep_alive(&self, id: LeaseId) -> Response {
        let lead = match self.group.lead().await {
            Ok(lead) => lead,
            Err(e) => return Self::not_leading(e),
        };
        self.meet_leases(lead.term());
        let Some((_, ttl_ms)) = self.machine.leases().into_iter().find(|(lease, _)| *lease == id) else {
            return Response::NoLease;
        };
        let now = self.clock.boot_ns();
        let mut renewed = self.renewed.lock();
        if renewed.term != lead.term() {
            return Response::Busy("leadership changed".to_owned());
        }
        match renewed.ends_ns.get_mut(&id) {
            Some(ends) if *ends > now => {
                *ends = now + ttl_ms * 1_000_000;
                Response::Done
            }
            // What has ended is being revoked: it can't be kept alive any more.
            _ => Response::NoLease,
        }
    }

    /// A new leader gives every lease its whole time: it can't know when the last one renewed it.
    fn meet_leases(&self, term: u64) -> Vec<LeaseId> {
        let now = self.clock.boot_ns();
        let leases = self.machine.leases();
        let mut renewed = self.renewed.lock();
        if renewed.term != term {
            *renewed = Renewed { term, ends_ns: HashMap::new() };
        }
        for (id, ttl_ms) in &leases {
            renewed.ends_ns.entry(*id).or_insert(now + ttl_ms * 1_000_000);
        }
        renewed.ends_ns.retain(|id, _| leases.iter().any(|(lease, _)| lease == id));
        renewed.ends_ns.iter().filter(|(_, ends)| **ends <= now).map(|(id, _)| *id).collect()
    }
}

async fn end_leases(service: std::sync::Weak<MetaService>) {
    let mut every = tokio::time::interval(Duration::from_millis(200));
    loop {
        every.tick().await;
        let Some(service) = service.upgrade() else { return };
        if !service.group.is_leader() || service.machine.leases().is_empty() {
            continue;
        }
        let Ok(lead) = service.group.lead().await else { continue };
        for id in service.meet_leases(lead.term()) {
            tracing::info!(lease = id, "lease ended");
            // Where it fails, the next round or the next leader does it.
            service.propose(lead, &Command::LeaseRevoke { id }).await;
        }
    }
}

/// Under these any node may read, and only control nodes write: who may do what, and which trails tell of it.
const CONTROL_WRITES: &[&[u8]] = &[b"iam/", b"trail"];

/// Whether a call changes keys that only control nodes may change.
fn changes_control(request: &Request) -> bool {
    let Request::Txn { txn: Txn { success, failure, .. }, .. } = request else { return false };
    let is_theirs = |key: &[u8]| CONTROL_WRITES.iter().any(|prefix| key.starts_with(prefix));
    let has_theirs = |start: &[u8], end: &[u8]| CONTROL_WRITES.iter().any(|prefix| overlaps(prefix, start, end));
    success.iter().chain(failure).any(|op| match op {
        Op::Put { key, .. } => is_theirs(key),
        Op::Delete { key } => is_theirs(key) || key.starts_with(crate::OUTBOX),
        Op::DeleteRange { start, end } => has_theirs(start, end) || overlaps(crate::OUTBOX, start, end),
        Op::Get { .. } | Op::Range { .. } => false,
    })
}

/// Whether a range has keys that begin with `prefix`.
fn overlaps(prefix: &[u8], start: &[u8], end: &[u8]) -> bool {
    start < &crate::prefix_end(prefix)[..] && end > prefix
}

/// Whether a call touches keys that only control nodes may see.
fn touches_control(request: &Request) -> bool {
    let sees = |start: &[u8], end: &[u8]| [crate::CONTROL_ONLY, crate::OUTBOX].iter().any(|p| overlaps(p, start, end));
    let inside = |key: &[u8]| key.starts_with(crate::CONTROL_ONLY);
    let looks = |key: &[u8]| inside(key) || key.starts_with(crate::OUTBOX);
    let prefixed = |prefix: &[u8]| sees(prefix, &crate::prefix_end(prefix));
    match request {
        Request::Txn { txn: Txn { compares, success, failure }, .. } => {
            compares.iter().any(|c| match c {
                crate::Compare::Exists(key)
                | crate::Compare::Absent(key)
                | crate::Compare::ModRevision(key, _)
                | crate::Compare::Value(key, _) => looks(key),
            }) || success.iter().chain(failure).any(|op| match op {
                Op::Put { key, .. } | Op::Delete { key } => inside(key),
                Op::Get { key } => looks(key),
                Op::DeleteRange { start, end } | Op::Range { start, end, .. } => sees(start, end),
            })
        }
        Request::Range(range) => sees(&range.start, &range.end),
        Request::List { prefix } | Request::ListPage { prefix, .. } | Request::Watch { prefix, .. } => prefixed(prefix),
        Request::LeaseGrant { .. } | Request::LeaseKeepAlive { .. } | Request::LeaseRevoke { .. } => false,
    }
}

impl Handler for MetaService {
    fn handle(self: Arc<Self>, call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async move {
            let request: Request = decode(&call.payload).map_err(|e| (Refusal::Malformed, e))?;
            if call.from.kind != NodeKind::Control && (touches_control(&request) || changes_control(&request)) {
                return Err((Refusal::Forbidden, "only control nodes may touch these keys".to_owned()));
            }
            let response = self.answer(request, call.deadline).await;
            Ok(encode(&response).map_err(|e| (Refusal::Failed, e))?.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RangeRequest;

    #[test]
    fn no_range_slips_past_the_wall() {
        let range = |start: &[u8], end: &[u8]| {
            touches_control(&Request::Range(RangeRequest { start: start.to_vec(), end: end.to_vec(), limit: 1 }))
        };
        assert!(range(b"", b"z"));
        assert!(range(b"control/secret", b"control/secret0"));
        assert!(range(b"a", b"control/a"));
        assert!(!range(b"b", b"control/"));
        assert!(!range(b"control0", b"d"));
        assert!(touches_control(&Request::List { prefix: b"c".to_vec() }));
        assert!(touches_control(&Request::List { prefix: vec![] }));
        assert!(touches_control(&Request::ListPage { prefix: b"c".to_vec(), start: b"cz".to_vec() }));
        assert!(touches_control(&Request::ListPage { prefix: b"control/x".to_vec(), start: vec![] }));
        assert!(!touches_control(&Request::List { prefix: b"cluster/".to_vec() }));
        let get = Txn { success: vec![Op::Get { key: b"control/x".to_vec() }], ..Txn::default() };
        assert!(touches_control(&Request::Txn { request_id: 1, txn: get }));
    }

    #[test]
    fn who_may_do_what_is_written_by_control_nodes_only() {
        let txn = |op| Request::Txn { request_id: 1, txn: Txn { success: vec![op], ..Txn::default() } };
        let range = |start: &[u8], end: &[u8]| Op::DeleteRange { start: start.to_vec(), end: end.to_vec() };
        assert!(changes_control(&txn(Op::put(b"iam/aws/1/user/x".to_vec(), vec![]))));
        assert!(changes_control(&txn(Op::Delete { key: b"iam/x".to_vec() })));
        assert!(changes_control(&txn(range(b"a", b"z"))));
        assert!(changes_control(&txn(range(b"iam/x", b"iam/y"))));
        assert!(changes_control(&txn(Op::put(b"trail/aws/1/x".to_vec(), vec![]))));
        assert!(changes_control(&txn(Op::Delete { key: b"trail-delivery/x".to_vec() })));
        assert!(!changes_control(&txn(range(b"iam0", b"t"))));
        assert!(!changes_control(&txn(range(b"b", b"iam/"))));
        assert!(!changes_control(&txn(Op::Get { key: b"iam/x".to_vec() })));
    }

    #[test]
    fn audit_events_may_be_added_to_and_neither_seen_nor_removed() {
        let txn = |op| Request::Txn { request_id: 1, txn: Txn { success: vec![op], ..Txn::default() } };
        let key = || b"audit/outbox/x".to_vec();
        let put = txn(Op::put(key(), vec![]));
        assert!(!changes_control(&put) && !touches_control(&put));
        assert!(changes_control(&txn(Op::Delete { key: key() })));
        assert!(changes_control(&txn(Op::DeleteRange { start: b"a".to_vec(), end: b"b".to_vec() })));
        assert!(touches_control(&txn(Op::Get { key: key() })));
        assert!(touches_control(&Request::Watch { prefix: b"audit/".to_vec(), after: 0 }));
    }
}
