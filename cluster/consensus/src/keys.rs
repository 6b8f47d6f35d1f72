//! Where a group's state stands in the store.
//!
//! `group (8) | generation (4) | 0` is the applied record, `group | generation | 1 | …` the state machine's keys.
//! A snapshot is installed under a new generation; one write of the pointer `group | ff ff ff ff` makes it the
//! group's state.

use breakwater_storage::KeyRange;
use breakwater_types::GroupId;

/// The first bytes of all keys of one generation of a group's state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPrefix {
    bytes: [u8; 13],
}

impl KeyPrefix {
    pub fn new(group: GroupId, generation: u32) -> Self {
        let mut bytes = [0; 13];
        bytes[..8].copy_from_slice(&group.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&generation.to_be_bytes());
        bytes[12] = 1;
        KeyPrefix { bytes }
    }
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
    pub fn key(&self, rest: &[u8]) -> Vec<u8> {
        [&self.bytes[..], rest].concat()
    }
    pub(crate) fn generation(&self) -> u32 {
        u32::from_be_bytes([self.bytes[8], self.bytes[9], self.bytes[10], self.bytes[11]])
    }
    pub(crate) fn applied(&self) -> Vec<u8> {
        let mut key = self.bytes.to_vec();
        key[12] = 0;
        key
    }
    /// The state machine's keys.
    pub fn range(&self) -> KeyRange {
        let mut end = self.bytes.to_vec();
        end[12] = 2;
        KeyRange { start: self.bytes.to_vec(), end: Some(end) }
    }
}

/// The first generation that no snapshot may use.
pub(crate) const POINTER_GENERATION: u32 = u32::MAX;

pub(crate) fn pointer(group: GroupId) -> Vec<u8> {
    let mut key = group.0.to_be_bytes().to_vec();
    key.extend_from_slice(&POINTER_GENERATION.to_be_bytes());
    key
}

/// Everything of one generation, the applied record included.
pub(crate) fn generation_range(group: GroupId, generation: u32) -> KeyRange {
    let mut start = group.0.to_be_bytes().to_vec();
    let mut end = start.clone();
    start.extend_from_slice(&generation.to_be_bytes());
    end.extend_from_slice(&generation.saturating_add(1).to_be_bytes());
    KeyRange { start, end: Some(end) }
}

/// Everything of a group.
pub(crate) fn group_range(group: GroupId) -> KeyRange {
    KeyRange { start: group.0.to_be_bytes().to_vec(), end: Some((group.0 + 1).to_be_bytes().to_vec()) }
}
