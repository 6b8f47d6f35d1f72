//! Tables as the control store keeps them: descriptions, partitions, placement.

pub mod placement;
pub mod record;

pub use record::{Billing, PartitionRecord, Replica, TableRecord, TableStatus};

use breakwater_types::Scope;

/// Counts groups of partitions; its value is the next free number.
pub const NEXT_GROUP: &[u8] = b"cluster/next-group";

/// All tables of all accounts stand under this.
pub const ALL: &[u8] = b"aws/";

pub fn prefix(scope: &Scope) -> Vec<u8> {
    format!("{}/dynamodb/table/", scope.key_prefix()).into_bytes()
}

pub fn key(scope: &Scope, name: &str) -> Vec<u8> {
    [prefix(scope), name.as_bytes().to_vec()].concat()
}
