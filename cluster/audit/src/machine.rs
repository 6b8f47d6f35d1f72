//! The audit group's state: events by day, account, time and id.

use breakwater_aws::Event;
use breakwater_consensus::{Applying, KeyPrefix, StateMachine};
use breakwater_meta::records::{from_stored, to_stored};
use breakwater_storage::{Batch, Engine, StorageError};
use bytes::Bytes;

const KIND_EVENT: u8 = 1;
const DAY_MS: i64 = 86_400_000;
/// `kind | day (4) | account (12) | ms (8) | id (16) | done (1)`: whole days end without a look at their events.
const KEY_BYTES: usize = 1 + 4 + 12 + 8 + 16 + 1;

/// What the group is told: these, in any order, any number of times.
#[derive(Debug, Default)]
pub struct AuditMachine;

pub(crate) fn day(unix_ms: i64) -> u32 {
    u32::try_from(unix_ms.div_euclid(DAY_MS)).unwrap_or(0)
}

/// Up to and without the events of a day.
pub(crate) fn before_day(day: u32) -> (Vec<u8>, Vec<u8>) {
    (vec![KIND_EVENT], [&[KIND_EVENT][..], &day.to_be_bytes()].concat())
}

/// A place among the events of an account on one day.
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

impl StateMachine for AuditMachine {
    fn open(&self, _store: &dyn Engine, _prefix: &KeyPrefix) -> Result<(), StorageError> {
        Ok(())
    }

    fn apply(&self, _at: Applying, command: &Bytes, prefix: &KeyPrefix, batch: &mut Batch) -> Result<Bytes, String> {
        for event in from_stored::<Vec<Event>>(command)? {
            batch.put(prefix.key(&key(&event)), to_stored(&event)?);
        }
        Ok(Bytes::new())
    }

    fn applied(&self, _last_index: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_and_time_before_1970_is_the_first() {
        assert_eq!((day(0), day(DAY_MS - 1), day(DAY_MS), day(-1)), (0, 0, 1, 0));
    }
}
