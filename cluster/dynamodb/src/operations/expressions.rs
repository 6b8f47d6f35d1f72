//! A request's expressions and legacy parameters, compiled in AWS's order.

use super::errors::invalid;
use breakwater_aws::AwsError;
use breakwater_items::expression::{
    Condition, ExpressionKind, KeyConditions, Parameters, Projection, Substitutions, Update, compile,
};
use breakwater_items::json::WireItem;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The placeholders that every request with expressions may have.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Placeholders {
    pub expression_attribute_names: Option<BTreeMap<String, String>>,
    pub expression_attribute_values: Option<WireItem>,
}

/// The expressions of a request; each operation fills in those that it takes.
#[derive(Debug, Default)]
pub struct Texts<'a> {
    pub condition: Option<&'a str>,
    pub update: Option<&'a str>,
    pub key_condition: Option<&'a str>,
    pub filter: Option<&'a str>,
    pub projection: Option<&'a str>,
}

#[derive(Debug, Default)]
pub struct Compiled {
    pub condition: Option<Condition>,
    pub update: Option<Update>,
    pub key_conditions: Option<KeyConditions>,
    pub filter: Option<Condition>,
    pub projection: Option<Projection>,
}

/// `takes`: the expressions that the operation has, in AWS's order; `legacy`: its older parameters, and whether each was
/// given.
pub fn compile_all(
    takes: &[ExpressionKind],
    texts: &Texts<'_>,
    legacy: &[(&'static str, bool)],
    placeholders: Placeholders,
) -> Result<Compiled, AwsError> {
    let text_of = |kind: ExpressionKind| match kind {
        ExpressionKind::Condition => texts.condition,
        ExpressionKind::Update => texts.update,
        ExpressionKind::KeyCondition => texts.key_condition,
        ExpressionKind::Filter => texts.filter,
        ExpressionKind::Projection => texts.projection,
    };
    let expressions: Vec<(ExpressionKind, bool)> = takes.iter().map(|kind| (*kind, text_of(*kind).is_some())).collect();
    Parameters {
        expressions: &expressions,
        legacy,
        names: placeholders.expression_attribute_names.is_some(),
        values: placeholders.expression_attribute_values.is_some(),
    }
    .check()
    .map_err(invalid)?;
    // Scan alone takes a filter and no key condition: it checks values in AWS's older layer.
    let older = takes.contains(&ExpressionKind::Filter) && !takes.contains(&ExpressionKind::KeyCondition);
    let values = match placeholders.expression_attribute_values.map(WireItem::into_item).transpose() {
        Ok(values) => values,
        Err(e) if older => {
            let (message, key) = (e.error.older_message(), e.name);
            return Err(invalid(format!("ExpressionAttributeValues contains invalid value: {message} for key {key}")));
        }
        Err(e) => return Err(invalid(e)),
    };
    let mut substitutions = Substitutions::new(placeholders.expression_attribute_names, values).map_err(invalid)?;
    let s = &mut substitutions;
    let compiled = Compiled {
        update: texts.update.map(|t| compile::update(t, s)).transpose().map_err(invalid)?,
        condition: texts
            .condition
            .map(|t| compile::condition(t, ExpressionKind::Condition, s))
            .transpose()
            .map_err(invalid)?,
        key_conditions: texts.key_condition.map(|t| compile::key_condition(t, s)).transpose().map_err(invalid)?,
        filter: texts.filter.map(|t| compile::condition(t, ExpressionKind::Filter, s)).transpose().map_err(invalid)?,
        projection: texts.projection.map(|t| compile::projection(t, s)).transpose().map_err(invalid)?,
    };
    substitutions.finish().map_err(invalid)?;
    Ok(compiled)
}
