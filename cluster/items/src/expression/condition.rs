//! Compiled conditions and filters, and what they say about an item.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::error::{EvaluationError, ExpressionError};
use super::path::Path;
use crate::number::Number;
use crate::value::{AttributeValue, Item};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparator {
    pub fn symbol(self) -> &'static str {
        match self {
            Comparator::Equal => "=",
            Comparator::NotEqual => "<>",
            Comparator::Less => "<",
            Comparator::LessOrEqual => "<=",
            Comparator::Greater => ">",
            Comparator::GreaterOrEqual => ">=",
        }
    }

    /// Whether it needs operands that have an order.
    pub(super) fn orders(self) -> bool {
        !matches!(self, Comparator::Equal | Comparator::NotEqual)
    }

    /// The comparator that says the same with the operands exchanged.
    pub(super) fn mirrored(self) -> Self {
        match self {
            Comparator::Less => Comparator::Greater,
            Comparator::LessOrEqual => Comparator::GreaterOrEqual,
            Comparator::Greater => Comparator::Less,
            Comparator::GreaterOrEqual => Comparator::LessOrEqual,
            same => same,
        }
    }

    fn holds(self, left: Option<&AttributeValue>, right: Option<&AttributeValue>) -> bool {
        // An attribute that does not exist differs from everything, another missing one included.
        let (Some(left), Some(right)) = (left, right) else {
            return self == Comparator::NotEqual;
        };
        match self {
            Comparator::Equal => left == right,
            Comparator::NotEqual => left != right,
            Comparator::Less => left.compare(right) == Some(Ordering::Less),
            Comparator::LessOrEqual => left.compare(right).is_some_and(Ordering::is_le),
            Comparator::Greater => left.compare(right) == Some(Ordering::Greater),
            Comparator::GreaterOrEqual => left.compare(right).is_some_and(Ordering::is_ge),
        }
    }
}

/// The types that `attribute_type` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AttributeType {
    S,
    N,
    B,
    SS,
    NS,
    BS,
    M,
    L,
    Bool,
    Null,
}

impl AttributeType {
    const ALL: [AttributeType; 10] = {
        use AttributeType::*;
        [S, N, B, SS, NS, BS, M, L, Bool, Null]
    };

    /// As in `AttributeValue::type_name`.
    pub fn name(self) -> &'static str {
        match self {
            AttributeType::S => "S",
            AttributeType::N => "N",
            AttributeType::B => "B",
            AttributeType::SS => "SS",
            AttributeType::NS => "NS",
            AttributeType::BS => "BS",
            AttributeType::M => "M",
            AttributeType::L => "L",
            AttributeType::Bool => "BOOL",
            AttributeType::Null => "NULL",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|candidate| candidate.name() == name)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operand {
    Path(Path),
    Value(AttributeValue),
    /// `size(path)`; the size of a literal is folded into a value.
    Size(Path),
}

/// A condition with names and values put in. Sent to the partition's leader, which evaluates it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    /// True when empty.
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare {
        left: Operand,
        comparator: Comparator,
        right: Operand,
    },
    Between {
        value: Operand,
        lower: Operand,
        upper: Operand,
    },
    In {
        value: Operand,
        candidates: Vec<Operand>,
    },
    Exists(Path),
    NotExists(Path),
    HasType(Operand, AttributeType),
    BeginsWith {
        value: Operand,
        prefix: Operand,
    },
    Contains {
        value: Operand,
        part: Operand,
    },
}

impl Condition {
    /// Whether the condition holds for an item, or for the absence of one. Where an operand does not exist or has
    /// a type that the operator doesn't take, the comparison is false, as at AWS.
    pub fn evaluate(&self, item: Option<&Item>) -> Result<bool, EvaluationError> {
        Ok(self.holds(item))
    }

    fn holds(&self, item: Option<&Item>) -> bool {
        match self {
            Condition::All(parts) => parts.iter().all(|part| part.holds(item)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(item)),
            Condition::Not(part) => !part.holds(item),
            Condition::Compare { left, comparator, right } => {
                comparator.holds(left.resolve(item).as_deref(), right.resolve(item).as_deref())
            }
            Condition::Between { value, lower, upper } => {
                let value = value.resolve(item);
                Comparator::GreaterOrEqual.holds(value.as_deref(), lower.resolve(item).as_deref())
                    && Comparator::LessOrEqual.holds(value.as_deref(), upper.resolve(item).as_deref())
            }
            Condition::In { value, candidates } => {
                let value = value.resolve(item);
                (candidates.iter())
                    .any(|candidate| Comparator::Equal.holds(value.as_deref(), candidate.resolve(item).as_deref()))
            }
            Condition::Exists(path) => item.and_then(|item| path.resolve(item)).is_some(),
            Condition::NotExists(path) => item.and_then(|item| path.resolve(item)).is_none(),
            Condition::HasType(operand, wanted) => {
                operand.resolve(item).is_some_and(|value| value.type_name() == wanted.name())
            }
            Condition::BeginsWith { value, prefix } => match (value.resolve(item), prefix.resolve(item)) {
                (Some(value), Some(prefix)) => begins_with(&value, &prefix),
                _ => false,
            },
            Condition::Contains { value, part } => match (value.resolve(item), part.resolve(item)) {
                (Some(value), Some(part)) => contains(&value, &part),
                _ => false,
            },
        }
    }

