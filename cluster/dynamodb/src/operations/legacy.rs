//! The parameters from before expressions: from the wire to what breakwater-items compiles.

use super::errors::invalid;
use super::validate::Constraints;
use breakwater_aws::AwsError;
use breakwater_items::AttributeValue;
use breakwater_items::expression::{Condition, KeyConditions, Projection, Update};
use breakwater_items::json::WireValue;
use breakwater_items::legacy::{self, ConditionalOperator, Operator, UPDATE_ACTIONS, UpdateAction};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExpectedAttribute {
    value: Option<WireValue>,
    exists: Option<bool>,
    comparison_operator: Option<String>,
    attribute_value_list: Option<Vec<WireValue>>,
}

pub type Expected = BTreeMap<String, ExpectedAttribute>;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConditionOf {
    comparison_operator: Option<String>,
    attribute_value_list: Option<Vec<WireValue>>,
}

pub type Conditions = BTreeMap<String, ConditionOf>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateOf {
    value: Option<WireValue>,
    action: Option<String>,
}

pub type AttributeUpdates = BTreeMap<String, UpdateOf>;

const ATTRIBUTES_MAX: usize = 255;

pub fn constrain_expected(constraints: &mut Constraints, given: Option<&Expected>) {
    for (name, expected) in given.into_iter().flatten() {
        let at = format!("expected.{name}.member.comparisonOperator");
        constraints.one_of(expected.comparison_operator.as_deref(), &at, &Operator::NAMES);
    }
}

/// `at`: the parameter as the framework spells it, `queryFilter`.
pub fn constrain_conditions(constraints: &mut Constraints, at: &str, given: Option<&Conditions>) {
    for (name, condition) in given.into_iter().flatten() {
        let at = format!("{at}.{name}.member.comparisonOperator");
        match condition.comparison_operator.as_deref() {
            None => constraints.null(&at),
            given => constraints.one_of(given, &at, &Operator::NAMES),
        }
    }
}

pub fn constrain_updates(constraints: &mut Constraints, given: Option<&AttributeUpdates>) {
    for (name, update) in given.into_iter().flatten() {
        constraints.one_of(
            update.action.as_deref(),
            &format!("attributeUpdates.{name}.member.action"),
            &UPDATE_ACTIONS,
        );
    }
}

pub fn constrain_attributes(constraints: &mut Constraints, given: Option<&Vec<String>>) {
    match given.map(Vec::as_slice) {
        Some([]) => {
            constraints.fail("[]", "attributesToGet", "Member must have length greater than or equal to 1");
        }
        Some(names) if names.len() > ATTRIBUTES_MAX => {
            let shown = format!("[{}]", names.join(", "));
            constraints.fail(&shown, "attributesToGet", "Member must have length less than or equal to 255");
        }
        Some(_) | None => {}
    }
}

fn operator(given: Option<&str>) -> Option<ConditionalOperator> {
    given.map(|name| if name == "OR" { ConditionalOperator::Or } else { ConditionalOperator::And })
}

/// An operator that was checked with the other constraints.
fn comparison(name: &str) -> Result<Operator, AwsError> {
    Operator::parse(name).ok_or_else(|| AwsError::internal("an unchecked comparison operator"))
}

fn values(given: Vec<WireValue>, older: bool) -> Result<Vec<AttributeValue>, AwsError> {
    let value =
        |value: WireValue| value.into_value().map_err(|e| if older { invalid(e.older_message()) } else { invalid(e) });
    given.into_iter().map(value).collect()
}

fn compile_conditions(
    given: Conditions,
    older: bool,
) -> Result<BTreeMap<String, legacy::AttributeCondition>, AwsError> {
    let compile = |(name, condition): (String, ConditionOf)| {
        let operator = comparison(condition.comparison_operator.as_deref().unwrap_or(""))?;
        let values = values(condition.attribute_value_list.unwrap_or_default(), older)?;
        Ok((name, legacy::AttributeCondition { operator, values }))
    };
    given.into_iter().map(compile).collect()
}

pub fn expected(given: Option<Expected>, joined: Option<&str>) -> Result<Option<Condition>, AwsError> {
    let compile = |(name, expected): (String, ExpectedAttribute)| {
        let compiled = legacy::ExpectedAttribute {
            value: expected.value.map(WireValue::into_value).transpose().map_err(invalid)?,
            exists: expected.exists,
            operator: expected.comparison_operator.as_deref().map(comparison).transpose()?,
            values: expected.attribute_value_list.map(|list| values(list, false)).transpose()?,
        };
        Ok((name, compiled))
    };
    let compiled: BTreeMap<_, _> = given.into_iter().flatten().map(compile).collect::<Result<_, AwsError>>()?;
    legacy::expected(compiled, operator(joined)).map_err(invalid)
}

pub fn updates(given: Option<AttributeUpdates>) -> Result<Option<Update>, AwsError> {
    let Some(given) = given else { return Ok(None) };
    let compile = |(name, update): (String, UpdateOf)| {
        let action = match update.action.as_deref() {
            None => UpdateAction::default(),
            Some(action) => {
                UpdateAction::parse(action).ok_or_else(|| AwsError::internal("an unchecked update action"))?
            }
        };
        let value = update.value.map(WireValue::into_value).transpose().map_err(invalid)?;
        Ok((name, legacy::AttributeUpdate { action, value }))
    };
    let compiled = given.into_iter().map(compile).collect::<Result<BTreeMap<_, _>, AwsError>>()?;
    legacy::updates(compiled).map(Some).map_err(invalid)
}

pub fn key_conditions(given: Option<Conditions>) -> Result<Option<KeyConditions>, AwsError> {
    let Some(given) = given else { return Ok(None) };
    legacy::key_conditions(compile_conditions(given, false)?).map(Some).map_err(invalid)
}

/// QueryFilter, or ScanFilter, whose values AWS checks in its older layer.
pub fn filter(parameter: &str, given: Option<Conditions>, joined: Option<&str>) -> Result<Option<Condition>, AwsError> {
    let compiled = compile_conditions(given.unwrap_or_default(), parameter == "ScanFilter")?;
    legacy::filter(compiled, operator(joined)).map_err(invalid)
}

pub fn attributes_to_get(given: Option<Vec<String>>) -> Result<Option<Projection>, AwsError> {
    given.map(legacy::attributes_to_get).transpose().map_err(invalid)
}
