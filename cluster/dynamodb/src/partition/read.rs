//! Reads: from requests to byte ranges.

use super::current::{self, Current};
use super::page::{PAGE_BYTES_MAX, Reading, View};
use super::{Partition, layout, storage_error};
use crate::rpc::{
    GetRead, GotItem, PartitionError, PartitionRequest, PartitionResponse, QueryRead, ScanRead, StartKey,
};
use breakwater_consensus::KeyPrefix;
use breakwater_items::expression::RangeCondition;
use breakwater_items::key::{self, PrimaryKey};
use breakwater_items::schema::LocalIndex;
use breakwater_storage::{Direction, KeyRange};
use std::ops::Bound;

/// Snapshots that are installed one after the other while one request reads: not seen in nature.
const READS_MAX: usize = 8;

const OUTSIDE: &str = "The provided starting key is outside query boundaries based on provided conditions";
const NO_MATCH: &str = "The provided starting key does not match the range key predicate";
const BAD_START: &str = "The provided starting key is invalid";

fn invalid(message: &str) -> PartitionError {
    PartitionError::Validation(message.to_owned())
}

impl Partition {
    /// Answers a get, query or scan from what this replica has. Blocks on the store. For a consistent one the
    /// caller has confirmed leadership first.
    ///
    /// `prefix` says where the replica's state stands now: when it moves in the middle, because a snapshot was
    /// installed, what was read may be half deleted, and is read again.
    pub fn read(
        &self,
        prefix: impl Fn() -> KeyPrefix,
        request: &PartitionRequest,
    ) -> Result<PartitionResponse, PartitionError> {
        for _ in 0..READS_MAX {
            let at = prefix();
            let answer = match request {
                PartitionRequest::Get(get) => self.get(&at, get).map(PartitionResponse::Get),
                PartitionRequest::Query(query) => self.query(&at, query).map(PartitionResponse::Page),
                PartitionRequest::Scan(scan) => self.scan(&at, scan).map(PartitionResponse::Page),
                PartitionRequest::Write(_) | PartitionRequest::BatchWrite(_) => {
                    return Err(PartitionError::NotApplied("a write is not a read".to_owned()));
                }
            };
            if prefix() == at {
                return answer;
            }
        }
        Err(PartitionError::NotApplied("snapshots are being installed".to_owned()))
    }

    fn get(&self, prefix: &KeyPrefix, get: &GetRead) -> Result<Vec<GotItem>, PartitionError> {
        let one = |primary: &PrimaryKey| {
            current::check_key(self.schema(), primary)?;
            let key = key::item_key(self.hash_of(primary)?, primary);
            let stored = self.machine.store().get(&layout::item(prefix, &key)).map_err(storage_error)?;
            let Some(stored) = stored else { return Ok(GotItem { item: None, size_bytes: 0 }) };
            let found = Current::read(&stored)?;
            let item = match &get.projection {
                Some(projection) => projection.project(&found.item),
                None => found.item,
            };
            Ok(GotItem { item: Some(item), size_bytes: found.size_bytes as u32 })
        };
        get.keys.iter().map(one).collect()
    }

    /// The index that is named, and that the table has.
    fn index(&self, ordinal: Option<u8>) -> Result<Option<&LocalIndex>, PartitionError> {
        let Some(ordinal) = ordinal else { return Ok(None) };
        let index = self.schema().local_indexes.get(usize::from(ordinal));
        index.map(Some).ok_or_else(|| invalid("The table does not have the specified index"))
    }

    /// Stored key of the item or index entry at which a page ended.
    fn start_bytes(
        &self,
        prefix: &KeyPrefix,
        ordinal: Option<u8>,
        start: &StartKey,
    ) -> Result<(u128, Vec<u8>), PartitionError> {
        current::check_key(self.schema(), &start.key).map_err(|_| invalid(BAD_START))?;
        let hash = key::partition_hash(&self.descriptor().salt, &start.key.hash);
        let key = match (self.index(ordinal)?, &start.index_sort) {
            (None, None) => key::item_key(hash, &start.key),
            (Some(index), Some(sort)) if index.range.key_type.matches(sort) => key::index_key(hash, &start.key, sort),
            _ => return Err(invalid(BAD_START)),
        };
        Ok((hash, [layout::head(prefix, ordinal), key].concat()))
    }

