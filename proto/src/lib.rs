//! Internal RPC between nodes: one `.proto` and one module per internal service.
//!
//! This crate must not: hold logic. What clients of AWS see never passes here.

/// Batched calls between nodes.
#[allow(clippy::all, missing_docs)]
pub mod transport {
    tonic::include_proto!("breakwater.transport");
}

/// How a host gets its certificate.
#[allow(clippy::all, missing_docs)]
pub mod join {
    tonic::include_proto!("breakwater.join");
}
