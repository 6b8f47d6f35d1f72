//! The audit group's state. Since format 4 it knows the order in which events came ([`crate::segments`]); those of
//! before lie by day, account, time and id.

use crate::Category;
use crate::segments::{self, Segment, Segments, segment_key};
use breakwater_aws::Event;
use breakwater_consensus::{Applying, KeyPrefix, StateMachine};
use breakwater_meta::records::{from_stored, to_stored};
use breakwater_storage::{Batch, Direction, Engine, KeyRange, StorageError};
use bytes::Bytes;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

const KIND_EVENT: u8 = 1;
const DAY_MS: i64 = 86_400_000;
/// `kind | day (4) | account (12) | ms (8) | id (16) | done (1)`: whole days end without a look at their events.
const KEY_BYTES: usize = 1 + 4 + 12 + 8 + 16 + 1;
/// The first byte of what only nodes of format 4 know.
const FORMAT: u8 = 4;
/// What an event takes beside its record, about: its keys and what it is found by.
const OVERHEAD_BYTES: usize = 256;

/// What the group is told since format 4; before, it was told events alone.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// These, in any order, any number of times.
    Keep { category: Category, now_ms: i64, events: Vec<Event> },
    /// Segments before this one are gone.
    Forget { before: u64 },
}

/// `4 | postcard`.
pub(crate) fn to_format_4<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    let stored = to_stored(value)?;
    Ok([&[FORMAT], &stored[..]].concat())
}

/// None where it is of a format before.
pub(crate) fn from_format_4<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<Option<T>, String> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => from_stored(rest).map(Some),
        _ => Ok(None),
    }
}

pub struct AuditMachine {
    store: Arc<dyn Engine>,
    pub(crate) segments: Arc<RwLock<Segments>>,
}

impl std::fmt::Debug for AuditMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditMachine")
    }
}

pub(crate) fn day(unix_ms: i64) -> u32 {
    u32::try_from(unix_ms.div_euclid(DAY_MS)).unwrap_or(0)
}

/// Up to and without the events of a day.
pub(crate) fn before_day(day: u32) -> (Vec<u8>, Vec<u8>) {
    (vec![KIND_EVENT], [&[KIND_EVENT][..], &day.to_be_bytes()].concat())
}

/// A place among the events of an account on one day, of before format 4.
pub(crate) fn place(day: u32, account: &str, unix_ms: i64, id: u128) -> Vec<u8> {
    let mut key = Vec::with_capacity(KEY_BYTES);
    key.push(KIND_EVENT);
    key.extend_from_slice(&day.to_be_bytes());
    key.extend_from_slice(account.as_bytes());
    key.extend_from_slice(&unix_ms.max(0).to_be_bytes());
    key.extend_from_slice(&id.to_be_bytes());
    key
}

fn key(event: &Event) -> Vec<u8> {
    let mut key = place(day(event.unix_ms), event.account.as_str(), event.unix_ms, event.id);
    // Of two with one id the later in order, the one that tells of success, counts.
    key.push(u8::from(event.done));
    key
}

fn corrupt(what: String) -> StorageError {
    StorageError::Corrupt { place: "audit events".to_owned(), what }
}

impl AuditMachine {
    /// Over the store that the group's replica stands on.
    pub fn new(store: Arc<dyn Engine>) -> Self {
        AuditMachine { store, segments: Arc::default() }
    }

    /// Whether it was kept before: the same, or the one that tells of success.
    fn is_known(
        &self,
        known: &Segments,
        category: Category,
        event: &Event,
        prefix: &KeyPrefix,
    ) -> Result<bool, StorageError> {
        let is_there = |key: Vec<u8>| -> Result<bool, StorageError> {
            Ok(known.unwritten.contains(&key) || self.store.get(&prefix.key(&key))?.is_some())
        };
        let either = |place: Vec<u8>| -> Result<bool, StorageError> {
            if is_there([&place[..], &[1]].concat())? {
                return Ok(true);
            }
            Ok(!event.done && is_there([&place[..], &[0]].concat())?)
        };
        let ms = event.unix_ms.max(0);
        for (number, _) in known.overlapping(ms, ms) {
            if either(segments::place(number, category, &event.account, ms, event.id))? {
                return Ok(true);
            }
        }
        if known.older {
            return either(place(day(event.unix_ms), event.account.as_str(), event.unix_ms, event.id));
        }
        Ok(false)
    }

