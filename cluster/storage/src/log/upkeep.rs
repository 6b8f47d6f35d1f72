//! Segments that nobody needs go; entries of groups at rest move on, so that they don't hold old segments for ever.

use super::format::Kind;
use super::group::Place;
use super::segment::Segment;
use super::state::{State, stored_bytes};
use super::store::Shared;
use super::writer::{Placed, Writer};
use crate::error::StorageError;
use breakwater_types::GroupId;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// So many segments may lie around, however little of them is needed.
const SEGMENTS_MIN: usize = 4;
/// One drain moves at most this, so that those who wait for it hardly notice.
const MOVE_STEP_BYTES: u64 = 512 << 10;

#[derive(Default)]
pub(super) struct Upkeep {
    /// The highest sequence number of which a frame says that it is durable.
    pub(super) marked: u64,
    pub(super) written_bytes: u64,
    /// Segments that the index doesn't know yet.
    pub(super) entered: Vec<Arc<Segment>>,
    /// What is left to move out of a segment.
    moving: Option<(u32, VecDeque<(GroupId, Item)>)>,
    /// Something in this segment can't be read, so it stays.
    blocked: Option<u32>,
}

#[derive(Clone, Copy)]
enum Item {
    Entry(u64),
    Meta(u8),
}

struct Move {
    group: GroupId,
    item: Item,
    was: Place,
    term: u64,
    payload_bytes: u32,
    payload: Option<Bytes>,
}

/// Made under the lock at the moment at which the queue is taken: what is dead in it is dead by what was queued
/// before, so it may go once that is durable.
#[derive(Default)]
pub(super) struct Plan {
    trim_to: Option<u32>,
    from: Option<Arc<Segment>>,
    moves: Vec<Move>,
}

impl Plan {
    pub(super) fn is_due(&self) -> bool {
        self.trim_to.is_some() || !self.moves.is_empty()
    }
}

impl Upkeep {
    pub(super) fn plan(&mut self, state: &State, current: u32, segment_bytes: u64) -> Plan {
        let Some((&oldest, front)) = state.segments.first_key_value() else { return Plan::default() };
        if oldest >= current {
            return Plan::default();
        }
        if front.live == 0 {
            let needed = state.segments.iter().find(|(number, segment)| segment.live > 0 || **number >= current);
            return Plan { trim_to: Some(needed.map_or(current, |(number, _)| *number)), ..Plan::default() };
        }
        let live_bytes: u64 = state.segments.values().map(|segment| segment.live_bytes).sum();
        let bytes = state.segments.len() as u64 * segment_bytes;
        if state.segments.len() <= SEGMENTS_MIN || bytes < 2 * live_bytes || self.blocked == Some(oldest) {
            return Plan::default();
        }
        let list = match &mut self.moving {
            Some((number, list)) if *number == oldest => list,
            _ => &mut self.moving.insert((oldest, live_items(state, oldest))).1,
        };
        let mut moves = Vec::new();
        let mut bytes = 0;
        while bytes < MOVE_STEP_BYTES {
            let Some((group, item)) = list.pop_front() else { break };
            let Some(found) = find(state, group, item) else { continue };
            if matches!(found.was, Place::At { segment, .. } if segment == oldest) {
                bytes += stored_bytes(found.payload_bytes as usize);
                moves.push(found);
            }
        }
        if moves.is_empty() {
            // All was moved, and yet it is said to be needed: better to keep it than to lose something.
            self.blocked = Some(oldest);
        }
        Plan { trim_to: None, from: Some(front.segment.clone()), moves }
    }
}

fn live_items(state: &State, number: u32) -> VecDeque<(GroupId, Item)> {
    let here = |place: Place| matches!(place, Place::At { segment, .. } if segment == number);
    let mut items = VecDeque::new();
    for (id, group) in &state.groups {
        let entries = group.slots.iter().zip(group.first..).filter(|(slot, _)| here(slot.place));
        items.extend(entries.map(|(_, index)| (*id, Item::Entry(index))));
        let metas = group.metas.iter().filter(|(_, meta)| here(meta.place));
        items.extend(metas.map(|(key, _)| (*id, Item::Meta(*key))));
    }
    items
}

fn find(state: &State, id: GroupId, item: Item) -> Option<Move> {
    let group = state.groups.get(&id)?;
    Some(match item {
        Item::Entry(index) => {
            let slot = group.slot(index)?;
            let payload = group.cached(index).cloned();
            Move { group: id, item, was: slot.place, term: slot.term, payload_bytes: slot.payload_bytes, payload }
        }
        Item::Meta(key) => {
            let meta = group.metas.get(&key)?;
            let payload_bytes = meta.value.len() as u32;
            Move { group: id, item, was: meta.place, term: 0, payload_bytes, payload: Some(meta.value.clone()) }
        }
    })
}

impl Writer {
    /// Returns the segment from which on all is needed, if that changes; it has to be synced, then `trim` follows.
    pub(super) fn put_upkeep(&mut self, plan: &Plan) -> Result<Option<u32>, StorageError> {
        for one in &plan.moves {
            let (index, key, kind) = match one.item {
                Item::Entry(index) => (index, 0, Kind::Moved),
                Item::Meta(key) => (0, key, Kind::Meta),
            };
            let payload = match (&one.payload, one.was, &plan.from) {
                (Some(payload), _, _) => payload.clone(),
                (None, Place::At { offset, .. }, Some(from)) => {
                    match from.read_entry(offset, one.payload_bytes, one.group.0, index, one.term) {
                        Ok(payload) => payload,
                        Err(e) => {
                            tracing::error!(error = %e, group = %one.group, index, "an entry can't be moved");
                            self.upkeep.blocked = Some(from.header.number);
                            continue;
                        }
                    }
                }
                (None, ..) => continue,
            };
            let at = self.put(kind, key, one.group.0, index, one.term, &payload)?;
            let what = match one.item {
                Item::Entry(index) => Placed::Entry(index),
                Item::Meta(key) => Placed::Meta(key),
            };
            self.placed(one.group, what, one.was, at);
        }
        if let Some(oldest) = plan.trim_to {
            self.put(Kind::Trim, 0, 0, u64::from(oldest), 0, &[])?;
        }
        Ok(plan.trim_to)
    }

    /// Removes the segments before `oldest`. That nobody needs them is durable, so one that stays is no harm.
    pub(super) fn trim(&mut self, shared: &Shared, oldest: u32) {
        let gone = {
            let mut state = shared.state.lock();
            let needed = state.segments.split_off(&oldest);
            std::mem::replace(&mut state.segments, needed)
        };
        self.oldest = oldest;
        for segment in gone.values() {
            if let Err(e) = self.disk.remove(&segment.segment.path) {
                tracing::warn!(error = %e, path = %segment.segment.path.display(), "an old log segment stays");
            }
        }
    }
}
