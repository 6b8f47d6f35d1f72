//! DynamoDB: its operations, the router that finds a partition's leader, and what a partition's replica does.
//!
//! Both kinds of front door mount [`SERVICE`]: control nodes beside every other service, data nodes alone, so that items
//! stay reachable with every control node down.
//!
//! This crate must not: know HTTP (that is breakwater-aws) or openraft (that is breakwater-consensus).
//!
//! Start reading at [`operations`] for the API, [`router`] for the way of a call, [`partition`] for what happens to an
//! item; [`tables`] has what the control store keeps.

mod data_calls;
pub mod node;
mod operations;
pub mod partition;
pub mod router;
pub mod rpc;
pub mod tables;

pub use operations::SERVICE;

/// How this was broken on purpose when it was built, for proving that tests catch it.
pub const BROKEN: Option<&str> = if cfg!(feature = "broken-ack-before-quorum") {
    Some("broken-ack-before-quorum")
} else if cfg!(feature = "broken-follower-reads") {
    Some("broken-follower-reads")
} else {
    None
};