    fn keep(
        &self,
        category: Category,
        now_ms: i64,
        events: &[Event],
        prefix: &KeyPrefix,
        batch: &mut Batch,
    ) -> Result<(), String> {
        let mut all = self.segments.write();
        let mut touched = BTreeSet::new();
        for event in events {
            if self.is_known(&all, category, event, prefix).map_err(|e| e.to_string())? {
                continue;
            }
            let segment = all.current(now_ms);
            let mut place = segments::place(segment, category, &event.account, event.unix_ms, event.id);
            place.push(u8::from(event.done));
            let bytes = event.record.len() + OVERHEAD_BYTES;
            let number = all.take(segment, event.unix_ms, bytes).ok_or("a segment that isn't there")?;
            batch.put(prefix.key(&place), to_stored(event)?);
            batch.put(prefix.key(&segments::arrival_key(number)), place.clone());
            all.unwritten.insert(place);
            touched.insert(segment);
        }
        for segment in touched {
            let now = all.all.get(&segment).ok_or("a segment that isn't there")?;
            batch.put(prefix.key(&segment_key(segment)), to_stored(now)?);
        }
        Ok(())
    }
}

impl StateMachine for AuditMachine {
    /// Nodes bring their events together.
    fn log_is_heavy(&self) -> bool {
        true
    }

    fn open(&self, store: &dyn Engine, prefix: &KeyPrefix) -> Result<(), StorageError> {
        let mut known = Segments::default();
        let all = KeyRange::new(prefix.key(&[segments::KIND_SEGMENT]), prefix.key(&[segments::KIND_SEGMENT + 1]));
        for found in store.scan(all, Direction::Forward)? {
            let (stored, value) = found?;
            let number = stored.last_chunk::<8>().ok_or_else(|| corrupt("a segment's key".to_owned()))?;
            let segment: Segment = from_stored(&value).map_err(corrupt)?;
            known.all.insert(u64::from_be_bytes(*number), segment);
        }
        let older = KeyRange::new(prefix.key(&[KIND_EVENT]), prefix.key(&[KIND_EVENT + 1]));
        known.older = store.scan(older, Direction::Forward)?.next().transpose()?.is_some();
        *self.segments.write() = known;
        Ok(())
    }

    fn apply(&self, _at: Applying, command: &Bytes, prefix: &KeyPrefix, batch: &mut Batch) -> Result<Bytes, String> {
        match from_format_4(command)? {
            Some(Command::Keep { category, now_ms, events }) => {
                self.keep(category, now_ms, &events, prefix, batch)?;
            }
            Some(Command::Forget { before }) => {
                let mut known = self.segments.write();
                let stay = known.all.split_off(&before);
                // The last one says which numbers were used.
                if !stay.is_empty() {
                    for number in known.all.keys() {
                        batch.delete(prefix.key(&segment_key(*number)));
                    }
                    known.all = stay;
                } else {
                    tracing::error!(before, "no segment of audit events would be left");
                }
            }
            None => {
                for event in from_stored::<Vec<Event>>(command)? {
                    batch.put(prefix.key(&key(&event)), to_stored(&event)?);
                }
                self.segments.write().older = true;
            }
        }
        Ok(Bytes::new())
    }

