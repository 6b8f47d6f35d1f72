//! What a partition's leader replicates: the effects of many writes, in one log entry.
//!
//! ```text
//! format (1) | purge below (varint) | effects (varint) | effect…
//! effect: flags (1) | request id (16) | hybrid time | item version (varint) | item key (field)
//!         | bytes gained or lost (signed) | [stored item (field), unless removed]
//!         | [length of the collection key (varint), with local indexes]
//!         | [index changes (varint) | index change…, with local indexes] | remembered answer (field)
//! index change: ordinal (1) | tag (1) | bytes gained or lost (signed) | index key (field) | [stored entry (field)]
//! ```
//! A hybrid time is 8 bytes in format 1, and in format 2 its difference to the one before it in the command (signed).
//! Numbers are big-endian; a field is its length (varint) and its bytes. Final values only: nothing here is evaluated
//! again, so replicas can't differ by a bug in an expression.

use super::wire::{Malformed, Reader, put_field, put_signed, put_varint};
use breakwater_types::formats::NEWEST;
use bytes::Bytes;

const FORMAT_1: u8 = 1;
const FORMAT_2: u8 = 2;

const KIND: u8 = 0b011;
const INDEXED: u8 = 0b100;

const TAG_REMOVE: u8 = 0;
const TAG_INSERT: u8 = 1;
const TAG_REPLACE: u8 = 2;
/// The entry's value is the item's value: an index that projects everything.
const TAG_WHOLE_ITEM: u8 = 4;

/// What happened to an item; the numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ChangeKind {
    Insert = 0,
    Modify = 1,
    Remove = 2,
}

impl ChangeKind {
    pub fn from_stored(n: u8) -> Option<Self> {
        [ChangeKind::Insert, ChangeKind::Modify, ChangeKind::Remove].into_iter().find(|kind| *kind as u8 == n)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Journal records that end before this sequence number are dropped. The leader's choice, so that replicas with
    /// different settings keep the same.
    pub purge_below: u64,
    pub effects: Vec<Effects>,
}

/// One write, evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects {
    pub request_id: u128,
    pub hlc: u64,
    /// Of the item, after the write.
    pub item_version: u64,
    pub key: Bytes,
    pub change: Change,
    /// Bytes that the table gains, as AWS counts an item.
    pub bytes_delta: i64,
    /// Only where the table has local indexes.
    pub indexed: Option<Indexed>,
    /// What a retry of this request is answered.
    pub answer: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Insert(Bytes),
    Modify(Bytes),
    Remove,
}

