//! What a partition did last: change records, remembered requests, totals. One record for each command.
//!
//! A change has a sequence number of its own, given when it is applied and so the same on every replica, independent
//! of the log's index. A record names keys, kinds and item versions but holds no images: at one record per command
//! it adds about 60 bytes to a write. A stream that shows only keys can be read from it as it is; old and new images
//! will be part of a second format, written for tables that have a stream, and restore to a moment needs the same.
//!
//! The same record remembers the requests: a retry of one of them is answered what it was answered first. What is
//! remembered is bounded by [`Retention`]; the leader puts into each command what is to be dropped, and the newest
//! record always stays, so that sequence numbers and hybrid times never go back. [`Journal`] is what of all this is
//! kept in memory; it is a function of the stored records alone, so all replicas agree on it.

use super::command::{ChangeKind, Effects};
use super::layout;
use super::wire::{Malformed, Reader, put_field, put_signed, put_varint};
use breakwater_consensus::KeyPrefix;
use breakwater_storage::{Batch, Direction, Engine, StorageError};
use breakwater_types::Clock;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};

const FORMAT: u8 = 1;
/// Records that one command drops at most, so that none takes long to apply; each command adds but one.
const PURGED_RECORDS_MAX: usize = 256;

/// Milliseconds of a hybrid logical time: the upper 48 bits.
pub fn hlc_ms(hlc: u64) -> u64 {
    hlc >> 16
}

pub fn hlc_at(ms: u64) -> u64 {
    ms << 16
}

/// Boot time, signed: what was applied before the machine started has a time too.
pub fn boot_ns(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.boot_ns()).unwrap_or(i64::MAX)
}

/// How long changes and requests are kept; what is past any of these is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub changes_max: u64,
    pub bytes_max: u64,
    pub age_ms_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        // Requests are retried for some seconds, by their deadlines; at AWS's 1,000 writes a second and partition this
        // is a minute.
        Retention { changes_max: 60_000, bytes_max: 16 << 20, age_ms_max: 60_000 }
    }
}

/// Items and bytes, of the table and of each local index, as far as this partition holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub items: u64,
    pub bytes: u64,
    pub indexes: Vec<IndexTotals>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexTotals {
    pub entries: u64,
    pub bytes: u64,
}

/// One write, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRecord {
    pub request_id: u128,
    pub hlc: u64,
    pub kind: ChangeKind,
    pub item_version: u64,
    /// Item key.
    pub key: Bytes,
    /// What a retry is answered.
    pub answer: Bytes,
}

impl From<&Effects> for ChangeRecord {
    fn from(effects: &Effects) -> Self {
        ChangeRecord {
            request_id: effects.request_id,
            hlc: effects.hlc,
            kind: effects.change.kind(),
            item_version: effects.item_version,
            key: effects.key.clone(),
            answer: effects.answer.clone(),
        }
    }
}

/// The changes of one command, the first of which has the sequence number in the record's key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalRecord {
    /// After the command.
    pub totals: Totals,
    pub changes: Vec<ChangeRecord>,
}

impl JournalRecord {
    pub fn encode(&self) -> Vec<u8> {
        let length: usize = self.changes.iter().map(|c| 48 + c.key.len() + c.answer.len()).sum();
        let mut out = Vec::with_capacity(64 + length);
        out.push(FORMAT);
        put_varint(&mut out, self.totals.items);
        put_varint(&mut out, self.totals.bytes);
        put_varint(&mut out, self.totals.indexes.len() as u64);
        for index in &self.totals.indexes {
            put_varint(&mut out, index.entries);
            put_varint(&mut out, index.bytes);
        }
        put_varint(&mut out, self.changes.len() as u64);
        let mut hlc = 0u64;
        for change in &self.changes {
            out.extend_from_slice(&change.request_id.to_be_bytes());
            put_signed(&mut out, change.hlc.wrapping_sub(hlc) as i64);
            hlc = change.hlc;
            out.push(change.kind as u8);
            put_varint(&mut out, change.item_version);
            put_field(&mut out, &change.key);
            put_field(&mut out, &change.answer);
        }
        out
    }

