//! The parameters from before expressions, compiled into the types that expressions compile into.
//!
//! Values are decoded and enumerations checked by the caller; what is checked here is what AWS checks next, in its
//! order. Source of order and messages: dynalite 4 (validations/index.js), whose tests were run against AWS, and
//! paritysuite/dynamodb-conformance.

mod conditions;
mod updates;

pub use conditions::{AttributeCondition, ConditionalOperator, ExpectedAttribute, Operator};
pub use conditions::{expected, filter, key_conditions};
pub use updates::{AttributeUpdate, UPDATE_ACTIONS, UpdateAction, updates};

use crate::expression::{ExpressionError, Path, Projection};
use std::collections::BTreeSet;

fn invalid(text: impl Into<String>) -> ExpressionError {
    ExpressionError::InvalidParameter(text.into())
}

/// AttributesToGet: top-level attributes, a dot in a name being part of it.
pub fn attributes_to_get(names: Vec<String>) -> Result<Projection, ExpressionError> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(invalid(format!("Duplicate value in attribute name: {twice}")));
    }
    Ok(Projection::of(names.into_iter().map(Path::attribute).collect()))
}

#[cfg(test)]
mod tests;
