//! The replicated control store: transactions with compare, range reads, watches, leases.
//!
//! One Raft group among the control nodes. Its state is small and stands in memory on every control node; the store
//! below holds it durably. Data nodes keep mirrors of the parts that they need, so that they go on without it.
//!
//! This crate must not: know what its keys mean, but for [`CONTROL_ONLY`], which no other kind of node may read.
//!
//! Invariants:
//! - Revisions grow by one with every transaction that changed something; an entry carries those of its creation and
//!   its last change.
//! - A watch sees every change after the revision it names, in order, or is told to list anew.
//! - A transaction whose outcome was unknown is repeated with its request id and done once.
//!
//! Start reading at [`state`], the pure part; [`client::MetaClient`] is what others use.

pub mod client;
pub mod formats;
mod kept;
mod machine;
mod metrics;
pub mod mirror;
pub mod model;
pub mod records;
pub mod service;
mod state;

pub use client::{MetaClient, MetaError};
pub use machine::MetaMachine;
pub use metrics::MirrorMetrics;
pub use mirror::Mirror;
pub use model::{Compare, Entry, Op, OpResponse, RangeRequest, RangeResponse, Txn, TxnOutcome};
pub use service::MetaService;
pub use state::VALUE_BYTES_MAX;

/// Keys that only control nodes may read or write: secrets of the front door among them.
pub const CONTROL_ONLY: &[u8] = b"control/";

/// Audit events that were committed with what they tell of. Other nodes than control nodes may add to them, and neither
/// read nor remove any.
pub const OUTBOX: &[u8] = b"audit/outbox/";

/// The first key after all that begin with `prefix`.
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // No key is longer than this bound.
    vec![u8::MAX; 64]
}