    pub fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes.clone());
        match reader.byte()? {
            FORMAT => {}
            other => return Err(format!("journal record of format {other}, we know {FORMAT}")),
        }
        let mut totals = Totals { items: reader.varint()?, bytes: reader.varint()?, indexes: Vec::new() };
        for _ in 0..reader.count(2)? {
            totals.indexes.push(IndexTotals { entries: reader.varint()?, bytes: reader.varint()? });
        }
        let count = reader.count(21)?;
        let mut changes = Vec::with_capacity(count);
        let mut hlc = 0u64;
        for _ in 0..count {
            let request_id = reader.u128()?;
            hlc = hlc.wrapping_add(reader.signed()? as u64);
            let kind = reader.byte()?;
            let kind = ChangeKind::from_stored(kind).ok_or_else(|| format!("unknown kind of change {kind}"))?;
            let item_version = reader.varint()?;
            changes.push(ChangeRecord {
                request_id,
                hlc,
                kind,
                item_version,
                key: reader.field()?,
                answer: reader.field()?,
            });
        }
        reader.end()?;
        Ok(JournalRecord { totals, changes })
    }
}

/// One stored record, without what it says.
#[derive(Debug)]
struct Kept {
    first_sequence: u64,
    /// Boot time of this node when it was applied here; of what was applied before it started, as near as can be told.
    applied_ns: i64,
    bytes: u64,
    requests: Box<[u128]>,
}

/// The journal in memory.
#[derive(Debug, Default)]
pub struct Journal {
    kept: VecDeque<Kept>,
    answers: HashMap<u128, Box<[u8]>>,
    bytes: u64,
    last_sequence: u64,
    last_hlc: u64,
    forgotten_ns: Option<i64>,
    totals: Totals,
}

impl Journal {
    pub fn load(store: &dyn Engine, prefix: &KeyPrefix, clock: &dyn Clock) -> Result<Self, StorageError> {
        let range = layout::journal_all(prefix);
        let head = range.start.len();
        let damaged = |what: String| StorageError::Corrupt { place: "journal".to_owned(), what };
        let mut journal = Journal::default();
        let (now_ns, now_ms) = (boot_ns(clock), clock.unix_ms());
        for entry in store.scan(range, Direction::Forward)? {
            let (key, value) = entry?;
            let first_sequence = key
                .get(head..)
                .and_then(|rest| rest.try_into().ok())
                .map(u64::from_be_bytes)
                .ok_or_else(|| damaged(format!("a key of {} bytes", key.len())))?;
            let record = JournalRecord::decode(&value).map_err(damaged)?;
            let newest_ms = record.changes.iter().map(|change| hlc_ms(change.hlc)).max().unwrap_or(0) as i64;
            let age_ns = now_ms.saturating_sub(newest_ms).max(0).saturating_mul(1_000_000);
            journal.keep(first_sequence, &record, value.len(), now_ns.saturating_sub(age_ns));
            journal.totals = record.totals;
        }
        // What came before was applied no later than this.
        let first = journal.kept.front().filter(|kept| kept.first_sequence > 1);
        journal.forgotten_ns = first.map(|kept| kept.applied_ns);
        Ok(journal)
    }

    fn keep(&mut self, first_sequence: u64, record: &JournalRecord, bytes: usize, applied_ns: i64) {
        for change in &record.changes {
            // A copy: a slice would keep the whole command in memory.
            self.answers.insert(change.request_id, Box::from(&change.answer[..]));
            self.last_hlc = self.last_hlc.max(change.hlc);
        }
        self.bytes += bytes as u64;
        self.last_sequence = first_sequence + (record.changes.len() as u64).saturating_sub(1);
        self.kept.push_back(Kept {
            first_sequence,
            applied_ns,
            bytes: bytes as u64,
            requests: record.changes.iter().map(|change| change.request_id).collect(),
        });
    }

    /// Writes the changes of a command and remembers them. `now_ns` stays in memory.
    pub fn append(
        &mut self,
        changes: Vec<ChangeRecord>,
        totals: Totals,
        prefix: &KeyPrefix,
        batch: &mut Batch,
        now_ns: i64,
    ) {
        let first_sequence = self.last_sequence + 1;
        let record = JournalRecord { totals, changes };
        let bytes = record.encode();
        self.keep(first_sequence, &record, bytes.len(), now_ns);
        self.totals = record.totals;
        batch.put(layout::journal(prefix, first_sequence), bytes);
    }

    /// Drops records all of whose changes come before this sequence number; never the newest.
    pub fn purge(&mut self, below: u64, prefix: &KeyPrefix, batch: &mut Batch) {
        while self.kept.get(1).is_some_and(|second| second.first_sequence <= below) {
            let Some(gone) = self.kept.pop_front() else { return };
            batch.delete(layout::journal(prefix, gone.first_sequence));
            self.bytes -= gone.bytes;
            self.forgotten_ns = self.forgotten_ns.max(Some(gone.applied_ns));
            for request in &gone.requests {
                self.answers.remove(request);
            }
        }
    }

