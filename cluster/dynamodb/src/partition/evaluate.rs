//! The leader's half of a write: what the request does to the item as it stands.
//!
//! Called with the latch of the key held, and under a confirmed leadership (see [`super::latches`]). Nothing is
//! changed here: the outcome is an answer, and effects to replicate where there are any.

use super::answer;
use super::command::{Change, Effects, Indexed};
use super::index_entries::{self, IndexedWrite};
use super::journal::hlc_ms;
use super::layout;
use super::shape::{self, Current};
use super::{Partition, storage_error};
use crate::rpc::{ItemWrite, PartitionError, ReturnValues, WriteAction, WriteDone};
use breakwater_consensus::KeyPrefix;
use breakwater_items::Item;
use breakwater_items::expression::Updated;
use breakwater_items::key::PrimaryKey;
use bytes::Bytes;

/// 400 KB: attribute names and values, as AWS counts them.
pub const ITEM_BYTES_MAX: usize = 400 * 1024;
/// Items and index entries of one partition key, in a table with local indexes.
pub const COLLECTION_BYTES_MAX: u64 = 10 << 30;
/// A retry this much younger than what was forgotten is still told that nothing is known: between two nodes, times
/// are not better than that.
const FORGOTTEN_MARGIN_MS: u64 = 1_000;

/// A write, evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// Good once the effects are applied.
    pub done: WriteDone,
    /// Absent: nothing to replicate, the answer is good as it is. Either the request was applied before, or it
    /// deletes what isn't there.
    pub effects: Option<Effects>,
}

impl Partition {
    /// Which key a write needs the latch of; refuses one that isn't of this partition.
    pub fn latch_key(&self, write: &ItemWrite) -> Result<Bytes, PartitionError> {
        self.item_key(&self.primary_key(write)?)
    }

    fn primary_key(&self, write: &ItemWrite) -> Result<PrimaryKey, PartitionError> {
        match &write.action {
            WriteAction::Put { item } => shape::key_of_item(self.schema(), item),
            WriteAction::Update { key, .. } | WriteAction::Delete { key } => Ok(key.clone()),
        }
    }

    /// Evaluates a write. Deterministic but for the hybrid time that it takes.
    pub fn evaluate(&self, prefix: &KeyPrefix, write: &ItemWrite, now_ms: i64) -> Result<Evaluated, PartitionError> {
        let primary = self.primary_key(write)?;
        let key = self.item_key(&primary)?;
        if let Some(remembered) = self.machine.remembered(write.request_id) {
            let done = answer::decode(&remembered)
                .map_err(|e| PartitionError::Unknown(format!("done before, but the answer can't be read: {e}")))?;
            return Ok(Evaluated { done, effects: None });
        }
        let hlc = self.machine.next_hlc(now_ms);
        self.refuse_forgotten(write, hlc)?;

        let stored = self.machine.store().get(&layout::item(prefix, &key)).map_err(storage_error)?;
        let current = stored.map(Current::open).transpose()?;
        if let Some(condition) = &write.condition {
            let item = current.as_ref().map(Current::item).transpose()?;
            if !shape::holds(condition, item)? {
                let item = item.filter(|_| write.return_on_condition_failure).cloned();
                return Err(PartitionError::ConditionalCheckFailed { item });
            }
        }
        let (new, touched) = self.next_item(write, &primary, current.as_ref())?;
        let old_size = current.as_ref().map(Current::size_bytes);
        let new_size = new.as_ref().map(shape::size_bytes);
        self.refuse_oversized(write, new_size)?;
        let mut done = WriteDone {
            attributes: attributes(write.return_values, current.as_ref(), new.as_ref(), touched.as_ref())?,
            old_size_bytes: old_size.map(|size| size as u32),
            new_size_bytes: new_size.map(|size| size as u32),
            indexes: Vec::new(),
            collection_size_bytes: None,
        };

        let item_version = current.as_ref().map_or(0, Current::version) + 1;
        let value = new.as_ref().map(|item| shape::encode_item(item, item_version, hlc));
        let indexed = self.index(prefix, write, &key, current.as_ref(), new.as_ref(), &mut done, (item_version, hlc))?;
        let change = match (&current, value) {
            (None, None) => return Ok(Evaluated { done, effects: None }),
            (None, Some(value)) => Change::Insert(value),
            (Some(_), Some(value)) => Change::Modify(value),
            (Some(_), None) => Change::Remove,
        };
        let effects = Effects {
            request_id: write.request_id,
            hlc,
            item_version,
            key,
            change,
            bytes_delta: new_size.unwrap_or(0) as i64 - old_size.unwrap_or(0) as i64,
            indexed,
            answer: answer::encode(&done),
        };
        Ok(Evaluated { done, effects: Some(effects) })
    }

