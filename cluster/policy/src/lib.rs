//! IAM's policy language: reading a policy document, and deciding by several of them. Pure: no clock, no network.
//!
//! This crate must not: know a service's operations, or where policies are kept; look at anything but what it is given.
//!
//! Invariants: a document that can't be read as a whole is refused, never read in part; a statement that denies and
//! matches always wins; what isn't allowed is denied; a variable without a value matches nothing.
//!
//! Start reading at [`Policy::parse`] and [`decide`].

mod condition;
mod context;
mod decide;
mod document;
mod explain;
mod json;
mod pattern;
mod principal;
mod validate;

pub use context::{Asked, Context, Value};
pub use decide::{Decision, Layer, Named, Outcome, Place, Question, Sources, Why, decide, matching};
pub use document::{Effect, Malformed, Policy, Statement, Use};
pub use explain::{context_keys, deciding, lines_and_columns, missing_keys};
pub use principal::{Caller, CallerKind};
