//! The store's state and what a command does to it: pure, in memory. Returns what must be written.

use crate::model::{Command, Compare, Entry, Event, LeaseId, Op, OpResponse, Reply, Revision, Txn, TxnOutcome};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Limits of one transaction, so that a log entry stays small.
const OPS_MAX: usize = 1_024;
/// No value is longer: a transaction that would store a longer one is refused.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
const KEY_BYTES_MAX: usize = 2_048;
/// Request ids remembered. A caller gives up long before as many others have come.
pub(crate) const REMEMBERED_MAX: u64 = 4_096;
/// What one answer holds at most, but for its last revision: well below what the transport carries.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Changes kept for watches; a watch that lags further lists anew.
const EVENTS_MAX: usize = 20_000;
const EVENTS_BYTES_MAX: usize = 64 << 20;

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Remembered {
    pub(crate) request_id: u128,
    pub(crate) reply: Reply,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) revision: Revision,
    pub(crate) entries: BTreeMap<Vec<u8>, Entry>,
    pub(crate) leases: BTreeMap<LeaseId, u64>,
    pub(crate) next_lease: LeaseId,
    /// By slot; the slot of the next one is `remembered_next % REMEMBERED_MAX`.
    pub(crate) remembered: BTreeMap<u128, Reply>,
    pub(crate) remembered_order: VecDeque<u128>,
    pub(crate) remembered_next: u64,
    events: VecDeque<Event>,
    events_bytes: usize,
    /// Watches that begin at this revision or later miss nothing.
    pub(crate) events_after: Revision,
}

/// What a command changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The new entry, or none where it was deleted.
    pub(crate) entries: BTreeMap<Vec<u8>, Option<Entry>>,
    pub(crate) leases: BTreeMap<LeaseId, Option<u64>>,
    /// Its slot too.
    pub(crate) remembered: Option<(u64, Remembered)>,
}

impl State {
    pub(crate) fn apply(&mut self, command: Command) -> (Reply, Changes) {
        let mut changes = Changes::default();
        let reply = match command {
            Command::Txn { request_id, txn } => {
                if let Some(reply) = self.remembered.get(&request_id) {
                    return (reply.clone(), changes);
                }
                let reply = match check(&txn) {
                    Err(why) => Reply::Invalid(why),
                    Ok(()) => Reply::Txn(self.txn(txn, &mut changes)),
                };
                if !changes.entries.is_empty() {
                    changes.remembered = Some(self.remember(request_id, reply.clone()));
                }
                reply
            }
            Command::LeaseGrant { request_id, ttl_ms } => {
                if let Some(reply) = self.remembered.get(&request_id) {
                    return (reply.clone(), changes);
                }
                self.next_lease += 1;
                let id = self.next_lease;
                self.leases.insert(id, ttl_ms);
                changes.leases.insert(id, Some(ttl_ms));
                let reply = Reply::Lease(id);
                changes.remembered = Some(self.remember(request_id, reply.clone()));
                reply
            }
            Command::LeaseRevoke { id } => {
                if self.leases.remove(&id).is_some() {
                    changes.leases.insert(id, None);
                    let bound: Vec<_> =
                        self.entries.values().filter(|e| e.lease == Some(id)).map(|e| e.key.to_vec()).collect();
                    if !bound.is_empty() {
                        self.revision += 1;
                        for key in bound {
                            self.delete(key, &mut changes);
                        }
                    }
                }
                Reply::Done
            }
        };
        (reply, changes)
    }

    fn remember(&mut self, request_id: u128, reply: Reply) -> (u64, Remembered) {
        let slot = self.remembered_next % REMEMBERED_MAX;
        self.remembered_next += 1;
        self.remembered_order.push_back(request_id);
        self.remembered.insert(request_id, reply.clone());
        if self.remembered_order.len() as u64 > REMEMBERED_MAX
            && let Some(old) = self.remembered_order.pop_front()
        {
            self.remembered.remove(&old);
        }
        (slot, Remembered { request_id, reply })
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare {
            Compare::Exists(key) => self.entries.contains_key(key),
            Compare::Absent(key) => !self.entries.contains_key(key),
            Compare::ModRevision(key, revision) => self.entries.get(key).map_or(0, |e| e.mod_revision) == *revision,
            Compare::Value(key, value) => self.entries.get(key).is_some_and(|e| e.value == value[..]),
        }
    }

    fn txn(&mut self, txn: Txn, changes: &mut Changes) -> TxnOutcome {
        let succeeded = txn.compares.iter().all(|c| self.holds(c));
        let ops = if succeeded { txn.success } else { txn.failure };
        let writes = ops.iter().any(|op| matches!(op, Op::Put { .. } | Op::Delete { .. } | Op::DeleteRange { .. }));
        if writes {
            self.revision += 1;
        }
        let responses = ops.into_iter().map(|op| self.op(op, changes)).collect();
        if writes && changes.entries.is_empty() {
            // Only deletions of what isn't there: no change, no revision.
            self.revision -= 1;
        }
        TxnOutcome { succeeded, revision: self.revision, responses }
    }

