//! The region's front door as a library: HTTP, AWS's signatures, wire protocols and error envelope, and the
//! [`Operation`] trait from whose lists routing, authorization and metrics are derived.
//!
//! This crate must not: know any service's data model, Raft, or another node; call anything over the network on a
//! request's way; let a secret reach a log or an error.
//!
//! Invariants: nothing runs unless a good signature and an authorizer's yes came before, but for operations that say they
//! are open, whose caller an authorizer weighs as they prove it; a bound that is reached
//! answers before anything is done; no input, and no handler's panic, ends the process.
//!
//! Start reading at [`front`] for the way of a request, [`operation`] for what a service brings, [`sigv4`] for who calls.

mod addresses;
mod answer;
pub mod arn;
pub mod audit;
pub mod authorize;
mod body;
pub mod call;
mod connection;
pub mod coverage;
pub mod error;
pub mod front;
pub mod json;
pub mod limits;
mod members;
mod metrics;
mod mount;
mod mounts;
pub mod operation;
pub mod query;
pub mod server;
pub mod sigv4;
mod unchecked;
pub mod usage;

pub use addresses::Addresses;
pub use arn::Arn;
pub use audit::{Event, Recorder, Unrecorded};
pub use authorize::{About, Authorizer, ResourcePolicy, RootOnly, not_authorized};
pub use breakwater_policy::Context as ConditionKeys;
pub use call::{Call, Federated, Identity, Principal, RequestId};
pub use connection::{BoxError, RouteBody};
pub use error::{AwsError, Fault, Namespace};
pub use front::{Front, FrontBuilder, HEALTH_PATH, Origin, Route};
pub use http::HeaderValue;
pub use limits::Limits;
pub use operation::{Access, Operation, OperationEntry, Plane, Protocol, Service, entry};
pub use server::Server;
pub use sigv4::{
    Credentials, DerivedKeys, KEY_PARTS, KeySet, KeysAsked, KeysPart, KeysTold, SESSIONS_PART, SecretKey, SecretKeys,
    Session, SessionKeys, SessionMore, SigningKey, derive_signing_key, part_of,
};
pub use unchecked::UNCHECKED;
pub use usage::{Unnoted, Usage, Used};
