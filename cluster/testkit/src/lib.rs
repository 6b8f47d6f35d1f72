//! What tests of whole regions share: clients that record histories, and a checker of those histories.
//!
//! This crate must not: be linked into a node.
//!
//! Start reading at [`register`] (concurrent clients), [`history`] and [`linearizable`] (was what they saw possible?).

pub mod client;
pub mod history;
pub mod linearizable;
pub mod register;
