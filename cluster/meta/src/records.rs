//! What every node may know of the cluster: who is in it, where, and who leads what.

use crate::model::{decode, encode};
use breakwater_types::{GroupId, NodeKind, NodeName, RaftNodeId, Zone};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

pub const NODES: &[u8] = b"cluster/node/";
pub const LEADERS: &[u8] = b"cluster/leader/";

/// A node that has started once; written at every start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    pub name: NodeName,
    pub kind: NodeKind,
    pub zone: Option<Zone>,
    /// For calls between nodes.
    pub rpc: SocketAddr,
    pub raft_id: RaftNodeId,
}

/// Who led a group when this was written: a hint for routers, never a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderRecord {
    pub group: GroupId,
    pub node: NodeName,
    pub term: u64,
}

pub fn node_key(name: &NodeName) -> Vec<u8> {
    [NODES, name.as_str().as_bytes()].concat()
}

pub fn leader_key(group: GroupId) -> Vec<u8> {
    // Big-endian hex, so that keys are ordered as numbers.
    [LEADERS, format!("{:016x}", group.0).as_bytes()].concat()
}

/// A record as it is stored: behind a format version.
pub fn to_stored<T: Serialize>(record: &T) -> Result<Vec<u8>, String> {
    encode(record)
}

pub fn from_stored<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    decode(bytes)
}
