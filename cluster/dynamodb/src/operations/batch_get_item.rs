//! BatchGetItem.

use super::conditions::{Attributes, leading_keys, returns, selects, until_known};
use super::errors::{from_route, invalid};
use super::expressions::{Placeholders, Texts, compile_all};
use super::legacy;
use super::shapes::{self, ConsumedCapacity, Meter};
use super::validate::{Constraints, RETURN_CONSUMED, TABLE_KEYS, fits_table_key, table_arn, table_name};
use super::write::{data_table, deadline};
use crate::node::Context;
use crate::router::RouteError;
use crate::rpc::{GetRead, GotItem, PartitionError, PartitionRequest, PartitionResponse};
use crate::tables::TableRecord;
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Operation, Plane};
use breakwater_items::Item;
use breakwater_items::expression::{ExpressionKind, Projection};
use breakwater_items::json::{WireItem, WireItemRef};
use breakwater_items::key::{PrimaryKey, partition_hash};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

pub struct BatchGetItem;

/// Keys of one call to a replica: as many of the largest items as an answer between nodes holds.
const CALL_KEYS_MAX: usize = 32;
const KEYS_MAX: usize = 100;
/// An answer holds at most so much; the rest comes back as unprocessed.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    request_items: Option<BTreeMap<String, OfTable>>,
    return_consumed_capacity: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OfTable {
    keys: Option<Vec<WireItem>>,
    attributes_to_get: Option<Vec<String>>,
    consistent_read: Option<bool>,
    projection_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    responses: BTreeMap<String, Vec<Value>>,
    unprocessed_keys: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Vec<ConsumedCapacity>>,
}

struct Reading {
    given: String,
    table: Arc<TableRecord>,
    keys: Vec<(PrimaryKey, Item)>,
    projection: Option<Projection>,
    consistent: bool,
    /// As the request had it, for keys that come back unprocessed.
    projection_text: Option<String>,
    names: Option<BTreeMap<String, String>>,
    attributes: Option<Vec<String>>,
}

/// Keys of one partition with what was found, or none where it was throttled.
type Found = Vec<(Item, Option<GotItem>)>;

impl Reading {
    async fn of(ctx: &Context, call: &Call, given: String, request: OfTable) -> Result<Self, AwsError> {
        let texts = Texts { projection: request.projection_expression.as_deref(), ..Texts::default() };
        let legacy_given = [("AttributesToGet", request.attributes_to_get.is_some())];
        let placeholders = Placeholders {
            expression_attribute_names: request.expression_attribute_names.clone(),
            expression_attribute_values: None,
        };
        let compiled = compile_all(&[ExpressionKind::Projection], &texts, &legacy_given, placeholders)?;
        let projection = match compiled.projection {
            Some(projection) => Some(projection),
            None => legacy::attributes_to_get(request.attributes_to_get.clone())?,
        };
        let keys =
            request.keys.unwrap_or_default().into_iter().map(shapes::item).collect::<Result<Vec<_>, AwsError>>()?;
        let table = data_table(ctx, call, Some(&given)).await?;
        let mut seen = HashSet::new();
        let mut checked = Vec::with_capacity(keys.len());
        for key in keys {
            let primary = PrimaryKey::from_key(&table.schema.key, &key).map_err(invalid)?;
            if !seen.insert(primary.clone()) {
                return Err(invalid("Provided list of item keys contains duplicates"));
            }
            checked.push((primary, key));
        }
        Ok(Reading {
            given,
            table,
            keys: checked,
            projection,
            consistent: request.consistent_read.unwrap_or(false),
            projection_text: request.projection_expression,
            names: request.expression_attribute_names,
            attributes: request.attributes_to_get,
        })
    }

    async fn read(&self, ctx: &Context, call: &Call) -> Result<Found, AwsError> {
        let mut by_partition: BTreeMap<u64, Vec<&(PrimaryKey, Item)>> = BTreeMap::new();
        for key in &self.keys {
            let hash = partition_hash(&self.table.salt, &key.0.hash);
            let partition = self.table.partition_of(hash).ok_or_else(|| AwsError::internal("no partition"))?;
            by_partition.entry(partition.group.0).or_default().push(key);
        }
        let chunks =
            by_partition.iter().flat_map(|(group, keys)| keys.chunks(CALL_KEYS_MAX).map(move |keys| (*group, keys)));
        let parts = chunks.map(|(group, keys)| async move {
            let partition = self
                .table
                .partitions
                .iter()
                .find(|p| p.group.0 == group)
                .ok_or_else(|| AwsError::internal("no partition"))?;
            let read = PartitionRequest::Get(GetRead {
                keys: keys.iter().map(|(primary, _)| primary.clone()).collect(),
                projection: self.projection.clone(),
                consistent: self.consistent,
            });
            let answered = ctx.router.read(&self.table, partition, self.consistent, read, deadline(call)).await;
            match answered {
                Ok(PartitionResponse::Get(got)) if got.len() == keys.len() => {
                    Ok(keys.iter().map(|(_, key)| key.clone()).zip(got.into_iter().map(Some)).collect())
                }
                Ok(_) => Err(AwsError::internal("an answer to another question")),
                Err(RouteError::Partition(PartitionError::Throttled)) => {
                    Ok(keys.iter().map(|(_, key)| (key.clone(), None)).collect::<Found>())
                }
                Err(e) => Err(from_route(e)),
            }
        });
        let parts = futures::future::try_join_all(parts).await?;
        Ok(parts.into_iter().flatten().collect())
    }
}

