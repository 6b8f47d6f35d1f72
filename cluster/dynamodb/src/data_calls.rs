//! What CloudTrail's data events tell of calls to items: keys and names of attributes, never other values.

use crate::node::Context;
use crate::tables::TableRecord;
use breakwater_aws::Call;
use breakwater_aws::audit::{self, DataCall, Pending};
use breakwater_aws::json::lower_first;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const API_VERSION: &str = "2012-08-10";

/// Members that are told as they were sent.
const TOLD: &[&str] = &[
    "AttributesToGet",
    "ConditionExpression",
    "ConditionalOperator",
    "ConsistentRead",
    "ExpressionAttributeNames",
    "FilterExpression",
    "IndexName",
    "KeyConditionExpression",
    "Limit",
    "ProjectionExpression",
    "ReturnConsumedCapacity",
    "ReturnItemCollectionMetrics",
    "ReturnValues",
    "ReturnValuesOnConditionCheckFailure",
    "ScanIndexForward",
    "Segment",
    "Select",
    "TableName",
    "TotalSegments",
    "UpdateExpression",
];

/// `{"S": "x"}` as `"x"`.
fn bare(value: &Value) -> Value {
    value.as_object().and_then(|typed| typed.values().next()).cloned().unwrap_or_default()
}

fn bare_key(key: &Value) -> Value {
    let key = key.as_object().into_iter().flatten();
    Value::Object(key.map(|(name, value)| (name.clone(), bare(value))).collect())
}

/// Of an item its key, where the table is known, and its attributes' names.
fn put(item: &Value, table: Option<&TableRecord>) -> Map<String, Value> {
    let mut told = Map::new();
    let Some(item) = item.as_object() else { return told };
    if let Some(table) = table {
        let key = table.schema.key.attributes().filter_map(|a| Some((a.name.clone(), bare(item.get(&a.name)?))));
        told.insert("key".to_owned(), Value::Object(key.collect()));
    }
    told.insert("items".to_owned(), item.keys().map(String::as_str).collect());
    told
}

/// What is told of one request, or of one table's part of a batch.
fn parameters(request: &Map<String, Value>, table: &dyn Fn(&str) -> Option<Arc<TableRecord>>) -> Map<String, Value> {
    let mut told = Map::new();
    for (name, value) in request {
        match name.as_str() {
            name if TOLD.contains(&name) => {
                told.insert(lower_first(name), value.clone());
            }
            "Key" => {
                told.insert("key".to_owned(), bare_key(value));
            }
            "Keys" => {
                let keys = value.as_array().into_iter().flatten();
                told.insert("keys".to_owned(), keys.map(bare_key).collect());
            }
            "ExclusiveStartKey" => {
                told.insert("exclusiveStartKey".to_owned(), bare_key(value));
            }
            "Item" => {
                let known = request.get("TableName").and_then(Value::as_str).and_then(table);
                told.extend(put(value, known.as_deref()));
            }
            "RequestItems" => {
                told.insert("requestItems".to_owned(), batch(value, table));
            }
            _ => {}
        }
    }
    told
}

fn batch(tables: &Value, table: &dyn Fn(&str) -> Option<Arc<TableRecord>>) -> Value {
    let tables = tables.as_object().into_iter().flatten();
    let parts = tables.map(|(name, part)| {
        let told = match part {
            Value::Array(writes) => {
                let known = table(name);
                let write = |write: &Value| {
                    let item = &write["PutRequest"]["Item"];
                    match item {
                        Value::Null => json!({"deleteRequest": {"key": bare_key(&write["DeleteRequest"]["Key"])}}),
                        item => json!({"putRequest": put(item, known.as_deref())}),
                    }
                };
                writes.iter().map(write).collect()
            }
            Value::Object(reads) => Value::Object(parameters(reads, table)),
            _ => Value::Null,
        };
        (name.clone(), told)
    });
    Value::Object(parts.collect())
}

/// For this node's audit events.
pub fn describe(context: &Context, call: &Call, pending: &Pending) -> DataCall {
    let body = pending.data.as_deref().unwrap_or_default();
    if body.len() > audit::TOLD_BODY_BYTES_MAX {
        return DataCall { parameters: audit::omitted(body.len()), api_version: API_VERSION };
    }
    let request = serde_json::from_slice::<Map<String, Value>>(body).unwrap_or_default();
    // By name or ARN.
    let table = |name: &str| context.known_table(&call.scope, name.rsplit('/').next().unwrap_or(name));
    DataCall { parameters: Value::Object(parameters(&request, &table)), api_version: API_VERSION }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(request: Value) -> Value {
        Value::Object(parameters(request.as_object().unwrap(), &|_| None))
    }

    #[test]
    fn keys_and_names_are_told_and_nothing_else_that_is_stored() {
        let update = told(json!({
            "TableName": "Music",
            "Key": {"Artist": {"S": "No One"}, "Year": {"N": "1999"}},
            "UpdateExpression": "SET #a = :a",
            "ExpressionAttributeNames": {"#a": "Awards"},
            "ExpressionAttributeValues": {":a": {"S": "secret"}},
            "Expected": {"Awards": {"Value": {"S": "secret"}}},
        }));
        assert_eq!(
            update,
            json!({
                "tableName": "Music",
                "key": {"Artist": "No One", "Year": "1999"},
                "updateExpression": "SET #a = :a",
                "expressionAttributeNames": {"#a": "Awards"},
            })
        );
        let put = told(json!({"TableName": "Music", "Item": {"Artist": {"S": "x"}, "Awards": {"S": "secret"}}}));
        assert_eq!(put, json!({"tableName": "Music", "items": ["Artist", "Awards"]}));
    }

    #[test]
    fn batches_are_told_table_by_table() {
        let read = told(json!({"RequestItems": {"T": {"Keys": [{"K": {"S": "a"}}], "ConsistentRead": true}}}));
        assert_eq!(read, json!({"requestItems": {"T": {"keys": [{"K": "a"}], "consistentRead": true}}}));
        let write = told(json!({"RequestItems": {"T": [
            {"PutRequest": {"Item": {"K": {"S": "a"}, "V": {"S": "secret"}}}},
            {"DeleteRequest": {"Key": {"K": {"S": "b"}}}},
        ]}}));
        assert_eq!(
            write,
            json!({"requestItems": {"T": [
                {"putRequest": {"items": ["K", "V"]}},
                {"deleteRequest": {"key": {"K": "b"}}},
            ]}})
        );
        assert_eq!(
            told(json!({"RequestItems": 5, "Key": [], "Keys": 1, "Item": "x"})),
            json!({"requestItems": {}, "key": {}, "keys": []})
        );
    }
}
