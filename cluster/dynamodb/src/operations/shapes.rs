//! Parts of requests and answers that several operations share.

use crate::tables::{Billing, TableRecord};
use breakwater_aws::AwsError;
use breakwater_items::Item;
use breakwater_items::capacity::{read_units, write_units};
use breakwater_items::json::WireItem;
use breakwater_items::schema::{IndexProjection, KeyAttribute};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An attribute map of a request that must be there.
pub fn item(given: WireItem) -> Result<Item, AwsError> {
    given.into_item().map_err(super::errors::invalid)
}

pub fn optional_item(given: Option<WireItem>) -> Result<Option<Item>, AwsError> {
    given.map(item).transpose()
}

/// As [`item`], in the words of BatchWriteItem and Scan, which check values in an older layer of AWS's.
pub fn older_item(given: WireItem) -> Result<Item, AwsError> {
    given.into_item().map_err(|e| super::errors::invalid(e.error.older_message()))
}

pub fn optional_older_item(given: Option<WireItem>) -> Result<Option<Item>, AwsError> {
    given.map(older_item).transpose()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    pub key: String,
    pub value: String,
}

/// `ConsumedCapacity`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConsumedCapacity {
    pub table_name: String,
    pub capacity_units: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Units>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub local_secondary_indexes: BTreeMap<String, Units>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Units {
    pub capacity_units: f64,
}

/// Adds up what one request consumes of one table.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    pub table: f64,
    pub indexes: BTreeMap<String, f64>,
}

impl Meter {
    pub fn read(&mut self, bytes: u64, consistent: bool) {
        self.table += read_units(bytes, consistent);
    }

    pub fn write(&mut self, table: &TableRecord, done: &crate::rpc::WriteDone) {
        let larger = done.old_size_bytes.unwrap_or(0).max(done.new_size_bytes.unwrap_or(0));
        self.table += write_units(u64::from(larger));
        for index in &done.indexes {
            if let Some(local) = table.schema.local_indexes.get(usize::from(index.index)) {
                *self.indexes.entry(local.name.clone()).or_default() += f64::from(index.units);
            }
        }
    }

    /// As the request asked: nothing, the total, or the parts too.
    pub fn answer(&self, table: &str, wanted: Option<&str>) -> Option<ConsumedCapacity> {
        let total = self.table + self.indexes.values().sum::<f64>();
        let units = |capacity_units: f64| Units { capacity_units };
        match wanted {
            Some("TOTAL") => Some(ConsumedCapacity {
                table_name: table.to_owned(),
                capacity_units: total,
                table: None,
                local_secondary_indexes: BTreeMap::new(),
            }),
            Some("INDEXES") => Some(ConsumedCapacity {
                table_name: table.to_owned(),
                capacity_units: total,
                table: Some(units(self.table)),
                local_secondary_indexes: self.indexes.iter().map(|(n, u)| (n.clone(), units(*u))).collect(),
            }),
            _ => None,
        }
    }
}

/// `ItemCollectionMetrics`: the estimate is a range of one gigabyte around what is known.
pub fn collection_metrics(table: &TableRecord, key: &Item, bytes: u64) -> Value {
    let gigabytes = bytes as f64 / f64::from(1 << 30);
    let low = gigabytes.floor();
    let mut hash = Item::new();
    if let Some(value) = key.get(&table.schema.key.hash.name) {
        hash.insert(table.schema.key.hash.name.clone(), value.clone());
    }
    json!({
        "ItemCollectionKey": serde_json::to_value(breakwater_items::json::WireItemRef(&hash)).unwrap_or_default(),
        "SizeEstimateRangeGB": [low, low + 1.0],
    })
}

fn key_schema<'a>(hash: &KeyAttribute, range: impl IntoIterator<Item = &'a KeyAttribute>) -> Value {
    let mut keys = vec![json!({"AttributeName": hash.name, "KeyType": "HASH"})];
    keys.extend(range.into_iter().map(|r| json!({"AttributeName": r.name, "KeyType": "RANGE"})));
    keys.into()
}

/// Seconds since 1970 with milliseconds, as AWS JSON has times.
pub fn seconds(unix_ms: i64) -> f64 {
    unix_ms as f64 / 1_000.0
}

/// `TableDescription`. Counts are as of some moment before, as AWS's are.
pub fn description(table: &TableRecord, items: u64, bytes: u64) -> Value {
    let (read, write) = match table.billing {
        Billing::OnDemand => (0, 0),
        Billing::Provisioned { read_units, write_units } => (read_units, write_units),
    };
    let mut throughput = json!({"NumberOfDecreasesToday": 0, "ReadCapacityUnits": read, "WriteCapacityUnits": write});
    for (name, at) in
        [("LastIncreaseDateTime", table.increased_unix_ms), ("LastDecreaseDateTime", table.decreased_unix_ms)]
    {
        if let Some(at) = at {
            throughput[name] = seconds(at).into();
        }
    }
    let attributes: Vec<Value> =
        table.attributes.iter().map(|a| json!({"AttributeName": a.name, "AttributeType": a.key_type.name()})).collect();
    let mut description = json!({
        "AttributeDefinitions": attributes,
        "TableName": table.name,
        "KeySchema": key_schema(&table.schema.key.hash, &table.schema.key.range),
        "TableStatus": table.status.word(),
        "CreationDateTime": seconds(table.created_unix_ms),
        "ProvisionedThroughput": throughput,
        "TableSizeBytes": bytes,
        "ItemCount": items,
        "TableArn": table.arn(),
        "TableId": table.id.to_string(),
        "DeletionProtectionEnabled": table.deletion_protection,
    });
    if table.billing == Billing::OnDemand || table.billing_changed_unix_ms.is_some() {
        let mode = if table.billing == Billing::OnDemand { "PAY_PER_REQUEST" } else { "PROVISIONED" };
        description["BillingModeSummary"] = json!({"BillingMode": mode});
        if table.billing == Billing::OnDemand {
            let at = table.billing_changed_unix_ms.unwrap_or(table.created_unix_ms);
            description["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] = seconds(at).into();
        }
    }
    if let Some(class) = &table.table_class {
        description["TableClassSummary"] = json!({"TableClass": class});
    }
    if !table.schema.local_indexes.is_empty() {
        let indexes: Vec<Value> = table
            .schema
            .local_indexes
            .iter()
            .map(|index| {
                let projection = match &index.projection {
                    IndexProjection::All => json!({"ProjectionType": "ALL"}),
                    IndexProjection::KeysOnly => json!({"ProjectionType": "KEYS_ONLY"}),
                    IndexProjection::Include(names) => json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": names}),
                };
                json!({
                    "IndexName": index.name,
                    "KeySchema": key_schema(&table.schema.key.hash, [&index.range]),
                    "Projection": projection,
                    "IndexSizeBytes": 0,
                    "ItemCount": items,
                    "IndexArn": format!("{}/index/{}", table.arn(), index.name),
                })
            })
            .collect();
        description["LocalSecondaryIndexes"] = indexes.into();
    }
    description
}
