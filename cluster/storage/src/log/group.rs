//! What memory keeps of one group: where its entries are, the newest of them, its small records.

use super::LogBounds;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Names one write in the queue, in order.
pub(super) type Stamp = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Not on disk yet; memory has it.
    Queued(Stamp),
    At {
        segment: u32,
        offset: u32,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) term: u64,
    pub(super) payload_bytes: u32,
    pub(super) place: Place,
}

pub(super) struct Meta {
    pub(super) value: Bytes,
    pub(super) place: Place,
}

#[derive(Default)]
pub(super) struct Group {
    /// The index of `slots[0]`.
    pub(super) first: u64,
    pub(super) slots: VecDeque<Slot>,
    /// The payloads of the last entries; never of more than there are slots, always of those that are queued.
    pub(super) recent: VecDeque<(Stamp, Bytes)>,
    pub(super) metas: BTreeMap<u8, Meta>,
    /// Every entry up to here is gone.
    pub(super) purged: u64,
}

impl Group {
    /// The index after the last entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }
    pub(super) fn slot(&self, index: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }
    pub(super) fn slot_mut(&mut self, index: u64) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }
    pub(super) fn cached(&self, index: u64) -> Option<&Bytes> {
        let recent_first = self.end() - self.recent.len() as u64;
        Some(&self.recent.get(usize::try_from(index.checked_sub(recent_first)?).ok()?)?.1)
    }
    pub(super) fn bounds(&self) -> LogBounds {
        let last = self.slots.back();
        LogBounds {
            first: last.map(|_| self.first),
            last: last.map(|_| self.end() - 1),
            last_term: last.map(|slot| slot.term),
            purged: self.purged,
        }
    }

    /// Drops the entries after `index`; `gone` is told of each, and of the cached bytes that went with it.
    pub(super) fn truncate_after(&mut self, index: u64, mut gone: impl FnMut(Slot, usize)) {
        while self.end() > index.saturating_add(1) {
            let Some(slot) = self.slots.pop_back() else { break };
            let cached = self.recent.pop_back().map_or(0, |(_, payload)| payload.len());
            gone(slot, cached);
        }
    }

    pub(super) fn purge_to(&mut self, index: u64, mut gone: impl FnMut(Slot, usize)) {
        self.purged = self.purged.max(index);
        while self.first <= index {
            let cached = if self.recent.len() == self.slots.len() { self.recent.pop_front() } else { None };
            let Some(slot) = self.slots.pop_front() else { break };
            self.first += 1;
            gone(slot, cached.map_or(0, |(_, payload)| payload.len()));
        }
        if self.slots.is_empty() {
            self.first = self.purged.saturating_add(1);
        }
    }
}
