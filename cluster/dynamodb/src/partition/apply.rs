//! The state machine of a partition: writes effects, and nothing else.
//!
//! Deterministic: what it writes depends on the command and on what earlier commands left, never on a clock, a setting
//! or a random number. (The clock says how long ago something was applied here, in memory, for the leader's use.)

use super::command::{Change, Command, Effects, EntryChange, EntryValue};
use super::journal::{ChangeRecord, IndexTotals, Journal, Retention, Totals, boot_ns, hlc_at};
use super::layout;
use super::wire::{Malformed, Reader, put_varint};
use breakwater_consensus::{Applying, KeyPrefix, StateMachine};
use breakwater_storage::{Batch, Engine, StorageError};
use breakwater_types::{SharedClock, faults};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

const COLLECTION_FORMAT: u8 = 1;

/// What the proposer of a command learns from its being applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyResult {
    /// Effects, by their place in the command, that were left out because their request had been applied before.
    /// The evaluation under a latch leaves nothing to find here; a second wall, as the first has three conditions.
    pub duplicates: Vec<usize>,
}

impl ApplyResult {
    fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        for place in &self.duplicates {
            put_varint(&mut out, *place as u64);
        }
        Bytes::from(out)
    }

    pub fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes.clone());
        let mut duplicates = Vec::new();
        while !reader.is_empty() {
            duplicates.push(reader.varint()? as usize);
        }
        Ok(ApplyResult { duplicates })
    }
}

/// In memory beside the store, of one replica.
#[derive(Default)]
struct Memory {
    journal: Journal,
    /// Of collections that commands of the batch under way have changed: the store doesn't have them yet.
    collections: HashMap<Bytes, u64>,
    /// The newest time that this node gave out or saw.
    hlc: u64,
}

/// A replica's state machine; give it to `Groups`, and to the [`super::Partition`] that evaluates.
pub struct Machine {
    store: Arc<dyn Engine>,
    clock: SharedClock,
    memory: Mutex<Memory>,
}

impl Machine {
    /// The store is the one that the group's state lies in. Usable once the group has called [`StateMachine::open`].
    pub fn new(store: Arc<dyn Engine>, clock: SharedClock) -> Self {
        Machine { store, clock, memory: Mutex::default() }
    }

    pub fn store(&self) -> &Arc<dyn Engine> {
        &self.store
    }

    /// A hybrid logical time later than all that this partition has seen.
    pub fn next_hlc(&self, now_ms: i64) -> u64 {
        let mut memory = self.memory.lock();
        let now = hlc_at(u64::try_from(now_ms).unwrap_or(0) & (u64::MAX >> 16));
        // Saturates in the year 10889.
        memory.hlc = now.max(memory.hlc.max(memory.journal.last_hlc()).saturating_add(1));
        memory.hlc
    }

    /// What this request was answered, as [`super::answer`] encodes it.
    pub fn remembered(&self, request_id: u128) -> Option<Bytes> {
        self.memory.lock().journal.answer(request_id).map(Bytes::copy_from_slice)
    }

    /// Whether a request that was first sent so long ago may have been applied here, and forgotten since. `margin_ms` is
    /// for the time that the call was on its way.
    pub fn may_be_forgotten(&self, age_ms: u32, margin_ms: u32) -> bool {
        let Some(forgotten_ns) = self.memory.lock().journal.forgotten_ns() else { return false };
        let age_ns = (i64::from(age_ms) + i64::from(margin_ms)) * 1_000_000;
        boot_ns(&*self.clock).saturating_sub(age_ns) <= forgotten_ns
    }

    /// See [`Journal::purge_below`].
    pub fn purge_below(&self, retention: &Retention) -> u64 {
        self.memory.lock().journal.purge_below(retention, boot_ns(&*self.clock))
    }

    /// Items and bytes that this replica holds.
    pub fn totals(&self) -> Totals {
        self.memory.lock().journal.totals().clone()
    }

    pub fn last_sequence(&self) -> u64 {
        self.memory.lock().journal.last_sequence()
    }

    /// Bytes of a collection; 0 where there is none.
    pub fn collection_bytes(&self, prefix: &KeyPrefix, collection_key: &[u8]) -> Result<u64, StorageError> {
        if let Some(bytes) = self.memory.lock().collections.get(collection_key) {
            return Ok(*bytes);
        }
        stored_collection(&*self.store, prefix, collection_key)
    }
}

fn stored_collection(store: &dyn Engine, prefix: &KeyPrefix, collection_key: &[u8]) -> Result<u64, StorageError> {
    let Some(value) = store.get(&layout::collection(prefix, collection_key))? else { return Ok(0) };
    match value.split_first() {
        Some((&COLLECTION_FORMAT, rest)) => rest.try_into().map(u64::from_be_bytes).ok(),
        _ => None,
    }
    .ok_or_else(|| StorageError::Corrupt { place: "collection size".to_owned(), what: "an unknown format".to_owned() })
}

