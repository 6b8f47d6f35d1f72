//! Words that every part of Breakwater shares: who a node is, where it stands, whose data a key belongs to,
//! what time it is, and where a test may break us.
//!
//! This crate must not: know an async runtime, a network, or a file.
//!
//! Start reading at [`ids`] for names, [`clock`] for time, [`faults`] for fault points.

pub mod clock;
pub mod faults;
pub mod formats;
pub mod hash;
pub mod ids;
pub mod instance;

pub use clock::{Clock, ManualClock, SharedClock, SystemClock, rfc3339};
pub use formats::Formats;
pub use hash::stable_hash;
pub use ids::{AccountId, GroupId, NodeKind, NodeName, RaftNodeId, Region, Scope, Zone};
