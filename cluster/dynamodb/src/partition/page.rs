//! One page of a query or a scan: what is examined, kept and counted, and where it ends.
//!
//! A page ends after the item with which the examined data reaches 1 MB, or with the last of `Limit` examined items,
//! whether or not anything follows; either way the last examined item's key says where to go on.
//! (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html)

use super::current::{self, Current};
use super::{Partition, layout, storage_error};
use crate::rpc::{Page, PageEnd, PartitionError, Select, StartKey};
use breakwater_consensus::KeyPrefix;
use breakwater_items::expression::{Condition, Projection};
use breakwater_items::schema::LocalIndex;
use breakwater_items::{Item, key};
use breakwater_storage::{Direction, Engine, KeyRange, Scan, SnapshotView, StorageError};
use bytes::Bytes;

/// Bytes examined for a page.
pub const PAGE_BYTES_MAX: u64 = 1 << 20;
const BLOCK_BYTES: u64 = 4 << 10;

/// The store, as it is or as it was.
pub enum View<'a> {
    Live(&'a dyn Engine),
    Moment(Box<dyn SnapshotView>),
}

impl View<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        match self {
            View::Live(store) => store.get(key),
            View::Moment(view) => view.get(key),
        }
    }

    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError> {
        match self {
            View::Live(store) => store.scan(range, direction),
            View::Moment(view) => view.scan(range, direction),
        }
    }
}

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

impl Reading<'_> {
    fn end(&self, page: &Page) -> Option<PageEnd> {
        if self.limit.is_some_and(|limit| page.scanned_count >= limit) {
            Some(PageEnd::Limit)
        } else if page.examined_bytes >= self.bytes_max {
            Some(PageEnd::Bytes)
        } else {
            None
        }
    }

    fn keep(&self, item: Item, page: &mut Page) -> Result<(), PartitionError> {
        if let Some(filter) = self.filter
            && !filter.evaluate(Some(&item)).map_err(|e| PartitionError::Validation(e.to_string()))?
        {
            return Ok(());
        }
        page.count += 1;
        match (self.select, self.projection) {
            (Select::Count, _) => {}
            (_, Some(projection)) => page.items.push(projection.project(&item)),
            (_, None) => page.items.push(item),
        }
        Ok(())
    }
}

impl Partition {
    pub(super) fn page(
        &self,
        prefix: &KeyPrefix,
        view: &View<'_>,
        reading: Reading<'_>,
    ) -> Result<Page, PartitionError> {
        let mut page = Page::default();
        if reading.range.is_empty() || reading.limit == Some(0) {
            return Ok(page);
        }
        let fetches = self.fetches(&reading);
        // Entries of an index may be small and their items large: both fill the page.
        let mut fetched_bytes = 0;
        for entry in view.scan(reading.range.clone(), reading.direction).map_err(storage_error)? {
            let (_, value) = entry.map_err(storage_error)?;
            let Current { item: examined, size_bytes, .. } = Current::read(&value)?;
            page.scanned_count += 1;
            page.examined_bytes += size_bytes as u64;
            page.ended_by = reading.end(&page);
            if page.ended_by.is_some() {
                page.last_evaluated = Some(self.start_key(reading.index, &examined)?);
            }
            let item = if fetches {
                let (item, bytes) = self.fetch(prefix, view, &examined, &mut page)?;
                fetched_bytes += bytes;
                if page.ended_by.is_none() && fetched_bytes >= reading.bytes_max {
                    page.ended_by = Some(PageEnd::Bytes);
                    page.last_evaluated = Some(self.start_key(reading.index, &examined)?);
                }
                item
            } else {
                examined
            };
            reading.keep(item, &mut page)?;
            if page.ended_by.is_some() {
                break;
            }
        }
        Ok(page)
    }

    fn read_index(&self, ordinal: Option<u8>) -> Option<&LocalIndex> {
        self.schema().local_indexes.get(usize::from(ordinal?))
    }

    /// Whether the index's entries alone can't answer.
    pub(super) fn fetches(&self, reading: &Reading<'_>) -> bool {
        let Some(index) = self.read_index(reading.index) else { return false };
        let misses = |projection: &Projection| {
            projection.attributes().any(|attribute| !current::index_holds(self.schema(), index, attribute))
        };
        match reading.select {
            Select::All => !current::projects_all(index),
            Select::Specific => reading.projection.is_some_and(misses),
            Select::Projected | Select::Count => false,
        }
    }

    /// The item that an index entry stands for, and its size.
    fn fetch(
        &self,
        prefix: &KeyPrefix,
        view: &View<'_>,
        entry: &Item,
        page: &mut Page,
    ) -> Result<(Item, u64), PartitionError> {
        let primary = current::key_of_item(self.schema(), entry)?;
        let key = key::item_key(self.hash_of(&primary)?, &primary);
        let stored = view.get(&layout::item(prefix, &key)).map_err(storage_error)?;
        // Both are written by one batch: an entry without its item would be our own fault.
        let stored = stored.ok_or_else(|| PartitionError::Stopped("an index entry has no item".to_owned()))?;
        let whole = Current::read(&stored)?;
        page.fetched_blocks += (whole.size_bytes as u64).div_ceil(BLOCK_BYTES).max(1);
        Ok((whole.item, whole.size_bytes as u64))
    }

    fn start_key(&self, ordinal: Option<u8>, item: &Item) -> Result<StartKey, PartitionError> {
        let key = current::key_of_item(self.schema(), item)?;
        let index_sort = self.read_index(ordinal).and_then(|index| item.get(&index.range.name).cloned());
        Ok(StartKey { key, index_sort })
    }
}
