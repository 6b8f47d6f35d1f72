//! The parameters from before expressions, as they come over the wire.

use super::errors::invalid;
use breakwater_aws::AwsError;
use breakwater_items::expression::{Condition, KeyConditions, Projection, Update};
use breakwater_items::json::WireValue;
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

#[derive(Debug, Deserialize)]
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

fn unsupported<T>(given: Option<T>, name: &str) -> Result<(), AwsError> {
    match given {
        None => Ok(()),
        Some(_) => Err(invalid(format!("One or more parameter values were invalid: {name} is not supported by this region yet; use expressions"))),
    }
}

pub fn expected(given: Option<Expected>, operator: Option<&str>) -> Result<Option<Condition>, AwsError> {
    unsupported(operator, "ConditionalOperator")?;
    unsupported(given, "Expected").map(|()| None)
}

pub fn updates(given: Option<AttributeUpdates>) -> Result<Option<Update>, AwsError> {
    unsupported(given, "AttributeUpdates").map(|()| None)
}

pub fn key_conditions(given: Option<Conditions>) -> Result<Option<KeyConditions>, AwsError> {
    unsupported(given, "KeyConditions").map(|()| None)
}

pub fn filter(parameter: &str, given: Option<Conditions>, operator: Option<&str>) -> Result<Option<Condition>, AwsError> {
    unsupported(operator, "ConditionalOperator")?;
    unsupported(given, parameter).map(|()| None)
}

pub fn attributes_to_get(given: Option<Vec<String>>) -> Result<Option<Projection>, AwsError> {
    unsupported(given, "AttributesToGet").map(|()| None)
}