    /// What the leader tells everybody to drop.
    pub fn purge_below(&self, retention: &Retention, now_ns: i64) -> u64 {
        let mut bytes = self.bytes;
        let mut below = self.kept.front().map_or(0, |kept| kept.first_sequence);
        for (kept, next) in self.kept.iter().zip(self.kept.iter().skip(1)).take(PURGED_RECORDS_MAX) {
            let changes = self.last_sequence + 1 - kept.first_sequence;
            let age_ms = (now_ns.saturating_sub(kept.applied_ns) / 1_000_000).max(0) as u64;
            if changes <= retention.changes_max && bytes <= retention.bytes_max && age_ms <= retention.age_ms_max {
                break;
            }
            bytes -= kept.bytes;
            below = next.first_sequence;
        }
        below
    }

    pub fn answer(&self, request_id: u128) -> Option<&[u8]> {
        self.answers.get(&request_id).map(|answer| &answer[..])
    }

    /// Boot time of this node by which requests were applied that are forgotten now; none where all are remembered.
    /// Boot time, because a wall clock that is set forward would make a forgotten request look younger than it is.
    pub fn forgotten_ns(&self) -> Option<i64> {
        self.forgotten_ns
    }

    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    pub fn last_hlc(&self) -> u64 {
        self.last_hlc
    }

    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    pub fn remembered(&self) -> usize {
        self.answers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_types::GroupId;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn change(request_id: u128, hlc: u64) -> ChangeRecord {
        ChangeRecord {
            request_id,
            hlc,
            kind: ChangeKind::Modify,
            item_version: 3,
            key: Bytes::from_static(b"key"),
            answer: Bytes::from_static(b"answer"),
        }
    }

    #[test]
    fn what_is_past_the_retention_is_dropped_but_the_newest() {
        let prefix = KeyPrefix::new(GroupId(1_000), 0);
        let retention = Retention { changes_max: 4, bytes_max: 1 << 20, age_ms_max: 1_000 };
        let mut journal = Journal::default();
        let mut batch = Batch::new();
        let ms = |n: i64| n * 1_000_000;
        for i in 0..5u128 {
            let at = hlc_at(10_000 + i as u64);
            let changes = vec![change(2 * i, at), change(2 * i + 1, at)];
            journal.append(changes, Totals::default(), &prefix, &mut batch, ms(i as i64));
        }
        assert_eq!((journal.last_sequence(), journal.forgotten_ns()), (10, None));
        let below = journal.purge_below(&retention, ms(5));
        assert_eq!(below, 7);
        let mut purge = Batch::new();
        journal.purge(below, &prefix, &mut purge);
        assert_eq!((purge.len(), journal.remembered()), (3, 4));
        assert_eq!((journal.answer(5), journal.answer(6)), (None, Some(&b"answer"[..])));
        assert_eq!(journal.forgotten_ns(), Some(ms(2)));

        assert_eq!(journal.purge_below(&retention, ms(1_003)), 7, "as old as is allowed");
        assert_eq!(journal.purge_below(&retention, ms(1_004)), 9);
        journal.purge(u64::MAX, &prefix, &mut purge);
        assert_eq!(journal.remembered(), 2, "the newest record stays");
        assert_eq!((journal.last_sequence(), journal.last_hlc()), (10, hlc_at(10_004)));
    }

    proptest! {
        #[test]
        fn records_read_back(
            changes in vec((any::<u128>(), any::<u64>(), 0u8..3, any::<u64>(), vec(any::<u8>(), 0..20)), 0..6),
            items: u64, bytes: u64, indexes in vec((any::<u64>(), any::<u64>()), 0..3),
        ) {
            let record = JournalRecord {
                totals: Totals {
                    items,
                    bytes,
                    indexes: indexes.into_iter().map(|(entries, bytes)| IndexTotals { entries, bytes }).collect(),
                },
                changes: changes
                    .into_iter()
                    .map(|(request_id, hlc, kind, item_version, key)| ChangeRecord {
                        request_id,
                        hlc,
                        kind: ChangeKind::from_stored(kind).unwrap(),
                        item_version,
                        key: Bytes::from(key.clone()),
                        answer: Bytes::from(key),
                    })
                    .collect(),
            };
            prop_assert_eq!(JournalRecord::decode(&Bytes::from(record.encode())).unwrap(), record);
        }

        #[test]
        fn any_bytes_are_a_record_or_an_error(mut bytes in vec(any::<u8>(), 0..200), known: bool) {
            if known && !bytes.is_empty() {
                bytes[0] = FORMAT;
            }
            let _ = JournalRecord::decode(&Bytes::from(bytes));
        }
    }
}
