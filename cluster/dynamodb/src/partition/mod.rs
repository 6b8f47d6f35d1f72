//! What one replica of a table's partition does with requests: synchronous, over a storage engine.
//!
//! This module must not: know a network or an async runtime (but for the waiters of [`latches`]), or Raft beyond the
//! state machine that it is.
//!
//! The way of a write, on the leader: [`Partition::latch_key`], the latch ([`latches`]: the contract that all of
//! this stands on), a confirmed `Lead`, [`Partition::evaluate`], [`Partition::command`] over the effects of many
//! writes, `Group::propose`, [`Partition::answers`], and only then the latches are free. On every replica,
//! [`Machine`] applies. Reads go to [`Partition::read`]; consistent ones under a confirmed `Lead`.
//!
//! Invariants:
//! - Effects are final values: replicas can't differ by what they make of an expression.
//! - An index entry stands in the store exactly while its item has the index's sort attribute, written by the same
//!   batch as the item.
//! - A request id that is remembered is never applied again; a retry too old to be remembered is told so.
//! - Sequence numbers and hybrid times never go back, also across restarts and leaders.
//!
//! Snapshots need nothing of this module: consensus streams whatever stands under the group's prefix, and calls
//! [`breakwater_consensus::StateMachine::open`] when it has been installed.

pub mod answer;
mod apply;
pub mod command;
mod current;
mod evaluate;
mod index_entries;
pub mod journal;
pub mod latches;
mod layout;
mod page;
mod read;
mod wire;

#[cfg(test)]
mod tests;

pub use apply::{ApplyResult, Machine};
pub use evaluate::Evaluated;
pub use journal::{Retention, Totals};
pub use latches::{Guard, Latches};
pub use page::PAGE_BYTES_MAX;

use crate::rpc::{PartitionDescriptor, PartitionError, WriteDone};
use breakwater_items::key::{self, PrimaryKey};
use breakwater_items::schema::TableSchema;
use breakwater_storage::StorageError;
use breakwater_types::Formats;
use bytes::Bytes;
use command::{Command, Effects};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub retention: Retention,
    /// 10 GB at AWS; tests lower it.
    pub collection_bytes_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { retention: Retention::default(), collection_bytes_max: evaluate::COLLECTION_BYTES_MAX }
    }
}

/// One replica of a partition.
pub struct Partition {
    descriptor: PartitionDescriptor,
    machine: Arc<Machine>,
    latches: Latches,
    settings: Settings,
    formats: Arc<Formats>,
}

impl Partition {
    /// The machine is the one that the group applies to.
    pub fn new(
        descriptor: PartitionDescriptor,
        machine: Arc<Machine>,
        settings: Settings,
        formats: Arc<Formats>,
    ) -> Self {
        Partition { descriptor, machine, latches: Latches::new(), settings, formats }
    }

    pub fn descriptor(&self) -> &PartitionDescriptor {
        &self.descriptor
    }

    pub fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    pub fn latches(&self) -> &Latches {
        &self.latches
    }

    fn schema(&self) -> &TableSchema {
        &self.descriptor.schema
    }

    /// Where a partition key lies; refuses one that this partition doesn't own.
    fn hash_of(&self, key: &PrimaryKey) -> Result<u128, PartitionError> {
        let hash = key::partition_hash(&self.descriptor.salt, &key.hash);
        match (self.descriptor.hash_start..=self.descriptor.hash_end).contains(&hash) {
            true => Ok(hash),
            false => Err(PartitionError::WrongPartition),
        }
    }

    /// A command that replicates these effects, in this order. The effects' keys must be latched, each by its own
    /// guard, so that none stands here twice.
    pub fn command(&self, effects: Vec<Effects>) -> Bytes {
        let purge_below = self.machine.purge_below(&self.settings.retention);
        Command { purge_below, effects }.encode(self.formats.active())
    }

    /// Corrects the answers of a command's writes by what its applying said: `done` are [`Evaluated::done`] of the
    /// writes whose effects the command held, in that order, each with its request id.
    pub fn answers(&self, applied: &Bytes, done: Vec<(u128, WriteDone)>) -> Vec<Result<WriteDone, PartitionError>> {
        let unreadable = |e: String| PartitionError::Unknown(format!("the result of applying can't be read: {e}"));
        let duplicates = match ApplyResult::decode(applied) {
            Ok(result) => result.duplicates,
            Err(e) => return done.iter().map(|_| Err(unreadable(e.clone()))).collect(),
        };
        let answer = |(place, (request_id, done)): (usize, (u128, WriteDone))| {
            if !duplicates.contains(&place) {
                return Ok(done);
            }
            self.remembered(request_id)?.ok_or_else(|| PartitionError::Unknown("done before, and forgotten".to_owned()))
        };
        done.into_iter().enumerate().map(answer).collect()
    }

    /// What a request was answered when it was applied before.
    fn remembered(&self, request_id: u128) -> Result<Option<WriteDone>, PartitionError> {
        let Some(bytes) = self.machine.remembered(request_id) else { return Ok(None) };
        let unreadable = |e| PartitionError::Unknown(format!("done before, but the answer can't be read: {e}"));
        answer::decode(&bytes).map(Some).map_err(unreadable)
    }
}

fn storage_error(error: StorageError) -> PartitionError {
    match error {
        // Only reads come here, and another try takes another view.
        StorageError::SnapshotExpired => PartitionError::NotApplied(error.to_string()),
        StorageError::Corrupt { .. }
        | StorageError::Stopped { .. }
        | StorageError::Io { .. }
        | StorageError::Refused { .. }
        | StorageError::Invalid(_) => PartitionError::Stopped(error.to_string()),
    }
}
