//! What binds this crate to a node: replicas on data nodes, and the context of the front door on both kinds.

mod commits;
mod context;
mod repair;
mod replica;
mod replicas;

pub use context::{Context, Front, FrontSettings, stats_key};
pub use replicas::{Replicas, status_of};
