//! GetItem.

use super::conditions::{Attributes, leading_keys, returns, selects, until_known};
use super::errors::{from_route, invalid};
use super::expressions::{Placeholders, Texts, compile_all};
use super::legacy;
use super::shapes::{self, ConsumedCapacity, Meter};
use super::validate::{Constraints, RETURN_CONSUMED, table_arn};
use super::write::{data_table, deadline};
use crate::node::Context;
use crate::rpc::{GetRead, PartitionRequest, PartitionResponse};
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Operation, Plane};
use breakwater_items::Item;
use breakwater_items::expression::ExpressionKind;
use breakwater_items::json::{WireItem, serialize_option_item};
use breakwater_items::key::{PrimaryKey, partition_hash};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub struct GetItem;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    table_name: Option<String>,
    key: Option<WireItem>,
    attributes_to_get: Option<Vec<String>>,
    consistent_read: Option<bool>,
    return_consumed_capacity: Option<String>,
    projection_expression: Option<String>,
    #[serde(flatten)]
    placeholders: Placeholders,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    #[serde(serialize_with = "serialize_option_item", skip_serializing_if = "Option::is_none")]
    item: Option<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<ConsumedCapacity>,
}

impl Operation for GetItem {
    type Context = Context;
    type Request = Request;
    type Response = Answer;
    const NAME: &'static str = "GetItem";
    const ACTION: &'static str = "dynamodb:GetItem";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Data;
    const RESOURCE_TYPE: &'static str = "table";
    const CONDITION_KEYS: &'static [&'static str] =
        &["dynamodb:Attributes", "dynamodb:LeadingKeys", "dynamodb:ReturnConsumedCapacity", "dynamodb:Select"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        constraints.table(request.table_name.as_deref());
        if request.key.is_none() {
            constraints.null("key");
        }
        constraints.one_of(request.return_consumed_capacity.as_deref(), "returnConsumedCapacity", RETURN_CONSUMED);
        legacy::constrain_attributes(&mut constraints, request.attributes_to_get.as_ref());
        constraints.finish()
    }

    async fn prepare(ctx: &Arc<Context>, call: &Call, request: &mut Request) -> Result<(), AwsError> {
        until_known(ctx, call, request.table_name.as_deref()).await
    }

    fn conditions(ctx: &Context, call: &Call, request: &Request, keys: &mut ConditionKeys) {
        leading_keys(ctx, call, [(request.table_name.as_deref(), request.key.as_ref())], keys);
        let names = request.placeholders.expression_attribute_names.as_ref();
        Attributes::wanted_by(keys)
            .item(request.key.as_ref())
            .named(request.attributes_to_get.iter().flatten())
            .expression(request.projection_expression.as_deref(), names)
            .set(keys);
        let projects = request.projection_expression.is_some() || request.attributes_to_get.is_some();
        selects(None, projects, false, keys);
        returns(None, request.return_consumed_capacity.as_deref(), keys);
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        table_arn(&call.scope, request.table_name.as_deref())
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Answer, AwsError> {
        let texts = Texts { projection: request.projection_expression.as_deref(), ..Texts::default() };
        let given = [("AttributesToGet", request.attributes_to_get.is_some())];
        let compiled = compile_all(&[ExpressionKind::Projection], &texts, &given, request.placeholders)?;
        let projection = match compiled.projection {
            Some(projection) => Some(projection),
            None => legacy::attributes_to_get(request.attributes_to_get)?,
        };
        let key = shapes::item(request.key.unwrap_or_default())?;
        let table = data_table(ctx, call, request.table_name.as_deref()).await?;
        let key = PrimaryKey::from_key(&table.schema.key, &key).map_err(invalid)?;
        let hash = partition_hash(&table.salt, &key.hash);
        let partition = table.partition_of(hash).ok_or_else(|| AwsError::internal("a hash without a partition"))?;
        let consistent = request.consistent_read.unwrap_or(false);
        let read = PartitionRequest::Get(GetRead { keys: vec![key], projection, consistent });
        let answered =
            ctx.router.read(&table, partition, consistent, read, deadline(call)).await.map_err(from_route)?;
        let PartitionResponse::Get(mut got) = answered else {
            return Err(AwsError::internal("an answer to another question"));
        };
        let got = got.pop().ok_or_else(|| AwsError::internal("an answer without an item"))?;
        let mut meter = Meter::default();
        meter.read(u64::from(got.size_bytes), consistent);
        Ok(Answer {
            item: got.item,
            consumed_capacity: meter.answer(&table.name, request.return_consumed_capacity.as_deref()),
        })
    }
}
