//! Key conditions of a Query: the hash key's value and what the range key has to be.
//!
//! They come in two steps, as AWS checks them: [`super::compile_condition::key_condition`] or the legacy KeyConditions give
//! [`KeyConditions`] without knowing the table, [`KeyConditions::bind`] fits them to a key schema.

use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::ast::{RawCondition, RawFunction, RawOperand};
use super::compile_condition::{compile_condition, parse_condition};
use super::condition::{Comparator, Condition, Operand, begins_with};
use super::error::{ExpressionError, ExpressionKind, Problem};
use super::substitutions::Substitutions;
use crate::schema::{KeyAttribute, KeySchema};
use crate::value::AttributeValue;

/// What a range key has to be. Values have the key's type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RangeCondition {
    Equal(AttributeValue),
    Less(AttributeValue),
    LessOrEqual(AttributeValue),
    Greater(AttributeValue),
    GreaterOrEqual(AttributeValue),
    Between(AttributeValue, AttributeValue),
    BeginsWith(AttributeValue),
}

impl RangeCondition {
    pub fn matches(&self, key: &AttributeValue) -> bool {
        let order = |value: &AttributeValue| key.compare(value);
        match self {
            RangeCondition::Equal(value) => key == value,
            RangeCondition::Less(value) => order(value).is_some_and(std::cmp::Ordering::is_lt),
            RangeCondition::LessOrEqual(value) => order(value).is_some_and(std::cmp::Ordering::is_le),
            RangeCondition::Greater(value) => order(value).is_some_and(std::cmp::Ordering::is_gt),
            RangeCondition::GreaterOrEqual(value) => order(value).is_some_and(std::cmp::Ordering::is_ge),
            RangeCondition::Between(lower, upper) => {
                order(lower).is_some_and(std::cmp::Ordering::is_ge)
                    && order(upper).is_some_and(std::cmp::Ordering::is_le)
            }
            RangeCondition::BeginsWith(prefix) => begins_with(key, prefix),
        }
    }

    /// Between which keys the matches lie. [`RangeCondition::BeginsWith`] has no upper bound among values: the
    /// scan ends with the last key that has [`RangeCondition::prefix`].
    pub fn bounds(&self) -> (Bound<&AttributeValue>, Bound<&AttributeValue>) {
        use Bound::*;
        match self {
            RangeCondition::Equal(value) => (Included(value), Included(value)),
            RangeCondition::Less(value) => (Unbounded, Excluded(value)),
            RangeCondition::LessOrEqual(value) => (Unbounded, Included(value)),
            RangeCondition::Greater(value) => (Excluded(value), Unbounded),
            RangeCondition::GreaterOrEqual(value) => (Included(value), Unbounded),
            RangeCondition::Between(lower, upper) => (Included(lower), Included(upper)),
            RangeCondition::BeginsWith(prefix) => (Included(prefix), Unbounded),
        }
    }

    pub fn prefix(&self) -> Option<&AttributeValue> {
        match self {
            RangeCondition::BeginsWith(prefix) => Some(prefix),
            _ => None,
        }
    }

    fn values(&self) -> impl Iterator<Item = &AttributeValue> {
        let (one, two) = match self {
            RangeCondition::Between(lower, upper) => (lower, Some(upper)),
            RangeCondition::Equal(value)
            | RangeCondition::Less(value)
            | RangeCondition::LessOrEqual(value)
            | RangeCondition::Greater(value)
            | RangeCondition::GreaterOrEqual(value)
            | RangeCondition::BeginsWith(value) => (value, None),
        };
        std::iter::once(one).chain(two)
    }
}

/// A Query's key condition, fitted to a key schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyCondition {
    pub hash: AttributeValue,
    pub range: Option<RangeCondition>,
}

/// Conditions by attribute, before the key schema is known.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyConditions {
    conditions: Vec<(String, KeyOperator)>,
    legacy: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum KeyOperator {
    Range(RangeCondition),
    /// A legacy operator that no key condition can use, found out only when the table is known.
    NotIndexable,
}

impl KeyConditions {
    pub(crate) fn legacy(conditions: Vec<(String, KeyOperator)>) -> Result<Self, ExpressionError> {
        if !(1..=2).contains(&conditions.len()) {
            return Err(ExpressionError::KeyConditionCount);
        }
        Ok(KeyConditions { conditions, legacy: true })
    }

    /// What this attribute has to be equal to, if that is asked for.
    pub fn equal_to(&self, name: &str) -> Option<&AttributeValue> {
        self.conditions.iter().find_map(|(given, operator)| match operator {
            KeyOperator::Range(RangeCondition::Equal(value)) if given == name => Some(value),
            _ => None,
        })
    }

    /// Fits the conditions to the key of the table or index that the Query reads.
    pub fn bind(mut self, key: &KeySchema) -> Result<KeyCondition, ExpressionError> {
        let keys = key.attributes().count();
        let given = self.conditions.len();
        if !self.legacy && given > 2 {
            return Err(ExpressionError::TooManyKeyConditions { given, keys });
        }
        if keys == 1 && given > 1 {
            return Err(ExpressionError::KeyConditionNotSupported);
        }
        let hash = match self.take(&key.hash)? {
            Some(RangeCondition::Equal(value)) => value,
            Some(_) => return Err(ExpressionError::KeyConditionNotSupported),
            None => return Err(ExpressionError::MissingKeyCondition(key.hash.name.clone())),
        };
        let range = match &key.range {
            Some(attribute) => self.take(attribute)?,
            None => None,
        };
        match (&key.range, range) {
            (Some(attribute), None) if given > 1 => Err(ExpressionError::MissingKeyCondition(attribute.name.clone())),
            (_, range) => Ok(KeyCondition { hash, range }),
        }
    }