    fn query(&self, prefix: &KeyPrefix, query: &QueryRead) -> Result<crate::rpc::Page, PartitionError> {
        let index = self.index(query.index)?;
        let condition = &query.key_condition;
        let collection = PrimaryKey { hash: condition.hash.clone(), range: None };
        let hash = self.hash_of(&collection)?;
        let base = [layout::head(prefix, query.index), key::item_key(hash, &collection)].concat();
        let mut range = match &condition.range {
            Some(condition) => condition_range(&base, condition),
            None => KeyRange::prefix(&base),
        };
        if let Some(start) = &query.exclusive_start {
            let (_, bytes) = self.start_bytes(prefix, query.index, start)?;
            if start.key.hash != condition.hash {
                return Err(invalid(OUTSIDE));
            }
            let sort = if index.is_some() { start.index_sort.as_ref() } else { start.key.range.as_ref() };
            if let (Some(condition), Some(sort)) = (&condition.range, sort)
                && !condition.matches(sort)
            {
                return Err(invalid(NO_MATCH));
            }
            go_on(&mut range, query.forward, bytes);
        }
        let reading = Reading {
            range,
            direction: if query.forward { Direction::Forward } else { Direction::Backward },
            index: query.index,
            filter: query.filter.as_ref(),
            projection: query.projection.as_ref(),
            select: query.select,
            limit: query.limit,
            bytes_max: PAGE_BYTES_MAX,
        };
        self.read_page(prefix, reading)
    }

    fn scan(&self, prefix: &KeyPrefix, scan: &ScanRead) -> Result<crate::rpc::Page, PartitionError> {
        self.index(scan.index)?;
        let head = layout::head(prefix, scan.index);
        let first = scan.hash_range.0.max(self.descriptor.hash_start);
        let last = scan.hash_range.1.min(self.descriptor.hash_end);
        if first > last {
            return Ok(crate::rpc::Page::default());
        }
        let mut range = KeyRange {
            start: [&head[..], &first.to_be_bytes()].concat(),
            end: KeyRange::prefix(&[&head[..], &last.to_be_bytes()].concat()).end,
        };
        if let Some(start) = &scan.exclusive_start {
            let (hash, bytes) = self.start_bytes(prefix, scan.index, start)?;
            if !(first..=last).contains(&hash) {
                // A start in another partition: the router's map and ours differ.
                return Err(PartitionError::WrongPartition);
            }
            go_on(&mut range, true, bytes);
        }
        let reading = Reading {
            range,
            direction: Direction::Forward,
            index: scan.index,
            filter: scan.filter.as_ref(),
            projection: scan.projection.as_ref(),
            select: scan.select,
            limit: scan.limit,
            bytes_max: u64::from(scan.bytes_max).min(PAGE_BYTES_MAX),
        };
        self.read_page(prefix, reading)
    }

    fn read_page(&self, prefix: &KeyPrefix, reading: Reading<'_>) -> Result<crate::rpc::Page, PartitionError> {
        let store = &**self.machine.store();
        // An entry and its item must be of one moment, or the item may be gone when it is fetched.
        let view = match self.fetches(&reading) {
            true => View::Moment(store.snapshot().map_err(storage_error)?),
            false => View::Live(store),
        };
        self.page(prefix, &view, reading)
    }
}

/// Leaves out what came before, the start key included.
fn go_on(range: &mut KeyRange, forward: bool, mut start: Vec<u8>) {
    if forward {
        start.push(0);
        if start > range.start {
            range.start = start;
        }
    } else if range.end.as_ref().is_none_or(|end| start < *end) {
        range.end = Some(start);
    }
}

/// The keys after `base` whose next component the condition allows.
fn condition_range(base: &[u8], condition: &RangeCondition) -> KeyRange {
    let with = |value| {
        let mut key = base.to_vec();
        key::put_component(value, &mut key);
        key
    };
    if let Some(prefix) = condition.prefix() {
        // Without the two bytes that end a string: what goes on after it begins with it.
        let mut start = with(prefix);
        start.truncate(start.len().saturating_sub(2).max(base.len()));
        return KeyRange::prefix(&start);
    }
    let all = KeyRange::prefix(base);
    // Components are self-delimiting: what begins with one has that very value there.
    let after = |value| KeyRange::prefix(&with(value)).end;
    let (lower, upper) = condition.bounds();
    KeyRange {
        start: match lower {
            Bound::Included(value) => with(value),
            Bound::Excluded(value) => after(value).unwrap_or_else(|| with(value)),
            Bound::Unbounded => all.start,
        },
        end: match upper {
            Bound::Included(value) => after(value),
            Bound::Excluded(value) => Some(with(value)),
            Bound::Unbounded => all.end,
        },
    }
}
