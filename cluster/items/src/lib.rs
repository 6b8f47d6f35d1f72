//! DynamoDB's data model, without any IO: values, numbers, keys, sizes, AWS's JSON for attribute values, the
//! stored form of an item, and the expressions that read and change items.
//!
//! This crate must not know HTTP, Raft, storage engines, clocks or an async runtime: it turns bytes and values
//! into values, bytes and errors that carry AWS's own messages. What is applied to a store is decided elsewhere.
//!
//! Invariants:
//! - A [`Number`] is always in canonical form and inside AWS's range, so equal numbers are equal bytes.
//! - The order of encoded keys as bytes is the order of the keys as values ([`key`]).
//! - Decoders are total: no input panics, recurses deeper than the nesting limit or allocates more than a
//!   small multiple of its own size.
//! - The stored encoding ([`stored`]) starts with a format version, and is never AWS's JSON.
//!
//! Start with [`value`], then [`number`] and [`key`]; requests enter through [`json`].

pub mod capacity;
pub mod expression;
pub mod json;
pub mod key;
pub mod legacy;
pub mod number;
pub mod reserved;
pub mod schema;
pub mod size;
pub mod stored;
pub mod value;

pub use key::PrimaryKey;
pub use number::{Number, NumberError};
pub use schema::{IndexProjection, KeyAttribute, KeySchema, KeyType, LocalIndex, TableSchema};
pub use value::{AttributeValue, Item};
