//! Expected, QueryFilter, ScanFilter and KeyConditions.

use super::invalid;
use crate::expression::{
    Comparator, Condition, ExpressionError, KeyConditions, KeyOperator, Operand, Path, RangeCondition,
};
use crate::value::AttributeValue;
use std::collections::BTreeMap;

/// How several conditions are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConditionalOperator {
    #[default]
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    In,
    Null,
    Between,
    Lt,
    NotContains,
    Eq,
    Gt,
    NotNull,
    Ne,
    Le,
    BeginsWith,
    Ge,
    Contains,
}

impl Operator {
    const ALL: [Operator; 13] = {
        use Operator::*;
        [In, Null, Between, Lt, NotContains, Eq, Gt, NotNull, Ne, Le, BeginsWith, Ge, Contains]
    };

    /// In the order in which AWS lists them.
    pub const NAMES: [&str; 13] = [
        "IN",
        "NULL",
        "BETWEEN",
        "LT",
        "NOT_CONTAINS",
        "EQ",
        "GT",
        "NOT_NULL",
        "NE",
        "LE",
        "BEGINS_WITH",
        "GE",
        "CONTAINS",
    ];

    pub fn parse(name: &str) -> Option<Operator> {
        let place = Self::NAMES.iter().position(|known| *known == name)?;
        Self::ALL.get(place).copied()
    }

    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    fn takes(self, values: usize) -> bool {
        match self {
            Operator::Null | Operator::NotNull => values == 0,
            Operator::In => values >= 1,
            Operator::Between => values == 2,
            _ => values == 1,
        }
    }

