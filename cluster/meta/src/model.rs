//! What can be asked of the store. These types are both RPC and log format: they may grow at their ends only, behind
//! a new format version.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub type Revision = u64;
pub type LeaseId = u64;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub key: Bytes,
    pub value: Bytes,
    pub create_revision: Revision,
    pub mod_revision: Revision,
    pub lease: Option<LeaseId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compare {
    Exists(Vec<u8>),
    Absent(Vec<u8>),
    ModRevision(Vec<u8>, Revision),
    Value(Vec<u8>, Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    Put { key: Vec<u8>, value: Vec<u8>, lease: Option<LeaseId> },
    Delete { key: Vec<u8> },
    DeleteRange { start: Vec<u8>, end: Vec<u8> },
    Get { key: Vec<u8> },
    Range { start: Vec<u8>, end: Vec<u8>, limit: usize },
}

impl Op {
    pub fn put(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Op {
        Op::Put { key: key.into(), value: value.into(), lease: None }
    }
}

/// If all compares hold, `success` is done, else `failure`; each as one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Txn {
    pub compares: Vec<Compare>,
    pub success: Vec<Op>,
    pub failure: Vec<Op>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpResponse {
    Done,
    Deleted(u64),
    Entry(Option<Entry>),
    Range { entries: Vec<Entry>, more: bool },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnOutcome {
    /// Whether the compares held.
    pub succeeded: bool,
    pub revision: Revision,
    pub responses: Vec<OpResponse>,
}

/// `start` inclusive, `end` exclusive. The answer may hold fewer than `limit` where they are large; `more` says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeRequest {
    pub start: Vec<u8>,
    pub end: Vec<u8>,
    pub limit: usize,
}

impl RangeRequest {
    pub fn prefix(prefix: &[u8], limit: usize) -> Self {
        RangeRequest { start: prefix.to_vec(), end: crate::prefix_end(prefix), limit }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeResponse {
    pub revision: Revision,
    pub entries: Vec<Entry>,
    pub more: bool,
}

/// A change of one key; no entry where it was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub revision: Revision,
    pub key: Bytes,
    pub entry: Option<Entry>,
}

impl Event {
    /// About what it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        const OVERHEAD: usize = 128;
        OVERHEAD + self.key.len() + self.entry.as_ref().map_or(0, |entry| entry.key.len() + entry.value.len())
    }
}

/// A command of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Command {
    Txn {
        request_id: u128,
        txn: Txn,
    },
    LeaseGrant {
        request_id: u128,
        ttl_ms: u64,
    },
    /// Deletes the lease and the keys bound to it.
    LeaseRevoke {
        id: LeaseId,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Txn(TxnOutcome),
    Lease(LeaseId),
    Done,
    Invalid(String),
}

/// A call from another node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Txn {
        request_id: u128,
        txn: Txn,
    },
    /// Linearizable.
    Range(RangeRequest),
    /// As `ListPage`, in one answer: asked by nodes of before there were pages.
    List {
        prefix: Vec<u8>,
    },
    /// Answers when there is a change after this revision, or at the deadline.
    Watch {
        prefix: Vec<u8>,
        after: Revision,
    },
    LeaseGrant {
        request_id: u128,
        ttl_ms: u64,
    },
    LeaseKeepAlive {
        id: LeaseId,
    },
    LeaseRevoke {
        id: LeaseId,
    },
    /// From this node's own state, possibly stale: what a mirror starts from. Keys from `start` on.
    ListPage {
        prefix: Vec<u8>,
        start: Vec<u8>,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    Txn(TxnOutcome),
    Range(RangeResponse),
    List {
        revision: Revision,
        entries: Vec<Entry>,
    },
    /// Up to and including this revision.
    Events {
        revision: Revision,
        events: Vec<Event>,
    },
    /// Changes after the named revision aren't kept any more: list anew.
    Compacted,
    Lease(LeaseId),
    Done,
    NoLease,
    NotLeader {
        leader: Option<breakwater_types::NodeName>,
    },
    /// Nothing was done; it may be tried again.
    Busy(String),
    Unknown(String),
    Invalid(String),
    ListPage {
        revision: Revision,
        entries: Vec<Entry>,
        more: bool,
    },
}

pub(crate) const FORMAT: u8 = 1;

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    postcard::to_extend(value, vec![FORMAT]).map_err(|e| e.to_string())
}

pub(crate) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|e| e.to_string()),
        Some((version, _)) => Err(format!("format {version} is not known")),
        None => Err("nothing".to_owned()),
    }
}