    fn op(&mut self, op: Op, changes: &mut Changes) -> OpResponse {
        match op {
            Op::Put { key, value, lease } => {
                let create_revision = self.entries.get(&key).map_or(self.revision, |e| e.create_revision);
                let lease = lease.filter(|id| self.leases.contains_key(id));
                let entry = Entry {
                    key: key.clone().into(),
                    value: value.into(),
                    create_revision,
                    mod_revision: self.revision,
                    lease,
                };
                self.event(&key, Some(entry.clone()));
                self.entries.insert(key.clone(), entry.clone());
                changes.entries.insert(key, Some(entry));
                OpResponse::Done
            }
            Op::Delete { key } => OpResponse::Deleted(u64::from(self.delete(key, changes))),
            Op::DeleteRange { start, end } => {
                let keys: Vec<_> = self.in_range(&start, &end).map(|e| e.key.to_vec()).collect();
                let n = keys.len() as u64;
                for key in keys {
                    self.delete(key, changes);
                }
                OpResponse::Deleted(n)
            }
            Op::Get { key } => OpResponse::Entry(self.entries.get(&key).cloned()),
            Op::Range { start, end, limit } => {
                let (entries, more) = self.range(&start, &end, limit);
                OpResponse::Range { entries, more }
            }
        }
    }

    fn delete(&mut self, key: Vec<u8>, changes: &mut Changes) -> bool {
        let there = self.entries.remove(&key).is_some();
        if there {
            self.event(&key, None);
            changes.entries.insert(key, None);
        }
        there
    }

    fn event(&mut self, key: &[u8], entry: Option<Entry>) {
        let event = Event { revision: self.revision, key: Bytes::copy_from_slice(key), entry };
        self.events_bytes += event.bytes();
        self.events.push_back(event);
        while (self.events.len() > EVENTS_MAX || self.events_bytes > EVENTS_BYTES_MAX)
            && let Some(old) = self.events.pop_front()
        {
            self.events_bytes -= old.bytes();
            self.events_after = old.revision;
        }
    }

    pub(crate) fn in_range(&self, start: &[u8], end: &[u8]) -> impl Iterator<Item = &Entry> {
        // A range that ends before it starts is empty, where BTreeMap would panic.
        let end = if start <= end { end } else { start };
        self.entries.range(start.to_vec()..end.to_vec()).map(|(_, entry)| entry)
    }

    /// As many as there may be, and whether there are more. One at least, however large.
    pub(crate) fn range(&self, start: &[u8], end: &[u8], limit: usize) -> (Vec<Entry>, bool) {
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        for entry in self.in_range(start, end) {
            bytes += weight(&entry.key, Some(entry));
            if entries.len() >= limit || (bytes > ANSWER_BYTES_MAX && !entries.is_empty()) {
                return (entries, true);
            }
            entries.push(entry.clone());
        }
        (entries, false)
    }

    /// Changes of keys with this prefix after a revision, at most about `limit` (a revision isn't torn apart), and
    /// the revision up to which they are complete. None where they aren't kept any more.
    pub(crate) fn events(&self, prefix: &[u8], after: Revision, limit: usize) -> Option<(Revision, Vec<Event>)> {
        if after < self.events_after || after > self.revision {
            return None;
        }
        let mut found: Vec<Event> = Vec::new();
        let mut bytes = 0;
        let start = self.events.partition_point(|e| e.revision <= after);
        for event in self.events.range(start..) {
            if (found.len() >= limit || bytes >= ANSWER_BYTES_MAX)
                && found.last().is_some_and(|last| last.revision != event.revision)
            {
                let complete = event.revision - 1;
                return Some((complete, found));
            }
            if event.key.starts_with(prefix) {
                bytes += weight(&event.key, event.entry.as_ref());
                found.push(event.clone());
            }
        }
        Some((self.revision, found))
    }
}

/// About what an entry takes in an answer.
fn weight(key: &[u8], entry: Option<&Entry>) -> usize {
    64 + 2 * key.len() + entry.map_or(0, |e| e.value.len())
}