    fn take(&mut self, key: &KeyAttribute) -> Result<Option<RangeCondition>, ExpressionError> {
        let Some(position) = self.conditions.iter().position(|(name, _)| *name == key.name) else {
            return Ok(None);
        };
        let KeyOperator::Range(condition) = self.conditions.swap_remove(position).1 else {
            return Err(ExpressionError::NotIndexable);
        };
        for value in condition.values() {
            if !key.key_type.matches(value) {
                return Err(ExpressionError::KeyConditionType);
            }
            let what = match value {
                AttributeValue::S(text) if text.is_empty() => "string",
                AttributeValue::B(bytes) if bytes.is_empty() => "binary",
                _ => continue,
            };
            return Err(ExpressionError::EmptyKeyValue { what, key: key.name.clone() });
        }
        Ok(Some(condition))
    }
}

pub(super) fn compile_key_condition(
    text: &str,
    substitutions: &mut Substitutions,
) -> Result<KeyConditions, ExpressionError> {
    let invalid = |problem| ExpressionError::Invalid { kind: ExpressionKind::KeyCondition, problem };
    let raw = parse_condition(text).map_err(invalid)?;
    let compiled = compile_condition(&raw, substitutions).map_err(invalid)?;
    let mut conditions = Vec::new();
    collect(&raw, compiled, &mut conditions)?;
    Ok(KeyConditions { conditions, legacy: false })
}

/// Walks the text and the compiled form side by side: the compiled form has the values, the text still tells
/// `size` from a literal.
fn collect(
    raw: &RawCondition<'_>,
    compiled: Condition,
    conditions: &mut Vec<(String, KeyOperator)>,
) -> Result<(), ExpressionError> {
    let operands: Vec<&RawOperand<'_>> = match raw {
        RawCondition::All(raw_parts) => {
            let Condition::All(parts) = compiled else {
                return Err(ExpressionError::KeyConditionNestedOperation);
            };
            return raw_parts.iter().zip(parts).try_for_each(|(raw, part)| collect(raw, part, conditions));
        }
        RawCondition::Any(_) => return Err(ExpressionError::KeyConditionOperator("OR".to_owned())),
        RawCondition::Not(_) => return Err(ExpressionError::KeyConditionOperator("NOT".to_owned())),
        RawCondition::In(..) => return Err(ExpressionError::KeyConditionOperator("IN".to_owned())),
        RawCondition::Compare(_, Comparator::NotEqual, _) => {
            return Err(ExpressionError::KeyConditionOperator("<>".to_owned()));
        }
        RawCondition::Function(RawFunction { name, arguments }) => {
            if *name != "begins_with" {
                return Err(ExpressionError::KeyConditionOperator((*name).to_owned()));
            }
            if !matches!(arguments.first(), Some(RawOperand::Path(_))) {
                return Err(ExpressionError::KeyConditionFirstOperand((*name).to_owned()));
            }
            arguments.iter().collect()
        }
        RawCondition::Between(operands) => {
            if !matches!(operands[0], RawOperand::Path(_)) {
                return Err(ExpressionError::KeyConditionFirstOperand("BETWEEN".to_owned()));
            }
            operands.iter().collect()
        }
        RawCondition::Compare(left, _, right) => vec![left, right],
    };
    let paths: Vec<_> = operands.iter().filter(|operand| matches!(operand, RawOperand::Path(_))).collect();
    if paths.len() > 1 {
        return Err(ExpressionError::KeyConditionTwoAttributes);
    }
    if operands.iter().any(|operand| matches!(operand, RawOperand::Function(_))) {
        return Err(ExpressionError::KeyConditionNestedOperation);
    }
    let (attribute, condition) = single(compiled)?;
    if conditions.iter().any(|(name, _)| *name == attribute) {
        return Err(ExpressionError::Invalid {
            kind: ExpressionKind::KeyCondition,
            problem: Problem::RepeatedKeyCondition,
        });
    }
    conditions.push((attribute, KeyOperator::Range(condition)));
    Ok(())
}

fn single(compiled: Condition) -> Result<(String, RangeCondition), ExpressionError> {
    let (operand, condition) = match compiled {
        Condition::Compare { left: Operand::Value(value), comparator, right } => {
            (right, comparison(comparator.mirrored(), value))
        }
        Condition::Compare { left, comparator, right: Operand::Value(value) } => (left, comparison(comparator, value)),
        Condition::Between { value, lower: Operand::Value(lower), upper: Operand::Value(upper) } => {
            (value, Some(RangeCondition::Between(lower, upper)))
        }
        Condition::BeginsWith { value, prefix: Operand::Value(prefix) } => {
            (value, Some(RangeCondition::BeginsWith(prefix)))
        }
        _ => return Err(ExpressionError::KeyConditionNestedOperation),
    };
    let Operand::Path(path) = operand else {
        return Err(ExpressionError::KeyConditionNoAttribute);
    };
    if path.is_nested() {
        return Err(ExpressionError::KeyConditionNestedPath);
    }
    match condition {
        Some(condition) => Ok((path.attribute, condition)),
        None => Err(ExpressionError::KeyConditionOperator(Comparator::NotEqual.symbol().to_owned())),
    }
}

fn comparison(comparator: Comparator, value: AttributeValue) -> Option<RangeCondition> {
    match comparator {
        Comparator::Equal => Some(RangeCondition::Equal(value)),
        Comparator::NotEqual => None,
        Comparator::Less => Some(RangeCondition::Less(value)),
        Comparator::LessOrEqual => Some(RangeCondition::LessOrEqual(value)),
        Comparator::Greater => Some(RangeCondition::Greater(value)),
        Comparator::GreaterOrEqual => Some(RangeCondition::GreaterOrEqual(value)),
    }
}
