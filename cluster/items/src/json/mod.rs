//! AWS's JSON of attribute values: `{"S": "text"}`.
//!
//! It is read and written straight, without a tree in between. AWS first reads a whole request, and answers what
//! has the wrong JSON type with a SerializationException; only then it validates values. So here a wrong type is a
//! serde error ([`serialization_message`] is its text), while a value that has the right shape and can't be stored
//! is remembered inside the [`WireValue`] or [`WireItem`] until it is asked for.
//!
//! Sources of the messages: dynalite 4 (its validations were written against AWS), and
//! paritysuite/dynamodb-conformance (tests/tier3/error-messages/valueLayers.test.ts) for the two wordings.

mod error;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use error::{ValueError, serialization_message};
pub use read::{InvalidAttribute, WireItem, WireValue};
pub use write::{
    WireItemRef, WireValueRef, serialize_item, serialize_items, serialize_option_item, serialize_option_value,
    serialize_value,
};