impl Operation for BatchGetItem {
    type Context = Context;
    type Request = Request;
    type Response = Answer;
    const NAME: &'static str = "BatchGetItem";
    const ACTION: &'static str = "dynamodb:BatchGetItem";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Data;
    const RESOURCE_TYPE: &'static str = "table";
    const CONDITION_KEYS: &'static [&'static str] =
        &["dynamodb:Attributes", "dynamodb:LeadingKeys", "dynamodb:ReturnConsumedCapacity", "dynamodb:Select"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        match &request.request_items {
            None => constraints.null("requestItems"),
            Some(tables) => {
                if tables.is_empty() {
                    constraints.fail_at("RequestItems", "Member must have length greater than or equal to 1");
                }
                if let Some(name) = tables.keys().find(|name| !fits_table_key(name)) {
                    // AWS repeats the whole request here; its beginning says enough.
                    constraints.fail(&format!("{{\"{name}\":…}}"), "requestItems", TABLE_KEYS);
                }
                for (name, of_table) in tables {
                    let at = format!("RequestItems.{name}.member.Keys");
                    match of_table.keys.as_ref().map(Vec::len) {
                        None => constraints.null(&format!("requestItems.{name}.member.keys")),
                        Some(0) => constraints.fail_at(&at, "Member must have length greater than or equal to 1"),
                        Some(1..=KEYS_MAX) => {}
                        Some(_) => constraints.fail_at(&at, "Member must have length less than or equal to 100"),
                    }
                }
            }
        }
        constraints.one_of(request.return_consumed_capacity.as_deref(), "returnConsumedCapacity", RETURN_CONSUMED);
        constraints.finish()?;
        let keys: usize =
            request.request_items.iter().flatten().filter_map(|(_, t)| t.keys.as_ref()).map(Vec::len).sum();
        if keys > KEYS_MAX {
            return Err(invalid("Too many items requested for the BatchGetItem call"));
        }
        Ok(())
    }

    async fn prepare(ctx: &Arc<Context>, call: &Call, request: &mut Request) -> Result<(), AwsError> {
        for table in request.request_items.iter().flat_map(BTreeMap::keys) {
            until_known(ctx, call, Some(table)).await?;
        }
        Ok(())
    }

    fn conditions(ctx: &Context, call: &Call, request: &Request, keys: &mut ConditionKeys) {
        let tables = request.request_items.iter().flatten();
        let all = tables.flat_map(|(name, of)| of.keys.iter().flatten().map(|key| (Some(name.as_str()), Some(key))));
        leading_keys(ctx, call, all, keys);
        let (mut attributes, mut projects) = (Attributes::wanted_by(keys), true);
        for of in request.request_items.iter().flat_map(BTreeMap::values) {
            attributes = of.keys.iter().flatten().fold(attributes, |all, key| all.item(Some(key)));
            attributes = attributes
                .named(of.attributes_to_get.iter().flatten())
                .expression(of.projection_expression.as_deref(), of.expression_attribute_names.as_ref());
            projects &= of.projection_expression.is_some() || of.attributes_to_get.is_some();
        }
        attributes.set(keys);
        selects(None, projects, false, keys);
        returns(None, request.return_consumed_capacity.as_deref(), keys);
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        request.request_items.iter().flatten().flat_map(|(name, _)| table_arn(&call.scope, Some(name))).collect()
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Answer, AwsError> {
        let mut readings = Vec::new();
        for (given, of_table) in request.request_items.unwrap_or_default() {
            readings.push(Reading::of(ctx, call, given, of_table).await?);
        }
        let found = futures::future::try_join_all(readings.iter().map(|r| r.read(ctx, call))).await?;
        let mut answer =
            Answer { responses: BTreeMap::new(), unprocessed_keys: BTreeMap::new(), consumed_capacity: None };
        let mut consumed = Vec::new();
        let mut bytes = 0;
        for (reading, found) in readings.iter().zip(found) {
            let mut meter = Meter::default();
            let items = answer.responses.entry(reading.given.clone()).or_default();
            let mut unprocessed = Vec::new();
            for (key, got) in found {
                match got {
                    Some(got) if bytes + u64::from(got.size_bytes) <= ANSWER_BYTES_MAX => {
                        bytes += u64::from(got.size_bytes);
                        meter.read(u64::from(got.size_bytes), reading.consistent);
                        if let Some(item) = got.item {
                            items.push(serde_json::to_value(WireItemRef(&item)).map_err(AwsError::internal)?);
                        }
                    }
                    _ => unprocessed.push(serde_json::to_value(WireItemRef(&key)).map_err(AwsError::internal)?),
                }
            }
            if !unprocessed.is_empty() {
                let mut again = json!({"Keys": unprocessed, "ConsistentRead": reading.consistent});
                if let Some(text) = &reading.projection_text {
                    again["ProjectionExpression"] = text.clone().into();
                }
                if let Some(names) = &reading.names {
                    again["ExpressionAttributeNames"] = json!(names);
                }
                if let Some(attributes) = &reading.attributes {
                    again["AttributesToGet"] = json!(attributes);
                }
                answer.unprocessed_keys.insert(reading.given.clone(), again);
            }
            consumed.extend(meter.answer(table_name(&reading.given), request.return_consumed_capacity.as_deref()));
        }
        answer.consumed_capacity = (!consumed.is_empty()).then_some(consumed);
        Ok(answer)
    }
}
