//! What Query and Scan have in common.

use super::errors::invalid;
use super::shapes::{ConsumedCapacity, Meter};
use crate::rpc::{Page, Select, StartKey};
use crate::tables::TableRecord;
use breakwater_aws::AwsError;
use breakwater_items::Item;
use breakwater_items::capacity::read_units;
use breakwater_items::json::{serialize_items, serialize_option_item};
use breakwater_items::key::{KeyError, PrimaryKey};
use breakwater_items::schema::LocalIndex;
use serde::Serialize;

pub const SELECTS: &[&str] = &["SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"];

const BAD_START: &str = "The provided starting key is invalid";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PageAnswer {
    #[serde(serialize_with = "items", skip_serializing_if = "Option::is_none")]
    items: Option<Vec<Item>>,
    count: u32,
    scanned_count: u32,
    #[serde(serialize_with = "serialize_option_item", skip_serializing_if = "Option::is_none")]
    last_evaluated_key: Option<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<ConsumedCapacity>,
}

fn items<S: serde::Serializer>(items: &Option<Vec<Item>>, serializer: S) -> Result<S::Ok, S::Error> {
    serialize_items(items.as_deref().unwrap_or_default(), serializer)
}

pub fn index<'t>(table: &'t TableRecord, name: Option<&str>) -> Result<Option<(u8, &'t LocalIndex)>, AwsError> {
    match name {
        None => Ok(None),
        Some(name) => match table.schema.local_index(name) {
            Some(found) => Ok(Some(found)),
            None => Err(invalid(format!("The table does not have the specified index: {name}"))),
        },
    }
}

/// `selection`: the parameter by which the request chose attributes.
/// (Messages measured at AWS by moto's tests/test_dynamodb, 2026.)
pub fn select(given: Option<&str>, selection: Option<&str>, of_index: bool) -> Result<Select, AwsError> {
    if let (Some(given @ ("ALL_ATTRIBUTES" | "ALL_PROJECTED_ATTRIBUTES" | "COUNT")), Some(parameter)) =
        (given, selection)
    {
        let given = if given == "COUNT" { "only the Count" } else { given };
        return Err(invalid(format!("Cannot specify the {parameter} when choosing to get {given}")));
    }
    match (given, selection.is_some()) {
        (Some("SPECIFIC_ATTRIBUTES"), false) => Err(invalid(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        )),
        (Some("ALL_PROJECTED_ATTRIBUTES"), false) if !of_index => {
            Err(invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"))
        }
        (Some("COUNT"), _) => Ok(Select::Count),
        (_, true) => Ok(Select::Specific),
        (Some("ALL_ATTRIBUTES"), false) => Ok(Select::All),
        (_, false) if of_index => Ok(Select::Projected),
        (_, false) => Ok(Select::All),
    }
}

/// A request's `ExclusiveStartKey`: the table's key and, of an index, its sort attribute. A Scan of a table (`of_scan`)
/// says more of a key that doesn't fit than a Query does.
pub fn start_key(
    table: &TableRecord,
    index: Option<&LocalIndex>,
    given: &Item,
    of_scan: bool,
) -> Result<StartKey, AwsError> {
    let mut key = given.clone();
    let index_sort = match index {
        None => None,
        Some(local) => {
            let value = given.get(&local.range.name).cloned().ok_or_else(|| invalid(BAD_START))?;
            if !table.schema.key.contains(&local.range.name) {
                key.remove(&local.range.name);
            }
            if !local.range.key_type.matches(&value) {
                return Err(invalid(BAD_START));
            }
            Some(value)
        }
    };
    let key = PrimaryKey::from_key(&table.schema.key, &key).map_err(|e| match e {
        KeyError::Mismatch if !of_scan || index.is_some() => invalid(BAD_START),
        e => invalid(format!("{BAD_START}: {e}")),
    })?;
    Ok(StartKey { key, index_sort })
}

pub fn last_evaluated(table: &TableRecord, index: Option<&LocalIndex>, last: &StartKey) -> Item {
    let mut item = last.key.to_item(&table.schema.key);
    if let (Some(local), Some(value)) = (index, &last.index_sort) {
        item.insert(local.range.name.clone(), value.clone());
    }
    item
}

pub fn answer(
    table: &TableRecord,
    index: Option<&LocalIndex>,
    page: Page,
    last: Option<Item>,
    select: Select,
    consistent: bool,
    wanted: Option<&str>,
) -> PageAnswer {
    let mut meter = Meter::default();
    let examined = read_units(page.examined_bytes, consistent);
    let fetched = page.fetched_blocks as f64 * if consistent { 1.0 } else { 0.5 };
    match index {
        None => meter.table = examined,
        Some(local) => {
            meter.table = fetched;
            meter.indexes.insert(local.name.clone(), examined);
        }
    }
    PageAnswer {
        items: (select != Select::Count).then_some(page.items),
        count: page.count,
        scanned_count: page.scanned_count,
        last_evaluated_key: last,
        consumed_capacity: meter.answer(&table.name, wanted),
    }
}