impl Change {
    pub fn kind(&self) -> ChangeKind {
        match self {
            Change::Insert(_) => ChangeKind::Insert,
            Change::Modify(_) => ChangeKind::Modify,
            Change::Remove => ChangeKind::Remove,
        }
    }
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Change::Insert(value) | Change::Modify(value) => Some(value),
            Change::Remove => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed {
    /// This many first bytes of the item key are its collection's key.
    pub collection_key_length: usize,
    pub entries: Vec<IndexChange>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexChange {
    pub index: u8,
    pub key: Bytes,
    pub bytes_delta: i64,
    pub entry: EntryChange,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryChange {
    Insert(EntryValue),
    Replace(EntryValue),
    Remove,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryValue {
    /// As the item itself is stored.
    WholeItem,
    Projected(Bytes),
}

impl Effects {
    /// At least as many as encoding takes.
    pub fn encoded_bytes_max(&self) -> usize {
        let indexes = self.indexed.iter().flat_map(|indexed| &indexed.entries);
        let indexes = indexes.map(|change| {
            32 + change.key.len()
                + match &change.entry {
                    EntryChange::Insert(EntryValue::Projected(value))
                    | EntryChange::Replace(EntryValue::Projected(value)) => value.len(),
                    _ => 0,
                }
        });
        72 + self.key.len() + self.change.value().map_or(0, Bytes::len) + self.answer.len() + indexes.sum::<usize>()
    }

    fn encode(&self, format: u8, hlc_before: u64, out: &mut Vec<u8>) {
        out.push(self.change.kind() as u8 | if self.indexed.is_some() { INDEXED } else { 0 });
        out.extend_from_slice(&self.request_id.to_be_bytes());
        match format {
            FORMAT_1 => out.extend_from_slice(&self.hlc.to_be_bytes()),
            _ => put_signed(out, self.hlc.wrapping_sub(hlc_before) as i64),
        }
        put_varint(out, self.item_version);
        put_field(out, &self.key);
        put_signed(out, self.bytes_delta);
        if let Some(value) = self.change.value() {
            put_field(out, value);
        }
        if let Some(indexed) = &self.indexed {
            put_varint(out, indexed.collection_key_length as u64);
            put_varint(out, indexed.entries.len() as u64);
            for change in &indexed.entries {
                change.encode(out);
            }
        }
        put_field(out, &self.answer);
    }

    fn decode(format: u8, hlc_before: u64, reader: &mut Reader) -> Result<Self, Malformed> {
        let flags = reader.byte()?;
        let kind = ChangeKind::from_stored(flags & KIND);
        let Some(kind) = kind.filter(|_| flags & !(KIND | INDEXED) == 0) else {
            return Err(format!("unknown flags {flags:#x}"));
        };
        let request_id = reader.u128()?;
        let hlc = match format {
            FORMAT_1 => reader.u64()?,
            _ => hlc_before.wrapping_add(reader.signed()? as u64),
        };
        let item_version = reader.varint()?;
        let key = reader.field()?;
        let bytes_delta = reader.signed()?;
        let change = match kind {
            ChangeKind::Insert => Change::Insert(reader.field()?),
            ChangeKind::Modify => Change::Modify(reader.field()?),
            ChangeKind::Remove => Change::Remove,
        };
        let mut indexed = None;
        if flags & INDEXED != 0 {
            let length = reader.varint()?;
            if length > key.len() as u64 {
                return Err("a collection key is longer than its item's".to_owned());
            }
            let count = reader.count(4)?;
            let mut entries = Vec::with_capacity(count);
            for _ in 0..count {
                entries.push(IndexChange::decode(reader)?);
            }
            indexed = Some(Indexed { collection_key_length: length as usize, entries });
        }
        let answer = reader.field()?;
        Ok(Effects { request_id, hlc, item_version, key, change, bytes_delta, indexed, answer })
    }
}

impl IndexChange {
    fn encode(&self, out: &mut Vec<u8>) {
        let (tag, value) = match &self.entry {
            EntryChange::Remove => (TAG_REMOVE, None),
            EntryChange::Insert(value) => (TAG_INSERT, Some(value)),
            EntryChange::Replace(value) => (TAG_REPLACE, Some(value)),
        };
        let whole = matches!(value, Some(EntryValue::WholeItem));
        out.push(self.index);
        out.push(tag | if whole { TAG_WHOLE_ITEM } else { 0 });
        put_signed(out, self.bytes_delta);
        put_field(out, &self.key);
        if let Some(EntryValue::Projected(value)) = value {
            put_field(out, value);
        }
    }

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let index = reader.byte()?;
        let tag = reader.byte()?;
        let bytes_delta = reader.signed()?;
        let key = reader.field()?;
        let entry = match tag {
            TAG_REMOVE => EntryChange::Remove,
            TAG_INSERT => EntryChange::Insert(EntryValue::Projected(reader.field()?)),
            TAG_REPLACE => EntryChange::Replace(EntryValue::Projected(reader.field()?)),
            t if t == TAG_INSERT | TAG_WHOLE_ITEM => EntryChange::Insert(EntryValue::WholeItem),
            t if t == TAG_REPLACE | TAG_WHOLE_ITEM => EntryChange::Replace(EntryValue::WholeItem),
            other => return Err(format!("unknown index change {other}")),
        };
        Ok(IndexChange { index, key, bytes_delta, entry })
    }
}

impl Command {
    /// In the cluster's active format.
    pub fn encode(&self, active: u32) -> Bytes {
        let format = if active >= 2 { FORMAT_2 } else { FORMAT_1 };
        let mut out = Vec::with_capacity(24 + self.effects.iter().map(Effects::encoded_bytes_max).sum::<usize>());
        out.push(format);
        put_varint(&mut out, self.purge_below);
        put_varint(&mut out, self.effects.len() as u64);
        let mut hlc = 0;
        for effects in &self.effects {
            effects.encode(format, hlc, &mut out);
            hlc = effects.hlc;
        }
        Bytes::from(out)
    }

    /// Total; what it returns shares the command's memory.
    pub fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes.clone());
        let format = reader.byte()?;
        if format < FORMAT_1 || u32::from(format) > NEWEST {
            return Err(format!("command of format {format}, we know {FORMAT_1} to {NEWEST}"));
        }
        let purge_below = reader.varint()?;
        let count = reader.count(21)?;
        let mut effects: Vec<Effects> = Vec::with_capacity(count);
        for _ in 0..count {
            let hlc_before = effects.last().map_or(0, |effects| effects.hlc);
            effects.push(Effects::decode(format, hlc_before, &mut reader)?);
        }
        reader.end()?;
        Ok(Command { purge_below, effects })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    fn index_change() -> impl Strategy<Value = IndexChange> {
        let value = || prop_oneof![Just(EntryValue::WholeItem), bytes().prop_map(EntryValue::Projected)];
        let entry = prop_oneof![
            Just(EntryChange::Remove),
            value().prop_map(EntryChange::Insert),
            value().prop_map(EntryChange::Replace)
        ];
        (any::<u8>(), bytes(), any::<i64>(), entry).prop_map(|(index, key, bytes_delta, entry)| IndexChange {
            index,
            key,
            bytes_delta,
            entry,
        })
    }

    fn effects() -> impl Strategy<Value = Effects> {
        let change =
            prop_oneof![bytes().prop_map(Change::Insert), bytes().prop_map(Change::Modify), Just(Change::Remove)];
        let indexed = proptest::option::of((0usize..=8, vec(index_change(), 0..4)));
        let key = vec(any::<u8>(), 8..40).prop_map(Bytes::from);
        (any::<u128>(), any::<u64>(), any::<u64>(), key, change, any::<i64>(), indexed, bytes()).prop_map(
            |(request_id, hlc, item_version, key, change, bytes_delta, indexed, answer)| Effects {
                request_id,
                hlc,
                item_version,
                key,
                change,
                bytes_delta,
                indexed: indexed.map(|(collection_key_length, entries)| Indexed { collection_key_length, entries }),
                answer,
            },
        )
    }

    proptest! {
        #[test]
        fn commands_read_back(purge_below: u64, effects in vec(effects(), 0..5)) {
            let command = Command { purge_below, effects };
            for active in 1..=NEWEST {
                prop_assert_eq!(&Command::decode(&command.encode(active)).unwrap(), &command);
            }
        }

        #[test]
        fn any_bytes_are_a_command_or_an_error(mut bytes in vec(any::<u8>(), 0..200), format in 0u8..4) {
            if !bytes.is_empty() {
                bytes[0] = format;
            }
            let _ = Command::decode(&Bytes::from(bytes));
        }

        #[test]
        fn a_cut_command_is_refused(effects in vec(effects(), 1..3), format in 1..=NEWEST, cut: prop::sample::Index) {
            let bytes = Command { purge_below: 1, effects }.encode(format);
            prop_assert!(Command::decode(&bytes.slice(..cut.index(bytes.len()))).is_err());
        }
    }
}