impl Memory {
    fn apply(
        &mut self,
        command: &Command,
        store: &dyn Engine,
        prefix: &KeyPrefix,
        batch: &mut Batch,
        now_ns: i64,
    ) -> Result<ApplyResult, String> {
        let mut result = ApplyResult::default();
        let mut totals = self.journal.totals().clone();
        let mut changes = Vec::with_capacity(command.effects.len());
        for (place, effects) in command.effects.iter().enumerate() {
            if self.journal.answer(effects.request_id).is_some() {
                result.duplicates.push(place);
                continue;
            }
            write(effects, prefix, batch);
            count(effects, &mut totals);
            self.resize_collection(effects, store, prefix, batch).map_err(|e| e.to_string())?;
            changes.push(ChangeRecord::from(effects));
        }
        if !changes.is_empty() {
            self.journal.append(changes, totals, prefix, batch, now_ns);
        }
        self.journal.purge(command.purge_below, prefix, batch);
        Ok(result)
    }

    fn resize_collection(
        &mut self,
        effects: &Effects,
        store: &dyn Engine,
        prefix: &KeyPrefix,
        batch: &mut Batch,
    ) -> Result<(), StorageError> {
        let Some(indexed) = &effects.indexed else { return Ok(()) };
        let delta =
            indexed.entries.iter().fold(effects.bytes_delta, |sum, entry| sum.saturating_add(entry.bytes_delta));
        let key = effects.key.slice(..indexed.collection_key_length);
        let before = match self.collections.get(&key) {
            Some(bytes) => *bytes,
            None => stored_collection(store, prefix, &key)?,
        };
        let after = before.saturating_add_signed(delta);
        let stored = layout::collection(prefix, &key);
        if after == 0 {
            batch.delete(stored);
        } else {
            let mut value = vec![COLLECTION_FORMAT];
            value.extend_from_slice(&after.to_be_bytes());
            batch.put(stored, value);
        }
        self.collections.insert(Bytes::copy_from_slice(&key), after);
        Ok(())
    }
}

fn write(effects: &Effects, prefix: &KeyPrefix, batch: &mut Batch) {
    let key = layout::item(prefix, &effects.key);
    match effects.change.value() {
        Some(value) => batch.put(key, value.clone()),
        None => batch.delete(key),
    }
    for entry in effects.indexed.iter().flat_map(|indexed| &indexed.entries) {
        let key = layout::index(prefix, entry.index, &entry.key);
        match &entry.entry {
            EntryChange::Insert(EntryValue::Projected(value)) | EntryChange::Replace(EntryValue::Projected(value)) => {
                batch.put(key, value.clone());
            }
            EntryChange::Insert(EntryValue::WholeItem) | EntryChange::Replace(EntryValue::WholeItem) => {
                // Without an item the leader's effects make no sense; an entry without one would be worse.
                match effects.change.value() {
                    Some(value) => batch.put(key, value.clone()),
                    None => batch.delete(key),
                }
            }
            EntryChange::Remove => batch.delete(key),
        }
    }
}

fn count(effects: &Effects, totals: &mut Totals) {
    totals.bytes = totals.bytes.saturating_add_signed(effects.bytes_delta);
    match effects.change {
        Change::Insert(_) => totals.items = totals.items.saturating_add(1),
        Change::Modify(_) => {}
        Change::Remove => totals.items = totals.items.saturating_sub(1),
    }
    for entry in effects.indexed.iter().flat_map(|indexed| &indexed.entries) {
        let place = usize::from(entry.index);
        if totals.indexes.len() <= place {
            totals.indexes.resize(place + 1, IndexTotals::default());
        }
        let index = &mut totals.indexes[place];
        index.bytes = index.bytes.saturating_add_signed(entry.bytes_delta);
        match entry.entry {
            EntryChange::Insert(_) => index.entries = index.entries.saturating_add(1),
            EntryChange::Replace(_) => {}
            EntryChange::Remove => index.entries = index.entries.saturating_sub(1),
        }
    }
}

impl StateMachine for Machine {
    fn open(&self, store: &dyn Engine, prefix: &KeyPrefix) -> Result<(), StorageError> {
        let journal = Journal::load(store, prefix, &*self.clock)?;
        let mut memory = self.memory.lock();
        memory.hlc = memory.hlc.max(journal.last_hlc());
        memory.journal = journal;
        memory.collections.clear();
        Ok(())
    }

    fn apply(&self, _at: Applying, command: &Bytes, prefix: &KeyPrefix, batch: &mut Batch) -> Result<Bytes, String> {
        faults::point("partition.apply").map_err(|e| e.to_string())?;
        let command = Command::decode(command)?;
        let now_ns = boot_ns(&*self.clock);
        let result = self.memory.lock().apply(&command, &*self.store, prefix, batch, now_ns)?;
        Ok(if result.duplicates.is_empty() { Bytes::new() } else { result.encode() })
    }

    fn applied(&self, _last_index: u64) {
        self.memory.lock().collections.clear();
    }
}
