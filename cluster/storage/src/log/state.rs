//! The state that callers and the writer share, under one lock that is never held over IO.

use super::group::{Group, Place, Slot, Stamp};
use super::segment::Segment;
use super::{Done, LogEntry};
use crate::error::StorageError;
use breakwater_types::GroupId;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// What waits to be written, in order.
pub(super) enum Command {
    Append { group: GroupId, entries: Vec<LogEntry>, first_stamp: Stamp, done: Done },
    Meta { group: GroupId, key: u8, value: Bytes, stamp: Stamp, done: Option<Done> },
    Truncate { group: GroupId, index: u64 },
    Purge { group: GroupId, index: u64 },
    Remove { group: GroupId, done: Done },
    Sync { done: Done },
}

impl Command {
    pub(super) fn into_done(self) -> Option<Done> {
        match self {
            Command::Append { done, .. } | Command::Remove { done, .. } | Command::Sync { done } => Some(done),
            Command::Meta { done, .. } => done,
            Command::Truncate { .. } | Command::Purge { .. } => None,
        }
    }
}

pub(super) struct SegmentState {
    pub(super) segment: Arc<Segment>,
    /// Entries and records in it that are still needed.
    pub(super) live: u64,
    pub(super) live_bytes: u64,
}

#[derive(Default)]
pub(super) struct Cache {
    /// One for each cached payload, oldest first, and some for payloads that went already.
    tokens: VecDeque<(Stamp, GroupId)>,
    pub(super) payloads: usize,
    pub(super) bytes: usize,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) groups: HashMap<GroupId, Group>,
    pub(super) segments: BTreeMap<u32, SegmentState>,
    pub(super) cache: Cache,
    pub(super) queue: Vec<Command>,
    /// Somebody waits for a sync.
    pub(super) urgent: bool,
    /// The writer sleeps until it is woken, however long that takes.
    pub(super) parked: bool,
    pub(super) stopping: bool,
    pub(super) failed: Option<StorageError>,
    pub(super) next_stamp: Stamp,
    /// Everything stamped below is on disk.
    pub(super) written: Stamp,
}

/// Bytes that an entry or a small record takes in a segment.
pub(super) fn stored_bytes(payload_bytes: usize) -> u64 {
    (super::format::RECORD_HEADER_BYTES + crate::seal::TAG_BYTES + payload_bytes) as u64
}

impl State {
    pub(super) fn stamp(&mut self) -> Stamp {
        self.next_stamp += 1;
        self.next_stamp
    }

    pub(super) fn release(segments: &mut BTreeMap<u32, SegmentState>, place: Place, payload_bytes: usize) {
        if let Place::At { segment, .. } = place
            && let Some(state) = segments.get_mut(&segment)
        {
            state.live = state.live.saturating_sub(1);
            state.live_bytes = state.live_bytes.saturating_sub(stored_bytes(payload_bytes));
        }
    }

    pub(super) fn claim(segments: &mut BTreeMap<u32, SegmentState>, segment: u32, payload_bytes: usize) {
        if let Some(state) = segments.get_mut(&segment) {
            state.live += 1;
            state.live_bytes += stored_bytes(payload_bytes);
        }
    }