    /// Every path that the condition names.
    pub fn document_paths(&self) -> Vec<&Path> {
        let mut paths = Vec::new();
        self.collect_paths(&mut paths);
        paths
    }

    fn collect_paths<'c>(&'c self, paths: &mut Vec<&'c Path>) {
        let mut operand = |operand: &'c Operand| match operand {
            Operand::Path(path) | Operand::Size(path) => paths.push(path),
            Operand::Value(_) => {}
        };
        match self {
            Condition::All(parts) | Condition::Any(parts) => {
                parts.iter().for_each(|part| part.collect_paths(paths));
            }
            Condition::Not(part) => part.collect_paths(paths),
            Condition::Compare { left, right, .. } => [left, right].into_iter().for_each(operand),
            Condition::Between { value, lower, upper } => [value, lower, upper].into_iter().for_each(operand),
            Condition::In { value, candidates } => {
                operand(value);
                candidates.iter().for_each(operand);
            }
            Condition::Exists(path) | Condition::NotExists(path) => paths.push(path),
            Condition::HasType(value, _) => operand(value),
            Condition::BeginsWith { value, prefix: part } | Condition::Contains { value, part } => {
                [value, part].into_iter().for_each(operand);
            }
        }
    }

    /// A Query's filter may not look at the keys of the table or index that it reads. `parameter` is
    /// [`FILTER_EXPRESSION`] or [`QUERY_FILTER`].
    pub fn check_filter_keys(&self, parameter: &'static str, keys: &[&str]) -> Result<(), ExpressionError> {
        let paths = self.document_paths();
        match keys.iter().find(|key| paths.iter().any(|path| path.attribute == **key)) {
            Some(key) => Err(ExpressionError::FilterOnKey { parameter, attribute: (*key).to_owned() }),
            None => Ok(()),
        }
    }
}

/// What AWS calls `FilterExpression` in [`ExpressionError::FilterOnKey`].
pub const FILTER_EXPRESSION: &str = "Filter Expression";
/// The same for the legacy parameter.
pub const QUERY_FILTER: &str = "QueryFilter";

/// A value that an operand borrows from the item or the expression, or a size that it made.
enum Resolved<'v> {
    Borrowed(&'v AttributeValue),
    Made(AttributeValue),
}

impl std::ops::Deref for Resolved<'_> {
    type Target = AttributeValue;

    fn deref(&self) -> &AttributeValue {
        match self {
            Resolved::Borrowed(value) => value,
            Resolved::Made(value) => value,
        }
    }
}

impl Operand {
    fn resolve<'v>(&'v self, item: Option<&'v Item>) -> Option<Resolved<'v>> {
        match self {
            Operand::Path(path) => path.resolve(item?).map(Resolved::Borrowed),
            Operand::Value(value) => Some(Resolved::Borrowed(value)),
            Operand::Size(path) => size(path.resolve(item?)?).map(Resolved::Made),
        }
    }
}

/// What `size` gives, as a number; nothing for types that have no size.
pub(super) fn size(value: &AttributeValue) -> Option<AttributeValue> {
    let size = match value {
        // AWS counts UTF-16 code units, as Java does.
        AttributeValue::S(text) => text.encode_utf16().count(),
        AttributeValue::B(bytes) => bytes.len(),
        AttributeValue::SS(set) => set.len(),
        AttributeValue::NS(set) => set.len(),
        AttributeValue::BS(set) => set.len(),
        AttributeValue::M(map) => map.len(),
        AttributeValue::L(list) => list.len(),
        AttributeValue::N(_) | AttributeValue::Bool(_) | AttributeValue::Null => return None,
    };
    Some(AttributeValue::N(Number::from(i64::try_from(size).ok()?)))
}

pub(super) fn begins_with(value: &AttributeValue, prefix: &AttributeValue) -> bool {
    match (value, prefix) {
        (AttributeValue::S(value), AttributeValue::S(prefix)) => value.starts_with(prefix.as_str()),
        (AttributeValue::B(value), AttributeValue::B(prefix)) => value.starts_with(prefix),
        _ => false,
    }
}

/// A part of a string or binary, a member of a set, or an element of a list.
fn contains(value: &AttributeValue, part: &AttributeValue) -> bool {
    match (value, part) {
        (AttributeValue::L(list), part) => list.contains(part),
        (AttributeValue::S(value), AttributeValue::S(part)) => value.contains(part.as_str()),
        (AttributeValue::B(value), AttributeValue::B(part)) => {
            part.is_empty() || value.windows(part.len()).any(|window| window == part.as_ref())
        }
        (AttributeValue::SS(set), AttributeValue::S(part)) => set.contains(part),
        (AttributeValue::NS(set), AttributeValue::N(part)) => set.contains(part),
        (AttributeValue::BS(set), AttributeValue::B(part)) => set.contains(part),
        _ => false,
    }
}
