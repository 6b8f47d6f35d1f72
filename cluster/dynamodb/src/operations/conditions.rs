//! The condition keys that IAM's policies know of DynamoDB's requests.

use super::expressions::Placeholders;
use super::legacy;
use super::validate::table_name;
use crate::node::Context;
use base64::Engine as _;
use breakwater_aws::{Call, ConditionKeys};
use breakwater_items::AttributeValue;
use breakwater_items::expression::{Substitutions, compile};
use breakwater_items::json::WireItem;

const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// Where a partition key isn't to be found (the table isn't known here yet, the request is malformed): no policy that
/// asks for certain keys may take that for none at all. No key of a table can be this.
const UNKNOWN: &str = "";

fn text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => text.clone(),
        AttributeValue::N(number) => number.to_string(),
        AttributeValue::B(bytes) => base64::engine::general_purpose::STANDARD.encode(bytes),
        _ => UNKNOWN.to_owned(),
    }
}

/// The partition keys of items (or of their keys) of one or more tables.
pub fn leading_keys<'a>(
    ctx: &Context,
    call: &Call,
    items: impl IntoIterator<Item = (Option<&'a str>, Option<&'a WireItem>)>,
    keys: &mut ConditionKeys,
) {
    let mut values: Vec<String> = Vec::new();
    let mut of: Option<(&str, Option<String>)> = None;
    for (table, item) in items {
        let table = table_name(table.unwrap_or_default());
        if of.as_ref().is_none_or(|(known, _)| *known != table) {
            let schema = ctx.known_table(&call.scope, table);
            of = Some((table, schema.map(|t| t.schema.key.hash.name.clone())));
        }
        let hash = of.as_ref().and_then(|(_, hash)| hash.as_deref());
        let value = hash.zip(item).and_then(|(hash, item)| item.get(hash));
        let value = value.map_or_else(|| UNKNOWN.to_owned(), text);
        if !values.contains(&value) {
            values.push(value);
        }
    }
    keys.set_many(LEADING_KEYS, values);
}

/// The partition key that a Query asks for.
pub fn queried_key(
    ctx: &Context,
    call: &Call,
    table: Option<&str>,
    expression: Option<(&str, &Placeholders)>,
    conditions: Option<&legacy::Conditions>,
    keys: &mut ConditionKeys,
) {
    let find = || {
        let table = ctx.known_table(&call.scope, table_name(table.unwrap_or_default()))?;
        let hash = &table.schema.key.hash.name;
        let asked = match (expression, conditions) {
            (Some((text, placeholders)), _) => {
                let values = placeholders.expression_attribute_values.clone().map(WireItem::into_item);
                let names = placeholders.expression_attribute_names.clone();
                let mut substitutions = Substitutions::new(names, values.transpose().ok()?).ok()?;
                compile::key_condition(text, &mut substitutions).ok()?
            }
            (None, conditions) => legacy::key_conditions(conditions.cloned()).ok()??,
        };
        asked.equal_to(hash).map(text)
    };
    keys.set_many(LEADING_KEYS, vec![find().unwrap_or_else(|| UNKNOWN.to_owned())]);
}
