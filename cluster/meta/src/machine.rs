//! The control store as a group's state machine: state in memory, its changes in the batch.

use crate::model::{Command, Entry, Event, LeaseId, Reply, Revision, decode, encode};
use crate::state::{REMEMBERED_MAX, Remembered, State};
use breakwater_consensus::{Applying, KeyPrefix, StateMachine};
use breakwater_storage::{Batch, Direction, Engine, KeyRange, StorageError};
use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::watch;

const KIND_ENTRY: u8 = 1;
const KIND_REMEMBERED: u8 = 2;
const KIND_LEASE: u8 = 3;
/// `revision, next lease, remembered next`.
const KIND_COUNTERS: u8 = 4;

pub struct MetaMachine {
    state: RwLock<State>,
    revision: watch::Sender<Revision>,
}

impl Default for MetaMachine {
    fn default() -> Self {
        MetaMachine { state: RwLock::default(), revision: watch::Sender::new(0) }
    }
}

impl MetaMachine {
    pub(crate) fn list(&self, prefix: &[u8]) -> (Revision, Vec<Entry>) {
        let state = self.state.read();
        let end = crate::prefix_end(prefix);
        (state.revision, state.in_range(prefix, &end).cloned().collect())
    }

    pub(crate) fn range(&self, start: &[u8], end: &[u8], limit: usize) -> (Revision, Vec<Entry>, bool) {
        let state = self.state.read();
        let (entries, more) = state.range(start, end, limit);
        (state.revision, entries, more)
    }

    pub(crate) fn events(&self, prefix: &[u8], after: Revision, limit: usize) -> Option<(Revision, Vec<Event>)> {
        self.state.read().events(prefix, after, limit)
    }

    pub(crate) fn leases(&self) -> Vec<(LeaseId, u64)> {
        self.state.read().leases.iter().map(|(id, ttl)| (*id, *ttl)).collect()
    }

    pub(crate) fn revision(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }
}

fn corrupt(what: &str) -> StorageError {
    StorageError::Corrupt { place: "control store".to_owned(), what: format!("its {what} can't be read") }
}

fn kind_range(prefix: &KeyPrefix, kind: u8) -> KeyRange {
    KeyRange { start: prefix.key(&[kind]), end: Some(prefix.key(&[kind + 1])) }
}

impl StateMachine for MetaMachine {
    fn open(&self, store: &dyn Engine, prefix: &KeyPrefix) -> Result<(), StorageError> {
        let mut state = State::default();
        if let Some(counters) = store.get(&prefix.key(&[KIND_COUNTERS]))? {
            (state.revision, state.next_lease, state.remembered_next) =
                decode(&counters).map_err(|_| corrupt("counters"))?;
        }
        state.events_after = state.revision;
        for found in store.scan(kind_range(prefix, KIND_ENTRY), Direction::Forward)? {
            let (key, value) = found?;
            let entry: Entry = decode(&value).map_err(|_| corrupt("entry"))?;
            if key[prefix.as_bytes().len() + 1..] != entry.key {
                return Err(corrupt("entry under a foreign key"));
            }
            state.entries.insert(entry.key.to_vec(), entry);
        }
        for found in store.scan(kind_range(prefix, KIND_LEASE), Direction::Forward)? {
            let (_, value) = found?;
            let (id, ttl_ms) = decode(&value).map_err(|_| corrupt("lease"))?;
            state.leases.insert(id, ttl_ms);
        }
        let mut remembered = Vec::new();
        for found in store.scan(kind_range(prefix, KIND_REMEMBERED), Direction::Forward)? {
            let (_, value) = found?;
            let slot: (u64, Remembered) = decode(&value).map_err(|_| corrupt("request"))?;
            remembered.push(slot);
        }
        // Oldest first: the slot that comes next is the oldest.
        let next = state.remembered_next % REMEMBERED_MAX;
        remembered.sort_by_key(|(slot, _)| (slot + REMEMBERED_MAX - next) % REMEMBERED_MAX);
        for (_, Remembered { request_id, reply }) in remembered {
            state.remembered_order.push_back(request_id);
            state.remembered.insert(request_id, reply);
        }
        let revision = state.revision;
        *self.state.write() = state;
        self.revision.send_replace(revision);
        Ok(())
    }

    fn apply(&self, _at: Applying, command: &Bytes, prefix: &KeyPrefix, batch: &mut Batch) -> Result<Bytes, String> {
        let command: Command = decode(command)?;
        let mut state = self.state.write();
        let (reply, changes) = state.apply(command);
        for (key, entry) in changes.entries {
            let stored = prefix.key(&[&[KIND_ENTRY], &key[..]].concat());
            match entry {
                Some(entry) => batch.put(stored, encode(&entry)?),
                None => batch.delete(stored),
            }
        }
        for (id, ttl_ms) in changes.leases {
            let stored = prefix.key(&[&[KIND_LEASE], &id.to_be_bytes()[..]].concat());
            match ttl_ms {
                Some(ttl_ms) => batch.put(stored, encode(&(id, ttl_ms))?),
                None => batch.delete(stored),
            }
        }
        if let Some((slot, remembered)) = changes.remembered {
            let stored = prefix.key(&[&[KIND_REMEMBERED], &slot.to_be_bytes()[..]].concat());
            batch.put(stored, encode(&(slot, remembered))?);
        }
        let counters = (state.revision, state.next_lease, state.remembered_next);
        batch.put(prefix.key(&[KIND_COUNTERS]), encode(&counters)?);
        Ok(encode::<Reply>(&reply)?.into())
    }

    fn applied(&self, _last_index: u64) {
        let revision = self.state.read().revision;
        self.revision.send_replace(revision);
    }
}
