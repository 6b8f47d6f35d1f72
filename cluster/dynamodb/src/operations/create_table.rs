//! CreateTable.

use super::conditions::request_tags;
use super::errors::{from_meta, invalid};
use super::shapes::{Tag, description};
use super::validate::{Constraints, own_table, table_arn, table_name};
use crate::node::Context;
use crate::tables::placement::{Candidate, place};
use crate::tables::{self, Billing, NEXT_GROUP, TableRecord, TableStatus};
use breakwater_audit::outbox;
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Operation, Plane};
use breakwater_items::schema::{IndexProjection, KeyAttribute, KeySchema, KeyType, LocalIndex, TableSchema};
use breakwater_meta::{Compare, Op, Txn};
use breakwater_types::GroupId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

pub struct CreateTable;

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    table_name: Option<String>,
    attribute_definitions: Option<Vec<AttributeDefinition>>,
    key_schema: Option<Vec<KeyElement>>,
    local_secondary_indexes: Option<Vec<Index>>,
    global_secondary_indexes: Option<Vec<Value>>,
    billing_mode: Option<String>,
    provisioned_throughput: Option<Throughput>,
    stream_specification: Option<Value>,
    #[serde(rename = "SSESpecification")]
    sse_specification: Option<Value>,
    tags: Option<Vec<Tag>>,
    table_class: Option<String>,
    deletion_protection_enabled: Option<bool>,
    resource_policy: Option<String>,
    warm_throughput: Option<Value>,
    on_demand_throughput: Option<Value>,
    global_table_source_arn: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttributeDefinition {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyElement {
    attribute_name: String,
    key_type: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Throughput {
    pub read_capacity_units: i64,
    pub write_capacity_units: i64,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Index {
    index_name: String,
    key_schema: Vec<KeyElement>,
    projection: Projection,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Projection {
    projection_type: Option<String>,
    non_key_attributes: Option<Vec<String>>,
}

const UNITS_MAX: i64 = 1_000_000_000_000;
const LOCAL_INDEXES_MAX: usize = 5;
const NON_KEY_ATTRIBUTES_MAX: usize = 100;
pub const BILLING_MODES: &[&str] = &["PROVISIONED", "PAY_PER_REQUEST"];
pub const TABLE_CLASSES: &[&str] = &["STANDARD", "STANDARD_INFREQUENT_ACCESS"];
/// What a partition serves at AWS.
const PARTITION_READS: u64 = 3_000;
const PARTITION_WRITES: u64 = 1_000;

/// Hash and range attribute's names.
fn key_names(elements: &[KeyElement]) -> Result<(String, Option<String>), AwsError> {
    match elements {
        [hash] if hash.key_type == "HASH" => Ok((hash.attribute_name.clone(), None)),
        [hash, range] => {
            if hash.attribute_name == range.attribute_name {
                return Err(invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name"));
            }
            if hash.key_type != "HASH" {
                return Err(invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type"));
            }
            if range.key_type != "RANGE" {
                return Err(invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"));
            }
            Ok((hash.attribute_name.clone(), Some(range.attribute_name.clone())))
        }
        _ => Err(invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")),
    }
}

pub fn billing(mode: Option<&str>, throughput: Option<Throughput>) -> Result<Billing, AwsError> {
    match (mode, throughput) {
        (Some("PAY_PER_REQUEST"), None) => Ok(Billing::OnDemand),
        (Some("PAY_PER_REQUEST"), Some(_)) => Err(invalid(
            "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        )),
        (_, Some(Throughput { read_capacity_units: units, .. })) if units > UNITS_MAX => {
            Err(invalid(format!("Given value {units} for ReadCapacityUnits is out of bounds")))
        }
        (_, Some(Throughput { write_capacity_units: units, .. })) if units > UNITS_MAX => {
            Err(invalid(format!("Given value {units} for WriteCapacityUnits is out of bounds")))
        }
        (_, Some(throughput)) => Ok(Billing::Provisioned {
            read_units: throughput.read_capacity_units.unsigned_abs(),
            write_units: throughput.write_capacity_units.unsigned_abs(),
        }),
        (_, None) => Err(invalid(
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        )),
    }
}

impl Request {
    fn schema(&self) -> Result<(TableSchema, Vec<KeyAttribute>), AwsError> {
        let definitions = self.attribute_definitions.as_deref().unwrap_or_default();
        let mut attributes: Vec<KeyAttribute> = Vec::new();
        for definition in definitions {
            let key_type = KeyType::parse(&definition.attribute_type).ok_or_else(|| invalid("an attribute's type"))?;
            if attributes.iter().any(|a| a.name == definition.attribute_name) {
                return Err(invalid(format!(
                    "Cannot have two attributes with the same name: {}",
                    definition.attribute_name
                )));
            }
            attributes.push(KeyAttribute { name: definition.attribute_name.clone(), key_type });
        }
        let mut used = BTreeSet::new();
        let names: Vec<&str> = attributes.iter().map(|a| a.name.as_str()).collect();
        let mut find = |name: &str, keys: &[&str]| -> Result<KeyAttribute, AwsError> {
            used.insert(name.to_owned());
            attributes.iter().find(|a| a.name == name).cloned().ok_or_else(|| {
                invalid(format!(
                    "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
                    keys.join(", "),
                    names.join(", ")
                ))
            })
        };
        let elements = self.key_schema.as_deref().unwrap_or_default();
        if elements.len() > attributes.len() {
            return Err(invalid("Invalid KeySchema: Some index key attribute have no definition"));
        }
        let named: Vec<&str> = elements.iter().map(|e| e.attribute_name.as_str()).collect();
        for name in &named {
            find(name, &named)?;
        }
        let (hash, range) = key_names(elements)?;
        let keys: Vec<&str> = std::iter::once(hash.as_str()).chain(range.as_deref()).collect();
        let key = KeySchema { hash: find(&hash, &keys)?, range: range.as_deref().map(|r| find(r, &keys)).transpose()? };
        let mut local_indexes: Vec<LocalIndex> = Vec::new();
        for index in self.local_secondary_indexes.as_deref().unwrap_or_default() {
            let (index_hash, index_range) = key_names(&index.key_schema)?;
            if range.is_none() {
                return Err(invalid(
                    "One or more parameter values were invalid: Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
                ));
            }
            let Some(index_range) = index_range else {
                return Err(invalid(format!(
                    "One or more parameter values were invalid: Index KeySchema does not have a range key for index: {}",
                    index.index_name
                )));
            };
            if index_hash != hash {
                return Err(invalid(format!(
                    "One or more parameter values were invalid: Index KeySchema does not have the same leading hash key as table KeySchema for index: {}. index hash key: {index_hash}, table hash key: {hash}",
                    index.index_name
                )));
            }
            if local_indexes.iter().any(|known| known.name == index.index_name) {
                return Err(invalid(format!(
                    "One or more parameter values were invalid: Duplicate index name: {}",
                    index.index_name
                )));
            }
            let keys = [index_hash.as_str(), index_range.as_str()];
            local_indexes.push(LocalIndex {
                name: index.index_name.clone(),
                range: find(&index_range, &keys)?,
                projection: index.projection.compile()?,
            });
        }
        if local_indexes.len() > LOCAL_INDEXES_MAX {
            return Err(invalid(
                "One or more parameter values were invalid: Number of LocalSecondaryIndexes exceeds per-table limit of 5",
            ));
        }
        if used.len() != attributes.len() {
            return Err(invalid(
                "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
            ));
        }
        Ok((TableSchema { key, local_indexes }, attributes))
    }

    /// What AWS can and we can't: said, never ignored.
    fn refuse_missing(&self) -> Result<(), AwsError> {
        let enabled = |value: &Option<Value>, field: &str| {
            value.as_ref().is_some_and(|v| v.get(field).and_then(Value::as_bool).unwrap_or(false))
        };
        let missing = if self.global_secondary_indexes.as_ref().is_some_and(|g| !g.is_empty()) {
            "GlobalSecondaryIndexes"
        } else if enabled(&self.stream_specification, "StreamEnabled") {
            "StreamSpecification"
        } else if enabled(&self.sse_specification, "Enabled") {
            "SSESpecification with a KMS key"
        } else if self.resource_policy.is_some() {
            "ResourcePolicy"
        } else if self.warm_throughput.is_some() {
            "WarmThroughput"
        } else if self.on_demand_throughput.is_some() {
            "OnDemandThroughput"
        } else if self.global_table_source_arn.is_some() {
            "GlobalTableSourceArn"
        } else {
            return Ok(());
        };
        Err(invalid(format!(
            "One or more parameter values were invalid: {missing} is not supported by this region yet"
        )))
    }
}

impl Projection {
    fn compile(&self) -> Result<IndexProjection, AwsError> {
        let prefix = "One or more parameter values were invalid: ";
        match (self.projection_type.as_deref(), &self.non_key_attributes) {
            (None, _) => Err(invalid(format!("{prefix}Unknown ProjectionType: null"))),
            (Some("ALL"), None) => Ok(IndexProjection::All),
            (Some("KEYS_ONLY"), None) => Ok(IndexProjection::KeysOnly),
            (Some(kind @ ("ALL" | "KEYS_ONLY")), Some(_)) => {
                Err(invalid(format!("{prefix}ProjectionType is {kind}, but NonKeyAttributes is specified")))
            }
            (Some("INCLUDE"), Some(names)) if !names.is_empty() && names.len() <= NON_KEY_ATTRIBUTES_MAX => {
                Ok(IndexProjection::Include(names.clone()))
            }
            (Some("INCLUDE"), _) => {
                Err(invalid(format!("{prefix}ProjectionType is INCLUDE, but NonKeyAttributes is not specified")))
            }
            (Some(_), _) => Err(invalid(format!("{prefix}Unknown ProjectionType"))),
        }
    }
}

impl Operation for CreateTable {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateTable";
    const ACTION: &'static str = "dynamodb:CreateTable";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "table";
    const CONDITION_KEYS: &'static [&'static str] = &["aws:RequestTag/${TagKey}", "aws:TagKeys"];
    const FURTHER_ACTIONS: &'static [&'static str] = &["dynamodb:TagResource"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        match &request.table_name {
            None => constraints.null("tableName"),
            Some(name) => constraints.name(table_name(name), "tableName"),
        }
        match &request.attribute_definitions {
            None => constraints.null("attributeDefinitions"),
            Some(definitions) => {
                for (n, definition) in definitions.iter().enumerate() {
                    let at = format!("attributeDefinitions.{}.member.attributeType", n + 1);
                    constraints.one_of(Some(&definition.attribute_type), &at, &["B", "N", "S"]);
                }
            }
        }
        match &request.key_schema {
            None => constraints.null("keySchema"),
            Some(keys) => {
                if keys.is_empty() {
                    constraints.fail("[]", "keySchema", "Member must have length greater than or equal to 1");
                }
                if keys.len() > 2 {
                    constraints.fail("[…]", "keySchema", "Member must have length less than or equal to 2");
                }
                for (n, key) in keys.iter().enumerate() {
                    let at = format!("keySchema.{}.member.keyType", n + 1);
                    constraints.one_of(Some(&key.key_type), &at, &["HASH", "RANGE"]);
                }
            }
        }
        for (n, index) in request.local_secondary_indexes.iter().flatten().enumerate() {
            constraints.name(&index.index_name, &format!("localSecondaryIndexes.{}.member.indexName", n + 1));
        }
        constraints.one_of(request.billing_mode.as_deref(), "billingMode", BILLING_MODES);
        constraints.one_of(request.table_class.as_deref(), "tableClass", TABLE_CLASSES);
        if let Some(throughput) = &request.provisioned_throughput {
            constraints.at_least(Some(throughput.read_capacity_units), "provisionedThroughput.readCapacityUnits", 1);
            constraints.at_least(Some(throughput.write_capacity_units), "provisionedThroughput.writeCapacityUnits", 1);
        }
        constraints.finish()?;
        request.refuse_missing()?;
        billing(request.billing_mode.as_deref(), request.provisioned_throughput)?;
        request.schema().map(|_| ())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        request_tags(request.tags.as_deref(), keys);
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        let tagged = request.tags.as_ref().is_some_and(|tags| !tags.is_empty());
        if tagged { vec!["dynamodb:TagResource"] } else { Vec::new() }
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        table_arn(&call.scope, request.table_name.as_deref())
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        // The client may hang up: a table is made whole or not at all.
        let (ctx, call) = (ctx.clone(), call.clone());
        tokio::spawn(async move { create(&ctx, &call, request).await }).await.map_err(AwsError::internal)?
    }
}

async fn create(ctx: &Context, call: &Call, request: Request) -> Result<Value, AwsError> {
    let (schema, attributes) = request.schema()?;
    let billing = billing(request.billing_mode.as_deref(), request.provisioned_throughput)?;
    let name = own_table(&call.scope, request.table_name.as_deref())?.to_owned();
    let key = tables::key(&call.scope, &name);
    let declared = match billing {
        Billing::OnDemand => 1,
        Billing::Provisioned { read_units, write_units } => {
            (read_units as f64 / PARTITION_READS as f64 + write_units as f64 / PARTITION_WRITES as f64).ceil() as u64
        }
    };
    let count = u32::try_from(declared).unwrap_or(u32::MAX).clamp(1, 256).max(ctx.settings.partitions_min);
    let deadline = Instant::now() + Duration::from_secs(8);
    let held = held_replicas(ctx);
    let candidates: Vec<Candidate> = ctx
        .dynamo_nodes()
        .into_iter()
        .filter_map(|node| {
            let replicas = held.get(node.name.as_str()).copied().unwrap_or(0);
            Some(Candidate { zone: node.zone?, raft_id: node.raft_id, replicas, node: node.name })
        })
        .collect();
    loop {
        let counter = ctx.meta.get(NEXT_GROUP, deadline).await.map_err(from_meta)?;
        let (first, revision) = match &counter {
            Some(entry) => {
                let number = std::str::from_utf8(&entry.value).ok().and_then(|t| t.parse().ok());
                (number.ok_or_else(|| AwsError::internal("the group counter can't be read"))?, entry.mod_revision)
            }
            None => (GroupId::FIRST_PARTITION.0, 0),
        };
        let partitions = place(candidates.clone(), count, first).map_err(AwsError::unavailable)?;
        let table = TableRecord {
            scope: (*call.scope).clone(),
            name: name.clone(),
            id: Uuid::new_v4(),
            salt: rand::random(),
            schema: schema.clone(),
            attributes: attributes.clone(),
            partitions,
            status: TableStatus::Creating,
            created_unix_ms: call.clock.unix_ms(),
            billing,
            increased_unix_ms: None,
            decreased_unix_ms: None,
            billing_changed_unix_ms: None,
            deletion_protection: request.deletion_protection_enabled.unwrap_or(false),
            table_class: request.table_class.clone(),
            tags: request.tags.iter().flatten().map(|t| (t.key.clone(), t.value.clone())).collect::<BTreeMap<_, _>>(),
        };
        let value = table.to_stored().map_err(AwsError::internal)?;
        let answer = json!({"TableDescription": description(&table, 0, 0)});
        let next = (first + u64::from(count)).to_string();
        let txn = Txn {
            compares: vec![Compare::Absent(key.clone()), Compare::ModRevision(NEXT_GROUP.to_vec(), revision)],
            success: [vec![Op::put(key.clone(), value), Op::put(NEXT_GROUP, next)], outbox::ops(call, &answer)?]
                .concat(),
            failure: vec![Op::Get { key: key.clone() }],
        };
        let outcome = ctx.meta.txn(txn, deadline).await.map_err(from_meta)?;
        if outcome.succeeded {
            outbox::committed(call);
            ctx.tables.wait_for(outcome.revision, Instant::now() + Duration::from_secs(1)).await;
            return Ok(answer);
        }
        let exists = matches!(outcome.responses.first(), Some(breakwater_meta::OpResponse::Entry(Some(_))));
        if exists {
            return Err(AwsError::client("ResourceInUseException", format!("Table already exists: {name}")));
        }
        // Somebody else took these group numbers: again, with the next ones.
        if Instant::now() > deadline {
            return Err(AwsError::unavailable("group numbers could not be had"));
        }
    }
}

/// Replicas that nodes hold, by name.
fn held_replicas(ctx: &Context) -> BTreeMap<String, usize> {
    let mut held = BTreeMap::new();
    for entry in ctx.tables.scan_prefix(tables::ALL) {
        if let Ok(table) = TableRecord::from_stored(&entry.value) {
            for replica in table.partitions.iter().flat_map(|p| &p.replicas) {
                *held.entry(replica.node.to_string()).or_default() += 1;
            }
        }
    }
    held
}