    fn takes_type(self, value: &AttributeValue) -> bool {
        match self {
            Operator::Eq | Operator::Ne | Operator::Null | Operator::NotNull => true,
            Operator::BeginsWith => matches!(value, AttributeValue::S(_) | AttributeValue::B(_)),
            _ => matches!(value, AttributeValue::S(_) | AttributeValue::N(_) | AttributeValue::B(_)),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct AttributeCondition {
    pub operator: Operator,
    pub values: Vec<AttributeValue>,
}

/// What Expected says of one attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectedAttribute {
    pub value: Option<AttributeValue>,
    pub exists: Option<bool>,
    pub operator: Option<Operator>,
    pub values: Option<Vec<AttributeValue>>,
}

impl AttributeCondition {
    fn check(&self) -> Result<(), ExpressionError> {
        let name = self.operator.name();
        if !self.operator.takes(self.values.len()) {
            return Err(invalid(format!("Invalid number of argument(s) for the {name} ComparisonOperator")));
        }
        if self.values.windows(2).any(|pair| pair[0].type_name() != pair[1].type_name()) {
            return Err(invalid("AttributeValues inside AttributeValueList must be of same type"));
        }
        if let Some(value) = self.values.iter().find(|value| !self.operator.takes_type(value)) {
            let of = value.type_name();
            return Err(invalid(format!("ComparisonOperator {name} is not valid for {of} AttributeValue type")));
        }
        match (self.operator, &self.values[..]) {
            (Operator::Between, [lower, upper]) if lower.compare(upper).is_some_and(std::cmp::Ordering::is_gt) => {
                Err(ExpressionError::BetweenBounds)
            }
            _ => Ok(()),
        }
    }

    /// Of a checked condition.
    fn compile(self, attribute: &str) -> Condition {
        let path = Path::attribute(attribute);
        let mut values = self.values.into_iter();
        // The number of values was checked; a missing one would be our own fault and compares as NULL.
        let mut value = || Operand::Value(values.next().unwrap_or(AttributeValue::Null));
        let compare = |comparator, right| Condition::Compare { left: Operand::Path(path.clone()), comparator, right };
        match self.operator {
            Operator::Eq => compare(Comparator::Equal, value()),
            Operator::Ne => compare(Comparator::NotEqual, value()),
            Operator::Lt => compare(Comparator::Less, value()),
            Operator::Le => compare(Comparator::LessOrEqual, value()),
            Operator::Gt => compare(Comparator::Greater, value()),
            Operator::Ge => compare(Comparator::GreaterOrEqual, value()),
            Operator::Null => Condition::NotExists(path),
            Operator::NotNull => Condition::Exists(path),
            Operator::Contains => Condition::Contains { value: Operand::Path(path), part: value() },
            Operator::NotContains => {
                Condition::Not(Box::new(Condition::Contains { value: Operand::Path(path), part: value() }))
            }
            Operator::BeginsWith => Condition::BeginsWith { value: Operand::Path(path), prefix: value() },
            Operator::Between => Condition::Between { value: Operand::Path(path), lower: value(), upper: value() },
            Operator::In => {
                Condition::In { value: Operand::Path(path), candidates: values.map(Operand::Value).collect() }
            }
        }
    }

    fn key_operator(self) -> KeyOperator {
        let mut values = self.values.into_iter();
        let mut value = || values.next().unwrap_or(AttributeValue::Null);
        KeyOperator::Range(match self.operator {
            Operator::Eq => RangeCondition::Equal(value()),
            Operator::Lt => RangeCondition::Less(value()),
            Operator::Le => RangeCondition::LessOrEqual(value()),
            Operator::Gt => RangeCondition::Greater(value()),
            Operator::Ge => RangeCondition::GreaterOrEqual(value()),
            Operator::BeginsWith => RangeCondition::BeginsWith(value()),
            Operator::Between => RangeCondition::Between(value(), value()),
            Operator::In
            | Operator::Null
            | Operator::NotContains
            | Operator::NotNull
            | Operator::Ne
            | Operator::Contains => return KeyOperator::NotIndexable,
        })
    }
}

fn join(
    conditions: Vec<Condition>,
    operator: Option<ConditionalOperator>,
) -> Result<Option<Condition>, ExpressionError> {
    match (conditions.len(), operator) {
        (0, Some(_)) => Err(ExpressionError::ConditionalOperatorAlone),
        (0, None) => Ok(None),
        (1, Some(_)) => Err(ExpressionError::ConditionalOperatorOnOne),
        (_, None | Some(ConditionalOperator::And)) => Ok(Some(Condition::All(conditions))),
        (_, Some(ConditionalOperator::Or)) => Ok(Some(Condition::Any(conditions))),
    }
}

/// QueryFilter or ScanFilter.
pub fn filter(
    given: BTreeMap<String, AttributeCondition>,
    operator: Option<ConditionalOperator>,
) -> Result<Option<Condition>, ExpressionError> {
    given.values().try_for_each(AttributeCondition::check)?;
    join(given.into_iter().map(|(name, condition)| condition.compile(&name)).collect(), operator)
}

/// KeyConditions of a Query.
pub fn key_conditions(given: BTreeMap<String, AttributeCondition>) -> Result<KeyConditions, ExpressionError> {
    given.values().try_for_each(AttributeCondition::check)?;
    KeyConditions::legacy(given.into_iter().map(|(name, condition)| (name, condition.key_operator())).collect())
}

/// Expected of a write.
pub fn expected(
    given: BTreeMap<String, ExpectedAttribute>,
    operator: Option<ConditionalOperator>,
) -> Result<Option<Condition>, ExpressionError> {
    let conditions: Result<Vec<_>, _> = given.into_iter().map(|(name, expected)| expected.compile(&name)).collect();
    join(conditions?, operator)
}

impl ExpectedAttribute {
    fn compile(self, name: &str) -> Result<Condition, ExpressionError> {
        if self.value.is_some() && self.values.is_some() {
            return Err(invalid(format!("Value and AttributeValueList cannot be used together for Attribute: {name}")));
        }
        let equals = |value| AttributeCondition { operator: Operator::Eq, values: vec![value] }.compile(name);
        let Some(operator) = self.operator else {
            if self.values.is_some() {
                return Err(invalid(format!(
                    "AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}"
                )));
            }
            return match (self.exists, self.value) {
                (None | Some(true), Some(value)) => Ok(equals(value)),
                (Some(false), None) => Ok(Condition::NotExists(Path::attribute(name))),
                (exists @ (None | Some(true)), None) => {
                    let exists = exists.map_or("null", |_| "true");
                    Err(invalid(format!("Value must be provided when Exists is {exists} for Attribute: {name}")))
                }
                (Some(false), Some(_)) => {
                    Err(invalid(format!("Value cannot be used when Exists is false for Attribute: {name}")))
                }
            };
        };
        if self.exists.is_some() {
            return Err(invalid(format!(
                "Exists and ComparisonOperator cannot be used together for Attribute: {name}"
            )));
        }
        let valueless = matches!(operator, Operator::Null | Operator::NotNull);
        if !valueless && self.value.is_none() && self.values.is_none() {
            let operator = operator.name();
            return Err(invalid(format!(
                "Value or AttributeValueList must be used with ComparisonOperator: {operator} for Attribute: {name}"
            )));
        }
        let values = self.values.unwrap_or_else(|| self.value.into_iter().collect());
        let condition = AttributeCondition { operator, values };
        condition.check()?;
        Ok(condition.compile(name))
    }
}
