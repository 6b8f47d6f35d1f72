//! The leader's half of a write: what the request does to the item as it stands.
//!
//! Called with the latch of the key held, and under a confirmed leadership (see [`super::latches`]). Nothing is
//! changed here: the outcome is an answer, and effects to replicate where there are any.

use super::command::{Change, Effects, Indexed};
use super::current::{self, Current, Origin};
use super::index_entries::{self, IndexedWrite};
use super::{Partition, answer, layout, storage_error};
use crate::rpc::{ItemWrite, PartitionError, ReturnValues, WriteAction, WriteDone};
use breakwater_consensus::KeyPrefix;
use breakwater_items::expression::{Update, UpdatedPaths};
use breakwater_items::key::{self, PrimaryKey};
use breakwater_items::{AttributeValue, Item, size};
use bytes::Bytes;
use std::borrow::Cow;

/// Items and index entries of one partition key, in a table with local indexes.
pub const COLLECTION_BYTES_MAX: u64 = 10 << 30;
/// How long a retry may have been on its way: that much less of the past is known of it.
const ON_ITS_WAY_MS_MAX: u32 = 5_000;

/// A write, evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// Good once the effects are applied.
    pub done: WriteDone,
    /// Absent: nothing to replicate, the answer is good as it is. Either the request was applied before, or it
    /// removes what isn't there.
    pub effects: Option<Effects>,
}

/// What the steps of an evaluation share.
struct Target {
    primary: PrimaryKey,
    hash: u128,
    /// Item key.
    key: Bytes,
    hlc: u64,
    item_version: u64,
}

impl Partition {
    /// Which key a write needs the latch of; refuses one that isn't of this partition.
    pub fn latch_key(&self, write: &ItemWrite) -> Result<Bytes, PartitionError> {
        let primary = self.primary_key(write)?;
        Ok(Bytes::from(key::item_key(self.hash_of(&primary)?, &primary)))
    }

