//! The condition keys that IAM's policies know of DynamoDB's requests.

use super::errors::from_meta;
use super::expressions::Placeholders;
use super::legacy;
use super::shapes::Tag;
use super::validate::{own_table, table_name};
use super::write::deadline;
use crate::node::Context;
use base64::Engine as _;
use breakwater_aws::{AwsError, Call, ConditionKeys};
use breakwater_items::AttributeValue;
use breakwater_items::expression::{Substitutions, attribute_names, compile};
use breakwater_items::json::WireItem;
use std::collections::{BTreeMap, BTreeSet};

const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// Where a partition key isn't to be found (there is no such table, the request is malformed): no policy that
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

/// Waits until this node knows the table, if there is one: a policy may ask for its keys, and whoever is denied some of
/// them mustn't get by because a node heard of a table late.
pub async fn until_known(ctx: &Context, call: &Call, table: Option<&str>) -> Result<(), AwsError> {
    let Ok(name) = own_table(&call.scope, table) else { return Ok(()) };
    if ctx.known_table(&call.scope, name).is_some() {
        return Ok(());
    }
    let found = ctx.table_now(&call.scope, name).await.map_err(from_meta)?;
    let Some((_, revision)) = found else { return Ok(()) };
    if ctx.tables.wait_for(revision, deadline(call)).await {
        return Ok(());
    }
    Err(AwsError::internal("this node doesn't hear of tables"))
}

/// The partition keys of items (or of their keys) of one or more tables.
pub fn leading_keys<'a>(
    ctx: &Context,
    call: &Call,
    items: impl IntoIterator<Item = (Option<&'a str>, Option<&'a WireItem>)>,
    keys: &mut ConditionKeys,
) {
    if !keys.wants(LEADING_KEYS) {
        return;
    }
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
    if !keys.wants(LEADING_KEYS) {
        return;
    }
    keys.set_many(LEADING_KEYS, vec![find().unwrap_or_else(|| UNKNOWN.to_owned())]);
}

/// The top-level attributes that a request names anywhere, collected for `dynamodb:Attributes`.
pub struct Attributes {
    /// Nobody collects what no policy asks for.
    wanted: bool,
    names: BTreeSet<String>,
    unreadable: bool,
}

const ATTRIBUTES: &str = "dynamodb:Attributes";

impl Attributes {
    pub fn wanted_by(keys: &ConditionKeys) -> Self {
        Attributes { wanted: keys.wants(ATTRIBUTES), names: BTreeSet::new(), unreadable: false }
    }

    pub fn item(mut self, item: Option<&WireItem>) -> Self {
        let item = item.filter(|_| self.wanted);
        self.names.extend(item.into_iter().flat_map(WireItem::names).cloned());
        self
    }

    /// Of legacy parameters.
    pub fn named<'a>(mut self, names: impl IntoIterator<Item = &'a String>) -> Self {
        if self.wanted {
            self.names.extend(names.into_iter().cloned());
        }
        self
    }

    pub fn expression(mut self, text: Option<&str>, names: Option<&BTreeMap<String, String>>) -> Self {
        match text.filter(|_| self.wanted).map(|text| attribute_names(text, names)) {
            Some(Some(found)) => self.names.extend(found),
            Some(None) => self.unreadable = true,
            None => {}
        }
        self
    }

    pub fn set(self, keys: &mut ConditionKeys) {
        let unknown = self.unreadable.then(|| UNKNOWN.to_owned());
        keys.set_many(ATTRIBUTES, self.names.into_iter().chain(unknown).collect());
    }
}

/// What a read selects: as it says, or what it comes to where it says nothing.
pub fn selects(given: Option<&str>, projects: bool, index: bool, keys: &mut ConditionKeys) {
    let select = match (given, projects, index) {
        (Some(given), ..) => given,
        (None, true, _) => "SPECIFIC_ATTRIBUTES",
        (None, false, true) => "ALL_PROJECTED_ATTRIBUTES",
        (None, false, false) => "ALL_ATTRIBUTES",
    };
    keys.set("dynamodb:Select", select);
}

pub fn returns(values: Option<&str>, consumed: Option<&str>, keys: &mut ConditionKeys) {
    for (key, value) in [("dynamodb:ReturnValues", values), ("dynamodb:ReturnConsumedCapacity", consumed)] {
        if let Some(value) = value {
            keys.set(key, value);
        }
    }
}

/// The tags that a request brings.
pub fn request_tags(tags: Option<&[Tag]>, keys: &mut ConditionKeys) {
    let Some(tags) = tags.filter(|tags| !tags.is_empty()) else { return };
    keys.set_many("aws:TagKeys", tags.iter().map(|tag| tag.key.clone()).collect());
    for tag in tags {
        keys.set(format!("aws:RequestTag/{}", tag.key), tag.value.as_str());
    }
}