    /// A retry of something that may have been applied before what we remember.
    fn refuse_forgotten(&self, write: &ItemWrite, now_hlc: u64) -> Result<(), PartitionError> {
        if write.age_ms == 0 {
            return Ok(());
        }
        let first_sent_ms = hlc_ms(now_hlc).saturating_sub(u64::from(write.age_ms));
        let forgotten_ms = hlc_ms(self.machine.forgotten_hlc());
        if first_sent_ms <= forgotten_ms.saturating_add(FORGOTTEN_MARGIN_MS) && forgotten_ms > 0 {
            return Err(PartitionError::Unknown("the retry is older than what is remembered".to_owned()));
        }
        Ok(())
    }

    fn next_item(
        &self,
        write: &ItemWrite,
        primary: &PrimaryKey,
        current: Option<&Current>,
    ) -> Result<(Option<Item>, Option<Updated>), PartitionError> {
        match &write.action {
            WriteAction::Put { item } => {
                shape::check_index_keys(self.schema(), item, shape::Origin::Put)?;
                Ok((Some(item.clone()), None))
            }
            WriteAction::Delete { .. } => Ok((None, None)),
            WriteAction::Update { update, .. } => {
                let before = match current {
                    Some(current) => current.item()?.clone(),
                    None => shape::item_of_key(self.schema(), primary),
                };
                let updated = shape::update(update, before)?;
                shape::check_key_unchanged(self.schema(), primary, &updated.item)?;
                shape::check_index_keys(self.schema(), &updated.item, shape::Origin::Update)?;
                Ok((Some(updated.item.clone()), Some(updated)))
            }
        }
    }

    fn refuse_oversized(&self, write: &ItemWrite, new_size: Option<usize>) -> Result<(), PartitionError> {
        if new_size.is_none_or(|size| size <= ITEM_BYTES_MAX) {
            return Ok(());
        }
        Err(PartitionError::Validation(
            match write.action {
                WriteAction::Update { .. } => "Item size to update has exceeded the maximum allowed size",
                WriteAction::Put { .. } | WriteAction::Delete { .. } => {
                    "Item size has exceeded the maximum allowed size"
                }
            }
            .to_owned(),
        ))
    }

    /// Changes of index entries and the size of the collection, for a table with local indexes.
    #[expect(clippy::too_many_arguments, reason = "one step of `evaluate`, cut out for its length")]
    fn index(
        &self,
        prefix: &KeyPrefix,
        write: &ItemWrite,
        key: &Bytes,
        current: Option<&Current>,
        new: Option<&Item>,
        done: &mut WriteDone,
        stamp: (u64, u64),
    ) -> Result<Option<Indexed>, PartitionError> {
        if self.schema().local_indexes.is_empty() {
            return Ok(None);
        }
        let old = current.map(Current::item).transpose()?;
        let IndexedWrite { entries, writes } = index_entries::changes(self, old, new, stamp)?;
        done.indexes = writes;
        let collection_key_length = shape::collection_key_length(self.schema(), key)?;
        let before = self.machine.collection_bytes(prefix, &key[..collection_key_length]).map_err(storage_error)?;
        let sizes = i64::from(done.new_size_bytes.unwrap_or(0)) - i64::from(done.old_size_bytes.unwrap_or(0));
        let delta = entries.iter().fold(sizes, |sum, entry| sum.saturating_add(entry.bytes_delta));
        let after = before.saturating_add_signed(delta);
        if delta > 0 && after > self.settings.collection_bytes_max {
            return Err(PartitionError::ItemCollectionSizeLimitExceeded);
        }
        if write.want_collection_metrics {
            done.collection_size_bytes = Some(after);
        }
        Ok(Some(Indexed { collection_key_length, entries }))
    }
}

/// What ReturnValues asks for.
fn attributes(
    wanted: ReturnValues,
    current: Option<&Current>,
    new: Option<&Item>,
    updated: Option<&Updated>,
) -> Result<Option<Item>, PartitionError> {
    let attributes = match wanted {
        ReturnValues::None => None,
        ReturnValues::AllOld => current.map(Current::item).transpose()?.cloned(),
        ReturnValues::AllNew => new.cloned(),
        ReturnValues::UpdatedOld => updated.map(|updated| updated.old.clone()),
        ReturnValues::UpdatedNew => updated.map(|updated| updated.new.clone()),
    };
    Ok(attributes.filter(|item| !item.is_empty()))
}
