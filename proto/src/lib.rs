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

/// What a host's agent asks a control node.
#[allow(clippy::all, missing_docs)]
pub mod instance {
    tonic::include_proto!("breakwater.instance");
}

impl std::fmt::Debug for instance::Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}
