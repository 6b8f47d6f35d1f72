//! What a router and a replica of a partition say to each other; bytes by [`encode`] and [`decode`].
//!
//! A wire type, never stored. The shapes may only grow together with [`VERSION`].

use breakwater_items::expression::{Condition, KeyCondition, Projection, Update};
use breakwater_items::key::PrimaryKey;
use breakwater_items::schema::TableSchema;
use breakwater_items::{AttributeValue, Item};
use breakwater_types::{GroupId, NodeName, Scope};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The first byte of every message.
pub const VERSION: u8 = 1;

/// Everything a replica must know of its partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionDescriptor {
    pub scope: Scope,
    pub table_name: String,
    pub table_id: Uuid,
    pub group: GroupId,
    pub ordinal: u32,
    pub schema: TableSchema,
    pub salt: [u8; 16],
    /// Inclusive.
    pub hash_start: u128,
    /// Inclusive.
    pub hash_end: u128,
}

/// A request with the table it is meant for: a partition of another table refuses it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionCall {
    pub table_id: Uuid,
    pub request: PartitionRequest,
}

/// The answer on the wire.
pub type PartitionAnswer = Result<PartitionResponse, PartitionError>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PartitionRequest {
    Get(GetRead),
    Write(ItemWrite),
    /// Each write stands or fails alone; every answer has its place in [`PartitionResponse::BatchWrite`].
    BatchWrite(Vec<ItemWrite>),
    Query(QueryRead),
    Scan(ScanRead),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GetRead {
    pub keys: Vec<PrimaryKey>,
    pub projection: Option<Projection>,
    /// False: any replica may answer from what it has.
    pub consistent: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemWrite {
    /// Random, chosen once for each write of a client; an internal retry carries the same one.
    pub request_id: u128,
    /// Time since this write was first sent to any replica, by the sender's monotonic clock: 0 in the first attempt,
    /// and as long as every attempt so far is known not to have been applied. A retry that is older than what the
    /// partition remembers is refused as [`PartitionError::Unknown`], never applied a second time.
    pub age_ms: u32,
    pub action: WriteAction,
    pub condition: Option<Condition>,
    pub return_values: ReturnValues,
    /// ReturnValuesOnConditionCheckFailure = ALL_OLD.
    pub return_on_condition_failure: bool,
    /// ReturnItemCollectionMetrics = SIZE.
    pub want_collection_metrics: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WriteAction {
    /// The key is taken from the item.
    Put {
        item: Item,
    },
    /// Creates the item where there is none, as AWS does.
    Update {
        key: PrimaryKey,
        update: Update,
    },
    Delete {
        key: PrimaryKey,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReturnValues {
    #[default]
    None,
    AllOld,
    UpdatedOld,
    AllNew,
    UpdatedNew,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Select {
    /// Whole items; of an index, too: what it doesn't hold is fetched from the table.
    #[default]
    All,
    /// What the index holds.
    Projected,
    /// What the projection says; of an index, what it doesn't hold is fetched from the table.
    Specific,
    Count,
}

/// Where a page ended: the key of the last item examined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartKey {
    pub key: PrimaryKey,
    /// The value of the index's sort key, where an index was read.
    pub index_sort: Option<AttributeValue>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueryRead {
    /// Ordinal of a local index in the schema.
    pub index: Option<u8>,
    pub key_condition: KeyCondition,
    pub filter: Option<Condition>,
    pub projection: Option<Projection>,
    pub select: Select,
    pub forward: bool,
    /// Items examined at most.
    pub limit: Option<u32>,
    pub exclusive_start: Option<StartKey>,
    pub consistent: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScanRead {
    pub index: Option<u8>,
    pub filter: Option<Condition>,
    pub projection: Option<Projection>,
    pub select: Select,
    pub limit: Option<u32>,
    /// Bytes that this page may still examine: what is left of 1 MB after earlier partitions of the same page.
    pub bytes_max: u32,
    pub exclusive_start: Option<StartKey>,
    /// The hashes to read, inclusive at both ends: a segment of a parallel scan, or `0..=u128::MAX`. The partition
    /// reads what it owns of them.
    pub hash_range: (u128, u128),
    pub consistent: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PartitionResponse {
    /// One for each key, in the request's order.
    Get(Vec<GotItem>),
    Write(WriteDone),
    BatchWrite(Vec<Result<WriteDone, PartitionError>>),
    Page(Page),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GotItem {
    /// With the projection done; absent where the key has no item.
    pub item: Option<Item>,
    /// Of the whole item, in bytes as AWS counts them; 0 where there is none (which costs the minimum).
    pub size_bytes: u32,
}

/// What a write did, and what the front needs to say what it cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WriteDone {
    /// As `return_values` asked; absent where AWS sends none.
    pub attributes: Option<Item>,
    /// Absent: there was no item.
    pub old_size_bytes: Option<u32>,
    /// Absent: there is no item now.
    pub new_size_bytes: Option<u32>,
    /// The table costs what the larger of old and new item costs; each index on its own.
    pub indexes: Vec<IndexWrite>,
    /// Bytes of all items and index entries with this hash key; where it was asked for and the table has local indexes.
    pub collection_size_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexWrite {
    /// Ordinal of the local index in the schema.
    pub index: u8,
    /// Write capacity units: 0 where the entry stays as it was.
    pub units: u32,
}

/// A page of a query or a scan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Empty for [`Select::Count`].
    pub items: Vec<Item>,
    /// Items that passed the filter.
    pub count: u32,
    /// Items examined.
    pub scanned_count: u32,
    /// Present where the page was ended by its limit or by 1 MB, even if nothing follows.
    pub last_evaluated: Option<StartKey>,
    /// Why the page ended, where `last_evaluated` is present.
    pub ended_by: Option<PageEnd>,
    /// Bytes examined in what was read: the table, or the index where one was named. The sum is rounded up to 4 KB.
    pub examined_bytes: u64,
    /// Fetches from the table for an index's entries: each item rounded up to 4 KB by itself, in units of 4 KB.
    pub fetched_blocks: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageEnd {
    Limit,
    Bytes,
}

/// Why a partition did not do what it was asked, cut by what the router can do about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum PartitionError {
    /// Nothing was done; ask the leader.
    #[error("not the leader of the partition (term {term})")]
    NotLeader { leader: Option<NodeName>, term: u64 },
    /// Nothing was done; the partition map is old.
    #[error("the partition does not own this key")]
    WrongPartition,
    #[error("The conditional request failed")]
    ConditionalCheckFailed { item: Option<Item> },
    /// AWS's ValidationException with its message.
    #[error("{0}")]
    Validation(String),
    #[error("Collection size exceeded.")]
    ItemCollectionSizeLimitExceeded,
    /// Too much to do; nothing was done.
    #[error("throttled")]
    Throttled,
    /// Nothing was done; safe to try again.
    #[error("not applied: {0}")]
    NotApplied(String),
    /// It may or may not be done, now or later.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// This replica has stopped; another may answer.
    #[error("the replica has stopped: {0}")]
    Stopped(String),
}

#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("message of version {0}, we know {VERSION}")]
    Version(u8),
    #[error("malformed message: {0}")]
    Malformed(String),
}

/// A message as bytes: [`PartitionCall`] or [`PartitionAnswer`].
pub fn encode<T: Serialize>(message: &T) -> Result<bytes::Bytes, CodecError> {
    postcard::to_extend(message, vec![VERSION])
        .map(bytes::Bytes::from)
        .map_err(|e| CodecError::Malformed(e.to_string()))
}

/// Total: whatever the bytes are, an error or a message, and nothing left over.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (version, rest) = bytes.split_first().ok_or_else(|| CodecError::Malformed("empty".to_owned()))?;
    if *version != VERSION {
        return Err(CodecError::Version(*version));
    }
    let malformed = |e: postcard::Error| CodecError::Malformed(e.to_string());
    let mut reader = postcard::Deserializer::from_flavor(Bounded { rest, stack_start: stack_pointer() });
    let message = T::deserialize(&mut reader).map_err(malformed)?;
    let left = reader.finalize().map_err(malformed)?;
    if left == 0 { Ok(message) } else { Err(CodecError::Malformed(format!("{left} bytes left over"))) }
}

/// What reading a message may take of a thread's stack (2 MB for a thread of the runtime). An expression's 300 operators
/// fit where they all nest.
const STACK_BYTES_MAX: usize = 768 << 10;

/// About where the stack ends now. An address as a number, never followed.
#[inline(never)]
fn stack_pointer() -> usize {
    let here = 0u8;
    std::hint::black_box(&raw const here) as usize
}

/// Bytes of a message; refuses to go on where its nesting has taken too much of the stack. Conditions and operands
/// nest without end as far as their types go, one byte a level.
struct Bounded<'de> {
    rest: &'de [u8],
    stack_start: usize,
}

impl<'de> postcard::de_flavors::Flavor<'de> for Bounded<'de> {
    /// Bytes left over.
    type Remainder = usize;
    type Source = &'de [u8];

    fn pop(&mut self) -> postcard::Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.rest = rest;
        // A variant's number or a length: every level reads one.
        if self.stack_start.abs_diff(stack_pointer()) > STACK_BYTES_MAX {
            return Err(postcard::Error::SerdeDeCustom);
        }
        Ok(*first)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }

    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'de [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.rest = rest;
        Ok(taken)
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_items::expression::Path;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn call(condition: Condition) -> PartitionCall {
        let item = Item::from([("h".to_owned(), AttributeValue::S("x".to_owned()))]);
        let write = ItemWrite {
            request_id: 1,
            age_ms: 0,
            action: WriteAction::Put { item },
            condition: Some(condition),
            return_values: ReturnValues::AllOld,
            return_on_condition_failure: true,
            want_collection_metrics: false,
        };
        PartitionCall { table_id: Uuid::from_u128(3), request: PartitionRequest::Write(write) }
    }

    fn nested(levels: usize) -> Condition {
        (0..levels).fold(Condition::Exists(Path::attribute("a")), |inner, _| Condition::Not(Box::new(inner)))
    }

    #[test]
    fn a_call_reads_back_and_nothing_may_follow_it() {
        let call = call(nested(300));
        let bytes = encode(&call).unwrap();
        assert_eq!(decode::<PartitionCall>(&bytes).unwrap(), call);
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(decode::<PartitionCall>(&longer), Err(CodecError::Malformed(_))));
        let newer = [&[VERSION + 1], &bytes[1..]].concat();
        assert!(matches!(decode::<PartitionCall>(&newer), Err(CodecError::Version(_))));
        assert!(matches!(decode::<PartitionCall>(&[]), Err(CodecError::Malformed(_))));
    }

    #[test]
    fn a_million_levels_are_refused_before_the_stack_ends() {
        let not = encode(&nested(1)).unwrap()[1];
        let mut bytes = vec![not; 1 << 20];
        bytes[0] = VERSION;
        assert!(matches!(decode::<Condition>(&bytes), Err(CodecError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(mut bytes in vec(any::<u8>(), 0..300)) {
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            let _ = decode::<PartitionCall>(&bytes);
            let _ = decode::<PartitionAnswer>(&bytes);
        }

        #[test]
        fn a_changed_byte_never_panics(at: prop::sample::Index, byte: u8) {
            let mut bytes = encode(&call(nested(3))).unwrap().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode::<PartitionCall>(&bytes);
        }
    }
}
