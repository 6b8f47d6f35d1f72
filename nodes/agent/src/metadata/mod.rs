//! The instance metadata service, IMDSv2 alone: who this host is to AWS, and its instance profile's credentials, for any
//! program on the host. Version 1, which answers without a token, isn't there.
//!
//! Secrets stay in memory. What was heard from a control node is served until it ends, also when none can be reached.

mod documents;
mod follow;
mod held;
mod link_local;
mod renewal;
mod requests;
mod server;
mod token;

pub use server::Metadata;
