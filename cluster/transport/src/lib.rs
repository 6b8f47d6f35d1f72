//! Calls between nodes.
//!
//! One bidirectional gRPC stream per peer carries the calls of all Raft groups and services, batched: what waits
//! when the stream can take more goes out as one frame. Both ends are known by their certificates, and a handler
//! says which kinds of node may call it.
//!
//! This crate must not: know what a call means, or retry one.
//!
//! Invariants:
//! - Every call has a deadline and ends by it.
//! - [`CallError::NotSent`] is returned only where the peer can't have seen the call.
//! - A peer that says nothing for [`Settings::silence_ms_max`] while asked is given up: its connection is closed
//!   and its pending calls end as [`CallError::Unknown`].
//! - Queues are bounded; a full one is [`CallError::NotSent`].
//!
//! Start reading at [`Transport::call`]; [`link`] is the client's side of a peer, [`server`] the other.

mod batch;
mod link;
mod server;
mod transport;

pub use server::{Handler, Inbound, Upload, UploadHandler};
pub use transport::{Settings, Transport, current_traceparent, event_in};

/// Who a call is for. The numbers are on the wire: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Kind {
    /// A Raft message of a group.
    Raft = 1,
    /// The control store.
    Meta = 2,
    /// Items of a partition.
    Item = 3,
    /// Are you there.
    Ping = 4,
    /// A Raft snapshot (upload).
    Snapshot = 5,
    /// Credentials and other secrets of the front door that control nodes give to data nodes.
    Keys = 6,
    /// Audit events on their way to where they are kept.
    Audit = 7,
    /// Chunks of blobs.
    Blobs = 8,
    /// When credentials were last used at a node's front door.
    Usage = 15,
    /// What a host's agent hears of its host: its instance profile's credentials.
    Instance = 12,
}

impl Kind {
    pub const ALL: [Kind; 10] = [
        Kind::Raft,
        Kind::Meta,
        Kind::Item,
        Kind::Ping,
        Kind::Snapshot,
        Kind::Keys,
        Kind::Audit,
        Kind::Blobs,
        Kind::Usage,
        Kind::Instance,
    ];

    pub fn from_wire(n: u32) -> Option<Kind> {
        Self::ALL.into_iter().find(|k| *k as u32 == n)
    }
}

/// Why a peer answered a call with no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Refusal {
    /// The caller's certificate doesn't allow this call.
    Forbidden = 1,
    /// Nobody handles this kind or group there.
    Unhandled = 2,
    /// The peer has too much to do; nothing was done.
    Overloaded = 3,
    /// The call could not be read.
    Malformed = 4,
    /// The handler failed; its text says how.
    Failed = 5,
}

impl Refusal {
    fn from_wire(n: u32) -> Refusal {
        match n {
            1 => Refusal::Forbidden,
            2 => Refusal::Unhandled,
            3 => Refusal::Overloaded,
            4 => Refusal::Malformed,
            // A newer peer's refusal that we don't know is a failure all the same.
            _ => Refusal::Failed,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("not sent: {0}")]
    NotSent(String),
    #[error("sent, but no answer: {0}")]
    Unknown(String),
    #[error("refused ({0:?}): {1}")]
    Refused(Refusal, String),
}