    fn primary_key<'w>(&self, write: &'w ItemWrite) -> Result<Cow<'w, PrimaryKey>, PartitionError> {
        match &write.action {
            WriteAction::Put { item } => Ok(Cow::Owned(current::key_of_item(self.schema(), item)?)),
            WriteAction::Update { key, .. } | WriteAction::Delete { key } => {
                current::check_key(self.schema(), key)?;
                Ok(Cow::Borrowed(key))
            }
        }
    }

    /// Evaluates a write. Deterministic but for the hybrid time that it takes.
    pub fn evaluate(&self, prefix: &KeyPrefix, write: &ItemWrite, now_ms: i64) -> Result<Evaluated, PartitionError> {
        let primary = self.primary_key(write)?.into_owned();
        let hash = self.hash_of(&primary)?;
        if let Some(done) = self.remembered(write.request_id)? {
            return Ok(Evaluated { done, effects: None });
        }
        let hlc = self.machine.next_hlc(now_ms);
        if write.age_ms > 0 && self.machine.may_be_forgotten(write.age_ms, ON_ITS_WAY_MS_MAX) {
            return Err(PartitionError::Unknown("the retry is older than what is remembered".to_owned()));
        }

        let key = Bytes::from(key::item_key(hash, &primary));
        let stored = self.machine.store().get(&layout::item(prefix, &key)).map_err(storage_error)?;
        let old = stored.as_ref().map(Current::read).transpose()?;
        if let Some(condition) = &write.condition {
            let item = old.as_ref().map(|old| &old.item);
            if !condition.evaluate(item).map_err(|e| PartitionError::Validation(e.to_string()))? {
                let item = item.filter(|_| write.return_on_condition_failure).cloned();
                return Err(PartitionError::ConditionalCheckFailed { item });
            }
        }
        let item_version = old.as_ref().map_or(0, |old| old.version).saturating_add(1);
        let target = Target { primary, hash, key, hlc, item_version };
        let (new, updated) = self.next_item(write, &target.primary, old.as_ref())?;
        let new_size = new.as_ref().map(|item| size::item_size(item));
        let old_size = old.as_ref().map(|old| old.size_bytes);
        if new_size.is_some_and(|size| size > size::ITEM_BYTES_MAX) {
            return Err(oversized(&write.action));
        }
        let mut done = WriteDone {
            attributes: attributes(write.return_values, old.as_ref(), new.as_deref(), updated.as_ref()),
            old_size_bytes: old_size.map(|size| size as u32),
            new_size_bytes: new_size.map(|size| size as u32),
            ..WriteDone::default()
        };
        let bytes_delta = new_size.unwrap_or(0) as i64 - old_size.unwrap_or(0) as i64;
        let indexed = self.indexed(prefix, write, &target, (old.as_ref(), new.as_deref()), bytes_delta, &mut done)?;
        let value = new.map(|item| current::encode(item_version, hlc, &item));
        let change = match (&old, value) {
            (None, None) => return Ok(Evaluated { done, effects: None }),
            (None, Some(value)) => Change::Insert(value),
            (Some(_), Some(value)) => Change::Modify(value),
            (Some(_), None) => Change::Remove,
        };
        let effects = Effects {
            request_id: write.request_id,
            hlc,
            item_version,
            key: target.key,
            change,
            bytes_delta,
            indexed,
            answer: answer::encode(&done),
        };
        Ok(Evaluated { done, effects: Some(effects) })
    }

    fn next_item<'w>(
        &self,
        write: &'w ItemWrite,
        primary: &PrimaryKey,
        old: Option<&Current>,
    ) -> Result<(Option<Cow<'w, Item>>, Option<UpdatedPaths>), PartitionError> {
        match &write.action {
            WriteAction::Put { item } => {
                current::check_index_keys(self.schema(), item, Origin::Put)?;
                Ok((Some(Cow::Borrowed(item)), None))
            }
            WriteAction::Delete { .. } => Ok((None, None)),
            WriteAction::Update { update, .. } => {
                let (item, updated) = self.updated(update, primary, old)?;
                Ok((item.map(Cow::Owned), Some(updated)))
            }
        }
    }

    fn updated(
        &self,
        update: &Update,
        primary: &PrimaryKey,
        old: Option<&Current>,
    ) -> Result<(Option<Item>, UpdatedPaths), PartitionError> {
        let invalid = |e: &dyn std::fmt::Display| PartitionError::Validation(e.to_string());
        // The front has refused this too; an item stored under a key that isn't its own would be lost.
        update.check_keys(&self.schema().key).map_err(|e| invalid(&e))?;
        let mut item = match old {
            Some(old) => old.item.clone(),
            None => primary.to_item(&self.schema().key),
        };
        let updated = update.apply(&mut item, old.is_some()).map_err(|e| invalid(&e))?;
        if old.is_none() && !update.creates_item() {
            return Ok((None, updated));
        }
        current::check_index_keys(self.schema(), &item, Origin::Update)?;
        if item.values().any(AttributeValue::nests_too_deep) {
            return Err(PartitionError::Validation("Nesting Levels have exceeded supported limits".to_owned()));
        }
        Ok((Some(item), updated))
    }

    /// Changes of index entries and the size of the collection, for a table with local indexes.
    fn indexed(
        &self,
        prefix: &KeyPrefix,
        write: &ItemWrite,
        target: &Target,
        (old, new): (Option<&Current>, Option<&Item>),
        bytes_delta: i64,
        done: &mut WriteDone,
    ) -> Result<Option<Indexed>, PartitionError> {
        if self.schema().local_indexes.is_empty() {
            return Ok(None);
        }
        let stamp = (target.item_version, target.hlc);
        let old = old.map(|old| &old.item);
        let IndexedWrite { entries, writes } =
            index_entries::changes(self.schema(), target.hash, &target.primary, old, new, stamp)?;
        done.indexes = writes;
        let collection_key_length = current::collection_key_length(&target.primary);
        let collection_key = &target.key[..collection_key_length];
        let before = self.machine.collection_bytes(prefix, collection_key).map_err(storage_error)?;
        let delta = entries.iter().fold(bytes_delta, |sum, entry| sum.saturating_add(entry.bytes_delta));
        let after = before.saturating_add_signed(delta);
        // Other keys of the collection may be in flight: as at AWS, the limit may be overrun by a little.
        if delta > 0 && after > self.settings.collection_bytes_max {
            return Err(PartitionError::ItemCollectionSizeLimitExceeded);
        }
        if write.want_collection_metrics {
            done.collection_size_bytes = Some(after);
        }
        Ok(Some(Indexed { collection_key_length, entries }))
    }
}

fn oversized(action: &WriteAction) -> PartitionError {
    let message = match action {
        WriteAction::Update { .. } => "Item size to update has exceeded the maximum allowed size",
        WriteAction::Put { .. } | WriteAction::Delete { .. } => "Item size has exceeded the maximum allowed size",
    };
    PartitionError::Validation(message.to_owned())
}

/// What ReturnValues asks for; AWS sends no empty attributes.
fn attributes(
    wanted: ReturnValues,
    old: Option<&Current>,
    new: Option<&Item>,
    updated: Option<&UpdatedPaths>,
) -> Option<Item> {
    let old = old.map(|old| &old.item);
    let attributes = match wanted {
        ReturnValues::None => None,
        ReturnValues::AllOld => old.cloned(),
        ReturnValues::AllNew => new.cloned(),
        ReturnValues::UpdatedOld => updated.zip(old).map(|(updated, old)| updated.project(old)),
        ReturnValues::UpdatedNew => updated.zip(new).map(|(updated, new)| updated.project(new)),
    };
    attributes.filter(|item| !item.is_empty())
}
