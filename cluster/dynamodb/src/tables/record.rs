//! A table's description as it is stored. Never what goes over the wire to clients.

use crate::rpc::PartitionDescriptor;
use breakwater_items::schema::{KeyAttribute, TableSchema};
use breakwater_meta::records;
use breakwater_types::{GroupId, NodeName, RaftNodeId, Scope, Zone};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableStatus {
    Creating,
    Active,
    Deleting,
}

impl TableStatus {
    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            TableStatus::Creating => "CREATING",
            TableStatus::Active => "ACTIVE",
            TableStatus::Deleting => "DELETING",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Billing {
    OnDemand,
    Provisioned { read_units: u64, write_units: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    pub node: NodeName,
    pub zone: Zone,
    pub raft_id: RaftNodeId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRecord {
    pub group: GroupId,
    /// Inclusive, as the end.
    pub hash_start: u128,
    pub hash_end: u128,
    /// The first is the preferred leader.
    pub replicas: Vec<Replica>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRecord {
    pub scope: Scope,
    pub name: String,
    /// Immutable, so that a recreated table never sees its forerunner's data.
    pub id: Uuid,
    /// Of its hash function.
    pub salt: [u8; 16],
    pub schema: TableSchema,
    pub attributes: Vec<KeyAttribute>,
    pub partitions: Vec<PartitionRecord>,
    pub status: TableStatus,
    pub created_unix_ms: i64,
    pub billing: Billing,
    /// When throughput was last raised and lowered.
    pub increased_unix_ms: Option<i64>,
    pub decreased_unix_ms: Option<i64>,
    pub billing_changed_unix_ms: Option<i64>,
    pub deletion_protection: bool,
    pub table_class: Option<String>,
    pub tags: BTreeMap<String, String>,
}

impl TableRecord {
    pub fn to_stored(&self) -> Result<Vec<u8>, String> {
        records::to_stored(self)
    }

    pub fn from_stored(bytes: &[u8]) -> Result<Self, String> {
        records::from_stored(bytes)
    }

    pub fn arn(&self) -> String {
        self.scope.arn("dynamodb", &format!("table/{}", self.name))
    }

    /// The partition that owns a hash.
    pub fn partition_of(&self, hash: u128) -> Option<&PartitionRecord> {
        let at = self.partitions.partition_point(|p| p.hash_end < hash);
        self.partitions.get(at).filter(|p| p.hash_start <= hash)
    }

    pub fn descriptor(&self, ordinal: usize) -> Option<PartitionDescriptor> {
        let partition = self.partitions.get(ordinal)?;
        Some(PartitionDescriptor {
            scope: self.scope.clone(),
            table_name: self.name.clone(),
            table_id: self.id,
            group: partition.group,
            ordinal: ordinal as u32,
            schema: self.schema.clone(),
            salt: self.salt,
            hash_start: partition.hash_start,
            hash_end: partition.hash_end,
        })
    }
}