fn check(txn: &Txn) -> Result<(), String> {
    if txn.compares.len() + txn.success.len() + txn.failure.len() > OPS_MAX {
        return Err(format!("a transaction of more than {OPS_MAX} parts"));
    }
    for op in txn.success.iter().chain(&txn.failure) {
        if let Op::Put { key, value, .. } = op {
            if key.is_empty() || key.len() > KEY_BYTES_MAX {
                return Err(format!("a key of {} bytes", key.len()));
            }
            if value.len() > VALUE_BYTES_MAX {
                return Err(format!("a value of {} bytes", value.len()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txn(state: &mut State, id: u128, txn: Txn) -> TxnOutcome {
        match state.apply(Command::Txn { request_id: id, txn }).0 {
            Reply::Txn(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn put(key: &str, value: &str) -> Txn {
        Txn { success: vec![Op::put(key, value)], ..Txn::default() }
    }

    #[test]
    fn a_repeated_request_is_done_once() {
        let mut state = State::default();
        let create = Txn { compares: vec![Compare::Absent(b"a".to_vec())], ..put("a", "1") };
        let first = txn(&mut state, 7, create.clone());
        assert!(first.succeeded);
        assert_eq!(txn(&mut state, 7, create.clone()), first);
        assert!(!txn(&mut state, 8, create).succeeded);
        assert_eq!(state.revision, 1);
    }

    #[test]
    fn watches_see_every_change_once_and_in_order() {
        let mut state = State::default();
        for n in 0..10u128 {
            txn(&mut state, n, put(&format!("k{n}"), "v"));
        }
        txn(&mut state, 99, Txn { success: vec![Op::Delete { key: b"k3".to_vec() }], ..Txn::default() });
        let mut after = 0;
        let mut seen = Vec::new();
        loop {
            let (revision, events) = state.events(b"k", after, 3).unwrap();
            seen.extend(events.iter().map(|e| e.revision));
            if revision == after {
                break;
            }
            after = revision;
        }
        assert_eq!(seen, (1..=11).collect::<Vec<_>>());
        assert_eq!(state.events(b"x", 0, 3).unwrap(), (11, vec![]));
        assert!(state.events(b"k", 12, 3).is_none(), "a revision that hasn't been");
    }

    #[test]
    fn a_watch_that_lags_too_far_is_told() {
        let mut state = State::default();
        for n in 0..(EVENTS_MAX as u128 + 10) {
            txn(&mut state, n, put("k", "v"));
        }
        assert!(state.events(b"k", 5, 10).is_none());
        assert!(state.events(b"k", 10, 10).is_some());
    }

    #[test]
    fn what_is_kept_for_watches_is_bounded_by_bytes_too() {
        let mut state = State::default();
        let megabyte = "v".repeat(1 << 20);
        for n in 0..100 {
            txn(&mut state, n, put("k", &megabyte));
        }
        assert!(state.events_bytes <= EVENTS_BYTES_MAX);
        assert!(state.events(b"k", 5, 10).is_none());
        assert!(state.events(b"k", 95, 10).is_some());
    }

    #[test]
    fn large_answers_are_cut_and_go_on() {
        let mut state = State::default();
        let value = vec![7; VALUE_BYTES_MAX];
        for n in 0..20u128 {
            let put = Op::put(format!("k{n:02}"), value.clone());
            txn(&mut state, n, Txn { success: vec![put], ..Txn::default() });
        }
        let (mut start, mut keys, mut pages) = (b"k".to_vec(), Vec::new(), 0);
        loop {
            let (entries, more) = state.range(&start, b"l", usize::MAX);
            assert!(entries.iter().map(|e| weight(&e.key, Some(e))).sum::<usize>() <= ANSWER_BYTES_MAX);
            keys.extend(entries.iter().map(|e| e.key.clone()));
            pages += 1;
            let Some(last) = keys.last().filter(|_| more) else { break };
            start = [&last[..], &[0]].concat();
        }
        assert_eq!(keys.len(), 20);
        assert!(pages > 4);
        let (mut after, mut seen) = (0, Vec::new());
        while after < state.revision {
            let (revision, events) = state.events(b"k", after, usize::MAX).unwrap();
            assert!(events.len() <= 5 && revision > after);
            seen.extend(events.iter().map(|e| e.revision));
            after = revision;
        }
        assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    }

    #[test]
    fn a_revoked_lease_takes_its_keys_along() {
        let mut state = State::default();
        let (reply, _) = state.apply(Command::LeaseGrant { request_id: 1, ttl_ms: 1_000 });
        assert_eq!(reply, Reply::Lease(1));
        let bound = Op::Put { key: b"a".to_vec(), value: vec![], lease: Some(1) };
        txn(&mut state, 2, Txn { success: vec![bound, Op::put("b", "")], ..Txn::default() });
        let (_, changes) = state.apply(Command::LeaseRevoke { id: 1 });
        assert_eq!(changes.entries.keys().collect::<Vec<_>>(), [b"a"]);
        assert!(state.entries.contains_key(&b"b"[..]));
    }

    #[test]
    fn deleting_nothing_changes_no_revision() {
        let mut state = State::default();
        txn(&mut state, 1, put("a", "1"));
        let outcome = txn(&mut state, 2, Txn { success: vec![Op::Delete { key: b"zz".to_vec() }], ..Txn::default() });
        assert_eq!((outcome.revision, state.revision), (1, 1));
    }
}
