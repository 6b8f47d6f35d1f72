//! The cluster's certificate authority, node certificates, and connections on which both ends are known.
//!
//! `init` makes the CA and a one-time join token for every host; a host exchanges its token for a certificate and
//! registers an enrolment key, with which it gets new ones, also after a long time off. Control nodes hold the CA's
//! key, sealed, and sign their own certificates: they come up when nobody else is there.
//!
//! This crate must not: know what the calls on its connections mean.
//!
//! Invariants:
//! - No connection between nodes without both certificates verified, on our clock.
//! - A token is good for one enrolment key. A certificate names its host, kind and zone as `init` planned them.
//! - Keys are in files of mode 0600, never in logs, errors or arguments.
//!
//! Start reading at [`files::init`] and [`join::Joining`].

mod agent;
mod ca;
mod credentials;
mod files;
mod grpc;
mod join;
mod join_server;
mod metrics;
mod name;

pub use ca::{CERTIFICATE_LIFE_S, Ca, FRONT_NAMES, is_front_name, new_request};
pub use credentials::Credentials;
pub use files::{HostPlan, identity_dir, init, replace_host};
pub use grpc::{Verified, authorize, channel, incoming, incoming_unverified, peer};
pub use join::{Joining, load_ca};
pub use join_server::{JoinService, Ledger, LedgerError};
pub use metrics::CertificateMetrics;
pub use name::PeerIdentity;

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("certificate: {0}")]
    Certificate(String),
    /// Nobody answered, or could answer now: to be tried again.
    #[error("unreachable: {0}")]
    Unreachable(String),
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// Final.
    #[error("refused: {0}")]
    Refused(String),
}
