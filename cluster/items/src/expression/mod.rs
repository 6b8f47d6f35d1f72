//! DynamoDB's expressions: text to compiled forms, and what those say about an item or do to it.
//!
//! A request's expressions are compiled by the router, with one [`Substitutions`] for all of them, and sent to
//! the partition's leader, which evaluates them: [`Condition`], [`Update`], [`Projection`] and [`KeyCondition`]
//! hold no placeholders and serialize with postcard. The legacy parameters compile into the same types
//! ([`crate::legacy`]).
//!
//! AWS's order for one request: [`Parameters::check`]; [`Substitutions::new`]; the expressions by
//! [`compile::update`], [`compile::condition`], [`compile::key_condition`], filter, [`compile::projection`];
//! [`Substitutions::finish`]; then the table: [`check_nested_key_paths`], [`Update::check_keys`],
//! [`Condition::check_filter_keys`], [`KeyConditions::bind`].
//!
//! Invariants: no text panics or overflows the stack; the paths of an update or projection are disjoint.

use std::collections::{BTreeMap, BTreeSet};

mod ast;
mod check;
mod compile_condition;
mod compile_update;
mod condition;
mod error;
mod key_condition;
mod lexer;
mod parser;
mod parser_update;
mod path;
mod projection;
mod substitutions;
mod update;

#[cfg(test)]
mod tests;

pub use condition::{AttributeType, Comparator, Condition, FILTER_EXPRESSION, Operand, QUERY_FILTER};
pub use error::{EvaluationError, ExpressionError, ExpressionKind, Placeholders, Problem};
pub(crate) use key_condition::KeyOperator;
pub use key_condition::{KeyCondition, KeyConditions, RangeCondition};
pub use path::{MAX_LIST_INDEX, MAX_PATH_STEPS, Path, Step, check_nested_key_paths};
pub use projection::Projection;
pub use substitutions::{Parameters, Substitutions};
pub use update::{Action, SetOperand, SetValue, Update, UpdatedPaths};

/// The top-level attributes that an expression names, its placeholders replaced; none where one of them has no name.
/// Says nothing about whether the expression is right.
pub fn attribute_names(text: &str, names: Option<&BTreeMap<String, String>>) -> Option<BTreeSet<String>> {
    lexer::attribute_names(text, names)
}

/// From text to compiled forms.
pub mod compile {
    use super::{ExpressionError, KeyConditions, Substitutions};

    pub use super::compile_condition::{MAX_EXPRESSION_BYTES, condition, projection};
    pub use super::compile_update::update;

    pub fn key_condition(text: &str, substitutions: &mut Substitutions) -> Result<KeyConditions, ExpressionError> {
        super::key_condition::compile_key_condition(text, substitutions)
    }
}
