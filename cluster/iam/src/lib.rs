//! Identities and their policies as every front door knows them: what `meta` keeps of users and groups, and the
//! [`Guard`] that decides by it, from memory.
//!
//! This crate must not: change anything (the IAM service on the control nodes does), hold a secret, or ask another node
//! while a request waits.
//!
//! Invariants: what can't be read allows nothing; a decision looks at the newest that this node has heard; what it costs
//! doesn't grow with the number of principals.
//!
//! Start reading at [`Guard`], then [`records`].

mod guard;
mod kept;
mod managed;
pub mod providers;
pub mod records;
mod services;
mod usage;

pub use guard::{Guard, GuardMetrics};
pub use managed::{AwsManaged, aws_managed, aws_managed_all};
pub use services::SERVICES;
pub use usage::{Usages, Use};