    fn applied(&self, _last_index: u64) {
        self.segments.write().unwritten.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_storage::MemoryEngine;
    use breakwater_types::{AccountId, GroupId};

    #[test]
    fn days_begin_at_midnight_and_time_before_1970_is_the_first() {
        assert_eq!((day(0), day(DAY_MS - 1), day(DAY_MS), day(-1)), (0, 0, 1, 0));
    }

    fn event(unix_ms: i64, id: u128, done: bool) -> Event {
        Event {
            account: AccountId::new("111122223333").unwrap(),
            unix_ms,
            id,
            done,
            access_key_id: String::new(),
            user_name: String::new(),
            resources: vec![],
            record: "{}".to_owned(),
        }
    }

    struct Replica {
        machine: AuditMachine,
        store: Arc<dyn Engine>,
        prefix: KeyPrefix,
    }

    impl Replica {
        fn new() -> Self {
            let store: Arc<dyn Engine> = Arc::new(MemoryEngine::new(1));
            Replica { machine: AuditMachine::new(store.clone()), store, prefix: KeyPrefix::new(GroupId::AUDIT, 0) }
        }
        fn tell(&self, commands: &[Vec<u8>]) {
            let mut batch = Batch::new();
            for command in commands {
                let at = Applying { index: 1, term: 1 };
                self.machine.apply(at, &command.clone().into(), &self.prefix, &mut batch).unwrap();
            }
            self.store.write(&batch).unwrap();
            self.machine.applied(1);
        }
        fn next(&self) -> u64 {
            self.machine.segments.read().next()
        }
    }

    fn keep(now_ms: i64, events: &[Event]) -> Vec<u8> {
        to_format_4(&Command::Keep { category: Category::Management, now_ms, events: events.to_vec() }).unwrap()
    }

    #[test]
    fn an_event_that_comes_twice_gets_one_number() {
        let replica = Replica::new();
        // In one command, in one batch, later, and a segment later.
        replica.tell(&[keep(0, &[event(5, 1, true), event(5, 1, true)]), keep(0, &[event(5, 1, true)])]);
        replica.tell(&[keep(0, &[event(5, 1, true)])]);
        replica.tell(&[keep(2 * DAY_MS, &[event(2 * DAY_MS, 2, true), event(5, 1, true)])]);
        assert_eq!(replica.next(), 3);
        // Of what was done, an error that was answered says nothing; of an error, success is told after all.
        replica.tell(&[keep(0, &[event(5, 1, false)])]);
        assert_eq!(replica.next(), 3);
        replica.tell(&[keep(0, &[event(7, 3, false)]), keep(0, &[event(7, 3, false)])]);
        assert_eq!(replica.next(), 4);
        replica.tell(&[keep(0, &[event(7, 3, true)])]);
        assert_eq!(replica.next(), 5);
        // After a restart it knows the same.
        replica.machine.open(&*replica.store, &replica.prefix).unwrap();
        replica.tell(&[keep(0, &[event(5, 1, true)])]);
        assert_eq!(replica.next(), 5);
    }

    #[test]
    fn what_was_kept_before_format_4_is_known() {
        let replica = Replica::new();
        replica.tell(&[to_stored(&vec![event(5, 1, true)]).unwrap()]);
        replica.tell(&[keep(0, &[event(5, 1, true), event(6, 2, true)])]);
        assert_eq!(replica.next(), 2);
        replica.machine.open(&*replica.store, &replica.prefix).unwrap();
        assert!(replica.machine.segments.read().older);
    }

    #[test]
    fn numbers_go_on_when_segments_are_forgotten() {
        let replica = Replica::new();
        for n in 0..3 {
            replica.tell(&[keep(n * DAY_MS, &[event(n * DAY_MS, n as u128, true)])]);
        }
        let forget = |before| to_format_4(&Command::Forget { before }).unwrap();
        replica.tell(&[forget(2)]);
        replica.tell(&[forget(9)]);
        assert_eq!((replica.machine.segments.read().all.len(), replica.next()), (1, 4));
        replica.machine.open(&*replica.store, &replica.prefix).unwrap();
        assert_eq!((replica.machine.segments.read().all.len(), replica.next()), (1, 4));
    }
}