    /// Puts entries behind a group's last one, in memory. Refused where they would leave a gap or overwrite.
    pub(super) fn append(&mut self, id: GroupId, entries: &[LogEntry]) -> Result<Stamp, StorageError> {
        let first_stamp = self.next_stamp + 1;
        let Some(first) = entries.first() else { return Ok(first_stamp) };
        let known = self.groups.get(&id);
        let expected = match known {
            Some(group) if !group.slots.is_empty() => group.end(),
            _ => first.index,
        };
        if known.is_some_and(|group| first.index <= group.purged) {
            return Err(StorageError::invalid(format!("{id}: entry {} was purged already", first.index)));
        }
        for (entry, expected) in entries.iter().zip(expected..) {
            if entry.index != expected || expected == u64::MAX {
                let what = format!("{id}: entry {} where {expected} is due", entry.index);
                return Err(StorageError::invalid(what));
            }
            if entry.payload.len() > super::ENTRY_BYTES_MAX {
                return Err(StorageError::invalid(format!("{id}: an entry of {} bytes", entry.payload.len())));
            }
        }
        let group = self.groups.entry(id).or_default();
        if group.slots.is_empty() {
            group.first = first.index;
        }
        for entry in entries {
            self.next_stamp += 1;
            let stamp = self.next_stamp;
            group.slots.push_back(Slot {
                term: entry.term,
                payload_bytes: entry.payload.len() as u32,
                place: Place::Queued(stamp),
            });
            group.recent.push_back((stamp, entry.payload.clone()));
            self.cache.tokens.push_back((stamp, id));
            self.cache.payloads += 1;
            self.cache.bytes += entry.payload.len();
        }
        Ok(first_stamp)
    }

    pub(super) fn save_meta(&mut self, id: GroupId, key: u8, value: Bytes) -> Stamp {
        let stamp = self.stamp();
        let group = self.groups.entry(id).or_default();
        let meta = super::group::Meta { value, place: Place::Queued(stamp) };
        if let Some(old) = group.metas.insert(key, meta) {
            Self::release(&mut self.segments, old.place, old.value.len());
        }
        stamp
    }

    fn forget(&mut self, id: GroupId, act: impl FnOnce(&mut Group, &mut dyn FnMut(Slot, usize))) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let (segments, cache) = (&mut self.segments, &mut self.cache);
        let had = group.recent.len();
        act(group, &mut |slot, cached_bytes| {
            Self::release(segments, slot.place, slot.payload_bytes as usize);
            cache.bytes -= cached_bytes;
        });
        cache.payloads -= had - group.recent.len();
        self.tidy_tokens();
    }

    pub(super) fn truncate_after(&mut self, id: GroupId, index: u64) {
        self.forget(id, |group, gone| group.truncate_after(index, gone));
    }

    pub(super) fn purge_to(&mut self, id: GroupId, index: u64) {
        // A group that is only purged has to remember it, as it would after a restart.
        self.groups.entry(id).or_default();
        self.forget(id, |group, gone| group.purge_to(index, gone));
    }

    pub(super) fn remove(&mut self, id: GroupId) {
        self.forget(id, |group, gone| group.purge_to(u64::MAX - 1, gone));
        if let Some(group) = self.groups.remove(&id) {
            for meta in group.metas.values() {
                Self::release(&mut self.segments, meta.place, meta.value.len());
            }
        }
    }

    /// Tokens of payloads that went are few, so that purging a log that stays within the cache leaks nothing.
    fn tidy_tokens(&mut self) {
        if self.cache.tokens.len() > 2 * self.cache.payloads + 1_024 {
            let groups = &self.groups;
            self.cache.tokens.retain(|(stamp, id)| {
                let front = groups.get(id).and_then(|group| group.recent.front());
                front.is_some_and(|(oldest, _)| oldest <= stamp)
            });
        }
    }

    /// Drops the oldest payloads beyond the bound; those that aren't on disk yet stay.
    pub(super) fn evict(&mut self, bytes_max: usize) {
        while self.cache.bytes > bytes_max {
            match self.cache.tokens.front() {
                Some((stamp, _)) if *stamp <= self.written => {}
                _ => return,
            }
            let Some((stamp, id)) = self.cache.tokens.pop_front() else { return };
            let Some(group) = self.groups.get_mut(&id) else { continue };
            if group.recent.front().is_some_and(|(front, _)| *front == stamp)
                && let Some((_, payload)) = group.recent.pop_front()
            {
                self.cache.payloads -= 1;
                self.cache.bytes -= payload.len();
            }
        }
    }
}
