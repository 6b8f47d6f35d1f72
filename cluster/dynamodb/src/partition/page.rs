//! One page of a query or a scan: what is examined, kept, counted, and where it ends.
//!
//! A page ends after the item with which the examined data reaches 1 MB, or with the last of `Limit` examined items,
//! whether or not anything follows; either way the last examined item's key says where to go on.
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html)

use super::shape::{self, Current};
use super::{Partition, layout, storage_error};
use crate::rpc::{Page, PageEnd, PartitionError, Select, StartKey};
use breakwater_consensus::KeyPrefix;
use breakwater_items::Item;
use breakwater_items::expression::{Condition, Projection};
use breakwater_storage::{Direction, KeyRange, SnapshotView};

/// Bytes examined for a page.
pub const PAGE_BYTES_MAX: u64 = 1 << 20;
const BLOCK_BYTES: u64 = 4 << 10;

/// What to read and what to keep of it.
pub struct Reading<'a> {
    pub range: KeyRange,
    pub direction: Direction,
    pub index: Option<u8>,
    pub filter: Option<&'a Condition>,
    pub projection: Option<&'a Projection>,
    pub select: Select,
    pub limit: Option<u32>,
    pub bytes_max: u64,
}

impl Partition {
    pub(super) fn page(
        &self,
        prefix: &KeyPrefix,
        view: &dyn SnapshotView,
        reading: Reading<'_>,
    ) -> Result<Page, PartitionError> {
        let mut page = Page::default();
        if reading.range.is_empty() || reading.limit == Some(0) {
            return Ok(page);
        }
        let fetches = self.fetches(&reading);
        for entry in view.scan(reading.range.clone(), reading.direction).map_err(storage_error)? {
            let (_, value) = entry.map_err(storage_error)?;
            let examined = Current::open(value)?;
            page.scanned_count += 1;
            page.examined_bytes += examined.size_bytes() as u64;
            let whole = match fetches {
                true => Some(self.fetch(prefix, view, examined.item()?, &mut page)?),
                false => None,
            };
            let item = match &whole {
                Some(whole) => whole,
                None => examined.item()?,
            };
            let ended_by = match () {
                () if reading.limit.is_some_and(|limit| page.scanned_count >= limit) => Some(PageEnd::Limit),
                () if page.examined_bytes >= reading.bytes_max => Some(PageEnd::Bytes),
                () => None,
            };
            if ended_by.is_some() {
                page.last_evaluated = Some(self.start_key(reading.index, item)?);
                page.ended_by = ended_by;
            }
            let kept = match reading.filter {
                Some(filter) => shape::holds(filter, Some(item))?,
                None => true,
            };
            if kept {
                page.count += 1;
                if reading.select != Select::Count {
                    let item = match reading.projection {
                        Some(projection) => shape::project(projection, item),
                        None => item.clone(),
                    };
                    page.items.push(item);
                }
            }
            if page.ended_by.is_some() {
                break;
            }
        }
        Ok(page)
    }

    /// Whether the index's entries alone can't answer.
    fn fetches(&self, reading: &Reading<'_>) -> bool {
        let Some(index) = reading.index.and_then(|index| self.schema().local_indexes.get(usize::from(index))) else {
            return false;
        };
        if shape::projects_all(index) {
            return false;
        }
        match reading.select {
            Select::All => true,
            Select::Projected | Select::Count => false,
            Select::Specific => reading.projection.is_some_and(|p| !shape::index_holds(self.schema(), index, p)),
        }
    }

    fn fetch(
        &self,
        prefix: &KeyPrefix,
        view: &dyn SnapshotView,
        entry: &Item,
        page: &mut Page,
    ) -> Result<Item, PartitionError> {
        let key = self.item_key(&shape::key_of_item(self.schema(), entry)?)?;
        let stored = view.get(&layout::item(prefix, &key)).map_err(storage_error)?;
        // An index entry without its item would be our own fault, and it is written in the same batch.
        let stored = stored.ok_or_else(|| PartitionError::Stopped("an index entry has no item".to_owned()))?;
        let whole = Current::open(stored)?;
        page.fetched_blocks += (whole.size_bytes() as u64).div_ceil(BLOCK_BYTES).max(1);
        whole.into_item()
    }

    fn start_key(&self, index: Option<u8>, item: &Item) -> Result<StartKey, PartitionError> {
        let key = shape::key_of_item(self.schema(), item)?;
        let index = index.and_then(|index| self.schema().local_indexes.get(usize::from(index)));
        let index_sort = index.and_then(|index| shape::index_sort(index, item).cloned());
        Ok(StartKey { key, index_sort })
    }
}
