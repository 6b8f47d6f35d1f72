//! Many Raft groups in one process, over one log writer and one stream per peer.
//!
//! The only crate that names openraft. It knows groups, members, commands and snapshots; what a command means is
//! the [`StateMachine`]'s affair.
//!
//! This crate must not: look into commands, or know what a table or a policy is.
//!
//! Invariants:
//! - An entry is synced in the local log before it counts towards a quorum ([`log`]).
//! - The applied index is written in the same batch as what it applied ([`machine`]).
//! - The state is synced before the log that could rebuild it is purged ([`machine`], building a snapshot).
//! - A command proposed under a [`Lead`] is appended by that very leadership or not at all.
//! - A message names the member it is for: a node that lost its disk never answers as its former self.
//! - A replica whose log or store fails stops, says so in [`Group::status`], and acknowledges nothing more.
//!
//! Start reading at [`Groups`]; resting groups are in [`rest`].

mod coalesce;
mod group;
mod groups;
mod keys;
mod log;
mod machine;
mod member;
mod metrics;
mod network;
mod repair;
mod rest;
mod snapshot;
mod types;

pub use group::{Group, GroupStatus, Lead, LeaderHint, MemberStatus, ProposeError, ReadError};
pub use groups::{Groups, Settings, StartError, raft_id_of};
pub use keys::KeyPrefix;
pub use machine::{Applying, StateMachine};
pub use member::{FirstId, Member, OpenError};
pub use metrics::GroupMetrics;
